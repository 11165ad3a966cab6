/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/writer.h"

#include <assert.h>
#include <string.h>

void writer_begin(struct writer *w, DBusMessage *message)
{
    *w = (struct writer){.depth = 0, .error = 0};
    dbus_message_iter_init_append(message, &w->stack[0]);
}

int writer_end(struct writer *w)
{
    assert(w->error < 0 || w->depth == 0);
    /* An open container holds memory that dropping the message does not free. */
    for (; w->depth > 0; w->depth--)
        dbus_message_iter_abandon_container(&w->stack[w->depth - 1], &w->stack[w->depth]);
    return w->error;
}

static void check(struct writer *w, dbus_bool_t done)
{
    if (!done)
        w->error = -ENOMEM;
}

#define BASIC_BYTES 8 /* a number, or the length, end and padding of a text */

static void append(struct writer *w, int type, const void *value)
{
    bool is_text = type == DBUS_TYPE_STRING || type == DBUS_TYPE_OBJECT_PATH;
    w->n_bytes += BASIC_BYTES + (is_text ? strlen(*(const char *const *)value) : 0);
    if (w->error == 0)
        check(w, dbus_message_iter_append_basic(&w->stack[w->depth], type, value));
}

void writer_open(struct writer *w, int type, const char *signature)
{
    if (w->error < 0)
        return;
    assert(w->depth + 1 < WRITER_DEPTH_MAX);
    check(w, dbus_message_iter_open_container(&w->stack[w->depth], type, signature, &w->stack[w->depth + 1]));
    if (w->error == 0)
        w->depth++;
}

void writer_close(struct writer *w)
{
    if (w->error < 0)
        return; /* the containers stay open until writer_end() */
    assert(w->depth > 0);
    w->depth--;
    check(w, dbus_message_iter_close_container(&w->stack[w->depth], &w->stack[w->depth + 1]));
}

void writer_string(struct writer *w, const char *s)
{
    if (!s)
        s = "";
    if (w->error == 0 && !dbus_validate_utf8(s, NULL))
        w->error = -EILSEQ;
    append(w, DBUS_TYPE_STRING, &s);
}

void writer_object_path(struct writer *w, const char *path)
{
    if (w->error == 0 && !dbus_validate_path(path, NULL))
        w->error = -EINVAL;
    append(w, DBUS_TYPE_OBJECT_PATH, &path);
}

void writer_bool(struct writer *w, bool value)
{
    dbus_bool_t wire = value;
    append(w, DBUS_TYPE_BOOLEAN, &wire);
}

void writer_uint32(struct writer *w, uint32_t value)
{
    dbus_uint32_t wire = value;
    append(w, DBUS_TYPE_UINT32, &wire);
}

void writer_uint64(struct writer *w, uint64_t value)
{
    dbus_uint64_t wire = value;
    append(w, DBUS_TYPE_UINT64, &wire);
}

void writer_int64(struct writer *w, int64_t value)
{
    dbus_int64_t wire = value;
    append(w, DBUS_TYPE_INT64, &wire);
}

void writer_fd(struct writer *w, int fd)
{
    append(w, DBUS_TYPE_UNIX_FD, &fd);
}

void writer_strv(struct writer *w, const struct strv *v)
{
    writer_open(w, DBUS_TYPE_ARRAY, "s");
    for (size_t i = 0; i < v->n; i++)
        writer_string(w, v->items[i]);
    writer_close(w);
}

static void entry_open(struct writer *w, const char *key, const char *signature)
{
    writer_open(w, DBUS_TYPE_DICT_ENTRY, NULL);
    writer_string(w, key);
    writer_open(w, DBUS_TYPE_VARIANT, signature);
}

static void entry_close(struct writer *w)
{
    writer_close(w);
    writer_close(w);
}

void writer_entry_string(struct writer *w, const char *key, const char *value)
{
    entry_open(w, key, "s");
    writer_string(w, value);
    entry_close(w);
}

void writer_entry_strv(struct writer *w, const char *key, const struct strv *value)
{
    entry_open(w, key, "as");
    writer_strv(w, value);
    entry_close(w);
}

void writer_entry_bool(struct writer *w, const char *key, bool value)
{
    entry_open(w, key, "b");
    writer_bool(w, value);
    entry_close(w);
}

void writer_entry_uint32(struct writer *w, const char *key, uint32_t value)
{
    entry_open(w, key, "u");
    writer_uint32(w, value);
    entry_close(w);
}

void writer_entry_uint64(struct writer *w, const char *key, uint64_t value)
{
    entry_open(w, key, "t");
    writer_uint64(w, value);
    entry_close(w);
}

void writer_entry_int64(struct writer *w, const char *key, int64_t value)
{
    entry_open(w, key, "x");
    writer_int64(w, value);
    entry_close(w);
}

void writer_pair(struct writer *w, const char *key, const char *value)
{
    writer_open(w, DBUS_TYPE_DICT_ENTRY, NULL);
    writer_string(w, key);
    writer_string(w, value);
    writer_close(w);
}

void writer_entry_array_open(struct writer *w, const char *key, const char *array_signature,
                             const char *element_signature)
{
    entry_open(w, key, array_signature);
    writer_open(w, DBUS_TYPE_ARRAY, element_signature);
}

void writer_entry_array_close(struct writer *w)
{
    writer_close(w);
    entry_close(w);
}
