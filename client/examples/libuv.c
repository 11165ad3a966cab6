/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The library in libuv's loop. Four handles do it: one polls the descriptor, one is the library's time-out,
 * one sets that anew before each wait, and the app's own timer asks for a token each second.
 *
 *     cc libuv.c -o libuv $(pkg-config --cflags --libs lwa-client libuv) */

#include <lwa-client.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define SCOPE "music::library:read"

struct app {
    struct lwa_client *client;
    uv_loop_t loop;
    uv_poll_t poll;       /* of the library's descriptor */
    uv_timer_t timeout;   /* of the library's time-out */
    uv_prepare_t prepare; /* before each wait */
    uv_timer_t tick;      /* the app's own work */
    uv_signal_t interrupt, terminate;
    char token_id[128];
};

/* --- what any app needs to have the library in a loop of libuv --- */

static void on_due(struct app *app)
{
    int r = lwa_client_dispatch(app->client);
    if (r < 0)
        fprintf(stderr, "dispatch: %s\n", strerror(-r));
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    on_due(handle->data);
}

static void on_timeout(uv_timer_t *handle)
{
    on_due(handle->data);
}

/* Each call with the handle can change its time-out, and any callback of the loop may have made some. */
static void before_wait(uv_prepare_t *handle)
{
    struct app *app = handle->data;
    int timeout_msec = lwa_client_get_timeout(app->client);
    uv_update_time(&app->loop);
    if (timeout_msec < 0)
        (void)uv_timer_stop(&app->timeout);
    else
        (void)uv_timer_start(&app->timeout, on_timeout, (uint64_t)timeout_msec, 0);
}

static int attach(struct app *app)
{
    int r = uv_poll_init(&app->loop, &app->poll, lwa_client_get_fd(app->client));
    if (r == 0)
        r = uv_timer_init(&app->loop, &app->timeout);
    if (r == 0)
        r = uv_prepare_init(&app->loop, &app->prepare);
    if (r < 0)
        return r;
    app->poll.data = app->timeout.data = app->prepare.data = app;
    r = uv_poll_start(&app->poll, UV_READABLE, on_readable);
    return r < 0 ? r : uv_prepare_start(&app->prepare, before_wait);
}

/* --- the app --- */

static void on_token(struct lwa_client *client, int result, struct lwa_token *token,
                     const struct lwa_error *error, void *userdata)
{
    struct app *app = userdata;
    (void)client;
    if (result < 0)
        printf("no token: %s %s\n", lwa_error_get_message(error), lwa_error_get_hint(error));
    else if (strcmp(app->token_id, lwa_token_get_id(token)) != 0) {
        (void)snprintf(app->token_id, sizeof(app->token_id), "%s", lwa_token_get_id(token));
        printf("token %s, %u s left\n", app->token_id, lwa_token_get_expires_in(token));
    }
}

static void ask(struct app *app)
{
    int r = lwa_client_start_get_token(app->client, SCOPE, NULL, 0, on_token, app, NULL);
    if (r < 0)
        fprintf(stderr, "could not ask: %s\n", strerror(-r));
}

static void on_tick(uv_timer_t *handle)
{
    ask(handle->data);
}

static void on_revoked(struct lwa_client *client, const char *token_id, const char *reason, void *userdata)
{
    struct app *app = userdata;
    (void)client;
    printf("revoked %s: %s\n", token_id, reason);
    app->token_id[0] = '\0';
}

/* Somebody has logged in or out, or the broker has come back: what was refused may be given now. */
static void on_changed(struct lwa_client *client, void *userdata)
{
    (void)client;
    printf("changed\n");
    ask(userdata);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

static int start(struct app *app)
{
    int r = uv_timer_init(&app->loop, &app->tick);
    if (r == 0)
        r = uv_signal_init(&app->loop, &app->interrupt);
    if (r == 0)
        r = uv_signal_init(&app->loop, &app->terminate);
    if (r < 0)
        return r;
    app->tick.data = app;
    r = uv_timer_start(&app->tick, on_tick, 0, 1000);
    if (r == 0)
        r = uv_signal_start(&app->interrupt, on_signal, SIGINT);
    return r < 0 ? r : uv_signal_start(&app->terminate, on_signal, SIGTERM);
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    uv_close(handle, NULL);
}

int main(void)
{
    struct app app = {0};
    int r = lwa_client_new(&app.client);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (r < 0 || uv_loop_init(&app.loop) < 0)
        return 1;
    lwa_client_on_revoked(app.client, on_revoked, &app);
    lwa_client_on_changed(app.client, on_changed, &app);
    r = attach(&app);
    if (r == 0)
        r = start(&app);
    if (r == 0)
        r = uv_run(&app.loop, UV_RUN_DEFAULT);
    /* The loop must not poll the descriptor any more when the library closes it. */
    uv_walk(&app.loop, close_handle, NULL);
    (void)uv_run(&app.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&app.loop);
    lwa_client_free(app.client);
    return r < 0 ? 1 : 0;
}
