/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/account.h"
#include "broker/audit1.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/peer.h"

#include <sodium.h>
#include <string.h>

/* The filter of Query: every option of it is checked, since one that says nothing would show more than was
 * asked for. */

struct options {
    dbus_bool_t is_newest, is_own, is_waiting;
    const char *app, *user, *account, *scope, *event, *verdict, *token;
    dbus_int64_t since_sec, until_sec;
};

static bool is_text(const char *s, size_t size)
{
    return s[0] != '\0' && strlen(s) < size;
}

static bool is_verdict(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");
    return is_text(s, AUDIT_VERDICT_SIZE) && s[n] == '\0';
}

static bool read_token(const char *hex, struct audit_filter *f)
{
    size_t n = 0;
    f->has_fingerprint =
        strlen(hex) == 2 * sizeof(f->fingerprint) &&
        sodium_hex2bin(f->fingerprint, sizeof(f->fingerprint), hex, strlen(hex), NULL, &n, NULL) == 0 &&
        n == sizeof(f->fingerprint);
    return f->has_fingerprint;
}

static const char *find_fault(const struct options *o)
{
    if (o->app && !is_text(o->app, IDENTITY_APP_SIZE))
        return "app is the name of an app, such as user:musicd.";
    if (o->user && (!is_text(o->user, IDENTITY_USER_SIZE) || !reader_is_plain(o->user)))
        return "user is the name or the number of a user.";
    if (o->account && !account_id_is_valid(o->account))
        return "account is an account's id, 1 to 32 of a-z, 0-9 and -.";
    if (o->scope && !scope_token_is_valid(o->scope))
        return "scope is one scope, 1 to 128 printable ASCII characters without blank, quote and backslash.";
    if (o->event && audit_event_from_name(o->event) < 0)
        return "event is none that there is; lwa-broker-audit(5) lists them.";
    if (o->verdict && !is_verdict(o->verdict))
        return "verdict is allow, ask, deny or the name of an error.";
    if (o->is_waiting && o->is_newest)
        return "wait and newest exclude each other: what is waited for comes after.";
    return NULL;
}

/* By number at once. */
static void take_user(const char *user, struct audit1_question *q)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(user, &end, 10);
    if (user[0] >= '0' && user[0] <= '9' && *end == '\0' && errno == 0 && number < (uid_t)-1)
        q->filter.uid = (uid_t)number;
    else
        (void)snprintf(q->user, sizeof(q->user), "%s", user);
}

static void copy(char *ret, size_t size, const char *text)
{
    (void)snprintf(ret, size, "%s", text ? text : "");
}

/* False: no memory, or the token is none. */
static bool take(const struct call *call, const struct options *o, struct audit1_question *q,
                 const char **ret_fault)
{
    struct audit_filter *f = &q->filter;
    q->is_newest = o->is_newest;
    q->is_own = o->is_own;
    q->is_waiting = o->is_waiting;
    copy(f->app, sizeof(f->app), o->app);
    copy(f->account, sizeof(f->account), o->account);
    copy(f->verdict, sizeof(f->verdict), o->verdict);
    f->since_sec = o->since_sec;
    f->until_sec = o->until_sec;
    if (o->event)
        f->event = audit_event_from_name(o->event);
    if (o->user)
        take_user(o->user, q);
    if (o->token && !read_token(o->token, f)) {
        *ret_fault = "token is a token's fingerprint, 32 hexadecimal digits; for a token itself there is "
                     "FindToken.";
        return false;
    }
    return !o->scope || audit1_add_scopes(call, o->scope, &f->scopes) == 0;
}

bool audit1_read_question(struct call *call, struct audit1_question *ret)
{
    struct options o = {.since_sec = INT64_MIN, .until_sec = INT64_MAX};
    struct reader_option options[] = {
        {"newest", DBUS_TYPE_BOOLEAN, &o.is_newest, false}, {"own", DBUS_TYPE_BOOLEAN, &o.is_own, false},
        {"wait", DBUS_TYPE_BOOLEAN, &o.is_waiting, false},  {"app", DBUS_TYPE_STRING, &o.app, false},
        {"user", DBUS_TYPE_STRING, &o.user, false},         {"account", DBUS_TYPE_STRING, &o.account, false},
        {"scope", DBUS_TYPE_STRING, &o.scope, false},       {"event", DBUS_TYPE_STRING, &o.event, false},
        {"verdict", DBUS_TYPE_STRING, &o.verdict, false},   {"token", DBUS_TYPE_STRING, &o.token, false},
        {"since", DBUS_TYPE_INT64, &o.since_sec, false},    {"until", DBUS_TYPE_INT64, &o.until_sec, false},
    };
    audit_filter_init(&ret->filter);
    if (!handlers_read_options(call, 0, options, ARRAY_SIZE(options)))
        return false;
    const char *fault = find_fault(&o);
    if (!fault && take(call, &o, ret, &fault))
        return true;
    if (fault)
        call_fail(call, BUS_E_INVALID_ARGUMENT, "%s", fault);
    else
        call_fail_no_memory(call);
    return false;
}

void audit1_question_clear(struct audit1_question *question)
{
    audit_filter_clear(&question->filter);
}

void audit1_restrict_to_own(struct audit_filter *filter, const struct call *call)
{
    const struct identity *id = &call->peer->identity;
    filter->owner_uid = id->uid;
    copy(filter->owner, sizeof(filter->owner), id->user);
}

/* One that no catalogue knows is still on the trail. */
int audit1_add_scopes(const struct call *call, const char *scope, struct strv *ret)
{
    const struct catalogue *catalogue = call->broker->catalogue;
    int r = strv_add(ret, scope), index = catalogue_find_known(catalogue, scope);
    if (r < 0 || index < 0)
        return r;
    struct scope_set up = SCOPE_SET_EMPTY;
    scope_set_add(&up, index);
    up = catalogue_expand_up(catalogue, up);
    scope_set_remove(&up, index);
    return catalogue_names(catalogue, up, ret);
}
