/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "client/library/call.h"
#include "client/library/connection.h"
#include "dbus/names.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* A bus that is none: it accepts, and then says nothing, or closes at once. A real one is in
 * tests/integration. */
struct fixture {
    struct sockaddr_un address;
    int listener;
    pid_t closer;
    struct lwa_client *client;
    unsigned n_called;
    unsigned n_freed;
    int result;
};

static void listen_at(struct fixture *f)
{
    f->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(f->address.sun_path, sizeof(f->address.sun_path), "/tmp/lwa-test-bus.%d", getpid());
    (void)unlink(f->address.sun_path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&f->address, sizeof(f->address)), 0);
    assert_int_equal(listen(f->listener, 64), 0);
    char text[256];
    (void)snprintf(text, sizeof(text), "unix:path=%s", f->address.sun_path);
    assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", text, 1), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    listen_at(f);
    assert_int_equal(lwa_client_new(&f->client), 0);
    lwa_client_set_timeout(f->client, 50);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_null(lwa_client_free(f->client));
    if (f->closer > 0) {
        (void)kill(f->closer, SIGKILL);
        (void)waitpid(f->closer, NULL, 0);
    }
    (void)close(f->listener);
    (void)unlink(f->address.sun_path);
    free(f);
    return 0;
}

static void close_whoever_comes(struct fixture *f)
{
    f->closer = fork();
    assert_true(f->closer >= 0);
    while (f->closer == 0)
        (void)close(accept(f->listener, NULL, NULL));
}

static DBusMessage *new_call(struct fixture *f)
{
    DBusMessage *m = NULL;
    assert_int_equal(call_new(f->client, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "ReleaseTokens", &m), 0);
    return m;
}

static int wait_for_call(struct fixture *f)
{
    _cleanup_message_ DBusMessage *m = new_call(f);
    _cleanup_message_ DBusMessage *reply = NULL;
    int r = call_wait(f->client, m, "", &reply);
    assert_int_equal(reply != NULL, r == 0);
    return r;
}

static void on_done(struct lwa_client *client, int result, DBusMessage *reply, const struct lwa_error *error,
                    void *userdata)
{
    struct fixture *f = userdata;
    assert_ptr_equal(client, f->client);
    assert_null(reply);
    assert_int_equal(lwa_error_get_errno(error), result);
    assert_int_equal(f->n_freed, 0);
    f->result = result;
    f->n_called++;
}

static void on_freed(void *userdata)
{
    struct fixture *f = userdata;
    f->n_freed++;
}

static struct lwa_request *start(struct fixture *f)
{
    _cleanup_message_ DBusMessage *m = new_call(f);
    struct lwa_request *request = NULL;
    assert_int_equal(call_start(f->client, m, "", on_done, f, on_freed, &request), 0);
    assert_int_equal(f->n_called, 0);
    return request;
}

/* As a loop would, until the callback. */
static void run(struct fixture *f)
{
    while (f->n_called == 0) {
        struct pollfd at = {.fd = lwa_client_get_fd(f->client), .events = POLLIN};
        (void)poll(&at, 1, lwa_client_get_timeout(f->client));
        assert_int_equal(lwa_client_dispatch(f->client), 0);
    }
}

/* --- a handle ------------------------------------------------------------------------------------------ */

static void test_handle_that_is_not_used(void **state)
{
    struct fixture *f = *state;
    struct pollfd at = {.fd = lwa_client_get_fd(f->client), .events = POLLIN};
    assert_int_equal(lwa_client_get_events(f->client), POLLIN);
    assert_int_equal(lwa_client_get_timeout(f->client), -1);
    assert_int_equal(lwa_client_dispatch(f->client), 0);
    assert_int_equal(poll(&at, 1, 0), 0);
    assert_null(lwa_client_get_error(f->client));
    assert_null(lwa_client_get_error(NULL));
    assert_null(connection_get(f->client));
    lwa_request_cancel(NULL);
}

/* --- a bus that says nothing --------------------------------------------------------------------------- */

static void test_call_to_a_silent_bus(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(wait_for_call(f), -ETIMEDOUT);
    assert_true(lwa_error_is(lwa_client_get_error(f->client), "NoReply"));
}

static void test_start_at_a_silent_bus(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_in_range(lwa_client_get_timeout(f->client), 0, 50);
    run(f);
    assert_int_equal(f->result, -ETIMEDOUT);
    assert_int_equal(f->n_freed, 1);
    assert_int_equal(lwa_client_get_timeout(f->client), -1);
    /* What failed was the request, no function of the handle's. */
    assert_null(lwa_client_get_error(f->client));
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    lwa_request_cancel(start(f));
    assert_int_equal(f->n_freed, 1);
    assert_int_equal(lwa_client_get_timeout(f->client), -1);
    assert_int_equal(lwa_client_dispatch(f->client), 0);
    assert_int_equal(f->n_called, 0);
}

static void test_free_cancels(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(call_start_nothing(f->client, on_done, f, on_freed, NULL), 0);
    f->client = lwa_client_free(f->client);
    assert_int_equal(f->n_freed, 2);
    assert_int_equal(f->n_called, 0);
}

/* --- a bus that closes --------------------------------------------------------------------------------- */

static void test_call_to_a_closing_bus(void **state)
{
    struct fixture *f = *state;
    close_whoever_comes(f);
    lwa_client_set_timeout(f->client, -1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wait_for_call(f), -ENOTCONN);
        assert_true(lwa_error_is(lwa_client_get_error(f->client), "NoBus"));
    }
}

static void test_start_at_a_closing_bus(void **state)
{
    struct fixture *f = *state;
    close_whoever_comes(f);
    lwa_client_set_timeout(f->client, -1);
    start(f);
    run(f);
    assert_int_equal(f->result, -ENOTCONN);
    assert_int_equal(f->n_freed, 1);
    /* The second connection may still be there to be dropped. */
    for (int i = 0; i < 10 && lwa_client_get_timeout(f->client) == 0; i++)
        assert_int_equal(lwa_client_dispatch(f->client), 0);
    assert_int_equal(lwa_client_get_timeout(f->client), -1);
}

static void on_changed(struct lwa_client *client _unused_, void *userdata)
{
    struct fixture *f = userdata;
    f->n_called++;
}

/* The pause before each try is twice that of the one before, to half a minute. */
static void test_tries_less_and_less_often(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(close(f->listener), 0);
    f->listener = -1;
    lwa_client_on_changed(f->client, on_changed, f);
    assert_int_equal(lwa_client_get_timeout(f->client), 0);
    int last = 0;
    for (int msec = 100; msec < 1000; msec *= 2) {
        assert_int_equal(lwa_client_dispatch(f->client), 0);
        last = lwa_client_get_timeout(f->client);
        assert_in_range(last, 1, msec);
        (void)poll(NULL, 0, last);
    }
    assert_true(last > 400);
    assert_int_equal(f->n_called, 0);
}

/* --- descriptors --------------------------------------------------------------------------------------- */

static rlim_t allow(rlim_t n)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static int lowest_free(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)close(fd);
    return fd;
}

static void test_no_descriptor(void **state)
{
    struct fixture *f = *state;
    struct lwa_client *other = NULL;
    int n = lowest_free();
    rlim_t before = allow((rlim_t)n);
    assert_int_equal(lwa_client_new(&other), -EMFILE);
    assert_null(other);
    /* None for the socket, then none for its double. */
    for (int i = 0; i < 2; i++) {
        (void)allow((rlim_t)n + (rlim_t)i);
        assert_int_equal(wait_for_call(f), -EMFILE);
        assert_true(lwa_error_is(lwa_client_get_error(f->client), "NoBus"));
        (void)allow(before);
        assert_int_equal(lowest_free(), n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_handle_that_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_to_a_silent_bus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_at_a_silent_bus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_cancels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_to_a_closing_bus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_at_a_closing_bus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tries_less_and_less_often, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptor, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
