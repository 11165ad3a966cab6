/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/server.h"

#include "tests/sim/memory.h"
#include "tests/sim/random.h"
#include "tests/sim/sim.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 2000
#define IDLE_TIMEOUT_SEC 900
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct server {
    struct MHD_Daemon *daemon;
    struct sim *sim;
    server_dispatch dispatch;
};

/* --- requests --- */

const char *request_header(const struct request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

bool request_basic_auth(const struct request *rq, char **ret_user, char **ret_password)
{
    char *password = NULL;
    char *user = MHD_basic_auth_get_username_password(rq->connection, &password);
    bool is_whole = user && password;

    if (is_whole) {
        *ret_user = must(strdup(user));
        *ret_password = must(strdup(password));
    }
    MHD_free(user);
    MHD_free(password);
    return is_whole;
}

static void request_free(struct request *rq)
{
    if (!rq)
        return;
    form_clear(&rq->query);
    form_clear(&rq->form);
    free(rq->target);
    free(rq->path);
    free(rq->id);
    free(rq->body);
    free(rq);
}

/* libmicrohttpd calls this first, with the target as it came: its own decoding stops at a NUL. */
static void *on_target(void *cls _unused_, const char *target, struct MHD_Connection *connection)
{
    struct request *rq = must(calloc(1, sizeof(*rq)));

    rq->connection = connection;
    rq->target = must(strdup(target));
    rq->id = random_uuid();
    rq->body = must(calloc(1, 1));
    return rq;
}

static void request_append(struct request *rq, const char *data, size_t n)
{
    if (rq->is_too_large || n > REQUEST_BODY_BYTES_MAX - rq->n_body) {
        rq->is_too_large = true;
        return;
    }
    rq->body = must(realloc(rq->body, rq->n_body + n + 1));
    memcpy(rq->body + rq->n_body, data, n);
    rq->n_body += n;
    rq->body[rq->n_body] = '\0';
}

static enum body_kind body_kind(const struct request *rq)
{
    static const struct {
        const char *type;
        enum body_kind kind;
    } types[] = {
        {"application/x-www-form-urlencoded", BODY_FORM},
        {"multipart/", BODY_MULTIPART},
        {"application/json", BODY_JSON},
    };
    const char *type = request_header(rq, "Content-Type");

    if (!type)
        return rq->n_body > 0 ? BODY_OTHER : BODY_NONE;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (strncasecmp(type, types[i].type, strlen(types[i].type)) == 0)
            return types[i].kind;
    return BODY_OTHER;
}

static void request_parse(struct request *rq)
{
    const char *query = strchr(rq->target, '?');
    size_t n_path = query ? (size_t)(query - rq->target) : strlen(rq->target);

    rq->path = form_decode(rq->target, n_path, false);
    rq->is_malformed = !rq->path || (query && form_parse(query + 1, strlen(query + 1), &rq->query) < 0);
    rq->body_kind = body_kind(rq);
    if (rq->body_kind == BODY_FORM)
        rq->is_body_malformed = form_parse(rq->body, rq->n_body, &rq->form) < 0;
}

/* --- replies --- */

/* With this option a close sends a reset, as the kernel of a server that crashed would. */
static enum MHD_Result reply_close(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (info)
        (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    return MHD_NO;
}

struct cut_body {
    size_t n; /* how much of it is sent */
    char bytes[];
};

static ssize_t on_cut_read(void *cls, uint64_t position, char *buffer, size_t max)
{
    const struct cut_body *cut = cls;
    size_t n = cut->n - (size_t)position;

    if (n == 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n > max)
        n = max;
    memcpy(buffer, cut->bytes + position, n);
    return (ssize_t)n;
}

static struct MHD_Response *response_new(struct reply *rp)
{
    if (rp->mode == REPLY_CUT) {
        size_t n = rp->n / 2;
        struct cut_body *cut = must(malloc(sizeof(*cut) + n));
        cut->n = n;
        memcpy(cut->bytes, rp->body, n);
        return must(MHD_create_response_from_callback(rp->n, 4096, on_cut_read, cut, free));
    }
    return must(MHD_create_response_from_buffer(rp->n, TAKE_PTR(rp->body), MHD_RESPMEM_MUST_FREE));
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value && MHD_add_response_header(response, name, value) != MHD_YES)
        abort();
}

static enum MHD_Result reply_send(struct reply *rp, const struct request *rq)
{
    if (rp->mode == REPLY_CLOSE)
        return reply_close(rq->connection);

    struct MHD_Response *response = response_new(rp);
    add_header(response, "Content-Type", rp->content_type);
    add_header(response, "Cache-Control", "no-store");
    add_header(response, "Pragma", "no-cache");
    add_header(response, "x-amzn-RequestId", rq->id);
    add_header(response, "X-Content-Type-Options", "nosniff");
    add_header(response, "Content-Security-Policy",
               "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    add_header(response, "Location", rp->location);
    add_header(response, "Retry-After", rp->retry_after);
    enum MHD_Result r = MHD_queue_response(rq->connection, rp->status, response);
    MHD_destroy_response(response);
    return r;
}

/* --- the daemon --- */

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection _unused_,
                                  const char *url _unused_, const char *method, const char *version _unused_,
                                  const char *data, size_t *n_data, void **context)
{
    const struct server *server = cls;
    struct request *rq = *context;

    /* The first call comes before the body: an answer given here would end the connection. */
    if (!rq->is_begun) {
        rq->is_begun = true;
        rq->method = method;
        return MHD_YES;
    }
    if (*n_data > 0) {
        request_append(rq, data, *n_data);
        *n_data = 0;
        return MHD_YES;
    }

    _cleanup_reply_ struct reply rp = {.mode = REPLY_SEND};
    request_parse(rq);
    server->dispatch(server->sim, rq, &rp);
    return reply_send(&rp, rq);
}

static void on_completed(void *cls _unused_, struct MHD_Connection *connection _unused_, void **context,
                         enum MHD_RequestTerminationCode code _unused_)
{
    request_free(*context);
    *context = NULL;
}

int server_start(struct sim *sim, const struct server_options *options, server_dispatch dispatch,
                 struct server **ret)
{
    _cleanup_(server_freep) struct server *server = must(calloc(1, sizeof(*server)));
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(options->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;

    server->sim = sim;
    server->dispatch = dispatch;
    errno = 0;
    server->daemon =
        MHD_start_daemon(flags | (options->cert ? MHD_USE_TLS : 0), options->port, NULL, NULL, on_request,
                         server, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_SEC, MHD_OPTION_ARRAY,
                         options->cert ? tls : none, MHD_OPTION_END);
    if (!server->daemon)
        return errno > 0 ? -errno : -EINVAL;
    *ret = TAKE_PTR(server);
    return 0;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    free(server);
}

uint16_t server_port(const struct server *server)
{
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}
