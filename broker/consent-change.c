/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent-record.h"
#include "broker/limits.h"
#include "broker/timer.h"
#include "broker/token.h"
#include "util/clock.h"

#include <string.h>

/* Each change is one operation of the store, given as a rule and not as a list of rows; when it is durable
 * the same rule is followed in memory. The store answers in the order of the calls, so both go through the
 * same states however many changes are under way. All memory that the rule needs is there before it begins.
 */

struct consent_op {
    struct broker *broker;
    int64_t account; /* row: the account may go meanwhile */
    char app[IDENTITY_APP_SIZE];

    enum consent_answer answer;
    bool drops_all_allow, drops_all_deny;
    struct scope_set drops_allow, drops_deny;
    struct list made;              /* struct consent: to be given */
    struct consents_of_app *spare; /* should there be none yet */
    consent_callback callback;     /* NULL once dropped */
    void *userdata;

    int64_t over_sec; /* of an expiry: what ran out then goes */

    store_callback use_callback; /* of a use */
    void *use_userdata;
};

static void op_free(struct consent_op *op)
{
    if (!op)
        return;
    struct consent *c, *after;
    LIST_FOREACH_SAFE (c, after, &op->made, node)
        free(c);
    free(op->spare);
    free(op);
}
DEFINE_CLEANUP(struct consent_op, op_free);

static struct consent_op *op_new(const struct account *account, const char *app)
{
    struct consent_op *op = calloc(1, sizeof(*op));
    if (!op)
        return NULL;
    op->broker = account->broker;
    op->account = account->row;
    (void)snprintf(op->app, sizeof(op->app), "%s", app);
    list_init(&op->made);
    return op;
}

void consent_op_drop(struct consent_op *op)
{
    if (op)
        op->callback = NULL;
}

/* --- the rule, in memory ----------------------------------------------------------------------------- */

static void remove_answer(struct consent *c)
{
    list_remove(&c->node);
    free(c);
}

static struct consents_of_app *find_of(struct account *account, const char *app)
{
    struct consents_of_app *of;
    LIST_FOREACH (of, &account->consents, node)
        if (strcmp(of->app, app) == 0)
            return of;
    return NULL;
}

static bool is_dropped(const struct consent_op *op, const struct consent *c)
{
    if (c->lasts == CONSENT_UNTIL && c->until_sec <= op->over_sec)
        return true;
    if (c->denies ? op->drops_all_deny : op->drops_all_allow)
        return true;
    return c->index >= 0 && scope_set_has(c->denies ? &op->drops_deny : &op->drops_allow, c->index);
}

static bool is_replaced(const struct consent_op *op, const struct consent *c)
{
    const struct consent *made;
    LIST_FOREACH (made, &op->made, node)
        if (strcmp(made->scope, c->scope) == 0)
            return true;
    return false;
}

/* As the store does it. */
static bool outlasts(const struct consent *old, const struct consent *made)
{
    if (!old->denies || !made->denies || strcmp(old->scope, made->scope) != 0 || made->lasts != CONSENT_UNTIL)
        return false;
    return old->lasts == CONSENT_UNTIL_LOGOUT || old->until_sec > made->until_sec;
}

static void keep_longer_denials(const struct consents_of_app *of, struct consent_op *op)
{
    const struct consent *c;
    LIST_FOREACH (c, &of->answers, node) {
        struct consent *made, *next;
        LIST_FOREACH_SAFE (made, next, &op->made, node)
            if (outlasts(c, made))
                remove_answer(made);
    }
}

static void drop_answers(struct account *account, const struct consent_op *op)
{
    struct consents_of_app *of, *after;
    LIST_FOREACH_SAFE (of, after, &account->consents, node) {
        struct consent *c, *next;
        if (op->app[0] && strcmp(of->app, op->app) != 0)
            continue;
        LIST_FOREACH_SAFE (c, next, &of->answers, node)
            if (is_dropped(op, c) || is_replaced(op, c))
                remove_answer(c);
        if (list_is_empty(&of->answers)) {
            list_remove(&of->node);
            free(of);
        }
    }
}

static void give_answers(struct account *account, struct consent_op *op)
{
    struct consents_of_app *found = find_of(account, op->app);
    if (!found) {
        found = TAKE_PTR(op->spare);
        list_append(&account->consents, &found->node);
    }
    struct consent *c;
    LIST_FOREACH (c, &op->made, node)
        c->of = found;
    list_move_all(&op->made, &found->answers);
}

/* What was given may be missing from now on: for calls under way, and for those who hold a token by it. */
static void take_back(struct account *account, const char *app)
{
    broker_policy_changed(account->broker);
    tokens_revoke_unconsented(account->broker, account, app);
}

/* --- change ------------------------------------------------------------------------------------------ */

static int outcome(const struct consent_op *op, int r)
{
    if (r == STORE_E_GONE)
        return op->answer == CONSENT_FORGET ? CONSENT_E_NONE : CONSENT_E_GONE;
    return r == -EEXIST ? CONSENT_E_DENIED_ALL : r;
}

static void on_changed(struct store_reply *reply, void *userdata)
{
    _cleanup_(op_freep) struct consent_op *op = userdata;
    struct account *account = account_find_row(op->broker, op->account);
    if (reply->r == 0 && account) {
        const struct consents_of_app *of = find_of(account, op->app);
        if (of)
            keep_longer_denials(of, op);
        drop_answers(account, op);
        if (!list_is_empty(&op->made))
            give_answers(account, op);
        if (op->answer != CONSENT_ALLOW)
            take_back(account, op->app);
        consents_expire(op->broker);
    }
    if (op->callback)
        op->callback(outcome(op, reply->r), op->userdata);
}

static int make_one(struct consent_op *op, const struct consent_change *change, const char *scope, int index,
                    int64_t now_sec)
{
    struct consent *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    (void)snprintf(c->scope, sizeof(c->scope), "%s", scope);
    (void)snprintf(c->by_name, sizeof(c->by_name), "%s", change->by_name);
    c->index = index;
    c->denies = change->answer == CONSENT_DENY;
    c->lasts = change->lasts;
    c->how = change->how;
    c->given_sec = now_sec;
    c->until_sec = change->lasts == CONSENT_UNTIL ? change->until_sec : 0;
    c->by_uid = change->by_uid;
    list_append(&op->made, &c->node);
    return 0;
}

static int make_answers(struct consent_op *op, const struct consent_change *change, int64_t now_sec)
{
    const struct catalogue *catalogue = op->broker->catalogue;
    op->spare = calloc(1, sizeof(*op->spare));
    if (!op->spare)
        return -ENOMEM;
    list_init(&op->spare->node);
    list_init(&op->spare->answers);
    (void)snprintf(op->spare->app, sizeof(op->spare->app), "%s", op->app);
    if (!change->scopes)
        return make_one(op, change, "", -1, now_sec);
    int r = 0;
    for (int i = scope_set_next(change->scopes, 0); r == 0 && i >= 0;
         i = scope_set_next(change->scopes, i + 1))
        r = make_one(op, change, catalogue_get(catalogue, i)->name, i, now_sec);
    return r;
}

/* Which earlier answers have to go: see the head of consent.h. */
static void choose_drops(struct consent_op *op, const struct consent_change *change)
{
    const struct catalogue *catalogue = op->broker->catalogue;
    bool is_every = !change->scopes;
    op->answer = change->answer;
    op->drops_all_allow = is_every && change->answer != CONSENT_ALLOW;
    op->drops_all_deny = is_every && change->answer == CONSENT_FORGET && !change->keeps_denials;
    if (is_every)
        return;
    if (change->answer == CONSENT_ALLOW)
        op->drops_deny = catalogue_expand(catalogue, *change->scopes);
    else
        op->drops_allow = catalogue_expand_up(catalogue, *change->scopes);
    if (change->answer == CONSENT_FORGET && !change->keeps_denials)
        op->drops_deny = *change->scopes;
}

static bool makes_sense(const struct consent_change *change, int64_t now_sec)
{
    if (strlen(change->app) >= IDENTITY_APP_SIZE || strlen(change->by_name) >= OWNER_NAME_MAX)
        return false;
    if (change->scopes && scope_set_is_empty(*change->scopes))
        return false;
    if (change->answer == CONSENT_FORGET)
        return true;
    if (!change->app[0] || (change->lasts == CONSENT_UNTIL && change->until_sec <= now_sec))
        return false;
    return change->answer == CONSENT_ALLOW ? change->scopes != NULL : change->lasts != CONSENT_ONCE;
}

/* Takes the record. */
static int submit_change(struct consent_op *op, const struct consent_change *change, int64_t now_sec,
                         struct audit_record *record)
{
    const struct catalogue *catalogue = op->broker->catalogue;
    bool gives = change->answer != CONSENT_FORGET;
    _cleanup_free_ char *names =
        catalogue_join(catalogue, change->scopes ? *change->scopes : SCOPE_SET_EMPTY);
    _cleanup_free_ char *allow = catalogue_join(catalogue, op->drops_allow);
    _cleanup_free_ char *deny = catalogue_join(catalogue, op->drops_deny);
    if (!names || !allow || !deny) {
        audit_record_free(record);
        return -ENOMEM;
    }
    const struct store_consent_change stored = {
        .of = {.account = op->account,
               .app = op->app,
               .answer = change->answer == CONSENT_DENY ? "deny" : "allow",
               .lasts = consent_lasts_name(change->lasts),
               .given_sec = now_sec,
               .until_sec = change->lasts == CONSENT_UNTIL ? change->until_sec : 0,
               .how = consent_how_name(change->how),
               .by_uid = change->by_uid,
               .by_name = change->by_name},
        .drops_allow = {op->drops_all_allow, allow[0] ? allow : NULL},
        .drops_deny = {op->drops_all_deny, deny[0] ? deny : NULL},
        .gives = gives ? names : NULL,
    };
    return store_change_consents(op->broker->store, &stored, record, on_changed, op, NULL);
}

int consent_change(struct account *account, const struct consent_change *change, consent_callback callback,
                   void *userdata, struct consent_op **ret)
{
    int64_t now_sec = wall_sec();
    if (!makes_sense(change, now_sec))
        return -EINVAL;
    _cleanup_(op_freep) struct consent_op *op = op_new(account, change->app);
    if (!op || (change->answer != CONSENT_FORGET && make_answers(op, change, now_sec) < 0))
        return -ENOMEM;
    choose_drops(op, change);
    op->callback = callback;
    op->userdata = userdata;
    struct audit_record *record = consent_record_change(account, change);
    int r = record ? submit_change(op, change, now_sec, record) : -ENOMEM;
    if (r < 0)
        return r;
    if (ret)
        *ret = op;
    (void)TAKE_PTR(op);
    return 0;
}

/* --- once -------------------------------------------------------------------------------------------- */

/* How many of them memory still has; with `remove` they go. */
static unsigned count_once(struct account *account, const struct consent_op *op, bool remove)
{
    struct consents_of_app *of = find_of(account, op->app);
    struct consent *c, *after;
    unsigned n = 0;
    if (!of)
        return 0;
    LIST_FOREACH_SAFE (c, after, &of->answers, node) {
        if (c->lasts != CONSENT_ONCE || !is_dropped(op, c))
            continue;
        n++;
        if (remove)
            remove_answer(c);
    }
    return n;
}

/* Where the store does not have one that memory has, a commit was made that was reported as failed: they go.
 */
static void on_used(struct store_reply *reply, void *userdata)
{
    _cleanup_(op_freep) struct consent_op *op = userdata;
    struct account *account = account_find_row(op->broker, op->account);
    if (account && (reply->r == 0 || (reply->r == STORE_E_GONE &&
                                      count_once(account, op, false) == scope_set_count(&op->drops_allow)))) {
        (void)count_once(account, op, true);
        broker_policy_changed(op->broker);
    }
    op->use_callback(reply, op->use_userdata);
}

int consent_use_once(struct account *account, const char *app, struct scope_set scopes,
                     struct audit_record *record, store_callback callback, void *userdata)
{
    _cleanup_(op_freep) struct consent_op *op = op_new(account, app);
    _cleanup_free_ char *names = catalogue_join(account->broker->catalogue, scopes);
    if (!op || !names) {
        audit_record_free(record);
        return -ENOMEM;
    }
    op->drops_allow = scopes;
    op->use_callback = callback;
    op->use_userdata = userdata;
    int r = store_use_consents(account->broker->store, account->row, app, names, record, on_used, op, NULL);
    if (r == 0)
        (void)TAKE_PTR(op);
    return r;
}

/* --- running out ------------------------------------------------------------------------------------- */

static void on_expired(struct store_reply *reply, void *userdata)
{
    _cleanup_(op_freep) struct consent_op *op = userdata;
    struct account *account = account_find_row(op->broker, op->account);
    struct consents_of_app *of = account ? find_of(account, op->app) : NULL;
    if (!of)
        return;
    of->is_expiring = false;
    if (reply->r < 0)
        return; /* it is tried again */
    drop_answers(account, op);
    consents_expire(op->broker);
}

/* What ran out of this app, and when the latest did. */
static struct scope_set collect_over(const struct consents_of_app *of, int64_t *ret_over_sec)
{
    struct scope_set over = SCOPE_SET_EMPTY;
    const struct consent *c;
    *ret_over_sec = 0;
    LIST_FOREACH (c, &of->answers, node) {
        if (!c->is_over)
            continue;
        if (c->index >= 0)
            scope_set_add(&over, c->index);
        if (c->until_sec > *ret_over_sec)
            *ret_over_sec = c->until_sec;
    }
    return over;
}

static int submit_expiry(struct account *account, struct consents_of_app *of)
{
    _cleanup_(op_freep) struct consent_op *op = op_new(account, of->app);
    if (!op)
        return -ENOMEM;
    struct scope_set over = collect_over(of, &op->over_sec);
    struct audit_record *record =
        consent_record_new(account, AUDIT_CONSENT_EXPIRED, of->app,
                           (struct trail_facts){.asked = &over, .decided_by = "time", .detail = "until"});
    if (!record)
        return -ENOMEM;
    record->expires_sec = op->over_sec;
    int r = store_expire_consents(account->broker->store, account->row, of->app, op->over_sec, record,
                                  on_expired, op, NULL);
    if (r == 0)
        (void)TAKE_PTR(op);
    of->is_expiring = r == 0;
    return r;
}

/* Marks what ran out. *soonest gets the time at which to look again. */
static void expire_of(struct account *account, struct consents_of_app *of, int64_t now_sec, int64_t *soonest)
{
    bool is_news = false, is_over = false;
    struct consent *c;
    LIST_FOREACH (c, &of->answers, node) {
        if (c->lasts != CONSENT_UNTIL)
            continue;
        is_news |= !c->is_over && c->until_sec <= now_sec;
        c->is_over |= c->until_sec <= now_sec;
        is_over |= c->is_over;
        if (!c->is_over && c->until_sec < *soonest)
            *soonest = c->until_sec;
    }
    if (is_news)
        take_back(account, of->app);
    if (!is_over)
        return;
    if (!of->is_expiring)
        (void)submit_expiry(account, of);
    if (now_sec + LIMIT_CONSENT_RETRY_SEC < *soonest)
        *soonest = now_sec + LIMIT_CONSENT_RETRY_SEC;
}

static void on_timer(void *userdata)
{
    struct broker *broker = userdata;
    broker->consent_timer = NULL;
    consents_expire(broker);
}

void consents_expire(struct broker *broker)
{
    int64_t now_sec = wall_sec(), soonest = INT64_MAX;
    struct account *account;
    struct consents_of_app *of;
    LIST_FOREACH (account, &broker->accounts, node)
        LIST_FOREACH (of, &account->consents, node)
            expire_of(account, of, now_sec, &soonest);
    timer_drop(broker->consent_timer);
    broker->consent_timer = NULL;
    if (soonest == INT64_MAX)
        return;
    int64_t delay_sec =
        soonest - now_sec < LIMIT_CONSENT_EXPIRY_SEC ? soonest - now_sec : LIMIT_CONSENT_EXPIRY_SEC;
    if (timer_start(broker->loop, (uint64_t)delay_sec * USEC_PER_SEC, on_timer, broker,
                    &broker->consent_timer) < 0)
        broker->consent_timer = NULL; /* it counts no more all the same; the next change looks again */
}
