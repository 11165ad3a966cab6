/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes that are whole or not at all. */

#include "util/cleanup.h"

/* Writes all n bytes. 0 or a negative errno. */
int savefile_write_all(int fd, const char *bytes, size_t n) _must_check_;

/* Makes `path` a file of mode 0600 with these bytes, or leaves it as it was: written beside it, synced,
 * renamed over it, the folder synced. SAVEFILE_E_OTHER when `path` is there and is not a regular file (a
 * symbolic link is not: it could point anywhere). Signals that end a program wait until it is done, so that
 * no half file with a secret stays behind. */
enum { SAVEFILE_E_OTHER = 1 };

int savefile_replace(const char *path, const char *bytes, size_t n) _must_check_;
