/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What came over the bus, as json-c values: one form for --json and for people.
 *
 * Invariant: a string of a peer reaches a print function only through here. VALUES_SAFE makes every string
 * (keys too) safe for a terminal on the way in; VALUES_EXACT keeps them, for values_print() and for html.h,
 * which escape. */

#include "util/cleanup.h"

#include <dbus/dbus.h>
#include <json.h>
#include <stdint.h>

enum values_style { VALUES_SAFE, VALUES_EXACT };

static inline void json_object_putp(struct json_object **p)
{
    json_object_put(*p);
}

#define _cleanup_json_ _cleanup_(json_object_putp)

/* The value at the iterator; descriptors become null. 0 or -ENOMEM. */
int values_from_iter(DBusMessageIter *iter, enum values_style style, struct json_object **ret) _must_check_;
/* The argument `index` (from 0) of a message, whose signature has been checked. */
int values_from_message(DBusMessage *m, unsigned index, enum values_style style,
                        struct json_object **ret) _must_check_;

/* A list of the words of a text; NULL when memory is out. As VALUES_EXACT. */
struct json_object *values_from_words(const char *text);
/* Hands the value over to the object; NULL is memory that was out before. 0 or -ENOMEM. */
int values_add(struct json_object *object, const char *key, struct json_object *value) _must_check_;

/* Fields of an object; what is missing or of another type is "", 0, false or an empty list. */
const char *values_text(struct json_object *object, const char *key);
int64_t values_number(struct json_object *object, const char *key);
bool values_flag(struct json_object *object, const char *key);
/* NULL when there is no such list: values_count() and values_item() take it. */
struct json_object *values_list(struct json_object *object, const char *key);
size_t values_count(struct json_object *list);
struct json_object *values_item(struct json_object *list, size_t i);
/* The strings of a list, joined; NULL when memory is out. */
char *values_join(struct json_object *list, const char *separator);

/* Prints JSON in which no control and no unseen mark stands bare; a newline ends it. */
int values_print(struct json_object *value, bool pretty, FILE *out) _must_check_;
/* Each item of a list so, on a line of its own. */
int values_print_lines(struct json_object *list, FILE *out) _must_check_;
