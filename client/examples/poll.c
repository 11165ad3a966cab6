/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An app with a loop of its own around poll(2): each second it has something to ask the API for. It asks for
 * a token each time, which costs nothing while the library keeps one, and is told when its token is revoked.
 *
 *     cc poll.c -o poll $(pkg-config --cflags --libs lwa-client) */

#include <lwa-client.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define SCOPE "music::library:read"

struct app {
    struct lwa_client *client;
    char token_id[128]; /* of the last one */
};

static void on_token(struct lwa_client *client, int result, struct lwa_token *token,
                     const struct lwa_error *error, void *userdata)
{
    struct app *app = userdata;
    (void)client;
    if (result < 0) {
        printf("no token: %s %s\n", lwa_error_get_message(error), lwa_error_get_hint(error));
        return;
    }
    /* Here the request would be sent. lwa_token_ref() keeps the token until its answer is there. */
    if (strcmp(app->token_id, lwa_token_get_id(token)) != 0) {
        (void)snprintf(app->token_id, sizeof(app->token_id), "%s", lwa_token_get_id(token));
        printf("token %s, %u s left\n", app->token_id, lwa_token_get_expires_in(token));
    }
}

static void on_revoked(struct lwa_client *client, const char *token_id, const char *reason, void *userdata)
{
    struct app *app = userdata;
    (void)client;
    /* Here what was fetched with it would be thrown away. */
    printf("revoked %s: %s\n", token_id, reason);
    app->token_id[0] = '\0';
}

static int on_tick(struct app *app)
{
    return lwa_client_start_get_token(app->client, SCOPE, NULL, 0, on_token, app, NULL);
}

/* SIGINT and SIGTERM as a descriptor; -1 on failure. */
static int open_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Readable each second, at first at once; -1 on failure. */
static int open_ticks(void)
{
    const struct itimerspec each = {.it_value = {0, 1}, .it_interval = {1, 0}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (fd >= 0 && timerfd_settime(fd, 0, &each, NULL) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int run(struct app *app, int signals, int ticks)
{
    struct pollfd fds[] = {
        {.fd = signals, .events = POLLIN},
        {.fd = ticks, .events = POLLIN},
        {.fd = lwa_client_get_fd(app->client), .events = (short)lwa_client_get_events(app->client)},
    };
    for (;;) {
        uint64_t n;
        int r;
        /* Each call with the handle can change the time-out: ask for it right before waiting. */
        if (poll(fds, 3, lwa_client_get_timeout(app->client)) < 0 && errno != EINTR)
            return -errno;
        if (fds[0].revents)
            return 0;
        if (fds[1].revents && read(ticks, &n, sizeof(n)) == (ssize_t)sizeof(n) && (r = on_tick(app)) < 0)
            return r;
        /* Also when only the time-out is over; it does no harm when there is nothing to do. */
        r = lwa_client_dispatch(app->client);
        if (r < 0)
            return r;
    }
}

int main(void)
{
    struct app app = {0};
    int signals = open_signals(), ticks = open_ticks();
    int r = signals < 0 || ticks < 0 ? -errno : lwa_client_new(&app.client);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (r == 0) {
        lwa_client_on_revoked(app.client, on_revoked, &app);
        r = run(&app, signals, ticks);
    }
    if (r < 0)
        fprintf(stderr, "%s\n", strerror(-r));
    lwa_client_free(app.client);
    (void)close(ticks);
    (void)close(signals);
    return r < 0 ? 1 : 0;
}
