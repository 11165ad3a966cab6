/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

#define AUDIT_COLUMN_COUNT 30 /* of STORE_AUDIT_COLUMNS */

/* A uid that is none is a null, which keeps it out of the index. */
static void bind_uid(struct statement *st, uid_t uid)
{
    if (uid == (uid_t)-1)
        statement_null(st);
    else
        statement_int(st, uid);
}

int store_audit_insert(struct store_db *db, const struct audit_record *record)
{
    _cleanup_statement_ struct statement st = statement_open(
        db, SLOT_AUDIT_INSERT,
        "INSERT INTO audit (sequence, epoch, hash, seal, time_sec, event, uid, app, kind, strength, account, "
        "owner, owner_uid, asked,"
        " carried, verdict, decided_by, detail, chain, unit, program, grant_row, expires_sec, fingerprint,"
        " request, boot_usec, boot_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    statement_int(&st, record->sequence);
    statement_int(&st, (int64_t)record->epoch);
    statement_blob(&st, record->hash, sizeof(record->hash));
    statement_blob(&st, record->seal, sizeof(record->seal));
    statement_int(&st, record->time_sec);
    statement_text(&st, audit_event_name(record->event));
    bind_uid(&st, record->uid);
    statement_text(&st, record->app);
    statement_text(&st, record->kind);
    statement_text(&st, record->strength);
    statement_text(&st, record->account);
    statement_text(&st, record->owner);
    bind_uid(&st, record->owner_uid);
    statement_text(&st, record->asked);
    statement_text(&st, record->carried);
    statement_text(&st, record->verdict);
    statement_text(&st, record->decided_by);
    statement_text(&st, record->detail);
    statement_text(&st, record->chain);
    statement_text(&st, record->unit);
    statement_text(&st, record->program);
    statement_int(&st, record->grant);
    statement_int(&st, record->expires_sec);
    statement_blob(&st, record->has_fingerprint ? record->fingerprint : NULL, sizeof(record->fingerprint));
    statement_text(&st, record->request);
    statement_int(&st, (int64_t)record->boot_usec);
    statement_blob(&st, record->boot_id, sizeof(record->boot_id));
    return statement_run(&st);
}

#define FIRST_TEXT 9 /* of STORE_AUDIT_COLUMNS, and from there on in this order */
#define N_TEXTS 14

/* Those of the row, which are neither to be written to nor freed, or empty ones. */
static void get_texts(struct statement *st, struct audit_record *record, bool is_readable)
{
    char **const texts[N_TEXTS] = {
        &record->app,   &record->kind,    &record->strength, &record->account,    &record->owner,
        &record->asked, &record->carried, &record->verdict,  &record->decided_by, &record->detail,
        &record->chain, &record->unit,    &record->program,  &record->request,
    };
    for (int i = 0; i < N_TEXTS; i++)
        *texts[i] = (char *)(is_readable ? statement_get_text(st, FIRST_TEXT + i) : "");
}

static void get_chain(struct statement *st, struct audit_record *record)
{
    record->boot_usec = (uint64_t)statement_get_int(st, 23);
    (void)statement_copy_blob(st, 24, record->boot_id, sizeof(record->boot_id));
    record->epoch = (uint64_t)statement_get_int(st, 25);
    record->has_hash = statement_copy_blob(st, 26, record->hash, sizeof(record->hash));
    (void)statement_copy_blob(st, 27, record->seal, sizeof(record->seal));
    record->repeats_epoch = (uint64_t)statement_get_int(st, 28);
    (void)statement_copy_blob(st, 29, record->repeats_seal, sizeof(record->repeats_seal));
}

/* Of which type each of STORE_AUDIT_COLUMNS is. A table that does not say so any more can hold a blob where a
 * text is: it reads the same, and no query finds it. */
static bool is_of_type(struct statement *st, int column)
{
    static const unsigned char types[] = {
        [2] = SQLITE_TEXT,  [8] = SQLITE_BLOB,  [9] = SQLITE_TEXT,  [10] = SQLITE_TEXT, [11] = SQLITE_TEXT,
        [12] = SQLITE_TEXT, [13] = SQLITE_TEXT, [14] = SQLITE_TEXT, [15] = SQLITE_TEXT, [16] = SQLITE_TEXT,
        [17] = SQLITE_TEXT, [18] = SQLITE_TEXT, [19] = SQLITE_TEXT, [20] = SQLITE_TEXT, [21] = SQLITE_TEXT,
        [22] = SQLITE_TEXT, [24] = SQLITE_BLOB, [26] = SQLITE_BLOB, [27] = SQLITE_BLOB, [29] = SQLITE_BLOB,
    };
    int wanted = types[column] ? types[column] : SQLITE_INTEGER;
    int type = sqlite3_column_type(st->stmt, column);
    bool may_be_null = wanted == SQLITE_BLOB || column == 3 || column == 4;
    return type == wanted || (type == SQLITE_NULL && may_be_null);
}

bool store_audit_is_uid(struct statement *st, int column)
{
    return sqlite3_column_type(st->stmt, column) == SQLITE_NULL || statement_get_uid(st, column) != (uid_t)-1;
}

bool store_audit_is_whole(struct statement *st, int column)
{
    return sqlite3_column_type(st->stmt, column) != SQLITE_TEXT ||
           strlen(statement_get_text(st, column)) == (size_t)sqlite3_column_bytes(st->stmt, column);
}

/* Whether reading it loses nothing: what is behind a NUL, or too long or large for its field, would be in the
 * database and in no hash. */
static bool is_as_written(struct statement *st)
{
    static const struct {
        int column, n;
    } blobs[] = {
        {8, AUDIT_FINGERPRINT_BYTES}, {24, AUDIT_BOOT_ID_BYTES}, {26, AUDIT_HASH_BYTES},
        {27, AUDIT_SEAL_BYTES},       {29, AUDIT_SEAL_BYTES},
    };
    for (size_t i = 0; i < ARRAY_SIZE(blobs); i++)
        if (sqlite3_column_type(st->stmt, blobs[i].column) != SQLITE_NULL &&
            sqlite3_column_bytes(st->stmt, blobs[i].column) != blobs[i].n)
            return false;
    for (int i = 0; i < AUDIT_COLUMN_COUNT; i++)
        if (!is_of_type(st, i) || !store_audit_is_whole(st, i))
            return false;
    return store_audit_is_uid(st, 3) && store_audit_is_uid(st, 4);
}

int store_audit_look(struct statement *st, struct audit_record *ret)
{
    bool is_sound = is_as_written(st); /* before a value is read as another type */
    int event = audit_event_from_name(statement_get_text(st, 2));
    if (event < 0 || !is_sound)
        return st->r < 0 ? st->r : -EUCLEAN;

    *ret = (struct audit_record){.event = (enum audit_event)event};
    ret->sequence = statement_get_int(st, 0);
    ret->time_sec = statement_get_int(st, 1);
    ret->uid = statement_get_uid(st, 3);
    ret->owner_uid = statement_get_uid(st, 4);
    ret->grant = statement_get_int(st, 5);
    ret->expires_sec = statement_get_int(st, 6);
    ret->repeats = (uint64_t)statement_get_int(st, 7);
    ret->has_fingerprint = statement_copy_blob(st, 8, ret->fingerprint, sizeof(ret->fingerprint));
    get_chain(st, ret);
    get_texts(st, ret, true);
    return st->r;
}

int store_audit_get(struct statement *st, struct audit_record **ret)
{
    struct audit_record seen;
    int r = store_audit_look(st, &seen);
    if (r < 0)
        return r;
    *ret = audit_record_copy(&seen);
    return *ret ? 0 : -ENOMEM;
}

int store_audit_show(struct statement *st, struct audit_record **ret)
{
    int r = store_audit_get(st, ret);
    if (r != -EUCLEAN)
        return r;
    struct audit_record seen = {.event = AUDIT_BROKER_STARTED, .uid = (uid_t)-1, .owner_uid = (uid_t)-1};
    seen.is_unreadable = true;
    seen.sequence = statement_get_int(st, 0);
    seen.time_sec = statement_get_int(st, 1);
    get_texts(st, &seen, false);
    *ret = audit_record_copy(&seen);
    return *ret ? 0 : -ENOMEM;
}
