/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Broker1.GetToken, for those who call it: lwa_client_get_token(), its started kind, and renewals. */

#include "client/library/cache.h"

#define GET_TOKEN_REPLY "ha{sv}"

/* 0, or a negative errno with the error noted in the handle. */
int get_token_new_call(struct lwa_client *client, const struct cache_ask *ask,
                       DBusMessage **ret) _must_check_;
/* The same, noted in `error`. *ret is the caller's. */
int get_token_read(DBusMessage *reply, struct lwa_error *error, struct lwa_token **ret) _must_check_;

/* What is asked for, with what a started call needs to know when its answer comes. */
struct get_token {
    struct cache_ask ask; /* its own copies */
    unsigned generation;  /* of the cache, when it was asked */
    struct lwa_token *kept;
    lwa_token_fn fn;
    void *userdata;
};

struct get_token *get_token_new(struct lwa_client *client, const struct cache_ask *ask);
/* As a free_fn of call.h. */
void get_token_free(void *get_token);
