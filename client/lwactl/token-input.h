/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Takes a token, or another secret, from standard input, on a terminal without showing it, or from a file,
 * into a sealed memory file: never an argument, never the environment. The one buffer that it passes through
 * is wiped. */

#include "util/cleanup.h"

#define TOKEN_INPUT_BYTES_MAX 2048 /* what the broker takes */

enum token_input_kind {
    TOKEN_INPUT_REFRESH, /* to be imported; an access token is refused */
    TOKEN_INPUT_BEARER,  /* found somewhere, perhaps with the line of a log around it */
    TOKEN_INPUT_SECRET,  /* of `lwactl audit setup` */
};

/* CTL_OK with a descriptor, or an exit code: everything has been said. */
int token_input_read(enum token_input_kind kind, int *ret_fd) _must_check_;
/* The same from a file; "-" is standard input. */
int token_input_read_file(enum token_input_kind kind, const char *path, int *ret_fd) _must_check_;
