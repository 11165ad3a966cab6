/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Arguments of D-Bus messages, made of an input: whatever libdbus lets through. Words of the contract come
 * up often. */

#include "tests/fuzz/fuzz.h"

#include <dbus/dbus.h>

/* Those of this signature, now and then others. */
void append_arguments(struct input *in, DBusMessageIter *to, const char *signature);
/* One value of any type. */
void append_anything(struct input *in, DBusMessageIter *to, unsigned depth);
