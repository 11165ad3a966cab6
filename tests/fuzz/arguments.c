/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fuzz/arguments.h"

#include "util/file.h"
#include "util/utf8.h"

#include <sys/mman.h>

char arguments_word[128];

static void append_string(struct input *in, DBusMessageIter *to, int type)
{
    static const char *const words[] = {
        "a",
        "b",
        "c",
        "d",
        "main",
        "device",
        "account",
        "owner",
        "label",
        "locale",
        "min_valid",
        "scope_data",
        "device-code",
        "authorization-code",
        "import",
        "newest",
        "all",
        "own",
        "code",
        "state",
        "scope",
        "en-US",
        "",
        "Version",
        "State",
        "Features",
        "org.lwabroker.Broker1",
        "org.lwabroker.Login1.Request",
        "alices",
        "redirect_uri",
        "token",
        "error",
        "http://127.0.0.1:4000/",
        arguments_word,
        "user:alice",
        "user:bob",
        "flatpak:org.example.Player",
        "allow",
        "deny",
        "forget",
        "lasts",
        "days",
        "once",
        "logout",
        "until",
        "app",
        "user",
        "alice",
        "wait",
        "event",
        "token-disclosed",
        "verdict",
        "since",
        "music::library",
    };
    uint8_t choice = input_byte(in);
    _cleanup_free_ char *text = NULL;
    const char *s = words[choice % ARRAY_SIZE(words)];
    if (choice >= 200) {
        text = input_text(in, choice - 200U + (choice == 255 ? 300 : 0));
        if (!utf8_is_valid(text, strlen(text)))
            utf8_scrub(text);
        s = text;
    }
    if (type == DBUS_TYPE_OBJECT_PATH && !dbus_validate_path(s, NULL))
        s = "/";
    if (!dbus_validate_utf8(s, NULL))
        s = "?"; /* libdbus knows fewer characters than UTF-8 has, and aborts at the others */
    require(dbus_message_iter_append_basic(to, type, &s));
}

static void append_descriptor(struct input *in, DBusMessageIter *to)
{
    uint8_t choice = input_byte(in);
    _cleanup_free_ char *text = input_text(in, choice >> 1);
    _cleanup_close_ int fd = -1;
    if (choice & 1)
        fd = memfd_create("fuzz", MFD_CLOEXEC); /* not sealed */
    else
        require(file_new_sealed("fuzz", text, strlen(text), &fd) == 0);
    require(fd >= 0 && dbus_message_iter_append_basic(to, DBUS_TYPE_UNIX_FD, &fd));
}

static void append_basic(struct input *in, DBusMessageIter *to, int type)
{
    DBusBasicValue value = {.u64 = 0};
    if (type == DBUS_TYPE_STRING || type == DBUS_TYPE_OBJECT_PATH) {
        append_string(in, to, type);
        return;
    }
    if (type == DBUS_TYPE_UNIX_FD) {
        append_descriptor(in, to);
        return;
    }
    for (unsigned i = input_byte(in) % 9; i > 0; i--)
        value.u64 = value.u64 << 8 | input_byte(in);
    if (type == DBUS_TYPE_BOOLEAN)
        value.bool_val = value.u64 & 1;
    require(dbus_message_iter_append_basic(to, type, &value));
}

static void append_strings(struct input *in, DBusMessageIter *to)
{
    DBusMessageIter array;
    unsigned n = input_byte(in);
    require(dbus_message_iter_open_container(to, DBUS_TYPE_ARRAY, "s", &array));
    for (n = n < 250 ? n % 5 : 40; n > 0; n--)
        append_string(in, &array, DBUS_TYPE_STRING);
    require(dbus_message_iter_close_container(to, &array));
}

static void append_variant(struct input *in, DBusMessageIter *to)
{
    static const char *const signatures[] = {"s", "u", "b", "t", "x", "as", "o", "d", "y"};
    DBusMessageIter variant;
    uint8_t choice = input_byte(in);
    const char *signature = choice >= 250 ? "h" : signatures[choice % ARRAY_SIZE(signatures)];
    require(dbus_message_iter_open_container(to, DBUS_TYPE_VARIANT, signature, &variant));
    if (signature[0] == DBUS_TYPE_ARRAY)
        append_strings(in, &variant);
    else
        append_basic(in, &variant, signature[0]);
    require(dbus_message_iter_close_container(to, &variant));
}

static void append_options(struct input *in, DBusMessageIter *to)
{
    DBusMessageIter array, entry;
    uint8_t choice = input_byte(in);
    bool has_variants = choice < 200;
    require(dbus_message_iter_open_container(to, DBUS_TYPE_ARRAY, has_variants ? "{sv}" : "{ss}", &array));
    for (unsigned n = choice % 4; n > 0; n--) {
        require(dbus_message_iter_open_container(&array, DBUS_TYPE_DICT_ENTRY, NULL, &entry));
        append_string(in, &entry, DBUS_TYPE_STRING);
        if (has_variants)
            append_variant(in, &entry);
        else
            append_string(in, &entry, DBUS_TYPE_STRING);
        require(dbus_message_iter_close_container(&array, &entry));
    }
    require(dbus_message_iter_close_container(to, &array));
}

void append_anything(struct input *in, DBusMessageIter *to, unsigned depth)
{
    DBusMessageIter inner;
    switch (input_byte(in) % 8) {
    case 0:
        append_strings(in, to);
        break;
    case 1:
        append_options(in, to);
        break;
    case 2:
        append_variant(in, to);
        break;
    case 3:
        require(dbus_message_iter_open_container(to, DBUS_TYPE_STRUCT, NULL, &inner));
        append_basic(in, &inner, DBUS_TYPE_BOOLEAN);
        for (unsigned n = depth < 3 ? input_byte(in) % 4 : 0; n > 0; n--)
            append_anything(in, &inner, depth + 1);
        require(dbus_message_iter_close_container(to, &inner));
        break;
    default:
        append_basic(in, to, "sutbxody"[input_byte(in) % 8]);
        break;
    }
}

/* The arguments of the contract, now and then others. */
void append_arguments(struct input *in, DBusMessageIter *to, const char *signature)
{
    if (input_byte(in) >= 240) {
        for (unsigned n = input_byte(in) % 4; n > 0; n--)
            append_anything(in, to, 0);
        return;
    }
    for (const char *p = signature; *p; p++) {
        if (strncmp(p, "as", 2) == 0) {
            append_strings(in, to);
            p++;
        } else if (strncmp(p, "a{sv}", 5) == 0) {
            append_options(in, to);
            p += 4;
        } else if (*p == DBUS_TYPE_VARIANT) {
            append_variant(in, to);
        } else {
            append_basic(in, to, *p);
        }
    }
}
