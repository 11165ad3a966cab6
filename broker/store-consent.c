/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

/* The remembered answers of accounts' owners, by account, app and scope. None of them is sealed: a row that
 * somebody writes into the database is as good as one of ours, as with everything there that is no secret. */

static int number_of(struct store_db *db, const char *sql, const struct store_consent_change *c, int64_t *ret)
{
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, sql);
    statement_int(&st, c->of.account);
    if (sqlite3_bind_parameter_count(st.stmt) > 1)
        statement_text(&st, c->of.app);
    int r = statement_step(&st);
    if (r <= 0)
        return r < 0 ? r : STORE_E_GONE;
    *ret = statement_get_int(&st, 0);
    return 0;
}

/* Scopes hold no space, so one is in the list if it is there between two. */
#define DROP                                                                                                 \
    "DELETE FROM consent WHERE account = ?1 AND ?2 IN (app, '') AND answer = ?3"                             \
    " AND (?4 OR (scope <> '' AND instr(' ' || ?5 || ' ', ' ' || scope || ' ') > 0))"

static int drop(struct store_db *db, const struct store_consent_change *c, const char *answer,
                const struct store_consent_scopes *which, int *n_dropped)
{
    if (!which->all && !which->names)
        return 0;
    _cleanup_statement_ struct statement st = statement_open(db, SLOT_NONE, DROP);
    statement_int(&st, c->of.account);
    statement_text(&st, c->of.app);
    statement_text(&st, answer);
    statement_int(&st, which->all);
    statement_text(&st, which->names);
    int r = statement_run(&st);
    if (r == 0)
        *n_dropped += sqlite3_changes(db->sqlite);
    return r;
}

static int give_one(struct store_db *db, const struct store_consent *c, const char *scope)
{
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_NONE,
        "INSERT INTO consent (account, app, scope, answer, lasts, given_sec, until_sec, how, by_uid, by_name)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, app, scope) DO UPDATE SET"
        " answer = excluded.answer, lasts = excluded.lasts, given_sec = excluded.given_sec,"
        " until_sec = excluded.until_sec, how = excluded.how, by_uid = excluded.by_uid,"
        " by_name = excluded.by_name"
        /* A denial is not shortened by another. */
        " WHERE consent.answer <> 'deny' OR excluded.answer <> 'deny' OR excluded.lasts <> 'until'"
        " OR (consent.lasts = 'until' AND consent.until_sec <= excluded.until_sec)");
    statement_int(&st, c->account);
    statement_text(&st, c->app);
    statement_text(&st, scope);
    statement_text(&st, c->answer);
    statement_text(&st, c->lasts);
    statement_int(&st, c->given_sec);
    statement_int(&st, c->until_sec);
    statement_text(&st, c->how);
    statement_int(&st, c->by_uid);
    statement_text(&st, c->by_name);
    return statement_run(&st);
}

static int give(struct store_db *db, const struct store_consent_change *c)
{
    if (!c->gives[0])
        return give_one(db, &c->of, "");
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    int r = strv_split(&scopes, c->gives, " ");
    for (size_t i = 0; r == 0 && i < scopes.n; i++)
        r = give_one(db, &c->of, scopes.items[i]);
    return r;
}

/* A denial has room beyond: an owner who has answered much can still keep an app out. */
static int check_room(struct store_db *db, const struct store_consent_change *c)
{
    int64_t of_app = 0, of_account = 0;
    int r = number_of(db, "SELECT count(*) FROM consent WHERE account = ? AND app = ?", c, &of_app);
    if (r == 0)
        r = number_of(db, "SELECT count(*) FROM consent WHERE account = ?", c, &of_account);
    if (r != 0)
        return r;
    int64_t beyond = strcmp(c->of.answer, "deny") == 0 ? LIMIT_CONSENTS_BEYOND : 0;
    bool is_full =
        of_app > LIMIT_CONSENTS_PER_APP + beyond || of_account > LIMIT_CONSENTS_PER_ACCOUNT + beyond;
    return is_full ? -EUSERS : 0;
}

int store_rows_change_consents(struct store_db *db, const struct secret *master _unused_, struct store_op *op)
{
    const struct store_consent_change *c = &op->consents;
    int64_t n = 0;
    int n_dropped = 0;
    int r = number_of(db, "SELECT 1 FROM account WHERE id = ?", c, &n);
    if (r == 0 && c->gives && strcmp(c->of.answer, "allow") == 0) {
        r = number_of(db, "SELECT count(*) FROM consent WHERE account = ? AND app = ? AND scope = ''", c, &n);
        if (r == 0 && n > 0)
            r = -EEXIST;
    }
    if (r == 0)
        r = drop(db, c, "allow", &c->drops_allow, &n_dropped);
    if (r == 0)
        r = drop(db, c, "deny", &c->drops_deny, &n_dropped);
    if (r == 0 && c->gives)
        r = give(db, c);
    if (r == 0 && c->gives)
        r = check_room(db, c);
    return r == 0 && !c->gives && n_dropped == 0 ? STORE_E_GONE : r;
}

int store_rows_use_consents(struct store_db *db, const struct secret *master _unused_, struct store_op *op)
{
    const struct store_consent_change *c = &op->consents;
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    int r = strv_split(&scopes, c->drops_allow.names, " ");
    for (size_t i = 0; r == 0 && i < scopes.n; i++) {
        _cleanup_statement_ struct statement st =
            statement_open(db, SLOT_NONE,
                           "DELETE FROM consent WHERE account = ? AND app = ? AND scope = ?"
                           " AND answer = 'allow' AND lasts = 'once'");
        statement_int(&st, c->of.account);
        statement_text(&st, c->of.app);
        statement_text(&st, scopes.items[i]);
        r = statement_run(&st);
        if (r == 0 && sqlite3_changes(db->sqlite) != 1)
            r = STORE_E_GONE;
    }
    return r;
}

int store_rows_expire_consents(struct store_db *db, const struct secret *master _unused_, struct store_op *op)
{
    _cleanup_statement_ struct statement st =
        statement_open(db, SLOT_NONE,
                       "DELETE FROM consent WHERE account = ? AND app = ? AND lasts = 'until'"
                       " AND until_sec <= ?");
    statement_int(&st, op->consents.of.account);
    statement_text(&st, op->consents.of.app);
    statement_int(&st, op->consents.of.until_sec);
    int r = statement_run(&st);
    return r == 0 && sqlite3_changes(db->sqlite) == 0 ? STORE_E_GONE : r;
}
