/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/timer.h"
#include "util/clock.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define MANY 500

static uv_loop_t loop;
static char fired[MANY * 2];
static size_t n_fired;

struct note {
    char name;
    struct timer *timer;
    struct note *drops;  /* dropped when this one fires */
    struct note *starts; /* started when this one fires */
};

static void on_note(void *userdata)
{
    struct note *note = userdata;
    note->timer = NULL;
    fired[n_fired++] = note->name;
    if (note->drops) {
        timer_drop(note->drops->timer);
        note->drops->timer = NULL;
    }
    if (note->starts)
        assert_int_equal(timer_start(&loop, 0, on_note, note->starts, &note->starts->timer), 0);
}

static void start(struct note *note, uint64_t msec)
{
    assert_int_equal(timer_start(&loop, msec * USEC_PER_MSEC, on_note, note, &note->timer), 0);
}

static int begin(void **state _unused_)
{
    memset(fired, 0, sizeof(fired));
    n_fired = 0;
    return uv_loop_init(&loop);
}

static int end(void **state _unused_)
{
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static void runs_in_order(void **state _unused_)
{
    struct note a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, d = {.name = 'd'};
    uint64_t began = boottime_usec();
    start(&c, 200);
    start(&d, 300);
    start(&a, 0);
    start(&b, 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* ends by itself: nothing is left */
    assert_string_equal(fired, "abcd");
    assert_true(boottime_usec() - began >= 300 * USEC_PER_MSEC);
}

static void is_never_early(void **state _unused_)
{
    for (unsigned i = 0; i < 20; i++) {
        struct note a = {.name = 'a'};
        uint64_t delay = 1000 + i * 37, began = boottime_usec();
        assert_int_equal(timer_start(&loop, delay, on_note, &a, &a.timer), 0);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        assert_true(boottime_usec() - began >= delay);
    }
}

static void can_be_dropped(void **state _unused_)
{
    struct note a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    start(&a, 1);
    start(&b, 2);
    start(&c, 3);
    timer_drop(b.timer);
    timer_drop(NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(fired, "ac");
    start(&a, 1000000);
    timer_drop(a.timer); /* the last one: the loop has nothing to wait for */
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(fired, "ac");
}

/* Both are due; the first takes the second away. */
static void can_be_dropped_by_another(void **state _unused_)
{
    struct note b = {.name = 'b'}, a = {.name = 'a', .drops = &b}, c = {.name = 'c'};
    start(&a, 0);
    start(&b, 0);
    start(&c, 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(fired, "ac");
}

/* One that starts itself anew at once must leave the loop its turn. */
static void restarts_wait_for_the_next_round(void **state _unused_)
{
    struct note a = {.name = 'a'};
    a.starts = &a;
    start(&a, 0);
    while (n_fired < 3) {
        size_t before = n_fired;
        (void)uv_run(&loop, UV_RUN_ONCE);
        assert_true(n_fired <= before + 1);
    }
    timer_drop(a.timer);
}

/* Against a plain search for what is due next, while timers come and go. */
static void keeps_its_heap(void **state _unused_)
{
    static struct note notes[MANY];
    uint32_t random = 7;
    for (unsigned i = 0; i < MANY; i++) {
        random = random * 1664525 + 1013904223;
        notes[i] = (struct note){.name = (char)('0' + (random >> 16) % 20)};
        start(&notes[i], 1 + 25 * (uint64_t)(notes[i].name - '0'));
    }
    size_t n = MANY;
    for (unsigned i = 0; i < MANY; i += 3, n--)
        timer_drop(notes[i].timer);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(n_fired, n);
    for (size_t i = 1; i < n_fired; i++)
        assert_true(fired[i - 1] <= fired[i]);
}

/* The clock that goes on while the device sleeps, and one descriptor for all. */
static void is_on_boottime(void **state _unused_)
{
    struct note a = {.name = 'a'}, b = {.name = 'b'};
    start(&a, 1);
    start(&b, 1);
    unsigned n_boottime = 0;
    DIR *folder = opendir("/proc/self/fdinfo");
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[300], line[100];
        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", entry->d_name);
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file)) {
            static const char key[] = "clockid: ";
            if (strncmp(line, key, sizeof(key) - 1) != 0)
                continue;
            assert_int_equal(strtol(line + sizeof(key) - 1, NULL, 10), CLOCK_BOOTTIME);
            n_boottime++;
        }
        if (file)
            (void)fclose(file);
    }
    (void)closedir(folder);
    assert_int_equal(n_boottime, 1);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(fired, "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_in_order, begin, end),
        cmocka_unit_test_setup_teardown(is_never_early, begin, end),
        cmocka_unit_test_setup_teardown(can_be_dropped, begin, end),
        cmocka_unit_test_setup_teardown(can_be_dropped_by_another, begin, end),
        cmocka_unit_test_setup_teardown(restarts_wait_for_the_next_round, begin, end),
        cmocka_unit_test_setup_teardown(keeps_its_heap, begin, end),
        cmocka_unit_test_setup_teardown(is_on_boottime, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
