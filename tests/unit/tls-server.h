/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A TLS server on loopback for tests, as hostile as it is told to be: an accept thread and a thread for each
 * connection, with certificates made on the spot. It is a server of its own, not lwa-sim, because what is
 * tested is what happens between the bytes.
 *
 * The path of a request says what is done with it:
 *   /ok        200, a small JSON body, kept alive
 *   /scripted  the bytes given to tls_server_set_reply(), kept alive
 *   /redirect  302 to /ok
 *   /slow      200 after 30 ms
 *   /once      200, then closed without a word
 *   /hang      no answer
 *   /die       read, then closed in order
 *   /reset     read, then reset
 *   /cut       half of an answer, then reset
 *   /big       an answer with a body of TLS_SERVER_BIG_BYTES, chunked
 *   /largest   an answer with a body of HTTP_BODY_BYTES_MAX */

#include <stdbool.h>

#define TLS_SERVER_BIG_BYTES 70000

enum tls_certificate { TLS_GOOD, TLS_EXPIRED, TLS_FUTURE, TLS_OTHER_HOST, TLS_UNTRUSTED };

enum tls_manner {
    TLS_SERVE,
    TLS_RESET_AT_ONCE,         /* reset before the handshake */
    TLS_STALL,                 /* no handshake, ever */
    TLS_RESET_AFTER_HANDSHAKE, /* reset without reading a request */
    TLS_PROXY,                 /* answers one CONNECT in plain text, then serves, whatever host was named */
    TLS_HTTP2,                 /* speaks just enough HTTP/2; /die and /refuse (REFUSED_STREAM) are known */
};

struct tls_server;

struct tls_server *tls_server_start(enum tls_certificate certificate, enum tls_manner manner);
void tls_server_stop(struct tls_server *s);

int tls_server_port(const struct tls_server *s);
/* PEM file with the authority of all but TLS_UNTRUSTED servers; removed by tls_server_forget_ca(). */
const char *tls_server_ca_file(void);
void tls_server_forget_ca(void);

void tls_server_set_reply(struct tls_server *s, const char *bytes);
unsigned tls_server_count_requests(struct tls_server *s);
unsigned tls_server_count_connections(struct tls_server *s);
/* The last request: head and body. Good until the next one is read. */
const char *tls_server_last_request(struct tls_server *s);
