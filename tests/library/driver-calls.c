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

static struct started *new_started(struct driver *d, unsigned id)
{
    struct started *started = calloc(1, sizeof(*started));
    if (started)
        *started = (struct started){.driver = d, .id = id};
    return started;
}

static int start(struct driver *d, unsigned id, const char *scope)
{
    _cleanup_message_ DBusMessage *m = NULL;
    int r = client_check(d->client);
    if (r == 0 && scope)
        r = new_call(d, "CheckScopes", scope, &m);
    if (r < 0)
        return r;
    struct started *started = new_started(d, id);
    if (!started)
        return -ENOMEM;
    return m ? call_start(d->client, m, "a{ss}", on_done, started, free, &d->requests[id])
             : call_start_nothing(d->client, on_done, started, free, &d->requests[id]);
}

void driver_start(struct driver *d, char *argument)
{
    char *scope = NULL;
    unsigned id = (unsigned)strtoul(argument, &scope, 10) % REQUESTS_MAX;
    say("started %u %d", id, start(d, id, scope + 1));
}

void driver_nothing(struct driver *d, char *argument)
{
    unsigned id = (unsigned)strtoul(argument, NULL, 10) % REQUESTS_MAX;
    say("started %u %d", id, start(d, id, NULL));
}

void driver_cancel(struct driver *d, char *argument)
{
    unsigned id = (unsigned)strtoul(argument, NULL, 10) % REQUESTS_MAX;
    lwa_request_cancel(d->requests[id]);
    d->requests[id] = NULL;
    say("cancelled %u", id);
}
