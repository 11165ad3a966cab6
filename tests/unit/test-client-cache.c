/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cache of liblwa-client, with a clock that the test moves. */

#include "tests/unit/unit.h"

#include "client/library/cache.h"
#include "util/clock.h"

#include <string.h>
#include <sys/mman.h>

#define START_SEC 1000

static uint64_t at(double seconds)
{
    return (uint64_t)((START_SEC + seconds) * (double)USEC_PER_SEC);
}

/* One that comes at that time and is good for so long from then on. */
static struct lwa_token *new_token(const char *id, double came, unsigned life)
{
    _cleanup_close_ int fd = memfd_create("token", MFD_CLOEXEC);
    struct token_facts facts = {
        .type = "Bearer",
        .id = id,
        .account = "main",
        .api_key = "",
        .api_base = "",
        .expires_at_sec = life,
        .expires_in_sec = life,
    };
    struct token_time now = {.boot_usec = at(came), .wall_sec = 0};
    struct lwa_token *token = NULL;
    assert_int_equal(write(fd, id, strlen(id)), strlen(id));
    assert_int_equal(token_new(fd, &facts, &now, &token), 0);
    return token;
}

static struct cache_ask ask_for(const char *scope, const char *account, unsigned min_valid)
{
    return (struct cache_ask){.scope = scope, .account = account, .min_valid_sec = min_valid};
}

/* Has the cache keep one, and gives it up. */
static void keep(struct cache *cache, struct cache_ask ask, const char *id, double came, unsigned life)
{
    struct lwa_token *token = new_token(id, came, life);
    cache_keep(cache, &ask, cache->generation, token, at(came));
    lwa_token_unref(token);
}

static const char *find(struct cache *cache, struct cache_ask ask, double seconds)
{
    return lwa_token_get_id(cache_find(cache, &ask, at(seconds)));
}

static int set_up(void **state)
{
    *state = cache_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    cache_free(*state);
    return 0;
}

/* --- what is found -------------------------------------------------------------------------------------- */

static void test_key(void **state)
{
    struct cache *cache = *state;
    keep(cache, ask_for("a b", NULL, 0), "t-default", 0, 3600);
    keep(cache, ask_for("a b", "main", 0), "t-main", 0, 3600);
    keep(cache, ask_for("a", "main", 0), "t-one", 0, 3600);
    assert_string_equal(find(cache, ask_for("a b", NULL, 0), 1), "t-default");
    assert_string_equal(find(cache, ask_for("b  a b", NULL, 0), 1), "t-default");
    assert_string_equal(find(cache, ask_for(" a b ", "main", 0), 1), "t-main");
    assert_string_equal(find(cache, ask_for("a", "main", 0), 1), "t-one");
    assert_null(find(cache, ask_for("a", NULL, 0), 1));
    assert_null(find(cache, ask_for("b", "main", 0), 1));
    assert_null(find(cache, ask_for("a b c", "main", 0), 1));
    assert_null(find(cache, ask_for("a b", "main-2", 0), 1));
    assert_null(find(cache, ask_for("a b", "", 0), 1));
    assert_null(find(cache, ask_for("", NULL, 0), 1));
}

static void test_bound(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0), later = ask_for("a", NULL, 600);
    keep(cache, a, "t-1", 0, 3600);
    assert_non_null(find(cache, a, 3569));
    assert_null(find(cache, a, 3570));
    assert_non_null(find(cache, later, 2999));
    assert_null(find(cache, later, 3000));
    assert_non_null(cache_find_last(cache, &a, at(3599)));
    assert_null(cache_find_last(cache, &a, at(3600)));
    assert_non_null(cache_find_last(cache, &later, at(2999)));
    assert_null(cache_find_last(cache, &later, at(3000)));
}

static void test_short_life(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0);
    keep(cache, a, "t-1", 0, 8);
    assert_non_null(find(cache, a, 5.9));
    assert_null(find(cache, a, 6));
    keep(cache, ask_for("b", NULL, 0), "t-over", 0, 0);
    assert_null(find(cache, ask_for("b", NULL, 0), 0));
}

static void test_latest_counts(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0);
    keep(cache, a, "t-1", 0, 3600);
    keep(cache, a, "t-2", 1, 3600);
    assert_string_equal(find(cache, a, 2), "t-2");
    assert_int_equal(cache->n_entries, 1);
}

static void test_bounded(void **state)
{
    struct cache *cache = *state;
    char account[16];
    keep(cache, ask_for("a", "first", 0), "t-first", 0, 3600);
    for (int i = 0; i < CACHE_ENTRIES_MAX; i++) {
        (void)snprintf(account, sizeof(account), "n-%d", i);
        keep(cache, ask_for("a", account, 0), account, 0, 3600);
        if (i < CACHE_ENTRIES_MAX - 1) /* it is used, and so another is the oldest */
            assert_non_null(find(cache, ask_for("a", "first", 0), 1));
    }
    assert_int_equal(cache->n_entries, CACHE_ENTRIES_MAX);
    assert_non_null(find(cache, ask_for("a", "first", 0), 1));
    assert_null(find(cache, ask_for("a", "n-0", 0), 1));
    assert_non_null(find(cache, ask_for("a", account, 0), 1));
}

/* --- what is dropped ------------------------------------------------------------------------------------ */

static void test_drop(void **state)
{
    struct cache *cache = *state;
    keep(cache, ask_for("a", NULL, 0), "t-1", 0, 3600);
    keep(cache, ask_for("a b", NULL, 0), "t-1", 0, 3600);
    keep(cache, ask_for("b", NULL, 0), "t-2", 0, 3600);
    cache_drop(cache, "t-1");
    assert_null(find(cache, ask_for("a", NULL, 0), 1));
    assert_null(find(cache, ask_for("a b", NULL, 0), 1));
    assert_string_equal(find(cache, ask_for("b", NULL, 0), 1), "t-2");
    cache_drop_all(cache);
    assert_null(find(cache, ask_for("b", NULL, 0), 1));
    assert_int_equal(cache->n_entries, 0);
}

/* Asked for, then reported or revoked, then it comes: it is not given again. */
static void test_late_comer_is_not_kept(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0);
    unsigned before = cache->generation;
    cache_drop(cache, "t-1");
    struct lwa_token *token = new_token("t-1", 0, 3600);
    cache_keep(cache, &a, before, token, at(0));
    assert_null(find(cache, a, 1));
    cache_keep(cache, &a, cache->generation, token, at(0));
    assert_non_null(find(cache, a, 1));
    lwa_token_unref(token);
}

static void test_holder_keeps_his(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0);
    keep(cache, a, "t-1", 0, 3600);
    struct lwa_token *held = lwa_token_ref(cache_find(cache, &a, at(1)));
    cache_drop_all(cache);
    assert_string_equal(lwa_token_get_bytes(held, NULL), "t-1");
    lwa_token_unref(held);
}

static void test_what_is_over_is_wiped(void **state)
{
    struct cache *cache = *state;
    keep(cache, ask_for("a", NULL, 0), "t-1", 0, 60);
    keep(cache, ask_for("b", NULL, 0), "t-2", 0, 3600);
    assert_int_equal(cache->n_entries, 2);
    assert_null(cache_take_due(cache, at(60)) ? "a renewal" : NULL);
    assert_int_equal(cache->n_entries, 1);
    keep(cache, ask_for("c", NULL, 0), "t-3", 3600, 3600); /* without a dispatch, too */
    assert_int_equal(cache->n_entries, 1);
}

/* --- renewal -------------------------------------------------------------------------------------------- */

static void test_due(void **state)
{
    struct cache *cache = *state;
    static const struct {
        unsigned life, min_valid;
        double earliest, latest; /* before the end */
    } cases[] = {
        {3600, 0, 300, 225}, {3600, 600, 900, 825},    {3600, 1800, 2100, 2025},
        {600, 0, 60, 45},    {7200, 0, 300, 225},      {60, 0, 30, 22.5},
        {8, 0, 4, 3},        {3600, 3000, 2700, 2600},
    };
    assert_int_equal(cache_get_due(cache), UINT64_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cache_drop_all(cache);
        keep(cache, ask_for("a", NULL, cases[i].min_valid), "t-1", 0.123456, cases[i].life);
        double end = 0.123456 + cases[i].life;
        assert_in_range(cache_get_due(cache), at(end - cases[i].earliest) - 2, at(end - cases[i].latest));
    }
}

/* What comes at different times is not renewed at the same distance from its end. */
static void test_jitter(void **state)
{
    struct cache *cache = *state;
    uint64_t before_end[8];
    size_t n_same = 0;
    for (size_t i = 0; i < ARRAY_SIZE(before_end); i++) {
        double came = 7.77 * (double)i;
        cache_drop_all(cache);
        keep(cache, ask_for("a", NULL, 0), "t-1", came, 3600);
        before_end[i] = at(came + 3600) - cache_get_due(cache);
        for (size_t j = 0; j < i; j++)
            n_same += before_end[i] == before_end[j];
    }
    assert_int_equal(n_same, 0);
}

static void test_renewal(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0);
    keep(cache, a, "t-1", 0, 3600);
    assert_null(cache_take_due(cache, at(3299)));
    struct cache_entry *entry = cache_take_due(cache, at(3400));
    assert_non_null(entry);
    assert_string_equal(entry->ask.scope, "a");
    assert_null(cache_take_due(cache, at(3400)));     /* one at a time */
    assert_int_equal(cache_get_due(cache), at(3600)); /* and nothing to wake up for but its end */
    assert_string_equal(find(cache, a, 3410), "t-1"); /* given meanwhile */
    struct lwa_token *next = new_token("t-2", 3411, 3600);
    cache_renewed(cache, &a, cache->generation, next, at(3411));
    lwa_token_unref(next);
    assert_string_equal(find(cache, a, 3412), "t-2");
    assert_int_equal(cache->n_entries, 1);
    assert_in_range(cache_get_due(cache), at(3411 + 3300), at(3411 + 3375));
}

/* It is renewed once more at most for who has stopped asking. */
static void test_unused_is_not_renewed(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 600);
    keep(cache, a, "t-1", 0, 3600);
    assert_non_null(cache_take_due(cache, at(3400)));
    struct lwa_token *next = new_token("t-2", 3400, 3600);
    cache_renewed(cache, &a, cache->generation, next, at(3400));
    lwa_token_unref(next);
    assert_int_equal(cache_get_due(cache), at(7000));
    assert_null(cache_take_due(cache, at(6999)));
    /* Late, but in time: it is asked for again, and for no min_valid any more. */
    assert_string_equal(find(cache, ask_for("a", NULL, 0), 5000), "t-2");
    assert_in_range(cache_get_due(cache), at(6700), at(6775));
}

static void test_failed_renewal(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0);
    double now = 3400, before = 0;
    keep(cache, a, "t-1", 0, 3600);
    for (int i = 0; i < 3; i++) { /* each time later */
        assert_non_null(cache_take_due(cache, at(now)));
        cache_renewal_failed(cache, &a, 0, at(now));
        assert_string_equal(find(cache, a, now), "t-1");
        double next = (double)cache_get_due(cache) / (double)USEC_PER_SEC - START_SEC;
        assert_true(next > now + before && next < now + 90);
        before = next - now;
        now = next;
    }
    assert_non_null(cache_take_due(cache, at(now)));
    cache_renewal_failed(cache, &a, 100, at(now));
    assert_in_range(cache_get_due(cache), at(now + 100) - 1, at(now + 101));
    cache_renewal_failed(cache, &a, 1000, at(now)); /* never after its end, when it is wiped */
    assert_int_equal(cache_get_due(cache), at(3600));
}

/* However late an answer comes, it does not make what is kept older. */
static void test_renewal_of_something_older(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0);
    keep(cache, a, "t-1", 0, 3600);
    assert_non_null(cache_take_due(cache, at(3400)));
    keep(cache, a, "t-3", 3401, 3600);
    struct lwa_token *late = new_token("t-2", 3390, 3600);
    cache_renewed(cache, &a, cache->generation, late, at(3402));
    assert_string_equal(find(cache, a, 3403), "t-3");
    /* Nor is one kept whose kind was given up meanwhile. */
    unsigned before = cache->generation;
    cache_drop(cache, "t-0");
    struct lwa_token *given_up = new_token("t-4", 3404, 3600);
    cache_renewed(cache, &a, before, given_up, at(3404));
    assert_string_equal(find(cache, a, 3405), "t-3");
    lwa_token_unref(late);
    lwa_token_unref(given_up);
}

/* The same token again, with less left of it: asked for again, but less and less often, and not for ever. */
static void test_renewal_of_the_same(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0);
    unsigned n = 0;
    keep(cache, a, "t-1", 0, 3600);
    for (uint64_t due; n < 100 && (due = cache_get_due(cache)) < at(3600); n++) {
        if (!cache_take_due(cache, due))
            break;
        unsigned left = (unsigned)((at(3600) - due) / USEC_PER_SEC);
        struct lwa_token *same = new_token("t-1", (double)due / 1e6 - START_SEC, left);
        cache_renewed(cache, &a, cache->generation, same, due);
        lwa_token_unref(same);
        (void)cache_find(cache, &a, due);
    }
    assert_in_range(n, 2, 12);
}

/* Nothing of an entry is left to be told of a renewal. */
static void test_renewal_of_what_was_dropped(void **state)
{
    struct cache *cache = *state;
    struct cache_ask a = ask_for("a", NULL, 0);
    struct lwa_token *token = new_token("t-1", 0, 3600);
    cache_renewed(cache, &a, cache->generation, token, at(0));
    cache_renewal_failed(cache, &a, 0, at(0));
    assert_int_equal(cache->n_entries, 0);
    lwa_token_unref(token);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_key),
        TEST(test_bound),
        TEST(test_short_life),
        TEST(test_latest_counts),
        TEST(test_bounded),
        TEST(test_drop),
        TEST(test_late_comer_is_not_kept),
        TEST(test_holder_keeps_his),
        TEST(test_what_is_over_is_wiped),
        TEST(test_due),
        TEST(test_jitter),
        TEST(test_renewal),
        TEST(test_unused_is_not_renewed),
        TEST(test_failed_renewal),
        TEST(test_renewal_of_something_older),
        TEST(test_renewal_of_the_same),
        TEST(test_renewal_of_what_was_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
