/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/login.h"

#include "dbus/reader.h"

#include <string.h>

void login_values_clear(struct login_values *values)
{
    for (size_t i = 0; i < LOGIN_TEXT_COUNT; i++)
        free(values->texts[i]);
    *values = (struct login_values){.expires_at_sec = 0};
}

int login_values_set(struct login_values *values, enum login_text text, const char *value)
{
    char *copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    free(values->texts[text]);
    values->texts[text] = copy;
    return 0;
}

const char *login_values_get(const struct login_values *values, enum login_text text)
{
    return values->texts[text] ? values->texts[text] : "";
}

/* --- properties --------------------------------------------------------------------------------------- */

/* The broker's connection counts its messages, and begins anew some day; 0 is no message. */
static bool is_newer(dbus_uint32_t serial, dbus_uint32_t known)
{
    return known == 0 || (int32_t)(serial - known) > 0;
}

static int take_text(struct login_values *values, enum login_text text, const char *value,
                     dbus_uint32_t serial)
{
    if (!is_newer(serial, values->serials[text]))
        return 0;
    values->serials[text] = serial;
    if (strcmp(login_values_get(values, text), value) == 0)
        return 0;
    int r = login_values_set(values, text, value);
    return r < 0 ? r : 1;
}

static int take_expiry(struct login_values *values, DBusMessageIter *dict, dbus_uint32_t serial)
{
    dbus_uint64_t sec = 0;
    if (reader_find(dict, "ExpiresAt", DBUS_TYPE_UINT64, &sec) != 0 ||
        !is_newer(serial, values->expires_at_serial))
        return 0;
    bool is_other = sec != values->expires_at_sec;
    values->expires_at_serial = serial;
    values->expires_at_sec = sec;
    return is_other;
}

/* A property that is missing, or of another type than the contract's, stays as it was. */
int login_values_take_properties(struct login_values *values, DBusMessageIter *dict, dbus_uint32_t serial)
{
    static const struct {
        const char *name;
        enum login_text text;
    } properties[] = {
        {"State", LOGIN_TEXT_STATE},
        {"UserCode", LOGIN_TEXT_USER_CODE},
        {"VerificationUri", LOGIN_TEXT_VERIFICATION_URI},
        {"AuthorizeUri", LOGIN_TEXT_AUTHORIZE_URI},
        {"Notice", LOGIN_TEXT_NOTICE},
    };
    int n_changed = take_expiry(values, dict, serial);
    for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
        const char *value = NULL;
        if (reader_find(dict, properties[i].name, DBUS_TYPE_STRING, &value) != 0)
            continue;
        int r = take_text(values, properties[i].text, value, serial);
        if (r < 0)
            return r;
        n_changed += r;
    }
    return n_changed > 0;
}

/* --- Finished ----------------------------------------------------------------------------------------- */

static int take_scopes(struct login_values *values, DBusMessageIter *dict, const char *name,
                       enum login_text text)
{
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    int r = reader_find(dict, name, DBUS_TYPE_ARRAY, &scopes);
    if (r == -ENOMEM)
        return r;
    if (r != 0)
        return 0;
    _cleanup_free_ char *joined = strv_join(&scopes, " ");
    return joined ? login_values_set(values, text, joined) : -ENOMEM;
}

int login_values_take_finished(struct login_values *values, DBusMessage *m)
{
    static const struct {
        const char *name;
        enum login_text text;
    } details[] = {
        {"account", LOGIN_TEXT_ACCOUNT},
        {"reason", LOGIN_TEXT_REASON},
        {"message", LOGIN_TEXT_MESSAGE},
        {"error", LOGIN_TEXT_ERROR_NAME},
    };
    DBusMessageIter dict;
    const char *outcome;
    (void)dbus_message_iter_init(m, &dict);
    dbus_message_iter_get_basic(&dict, &outcome);
    (void)dbus_message_iter_next(&dict);

    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(details); i++) {
        const char *value = NULL;
        if (reader_find(&dict, details[i].name, DBUS_TYPE_STRING, &value) == 0)
            r = login_values_set(values, details[i].text, value);
    }
    if (r == 0)
        r = take_scopes(values, &dict, "scopes", LOGIN_TEXT_SCOPE);
    if (r == 0)
        r = take_scopes(values, &dict, "refused", LOGIN_TEXT_REFUSED_SCOPE);
    /* The last one: with it the login is over for the app. */
    return r == 0 ? login_values_set(values, LOGIN_TEXT_OUTCOME, outcome) : r;
}
