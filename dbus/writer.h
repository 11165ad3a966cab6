/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes the arguments of a message. The first failure (memory, a text that is not UTF-8) sticks: everything
 * after it does nothing, and writer_end() reports it; the message is then only good to be dropped. This keeps
 * two traps of libdbus in one place: a half-written container, and the abort() on invalid UTF-8. */

#include "util/cleanup.h"
#include "util/strv.h"

#include <dbus/dbus.h>
#include <stdint.h>

#define WRITER_DEPTH_MAX 16

struct writer {
    DBusMessageIter stack[WRITER_DEPTH_MAX];
    unsigned depth;
    int error;      /* 0 or a negative errno */
    size_t n_bytes; /* about as long as the message is by now */
};

/* Each begin needs its end, which also frees what a failure left half-built. */
void writer_begin(struct writer *w, DBusMessage *message);
int writer_end(struct writer *w) _must_check_;

/* DBUS_TYPE_ARRAY, _STRUCT, _DICT_ENTRY or _VARIANT; signature of the contents for arrays and variants. */
void writer_open(struct writer *w, int type, const char *signature);
void writer_close(struct writer *w);

void writer_string(struct writer *w, const char *s); /* NULL is written as "" */
void writer_object_path(struct writer *w, const char *path);
void writer_bool(struct writer *w, bool value);
void writer_uint32(struct writer *w, uint32_t value);
void writer_uint64(struct writer *w, uint64_t value);
void writer_int64(struct writer *w, int64_t value);
void writer_fd(struct writer *w, int fd); /* duplicated; the caller keeps its own */
void writer_strv(struct writer *w, const struct strv *v);

/* Entries of an open a{sv}. */
void writer_entry_string(struct writer *w, const char *key, const char *value);
void writer_entry_strv(struct writer *w, const char *key, const struct strv *value);
void writer_entry_bool(struct writer *w, const char *key, bool value);
void writer_entry_uint32(struct writer *w, const char *key, uint32_t value);
void writer_entry_uint64(struct writer *w, const char *key, uint64_t value);
void writer_entry_int64(struct writer *w, const char *key, int64_t value);
/* An entry of an open a{ss}. */
void writer_pair(struct writer *w, const char *key, const char *value);
/* Opens and closes `{ key, variant of an array with this element signature }` in an open a{sv}. */
void writer_entry_array_open(struct writer *w, const char *key, const char *array_signature,
                             const char *element_signature);
void writer_entry_array_close(struct writer *w);
