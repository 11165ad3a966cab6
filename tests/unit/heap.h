/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Looks for bytes that should have been wiped: counts where `text`, written here mirrored so that the search
 * itself does not find its own copy, stands in the main heap. -1 where the heap cannot be looked at. */

int heap_count(const char *mirrored);
