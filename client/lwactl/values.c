/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/values.h"

#include "client/lwactl/text.h"
#include "util/strv.h"

static int new_text(const char *s, enum values_style style, struct json_object **ret)
{
    _cleanup_free_ char *safe = NULL;
    if (style == VALUES_SAFE) {
        safe = text_safe(s);
        if (!safe)
            return -ENOMEM;
    }
    *ret = json_object_new_string(safe ? safe : s);
    return *ret ? 0 : -ENOMEM;
}

/* Hands the value over to the object, or frees it. */
static int add_entry(struct json_object *object, const char *key, enum values_style style,
                     struct json_object *value)
{
    _cleanup_free_ char *safe = style == VALUES_SAFE ? text_safe(key) : NULL;
    if ((style == VALUES_SAFE && !safe) || json_object_object_add(object, safe ? safe : key, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

static int from_dict(DBusMessageIter *dict, enum values_style style, struct json_object **ret)
{
    _cleanup_json_ struct json_object *object = json_object_new_object();
    if (!object)
        return -ENOMEM;

    DBusMessageIter item, entry;
    for (dbus_message_iter_recurse(dict, &item);
         dbus_message_iter_get_arg_type(&item) == DBUS_TYPE_DICT_ENTRY; dbus_message_iter_next(&item)) {
        struct json_object *value = NULL;
        const char *key;
        dbus_message_iter_recurse(&item, &entry);
        if (dbus_message_iter_get_arg_type(&entry) != DBUS_TYPE_STRING)
            continue; /* the contract has none with other keys */
        dbus_message_iter_get_basic(&entry, &key);
        dbus_message_iter_next(&entry);
        int r = values_from_iter(&entry, style, &value);
        if (r == 0)
            r = add_entry(object, key, style, value);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(object);
    return 0;
}

/* An array of anything else, or a structure. */
static int from_list(DBusMessageIter *list, enum values_style style, struct json_object **ret)
{
    _cleanup_json_ struct json_object *array = json_object_new_array();
    if (!array)
        return -ENOMEM;

    DBusMessageIter item;
    for (dbus_message_iter_recurse(list, &item); dbus_message_iter_get_arg_type(&item) != DBUS_TYPE_INVALID;
         dbus_message_iter_next(&item)) {
        struct json_object *value = NULL;
        int r = values_from_iter(&item, style, &value);
        if (r < 0)
            return r;
        if (json_object_array_add(array, value) < 0) {
            json_object_put(value);
            return -ENOMEM;
        }
    }
    *ret = TAKE_PTR(array);
    return 0;
}

static struct json_object *new_number(DBusMessageIter *iter, int type)
{
    DBusBasicValue value = {.u64 = 0};
    if (type == DBUS_TYPE_UNIX_FD)
        return NULL; /* reading it would open a descriptor that nobody closes */
    dbus_message_iter_get_basic(iter, &value);
    switch (type) {
    case DBUS_TYPE_BOOLEAN:
        return json_object_new_boolean(value.bool_val != 0);
    case DBUS_TYPE_BYTE:
        return json_object_new_int(value.byt);
    case DBUS_TYPE_INT16:
        return json_object_new_int(value.i16);
    case DBUS_TYPE_UINT16:
        return json_object_new_int(value.u16);
    case DBUS_TYPE_INT32:
        return json_object_new_int(value.i32);
    case DBUS_TYPE_UINT32:
        return json_object_new_int64(value.u32);
    case DBUS_TYPE_INT64:
        return json_object_new_int64(value.i64);
    case DBUS_TYPE_UINT64:
        return json_object_new_uint64(value.u64);
    default:
        return json_object_new_double(value.dbl);
    }
}

/* Nesting is bounded by libdbus, which refuses messages deeper than 64. */
int values_from_iter(DBusMessageIter *iter, enum values_style style, struct json_object **ret)
{
    int type = dbus_message_iter_get_arg_type(iter);
    DBusMessageIter inner;
    const char *s;

    switch (type) {
    case DBUS_TYPE_STRING:
    case DBUS_TYPE_OBJECT_PATH:
    case DBUS_TYPE_SIGNATURE:
        dbus_message_iter_get_basic(iter, &s);
        return new_text(s, style, ret);
    case DBUS_TYPE_VARIANT:
        dbus_message_iter_recurse(iter, &inner);
        return values_from_iter(&inner, style, ret);
    case DBUS_TYPE_ARRAY:
        if (dbus_message_iter_get_element_type(iter) == DBUS_TYPE_DICT_ENTRY)
            return from_dict(iter, style, ret);
        return from_list(iter, style, ret);
    case DBUS_TYPE_STRUCT:
        return from_list(iter, style, ret);
    default:
        *ret = new_number(iter, type);
        return *ret || type == DBUS_TYPE_UNIX_FD ? 0 : -ENOMEM;
    }
}

int values_from_message(DBusMessage *m, unsigned index, enum values_style style, struct json_object **ret)
{
    DBusMessageIter iter;
    if (!dbus_message_iter_init(m, &iter))
        return -EBADMSG;
    for (; index > 0; index--)
        if (!dbus_message_iter_next(&iter))
            return -EBADMSG;
    return values_from_iter(&iter, style, ret);
}

static struct json_object *get(struct json_object *object, const char *key, json_type type)
{
    struct json_object *value;
    if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &value) ||
        !json_object_is_type(value, type))
        return NULL;
    return value;
}

int values_add(struct json_object *object, const char *key, struct json_object *value)
{
    if (value && json_object_object_add(object, key, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

struct json_object *values_from_words(const char *text)
{
    _cleanup_strv_ struct strv words = STRV_EMPTY;
    _cleanup_json_ struct json_object *list = json_object_new_array();
    if (!list || strv_split(&words, text, " ") < 0)
        return NULL;
    for (size_t i = 0; i < words.n; i++) {
        struct json_object *word = json_object_new_string(words.items[i]);
        if (!word || json_object_array_add(list, word) < 0) {
            json_object_put(word);
            return NULL;
        }
    }
    return TAKE_PTR(list);
}

const char *values_text(struct json_object *object, const char *key)
{
    struct json_object *value = get(object, key, json_type_string);
    return value ? json_object_get_string(value) : "";
}

int64_t values_number(struct json_object *object, const char *key)
{
    return json_object_get_int64(get(object, key, json_type_int));
}

bool values_flag(struct json_object *object, const char *key)
{
    return json_object_get_boolean(get(object, key, json_type_boolean));
}

struct json_object *values_list(struct json_object *object, const char *key)
{
    return get(object, key, json_type_array);
}

size_t values_count(struct json_object *list)
{
    return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

struct json_object *values_item(struct json_object *list, size_t i)
{
    return json_object_array_get_idx(list, i);
}

char *values_join(struct json_object *list, const char *separator)
{
    _cleanup_strv_ struct strv items = STRV_EMPTY;
    for (size_t i = 0; i < values_count(list); i++) {
        struct json_object *item = values_item(list, i);
        if (json_object_is_type(item, json_type_string) && strv_add(&items, json_object_get_string(item)) < 0)
            return NULL;
    }
    return strv_join(&items, separator);
}

/* Beyond ASCII characters stand only inside of JSON's strings, where an escape means the same. */
static void print_escaped(const char *text, FILE *out)
{
    uint32_t code;
    for (size_t n; (n = text_next(text, &code)) > 0; text += n) {
        bool is_layout = code == '\n';
        if (is_layout || !text_is_unsafe(code))
            (void)fwrite(text, 1, n, out);
        else if (code > 0x10ffff)
            (void)fputs("\\ufffd", out);
        else if (code > 0xffff)
            (void)fprintf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                          0xdc00 + ((code - 0x10000) & 0x3ff));
        else
            (void)fprintf(out, "\\u%04x", code);
    }
}

int values_print(struct json_object *value, bool pretty, FILE *out)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE | JSON_C_TO_STRING_SPACED;
    const char *text =
        json_object_to_json_string_ext(value, pretty ? flags | JSON_C_TO_STRING_PRETTY : flags);
    if (!text)
        return -ENOMEM;
    print_escaped(text, out);
    (void)fputc('\n', out);
    return 0;
}

int values_print_lines(struct json_object *list, FILE *out)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < values_count(list); i++)
        r = values_print(values_item(list, i), false, out);
    return r;
}
