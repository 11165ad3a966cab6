/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/quota.h"

#include "util/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- limits ------------------------------------------------------------------------------------------ */

static unsigned limit_of(const struct quota *quota, enum quota_kind kind)
{
    const struct config_limits *l = &quota->quotas->limits;
    const unsigned limits[QUOTA_LEVELS][QUOTA_KINDS] = {
        [QUOTA_ALL] = {l->calls, l->connections, l->logins},
        [QUOTA_STRANGERS] = {l->calls / 2, l->connections / 2, 0},
        [QUOTA_USER] = {l->calls_per_uid, l->connections_per_uid, l->logins_per_uid},
        [QUOTA_APP] = {l->calls_per_app, UINT32_MAX, UINT32_MAX},
        [QUOTA_CONNECTION] = {l->calls_per_connection, UINT32_MAX, UINT32_MAX},
    };
    return limits[quota->level][kind];
}

static struct bucket_size rate_of(const struct quota *quota)
{
    const struct config_limits *l = &quota->quotas->limits;
    if (quota->level == QUOTA_USER)
        return bucket_size_of(l->uid_rate, l->uid_burst);
    if (quota->level == QUOTA_APP)
        return bucket_size_of(l->app_rate, l->app_burst);
    return bucket_size_of(LIMIT_STRANGER_RATE, LIMIT_STRANGER_BURST);
}

#define CLOSE_ONE "close one, or call ReleaseTokens on it"
#define FINISH_ONE "finish or cancel one, or wait until Amazon has answered for those that were left"
#define AWAIT_ANSWERS "wait for their answers"

static const struct {
    const char *what;
    const char *remedy;
} counts[QUOTA_LEVELS][QUOTA_KINDS] = {
    [QUOTA_ALL] = {{"Too many calls are under way", NULL},
                   {"Too many connections hold something", CLOSE_ONE},
                   {"Too many logins are open", FINISH_ONE}},
    [QUOTA_STRANGERS] = {{"Too many calls of new connections are under way", NULL},
                         {"Too many new connections hold something", CLOSE_ONE}},
    [QUOTA_USER] = {{"Too many calls of this user are under way", AWAIT_ANSWERS},
                    {"Too many connections of this user hold something", CLOSE_ONE},
                    {"Too many logins of this user are open", FINISH_ONE}},
    [QUOTA_APP] = {{"Too many calls of this app are under way", AWAIT_ANSWERS}},
    [QUOTA_CONNECTION] = {{"Too many calls of this connection are under way", AWAIT_ANSWERS}},
};

static const char *const rates[QUOTA_LEVELS] = {
    [QUOTA_STRANGERS] = "Too many new connections call at once",
    [QUOTA_USER] = "The apps of this user call too often",
    [QUOTA_APP] = "This app calls too often",
};

void refusal_explain(const struct refusal *refusal, char ret[REFUSAL_SENTENCE_SIZE])
{
    if (refusal->remedy)
        (void)snprintf(ret, REFUSAL_SENTENCE_SIZE, "%s (%u); %s.", refusal->what, refusal->n,
                       refusal->remedy);
    else
        (void)snprintf(ret, REFUSAL_SENTENCE_SIZE, "%s; try again in %u s.", refusal->what,
                       bucket_wait_sec(refusal->wait_usec));
}

/* --- places ------------------------------------------------------------------------------------------ */

static void init_place(struct quotas *q, struct quota *quota, enum quota_level level, struct quota *parent)
{
    memset(quota, 0, sizeof(*quota));
    quota->quotas = q;
    quota->level = level;
    quota->parent = parent;
    quota->uid = (uid_t)-1;
    list_init(&quota->node);
}

void quotas_init(struct quotas *q, const struct config_limits *limits)
{
    q->limits = *limits;
    init_place(q, &q->all, QUOTA_ALL, NULL);
    init_place(q, &q->strangers, QUOTA_STRANGERS, &q->all);
    list_init(&q->known);
    q->n_known = 0;
}

static bool has_other_rates(const struct config_limits *a, const struct config_limits *b)
{
    return a->app_rate != b->app_rate || a->app_burst != b->app_burst || a->uid_rate != b->uid_rate ||
           a->uid_burst != b->uid_burst;
}

void quotas_set_limits(struct quotas *q, const struct config_limits *limits)
{
    /* A bucket is kept as a time, which is worth another number of calls under another rate. */
    struct quota *quota;
    if (has_other_rates(&q->limits, limits))
        LIST_FOREACH (quota, &q->known, node)
            quota->rate = (struct bucket){0};
    q->limits = *limits;
}

unsigned quotas_count(const struct quotas *q, enum quota_kind kind)
{
    return q->all.n[kind];
}

static void forget(struct quota *quota)
{
    list_remove(&quota->node);
    quota->quotas->n_known--;
    quota->parent->n_children--;
    free(quota);
}

static bool is_at_rest(const struct quota *quota, uint64_t now)
{
    for (int kind = 0; kind < QUOTA_KINDS; kind++)
        if (quota->n[kind] > 0)
            return false;
    return quota->n_children == 0 && bucket_is_full(&quota->rate, now) &&
           bucket_is_full(&quota->refusals, now) && bucket_is_full(&quota->changes, now);
}

void quotas_prune(struct quotas *q, uint64_t now)
{
    /* Apps stand behind their users: from the end, a user goes after his last app. */
    struct list *node = q->known.prev;
    while (node != &q->known) {
        struct quota *quota = LIST_ENTRY(node, struct quota, node);
        node = node->prev;
        if (is_at_rest(quota, now))
            forget(quota);
    }
}

void quotas_free(struct quotas *q)
{
    while (q->known.prev && !list_is_empty(&q->known))
        forget(LIST_ENTRY(q->known.prev, struct quota, node));
}

static struct quota *find_known(struct quotas *q, uid_t uid, const char *app)
{
    struct quota *quota;
    LIST_FOREACH (quota, &q->known, node)
        if (quota->uid == uid && strcmp(quota->app, app) == 0)
            return quota;
    return NULL;
}

#define OTHER_APPS "*"

static bool has_many_apps(struct quotas *q, uid_t uid)
{
    const struct quota *user = find_known(q, uid, "");
    return user && user->n_children >= LIMIT_QUOTAS_PER_UID;
}

/* The name under which an app has its place. */
static const char *find_place(struct quotas *q, const struct identity *identity, uint64_t now)
{
    if (find_known(q, identity->uid, identity->app))
        return identity->app;
    if (has_many_apps(q, identity->uid))
        quotas_prune(q, now);
    return has_many_apps(q, identity->uid) ? OTHER_APPS : identity->app;
}

/* For a user and an app. */
static bool has_room(struct quotas *q, uint64_t now)
{
    if (q->n_known + 2 > LIMIT_QUOTAS)
        quotas_prune(q, now);
    return q->n_known + 2 <= LIMIT_QUOTAS;
}

static struct quota *get_known(struct quotas *q, enum quota_level level, struct quota *parent, uid_t uid,
                               const char *app)
{
    struct quota *quota = find_known(q, uid, app);
    if (quota)
        return quota;
    quota = malloc(sizeof(*quota));
    if (!quota)
        return NULL;
    init_place(q, quota, level, parent);
    quota->uid = uid;
    (void)snprintf(quota->app, sizeof(quota->app), "%s", app);
    list_append(&q->known, &quota->node);
    q->n_known++;
    parent->n_children++;
    return quota;
}

/* --- counts ------------------------------------------------------------------------------------------ */

static void add(struct quota *from, enum quota_kind kind, unsigned n)
{
    for (struct quota *quota = from; quota; quota = quota->parent)
        quota->n[kind] += n;
}

static void subtract(struct quota *from, enum quota_kind kind, unsigned n)
{
    for (struct quota *quota = from; quota; quota = quota->parent) {
        assert(quota->n[kind] >= n);
        quota->n[kind] -= n;
    }
}

static int refuse_count(const struct quota *at, enum quota_kind kind, struct refusal *ret)
{
    *ret = (struct refusal){
        .what = counts[at->level][kind].what,
        .remedy = counts[at->level][kind].remedy,
        .n = limit_of(at, kind),
        .level = at->level,
    };
    return -EUSERS;
}

int quota_charge(struct quota *quota, enum quota_kind kind, struct charge *ret, struct refusal *ret_refusal)
{
    for (struct quota *at = quota; at; at = at->parent)
        if (at->n[kind] >= limit_of(at, kind))
            return refuse_count(at, kind, ret_refusal);
    add(quota, kind, 1);
    *ret = (struct charge){quota, kind};
    return 0;
}

void charge_release(struct charge *charge)
{
    if (charge->quota)
        subtract(charge->quota, charge->kind, 1);
    charge->quota = NULL;
}

/* --- rates ------------------------------------------------------------------------------------------- */

static bool is_stranger(const struct quota *connection)
{
    return connection->parent && connection->parent->level == QUOTA_STRANGERS;
}

/* A stranger pays to the strangers, everyone else to app and user. */
static bool pays_at(const struct quota *at)
{
    return rates[at->level] != NULL;
}

static uint64_t find_longest_wait(struct quota *connection, unsigned units, uint64_t now,
                                  struct refusal *ret_refusal)
{
    uint64_t longest = 0;
    for (struct quota *at = connection; at; at = at->parent) {
        struct bucket_size size = rate_of(at);
        uint64_t wait = pays_at(at) ? bucket_wait(&at->rate, &size, units, now) : 0;
        if (wait <= longest)
            continue;
        longest = wait;
        *ret_refusal = (struct refusal){.what = rates[at->level], .wait_usec = wait, .level = at->level};
    }
    return longest;
}

int quota_take(struct quota *connection, unsigned units, uint64_t now, struct refusal *ret_refusal)
{
    bool is_new = is_stranger(connection) && connection->n_spent + units <= LIMIT_STRANGER_CALLS;
    if (!is_new && find_longest_wait(connection, units, now, ret_refusal) > 0)
        return -EUSERS;
    quota_force(connection, units, now);
    return 0;
}

void quota_force(struct quota *connection, unsigned units, uint64_t now)
{
    for (struct quota *at = connection; at; at = at->parent) {
        struct bucket_size size = rate_of(at);
        if (pays_at(at))
            bucket_force(&at->rate, &size, units, now);
    }
    if (is_stranger(connection))
        connection->n_spent += units;
}

int quota_take_change(struct quota *connection, uint64_t now, struct refusal *ret_refusal)
{
    const struct config_limits *limits = &connection->quotas->limits;
    const struct bucket_size size = {.interval_usec = limits->change_interval * USEC_PER_SEC,
                                     .burst = limits->change_burst};
    struct quota *at = connection;
    while (at && at->level != QUOTA_USER)
        at = at->parent;
    uint64_t wait = !at || at->uid == 0 ? 0 : bucket_take(&at->changes, &size, 1, now);
    if (wait == 0)
        return 0;
    *ret_refusal =
        (struct refusal){.what = "This user has changed too much", .wait_usec = wait, .level = QUOTA_USER};
    return -EUSERS;
}

bool quota_answers_refusal(struct quota *connection, uint64_t now)
{
    const struct bucket_size size = bucket_size_of(LIMIT_REFUSAL_RATE, LIMIT_REFUSAL_BURST);
    struct quota *at = connection;
    while (at->level != QUOTA_USER && at->level != QUOTA_STRANGERS)
        at = at->parent;
    return bucket_take(&at->refusals, &size, 1, now) == 0;
}

/* --- connections ------------------------------------------------------------------------------------- */

void quota_init(struct quotas *q, struct quota *connection)
{
    init_place(q, connection, QUOTA_CONNECTION, &q->strangers);
}

static void move_counts(struct quota *connection, struct quota *app)
{
    struct quota *before = connection->parent;
    for (int kind = 0; kind < QUOTA_KINDS; kind++) {
        subtract(before, (enum quota_kind)kind, connection->n[kind]);
        add(app, (enum quota_kind)kind, connection->n[kind]);
    }
    connection->parent = app;
}

static int settle_up(struct quota *connection, uint64_t now, struct refusal *ret_refusal)
{
    unsigned owed = connection->n_spent + COST_CONNECTION;
    if (quota_take(connection, owed, now, ret_refusal) < 0) {
        quota_force(connection, COST_CONNECTION, now);
        return QUOTA_E_SPENT;
    }
    struct quota *strangers = &connection->quotas->strangers;
    struct bucket_size size = rate_of(strangers);
    bucket_return(&strangers->rate, &size, connection->n_spent, now);
    return 0;
}

int quota_identify(struct quota *connection, const struct identity *identity, uint64_t now,
                   struct refusal *ret_refusal)
{
    struct quotas *q = connection->quotas;
    const char *place = find_place(q, identity, now);
    if (!find_known(q, identity->uid, place) && !has_room(q, now)) {
        *ret_refusal = (struct refusal){.what = "Too many users call at once", .wait_usec = USEC_PER_SEC};
        return -EUSERS;
    }
    struct quota *user = get_known(q, QUOTA_USER, &q->all, identity->uid, "");
    struct quota *app = user ? get_known(q, QUOTA_APP, user, identity->uid, place) : NULL;
    if (!app)
        return -ENOMEM;
    if (user->n[QUOTA_CONNECTIONS] >= limit_of(user, QUOTA_CONNECTIONS))
        return refuse_count(user, QUOTA_CONNECTIONS, ret_refusal);
    move_counts(connection, app);
    return settle_up(connection, now, ret_refusal);
}

void quota_rename(struct quota *connection, const struct identity *identity, uint64_t now)
{
    struct quotas *q = connection->quotas;
    struct quota *before = connection->parent;
    const char *place = find_place(q, identity, now);
    if (before->level != QUOTA_APP || strcmp(before->app, place) == 0 ||
        (!find_known(q, identity->uid, place) && !has_room(q, now)))
        return;
    struct quota *app = get_known(q, QUOTA_APP, before->parent, identity->uid, place);
    if (app)
        move_counts(connection, app);
}
