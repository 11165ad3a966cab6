/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The mark of a Flatpak sandbox: the text of /.flatpak-info in its root, a GKeyFile that Flatpak writes. The
 * one thing taken from it is which application this is. Whoever makes a sandbox chooses what stands here, so
 * a text that two readers could read in two ways is refused as a whole. Pure. */

#include "util/cleanup.h"

#define FLATPAK_ID_SIZE 256 /* an id has at most 255 bytes */

enum { FLATPAK_INFO_E_MALFORMED = 1 };

/* The application id: of the only `name=` of the only [Application]. 0, or FLATPAK_INFO_E_MALFORMED with
 * nothing in `ret_id`: not UTF-8, a NUL or other control character, a line that is neither group, key nor
 * comment, a second [Application] or name, none of them, or an id that Flatpak would not accept. */
int flatpak_info_parse(const char *text, size_t n, char ret_id[static FLATPAK_ID_SIZE]) _must_check_;
