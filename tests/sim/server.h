/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* HTTP/1.1 on 127.0.0.1, with or without TLS: the only module that knows libmicrohttpd. One thread per
 * connection, so that a dispatcher may wait. */

#include "tests/sim/message.h"

#include <stdint.h>

struct sim;
struct server;

typedef void (*server_dispatch)(struct sim *sim, const struct request *rq, struct reply *rp);

struct server_options {
    uint16_t port;    /* 0 for any */
    const char *cert; /* PEM texts, NULL for plain HTTP */
    const char *key;
};

/* 0 or a negative errno. `sim` and the texts must outlive the server. */
int server_start(struct sim *sim, const struct server_options *options, server_dispatch dispatch,
                 struct server **ret) _must_check_;
/* Waits for the connections' threads: end their waits first (sim_stop()). */
void server_free(struct server *server);
DEFINE_CLEANUP(struct server, server_free);

uint16_t server_port(const struct server *server);

/* The user and password of a Basic authorization, as new strings. False when there is none. */
bool request_basic_auth(const struct request *rq, char **ret_user, char **ret_password);
