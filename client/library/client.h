/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The handle, as the modules of the library see it. Each member is the module's of that name.
 *
 *   connection   a private connection to the bus; its descriptor in one epoll descriptor; comes back
 *   call         calls on it, waiting and not
 *   notice       what the app has to be told
 *   cache        the tokens that are kept, and when each has to be renewed
 *   login        the logins that are open
 *   fork-guard   whether this is still the process that made the handle
 *
 * What comes over the bus is handled in two steps, so that the app's code runs from the dispatch alone, never
 * inside of libdbus or of a call that waits:
 *   1. connection_pump() reads: the cache forgets what was revoked, replies are laid by. Calls that wait, and
 *      the cache before it gives away a token, may do it at any time.
 *   2. lwa_client_dispatch() tells the app what has been laid by. */

#include "client/library/error.h"
#include "client/library/lwa-client.h"
#include "util/list.h"

#include <dbus/dbus.h>
#include <stdint.h>

struct cache;
struct connection;
struct fork_guard;

struct lwa_client {
    struct fork_guard *fork_guard;
    struct connection *connection;
    struct cache *cache;
    struct list requests;     /* of struct lwa_request: those that wait for an answer */
    struct list answered;     /* and those whose callback is due */
    struct list logins;       /* of struct lwa_login */
    bool has_forgotten_login; /* a Begin was given up: what the broker makes of it has to be ended */
    struct lwa_error error;
    int timeout_msec;
    bool is_interactive;

    /* Rises whenever all that the broker knew of this handle is gone: a login that was begun in another epoch
     * is lost. */
    unsigned epoch;

    uint64_t n_arrivals; /* of signals and answers: the app is told of them in their order */
    struct list notices; /* signals that the app has not been told of */
    unsigned n_notices;  /* their count */
    bool is_gone_due;    /* the logins have to be told that the epoch is over */
    bool is_changed_due; /* on_changed has to be called */
    bool is_short;       /* memory was out: once more in a while */
    uint64_t retry_usec; /* when */

    lwa_revoked_fn revoked_fn;
    void *revoked_userdata;
    lwa_changed_fn changed_fn;
    void *changed_userdata;
};

/* 0, or -ECHILD with the error noted: the first line of every function of the API. Costs no system call. */
int client_check(struct lwa_client *client) _must_check_;
/* Notes an error of the library's own, and returns its errno. */
int client_fail(struct lwa_client *client, enum own_error own, const char *message);

/* `m` is a signal of the broker's own connection: any sender's that is not it has been dropped. Implemented
 * by cache.c and login.c. The cache hears of it at once, maybe inside of a call, and must not call the app:
 * client->revoked_fn is called by the dispatch. Twice the same is possible. */
void cache_handle_signal(struct lwa_client *client, DBusMessage *m);
/* From the dispatch: may call the app. */
void login_handle_signal(struct lwa_client *client, DBusMessage *m);
/* The broker, or the bus, is gone: nothing that it knew of us is left. The cache hears of it at once, and
 * must not call the app; client->changed_fn is called by the dispatch. */
void cache_handle_gone(struct lwa_client *client);
/* From the dispatch: may call the app. Logins of client->epoch are alive: they were begun since. */
void login_handle_gone(struct lwa_client *client);
/* Time of CLOCK_BOOTTIME at which the cache wants to be called, from the dispatch; UINT64_MAX: never. */
uint64_t cache_get_due_usec(const struct lwa_client *client);
void cache_handle_due(struct lwa_client *client);

/* NULL when memory is out. */
struct cache *cache_new(void);
struct cache *cache_free(struct cache *cache);
