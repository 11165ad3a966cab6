/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A request as handlers see it, and the reply they fill in. Handlers run with the simulator's lock held and
 * touch neither sockets nor libmicrohttpd: server.c does. */

#include "tests/sim/form.h"

#include <json.h>

#define REQUEST_BODY_BYTES_MAX 65536
#define OUTCOME_SIZE 48

struct MHD_Connection;

enum body_kind { BODY_NONE, BODY_FORM, BODY_MULTIPART, BODY_JSON, BODY_OTHER };

struct request {
    struct MHD_Connection *connection;
    const char *method;
    char *target; /* as it came, with the query */
    char *path;   /* decoded; NULL while is_malformed */
    char *id;     /* x-amzn-RequestId of the reply */
    char *body;   /* n_body bytes, then a NUL */
    size_t n_body;
    struct form query;
    struct form form; /* of a BODY_FORM */
    enum body_kind body_kind;
    bool is_begun;
    bool is_malformed;      /* target or query cannot be decoded */
    bool is_body_malformed; /* BODY_FORM that cannot be decoded */
    bool is_too_large;
};

/* The value of a header, or NULL. Bytes as they came: compare them, do not echo them. */
const char *request_header(const struct request *rq, const char *name);

enum reply_mode {
    REPLY_SEND,
    REPLY_CUT,   /* half the body, and then the connection ends */
    REPLY_CLOSE, /* no answer: the connection is reset */
};

struct reply {
    enum reply_mode mode;
    unsigned status;
    char *body;
    size_t n;
    const char *content_type;
    char *location;             /* header Location, NULL for none */
    char *retry_after;          /* header Retry-After, NULL for none */
    char outcome[OUTCOME_SIZE]; /* what the counters call it: "ok" or the name of the error */
};

void reply_clear(struct reply *rp);
#define _cleanup_reply_ _cleanup_(reply_clear)

/* Each of these replaces what was in the reply. reply_body() and reply_json() take over what they are given.
 */
void reply_body(struct reply *rp, unsigned status, const char *outcome, const char *content_type, char *body,
                size_t n);
void reply_json(struct reply *rp, unsigned status, const char *outcome, struct json_object *object);
/* The error body of Login with Amazon: error, error_description, and perhaps more. */
void reply_oauth_error(struct reply *rp, const struct request *rq, unsigned status, const char *error,
                       const char *description);
/* The error body of the Music API, in which the status is a string. */
void reply_api_error(struct reply *rp, unsigned status, const char *code, const char *message);

/* Adds a string member. */
void json_add(struct json_object *object, const char *name, const char *value);
