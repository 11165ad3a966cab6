/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The handle, as the modules of the library see it. Each member is the module's of that name.
 *
 *   connection   a private connection to the bus; its descriptors in one epoll descriptor; comes back
 *   call         calls on it, waiting and not
 *   cache        the tokens that are kept, and when each has to be renewed
 *   login        the logins that are open
 *   fork-guard   whether this is still the process that made the handle */

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
    struct list requests; /* of struct lwa_request */
    struct list logins;   /* of struct lwa_login */
    struct lwa_error error;
    int timeout_msec;
    bool is_interactive;

    lwa_revoked_fn revoked_fn;
    void *revoked_userdata;
    lwa_changed_fn changed_fn;
    void *changed_userdata;
};

/* 0, or -ECHILD with the error noted: the first line of every function of the API. Costs no system call. */
int client_check(struct lwa_client *client) _must_check_;
/* Notes an error of the library's own, and returns its errno. */
int client_fail(struct lwa_client *client, enum own_error own, const char *message);

/* What the connection hands on. `m` is a signal of the broker's own connection: any sender's that is not it
 * has been dropped. Implemented by cache.c and login.c. */
void cache_handle_signal(struct lwa_client *client, DBusMessage *m);
void login_handle_signal(struct lwa_client *client, DBusMessage *m);
/* The broker, or the bus, is gone: nothing that it knew of us is left. */
void cache_handle_gone(struct lwa_client *client);
void login_handle_gone(struct lwa_client *client);
/* Time of CLOCK_BOOTTIME at which the cache wants to be called; UINT64_MAX: never. */
uint64_t cache_get_due_usec(const struct lwa_client *client);
void cache_handle_due(struct lwa_client *client);

struct cache *cache_new(void);
struct cache *cache_free(struct cache *cache);
