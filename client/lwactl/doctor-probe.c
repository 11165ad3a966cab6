/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lwactl doctor --probe-narrowing: whether a refresh that names fewer scopes gives a narrower token, which
 * Amazon does not say. The broker tries it with one login, and tells what came of it. */

#include "client/lwactl/bus.h"
#include "client/lwactl/confirm.h"
#include "client/lwactl/doctor.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/terminal.h"
#include "dbus/names.h"

#include <string.h>

static const char question[] = "This makes one real refresh of a login, with fewer scopes than it carries. "
                               "The login stays as it is, as far "
                               "as is known. Go on?";

/* What it means, and what to do. */
static const struct {
    const char *outcome;
    const char *meaning;
    const char *advice;
} outcomes[] = {
    {"narrows",
     "The provider narrows: a refresh that names fewer scopes gives a token that carries only those.",
     "`narrows_on_refresh = yes` in [provider] of broker.conf is true of this provider."},
    {"ignores", "The provider ignores the scopes of a refresh: the token carried all that the login carries.",
     "Leave `narrows_on_refresh = no`. An app that may hold less than a login carries needs a login of its "
     "own; "
     "`lwactl plan` says which."},
    {"refuses", "The provider refuses a refresh that names fewer scopes.",
     "Leave `narrows_on_refresh = no`. The login goes on as before; `lwactl plan` says which logins the apps "
     "need."},
    {"unclear", "It could not be found out.",
     "Leave `narrows_on_refresh = no`, and try again later; `lwactl status` shows how the login is doing."},
};

static int call_broker(const struct arguments *arguments, DBusMessage **ret)
{
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *call = NULL;
    const char *account = arguments->values[OPTION_ACCOUNT], *user = arguments->values[OPTION_USER];
    int r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_STATUS, "ProbeNarrowing", &call);
    if (r != CTL_OK)
        return r;
    struct writer w;
    writer_begin(&w, call);
    writer_string(&w, account ? account : "");
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    if (user)
        writer_entry_string(&w, "user", user);
    writer_close(&w);
    r = bus_end_arguments(&w);
    return r == CTL_OK ? bus_call(&bus, call, "a{sv}", &(struct bus_context){.account = account}, ret) : r;
}

static void show(struct json_object *result)
{
    struct terminal t = terminal_get();
    const char *outcome = values_text(result, "outcome"), *detail = values_text(result, "detail");
    bool is_configured = values_flag(result, "configured");
    (void)printf("%s%s%s%s\n", outcome, *detail ? " (" : "", detail, *detail ? ")" : "");
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
        if (strcmp(outcomes[i].outcome, outcome) == 0) {
            paragraph_print(&t, "", outcomes[i].meaning, stdout);
            paragraph_print(&t, "-> ", outcomes[i].advice, stdout);
        }
    if (is_configured && strcmp(outcome, "narrows") != 0)
        paragraph_print(&t, "-> ", "broker.conf says `narrows_on_refresh = yes`: take that back.", stdout);
}

int doctor_probe_narrowing(const struct arguments *arguments)
{
    bool as_json = arguments->given[OPTION_JSON];
    _cleanup_message_ DBusMessage *reply = NULL;
    _cleanup_json_ struct json_object *result = NULL;
    int r = arguments->given[OPTION_YES] ? CTL_OK : confirm(question, "make a refresh", "Nothing was tried.");
    if (r == CTL_OK)
        r = call_broker(arguments, &reply);
    if (r != CTL_OK)
        return r;
    r = values_from_message(reply, 0, as_json ? VALUES_EXACT : VALUES_SAFE, &result);
    if (r == 0 && as_json)
        r = values_print(result, true, stdout);
    else if (r == 0)
        show(result);
    if (r < 0)
        return report(CTL_FAILED, "out of memory");
    return strcmp(values_text(result, "outcome"), "unclear") == 0 ? CTL_FAILED : CTL_OK;
}
