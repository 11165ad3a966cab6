/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What went wrong: one table for the errors of the contract and one for the library's own. A message of the
 * broker's is kept, with `?` for every control character. */

#include "client/library/lwa-client.h"

#include "util/cleanup.h"

enum own_error {
    OWN_NO_BUS,
    OWN_NO_BROKER,
    OWN_NO_REPLY,
    OWN_BAD_ANSWER,
    OWN_FORKED,
    OWN_NO_MEMORY,
    OWN_BAD_ARGUMENT,
    OWN_TOKEN_REJECTED,
    OWN_ERROR_COUNT
};

#define ERROR_TEXT_BYTES_MAX 1024

struct lwa_error {
    int code; /* negative errno; 0: nothing has failed yet */
    unsigned retry_after_sec;
    char name[256];
    char message[ERROR_TEXT_BYTES_MAX];
    const char *hint; /* static */
};

/* Both return the negative errno. `message` may be NULL. */
int error_set_own(struct lwa_error *error, enum own_error own, const char *message);
/* A D-Bus error as it came: of the broker, or of the bus. */
int error_set_from_bus(struct lwa_error *error, const char *name, const char *message);
