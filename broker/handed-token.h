/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A token that a peer hands in by descriptor. Only a memfd that is sealed against writing, growing and
 * shrinking is read: a pipe, a socket or a file of a slow or hostile file system could block the reader (I7),
 * and what can change while it is read is not what was checked. */

#include "broker/secret.h"

#define HANDED_TOKEN_BYTES_MAX 2048 /* of the whole file */

/* 1 to 2,048 bytes of printable ASCII without blanks, perhaps with one newline at the end, which is no part
 * of the token. -EINVAL for anything else, and -ENOMEM. The descriptor stays the caller's. */
int handed_token_read(int fd, struct secret **ret) _must_check_;
