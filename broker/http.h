/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* HTTPS requests in the loop: libcurl's multi interface driven by libuv. The only module that knows curl.
 *
 * HTTPS only, TLS 1.2 or newer, no redirects, no proxy but the configured one, replies capped, connect and
 * total time-outs, keep-alive and HTTP/2. Memory that curl frees is wiped first (bodies hold tokens).
 * Dropping the request cancels it. The callback runs once, from the loop, never from within http_post(),
 * http_get() or http_head(); the request is gone when it returns (dropping it from within is harmless). A
 * POST is sent once at most. The process must ignore SIGPIPE. */

#include "util/cleanup.h"

#include <stdint.h>
#include <uv.h>

#define HTTP_BODY_BYTES_MAX 65536
#define HTTP_REQUEST_ID_SIZE 64

struct http;
struct http_request;

struct http_options {
    const char *ca_file; /* NULL or "": the system's */
    const char *proxy;   /* NULL or "": none, whatever the environment says */
    unsigned connect_timeout_sec;
    unsigned request_timeout_sec;
};

int http_new(uv_loop_t *loop, const struct http_options *options, struct http **ret) _must_check_;
/* New options hold for requests begun afterwards; connections made under others are not used again. */
int http_set_options(struct http *h, const struct http_options *options) _must_check_;
/* All requests must have been dropped. Closes its handles asynchronously: run the loop once more. */
void http_free(struct http *h);
DEFINE_CLEANUP(struct http, http_free);

enum http_failure {
    HTTP_OK,          /* an HTTP reply of any status came in full */
    HTTP_E_RESOLVE,   /* the host name did not resolve */
    HTTP_E_CONNECT,   /* refused, unreachable, reset before anything was sent, connect time-out */
    HTTP_E_TLS,       /* handshake failed, certificate of another host or issuer */
    HTTP_E_TLS_TIME,  /* the certificate is expired or not yet valid: perhaps the clock is not set */
    HTTP_E_LOST,      /* sent, or perhaps sent, and no full reply: the outcome is unknown */
    HTTP_E_TOO_LARGE, /* the reply exceeds HTTP_BODY_BYTES_MAX */
    HTTP_E_INTERNAL,  /* out of memory or descriptors; nothing was sent */
};

const char *http_failure_name(enum http_failure failure); /* "connect", "tls-time", ... */

struct http_reply {
    enum http_failure failure;
    bool sent;        /* bytes of the request may have reached the server */
    long status;      /* 0 unless HTTP_OK */
    const char *body; /* `n` bytes, then a NUL; wiped when the callback returns */
    size_t n;
    bool is_json;                          /* by Content-Type */
    long retry_after_sec;                  /* Retry-After, at most a day; -1 for none */
    int64_t date_sec;                      /* what time the server says it is; 0: it does not */
    bool is_not_yet_valid;                 /* of HTTP_E_TLS_TIME: the certificate's time is still to come */
    uint64_t sent_usec;                    /* boot time just before the request went out */
    char request_id[HTTP_REQUEST_ID_SIZE]; /* x-amzn-RequestId if it is [A-Za-z0-9-]*, else "" */
};

typedef void (*http_callback)(const struct http_reply *reply, void *userdata);

/* A field of a form, or of a query: percent-encoded by this module, in the order given. */
struct http_field {
    const char *name;
    const char *value;
};

/* POSTs application/x-www-form-urlencoded. `language` is an Accept-Language value or NULL. The encoded body
 * is wiped when the request ends. Secrets among the values are copied nowhere else. 0, -ENOMEM, or -EINVAL
 * for a URL that is not https. */
int http_post(struct http *h, const char *url, const struct http_field *fields, size_t n_fields,
              const char *language, http_callback callback, void *userdata,
              struct http_request **ret) _must_check_;

/* GETs with a header `bearer_header: bearer` (e.g. x-amz-access-token), so that no token is in a URL; without
 * it when `bearer` is NULL. */
int http_get(struct http *h, const char *url, const char *bearer_header, const char *bearer,
             http_callback callback, void *userdata, struct http_request **ret) _must_check_;

/* HEAD: whether the server answers, and with what time. */
int http_head(struct http *h, const char *url, http_callback callback, void *userdata,
              struct http_request **ret) _must_check_;

void http_request_drop(struct http_request *r);
DEFINE_CLEANUP(struct http_request, http_request_drop);
