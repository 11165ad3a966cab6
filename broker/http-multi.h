/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One curl multi handle in a libuv loop. Internal to http.c, which sets up the transfers and gives them a
 * meaning; this part only moves them.
 *
 * Curl asks, by callback, for descriptors to be watched and for one timer; each has one uv handle. After
 * every call of curl_multi_socket_action() the finished transfers are taken out and handed over, outside of
 * any curl callback, so that `done` may add and remove transfers, and may drop the last reference to this. */

#include "util/cleanup.h"

#include <curl/curl.h>
#include <uv.h>

struct http_multi;

struct http_multi_events {
    /* The transfer ended; it is not in the multi any more. */
    void (*done)(CURL *easy, CURLcode result);
    /* Curl failed as a whole: the state of every transfer is undefined. Each has to be removed, and this
     * multi not used again. */
    void (*broken)(struct http_multi *m, void *userdata);
    void *userdata;
};

int http_multi_new(uv_loop_t *loop, const struct http_multi_events *events,
                   struct http_multi **ret) _must_check_;

/* With the last reference the pooled connections close at once, and the uv handles in the next round of the
 * loop. All transfers must have been removed by then. */
struct http_multi *http_multi_ref(struct http_multi *m);
void http_multi_unref(struct http_multi *m);
DEFINE_CLEANUP(struct http_multi, http_multi_unref);

/* Makes the transfer's sockets this multi's, and starts it. 0 or -ENOMEM. */
int http_multi_add(struct http_multi *m, CURL *easy) _must_check_;
/* Cancels the transfer. */
void http_multi_remove(struct http_multi *m, CURL *easy);
