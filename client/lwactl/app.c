/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/app.h"

#include "client/lwactl/advice.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "util/utf8.h"

#include <string.h>

int app_open(const struct arguments *arguments, struct lwa_client **ret)
{
    int r = lwa_client_new(ret);
    if (r < 0)
        return report(CTL_FAILED, "cannot speak to the bus: %s", strerror(-r));
    lwa_client_set_interactive(*ret, bus_may_ask(arguments));
    return CTL_OK;
}

static bool is_text(const char *value)
{
    return !value || utf8_is_valid(value, strlen(value));
}

int app_scopes(const struct arguments *arguments, const struct strv *scopes, char **ret)
{
    static const enum ctl_option sent[] = {OPTION_ACCOUNT, OPTION_LABEL, OPTION_LOCALE, OPTION_REDIRECT_URI,
                                           OPTION_SCOPE_DATA};
    _cleanup_free_ char *joined = strv_join(scopes, " ");
    if (!joined)
        return report(CTL_FAILED, "out of memory");
    bool is_good = is_text(joined);
    for (size_t i = 0; i < ARRAY_SIZE(sent); i++)
        is_good = is_good && is_text(arguments->values[sent[i]]);
    if (!is_good)
        return report(CTL_USAGE, "an argument is not valid UTF-8");
    *ret = TAKE_PTR(joined);
    return CTL_OK;
}

static int report_bad_answer(const struct lwa_error *error)
{
    (void)report(CTL_FAILED, "%s", lwa_error_get_message(error));
    report_hint("%s", outcome_of_error(BUS_E_NOT_SUPPORTED)->hint);
    return CTL_FAILED;
}

/* An error of the library's own; the words are those that lwactl has for the same thing elsewhere. */
static int report_own(const struct lwa_error *error, const struct arguments *arguments)
{
    _cleanup_bus_ struct bus bus = {NULL};
    if (lwa_error_is(error, "NoBroker"))
        return bus_report(DBUS_ERROR_SERVICE_UNKNOWN, NULL, NULL);
    if (lwa_error_is(error, "NoReply"))
        return bus_report(DBUS_ERROR_NO_REPLY, NULL, NULL);
    if (lwa_error_is(error, "BadAnswer"))
        return report_bad_answer(error);
    if (lwa_error_is(error, "NoBus") && bus_open(arguments, &bus) != CTL_OK) /* it knows why */
        return CTL_NO_BROKER;
    int code = CTL_FAILED;
    if (lwa_error_is(error, "NoBus"))
        code = CTL_NO_BROKER;
    else if (lwa_error_is(error, "BadArgument"))
        code = CTL_USAGE;
    return report(code, "%s", lwa_error_get_message(error));
}

/* A connection of its own for the advice, made only where there can be one. */
int app_report(const struct lwa_error *error, const struct arguments *arguments,
               const struct bus_context *context)
{
    static const char own_prefix[] = "org.lwabroker.Client.Error.";
    _cleanup_bus_ struct bus bus = {NULL};
    const char *name = lwa_error_get_name(error), *message = lwa_error_get_message(error);
    if (strncmp(name, own_prefix, strlen(own_prefix)) == 0)
        return report_own(error, arguments);
    bool is_open = context && context->is_app && advice_exists(bus_error_from_name(name)) &&
                   bus_try_open(arguments, &bus);
    return bus_report_with(is_open ? &bus : NULL, name, message, context);
}
