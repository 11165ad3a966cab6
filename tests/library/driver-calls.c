/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/library/driver.h"

#include "client/library/call.h"
#include "dbus/names.h"
#include "dbus/writer.h"

#include <string.h>

static int new_call(struct driver *d, const char *member, const char *scope, DBusMessage **ret)
{
    int r = call_new(d->client, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, member, ret);
    if (r < 0)
        return r;
    struct writer w;
    writer_begin(&w, *ret);
    writer_open(&w, DBUS_TYPE_ARRAY, "s");
    writer_string(&w, scope);
    writer_close(&w);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_close(&w);
    return call_end(d->client, &w);
}

static const char *word(int r, const struct lwa_error *error)
{
    return r < 0 ? strrchr(lwa_error_get_name(error), '.') + 1 : "-";
}

static void ask(struct driver *d, const char *member, const char *signature, const char *scope)
{
    _cleanup_message_ DBusMessage *m = NULL;
    _cleanup_message_ DBusMessage *reply = NULL;
    int r = client_check(d->client);
    if (r == 0)
        r = new_call(d, member, scope, &m);
    if (r == 0)
        r = call_wait(d->client, m, signature, &reply);
    say("%s %d %s", strcmp(member, "GetToken") == 0 ? "token" : "check", r,
        word(r, lwa_client_get_error(d->client)));
}

void driver_check(struct driver *d, char *argument)
{
    ask(d, "CheckScopes", "a{ss}", argument);
}

void driver_token(struct driver *d, char *argument)
{
    ask(d, "GetToken", "ha{sv}", argument);
}

/* --- without waiting ----------------------------------------------------------------------------------- */

struct started {
    struct driver *driver;
    unsigned id;
};

static void on_done(struct lwa_client *client _unused_, int result, DBusMessage *reply,
                    const struct lwa_error *error, void *userdata)
{
    struct started *started = userdata;
    bool is_whole = (result == 0) == (error == NULL) && (result == 0 || reply == NULL);
    say("done %u %d %s%s", started->id, result, word(result, error), is_whole ? "" : " BROKEN");
    /* It cancels itself if it is told to: that must be harmless. */
    driver_then(started->driver);
    started->driver->requests[started->id] = NULL;
}

static struct started *new_started(struct driver *d, char *argument, char **ret_rest)
{
    struct started *started = calloc(1, sizeof(*started));
    started->driver = d;
    started->id = (unsigned)strtoul(argument, ret_rest, 10) % REQUESTS_MAX;
    return started;
}

void driver_start(struct driver *d, char *argument)
{
    _cleanup_message_ DBusMessage *m = NULL;
    char *scope = NULL;
    struct started *started = new_started(d, argument, &scope);
    unsigned id = started->id;
    int r = client_check(d->client);
    if (r == 0)
        r = new_call(d, "CheckScopes", scope + 1, &m);
    if (r < 0)
        free(started);
    else
        r = call_start(d->client, m, "a{ss}", on_done, started, free, &d->requests[id]);
    say("started %u %d", id, r);
}

void driver_nothing(struct driver *d, char *argument)
{
    char *rest = NULL;
    struct started *started = new_started(d, argument, &rest);
    unsigned id = started->id;
    say("started %u %d", id, call_start_nothing(d->client, on_done, started, free, &d->requests[id]));
}

void driver_cancel(struct driver *d, char *argument)
{
    unsigned id = (unsigned)strtoul(argument, NULL, 10) % REQUESTS_MAX;
    lwa_request_cancel(d->requests[id]);
    d->requests[id] = NULL;
    say("cancelled %u", id);
}
