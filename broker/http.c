/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests: what is asked of curl, and what its result means.
 *
 * "Sent" is decided in one place, request_was_sent(), and in favour of sent: curl tells just before it begins
 * a request on a connection (on_begin()), and how many bytes of requests it has written since.
 *
 * A POST is never sent twice. By itself curl repeats a request, POST or not, up to five times on a fresh
 * connection: when a kept-alive connection dies before the first byte of a reply, when an HTTP/2 stream is
 * refused, when a server falls back to HTTP/1.1. For a refresh that is a silent second use of the refresh
 * token, which can end the login where the provider rotates. So on_begin() stops the transfer when the POST
 * was sent already; a connection that dies before anything was written may still be replaced.
 *
 * Dropping a request whose name is still being looked up does not wait for the resolver's thread
 * (CURLOPT_QUICK_EXIT): it ends by itself and touches nothing of ours.
 *
 * Owners: a request owns its easy handle, form, headers and body, and holds a reference to the multi handle
 * it runs on. New options mean a new multi, with a pool of its own; the old one goes with its last request.
 *
 * The environment that curl and its TLS library read by themselves (proxies, SSLKEYLOGFILE) is either
 * overridden here or cleared by the daemon before this module starts. */

#include "broker/http.h"

#include "broker/http-memory.h"
#include "broker/http-multi.h"
#include "broker/http-policy.h"
#include "broker/http-text.h"
#include "broker/reserve.h"
#include "broker/secret.h"
#include "util/clock.h"
#include "util/list.h"

#include "autoconf.h"
#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#define BODY_BYTES_FIRST 4096

struct http {
    uv_loop_t *loop;
    struct http_multi *multi; /* NULL after curl broke down, until the next request */
    struct list requests;
    struct http_policy policy;
};

struct http_request {
    struct list node;
    struct http *http;
    struct http_multi *multi;
    CURL *easy; /* NULL once the request has ended */
    struct curl_slist *headers;
    char *form; /* NULL for a GET */
    size_t n_form;
    bool is_head;
    char *body;
    size_t n_body;
    size_t body_size;
    bool too_large;
    bool begun;
    long bytes_before_begin;
    uint64_t sent_usec;
    int socket_errno; /* why no socket could be made */
    http_callback callback;
    void *userdata;
};

static const char *const failure_names[] = {
    [HTTP_OK] = "ok",
    [HTTP_E_RESOLVE] = "resolve",
    [HTTP_E_CONNECT] = "connect",
    [HTTP_E_TLS] = "tls",
    [HTTP_E_TLS_TIME] = "tls-time",
    [HTTP_E_LOST] = "lost",
    [HTTP_E_TOO_LARGE] = "too-large",
    [HTTP_E_INTERNAL] = "internal",
};

const char *http_failure_name(enum http_failure failure)
{
    return failure_names[failure];
}

/* --- life of a request ------------------------------------------------------------------------------- */

static void wipe_and_free(char *bytes, size_t n)
{
    if (bytes)
        secret_wipe(bytes, n);
    free(bytes);
}

/* Takes the transfer out of curl, which forgets it. */
static void request_stop(struct http_request *r)
{
    if (r->easy && r->multi)
        http_multi_remove(r->multi, r->easy);
    curl_easy_cleanup(r->easy);
    r->easy = NULL;
    http_multi_unref(TAKE_PTR(r->multi));
}

static void request_free(struct http_request *r)
{
    if (!r)
        return;
    list_remove(&r->node);
    request_stop(r);
    curl_slist_free_all(r->headers);
    wipe_and_free(r->form, r->n_form);
    wipe_and_free(r->body, r->body_size);
    free(r);
}
DEFINE_CLEANUP(struct http_request, request_free);

void http_request_drop(struct http_request *r)
{
    if (r && r->easy) /* else it is in its callback, and freed after it */
        request_free(r);
}

/* --- what curl calls while a transfer runs ------------------------------------------------------------- */

static long request_bytes_written(struct http_request *r)
{
    long n = 0;
    (void)curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &n);
    return n;
}

/* What a proxy was told to make a tunnel counts as written too, but comes before the request begins. */
static bool request_was_sent(struct http_request *r)
{
    return r->begun && request_bytes_written(r) > r->bytes_before_begin;
}

static int on_begin(void *userdata, char *remote_ip _unused_, char *local_ip _unused_,
                    int remote_port _unused_, int local_port _unused_)
{
    struct http_request *r = userdata;
    if (r->form && request_was_sent(r))
        return CURL_PREREQFUNC_ABORT;
    r->begun = true;
    r->bytes_before_begin = request_bytes_written(r);
    r->sent_usec = boottime_usec();
    return CURL_PREREQFUNC_OK;
}

static curl_socket_t on_open(void *userdata, curlsocktype purpose _unused_, struct curl_sockaddr *address)
{
    struct http_request *r = userdata;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0)
        return fd;
    r->socket_errno = errno;
    return CURL_SOCKET_BAD;
}

/* Makes room for n more bytes and a NUL; what is moved is wiped. */
static int body_grow(struct http_request *r, size_t n)
{
    size_t size = r->body_size ? r->body_size : BODY_BYTES_FIRST;
    while (size < r->n_body + n + 1)
        size *= 2;
    if (size == r->body_size)
        return 0;

    char *moved = reserve_malloc(size);
    if (!moved)
        return -ENOMEM;
    if (r->n_body > 0)
        memcpy(moved, r->body, r->n_body);
    wipe_and_free(r->body, r->body_size);
    r->body = moved;
    r->body_size = size;
    return 0;
}

/* Anything but n makes curl end the transfer. */
static size_t on_body(char *bytes, size_t one _unused_, size_t n, void *userdata)
{
    struct http_request *r = userdata;
    if (n > HTTP_BODY_BYTES_MAX - r->n_body) {
        r->too_large = true;
        return 0;
    }
    if (body_grow(r, n) < 0)
        return 0;
    memcpy(r->body + r->n_body, bytes, n);
    r->n_body += n;
    return n;
}

/* --- what the result means ----------------------------------------------------------------------------- */

static bool name_was_resolved(struct http_request *r)
{
    curl_off_t usec = 0;
    (void)curl_easy_getinfo(r->easy, CURLINFO_NAMELOOKUP_TIME_T, &usec);
    return usec > 0;
}

/* Whether the connection broke: then the peer has said nothing of its certificate. */
static bool was_cut(struct http_request *r)
{
    long error = 0;
    (void)curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &error);
    return error == ECONNRESET || error == EPIPE;
}

/* Curl failed before anything of the request was sent. */
static enum http_failure classify_unsent(struct http_request *r, CURLcode result)
{
    switch (r->socket_errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return HTTP_E_INTERNAL;
    default:
        break;
    }

    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return HTTP_E_RESOLVE;
    case CURLE_OPERATION_TIMEDOUT:
        return name_was_resolved(r) ? HTTP_E_CONNECT : HTTP_E_RESOLVE;
    case CURLE_PEER_FAILED_VERIFICATION:
        return http_policy_is_about_time(r->easy) ? HTTP_E_TLS_TIME : HTTP_E_TLS;
    case CURLE_SSL_CONNECT_ERROR:
        return was_cut(r) ? HTTP_E_CONNECT : HTTP_E_TLS;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
        return HTTP_E_TLS;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
        return HTTP_E_INTERNAL;
    default:
        return HTTP_E_CONNECT;
    }
}

static enum http_failure classify_result(struct http_request *r, CURLcode result)
{
    if (result == CURLE_OK)
        return HTTP_OK;
    if (r->too_large)
        return HTTP_E_TOO_LARGE;
    return request_was_sent(r) ? HTTP_E_LOST : classify_unsent(r, result);
}

static const char *reply_header(struct http_request *r, const char *name)
{
    struct curl_header *header;
    return curl_easy_header(r->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : "";
}

static void reply_fill(struct http_request *r, struct http_reply *reply)
{
    (void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &reply->status);
    reply->is_json = http_text_is_json(reply_header(r, "Content-Type"));
    reply->retry_after_sec =
        http_text_parse_retry_after(reply_header(r, "Retry-After"), reply_header(r, "Date"));
    time_t date = curl_getdate(reply_header(r, "Date"), NULL);
    reply->date_sec = date > 0 ? date : 0;
    http_text_copy_request_id(reply_header(r, "x-amzn-RequestId"), reply->request_id);
    if (r->body) {
        r->body[r->n_body] = '\0'; /* body_grow() left room */
        reply->body = r->body;
        reply->n = r->n_body;
    }
}

/* curl keeps the certificates that it has read with the multi handle, for a day. They may be why TLS failed:
 * memory that ended while they were read leaves some of them useless, and the file may be another by now. */
static void forget_certificates(struct http_request *r)
{
    if (r->multi == r->http->multi)
        http_multi_unref(TAKE_PTR(r->http->multi));
}

/* After the callback nothing but the request itself may be touched: the callee may have freed the rest. */
static void request_finish(struct http_request *r, enum http_failure failure, bool sent)
{
    struct http_reply reply = {
        .failure = failure,
        .sent = sent,
        .body = "",
        .retry_after_sec = -1,
        .sent_usec = r->sent_usec,
    };
    if (failure == HTTP_OK)
        reply_fill(r, &reply);
    reply.is_not_yet_valid = failure == HTTP_E_TLS_TIME && http_policy_is_too_early(r->easy);
    if (failure == HTTP_E_TLS)
        forget_certificates(r);
    list_remove(&r->node);
    request_stop(r);
    r->callback(&reply, r->userdata);
    request_free(r);
}

static void on_done(CURL *easy, CURLcode result)
{
    char *private = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct http_request *r = (struct http_request *)(void *)private;
    request_finish(r, classify_result(r, result), request_was_sent(r));
}

/* Nothing that curl says of these transfers counts any more: what was begun may have been sent. */
static void on_broken(struct http_multi *m, void *userdata)
{
    struct http *h = userdata;
    if (h->multi == m)
        http_multi_unref(TAKE_PTR(h->multi));

    struct list doomed;
    list_init(&doomed);
    struct http_request *r, *after;
    LIST_FOREACH_SAFE (r, after, &h->requests, node) {
        if (r->multi != m)
            continue;
        list_remove(&r->node);
        list_append(&doomed, &r->node);
    }
    while (!list_is_empty(&doomed)) {
        r = LIST_ENTRY(doomed.next, struct http_request, node);
        request_finish(r, r->begun ? HTTP_E_LOST : HTTP_E_INTERNAL, r->begun);
    }
}

/* --- setting up a transfer --------------------------------------------------------------------------- */

#define SET(option, value) (failed |= curl_easy_setopt(easy, option, value) != CURLE_OK)

static bool set_transfer(CURL *easy, struct http_request *r, const char *url)
{
    bool failed = false;
    SET(CURLOPT_PRIVATE, r);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPHEADER, r->headers);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, r);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, r);
    SET(CURLOPT_PREREQFUNCTION, on_begin);
    SET(CURLOPT_PREREQDATA, r);
    if (r->form) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE, (long)r->n_form);
        SET(CURLOPT_POSTFIELDS, r->form); /* not copied */
    }
    if (r->is_head)
        SET(CURLOPT_NOBODY, 1L);
    return !failed;
}

#undef SET

static int ensure_multi(struct http *h)
{
    if (h->multi)
        return 0;
    const struct http_multi_events events = {.done = on_done, .broken = on_broken, .userdata = h};
    return http_multi_new(h->loop, &events, &h->multi);
}

/* Takes the prepared request, also when it fails. */
static int request_start(struct http *h, struct http_request *request, const char *url,
                         http_callback callback, void *userdata, struct http_request **ret)
{
    _cleanup_(request_freep) struct http_request *r = request;
    int code = http_policy_check_url(url);
    if (code < 0)
        return code;
    code = ensure_multi(h);
    if (code < 0)
        return code;
    r->http = h;
    r->callback = callback;
    r->userdata = userdata;
    r->sent_usec = boottime_usec();
    r->easy = curl_easy_init();
    if (!r->easy || !http_policy_apply(&h->policy, r->easy) || !set_transfer(r->easy, r, url))
        return -ENOMEM;
    code = http_multi_add(h->multi, r->easy);
    if (code < 0)
        return code;
    r->multi = http_multi_ref(h->multi);
    list_append(&h->requests, &r->node);
    *ret = TAKE_PTR(r);
    return 0;
}

static struct http_request *request_new(void)
{
    struct http_request *r = calloc(1, sizeof(*r));
    if (r)
        list_init(&r->node);
    return r;
}

/* Adds `name: value`. Anything but printable ASCII is refused: it could begin another header. The line is
 * made in memory of the right size at once: asprintf() leaves its smaller attempts behind. */
static int add_header(struct http_request *r, const char *name, const char *value)
{
    if (!http_text_is_header_value(value))
        return -EINVAL;
    size_t size = strlen(name) + strlen(value) + 3;
    _cleanup_(secret_free_stringp) char *line = calloc(1, size);
    if (!line)
        return -ENOMEM;
    (void)snprintf(line, size, "%s: %s", name, value);
    struct curl_slist *headers = curl_slist_append(r->headers, line);
    if (!headers)
        return -ENOMEM;
    r->headers = headers;
    return 0;
}

/* --- requests ---------------------------------------------------------------------------------------- */

int http_post(struct http *h, const char *url, const struct http_field *fields, size_t n_fields,
              const char *language, http_callback callback, void *userdata, struct http_request **ret)
{
    _cleanup_(request_freep) struct http_request *r = request_new();
    if (!r)
        return -ENOMEM;
    int code = http_text_encode_form(fields, n_fields, &r->form, &r->n_form);
    if (code == 0 && language)
        code = add_header(r, "Accept-Language", language);
    if (code < 0)
        return code;
    return request_start(h, TAKE_PTR(r), url, callback, userdata, ret);
}

int http_get(struct http *h, const char *url, const char *bearer_header, const char *bearer,
             http_callback callback, void *userdata, struct http_request **ret)
{
    _cleanup_(request_freep) struct http_request *r = request_new();
    if (!r)
        return -ENOMEM;
    int code = bearer ? add_header(r, bearer_header, bearer) : 0;
    if (code < 0)
        return code;
    return request_start(h, TAKE_PTR(r), url, callback, userdata, ret);
}

int http_head(struct http *h, const char *url, http_callback callback, void *userdata,
              struct http_request **ret)
{
    _cleanup_(request_freep) struct http_request *r = request_new();
    if (!r)
        return -ENOMEM;
    r->is_head = true;
    return request_start(h, TAKE_PTR(r), url, callback, userdata, ret);
}

/* --- life -------------------------------------------------------------------------------------------- */

int http_set_options(struct http *h, const struct http_options *options)
{
    int r = http_policy_set(&h->policy, options);
    if (r < 0)
        return r;
    http_multi_unref(TAKE_PTR(h->multi)); /* lives on in the requests that run on it */
    return 0;
}

int http_new(uv_loop_t *loop, const struct http_options *options, struct http **ret)
{
    int r = http_memory_init();
    if (r < 0)
        return r;
    _cleanup_(http_freep) struct http *h = calloc(1, sizeof(*h));
    if (!h) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    h->loop = loop;
    list_init(&h->requests);
    r = http_set_options(h, options);
    if (r == 0)
        r = ensure_multi(h);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(h);
    return 0;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    assert(list_is_empty(&h->requests));
    http_multi_unref(h->multi);
    curl_global_cleanup();
    http_policy_clear(&h->policy);
    free(h);
}
