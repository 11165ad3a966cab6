/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads what a peer sent. Every function checks the type it finds; strings belong to the message and die with
 * it. On the server's side an option that is unknown, doubled or of another type is refused by name, since an
 * ignored restriction would fail open. */

#include "util/cleanup.h"
#include "util/strv.h"

#include <dbus/dbus.h>
#include <stdint.h>

enum {
    READER_E_TYPE = 1,    /* not what was expected */
    READER_E_UNKNOWN = 2, /* an option nobody knows */
    READER_E_TWICE = 3,   /* an option given twice */
    READER_E_MANY = 4,    /* more elements than allowed */
};

/* An `as` of at most `max` elements; appended as copies. Leaves the iterator where it was. */
int reader_strv(DBusMessageIter *array, size_t max, struct strv *ret) _must_check_;

/* One option of an a{sv}. `type` is a basic D-Bus type; `ret` receives a const char * for strings and object
 * paths, a dbus_bool_t, dbus_uint32_t, dbus_uint64_t, dbus_int64_t, or for DBUS_TYPE_UNIX_FD a new descriptor
 * that the caller owns. For DBUS_TYPE_ARRAY it is a struct strv of at most 256 strings. An option that is not
 * given leaves *ret untouched. */
struct reader_option {
    const char *name;
    int type;
    void *ret;
    bool seen;
};

/* Reads a whole a{sv}; an a{ss} is taken too, for callers that cannot write variants, such as dbus-send: its
 * options are strings. A positive outcome names the option: *ret_name is the message's string, and may be any
 * UTF-8; it is only good to be quoted after reader_is_plain(). */
int reader_options(DBusMessageIter *dict, struct reader_option *options, size_t n,
                   const char **ret_name) _must_check_;

/* For clients: the value of one key of an a{sv}, other keys passed over. 0, READER_E_TYPE, or -ENOENT. */
int reader_find(DBusMessageIter *dict, const char *name, int type, void *ret) _must_check_;
/* The same for several keys, in one walk; which of them were there stands in `seen`. READER_E_TWICE, too. */
int reader_find_all(DBusMessageIter *dict, struct reader_option *options, size_t n) _must_check_;
/* As reader_find(), for an `ay`: the bytes belong to the message. */
int reader_find_bytes(DBusMessageIter *dict, const char *name, const unsigned char **ret,
                      size_t *ret_n) _must_check_;

/* At most 64 printable ASCII characters: may be quoted back in an error message. */
bool reader_is_plain(const char *s);
