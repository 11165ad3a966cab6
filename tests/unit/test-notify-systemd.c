/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/notify-systemd.h"
#include "util/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define INTERVAL_MSEC 40

struct fixture {
    uv_loop_t loop;
    uv_timer_t timer;
    int manager; /* the socket that is told */
    char name[64];
    char last[600]; /* what came last, "" for nothing */
};

/* An abstract name that nobody else has: the kernel gives it. */
static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t n = sizeof(address);
    f->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->manager, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(f->manager, (struct sockaddr *)&address, &n), 0);
    n -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
    (void)snprintf(f->name, sizeof(f->name), "@%.*s", (int)n - 1, address.sun_path + 1);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(uv_timer_init(&f->loop, &f->timer), 0);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    uv_close((uv_handle_t *)&f->timer, NULL);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    (void)close(f->manager);
    int r = uv_loop_close(&f->loop);
    free(f);
    return r;
}

static bool next(struct fixture *f)
{
    ssize_t n = recv(f->manager, f->last, sizeof(f->last) - 1, MSG_DONTWAIT);
    f->last[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static unsigned count(struct fixture *f, const char *message)
{
    unsigned n = 0;
    while (next(f))
        n += strcmp(f->last, message) == 0;
    return n;
}

static void stop_loop(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void run_for(struct fixture *f, uint64_t msec)
{
    assert_int_equal(uv_timer_start(&f->timer, stop_loop, msec, 0), 0);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
}

/* However busy the machine is: whether one comes at all. */
static bool watchdog_comes(struct fixture *f)
{
    for (unsigned i = 0; i < 500; i++) {
        run_for(f, INTERVAL_MSEC);
        if (count(f, "WATCHDOG=1") > 0)
            return true;
    }
    return false;
}

static struct notify_systemd *make(struct fixture *f, const char *watchdog_usec, const char *watchdog_pid)
{
    struct notify_systemd *n;
    const struct notify_systemd_options options = {f->name, watchdog_usec, watchdog_pid};
    assert_int_equal(notify_systemd_new(&f->loop, &options, &n), 0);
    assert_non_null(n);
    return n;
}

static void states_are_told_with_their_line(void **state)
{
    struct fixture *f = *state;
    _cleanup_(notify_systemd_freep) struct notify_systemd *n = make(f, NULL, NULL);
    uint64_t before = clock_usec(CLOCK_MONOTONIC);

    notify_systemd_ready(n, "Serving\nMAINPID=1");
    assert_true(next(f));
    assert_string_equal(f->last, "READY=1\nSTATUS=Serving?MAINPID=1");
    notify_systemd_reloading(n);
    assert_true(next(f));
    static const char said[] = "RELOADING=1\nMONOTONIC_USEC=";
    assert_memory_equal(f->last, said, strlen(said));
    char *rest = NULL;
    uint64_t usec = strtoull(f->last + strlen(said), &rest, 10);
    assert_true(usec >= before && usec <= clock_usec(CLOCK_MONOTONIC));
    assert_memory_equal(rest, "\nSTATUS=", strlen("\nSTATUS="));
    notify_systemd_stopping(n, "Ending");
    assert_true(next(f));
    assert_string_equal(f->last, "STOPPING=1\nSTATUS=Ending");
    /* It is the last. */
    notify_systemd_reloading(n);
    notify_systemd_ready(n, "Serving");
    assert_false(next(f));
}

static void without_a_socket_nothing_is_told(void **state)
{
    struct fixture *f = *state;
    const struct notify_systemd_options options = {NULL, "1000", NULL};
    struct notify_systemd *n = (struct notify_systemd *)f;
    assert_int_equal(notify_systemd_new(&f->loop, &options, &n), 0);
    assert_null(n);
    notify_systemd_ready(n, "Serving");
    notify_systemd_reloading(n);
    notify_systemd_stopping(n, "Ending");
    notify_systemd_free(n);
}

static void names_that_cannot_be_sent_to(void **state)
{
    struct fixture *f = *state;
    char longest[109] = "/", too_long[110] = "/";
    memset(longest + 1, 'x', 106);
    memset(too_long + 1, 'x', 107);
    static const char *const wrong[] = {"", "/", "@", "relative", "vsock:2:1"};
    struct notify_systemd *n;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        const struct notify_systemd_options options = {wrong[i], NULL, NULL};
        assert_int_equal(notify_systemd_new(&f->loop, &options, &n), -EINVAL);
        assert_null(n);
    }
    assert_int_equal(notify_systemd_new(&f->loop, &(struct notify_systemd_options){too_long, NULL, NULL}, &n),
                     -EINVAL);
    assert_int_equal(notify_systemd_new(&f->loop, &(struct notify_systemd_options){longest, NULL, NULL}, &n),
                     0);
    notify_systemd_ready(n, "nobody is there");
    notify_systemd_free(n);
}

static void watchdog_is_for_us_and_from_ready_on(void **state)
{
    struct fixture *f = *state;
    char own[32], other[32];
    (void)snprintf(own, sizeof(own), "%d", getpid());
    (void)snprintf(other, sizeof(other), "%d", getppid());
    const struct {
        const char *usec, *pid;
        bool expected;
    } cases[] = {
        {NULL, NULL, false}, {"20000", NULL, true},  {"20000", own, true}, {"20000", other, false},
        {"0", own, false},   {"20000x", own, false}, {"", own, false},     {"20000", "x", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct notify_systemd *n = make(f, cases[i].usec, cases[i].pid);
        run_for(f, INTERVAL_MSEC);
        assert_false(next(f));
        notify_systemd_ready(n, "Serving");
        if (cases[i].expected)
            assert_true(watchdog_comes(f));
        else
            run_for(f, 3 * INTERVAL_MSEC);
        assert_int_equal(count(f, "WATCHDOG=1"), 0);
        notify_systemd_free(n);
    }
}

static void hang(uv_timer_t *timer)
{
    const struct timespec pause = {0, 10 * INTERVAL_MSEC * 1000000L};
    struct fixture *f = timer->data;
    (void)count(f, "");
    (void)nanosleep(&pause, NULL);
    assert_int_equal(count(f, "WATCHDOG=1"), 0);
    uv_stop(timer->loop);
}

/* Ten times as long as one is due: nothing comes until the loop goes on. */
static void a_loop_that_hangs_tells_nothing(void **state)
{
    struct fixture *f = *state;
    char usec[32];
    (void)snprintf(usec, sizeof(usec), "%d", 2 * INTERVAL_MSEC * 1000);
    _cleanup_(notify_systemd_freep) struct notify_systemd *n = make(f, usec, NULL);
    notify_systemd_ready(n, "Serving");
    f->timer.data = f;
    assert_int_equal(uv_timer_start(&f->timer, hang, 0, 0), 0);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(watchdog_comes(f));
}

/* The manager's queue is full: the loop goes on, and it is told the last state once there is room. */
static void what_is_not_taken_is_told_later(void **state)
{
    struct fixture *f = *state;
    _cleanup_(notify_systemd_freep) struct notify_systemd *n = make(f, NULL, NULL);
    for (unsigned i = 0; i < 5000; i++)
        notify_systemd_ready(n, "too much");
    notify_systemd_ready(n, "one of two");
    notify_systemd_ready(n, "the last");
    assert_true(count(f, "READY=1\nSTATUS=the last") == 0);
    for (unsigned i = 0; i < 1000 && !next(f); i++)
        run_for(f, 10);
    assert_string_equal(f->last, "READY=1\nSTATUS=the last");
    run_for(f, 300);
    assert_false(next(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(states_are_told_with_their_line, begin, end),
        cmocka_unit_test_setup_teardown(without_a_socket_nothing_is_told, begin, end),
        cmocka_unit_test_setup_teardown(names_that_cannot_be_sent_to, begin, end),
        cmocka_unit_test_setup_teardown(watchdog_is_for_us_and_from_ready_on, begin, end),
        cmocka_unit_test_setup_teardown(a_loop_that_hangs_tells_nothing, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_taken_is_told_later, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
