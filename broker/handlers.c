/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/handlers.h"

#include "broker/account.h"
#include "broker/broker.h"

static bool find_argument(struct call *call, unsigned index, DBusMessageIter *ret)
{
    if (!dbus_message_iter_init(call->message, ret))
        return false;
    for (unsigned i = 0; i < index; i++)
        if (!dbus_message_iter_next(ret))
            return false;
    return true;
}

bool handlers_read_options(struct call *call, unsigned index, struct reader_option *options, size_t n)
{
    DBusMessageIter dict;
    const char *name = "";
    int r = find_argument(call, index, &dict) ? reader_options(&dict, options, n, &name) : READER_E_TYPE;
    if (r == 0)
        return true;
    const char *quoted = reader_is_plain(name) ? name : "(not printable)";
    if (r == READER_E_UNKNOWN)
        call_fail(call, BUS_E_INVALID_ARGUMENT, "The option \"%s\" is not known; see the Features property.",
                  quoted);
    else if (r == READER_E_TWICE)
        call_fail(call, BUS_E_INVALID_ARGUMENT, "The option \"%s\" is given twice.", quoted);
    else if (r < 0)
        call_fail_no_memory(call);
    else
        call_fail(call, BUS_E_INVALID_ARGUMENT, "The option \"%s\" has another type or too many elements.",
                  quoted);
    return false;
}

static void fail_unlisted(struct call *call, const char *name)
{
    const char *nearest = catalogue_nearest(call->broker->catalogue, name);
    if (nearest)
        call_fail(call, BUS_E_INVALID_SCOPE,
                  "The scope %s is in no catalogue; the nearest is %s. An administrator can add scopes in "
                  "scopes.d.",
                  name, nearest);
    else
        call_fail(call, BUS_E_INVALID_SCOPE,
                  "The scope %s is in no catalogue; an administrator can add it in scopes.d.", name);
}

static bool find_scopes(struct call *call, const struct strv *names, struct scope_set *ret)
{
    struct broker *broker = call->broker;
    struct scope_set set = SCOPE_SET_EMPTY;
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->items[i];
        if (!scope_token_is_valid(name)) {
            call_fail(call, BUS_E_INVALID_SCOPE,
                      "Scope number %zu is malformed: a scope is 1 to 128 printable ASCII characters without "
                      "blank, quote and backslash.",
                      i + 1);
            return false;
        }
        int index = catalogue_find(broker->catalogue, name);
        if (index < 0) {
            fail_unlisted(call, name);
            return false;
        }
        scope_set_add(&set, index);
    }
    *ret = set;
    return true;
}

bool handlers_check_scope(struct call *call, const char *scope)
{
    if (!scope_token_is_valid(scope))
        call_fail(
            call, BUS_E_INVALID_SCOPE,
            "The scope is malformed: a scope is 1 to 128 printable ASCII characters without blank, quote "
            "and backslash.");
    else if (catalogue_find_known(call->broker->catalogue, scope) < 0)
        fail_unlisted(call, scope);
    else
        return true;
    return false;
}

bool handlers_read_scopes(struct call *call, unsigned index, struct scope_set *ret)
{
    DBusMessageIter array;
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    unsigned max = call->broker->config->limits.scopes_per_call;
    int r = find_argument(call, index, &array) ? reader_strv(&array, max, &names) : READER_E_TYPE;
    if (r < 0) {
        call_fail_no_memory(call);
        return false;
    }
    if (r != 0 || names.n == 0) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "Ask for 1 to %u scopes.", max);
        return false;
    }
    return find_scopes(call, &names, ret);
}

void handlers_fail_foreign(struct call *call, const struct account *account)
{
    call_fail(
        call, BUS_E_PROVIDER_MISCONFIGURED,
        "The login of account %s was made with another client id or provider than broker.conf names now; "
        "log in again (lwactl login), or let an administrator change it back.",
        account->id);
}

static void fail_misconfigured(struct call *call, const struct grant *grant)
{
    if (renewal_is_foreign(grant))
        handlers_fail_foreign(call, grant->account);
    else
        call_fail(call, BUS_E_PROVIDER_MISCONFIGURED,
                  "The provider refuses this device's client id; an administrator must look at client_id in "
                  "broker.conf.");
}

void handlers_fail_renewal(struct call *call, const struct grant *grant, enum renewal_result result)
{
    switch (grant ? result : RENEWAL_DEAD) {
    case RENEWAL_OK:
    case RENEWAL_DEAD:
        call_fail(call, BUS_E_LOGIN_REQUIRED,
                  "The login behind this token is over; log in again: lwactl login.");
        break;
    case RENEWAL_MISCONFIGURED:
        fail_misconfigured(call, grant);
        break;
    case RENEWAL_STORE:
        call_fail(call, BUS_E_STORE_UNAVAILABLE,
                  "The login store cannot be written, so no renewal is made; see `lwactl status`.");
        break;
    case RENEWAL_UNAVAILABLE:
        call_fail(call, BUS_E_PROVIDER_UNAVAILABLE, "%s; the next try is due in %u s.",
                  renewal_trouble_text(grant), renewal_next_try_sec(grant));
        break;
    }
}
