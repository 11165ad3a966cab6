/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* liblwa-client beside what one would write without it, and lwactl beside dbus-send: each pair by turns, so
 * that whatever else the machine does falls on both alike. */

#include "client/library/cache.h"
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define SCOPE "music::library" /* that of new_call() */
#define BLOCK 50
#define WARM_UP 100
#define CACHED_BLOCK 20000
#define CACHED_BLOCKS 50

static void check(struct lwa_client *client, int r, const char *what)
{
    if (r < 0)
        die("%s: %s", what, lwa_error_get_message(lwa_client_get_error(client)));
}

static struct lwa_client *new_client(const char *address)
{
    struct lwa_client *client = NULL;
    if (setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1) < 0 || lwa_client_new(&client) < 0)
        die("no memory");
    return client;
}

/* --- a token that is kept ------------------------------------------------------------------------------- */

static void get(struct lwa_client *client)
{
    struct lwa_token *token = NULL;
    check(client, lwa_client_get_token(client, SCOPE, NULL, 0, &token), "GetToken");
    lwa_token_unref(token);
}

static void measure_cached(struct lwa_client *client)
{
    struct samples ns = {.n = 0};
    get(client);
    for (unsigned block = 0; block < CACHED_BLOCKS; block++) {
        double before = precise_usec();
        for (unsigned i = 0; i < CACHED_BLOCK; i++)
            get(client);
        samples_add(&ns, (precise_usec() - before) * 1e3 / CACHED_BLOCK);
    }
    figures_add("client_cached_ns", samples_quantile(&ns, 0.5));
    samples_clear(&ns);
}

/* --- a token over the bus ------------------------------------------------------------------------------- */

/* The library does not know it any more, so that it asks. That is not part of the time. */
static double timed_get(struct lwa_client *client)
{
    cache_drop_all(client->cache);
    double before = precise_usec();
    get(client);
    return precise_usec() - before;
}

/* The least that one would write with libdbus: the call, and the token read from its descriptor. */
static double timed_raw(DBusConnection *connection)
{
    char token[TOKEN_BYTES_MAX];
    int fd = -1;
    double before = precise_usec();
    DBusMessage *call = new_call(TARGET_BROKER);
    DBusMessage *reply = dbus_connection_send_with_reply_and_block(connection, call, 30000, NULL);
    if (!reply || !dbus_message_get_args(reply, NULL, DBUS_TYPE_UNIX_FD, &fd, DBUS_TYPE_INVALID) ||
        pread(fd, token, sizeof(token), 0) <= 0)
        die("the call without the library failed");
    close_fd(fd);
    dbus_message_unref(reply);
    dbus_message_unref(call);
    return precise_usec() - before;
}

void measure_client(const char *address, unsigned calls)
{
    struct samples library = {.n = 0}, raw = {.n = 0};
    struct lwa_client *client = new_client(address);
    DBusConnection *connection = connect_to(address);
    for (unsigned i = 0; i < WARM_UP; i++) {
        (void)timed_get(client);
        (void)timed_raw(connection);
    }
    for (unsigned done = 0; done < calls; done += BLOCK) {
        for (unsigned i = 0; i < BLOCK; i++)
            samples_add(&library, timed_get(client));
        for (unsigned i = 0; i < BLOCK; i++)
            samples_add(&raw, timed_raw(connection));
    }
    samples_report("client_call", &library);
    samples_report("client_raw", &raw);
    figures_add("client_call_ratio", samples_quantile(&library, 0.5) / samples_quantile(&raw, 0.5));
    measure_cached(client);
    samples_clear(&library);
    samples_clear(&raw);
    disconnect(connection);
    lwa_client_free(client);
}

/* --- programs, from start to end ------------------------------------------------------------------------ */

static double timed_program(char **argv)
{
    int status = 0;
    double before = precise_usec();
    pid_t pid;
    posix_spawn_file_actions_t silent;
    if (posix_spawn_file_actions_init(&silent) != 0 ||
        posix_spawn_file_actions_addopen(&silent, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) != 0 ||
        posix_spawn(&pid, argv[0], &silent, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid ||
        status != 0)
        die("%s did not end well", argv[0]);
    double spent = precise_usec() - before;
    (void)posix_spawn_file_actions_destroy(&silent);
    return spent;
}

void measure_programs(unsigned times, char **argv)
{
    struct samples first = {.n = 0}, second = {.n = 0};
    char **other = argv;
    while (*other && strcmp(*other, "--") != 0)
        other++;
    if (other == argv || !*other)
        die("there is no -- between the two programs");
    *other++ = NULL;
    for (unsigned i = 0; i < times; i++) {
        samples_add(&first, timed_program(argv));
        samples_add(&second, timed_program(other));
    }
    samples_report("first", &first);
    samples_report("second", &second);
    figures_add("ratio", samples_quantile(&first, 0.5) / samples_quantile(&second, 0.5));
    samples_clear(&first);
    samples_clear(&second);
}
