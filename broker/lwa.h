/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Login with Amazon as a protocol: the requests the broker makes, each with one classified answer. What
 * Amazon documents is below developer.amazon.com/docs/login-with-amazon/ (code-based linking:
 * retrieve-code-other-platforms-cbl-docs.html); where it is silent the code does as Amazon's own SDKs do.
 * lwa-reply.c is the pure parser of replies, lwa.c sends. Text of the provider never leaves this module:
 * outcomes and names from our tables do.
 */

#include "broker/http.h"
#include "broker/secret.h"

#define LWA_TOKEN_BYTES_MAX 2048 /* docs/login-with-amazon/access-token.html */
#define LWA_CODE_BYTES_MAX 512   /* device_code */
#define LWA_USER_CODE_SIZE 33
#define LWA_URI_SIZE 257
#define LWA_USER_ID_SIZE 129

enum lwa_outcome {
    LWA_OK,
    LWA_E_PENDING,       /* poll: not yet */
    LWA_E_SLOW_DOWN,     /* poll: less often */
    LWA_E_EXPIRED,       /* expired_token, invalid_code_pair */
    LWA_E_DENIED,        /* access_denied */
    LWA_E_INVALID_GRANT, /* the one terminal answer to a refresh (I6) */
    LWA_E_CLIENT,        /* invalid_client, unauthorized_client: configuration */
    LWA_E_CLIENT_TYPE,   /* invalid_request naming client_secret: a web client id on a device */
    LWA_E_SCOPE,         /* invalid_scope, insufficient_scope */
    LWA_E_INVALID_TOKEN, /* tokeninfo: not a token (of this client) */
    LWA_E_REQUEST,       /* any other named 4xx error: our own mistake or a changed provider */
    LWA_E_TRANSIENT,     /* 5xx, 429, HTML, anything unparseable: try again later */
    LWA_E_OFFLINE,       /* no name, no connection, no TLS: nothing was sent; else as transient */
    LWA_E_PORTAL,        /* a page or a redirect instead of the service: as transient */
    LWA_E_CLOCK,         /* TLS certificate not valid now: perhaps our clock; else as transient */
    LWA_E_AMBIGUOUS,     /* sent, and no usable answer: for a refresh it may have been carried out */
};

const char *lwa_outcome_name(enum lwa_outcome outcome); /* "invalid-grant", ... */
/* Says nothing of the login or the configuration: the same request may succeed later (I6). */
bool lwa_outcome_is_transient(enum lwa_outcome outcome);

/* What every answer tells, for status, log and backoff. */
struct lwa_answer {
    enum lwa_outcome outcome;
    long status;          /* HTTP status, 0 without a reply */
    bool is_json;         /* by its Content-Type */
    long retry_after_sec; /* -1 for none */
    uint64_t sent_usec;   /* boot time when the request was sent: lifetimes count from here */
    enum http_failure failure;
    char request_id[HTTP_REQUEST_ID_SIZE];
};

/* Reply bodies; everything in them is valid UTF-8, NUL-terminated and bounded. */
struct lwa_code_pair {
    char user_code[LWA_USER_CODE_SIZE];
    struct secret *device_code;
    char verification_uri[LWA_URI_SIZE];          /* http or https */
    char verification_uri_complete[LWA_URI_SIZE]; /* "" when absent */
    uint32_t expires_in_sec;                      /* 1 to 86,400 */
    uint32_t interval_sec;                        /* 1 to 3,600; 5 when absent (RFC 8628, 3.2) */
};

struct lwa_tokens {
    struct secret *access;
    struct secret *refresh;  /* NULL when the provider sent none */
    uint32_t expires_in_sec; /* 1 to 86,400 */
};

struct lwa_token_info {
    char user_id[LWA_USER_ID_SIZE];
    char audience[129]; /* `aud`: the client id */
};

/* Which fields the customer's profile has; what they hold is nobody's business here. */
struct lwa_profile {
    bool has_user_id;
    bool has_name;
    bool has_email;
};

void lwa_code_pair_clear(struct lwa_code_pair *p);
void lwa_tokens_clear(struct lwa_tokens *t);

/* --- the pure parser (lwa-reply.c): what fuzzing feeds ----------------------------------------------- */

/* What kind of request the reply answers: the same error name can mean different things. */
enum lwa_request_kind {
    LWA_CODEPAIR,
    LWA_POLL,
    LWA_REFRESH,
    LWA_TOKENINFO,
    LWA_EXCHANGE,
    LWA_PROBE,
    LWA_PROFILE
};

/* Classifies any HTTP reply or failure; LWA_OK only says that the body is worth parsing. */
enum lwa_outcome lwa_classify(enum lwa_request_kind kind, const struct http_reply *reply);
/* LWA_OK with *ret filled, else the outcome of a reply that should have been good and was not:
 * LWA_E_TRANSIENT, or LWA_E_AMBIGUOUS for poll, refresh and exchange (a token may have been issued and
 * lost). */
enum lwa_outcome lwa_parse_code_pair(const char *body, size_t n, struct lwa_code_pair *ret);
enum lwa_outcome lwa_parse_tokens(const char *body, size_t n, bool needs_refresh_token,
                                  struct lwa_tokens *ret);
enum lwa_outcome lwa_parse_token_info(const char *body, size_t n, struct lwa_token_info *ret);
enum lwa_outcome lwa_parse_profile(const char *body, size_t n, struct lwa_profile *ret);

/* --- requests (lwa.c) -------------------------------------------------------------------------------- */

struct lwa_request; /* a slot: dropping it cancels the request; gone when its callback returns */

typedef void (*lwa_code_pair_callback)(const struct lwa_answer *answer, struct lwa_code_pair *pair,
                                       void *userdata);
typedef void (*lwa_tokens_callback)(const struct lwa_answer *answer, struct lwa_tokens *tokens,
                                    void *userdata);
typedef void (*lwa_token_info_callback)(const struct lwa_answer *answer, const struct lwa_token_info *info,
                                        void *userdata);
typedef void (*lwa_profile_callback)(const struct lwa_answer *answer, const struct lwa_profile *profile,
                                     void *userdata);
typedef void (*lwa_probe_callback)(const struct lwa_answer *answer, void *userdata);
/* The second argument is NULL unless the outcome is LWA_OK; the callee may take secrets out of it, the rest
 * is wiped after the callback. All strings are copied by the call. 0, -EINVAL or -ENOMEM. */

/* GET tokeninfo without a token, to learn whether the provider can be reached: whatever it answers, be it an
 * error, is LWA_OK. A page or a redirect in its place is LWA_E_PORTAL. */
int lwa_request_probe(struct http *h, const char *endpoint, lwa_probe_callback callback, void *userdata,
                      struct lwa_request **ret) _must_check_;
/* POST codepair: response_type=device_code, client_id, scope, scope_data if not NULL. */
int lwa_request_code_pair(struct http *h, const char *endpoint, const char *client_id, const char *scope,
                          const char *scope_data, const char *locale, lwa_code_pair_callback callback,
                          void *userdata, struct lwa_request **ret) _must_check_;
/* POST token: grant_type=device_code, device_code, user_code; no client id. */
int lwa_request_poll(struct http *h, const char *endpoint, const struct secret *device_code,
                     const char *user_code, lwa_tokens_callback callback, void *userdata,
                     struct lwa_request **ret) _must_check_;
/* POST token: grant_type=refresh_token, refresh_token, client_id, client_secret if not NULL;
 * never `scope`, unless `scope` is not NULL (a provider that is configured to narrow). */
int lwa_request_refresh(struct http *h, const char *endpoint, const char *client_id,
                        const struct secret *client_secret, const struct secret *refresh_token,
                        const char *scope, lwa_tokens_callback callback, void *userdata,
                        struct lwa_request **ret) _must_check_;
/* POST token: grant_type=authorization_code, code, redirect_uri as in the authorization request, client_id,
 * client_secret if not NULL, code_verifier. Tokens without a refresh token are LWA_OK too: that is how LWA
 * answers a web client without its secret. */
int lwa_request_exchange(struct http *h, const char *endpoint, const char *client_id,
                         const struct secret *client_secret, const struct secret *code,
                         const struct secret *verifier, const char *redirect_uri,
                         lwa_tokens_callback callback, void *userdata, struct lwa_request **ret) _must_check_;
/* GET tokeninfo with the token in the header x-amz-access-token. */
int lwa_request_token_info(struct http *h, const char *endpoint, const struct secret *access_token,
                           lwa_token_info_callback callback, void *userdata,
                           struct lwa_request **ret) _must_check_;
/* GET profile, in the same way. */
int lwa_request_profile(struct http *h, const char *endpoint, const struct secret *access_token,
                        lwa_profile_callback callback, void *userdata, struct lwa_request **ret) _must_check_;

void lwa_request_drop(struct lwa_request *r);
DEFINE_CLEANUP(struct lwa_request, lwa_request_drop);
