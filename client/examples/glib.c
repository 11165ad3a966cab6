/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The library in GLib's main loop, which GTK programs have: a GSource of the library's descriptor and
 * time-out.
 *
 *     cc glib.c -o glib $(pkg-config --cflags --libs lwa-client glib-2.0) */

#include <lwa-client.h>

#include <glib-unix.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#define SCOPE "music::library:read"

/* --- what any app needs to have the library in GLib's loop --- */

struct lwa_source {
    GSource source;
    struct lwa_client *client;
    gpointer tag; /* of the descriptor */
};

static gboolean lwa_source_prepare(GSource *source, gint *timeout)
{
    *timeout = lwa_client_get_timeout(((struct lwa_source *)source)->client);
    return *timeout == 0;
}

static gboolean lwa_source_check(GSource *source)
{
    const struct lwa_source *s = (struct lwa_source *)source;
    return g_source_query_unix_fd(source, s->tag) != 0 || lwa_client_get_timeout(s->client) == 0;
}

static gboolean lwa_source_dispatch(GSource *source, GSourceFunc callback, gpointer userdata)
{
    (void)callback;
    (void)userdata;
    if (lwa_client_dispatch(((struct lwa_source *)source)->client) < 0)
        g_warning("lwa_client_dispatch failed");
    return G_SOURCE_CONTINUE;
}

/* The source has to be destroyed before the client is freed. GLib keeps the pointer to `functions`. */
static GSource *lwa_source_new(struct lwa_client *client, GSourceFuncs *functions)
{
    GSource *source = g_source_new(functions, sizeof(struct lwa_source));
    struct lwa_source *s = (struct lwa_source *)source;
    s->client = client;
    s->tag = g_source_add_unix_fd(source, lwa_client_get_fd(client), G_IO_IN);
    return source;
}

/* --- the app --- */

struct app {
    struct lwa_client *client;
    char token_id[128];
};

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

static gboolean on_tick(gpointer userdata)
{
    struct app *app = userdata;
    if (lwa_client_start_get_token(app->client, SCOPE, NULL, 0, on_token, app, NULL) < 0)
        g_warning("could not ask for a token");
    return G_SOURCE_CONTINUE;
}

static void on_revoked(struct lwa_client *client, const char *token_id, const char *reason, void *userdata)
{
    struct app *app = userdata;
    (void)client;
    printf("revoked %s: %s\n", token_id, reason);
    app->token_id[0] = '\0';
}

static gboolean on_signal(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

int main(void)
{
    GSourceFuncs functions = {lwa_source_prepare, lwa_source_check, lwa_source_dispatch, NULL, NULL, NULL};
    struct app app = {0};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (lwa_client_new(&app.client) < 0)
        return 1;
    lwa_client_on_revoked(app.client, on_revoked, &app);

    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    GSource *source = lwa_source_new(app.client, &functions);
    (void)g_source_attach(source, NULL);
    (void)g_timeout_add(1000, on_tick, &app);
    (void)on_tick(&app);
    (void)g_unix_signal_add(SIGINT, on_signal, loop);
    (void)g_unix_signal_add(SIGTERM, on_signal, loop);
    g_main_loop_run(loop);

    g_source_destroy(source);
    g_source_unref(source);
    g_main_loop_unref(loop);
    lwa_client_free(app.client);
    return 0;
}
