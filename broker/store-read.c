/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

/* What store_load() reads, on a connection of its own beside the worker's. */

static int get_owner(struct statement *st, int column, struct owner *ret)
{
    int64_t uid = statement_get_int(st, column);
    const char *name = statement_get_text(st, column + 1);
    if (strlen(name) >= sizeof(ret->name) || uid < -1 || uid >= (uid_t)-1)
        return -EUCLEAN;
    *ret = (struct owner){.device = uid < 0, .uid = uid < 0 ? (uid_t)-1 : (uid_t)uid};
    memcpy(ret->name, name, strlen(name) + 1);
    return 0;
}

static int visit_account(struct statement *st, const struct store_visitor *visitor, void *userdata)
{
    struct store_account account = {
        .row = statement_get_int(st, 0),
        .id = statement_get_text(st, 1),
        .label = statement_get_text(st, 2),
        .is_default = statement_get_int(st, 3) != 0,
        .created_sec = statement_get_int(st, 4),
        .customer = sqlite3_column_blob(st->stmt, 5),
    };
    if (sqlite3_column_bytes(st->stmt, 5) != STORE_CUSTOMER_BYTES)
        return -EUCLEAN;
    int r = get_owner(st, 6, &account.owner);
    if (r == 0)
        r = st->r;
    return r == 0 ? visitor->account(&account, userdata) : r;
}

static int visit_grant(struct statement *st, const struct store_visitor *visitor, void *userdata)
{
    struct store_grant grant = {
        .row = statement_get_int(st, 0),
        .account = statement_get_int(st, 1), /* 0 for a null */
        .target = statement_get_text(st, 2),
        .label = statement_get_text(st, 3),
        .endpoint = statement_get_text(st, 4),
        .client_id = statement_get_text(st, 5),
        .flow = statement_get_text(st, 6),
        .may_carry = statement_get_text(st, 7),
        .carries = statement_get_text(st, 8),
        .claimed = statement_get_int(st, 9) != 0,
        .generation = (uint64_t)statement_get_int(st, 10),
        .is_dead = statement_get_int(st, 11) != 0,
        .dead_reason = statement_get_text(st, 12),
        .intent_open = statement_get_int(st, 13) != 0,
        .has_previous = statement_get_int(st, 14) != 0,
        .created_sec = statement_get_int(st, 15),
        .refreshed_sec = statement_get_int(st, 16),
    };
    int r = get_owner(st, 17, &grant.owner);
    if (r == 0)
        r = st->r;
    return r == 0 ? visitor->grant(&grant, userdata) : r;
}

static int visit_consent(struct statement *st, const struct store_visitor *visitor, void *userdata)
{
    struct store_consent consent = {
        .account = statement_get_int(st, 0),
        .app = statement_get_text(st, 1),
        .scope = statement_get_text(st, 2),
        .answer = statement_get_text(st, 3),
        .lasts = statement_get_text(st, 4),
        .given_sec = statement_get_int(st, 5),
        .until_sec = statement_get_int(st, 6),
        .how = statement_get_text(st, 7),
        .by_name = statement_get_text(st, 9),
    };
    int64_t uid = statement_get_int(st, 8);
    if (uid < 0 || uid >= (uid_t)-1)
        return -EUCLEAN;
    consent.by_uid = (uid_t)uid;
    return st->r == 0 ? visitor->consent(&consent, userdata) : st->r;
}

static int visit_all(struct store_db *db, const char *sql,
                     int (*visit)(struct statement *, const struct store_visitor *, void *),
                     const struct store_visitor *visitor, void *userdata)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, sql);
    int r;
    while ((r = statement_step(&st)) == STEP_ROW) {
        r = visit(&st, visitor, userdata);
        if (r < 0)
            break;
    }
    return r;
}

int store_load(struct store *s, const struct store_visitor *visitor, void *userdata)
{
    struct store_db db;
    int r = store_db_open(&db, s->path, s->vfs, STORE_DB_READER);
    if (r < 0)
        return r;
    r = store_db_exec(&db, "BEGIN"); /* all from one state */
    if (r == 0)
        r = visit_all(&db,
                      "SELECT a.id, a.name, a.label, a.is_default, a.created_sec, a.customer, o.uid, o.name"
                      " FROM account a JOIN owner o ON o.id = a.owner ORDER BY a.id",
                      visit_account, visitor, userdata);
    if (r == 0)
        r = visit_all(
            &db,
            "SELECT g.id, g.account, g.target, g.label, g.endpoint, g.client_id, g.flow, g.may_carry,"
            " g.carries, g.claimed, g.generation, g.dead, g.dead_reason, g.intent_sec IS NOT NULL,"
            " g.previous IS NOT NULL, g.created_sec, g.refreshed_sec, o.uid, o.name"
            " FROM grant g JOIN owner o ON o.id = g.owner ORDER BY g.id",
            visit_grant, visitor, userdata);
    if (r == 0 && visitor->consent)
        r = visit_all(&db,
                      "SELECT account, app, scope, answer, lasts, given_sec, until_sec, how, by_uid, by_name"
                      " FROM consent ORDER BY id",
                      visit_consent, visitor, userdata);
    store_db_close(&db);
    return r;
}
