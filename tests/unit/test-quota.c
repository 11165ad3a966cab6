/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/quota.h"
#include "util/clock.h"

#include <string.h>

#define START (1000 * USEC_PER_SEC)

static const struct config_limits few = {
    .calls = 12,
    .calls_per_uid = 6,
    .calls_per_app = 4,
    .calls_per_connection = 3,
    .connections = 8,
    .connections_per_uid = 3,
    .logins = 3,
    .logins_per_uid = 2,
    .app_rate = 1,
    .app_burst = 20,
    .uid_rate = 2,
    .uid_burst = 30,
    .change_burst = 200,
    .change_interval = 10,
};

static struct identity identity_of(uid_t uid, const char *app)
{
    struct identity id = {.uid = uid};
    (void)snprintf(id.app, sizeof(id.app), "%s", app);
    return id;
}

/* A connection with its own charge, as a peer has it. */
struct connection {
    struct quota quota;
    struct charge tracked;
};

static struct refusal refusal;

static void arrive(struct quotas *q, struct connection *c)
{
    quota_init(q, &c->quota);
    assert_int_equal(quota_charge(&c->quota, QUOTA_CONNECTIONS, &c->tracked, &refusal), 0);
}

static int identify(struct connection *c, uid_t uid, const char *app, uint64_t now)
{
    struct identity id = identity_of(uid, app);
    return quota_identify(&c->quota, &id, now, &refusal);
}

static void connect_as(struct quotas *q, struct connection *c, uid_t uid, const char *app)
{
    arrive(q, c);
    assert_int_equal(identify(c, uid, app, START), 0);
}

/* How many of this kind can be held until it says no. */
static unsigned fill(struct quota *quota, enum quota_kind kind, struct charge *charges, unsigned max)
{
    unsigned n = 0;
    while (n < max && quota_charge(quota, kind, &charges[n], &refusal) == 0)
        n++;
    return n;
}

static void release_all(struct charge *charges, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        charge_release(&charges[i]);
}

static void assert_explained(const char *sentence)
{
    char text[REFUSAL_SENTENCE_SIZE];
    refusal_explain(&refusal, text);
    assert_string_equal(text, sentence);
}

static void each_level_has_its_limit(void **state _unused_)
{
    struct quotas q;
    struct connection c[5];
    struct charge charges[5][16] = {{{0}}};
    quotas_init(&q, &few);
    connect_as(&q, &c[0], 1, "user:a");
    connect_as(&q, &c[1], 1, "user:a");
    connect_as(&q, &c[2], 1, "flatpak:b");
    connect_as(&q, &c[3], 2, "user:c");
    connect_as(&q, &c[4], 3, "user:d");

    assert_int_equal(fill(&c[0].quota, QUOTA_CALLS, charges[0], 16), 3);
    assert_explained("Too many calls of this connection are under way (3); wait for their answers.");
    assert_int_equal(fill(&c[1].quota, QUOTA_CALLS, charges[1], 16), 1);
    assert_explained("Too many calls of this app are under way (4); wait for their answers.");
    assert_int_equal(fill(&c[2].quota, QUOTA_CALLS, charges[2], 16), 2);
    assert_explained("Too many calls of this user are under way (6); wait for their answers.");
    assert_int_equal(fill(&c[3].quota, QUOTA_CALLS, charges[3], 16), 3);
    assert_int_equal(fill(&c[4].quota, QUOTA_CALLS, charges[4], 16), 3);
    assert_int_equal(quotas_count(&q, QUOTA_CALLS), 12);
    release_all(charges[3], 1);
    assert_int_equal(quota_charge(&c[3].quota, QUOTA_CALLS, &charges[3][0], &refusal), 0);
    struct connection more;
    arrive(&q, &more);
    assert_int_equal(quota_charge(&more.quota, QUOTA_CALLS, &charges[3][3], &refusal), -EUSERS);
    assert_explained("Too many calls are under way; try again in 1 s.");
    charge_release(&more.tracked);

    for (int i = 0; i < 5; i++) {
        release_all(charges[i], 16);
        charge_release(&c[i].tracked);
    }
    for (int kind = 0; kind < QUOTA_KINDS; kind++)
        assert_int_equal(quotas_count(&q, (enum quota_kind)kind), 0);
    quotas_free(&q);
}

static void connections_of_one_user_are_bounded(void **state _unused_)
{
    struct quotas q;
    struct connection c[9];
    quotas_init(&q, &few);
    for (int i = 0; i < 3; i++)
        connect_as(&q, &c[i], 1, "user:a");
    arrive(&q, &c[3]);
    assert_int_equal(identify(&c[3], 1, "user:a", START), -EUSERS);
    assert_int_equal(refusal.level, QUOTA_USER);
    assert_explained(
        "Too many connections of this user hold something (3); close one, or call ReleaseTokens on it.");
    /* It stays a stranger; another's is taken in its place. */
    charge_release(&c[0].tracked);
    assert_int_equal(identify(&c[3], 1, "user:a", START), 0);
    for (int i = 4; i < 9; i++)
        connect_as(&q, &c[i], 10 + i, "user:x");
    struct connection last;
    quota_init(&q, &last.quota);
    assert_int_equal(quota_charge(&last.quota, QUOTA_CONNECTIONS, &last.tracked, &refusal), -EUSERS);
    assert_int_equal(refusal.level, QUOTA_ALL);
    for (int i = 1; i < 9; i++)
        charge_release(&c[i].tracked);
    quotas_free(&q);
}

static void login_outlives_its_connection(void **state _unused_)
{
    struct quotas q;
    struct connection c;
    struct charge logins[3] = {{0}};
    quotas_init(&q, &few);
    connect_as(&q, &c, 1, "user:a");
    assert_int_equal(fill(c.quota.parent, QUOTA_LOGINS, logins, 3), 2);
    assert_explained("Too many logins of this user are open (2); finish or cancel one, or wait until Amazon "
                     "has answered for those that were left.");
    charge_release(&c.tracked);
    memset(&c, 0xff, sizeof(c));
    quotas_prune(&q, START + 1000 * USEC_PER_SEC);
    assert_int_equal(quotas_count(&q, QUOTA_LOGINS), 2);
    release_all(logins, 3);
    quotas_prune(&q, START + 1000 * USEC_PER_SEC);
    assert_int_equal(q.n_known, 0);
    quotas_free(&q);
}

static unsigned take_all(struct quota *quota, uint64_t now)
{
    unsigned n = 0;
    while (quota_take(quota, 1, now, &refusal) == 0)
        n++;
    return n;
}

static void rate_is_of_app_and_user(void **state _unused_)
{
    struct quotas q;
    struct connection a, b, other;
    quotas_init(&q, &few);
    connect_as(&q, &a, 1, "user:a");
    connect_as(&q, &b, 1, "flatpak:b");
    connect_as(&q, &other, 2, "user:c");
    assert_int_equal(take_all(&a.quota, START), 20 - COST_CONNECTION);
    assert_explained("This app calls too often; try again in 1 s.");
    /* The user's 30 less the 20 of the first app. Of what cannot be had in full nothing is taken. */
    assert_int_equal(quota_take(&b.quota, 11, START, &refusal), -EUSERS);
    assert_int_equal(take_all(&b.quota, START), 10 - COST_CONNECTION);
    assert_explained("The apps of this user call too often; try again in 1 s.");
    assert_int_equal(take_all(&other.quota, START), 20 - COST_CONNECTION);
    assert_int_equal(quota_take(&a.quota, 10, START, &refusal), -EUSERS);
    assert_explained("This app calls too often; try again in 10 s.");
    assert_int_equal(quota_take(&a.quota, 10, START + 10 * USEC_PER_SEC, &refusal), 0);
    /* A debt is on the app and on the user. */
    quota_force(&a.quota, 15, START + 10 * USEC_PER_SEC);
    assert_int_equal(quota_take(&a.quota, 1, START + 10 * USEC_PER_SEC, &refusal), -EUSERS);
    assert_explained("This app calls too often; try again in 16 s.");
    charge_release(&a.tracked);
    charge_release(&b.tracked);
    charge_release(&other.tracked);
    quotas_free(&q);
}

/* Leaving and coming back, however often, resets nothing and costs. */
static void rate_outlives_the_connection(void **state _unused_)
{
    struct quotas q;
    struct connection c;
    quotas_init(&q, &few);
    unsigned n = 0;
    for (int i = 0; i < 1000; i++) {
        arrive(&q, &c);
        assert_int_equal(quota_take(&c.quota, 1, START, &refusal), 0);
        n += identify(&c, 1, "user:a", START) == 0 ? 1 : 0;
        charge_release(&c.tracked);
        quotas_prune(&q, START);
    }
    assert_int_equal(n, 20 / (COST_CONNECTION + 1));
    assert_explained("This app calls too often; try again in 25 s.");
    /* What was not paid for is still on the strangers. */
    struct connection fresh;
    arrive(&q, &fresh);
    assert_int_equal(take_all(&fresh.quota, START), LIMIT_STRANGER_BURST - (1000 - n));
    charge_release(&fresh.tracked);
    assert_int_equal(q.n_known, 2);
    quotas_prune(&q, START + 41 * USEC_PER_SEC);
    assert_int_equal(q.n_known, 0);
    quotas_free(&q);
}

static void strangers_pay_when_they_are_known(void **state _unused_)
{
    struct quotas q;
    struct connection c;
    quotas_init(&q, &few);
    arrive(&q, &c);
    for (int i = 0; i < 7; i++)
        assert_int_equal(quota_take(&c.quota, 1, START, &refusal), 0);
    assert_int_equal(identify(&c, 1, "user:a", START), 0);
    assert_true(bucket_is_full(&q.strangers.rate, START));
    assert_int_equal(take_all(&c.quota, START), 20 - 7 - COST_CONNECTION);
    charge_release(&c.tracked);
    quotas_free(&q);
}

static void strangers_who_leave_leave_their_debt(void **state _unused_)
{
    struct quotas q;
    struct connection c;
    struct charge call = {0};
    quotas_init(&q, &few);
    unsigned n = 0;
    for (int i = 0; i < LIMIT_STRANGER_BURST / 100; i++) {
        arrive(&q, &c);
        for (int k = 0; k < 100; k++)
            n += quota_take(&c.quota, 1, START, &refusal) == 0 ? 1 : 0;
        assert_int_equal(quota_charge(&c.quota, QUOTA_CALLS, &call, &refusal), 0);
        charge_release(&call);
        charge_release(&c.tracked);
    }
    assert_int_equal(n, LIMIT_STRANGER_BURST);
    /* Now each has a few, and no more. */
    arrive(&q, &c);
    assert_int_equal(take_all(&c.quota, START), LIMIT_STRANGER_CALLS);
    assert_explained("Too many new connections call at once; try again in 1 s.");
    charge_release(&c.tracked);
    quotas_free(&q);
}

/* When the name service hangs, all who come stay strangers. */
static void strangers_leave_half_to_the_others(void **state _unused_)
{
    struct quotas q;
    struct connection known, strangers[5];
    struct charge charges[16] = {{0}};
    quotas_init(&q, &few);
    connect_as(&q, &known, 1, "user:a");
    for (int i = 0; i < 4; i++)
        arrive(&q, &strangers[i]);
    quota_init(&q, &strangers[4].quota);
    assert_int_equal(quota_charge(&strangers[4].quota, QUOTA_CONNECTIONS, &strangers[4].tracked, &refusal),
                     -EUSERS);
    assert_explained("Too many new connections hold something (4); close one, or call ReleaseTokens on it.");
    unsigned n = 0;
    for (int i = 0; i < 4; i++)
        n += fill(&strangers[i].quota, QUOTA_CALLS, charges + n, 16 - n);
    assert_int_equal(n, 6);
    assert_explained("Too many calls of new connections are under way; try again in 1 s.");
    n += fill(&known.quota, QUOTA_CALLS, charges + n, 16 - n);
    assert_int_equal(n, 9);
    release_all(charges, n);
    for (int i = 0; i < 4; i++)
        charge_release(&strangers[i].tracked);
    charge_release(&known.tracked);
    quotas_free(&q);
}

static void refusals_are_not_answered_for_ever(void **state _unused_)
{
    struct quotas q;
    struct connection c, other;
    quotas_init(&q, &few);
    connect_as(&q, &c, 1, "user:a");
    connect_as(&q, &other, 2, "user:b");
    unsigned n = 0;
    for (int i = 0; i < 10000; i++)
        n += quota_answers_refusal(&c.quota, START) ? 1 : 0;
    assert_int_equal(n, LIMIT_REFUSAL_BURST);
    assert_true(quota_answers_refusal(&other.quota, START));
    assert_true(quota_answers_refusal(&c.quota, START + USEC_PER_SEC / LIMIT_REFUSAL_RATE));
    assert_false(quota_answers_refusal(&c.quota, START + USEC_PER_SEC / LIMIT_REFUSAL_RATE));
    charge_release(&c.tracked);
    charge_release(&other.tracked);
    quotas_free(&q);
}

/* More users than there are places for: those at rest go, and when there is none the next one waits. */
static void places_are_bounded(void **state _unused_)
{
    struct quotas q;
    struct connection c;
    quotas_init(&q, &few);
    for (uid_t uid = 0; uid < LIMIT_QUOTAS / 2; uid++) {
        connect_as(&q, &c, uid, "user:x");
        charge_release(&c.tracked);
    }
    assert_int_equal(q.n_known, LIMIT_QUOTAS);
    arrive(&q, &c);
    assert_int_equal(identify(&c, 5000, "user:x", START), -EUSERS);
    assert_explained("Too many users call at once; try again in 1 s.");
    /* Who has a place keeps it. */
    struct connection known;
    connect_as(&q, &known, 0, "user:x");
    charge_release(&known.tracked);
    assert_int_equal(identify(&c, 5000, "user:x", START + 10 * USEC_PER_SEC), 0);
    assert_int_equal(q.n_known, 2);
    charge_release(&c.tracked);
    quotas_free(&q);
}

static void connect_numbered(struct quotas *q, struct connection *c, uid_t uid, int number, uint64_t now)
{
    char app[64];
    (void)snprintf(app, sizeof(app), "flatpak:org.example.App%d", number);
    arrive(q, c);
    assert_true(identify(c, uid, app, now) >= 0);
}

/* The apps of one user, forged ones among them, leave the others their places. */
static void apps_of_one_user_share_the_last_place(void **state _unused_)
{
    struct quotas q;
    struct connection c, first, last, other;
    quotas_init(&q, &few);
    for (int i = 0; i < 2 * LIMIT_QUOTAS; i++) {
        connect_numbered(&q, &c, 1, i, START);
        charge_release(&c.tracked);
    }
    assert_int_equal(q.n_known, 1 + LIMIT_QUOTAS_PER_UID + 1);

    connect_numbered(&q, &first, 1, 0, START);
    assert_string_equal(first.quota.parent->app, "flatpak:org.example.App0");
    connect_numbered(&q, &last, 1, 2 * LIMIT_QUOTAS, START);
    assert_string_equal(last.quota.parent->app, "*");
    /* They pay as one app, and as that user; another user's pays for itself. */
    assert_int_equal(take_all(&last.quota, START), 0);
    connect_as(&q, &other, 2, "flatpak:org.example.App0");
    assert_int_equal(take_all(&other.quota, START), 20 - COST_CONNECTION);
    charge_release(&first.tracked);
    charge_release(&other.tracked);

    /* Places at rest are free again. */
    uint64_t later = START + 1000 * USEC_PER_SEC;
    connect_numbered(&q, &first, 1, 5000, later);
    assert_string_equal(first.quota.parent->app, "flatpak:org.example.App5000");
    assert_string_equal(last.quota.parent->app, "*");
    charge_release(&first.tracked);
    charge_release(&last.tracked);
    quotas_free(&q);
}

static void counts_move_to_another_name(void **state _unused_)
{
    struct quotas q;
    struct connection c, stranger;
    struct charge charges[3] = {{0}}, logins[2] = {{0}};
    quotas_init(&q, &few);
    connect_as(&q, &c, 1, "user:a");
    assert_int_equal(fill(&c.quota, QUOTA_CALLS, charges, 2), 2);
    assert_int_equal(fill(c.quota.parent, QUOTA_LOGINS, logins, 1), 1);

    struct quota *before = c.quota.parent, *user = before->parent;
    struct identity id = identity_of(1, "unit:a.service");
    quota_rename(&c.quota, &id, START);
    assert_string_equal(c.quota.parent->app, "unit:a.service");
    assert_ptr_equal(c.quota.parent->parent, user);
    assert_int_equal(c.quota.parent->n[QUOTA_CALLS], 2);
    assert_int_equal(c.quota.parent->n[QUOTA_CONNECTIONS], 1);
    assert_int_equal(before->n[QUOTA_CALLS], 0);
    assert_int_equal(before->n[QUOTA_LOGINS], 1); /* of the app, and it outlives the connection */
    assert_int_equal(user->n[QUOTA_CALLS], 2);
    assert_int_equal(quotas_count(&q, QUOTA_CALLS), 2);
    quota_rename(&c.quota, &id, START);
    assert_int_equal(c.quota.parent->n[QUOTA_CALLS], 2);

    /* Who is not known yet is not renamed. */
    arrive(&q, &stranger);
    quota_rename(&stranger.quota, &id, START);
    assert_int_equal(stranger.quota.parent->level, QUOTA_STRANGERS);

    release_all(charges, 2);
    release_all(logins, 1);
    charge_release(&c.tracked);
    charge_release(&stranger.tracked);
    for (int kind = 0; kind < QUOTA_KINDS; kind++)
        assert_int_equal(quotas_count(&q, (enum quota_kind)kind), 0);
    quotas_free(&q);
}

static void limits_change(void **state _unused_)
{
    struct quotas q;
    struct connection c;
    struct charge charges[8] = {{0}};
    struct config_limits other = few;
    quotas_init(&q, &few);
    connect_as(&q, &c, 1, "user:a");
    assert_int_equal(fill(&c.quota, QUOTA_CALLS, charges, 8), 3);
    other.calls_per_connection = 1;
    quotas_set_limits(&q, &other);
    release_all(charges, 2);
    assert_int_equal(quota_charge(&c.quota, QUOTA_CALLS, &charges[0], &refusal), -EUSERS);
    charge_release(&charges[2]);
    assert_int_equal(quota_charge(&c.quota, QUOTA_CALLS, &charges[0], &refusal), 0);
    charge_release(&charges[0]);
    charge_release(&charges[0]);
    assert_int_equal(quotas_count(&q, QUOTA_CALLS), 0);

    /* The same rates leave the buckets as they are, other ones begin anew. */
    assert_true(take_all(&c.quota, START) > 0);
    quotas_set_limits(&q, &few);
    assert_int_equal(take_all(&c.quota, START), 0);
    other.app_rate = 10;
    other.uid_rate = 10;
    quotas_set_limits(&q, &other);
    assert_int_equal(take_all(&c.quota, START), 20);
    charge_release(&c.tracked);
    quotas_free(&q);
}

/* --- random sequences, against a plain recount ------------------------------------------------------- */

#define CONNECTIONS 6
#define CALLS 24
#define LOGINS 6

struct model {
    struct quotas q;
    struct connection connections[CONNECTIONS];
    bool is_there[CONNECTIONS];
    int user[CONNECTIONS]; /* -1: a stranger */
    struct charge calls[CALLS];
    int call_of[CALLS];
    struct charge logins[LOGINS];
    int login_of[LOGINS]; /* the user */
};

static const char *const apps[] = {"user:a", "flatpak:b", "user:c"};
static const uid_t uids[] = {1, 1, 2};

static void recount(const struct model *m)
{
    unsigned n_connections = 0, n_calls = 0, n_logins = 0, by_uid[3] = {0}, calls_by_uid[3] = {0},
             logins_by_uid[3] = {0};
    for (int i = 0; i < CONNECTIONS; i++) {
        unsigned own = 0;
        for (int k = 0; k < CALLS; k++)
            own += m->calls[k].quota && m->call_of[k] == i ? 1 : 0;
        if (!m->is_there[i])
            continue;
        assert_int_equal(m->connections[i].quota.n[QUOTA_CALLS], own);
        n_connections++;
        n_calls += own;
        if (m->user[i] >= 0) {
            by_uid[uids[m->user[i]]]++;
            calls_by_uid[uids[m->user[i]]] += own;
        }
    }
    for (int k = 0; k < LOGINS; k++)
        if (m->logins[k].quota) {
            n_logins++;
            logins_by_uid[uids[m->login_of[k]]]++;
        }
    assert_int_equal(quotas_count(&m->q, QUOTA_CONNECTIONS), n_connections);
    assert_int_equal(quotas_count(&m->q, QUOTA_CALLS), n_calls);
    assert_int_equal(quotas_count(&m->q, QUOTA_LOGINS), n_logins);
    const struct quota *place;
    LIST_FOREACH (place, &m->q.known, node) {
        if (place->level != QUOTA_USER)
            continue;
        assert_int_equal(place->n[QUOTA_CONNECTIONS], by_uid[place->uid]);
        assert_int_equal(place->n[QUOTA_CALLS], calls_by_uid[place->uid]);
        assert_int_equal(place->n[QUOTA_LOGINS], logins_by_uid[place->uid]);
        assert_true(by_uid[place->uid] <= few.connections_per_uid);
        assert_true(logins_by_uid[place->uid] <= few.logins_per_uid);
    }
}

static void leave(struct model *m, int i)
{
    for (int k = 0; k < CALLS; k++)
        if (m->call_of[k] == i)
            charge_release(&m->calls[k]);
    charge_release(&m->connections[i].tracked);
    memset(&m->connections[i], 0xff, sizeof(m->connections[i]));
    m->is_there[i] = false;
}

static void step(struct model *m, unsigned random, uint64_t now)
{
    int i = (int)(random / 8 % CONNECTIONS), k = (int)(random / 64 % CALLS);
    switch (random % 8) {
    case 0:
    case 1:
        if (m->is_there[i])
            break;
        quota_init(&m->q, &m->connections[i].quota);
        m->is_there[i] = quota_charge(&m->connections[i].quota, QUOTA_CONNECTIONS, &m->connections[i].tracked,
                                      &refusal) == 0;
        m->user[i] = -1;
        break;
    case 2:
        if (m->is_there[i] && m->user[i] < 0 &&
            identify(&m->connections[i], uids[k % 3], apps[k % 3], now) >= 0)
            m->user[i] = k % 3;
        break;
    case 3:
    case 4:
        if (m->is_there[i] && !m->calls[k].quota &&
            quota_charge(&m->connections[i].quota, QUOTA_CALLS, &m->calls[k], &refusal) == 0)
            m->call_of[k] = i;
        break;
    case 5:
        charge_release(random & 1024 ? &m->calls[k] : &m->logins[k % LOGINS]);
        break;
    case 6:
        if (m->is_there[i] && m->user[i] >= 0 && !m->logins[k % LOGINS].quota &&
            quota_charge(m->connections[i].quota.parent, QUOTA_LOGINS, &m->logins[k % LOGINS], &refusal) == 0)
            m->login_of[k % LOGINS] = m->user[i];
        break;
    default:
        if (m->is_there[i] && random & 1024)
            leave(m, i);
        quotas_prune(&m->q, now);
        break;
    }
}

static void random_sequences_add_up(void **state _unused_)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct model m = {.is_there = {false}};
        uint64_t random = seed * UINT64_C(0x9E3779B97F4A7C15);
        quotas_init(&m.q, &few);
        for (unsigned n = 0; n < 5000; n++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            step(&m, (unsigned)(random >> 33), START + n * USEC_PER_SEC / 10);
            recount(&m);
        }
        for (int i = 0; i < CONNECTIONS; i++)
            if (m.is_there[i])
                leave(&m, i);
        release_all(m.logins, LOGINS);
        recount(&m);
        quotas_prune(&m.q, UINT64_MAX);
        assert_int_equal(m.q.n_known, 0);
        quotas_free(&m.q);
    }
}

/* What a user writes on the trail is bounded for long, over all his apps; another's and root's is not his. */
static void changes_are_counted_by_user(void **state _unused_)
{
    struct quotas q;
    struct connection one, same, other, root;
    quotas_init(&q, &few);
    connect_as(&q, &one, 1000, "user:alice");
    connect_as(&q, &same, 1000, "flatpak:x");
    connect_as(&q, &other, 1001, "user:bob");
    connect_as(&q, &root, 0, "user:root");
    for (unsigned i = 0; i < few.change_burst; i++)
        assert_int_equal(quota_take_change(i % 2 ? &one.quota : &same.quota, START, &refusal), 0);
    assert_int_equal(quota_take_change(&one.quota, START, &refusal), -EUSERS);
    assert_int_equal(refusal.level, QUOTA_USER);
    assert_true(refusal.wait_usec > 0 && refusal.wait_usec <= few.change_interval * USEC_PER_SEC);
    assert_int_equal(quota_take_change(&other.quota, START, &refusal), 0);
    for (unsigned i = 0; i <= few.change_burst; i++)
        assert_int_equal(quota_take_change(&root.quota, START, &refusal), 0);

    uint64_t later = START + 100 * few.change_interval * USEC_PER_SEC;
    charge_release(&one.tracked);
    charge_release(&same.tracked);
    quotas_prune(&q, later); /* who comes back finds it as he left it */
    connect_as(&q, &one, 1000, "user:alice");
    unsigned n = 0;
    while (quota_take_change(&one.quota, later, &refusal) == 0)
        n++;
    assert_int_equal(n, 100);
    charge_release(&one.tracked);
    charge_release(&other.tracked);
    charge_release(&root.tracked);
    quotas_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level_has_its_limit),
        cmocka_unit_test(connections_of_one_user_are_bounded),
        cmocka_unit_test(login_outlives_its_connection),
        cmocka_unit_test(rate_is_of_app_and_user),
        cmocka_unit_test(rate_outlives_the_connection),
        cmocka_unit_test(strangers_pay_when_they_are_known),
        cmocka_unit_test(strangers_who_leave_leave_their_debt),
        cmocka_unit_test(strangers_leave_half_to_the_others),
        cmocka_unit_test(refusals_are_not_answered_for_ever),
        cmocka_unit_test(places_are_bounded),
        cmocka_unit_test(apps_of_one_user_share_the_last_place),
        cmocka_unit_test(counts_move_to_another_name),
        cmocka_unit_test(limits_change),
        cmocka_unit_test(random_sequences_add_up),
        cmocka_unit_test(changes_are_counted_by_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
