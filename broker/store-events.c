/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

/* Only the transaction knows which rows it touched: what memory holds may be a commit behind. So the records
 * of that are made here, on the worker's thread, and cannot be of more or less than what was done. */

static bool set(char **field, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return false;
    free(*field);
    *field = copy;
    return true;
}

int store_events_add(struct store_op *op, const struct store_event *event)
{
    if (!op->record)
        return 0;
    _cleanup_(audit_record_freep) struct audit_record *r = audit_record_new_like(op->record, event->event);
    if (!r || (event->account && !set(&r->account, event->account)) ||
        (event->carried && !set(&r->carried, event->carried)) ||
        (event->detail && !set(&r->detail, event->detail)))
        return -ENOMEM;
    r->grant = event->grant;
    struct audit_record **last = &op->events;
    while (*last)
        last = &(*last)->next;
    *last = TAKE_PTR(r);
    return 0;
}

int store_events_add_grants(struct store_op *op, struct statement *st, const struct store_event *event)
{
    int r;
    while ((r = statement_step(st)) == STEP_ROW) {
        struct store_event each = *event;
        each.grant = statement_get_int(st, 0);
        each.carried = statement_get_text(st, 1);
        r = st->r < 0 ? st->r : store_events_add(op, &each);
        if (r < 0)
            return r;
    }
    return r;
}

/* Records of the trail itself are none of a run: pruning can have removed that it was started. */
#define LAST_OF_A_RUN                                                                                        \
    "SELECT sequence, (SELECT event FROM audit WHERE event IN"                                               \
    " ('broker-started', 'broker-stopped', 'broker-crashed') ORDER BY sequence DESC LIMIT 1)"                \
    " FROM audit WHERE event NOT LIKE 'trail-%' ORDER BY sequence DESC LIMIT 1"

static int read_crash(struct store_db *db, int64_t *ret_sequence)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, LAST_OF_A_RUN);
    int r = statement_step(&st);
    if (r < 0)
        return r;
    bool is_crash = r == STEP_ROW && strcmp(statement_get_text(&st, 1), "broker-stopped") != 0;
    *ret_sequence = is_crash ? statement_get_int(&st, 0) : 0;
    return st.r;
}

int store_find_crash(struct store *s, int64_t *ret_sequence)
{
    struct store_db db;
    int r = store_db_open(&db, s->path, s->vfs, STORE_DB_READER);
    if (r < 0)
        return r;
    r = read_crash(&db, ret_sequence);
    store_db_close(&db);
    return r;
}
