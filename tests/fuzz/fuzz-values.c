/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Answers of a broker on their way through lwactl (client/lwactl/values.h): whole messages as they come over
 * the bus, which libdbus has checked, or made of the input. What is printed for programs is JSON in ASCII
 * controls escaped; what is made safe for people holds nothing that could drive a terminal. */

#include "client/lwactl/text.h"
#include "client/lwactl/values.h"
#include "tests/fuzz/arguments.h"
#include "tests/fuzz/fuzz.h"
#include "util/utf8.h"

#include <locale.h>

static void require_safe(const char *text)
{
    uint32_t code;
    for (size_t n; (n = text_next(text, &code)) > 0; text += n)
        require(!text_is_unsafe(code));
}

static void require_all_safe(struct json_object *value)
{
    if (json_object_is_type(value, json_type_string)) {
        require_safe(json_object_get_string(value));
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            require_all_safe(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, member)
        {
            require_safe(key);
            require_all_safe(member);
        }
    }
}

static void try_print(struct json_object *value, bool pretty)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    require(out && values_print(value, pretty, out) == 0 && fclose(out) == 0);
    require(n > 0 && text[n - 1] == '\n' && utf8_is_valid(text, n));
    text[n - 1] = '\0';
    for (size_t i = 0; pretty && text[i]; i++)
        text[i] = text[i] == '\n' ? ' ' : text[i];
    require_safe(text);
    free(text);
}

static void try_argument(DBusMessage *message, unsigned index)
{
    _cleanup_json_ struct json_object *safe = NULL, *exact = NULL;
    if (values_from_message(message, index, VALUES_SAFE, &safe) < 0)
        return;
    require(values_from_message(message, index, VALUES_EXACT, &exact) == 0);
    require_all_safe(safe);
    try_print(exact, index % 2);
    (void)values_text(safe, "account");
    (void)values_number(safe, "expires_at");
    (void)values_flag(safe, "default");
    _cleanup_free_ char *joined = values_join(values_list(safe, "scopes"), " ");
    require(joined);
}

static DBusMessage *make_message(struct input *in)
{
    DBusMessageIter args;
    DBusMessage *message = dbus_message_new(DBUS_MESSAGE_TYPE_METHOD_RETURN);
    require(message);
    dbus_message_iter_init_append(message, &args);
    /* A signature has 255 bytes at most. */
    while (in->n > 0 && strlen(dbus_message_get_signature(message)) < 100)
        append_anything(in, &args, 0);
    return message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static locale_t locale;
    if (!locale)
        locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    require(locale && uselocale(locale));
    struct input in = {data, n};
    bool is_raw = input_byte(&in) & 1;
    DBusMessage *message =
        is_raw ? dbus_message_demarshal((const char *)in.data, (int)in.n, NULL) : make_message(&in);
    if (!message)
        return 0;
    for (unsigned i = 0; i < 4; i++)
        try_argument(message, i);
    dbus_message_unref(message);
    return 0;
}
