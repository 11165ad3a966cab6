/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/prompt-turn.h"
#include "util/clock.h"

#include <string.h>

#define SECOND USEC_PER_SEC
#define PAUSE (LIMIT_PROMPT_PAUSE_SEC * USEC_PER_SEC)

static struct prompt_turns turns;
static unsigned n_called;

static void on_ended(void *userdata)
{
    n_called++;
    /* What waited may take the next turn at once. */
    struct prompt_turn **next = userdata;
    struct prompt_wait *wait;
    const struct identity alice = {.app = "user:alice", .uid = 1000};
    if (next)
        assert_int_equal(prompt_turn_take(&turns, &alice, 1, on_ended, NULL, next, &wait), PROMPT_TURN_TAKEN);
}

static int take(const char *app, uid_t uid, uint64_t now, struct prompt_turn **ret, struct prompt_wait **wait)
{
    struct identity who = {.uid = uid};
    (void)snprintf(who.app, sizeof(who.app), "%s", app);
    return prompt_turn_take(&turns, &who, now, on_ended, NULL, ret, wait);
}

/* Whether the app may ask now; it then does, and is turned down if `refuse`. */
static bool may_ask(const char *app, uid_t uid, uint64_t now, bool refuse)
{
    struct prompt_turn *turn;
    struct prompt_wait *wait;
    int r = take(app, uid, now, &turn, &wait);
    if (r != PROMPT_TURN_TAKEN) {
        assert_int_equal(r, PROMPT_TURN_E_PAUSED);
        return false;
    }
    if (refuse)
        prompt_turn_pause(turn, now);
    prompt_turn_drop(turn);
    return true;
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    prompt_turns_init(&turns);
    struct prompt_turn *turn, *other, *namesake;
    struct prompt_wait *first, *second;
    assert_int_equal(take("user:alice", 1000, 1, &turn, &first), PROMPT_TURN_TAKEN);
    assert_int_equal(take("user:bob", 1001, 1, &other, &first), PROMPT_TURN_TAKEN);
    assert_int_equal(take("user:alice", 1001, 1, &namesake, &first), PROMPT_TURN_TAKEN);
    assert_int_equal(take("user:alice", 1000, 1, &turn, &first), 0);
    assert_int_equal(take("user:alice", 1000, 1, &turn, &second), 0);
    prompt_wait_drop(first);

    n_called = 0;
    prompt_turn_drop(other);
    prompt_turn_drop(namesake);
    assert_int_equal(n_called, 0);
    prompt_turn_drop(turn);
    assert_int_equal(n_called, 1);
    assert_true(may_ask("user:alice", 1000, 1, false));
    assert_true(list_is_empty(&turns.taken));
}

static void test_who_waits_takes_the_next(void **state)
{
    (void)state;
    prompt_turns_init(&turns);
    const struct identity alice = {.app = "user:alice", .uid = 1000};
    struct prompt_turn *turn, *next = NULL;
    struct prompt_wait *wait;
    assert_int_equal(take("user:alice", 1000, 1, &turn, &wait), PROMPT_TURN_TAKEN);
    assert_int_equal(prompt_turn_take(&turns, &alice, 1, on_ended, &next, &next, &wait), 0);
    prompt_turn_drop(turn);
    assert_non_null(next);
    prompt_turn_drop(next);
}

static void test_pause(void **state)
{
    (void)state;
    prompt_turns_init(&turns);
    assert_true(may_ask("user:alice", 1000, SECOND, true));
    assert_false(may_ask("user:alice", 1000, SECOND, false));
    assert_false(may_ask("user:alice", 1000, SECOND + PAUSE - 1, false));
    assert_true(may_ask("flatpak:a.b.C", 1000, SECOND, false));
    assert_true(may_ask("user:alice", 1001, SECOND, false));
    assert_true(may_ask("user:alice", 1000, SECOND + PAUSE, false));
}

/* Takes a turn and leaves it. */
static bool leave(const char *app, uid_t uid, uint64_t now)
{
    struct prompt_turn *turn;
    struct prompt_wait *wait;
    if (take(app, uid, now, &turn, &wait) != PROMPT_TURN_TAKEN)
        return false;
    prompt_turn_leave(turn, now);
    prompt_turn_drop(turn);
    return true;
}

static void test_questions_that_are_left(void **state)
{
    (void)state;
    prompt_turns_init(&turns);
    for (unsigned i = 0; i < LIMIT_PROMPTS_LEFT; i++)
        assert_true(leave("user:alice", 1000, SECOND * (i + 1)));
    uint64_t end = SECOND * LIMIT_PROMPTS_LEFT + PAUSE;
    assert_false(may_ask("user:alice", 1000, end - 1, false));
    assert_true(may_ask("flatpak:a.b.C", 1000, end - 1, false));
    assert_true(may_ask("user:alice", 1001, end - 1, false));
    assert_true(may_ask("user:alice", 1000, end, false));
    /* Now and then is none too many. */
    for (unsigned i = 0; i < 10; i++)
        assert_true(leave("user:alice", 1000, end + PAUSE * i));
    /* One that is left and one that is refused are one pause. */
    assert_true(leave("flatpak:a.b.C", 1000, end + PAUSE * 20));
    assert_true(may_ask("flatpak:a.b.C", 1000, end + PAUSE * 20, true));
    assert_false(may_ask("flatpak:a.b.C", 1000, end + PAUSE * 20, false));
    /* Nor do many names help. */
    prompt_turns_init(&turns);
    char app[32];
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(app, sizeof(app), "flatpak:a.b.C%u", i);
        n += leave(app, 1000, SECOND);
    }
    assert_int_equal(n, LIMIT_PROMPT_PAUSES_PER_UID * LIMIT_PROMPTS_LEFT);
    assert_true(may_ask("flatpak:a.b.C1", 1001, SECOND, false));
}

static void test_many_names_are_one_user(void **state)
{
    (void)state;
    prompt_turns_init(&turns);
    char app[32];
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(app, sizeof(app), "flatpak:a.b.C%u", i);
        n += may_ask(app, 1000, SECOND, true) ? 1 : 0;
    }
    assert_int_equal(n, LIMIT_PROMPT_PAUSES_PER_UID);
    assert_true(may_ask("flatpak:a.b.C1", 1001, SECOND, false));
    assert_true(may_ask("flatpak:a.b.C99", 1000, SECOND + PAUSE, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_who_waits_takes_the_next),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_questions_that_are_left),
        cmocka_unit_test(test_many_names_are_one_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
