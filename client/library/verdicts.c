/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Broker1.CheckScopes. */

#include "client/library/call.h"
#include "dbus/names.h"
#include "dbus/writer.h"
#include "util/strv.h"

#include <string.h>

#define REPLY "a{ss}"

struct lwa_verdicts {
    struct strv scopes;
    struct strv verdicts; /* as many */
};

DEFINE_CLEANUP(struct lwa_verdicts, lwa_verdicts_free);

struct lwa_verdicts *lwa_verdicts_free(struct lwa_verdicts *verdicts)
{
    if (verdicts) {
        strv_clear(&verdicts->scopes);
        strv_clear(&verdicts->verdicts);
        free(verdicts);
    }
    return NULL;
}

size_t lwa_verdicts_get_count(const struct lwa_verdicts *verdicts)
{
    return verdicts ? verdicts->scopes.n : 0;
}

const char *lwa_verdicts_get_scope(const struct lwa_verdicts *verdicts, size_t i)
{
    return i < lwa_verdicts_get_count(verdicts) ? verdicts->scopes.items[i] : NULL;
}

const char *lwa_verdicts_get_verdict(const struct lwa_verdicts *verdicts, size_t i)
{
    return i < lwa_verdicts_get_count(verdicts) ? verdicts->verdicts.items[i] : NULL;
}

const char *lwa_verdicts_find(const struct lwa_verdicts *verdicts, const char *scope)
{
    for (size_t i = 0; scope && i < lwa_verdicts_get_count(verdicts); i++)
        if (strcmp(verdicts->scopes.items[i], scope) == 0)
            return verdicts->verdicts.items[i];
    return NULL;
}

/* --- the call ------------------------------------------------------------------------------------------- */

static int new_call(struct lwa_client *client, const char *scope, const char *account, DBusMessage **ret)
{
    _cleanup_message_ DBusMessage *message = NULL;
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    int r = client_check(client);
    if (r == 0 && !scope)
        r = client_fail(client, OWN_BAD_ARGUMENT, "No scope was given.");
    if (r == 0 && strv_split(&scopes, scope, " ") < 0)
        r = client_fail(client, OWN_NO_MEMORY, NULL);
    if (r == 0)
        r = call_new(client, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "CheckScopes", &message);
    if (r < 0)
        return r;

    struct writer w;
    writer_begin(&w, message);
    writer_strv(&w, &scopes);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    if (account)
        writer_entry_string(&w, "account", account);
    writer_close(&w);
    r = call_end(client, &w);
    if (r == 0)
        *ret = TAKE_PTR(message);
    return r;
}

/* 0 or -ENOMEM. */
static int read_verdicts(DBusMessage *reply, struct lwa_verdicts **ret)
{
    _cleanup_(lwa_verdicts_freep) struct lwa_verdicts *found = calloc(1, sizeof(*found));
    DBusMessageIter args, item, entry;
    if (!found || !dbus_message_iter_init(reply, &args))
        return -ENOMEM;
    dbus_message_iter_recurse(&args, &item);
    for (; dbus_message_iter_get_arg_type(&item) == DBUS_TYPE_DICT_ENTRY; dbus_message_iter_next(&item)) {
        const char *scope, *verdict;
        dbus_message_iter_recurse(&item, &entry);
        dbus_message_iter_get_basic(&entry, &scope);
        (void)dbus_message_iter_next(&entry);
        dbus_message_iter_get_basic(&entry, &verdict);
        if (strv_add(&found->scopes, scope) < 0 || strv_add(&found->verdicts, verdict) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(found);
    return 0;
}

int lwa_client_check_scopes(struct lwa_client *client, const char *scope, const char *account,
                            struct lwa_verdicts **ret_verdicts)
{
    _cleanup_message_ DBusMessage *message = NULL, *reply = NULL;
    int r = new_call(client, scope, account, &message);
    if (r == 0)
        r = call_wait(client, message, REPLY, &reply);
    if (r < 0)
        return r;
    return read_verdicts(reply, ret_verdicts) < 0 ? client_fail(client, OWN_NO_MEMORY, NULL) : 0;
}

/* --- without waiting ------------------------------------------------------------------------------------ */

struct check {
    lwa_verdicts_fn fn;
    void *userdata;
};

static void on_reply(struct lwa_client *client, int result, DBusMessage *reply, const struct lwa_error *error,
                     void *userdata)
{
    const struct check *check = userdata;
    _cleanup_(lwa_verdicts_freep) struct lwa_verdicts *verdicts = NULL;
    struct lwa_error no_memory = {.code = 0};
    if (result == 0 && read_verdicts(reply, &verdicts) < 0) {
        result = error_set_own(&no_memory, OWN_NO_MEMORY, NULL);
        error = &no_memory;
    }
    if (check->fn)
        check->fn(client, result, verdicts, error, check->userdata);
}

int lwa_client_start_check_scopes(struct lwa_client *client, const char *scope, const char *account,
                                  lwa_verdicts_fn fn, void *userdata, struct lwa_request **ret_request)
{
    _cleanup_message_ DBusMessage *message = NULL;
    int r = new_call(client, scope, account, &message);
    if (r < 0)
        return r;
    struct check *check = calloc(1, sizeof(*check));
    if (!check)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    *check = (struct check){.fn = fn, .userdata = userdata};
    return call_start(client, message, REPLY, on_reply, check, free, ret_request);
}
