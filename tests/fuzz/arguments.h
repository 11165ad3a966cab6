/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Arguments of D-Bus messages, made of an input: whatever libdbus lets through. Words of the contract come
 * up often, and so do descriptors of memory files that are sealed, or not. */

#include "tests/fuzz/fuzz.h"

#include <dbus/dbus.h>

/* One word more, which the entry has learned meanwhile; "" for none. */
extern char arguments_word[128];

/* Those of this signature, now and then others. */
void append_arguments(struct input *in, DBusMessageIter *to, const char *signature);
/* One value of any type. */
void append_anything(struct input *in, DBusMessageIter *to, unsigned depth);
