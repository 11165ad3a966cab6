/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/advice.h"

#include "client/lwactl/terminal.h"
#include "client/lwactl/values.h"
#include "dbus/names.h"

#include <string.h>

/* The broker refuses sandboxed callers here, and writes it on the trail. */
static bool is_sandboxed(void)
{
    return access("/.flatpak-info", F_OK) == 0 || getenv("SNAP");
}

/* The chain of the caller's own app, or NULL. */
static struct json_object *explain_own(struct bus *bus, const struct bus_context *context)
{
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    struct json_object *chain = NULL;
    struct writer w;
    if (is_sandboxed() || bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_POLICY, "Explain", &call) != 0)
        return NULL;
    writer_begin(&w, call);
    writer_string(&w, "");
    writer_strv(&w, context->scopes);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    if (context->account)
        writer_entry_string(&w, "account", context->account);
    writer_close(&w);
    if (writer_end(&w) == 0)
        reply = bus_try(bus, call, "a{sv}");
    return reply && values_from_message(reply, 0, VALUES_SAFE, &chain) == 0 ? chain : NULL;
}

/* The scopes that consent is missing for: more than what was asked, when the token would carry more. */
static char *join_asking(struct json_object *chain)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    struct json_object *scopes = values_list(chain, "scopes");
    for (size_t i = 0; i < values_count(scopes); i++) {
        struct json_object *scope = values_item(scopes, i);
        if (strcmp(values_text(scope, "verdict"), "ask") == 0 &&
            strv_add(&names, values_text(scope, "scope")) < 0)
            return NULL;
    }
    return strv_join(&names, " ");
}

/* " --account ID" and " --device", as far as the account needs them. */
static char *account_options(struct json_object *chain, const struct bus_context *context, bool with_device)
{
    char *text;
    bool is_device = with_device && strcmp(values_text(chain, "owner"), "device") == 0;
    if (asprintf(&text, "%s%s%s", context->account ? " --account " : "",
                 context->account ? context->account : "", is_device ? " --device" : "") < 0)
        return NULL;
    return text;
}

static void print_consent(struct json_object *chain, const struct bus_context *context, const char *why)
{
    _cleanup_free_ char *asking = join_asking(chain), *options = account_options(chain, context, true);
    if (asking && *asking && options)
        report_hint(
            "agree with `lwactl consent allow %s %s%s`, or run it from a terminal or with --interactive, "
            "where polkit can ask; %s says why",
            values_text(chain, "app"), asking, options, why);
    else
        report_hint("run it from a terminal or with --interactive, where polkit can ask; %s says why", why);
}

bool advice_is_about_device(struct bus *bus, const struct bus_context *context)
{
    _cleanup_json_ struct json_object *chain = explain_own(bus, context);
    return strcmp(values_text(chain, "owner"), "device") == 0;
}

bool advice_exists(enum bus_error error)
{
    return error == BUS_E_ACCESS_DENIED || error == BUS_E_CONSENT_REQUIRED ||
           error == BUS_E_NARROWER_LOGIN_REQUIRED;
}

bool advice_print(struct bus *bus, enum bus_error error, const struct bus_context *context)
{
    if (!advice_exists(error))
        return false;
    _cleanup_json_ struct json_object *chain = explain_own(bus, context);
    const char *app = values_text(chain, "app");
    _cleanup_free_ char *scopes = strv_join(context->scopes, " ");
    _cleanup_free_ char *options = account_options(chain, context, false), *why = NULL;
    if (!*app || !scopes || !options)
        return false;
    if (asprintf(&why, "`lwactl explain %s %s%s`", app, scopes, options) < 0) {
        why = NULL; /* asprintf() leaves it undefined */
        return false;
    }
    if (error == BUS_E_ACCESS_DENIED)
        report_hint("%s says why, and what to do", why);
    else if (error == BUS_E_CONSENT_REQUIRED)
        print_consent(chain, context, why);
    else
        report_hint("%s says which logins are too wide, `lwactl plan` which are missing", why);
    return true;
}
