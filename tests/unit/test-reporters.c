/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/reporters.h"
#include "util/clock.h"

#define START (1000 * USEC_PER_SEC)

static const struct config_limits limits = {
    .app_report_burst = 3,
    .app_report_interval = 30,
    .grant_report_burst = 7,
    .grant_report_interval = 10,
};

static struct reporters reporters;
static struct refusal refusal;

static int setup(void **state _unused_)
{
    reporters = (struct reporters){0};
    return 0;
}

static struct identity identity_of(uid_t uid)
{
    struct identity id = {.uid = uid};
    (void)snprintf(id.app, sizeof(id.app), "user:%u", (unsigned)uid);
    return id;
}

static int take(uid_t uid, int64_t grant, struct bucket *of_grant, uint64_t now)
{
    struct identity id = identity_of(uid);
    return reporters_take(&reporters, &limits, &id, grant, of_grant, now, &refusal);
}

static unsigned take_all(uid_t uid, int64_t grant, struct bucket *of_grant, uint64_t now)
{
    unsigned n = 0;
    while (take(uid, grant, of_grant, now) == 0)
        n++;
    return n;
}

static void assert_explained(const char *sentence)
{
    char text[REFUSAL_SENTENCE_SIZE];
    refusal_explain(&refusal, text);
    assert_string_equal(text, sentence);
}

static void app_has_its_share_of_each_grant(void **state _unused_)
{
    struct bucket first = {0}, second = {0};
    assert_int_equal(take_all(1, 1, &first, START), 3);
    assert_explained("This app had this login renewed often lately; try again in 30 s.");
    assert_int_equal(take_all(1, 2, &second, START), 3);
    assert_int_equal(take(1, 1, &first, START + 30 * USEC_PER_SEC - 1), -EUSERS);
    assert_int_equal(take(1, 1, &first, START + 30 * USEC_PER_SEC), 0);
}

static void one_app_leaves_the_others_something(void **state _unused_)
{
    struct bucket grant = {0};
    unsigned hostile = 0, honest = 0;
    for (uint64_t now = START; now < START + 3600 * USEC_PER_SEC; now += USEC_PER_SEC) {
        hostile += take_all(1, 1, &grant, now);
        if ((now - START) % (60 * USEC_PER_SEC) == 0)
            honest += take(2, 1, &grant, now) == 0 ? 1 : 0;
    }
    assert_int_equal(honest, 60);
    assert_in_range(hostile, 120, 123);
}

static void grant_has_its_own(void **state _unused_)
{
    struct bucket grant = {0};
    assert_int_equal(take_all(1, 1, &grant, START), 3);
    assert_int_equal(take_all(2, 1, &grant, START), 3);
    assert_int_equal(take_all(3, 1, &grant, START), 1);
    assert_explained("This login was renewed often lately; try again in 10 s.");
    /* What the grant refused was not taken from the app. */
    assert_int_equal(take_all(3, 1, &grant, START + 10 * USEC_PER_SEC), 1);
    assert_explained("This login was renewed often lately; try again in 10 s.");
    assert_int_equal(take_all(3, 1, &grant, START + 20 * USEC_PER_SEC), 1);
    assert_explained("This app had this login renewed often lately; try again in 10 s.");
}

/* Places come free as they fill, and one user cannot have all of them. */
static void places_are_bounded(void **state _unused_)
{
    for (int64_t row = 1; row <= LIMIT_REPORTERS_PER_UID; row++)
        assert_int_equal(take(1, row, &(struct bucket){0}, START), 0);
    assert_int_equal(take(1, 1000, &(struct bucket){0}, START + USEC_PER_SEC), -EUSERS);
    assert_explained("Too many logins were renewed because of reports lately; try again in 29 s.");
    for (uid_t uid = 2; uid < 2 + LIMIT_REPORTERS - LIMIT_REPORTERS_PER_UID; uid++)
        assert_int_equal(take(uid, 1, &(struct bucket){0}, START), 0);
    assert_int_equal(take(5000, 1, &(struct bucket){0}, START), -EUSERS);
    assert_explained("Too many logins were renewed because of reports lately; try again in 30 s.");
    assert_int_equal(take(5000, 1, &(struct bucket){0}, START + 30 * USEC_PER_SEC), 0);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(app_has_its_share_of_each_grant),
        TEST(one_app_leaves_the_others_something),
        TEST(grant_has_its_own),
        TEST(places_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
