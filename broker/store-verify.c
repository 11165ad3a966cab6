/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-verify.h"

#include "broker/store-internal.h"

#include <string.h>

/* 1. Where the chain stands is asked first (the query's `view`): a reading that begins later finds it there.
 * 2. What was removed (audit_base) tells where the trail begins, and the verifier begins there.
 * 3. The records, slice by slice. After each the base is read anew: when it has moved past where the slice
 *    began, retention was faster, the slice may lack records, and it all begins again.
 * 4. What somebody kept elsewhere is compared; and whether the indexes have what the records have.
 *
 * A row that the broker would not have written (an event nobody knows, bytes that no field has) is damage:
 * reading it as a record would leave out what is in no hash. */

#define INDEXES_WRONG "the database does not fit together: its indexes lack records, or name others"
#define INDEXES_UNCHECKED "the indexes were not checked: the trail is too long for that while it is served"
#define HEAD_REMOVED "the record of the head that was kept is among those removed: it proves nothing here"
#define UNREADABLE "the database file is damaged and could not be read beyond this record"
#define NOTHING_FITS "no seal fits this secret: it is of another trail or setup, or the trail was made anew"
#define NOTHING_SEALED                                                                                       \
    "the trail ends before the epoch that this secret begins with: it was cut short, or put back"

/* What is known outside the database. */
struct input {
    struct store_chain_view view; /* of before the first look at it */
    struct audit_chain_key secret;
    struct audit_head head;
};

/* --- going through ----------------------------------------------------------------------------------- */

struct run {
    struct store_db *db;
    struct store_query *query;
    const struct input *input;
    const struct audit_chain_key *key;
    struct audit_base base;
    struct audit_verify *verify;
    int64_t after; /* up to here it has been looked at */
    bool is_at_end;
};

static int add_row(struct run *run, struct statement *st)
{
    struct audit_record record;
    int r = store_audit_look(st, &record);
    if (st->r < 0 || (r < 0 && r != -EUCLEAN))
        return st->r < 0 ? st->r : r;
    run->after = statement_get_int(st, 0);
    if (r == 0)
        return audit_verify_add(run->verify, &record);
    audit_verify_add_unreadable(run->verify, run->after);
    return 0;
}

static int read_slice(struct run *run)
{
    _cleanup_statement_ struct statement st = statement_open(
        run->db, SLOT_NONE,
        "SELECT " STORE_AUDIT_COLUMNS " FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?");
    statement_int(&st, run->after);
    statement_int(&st, LIMIT_VERIFY_SLICE);
    unsigned n = 0;
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        r = add_row(run, &st);
        if (r < 0)
            return r;
        n++;
    }
    run->is_at_end = n < LIMIT_VERIFY_SLICE;
    return r;
}

static void run_clear(struct run *run)
{
    audit_verify_free(run->verify);
    run->verify = NULL;
}

static int run_start(struct run *run)
{
    struct audit_verify_options options = {
        .key = run->key, .head = run->input->view.head, .findings_max = LIMIT_VERIFY_FINDINGS};
    run_clear(run);
    int r = store_base_read(run->db, &run->base);
    if (r < 0)
        return r;
    options.base = run->base;
    run->after = run->base.sequence;
    run->is_at_end = false;
    return audit_verify_new(&options, &run->verify);
}

enum { RUN_E_OVERTAKEN = 1 };

static int run_once(struct run *run)
{
    int r = run_start(run);
    while (r == 0 && !run->is_at_end) {
        struct audit_base base;
        int64_t before = run->after;
        if (store_query_is_over(run->query))
            return -EINTR;
        r = read_slice(run);
        if (r == 0)
            r = store_base_read(run->db, &base);
        if (r == 0 && base.sequence > before && base.sequence != run->base.sequence)
            r = RUN_E_OVERTAKEN;
    }
    return r;
}

static int run_whole(struct run *run, struct audit_verify_report *ret)
{
    int r = RUN_E_OVERTAKEN;
    for (int i = 0; r == RUN_E_OVERTAKEN && i < LIMIT_VERIFY_STARTS; i++)
        r = run_once(run);
    if (r != 0)
        return r < 0 ? r : -EAGAIN;
    return audit_verify_finish(run->verify, ret);
}

/* --- findings ---------------------------------------------------------------------------------------- */

static void add_finding(struct store_verify *v, const char *kind, bool is_damage, int64_t sequence,
                        const char *text)
{
    struct store_verify_finding *f = &v->findings[v->n_findings++];
    f->kind = kind;
    f->is_damage = is_damage;
    f->sequence = sequence;
    (void)snprintf(f->text, sizeof(f->text), "%s", text);
    v->n_damage += is_damage;
}

static void take_report(struct store_verify *v, const struct audit_verify_report *report)
{
    v->report = *report;
    v->n_damage += report->n_damage;
    for (unsigned i = 0; i < report->n_findings && i < LIMIT_VERIFY_FINDINGS; i++) {
        const struct audit_finding *found = &report->findings[i];
        struct store_verify_finding *f = &v->findings[v->n_findings++];
        f->kind = audit_finding_name(found->kind);
        f->is_damage = audit_finding_is_damage(found->kind);
        f->sequence = found->sequence;
        memcpy(f->text, found->text, sizeof(f->text));
    }
    v->report.findings = NULL;
}

/* What somebody kept: the record must be there as it was. */
static int check_head(struct store_db *db, const struct audit_head *head, const struct audit_base *base,
                      struct store_verify *v)
{
    unsigned char hash[AUDIT_HASH_BYTES] = {0};
    if (head->sequence > 0 && head->sequence < base->sequence)
        add_finding(v, "pruned", false, head->sequence, HEAD_REMOVED);
    if (head->sequence == 0 || head->sequence < base->sequence)
        return 0;
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE, "SELECT hash FROM audit WHERE sequence = ?");
    statement_int(&st, head->sequence);
    int r = statement_step(&st);
    if (r < 0)
        return r;
    bool is_there = r == STEP_ROW || head->sequence == base->sequence;
    if (r == STEP_ROW)
        (void)statement_copy_blob(&st, 0, hash, sizeof(hash));
    else
        memcpy(hash, base->hash, sizeof(hash));
    if (!is_there)
        add_finding(v, "head", true, head->sequence, "the record of the head that was kept is not there");
    else if (memcmp(hash, head->hash, sizeof(hash)) != 0)
        add_finding(v, "head", true, head->sequence,
                    "this record is another one than the head that was kept");
    return 0;
}

/* --- all --------------------------------------------------------------------------------------------- */

/* With the secret; where that is of another trail all is as if there were none. */
static int run_all(struct run *run, struct store_verify *v, struct audit_verify_report *ret)
{
    const struct input *in = run->input;
    run->key = in->secret.key ? &in->secret : &in->view.key;
    int r = run_whole(run, ret);
    if (r < 0 || !in->secret.key)
        return r;
    bool fits = ret->key == AUDIT_VERIFY_KEY_FITS;
    v->secret = fits ? STORE_VERIFY_SECRET_FITS : STORE_VERIFY_SECRET_OTHER;
    if (fits)
        return 0;
    add_finding(v, "secret", true, 0, ret->key == AUDIT_VERIFY_KEY_OTHER ? NOTHING_FITS : NOTHING_SEALED);
    run->key = &in->view.key;
    return run_whole(run, ret);
}

/* A query finds its records by an index; one that lacks some hides them, though all of them are there. The
 * check is one long look, which keeps the WAL from being cut back: of a long trail it is left out. */
static int check_indexes(struct store_db *db, struct store_verify *v)
{
    _cleanup_statement_ struct statement pages = statement_open(db, SLOT_NONE, "PRAGMA page_count");
    int r = statement_step(&pages);
    if (r < 0)
        return r;
    if (statement_get_int(&pages, 0) > STORE_CHECK_PAGES_MAX) {
        add_finding(v, "database", false, 0, INDEXES_UNCHECKED);
        return 0;
    }
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE, "PRAGMA integrity_check('audit')");
    r = statement_step(&st);
    if (r == -EUCLEAN || (r == STEP_ROW && strcmp(statement_get_text(&st, 0), "ok") != 0))
        add_finding(v, "database", true, 0, INDEXES_WRONG);
    return r == -EUCLEAN || r > 0 ? 0 : r;
}

static int verify(struct run *run, struct store_verify *v)
{
    struct audit_verify_report report;
    int r = run_all(run, v, &report);
    if (r < 0)
        return r;
    take_report(v, &report);
    v->removed_up_to = run->base.sequence;
    r = check_head(run->db, &run->input->head, &run->base, v);
    return r < 0 ? r : check_indexes(run->db, v);
}

static int run_verify(struct store_db *db, struct store_query *q, struct store_reply *reply)
{
    _cleanup_(run_clear) struct run run = {.db = db, .query = q, .input = q->asked};
    _cleanup_free_ struct store_verify *v = calloc(1, sizeof(*v));
    int r = v ? verify(&run, v) : -ENOMEM;
    if (r == -EUCLEAN) {
        *v = (struct store_verify){.secret = STORE_VERIFY_SECRET_NONE};
        add_finding(v, "database", true, run.after, UNREADABLE);
        r = 0;
    }
    if (r == 0)
        reply->verify = TAKE_PTR(v);
    return r;
}

/* --- the request ------------------------------------------------------------------------------------- */

static void input_free(void *input)
{
    struct input *in = input;
    if (!in)
        return;
    store_chain_view_clear(&in->view);
    audit_chain_key_clear(&in->secret);
    free(in);
}

static void input_freep(struct input **in)
{
    input_free(*in);
}

static int input_new(struct store *s, const struct store_verify_request *request, struct input **ret)
{
    _cleanup_(input_freep) struct input *in = calloc(1, sizeof(*in));
    if (!in)
        return -ENOMEM;
    in->head = request->head;
    int r = store_chain_view(s, &in->view);
    if (r == 0 && request->secret)
        r = audit_chain_key_copy(request->secret, &in->secret);
    if (r == 0)
        *ret = TAKE_PTR(in);
    return r;
}

int store_verify_query(struct store *s, uid_t asker, const struct store_verify_request *request,
                       store_callback callback, void *userdata, struct store_op **ret_op)
{
    struct input *in = NULL;
    int r = input_new(s, request, &in);
    if (r < 0)
        return r;
    struct store_query *q = store_query_new(s, asker, run_verify, in, input_free);
    if (!q)
        return -ENOMEM;
    q->is_long = true;
    return store_query_start(q, callback, userdata, ret_op);
}
