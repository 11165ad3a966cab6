/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A bearer token and what was said of it, in one allocation, which is wiped with the last reference. The
 * bytes of the token are in it once: all that is given out points into `Authorization: Bearer ...`. libdbus
 * never sees them, since they come by descriptor. */

#include "client/library/lwa-client.h"

#include "util/cleanup.h"
#include "util/strv.h"

#include <dbus/dbus.h>
#include <stdint.h>

#define TOKEN_BYTES_MAX 4096

DEFINE_CLEANUP(struct lwa_token, lwa_token_unref);

/* What came with a token. The strings are the caller's, and none is NULL. */
struct token_facts {
    const char *type;
    const char *id;
    const char *account;
    const char *api_key; /* "": none */
    const char *api_base;
    struct strv scopes;
    uint64_t expires_at_sec;
    uint32_t expires_in_sec;
};

/* Now, by both clocks. */
struct token_time {
    uint64_t boot_usec;
    int64_t wall_sec;
};

/* Reads the token from the descriptor, which stays the caller's. -EBADMSG: what was found is no token, or
 * could not be sent in a header; -ENOMEM. */
int token_new(int fd, const struct token_facts *facts, const struct token_time *now,
              struct lwa_token **ret) _must_check_;
/* The same, of what GetToken answered: (ha{sv}). -EMFILE, too. */
int token_new_from_reply(DBusMessage *reply, const struct token_time *now,
                         struct lwa_token **ret) _must_check_;

struct token_time token_now(void);
/* When it is over, on CLOCK_BOOTTIME, and for how long it was good when it came. */
uint64_t token_get_end_usec(const struct lwa_token *token);
uint64_t token_get_life_usec(const struct lwa_token *token);
