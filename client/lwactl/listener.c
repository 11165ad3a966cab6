/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/listener.h"

#include "client/lwactl/peer-uid.h"
#include "util/clock.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define REQUEST_USEC (5 * USEC_PER_SEC) /* for a request to come */
#define LINGER_USEC USEC_PER_SEC        /* for the other end to close, after the answer */
#define READS_PER_ROUND 4

struct connection {
    int fd; /* -1: free */
    bool is_answered;
    uint64_t deadline_usec;
    size_t n;
    char head[REDIRECT_HEAD_BYTES_MAX];
};

struct listener {
    int fd;
    unsigned port;
    char authority[32];
    char redirect_uri[64];
    char begin_uri[64];
    char *authorize_uri; /* NULL: no login yet */
    char *state;
    struct peer_uids allowed;
    bool saw_stranger;
    struct connection connections[LISTENER_CONNECTIONS_MAX];
};

/* --- life -------------------------------------------------------------------------------------------- */

static void drop(struct connection *c)
{
    c->fd = close_fd(c->fd);
    explicit_bzero(c->head, c->n);
    c->n = 0;
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(l->connections); i++)
        drop(&l->connections[i]);
    close_fd(l->fd);
    free(l->authorize_uri);
    free(l->state);
    free(l);
}

static int open_socket(unsigned port, unsigned *ret_port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    socklen_t size = sizeof(address);
    int on = 1;
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* A port of a login that has just ended can be taken again; one that is listened on cannot. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    *ret_port = ntohs(address.sin_port);
    return TAKE_FD(fd);
}

int listener_new(unsigned port, struct listener **ret)
{
    _cleanup_(listener_freep) struct listener *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(l->connections); i++)
        l->connections[i].fd = -1;
    l->fd = open_socket(port, &l->port);
    if (l->fd < 0)
        return l->fd;
    (void)snprintf(l->authority, sizeof(l->authority), "127.0.0.1:%u", l->port);
    (void)snprintf(l->redirect_uri, sizeof(l->redirect_uri), "http://%s%s", l->authority, LISTENER_PATH);
    (void)snprintf(l->begin_uri, sizeof(l->begin_uri), "http://%s%s", l->authority, LISTENER_BEGIN_PATH);
    l->allowed = peer_uids_allowed();
    *ret = TAKE_PTR(l);
    return 0;
}

const char *listener_redirect_uri(const struct listener *l)
{
    return l->redirect_uri;
}

unsigned listener_port(const struct listener *l)
{
    return l->port;
}

const char *listener_begin_uri(const struct listener *l)
{
    return l->begin_uri;
}

int listener_expect(struct listener *l, const char *authorize_uri, const char *state)
{
    /* What goes into a header line of ours is one line. */
    for (const char *p = authorize_uri; *p; p++)
        if (*p <= 0x20 || *p >= 0x7f)
            return -EBADMSG;
    _cleanup_free_ char *uri = strdup(authorize_uri);
    _cleanup_free_ char *copy = strdup(state);
    if (!uri || !copy)
        return -ENOMEM;
    free(l->authorize_uri);
    free(l->state);
    l->authorize_uri = TAKE_PTR(uri);
    l->state = TAKE_PTR(copy);
    return 0;
}

bool listener_saw_stranger(struct listener *l)
{
    bool saw = l->saw_stranger;
    l->saw_stranger = false;
    return saw;
}

/* --- answers ----------------------------------------------------------------------------------------- */

enum page { PAGE_DONE, PAGE_BEGIN, PAGE_BAD, PAGE_FOREIGN, PAGE_NOT_FOUND, PAGE_METHOD, PAGE_LARGE };

static const struct {
    const char *status;
    const char *text;
} pages[] = {
    [PAGE_DONE] = {"200 OK", "You can close this page. How the login went stands in the terminal."},
    [PAGE_BEGIN] = {"302 Found", "Go on at Amazon."},
    [PAGE_BAD] = {"400 Bad Request", "This is no answer to the login that waits here. Nothing has changed."},
    [PAGE_FOREIGN] = {"403 Forbidden",
                      "Another login waits here than the one you come from, or one of another "
                      "user. Nothing has changed."},
    [PAGE_NOT_FOUND] = {"404 Not Found", "There is nothing here."},
    [PAGE_METHOD] = {"405 Method Not Allowed", "There is nothing here."},
    [PAGE_LARGE] = {"431 Request Header Fields Too Large", "This is more than a browser sends."},
};

static char *new_answer(const struct listener *l, enum page page)
{
    static const char format[] = "HTTP/1.1 %s\r\n"
                                 "%s%s%s"
                                 "Content-Type: text/html; charset=utf-8\r\n"
                                 "Content-Length: %zu\r\n"
                                 "Cache-Control: no-store\r\n"
                                 "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
                                 "Referrer-Policy: no-referrer\r\n"
                                 "X-Content-Type-Options: nosniff\r\n"
                                 "Connection: close\r\n\r\n%s";
    bool is_begin = page == PAGE_BEGIN;
    char *body = NULL, *answer = NULL;
    if (asprintf(&body, "<!DOCTYPE html><title>lwactl login</title><p>%s</p>\n", pages[page].text) < 0)
        return NULL;
    if (asprintf(&answer, format, pages[page].status, is_begin ? "Location: " : "",
                 is_begin ? l->authorize_uri : "", is_begin ? "\r\n" : "", strlen(body), body) < 0)
        answer = NULL; /* asprintf() leaves it undefined */
    free(body);
    return answer;
}

/* The answer fits into the socket's buffer. Closing at once could reset the connection under what the other
 * end has not read yet, so it is left to him for a moment. */
static void answer(const struct listener *l, struct connection *c, enum page page)
{
    _cleanup_free_ char *text = new_answer(l, page);
    if (text)
        (void)send(c->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(c->fd, SHUT_WR);
    explicit_bzero(c->head, c->n);
    c->n = 0;
    c->is_answered = true;
    c->deadline_usec = boottime_usec() + LINGER_USEC;
}

/* True when it is the answer that is waited for. */
static bool handle_request(struct listener *l, struct connection *c, struct redirect *ret)
{
    const struct redirect_place place = {l->authority, LISTENER_PATH, LISTENER_BEGIN_PATH};
    bool is_it = false;
    enum page page = PAGE_BAD;
    switch (redirect_parse_head(c->head, c->n, &place, ret)) {
    case REDIRECT_ANSWER:
        is_it = l->state && redirect_state_is(ret, l->state);
        page = is_it ? PAGE_DONE : PAGE_FOREIGN;
        break;
    case REDIRECT_BEGIN:
        page = l->authorize_uri ? PAGE_BEGIN : PAGE_NOT_FOUND;
        break;
    case REDIRECT_E_OTHER:
        page = PAGE_NOT_FOUND;
        break;
    case REDIRECT_E_METHOD:
        page = PAGE_METHOD;
        break;
    case REDIRECT_E_HOST:
        page = PAGE_FOREIGN;
        break;
    case REDIRECT_E_MALFORMED:
        break;
    }
    answer(l, c, page);
    return is_it;
}

/* --- connections ------------------------------------------------------------------------------------- */

/* After the answer what still comes is thrown away. */
static void discard(struct connection *c)
{
    char bytes[4096];
    ssize_t r = 1;
    for (unsigned i = 0; i < READS_PER_ROUND && r > 0; i++)
        r = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
        drop(c);
}

static bool read_request(struct listener *l, struct connection *c, struct redirect *ret)
{
    ssize_t r = recv(c->fd, c->head + c->n, sizeof(c->head) - c->n, MSG_DONTWAIT);
    if (r < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (r <= 0) {
        drop(c);
        return false;
    }
    c->n += (size_t)r;
    if (redirect_head_size(c->head, c->n) > 0)
        return handle_request(l, c, ret);
    if (c->n == sizeof(c->head))
        answer(l, c, PAGE_LARGE);
    return false;
}

/* A free one, or the one that has been there longest. */
static struct connection *find_room(struct listener *l)
{
    struct connection *oldest = &l->connections[0];
    for (size_t i = 0; i < ARRAY_SIZE(l->connections); i++) {
        struct connection *c = &l->connections[i];
        if (c->fd < 0)
            return c;
        if (c->deadline_usec < oldest->deadline_usec)
            oldest = c;
    }
    drop(oldest);
    return oldest;
}

static void accept_one(struct listener *l)
{
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct connection *c = find_room(l);
    c->fd = fd;
    c->n = 0;
    c->is_answered = false;
    c->deadline_usec = boottime_usec() + REQUEST_USEC;
    if (!peer_uid_is_allowed(fd, &l->allowed)) {
        l->saw_stranger = true;
        answer(l, c, PAGE_FOREIGN);
    }
}

bool listener_handle(struct listener *l, struct redirect *ret)
{
    uint64_t now = boottime_usec();
    for (size_t i = 0; i < ARRAY_SIZE(l->connections); i++) {
        struct connection *c = &l->connections[i];
        if (c->fd >= 0 && now >= c->deadline_usec)
            drop(c);
        else if (c->fd >= 0 && c->is_answered)
            discard(c);
        else if (c->fd >= 0 && read_request(l, c, ret))
            return true;
    }
    accept_one(l); /* one a round, after those that are there have had their turn */
    return false;
}

size_t listener_poll(const struct listener *l, struct pollfd fds[static LISTENER_FDS_MAX], int *timeout_msec)
{
    uint64_t now = boottime_usec();
    size_t n = 0;
    fds[n++] = (struct pollfd){.fd = l->fd, .events = POLLIN};
    for (size_t i = 0; i < ARRAY_SIZE(l->connections); i++) {
        const struct connection *c = &l->connections[i];
        if (c->fd < 0)
            continue;
        fds[n++] = (struct pollfd){.fd = c->fd, .events = POLLIN};
        uint64_t left = c->deadline_usec > now ? c->deadline_usec - now : 0;
        if (left / USEC_PER_MSEC < (uint64_t)*timeout_msec)
            *timeout_msec = (int)(left / USEC_PER_MSEC) + 1;
    }
    return n;
}
