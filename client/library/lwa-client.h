/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LWA_CLIENT_H
#define LWA_CLIENT_H

/* liblwa-client: bearer tokens of Login with Amazon from lwa-broker, for apps. lwa-client(3) is the manual.
 *
 *     struct lwa_client *client;
 *     struct lwa_token *token;
 *     int r = lwa_client_new(&client);
 *     if (r == 0)
 *         r = lwa_client_get_token(client, "music::library:read", NULL, 0, &token);
 *     if (r == 0)
 *         send_request(lwa_token_get_authorization_header(token), lwa_token_get_api_key_header(token));
 *
 * Ask for the token again before each request: the library keeps it while it is valid, and gives it back
 * without a call over the bus.
 *
 * Returns. 0 or a positive number that the function tells; a negative errno when it failed, and then
 * lwa_client_get_error() says what happened and what to do. Outputs come last, are set when the function
 * succeeded and left alone when it failed. A function that cannot fail takes NULL for its object, and then
 * answers NULL, 0 or "", or what keeps a loop waiting.
 *
 * Scopes are written as in OAuth 2.0: scope tokens with a blank between them (RFC 6749 section 3.3).
 *
 * Threads. A handle, and all that was made with it, is for one thread at a time; two handles share nothing.
 * Fork. In a child every call with a handle of the parent's fails with -ECHILD and touches nothing that the
 * parent uses; free it, and make a new one.
 * The library starts no threads, installs no signal handlers, writes nothing to standard output or error, and
 * never ends the process. All descriptors are CLOEXEC.
 *
 * This header is C89, and C++. Everything in it is there since version 0.1, unless it says otherwise. */

#include <stddef.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LWA_MUST_CHECK __attribute__((warn_unused_result))
#pragma GCC visibility push(default)
#else
#define LWA_MUST_CHECK
#endif

#define LWA_CLIENT_VERSION_MAJOR 0
#define LWA_CLIENT_VERSION_MINOR 1
#define LWA_CLIENT_VERSION_PATCH 0

struct lwa_client;   /* a connection to the broker, with the tokens that it keeps */
struct lwa_error;    /* what went wrong */
struct lwa_token;    /* a bearer token */
struct lwa_verdicts; /* what CheckScopes answered */
struct lwa_request;  /* something that was started, and is not done yet */
struct lwa_login;    /* a login of a person */

/* "0.1.0", of the library that runs; static. */
const char *lwa_client_version(void);

/* --- the handle: lwa_client_new(3) ---------------------------------------------------------------------- */

/* Makes a handle. Connects to nothing yet: the first call does, and every call after the bus or the broker
 * was gone. The bus is found as libdbus finds it (DBUS_SYSTEM_BUS_ADDRESS). -ENOMEM, -EMFILE, -ENFILE. */
int lwa_client_new(struct lwa_client **ret) LWA_MUST_CHECK;

/* Cancels what was started with the handle (no callback is called any more), wipes the tokens that it keeps,
 * closes. Tokens that the caller holds stay valid. The caller's `struct lwa_login`s of it have to be freed
 * before. Returns NULL; takes NULL. Not from within a callback of the handle. */
struct lwa_client *lwa_client_free(struct lwa_client *client);

/* Whether polkit's agent may ask the person in front of the screen, where an app may not have a scope without
 * (org.lwabroker.Error.ConsentRequired). A call may then wait as long as the person does. Not allowed at
 * first. */
void lwa_client_set_interactive(struct lwa_client *client, int is_interactive);

/* How long a call waits for the broker, in milliseconds; -1: without end. At first 90,000, as the broker
 * itself may wait for Amazon for 60 s. Interactive calls wait without end. */
void lwa_client_set_timeout(struct lwa_client *client, int timeout_msec);

/* --- errors: lwa_error(3) ------------------------------------------------------------------------------- */

/* Of the last function that failed with this handle; the handle's own, until the next one fails or the handle
 * is freed. NULL if nothing has failed yet. */
const struct lwa_error *lwa_client_get_error(const struct lwa_client *client);

/* The negative errno: -EACCES AccessDenied, -EPERM ConsentRequired, -ENOKEY LoginRequired, -EKEYREJECTED
 * NarrowerLoginRequired, -EINVAL InvalidScope and InvalidArgument, -ENOENT NoSuchAccount, -EAGAIN
 * ProviderUnavailable, -EPROTO ProviderMisconfigured, -EBUSY RateLimited, -EIO AuditUnavailable and
 * StoreUnavailable, -ECANCELED Cancelled, -EOPNOTSUPP NotSupported; -ENOTCONN there is no bus, -EHOSTUNREACH
 * there is no broker on it, -ETIMEDOUT no answer, -EBADMSG an answer that this library does not know,
 * -EKEYEXPIRED lwa_client_call() was rejected twice, -ECHILD a handle of before fork(2), -ENOMEM, -EMFILE. */
int lwa_error_get_errno(const struct lwa_error *error);
/* The D-Bus name: "org.lwabroker.Error.AccessDenied"; of the library's own errors
 * "org.lwabroker.Client.Error." and a word: NoBus, NoBroker, NoReply, BadAnswer, Forked, NoMemory,
 * BadArgument, TokenRejected. Never NULL. */
const char *lwa_error_get_name(const struct lwa_error *error);
/* A sentence, in English, safe to be shown: printable, and without a token or anything of the provider's. */
const char *lwa_error_get_message(const struct lwa_error *error);
/* What to do next, a sentence; "" if there is nothing to add. */
const char *lwa_error_get_hint(const struct lwa_error *error);
/* 1 if it is this one: the name, or its last word ("LoginRequired"). */
int lwa_error_is(const struct lwa_error *error, const char *name);
/* Seconds until it makes sense to try again, where the broker said so (RateLimited, ProviderUnavailable);
 * else 0. */
unsigned lwa_error_get_retry_after(const struct lwa_error *error);

/* --- tokens: lwa_client_get_token(3) -------------------------------------------------------------------- */

/* A token that carries at least these scopes, and is valid for at least min_valid seconds (0: what the broker
 * holds for enough). `account` is the id of one, or NULL for the caller's default. Kept until shortly before
 * it ends, until it is revoked, until the broker is gone, or, for NULL, until the accounts change; the next
 * call after that gets a new one. While it is about to end, the kept one is given back and its successor
 * fetched when the handle is dispatched, so that an event loop never waits; without a loop the call fetches
 * it. Blocks only if it has to ask the broker. *ret_token is the caller's: lwa_token_unref(). */
int lwa_client_get_token(struct lwa_client *client, const char *scope, const char *account,
                         unsigned min_valid, struct lwa_token **ret_token) LWA_MUST_CHECK;

/* The API answered 401 INVALID_ACCESS_TOKEN to this token (lwa_is_rejected()): it is kept no more, and the
 * broker renews it. Blocks. 1: a new one can be asked for now; 0: the broker knows nothing of this token. */
int lwa_client_report_rejected(struct lwa_client *client, struct lwa_token *token) LWA_MUST_CHECK;

/* Runs a request of the caller's with a token. Return 0 or a positive number for success, LWA_CALL_REJECTED
 * if the token was rejected, a negative errno for any other failure. */
#define LWA_CALL_REJECTED (-2147483647 - 1)
typedef int (*lwa_call_fn)(struct lwa_token *token, void *userdata);

/* Gets a token and calls `fn` with it; if that returns LWA_CALL_REJECTED, reports the token, gets a new one,
 * and calls `fn` once more: twice at most. Returns what fn returned; -EKEYEXPIRED if the second token was
 * rejected, too. Blocks. */
int lwa_client_call(struct lwa_client *client, const char *scope, const char *account, unsigned min_valid,
                    lwa_call_fn fn, void *userdata) LWA_MUST_CHECK;

/* 1 if this answer of the API says that the token was rejected and a new one could help: status 401 with the
 * code INVALID_ACCESS_TOKEN (Amazon Music API V1) or UNAUTHORIZED (V2). The other codes of 401 say that the
 * request is wrong, which no new token mends. `body` may be NULL when n_bytes is 0. */
int lwa_is_rejected(long status, const char *body, size_t n_bytes);

/* The app is done: the broker and the handle forget its tokens. Blocks. */
int lwa_client_release_tokens(struct lwa_client *client) LWA_MUST_CHECK;

/* --- a token: lwa_token(3) ------------------------------------------------------------------------------ */

/* All strings are the token's, NUL-terminated, and live as long as it does. A token does not change. */
struct lwa_token *lwa_token_ref(struct lwa_token *token);
/* Wiped with the last reference. Returns NULL; takes NULL. */
struct lwa_token *lwa_token_unref(struct lwa_token *token);

/* The bare token; n_bytes (may be NULL) is its length. */
const char *lwa_token_get_bytes(const struct lwa_token *token, size_t *ret_n_bytes);
/* "Bearer ...": the value of the header Authorization (RFC 6750 section 2.1). */
const char *lwa_token_get_authorization(const struct lwa_token *token);
/* "Authorization: Bearer ...", without a line's end. */
const char *lwa_token_get_authorization_header(const struct lwa_token *token);
/* The value of the header x-api-key (LWA: the id of the security profile), and "x-api-key: ...". Both NULL if
 * none is configured. */
const char *lwa_token_get_api_key(const struct lwa_token *token);
const char *lwa_token_get_api_key_header(const struct lwa_token *token);
/* Where the API is: "https://api.music.amazon.dev/v1"; "" if it is not configured. */
const char *lwa_token_get_api_base(const struct lwa_token *token);
/* What it carries, which can be more than was asked for. */
const char *lwa_token_get_scope(const struct lwa_token *token);
/* 1 if it carries this very scope. What a scope implies is the broker's to know. */
int lwa_token_has_scope(const struct lwa_token *token, const char *scope);
/* Unix time at which it ends. */
time_t lwa_token_get_expires_at(const struct lwa_token *token);
/* Seconds until then, by a clock that nobody sets and that counts suspend; 0 when it is over. */
unsigned lwa_token_get_expires_in(const struct lwa_token *token);
/* Names the token without revealing it: as in TokenRevoked and on the audit trail. */
const char *lwa_token_get_id(const struct lwa_token *token);
const char *lwa_token_get_account(const struct lwa_token *token);

/* --- what would be given: lwa_client_check_scopes(3) ---------------------------------------------------- */

/* Asks what would be answered, without a side effect and without a prompt. *ret_verdicts is the caller's. */
int lwa_client_check_scopes(struct lwa_client *client, const char *scope, const char *account,
                            struct lwa_verdicts **ret_verdicts) LWA_MUST_CHECK;
struct lwa_verdicts *lwa_verdicts_free(struct lwa_verdicts *verdicts);
size_t lwa_verdicts_get_count(const struct lwa_verdicts *verdicts);
/* The strings are the verdicts'. The i-th scope, and what is said of it: "allow", "ask", "deny" or
 * "login-required"; NULL when i is not below the count. */
const char *lwa_verdicts_get_scope(const struct lwa_verdicts *verdicts, size_t i);
const char *lwa_verdicts_get_verdict(const struct lwa_verdicts *verdicts, size_t i);
/* The verdict of a scope, NULL if it was not asked for. */
const char *lwa_verdicts_find(const struct lwa_verdicts *verdicts, const char *scope);

/* The version of the broker, "0.1.0": the handle's, until the broker is another. Blocks the first time. */
int lwa_client_get_broker_version(struct lwa_client *client, const char **ret_version) LWA_MUST_CHECK;
/* 1 if the broker has this feature (the property Features of org.lwabroker.Broker1), 0 if not. */
int lwa_client_has_feature(struct lwa_client *client, const char *feature) LWA_MUST_CHECK;

/* --- without waiting: lwa_client_start(3) --------------------------------------------------------------- */

/* Each start returns at once. Its callback is called exactly once, from lwa_client_dispatch() and never from
 * within the start, unless the request is cancelled before. `result` is what the blocking function returns,
 * `error` NULL or what went wrong, for the time of the callback. *ret_request (ret_request may be NULL) lives
 * until its callback returns. A callback may start, cancel and block, but not free its handle.
 * `fn` may be NULL, where nobody wants to know. */
typedef void (*lwa_token_fn)(struct lwa_client *client, int result, struct lwa_token *token,
                             const struct lwa_error *error, void *userdata); /* ref the token to keep it */
typedef void (*lwa_verdicts_fn)(struct lwa_client *client, int result, const struct lwa_verdicts *verdicts,
                                const struct lwa_error *error, void *userdata); /* the library's */
typedef void (*lwa_result_fn)(struct lwa_client *client, int result, const struct lwa_error *error,
                              void *userdata);

int lwa_client_start_get_token(struct lwa_client *client, const char *scope, const char *account,
                               unsigned min_valid, lwa_token_fn fn, void *userdata,
                               struct lwa_request **ret_request) LWA_MUST_CHECK;
int lwa_client_start_report_rejected(struct lwa_client *client, struct lwa_token *token, lwa_result_fn fn,
                                     void *userdata, struct lwa_request **ret_request) LWA_MUST_CHECK;
int lwa_client_start_check_scopes(struct lwa_client *client, const char *scope, const char *account,
                                  lwa_verdicts_fn fn, void *userdata,
                                  struct lwa_request **ret_request) LWA_MUST_CHECK;
int lwa_client_start_release_tokens(struct lwa_client *client, lwa_result_fn fn, void *userdata,
                                    struct lwa_request **ret_request) LWA_MUST_CHECK;
/* The callback will not be called. Takes NULL; frees the request. */
void lwa_request_cancel(struct lwa_request *request);

/* --- the event loop: lwa_client_get_fd(3) --------------------------------------------------------------- */

/* The descriptor to wait for: the same for the whole life of the handle, also when it reconnects; the
 * handle's, not to be read, written or closed. Cannot fail; -1 for NULL. */
int lwa_client_get_fd(const struct lwa_client *client);
/* What to wait for, as poll(2) has it: POLLIN, always. */
int lwa_client_get_events(const struct lwa_client *client);
/* How long to wait at most, in milliseconds as for poll(2); 0: dispatch now; -1: without end. Ask before each
 * wait, since every call with the handle can change it. */
int lwa_client_get_timeout(const struct lwa_client *client);
/* Does what is due, and calls callbacks. Never blocks. Call it when the descriptor is readable or the
 * time-out is over; more often does no harm. 0; -ENOMEM; -ECHILD. That the bus or the broker is gone is no
 * failure of it: the callbacks tell. */
int lwa_client_dispatch(struct lwa_client *client);

/* Called when a token of this handle was revoked: stop using what has this id. reason: "consent", "policy",
 * "account-removed", "grant-dead"; more may come. `fn` NULL: no more. */
typedef void (*lwa_revoked_fn)(struct lwa_client *client, const char *token_id, const char *reason,
                               void *userdata);
void lwa_client_on_revoked(struct lwa_client *client, lwa_revoked_fn fn, void *userdata);
/* Called when the accounts have changed, or the broker has come or gone: what was refused may be given now.
 */
typedef void (*lwa_changed_fn)(struct lwa_client *client, void *userdata);
void lwa_client_on_changed(struct lwa_client *client, lwa_changed_fn fn, void *userdata);

/* --- logins: lwa_login_new(3) --------------------------------------------------------------------------- */

/* For programs of the device that let a person link an account; a sandboxed app may not. flow: "device-code",
 * "authorization-code" or "import". Nothing is sent yet. *ret_login is the caller's: lwa_login_free(). */
int lwa_login_new(struct lwa_client *client, const char *flow, const char *scope,
                  struct lwa_login **ret_login) LWA_MUST_CHECK;
/* Frees, and ends the login if it is still open. Returns NULL; takes NULL. Not from within its callback. */
struct lwa_login *lwa_login_free(struct lwa_login *login);
/* Options of Login1.Begin, before it is begun: "account", "owner", "label", "locale", "scope_data",
 * "redirect_uri". -EINVAL for another name, or when it has begun. */
int lwa_login_set_option(struct lwa_login *login, const char *name, const char *value) LWA_MUST_CHECK;
/* The refresh token of an import, 1 to 2,048 bytes of printable ASCII. Copied into sealed memory, which is
 * all that is kept of it; the caller wipes his own. */
int lwa_login_set_token(struct lwa_login *login, const char *bytes, size_t n_bytes) LWA_MUST_CHECK;

/* Called whenever something of it has changed, the last time when it is over (lwa_login_get_outcome()). */
typedef void (*lwa_login_fn)(struct lwa_login *login, void *userdata);
void lwa_login_on_change(struct lwa_login *login, lwa_login_fn fn, void *userdata);

/* Begins it: blocking, or without waiting (the callback tells whether it has begun). */
int lwa_login_begin(struct lwa_login *login) LWA_MUST_CHECK;
int lwa_login_start_begin(struct lwa_login *login, lwa_result_fn fn, void *userdata,
                          struct lwa_request **ret_request) LWA_MUST_CHECK;
/* Blocks until it is over, and calls what lwa_login_on_change() set meanwhile, and all other callbacks of the
 * handle. 0 when it is over, whatever the outcome; else the login is lost: -EHOSTUNREACH, or -ENOTCONN if the
 * bus is gone; or it could not be begun. */
int lwa_login_wait(struct lwa_login *login) LWA_MUST_CHECK;
/* Hands in what came back on the redirect of an authorization-code login. `code` or `error` is NULL; `scope`
 * may be. Wipe your own copy. */
int lwa_login_complete(struct lwa_login *login, const char *code, const char *state, const char *scope,
                       const char *error) LWA_MUST_CHECK;
int lwa_login_start_complete(struct lwa_login *login, const char *code, const char *state, const char *scope,
                             const char *error, lwa_result_fn fn, void *userdata,
                             struct lwa_request **ret_request) LWA_MUST_CHECK;
/* Asks the broker to end it, without waiting. It is over when the outcome says so, which may be "linked" if
 * the account was being written already. */
int lwa_login_cancel(struct lwa_login *login) LWA_MUST_CHECK;

/* Strings are the login's, "" where there is none, until the next dispatch or call. State: "" before it has
 * begun, "starting", "waiting", "exchanging", "proving", "done". */
const char *lwa_login_get_state(const struct lwa_login *login);
const char *lwa_login_get_user_code(const struct lwa_login *login);
const char *lwa_login_get_verification_uri(const struct lwa_login *login);
const char *lwa_login_get_authorize_uri(const struct lwa_login *login);
/* What the person should know before, a sentence. */
const char *lwa_login_get_notice(const struct lwa_login *login);
/* Unix time at which it ends by itself; 0 while not known. */
time_t lwa_login_get_expires_at(const struct lwa_login *login);
/* "" while it is open; "linked", "denied", "expired", "cancelled", "failed"; more may come. "lost": the
 * broker or the bus is gone, and the login with it; lwa_client_get_error() says which, in the callback. */
const char *lwa_login_get_outcome(const struct lwa_login *login);
/* Of "linked": the account, what its grant carries, and what the person has de-selected. */
const char *lwa_login_get_account(const struct lwa_login *login);
const char *lwa_login_get_scope(const struct lwa_login *login);
const char *lwa_login_get_refused_scope(const struct lwa_login *login);
/* Of the others, where the broker gives them: a fixed word, a sentence for the person, and of "failed" the
 * name of an error, as lwa_error_get_name() has them. */
const char *lwa_login_get_reason(const struct lwa_login *login);
const char *lwa_login_get_message(const struct lwa_login *login);
const char *lwa_login_get_error_name(const struct lwa_login *login);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
