/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/reader.h"

#include <string.h>

#define OPTION_ITEMS_MAX 256

int reader_strv(DBusMessageIter *array, size_t max, struct strv *ret)
{
    if (dbus_message_iter_get_arg_type(array) != DBUS_TYPE_ARRAY ||
        dbus_message_iter_get_element_type(array) != DBUS_TYPE_STRING)
        return READER_E_TYPE;

    _cleanup_strv_ struct strv found = STRV_EMPTY;
    DBusMessageIter item;
    for (dbus_message_iter_recurse(array, &item); dbus_message_iter_get_arg_type(&item) == DBUS_TYPE_STRING;
         dbus_message_iter_next(&item)) {
        if (found.n == max)
            return READER_E_MANY;
        const char *s;
        dbus_message_iter_get_basic(&item, &s);
        int r = strv_add(&found, s);
        if (r < 0)
            return r;
    }
    *ret = found;
    found = STRV_EMPTY;
    return 0;
}

/* Steps to the entry's value, into the variant if it is one; its key is returned. */
static const char *entry_key(DBusMessageIter *dict_item, DBusMessageIter *ret_value)
{
    DBusMessageIter entry;
    const char *key;
    dbus_message_iter_recurse(dict_item, &entry);
    dbus_message_iter_get_basic(&entry, &key);
    dbus_message_iter_next(&entry);
    if (dbus_message_iter_get_arg_type(&entry) == DBUS_TYPE_VARIANT)
        dbus_message_iter_recurse(&entry, ret_value);
    else
        *ret_value = entry;
    return key;
}

static int read_value(DBusMessageIter *value, int type, void *ret)
{
    if (dbus_message_iter_get_arg_type(value) != type)
        return READER_E_TYPE;
    if (type == DBUS_TYPE_ARRAY)
        return reader_strv(value, OPTION_ITEMS_MAX, ret);
    dbus_message_iter_get_basic(value, ret);
    return 0;
}

/* 0, READER_E_TYPE or -ENOMEM. */
static int check_dict(DBusMessageIter *dict)
{
    if (dbus_message_iter_get_arg_type(dict) != DBUS_TYPE_ARRAY ||
        dbus_message_iter_get_element_type(dict) != DBUS_TYPE_DICT_ENTRY)
        return READER_E_TYPE;
    char *signature = dbus_message_iter_get_signature(dict);
    if (!signature)
        return -ENOMEM;
    bool fits = strcmp(signature, "a{sv}") == 0 || strcmp(signature, "a{ss}") == 0;
    dbus_free(signature);
    return fits ? 0 : READER_E_TYPE;
}

static struct reader_option *find_option(struct reader_option *options, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

/* `ret_name` NULL: what is unknown is passed over. */
static int read_entries(DBusMessageIter *dict, struct reader_option *options, size_t n, const char **ret_name)
{
    DBusMessageIter item, value;
    for (dbus_message_iter_recurse(dict, &item);
         dbus_message_iter_get_arg_type(&item) == DBUS_TYPE_DICT_ENTRY; dbus_message_iter_next(&item)) {
        const char *key = entry_key(&item, &value);
        struct reader_option *option = find_option(options, n, key);
        if (!option && !ret_name)
            continue;
        int r = READER_E_UNKNOWN;
        if (option)
            r = option->seen ? READER_E_TWICE : read_value(&value, option->type, option->ret);
        if (r != 0) {
            if (ret_name)
                *ret_name = key;
            return r;
        }
        option->seen = true;
    }
    return 0;
}

int reader_options(DBusMessageIter *dict, struct reader_option *options, size_t n, const char **ret_name)
{
    int checked = check_dict(dict);
    if (checked == 0)
        return read_entries(dict, options, n, ret_name);
    *ret_name = "";
    return checked;
}

int reader_find_all(DBusMessageIter *dict, struct reader_option *options, size_t n)
{
    int checked = check_dict(dict);
    return checked == 0 ? read_entries(dict, options, n, NULL) : checked;
}

/* 0 with the value of this key, READER_E_TYPE, -ENOENT or -ENOMEM. */
static int find_value(DBusMessageIter *dict, const char *name, DBusMessageIter *ret)
{
    int checked = check_dict(dict);
    if (checked != 0)
        return checked;

    DBusMessageIter item;
    for (dbus_message_iter_recurse(dict, &item);
         dbus_message_iter_get_arg_type(&item) == DBUS_TYPE_DICT_ENTRY; dbus_message_iter_next(&item))
        if (strcmp(entry_key(&item, ret), name) == 0)
            return 0;
    return -ENOENT;
}

int reader_find(DBusMessageIter *dict, const char *name, int type, void *ret)
{
    DBusMessageIter value;
    int r = find_value(dict, name, &value);
    return r == 0 ? read_value(&value, type, ret) : r;
}

int reader_find_bytes(DBusMessageIter *dict, const char *name, const unsigned char **ret, size_t *ret_n)
{
    DBusMessageIter value, bytes;
    int r = find_value(dict, name, &value), n;
    if (r != 0)
        return r;
    if (dbus_message_iter_get_arg_type(&value) != DBUS_TYPE_ARRAY ||
        dbus_message_iter_get_element_type(&value) != DBUS_TYPE_BYTE)
        return READER_E_TYPE;
    dbus_message_iter_recurse(&value, &bytes);
    dbus_message_iter_get_fixed_array(&bytes, ret, &n);
    *ret_n = (size_t)n;
    return 0;
}

bool reader_is_plain(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++)
        if (n == 64 || s[n] < 0x20 || s[n] > 0x7e)
            return false;
    return true;
}
