/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The first call of a connection, by an app whose user the broker has never seen: connect, GetToken with two
 * scopes, with all that is done once (who calls, what polkit says, the durable record), and its parts. Each
 * part is measured by itself beside every call, in turns, so that what the machine does otherwise falls on
 * all of them:
 *
 *   connect      to the bus, with Hello
 *   identity     ReleaseTokens on a fresh connection, less a second one: it needs the caller and nothing else
 *     credentials    GetConnectionCredentials, asked of the bus by root
 *     name_service   the user's name, looked up by the app itself
 *     identd         the rest of it: the look at /proc by a process of its own
 *   polkit       the checks that the broker makes, made by root about the same connection, all at once
 *   store        the call, less that of another fresh connection: this app has its record then
 *   rest         what is left: the call itself, the bus, the descriptor
 *
 * `own` is the total less polkit. As root. */

#include "tests/bench/bench.h"

#include "dbus/names.h"

#include <string.h>

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define CALL_TIMEOUT_MSEC 30000

/* Two scopes, and the device's account. */
static const char *const actions[] = {
    "org.lwabroker.scope.music.library.read",
    "org.lwabroker.scope.music.playback",
    "org.lwabroker.device.use",
};

enum part { CONNECT, IDENTITY, CREDENTIALS, NAME_SERVICE, POLKIT, STORE, TOTAL, OWN, PARTS };

/* --- what root measures -----------------------------------------------------------------------------------
 */

static void append_pair(DBusMessageIter *dict, const char *key, const char *value)
{
    DBusMessageIter entry;
    if (!dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry) ||
        !dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key) ||
        !dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &value) ||
        !dbus_message_iter_close_container(dict, &entry))
        die("no memory");
}

static void append_subject(DBusMessageIter *args, const char *name)
{
    DBusMessageIter subject, dict, entry, variant;
    const char *kind = "system-bus-name", *key = "name";
    if (!dbus_message_iter_open_container(args, DBUS_TYPE_STRUCT, NULL, &subject) ||
        !dbus_message_iter_append_basic(&subject, DBUS_TYPE_STRING, &kind) ||
        !dbus_message_iter_open_container(&subject, DBUS_TYPE_ARRAY, "{sv}", &dict) ||
        !dbus_message_iter_open_container(&dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry) ||
        !dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key) ||
        !dbus_message_iter_open_container(&entry, DBUS_TYPE_VARIANT, "s", &variant) ||
        !dbus_message_iter_append_basic(&variant, DBUS_TYPE_STRING, &name) ||
        !dbus_message_iter_close_container(&entry, &variant) ||
        !dbus_message_iter_close_container(&dict, &entry) ||
        !dbus_message_iter_close_container(&subject, &dict) ||
        !dbus_message_iter_close_container(args, &subject))
        die("no memory");
}

/* With as many details as the broker gives. */
static DBusMessage *new_check(const char *name, const char *action)
{
    static const char *const keys[] = {"app",   "app_kind", "strength", "pinned",  "exe",   "account",
                                       "owner", "scopes",   "verdict",  "consent", "table", "scope"};
    DBusMessage *message =
        dbus_message_new_method_call(POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization");
    if (!message)
        die("no memory");
    DBusMessageIter args, details;
    dbus_uint32_t flags = 0;
    const char *cancellation = "";
    dbus_message_iter_init_append(message, &args);
    append_subject(&args, name);
    if (!dbus_message_iter_append_basic(&args, DBUS_TYPE_STRING, &action) ||
        !dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "{ss}", &details))
        die("no memory");
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        append_pair(&details, keys[i], "allow");
    if (!dbus_message_iter_close_container(&args, &details) ||
        !dbus_message_iter_append_basic(&args, DBUS_TYPE_UINT32, &flags) ||
        !dbus_message_iter_append_basic(&args, DBUS_TYPE_STRING, &cancellation))
        die("no memory");
    return message;
}

static double timed_checks(DBusConnection *root, const char *name)
{
    DBusPendingCall *pending[ARRAY_SIZE(actions)];
    double before = precise_usec();
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        DBusMessage *check = new_check(name, actions[i]);
        if (!dbus_connection_send_with_reply(root, check, &pending[i], CALL_TIMEOUT_MSEC) || !pending[i])
            die("no memory");
        dbus_message_unref(check);
    }
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        dbus_pending_call_block(pending[i]);
        DBusMessage *reply = dbus_pending_call_steal_reply(pending[i]);
        if (!dbus_message_has_signature(reply, "(bba{ss})"))
            die("polkit answered a check with %s", dbus_message_get_error_name(reply));
        dbus_message_unref(reply);
        dbus_pending_call_unref(pending[i]);
    }
    return precise_usec() - before;
}

static double timed_credentials(DBusConnection *root, const char *name)
{
    DBusMessage *message = dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS,
                                                        DBUS_INTERFACE_DBUS, "GetConnectionCredentials");
    if (!message || !dbus_message_append_args(message, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID))
        die("no memory");
    return timed_message(root, TARGET_PING, message);
}

/* --- one app ----------------------------------------------------------------------------------------------
 */

static double reconnect(struct app *app)
{
    (void)app_do(app, APP_DISCONNECT);
    return app_do(app, APP_CONNECT);
}

static void measure_app(DBusConnection *root, struct app *app, bool polkit_first, double *ret)
{
    char name[APP_NAME_BYTES];
    /* What a process does once in its life is not the broker's. */
    (void)app_do(app, APP_CONNECT);
    (void)app_do(app, APP_LOOK_UP_USER);
    ret[NAME_SERVICE] = app_do(app, APP_LOOK_UP_USER);
    (void)app_do(app, APP_DISCONNECT);

    ret[CONNECT] = app_do_named(app, APP_CONNECT, name);
    ret[CREDENTIALS] = timed_credentials(root, name);
    if (polkit_first)
        ret[POLKIT] = timed_checks(root, name);
    double call = app_do(app, APP_CALL_TWO_SCOPES);
    if (!polkit_first)
        ret[POLKIT] = timed_checks(root, name);

    (void)reconnect(app);
    double identified = app_do(app, APP_RELEASE);
    ret[IDENTITY] = identified - app_do(app, APP_RELEASE);
    (void)reconnect(app);
    ret[STORE] = call - app_do(app, APP_CALL_TWO_SCOPES);

    ret[TOTAL] = ret[CONNECT] + call;
    ret[OWN] = ret[TOTAL] - ret[POLKIT];
}

/* Medians, so that the parts add up. */
static void report(struct samples *samples)
{
    double p50[PARTS];
    for (int part = 0; part < PARTS; part++)
        p50[part] = samples_quantile(&samples[part], 0.5);
    samples_report("first_call", &samples[TOTAL]);
    figures_add("first_call_own_ms", p50[OWN] / 1000);
    figures_add("first_call_connect_us", p50[CONNECT]);
    figures_add("first_call_identity_us", p50[IDENTITY]);
    figures_add("first_call_identity_credentials_us", p50[CREDENTIALS]);
    figures_add("first_call_identity_name_service_us", p50[NAME_SERVICE]);
    figures_add("first_call_identity_identd_us", p50[IDENTITY] - p50[CREDENTIALS] - p50[NAME_SERVICE]);
    figures_add("first_call_polkit_us", p50[POLKIT]);
    figures_add("first_call_store_us", p50[STORE]);
    figures_add("first_call_rest_us", p50[TOTAL] - p50[CONNECT] - p50[IDENTITY] - p50[POLKIT] - p50[STORE]);
}

void measure_first_calls(const char *address, unsigned first_uid, unsigned n)
{
    struct samples samples[PARTS] = {{.n = 0}};
    DBusConnection *root = connect_to(address);
    for (unsigned i = 0; i < n; i++) {
        double parts[PARTS] = {0};
        struct app *app = app_start(address, first_uid + i);
        measure_app(root, app, i % 2 == 0, parts);
        app_end(app);
        for (int part = 0; part < PARTS; part++)
            samples_add(&samples[part], parts[part]);
    }
    disconnect(root);
    report(samples);
    for (int part = 0; part < PARTS; part++)
        samples_clear(&samples[part]);
}
