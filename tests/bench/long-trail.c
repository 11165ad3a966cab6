/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/long-trail.h"

#include "broker/store-internal.h"

#include <sodium.h>
#include <string.h>

#define PER_TRANSACTION 20000
#define LIFETIME_SEC 3600
#define BOOTS 50 /* in all of its time */

/* --- records ---------------------------------------------------------------------------------------------
 */

static const char *const apps[] = {
    "flatpak:org.example.MusicPlayer", "unit:weather-display.service",      "user:alice",
    "snap:radio-alarm.player",         "flatpak:com.example.kitchen.Timer",
};
static const char *const kinds[] = {"flatpak", "unit", "user", "snap", "flatpak"};
static const char *const strengths[] = {"sandbox", "unit", "uid", "label", "sandbox"};
static const char *const units[] = {
    "app-flatpak-org.example.MusicPlayer-2841.scope",
    "weather-display.service",
    "session-3.scope",
    "snap.radio-alarm.player.service",
    "app-flatpak-com.example.kitchen.Timer-977.scope",
};
static const char *const programs[] = {
    "/newroot/app/bin/music-player",   "/usr/libexec/weather-display",   "/usr/bin/python3.11",
    "/snap/radio-alarm/41/bin/player", "/newroot/app/bin/kitchen-timer",
};
static const char *const scopes[] = {"music::library:read music::playback", "profile:user_id",
                                     "music::library", "music::playback", "music::library:read"};
static const char *const carried[] = {"music::library music::playback", "profile:user_id", "music::library",
                                      "music::library music::playback", "music::library music::playback"};

/* Of a hundred records so many are of this event. */
static const struct {
    enum audit_event event;
    int64_t until;
} shares[] = {
    {AUDIT_TOKEN_DISCLOSED, 60}, {AUDIT_TOKEN_REFRESHED, 80}, {AUDIT_TOKEN_DENIED, 86},
    {AUDIT_TOKEN_RELEASED, 94},  {AUDIT_TOKEN_REJECTED, 96},  {AUDIT_CONSENT_GIVEN, 97},
    {AUDIT_POLICY_LOADED, 98},   {AUDIT_BROKER_STARTED, 100},
};

static enum audit_event event_of(int64_t n)
{
    size_t i = 0;
    while (n * 37 % 100 >= shares[i].until) /* 37: every remainder comes by, and they are mixed */
        i++;
    return shares[i].event;
}

static bool set(char **field, const char *text)
{
    *field = strdup(text);
    return *field != NULL;
}

static bool print(char **field, const char *format, ...) _printf_(2, 3);

static bool print(char **field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vasprintf(field, format, args);
    va_end(args);
    if (n < 0)
        *field = NULL;
    return n >= 0;
}

static bool set_caller(struct audit_record *r, int64_t n)
{
    size_t kind = (size_t)(n % (int64_t)ARRAY_SIZE(apps));
    r->uid = LONG_TRAIL_FIRST_UID + (uid_t)(n % LONG_TRAIL_USERS);
    return print(&r->app, "%s%d", apps[kind], (int)(n % LONG_TRAIL_APPS)) && set(&r->kind, kinds[kind]) &&
           set(&r->strength, strengths[kind]) && set(&r->unit, units[kind]) &&
           set(&r->program, programs[kind]);
}

static bool set_token(struct audit_record *r, int64_t n)
{
    size_t kind = (size_t)(n % (int64_t)ARRAY_SIZE(apps));
    r->has_fingerprint = true;
    (void)crypto_generichash_blake2b(r->fingerprint, sizeof(r->fingerprint), (const unsigned char *)&n,
                                     sizeof(n), NULL, 0);
    r->grant = 1 + n % LONG_TRAIL_USERS;
    r->expires_sec = LIFETIME_SEC; /* after its time */
    return set(&r->asked, scopes[kind]) && set(&r->carried, carried[kind]) && set(&r->verdict, "allow") &&
           set(&r->decided_by, "table") && print(&r->request, "%d", (int)(n % 100000)) &&
           print(&r->chain, "strength=%s pinned=no; 10-music.conf:%d allow; polkit yes; grant %d",
                 strengths[kind], (int)(n % 90), (int)r->grant);
}

static bool set_owner(struct audit_record *r, int64_t n)
{
    r->owner_uid = LONG_TRAIL_FIRST_UID + (uid_t)(n % LONG_TRAIL_USERS);
    return print(&r->owner, "user-%d", (int)(n % LONG_TRAIL_USERS)) && set(&r->account, "main");
}

struct audit_record *long_trail_record(int64_t n)
{
    struct audit_record *r = audit_record_new(event_of(n));
    if (!r)
        return NULL;
    bool is_of_call = r->event != AUDIT_TOKEN_REFRESHED && r->event != AUDIT_POLICY_LOADED &&
                      r->event != AUDIT_BROKER_STARTED;
    bool is_good = !is_of_call || set_caller(r, n);
    if (is_good && r->event != AUDIT_POLICY_LOADED && r->event != AUDIT_BROKER_STARTED)
        is_good = set_owner(r, n);
    if (is_good && r->event == AUDIT_TOKEN_DISCLOSED)
        is_good = set_token(r, n);
    else if (is_good && r->event == AUDIT_TOKEN_DENIED)
        is_good = set(&r->asked, "profile") && set(&r->verdict, "deny") && set(&r->decided_by, "table") &&
                  print(&r->chain, "strength=uid pinned=no; default deny");
    if (is_good)
        return r;
    audit_record_free(r);
    return NULL;
}

/* --- the trail -------------------------------------------------------------------------------------------
 */

struct writing {
    const struct long_trail *trail;
    struct store_db db;
    struct store_chain chain;
};

static void set_times(const struct long_trail *t, struct audit_record *r, int64_t n)
{
    int64_t length = t->to_sec - t->from_sec, per_boot = t->n / BOOTS + 1;
    r->time_sec = t->from_sec + (int64_t)((double)length * (double)n / (double)t->n);
    r->boot_usec = (uint64_t)(r->time_sec - t->from_sec + 1) * 1000000;
    r->boot_id[0] = (unsigned char)(1 + n / per_boot);
    if (r->expires_sec)
        r->expires_sec += r->time_sec;
}

static int add(struct writing *w, struct audit_record *record, int64_t n)
{
    _cleanup_(audit_record_freep) struct audit_record *owned = record;
    if (!owned)
        return -ENOMEM;
    set_times(w->trail, owned, n);
    return store_chain_add(&w->chain, &w->db, owned);
}

static int end_epoch(struct writing *w, int64_t n)
{
    int r = add(w, audit_record_new(AUDIT_TRAIL_SEALED), n);
    if (r == 0)
        r = audit_chain_key_evolve(&w->chain.key);
    if (r < 0)
        return r;
    w->chain.link.epoch = w->chain.key.epoch;
    w->chain.link.is_ended = false;
    return 0;
}

static int begin(struct writing *w)
{
    int r = store_db_open(&w->db, w->trail->database, NULL, STORE_DB_WRITER);
    if (r == 0)
        r = store_db_exec(&w->db,
                          "PRAGMA synchronous=OFF; PRAGMA cache_size=-262144; PRAGMA secure_delete=OFF;"
                          "DELETE FROM audit; DELETE FROM audit_base; BEGIN IMMEDIATE");
    if (r == 0)
        r = audit_chain_key_new(1, &w->chain.key);
    w->chain.link.epoch = 1;
    struct audit_record *first = audit_record_new(AUDIT_TRAIL_KEY_CREATED);
    if (r == 0 && first)
        r = store_chain_describe("first", &w->chain.key, &first->detail);
    if (r == 0)
        return add(w, first, 0);
    audit_record_free(first);
    return r;
}

static int end(struct writing *w)
{
    int r = store_db_exec(&w->db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    struct audit_keyfile *file = NULL;
    if (r == 0)
        r = audit_keyfile_make(w->trail->key_file, &w->chain.key, &file);
    if (r == 0) {
        const struct audit_head head = store_chain_head(&w->chain.link);
        r = audit_keyfile_set_head(file, &w->chain.key, &head);
    }
    audit_keyfile_free(file);
    return r;
}

int long_trail_write(const struct long_trail *trail)
{
    struct writing w = {.trail = trail};
    int r = begin(&w);
    for (int64_t n = 1; r == 0 && n < trail->n; n++) {
        r = n % trail->n_per_epoch == 0 ? end_epoch(&w, n) : add(&w, long_trail_record(n), n);
        if (r == 0 && n % PER_TRANSACTION == 0)
            r = store_db_exec(&w.db, "COMMIT; BEGIN IMMEDIATE");
    }
    if (r == 0)
        r = end(&w);
    store_db_close(&w.db);
    audit_chain_key_clear(&w.chain.key);
    return r;
}
