/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/identd-link.h"

#include "broker/limits.h"
#include "broker/timer.h"
#include "util/clock.h"
#include "util/list.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

struct identd_ask {
    struct list node; /* in link->unsent or link->sent */
    struct identd_request request;
    int pidfd; /* -1 without one, and once it is sent */
    struct timer *timer;
    identd_callback callback;
    void *userdata;
};

struct identd_link {
    uv_poll_t poll;
    uv_loop_t *loop;
    int fd;
    uint64_t last_id;
    struct list unsent; /* struct identd_ask: lwa-identd does not take more at the moment */
    struct list sent;
    bool is_lost;
    identd_lost_callback lost;
    void *userdata;
};

/* --- questions --------------------------------------------------------------------------------------- */

void identd_ask_drop(struct identd_ask *ask)
{
    if (!ask)
        return;
    list_remove(&ask->node);
    timer_drop(ask->timer);
    close_fd(ask->pidfd);
    free(ask);
}

static void finish(struct identd_ask *ask, const struct identd_answer *answer)
{
    identd_callback callback = ask->callback;
    void *userdata = ask->userdata;
    identd_ask_drop(ask);
    callback(answer, userdata);
}

static void fail(struct identd_ask *ask, enum identd_status status)
{
    struct identd_answer answer = {.id = ask->request.id};
    identd_answer_fail(&answer, status);
    finish(ask, &answer);
}

static void on_late(void *userdata)
{
    struct identd_ask *ask = userdata;
    ask->timer = NULL;
    fail(ask, IDENTD_SILENT);
}

static struct identd_ask *find(struct identd_link *link, uint64_t id)
{
    struct identd_ask *ask;
    LIST_FOREACH (ask, &link->sent, node)
        if (ask->request.id == id)
            return ask;
    return NULL;
}

/* --- the socket -------------------------------------------------------------------------------------- */

/* After this the link may be gone. */
static void lose(struct identd_link *link)
{
    identd_lost_callback lost = link->lost;
    void *userdata = link->userdata;
    link->is_lost = true;
    (void)uv_poll_stop(&link->poll);
    list_move_all(&link->unsent, &link->sent);
    while (!list_is_empty(&link->sent))
        fail(LIST_ENTRY(link->sent.next, struct identd_ask, node), IDENTD_LOST);
    lost(userdata);
}

static int send_request(int fd, const struct identd_request *request, int pidfd)
{
    struct iovec part = {(void *)request, sizeof(*request)};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (pidfd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(pidfd));
        memcpy(CMSG_DATA(head), &pidfd, sizeof(pidfd));
    }
    ssize_t n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : 0;
}

/* 0 or a negative errno, -EAGAIN when the rest has to wait. */
static int send_unsent(struct identd_link *link)
{
    while (!list_is_empty(&link->unsent)) {
        struct identd_ask *ask = LIST_ENTRY(link->unsent.next, struct identd_ask, node);
        int r = send_request(link->fd, &ask->request, ask->pidfd);
        if (r < 0)
            return r;
        ask->pidfd = close_fd(ask->pidfd);
        list_remove(&ask->node);
        list_append(&link->sent, &ask->node);
    }
    return 0;
}

/* 0 when there may be more, -EAGAIN when there is not, another negative errno when there never will be. */
static int receive(struct identd_link *link)
{
    struct identd_answer answer;
    ssize_t n = recv(link->fd, &answer, sizeof(answer), MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (n != (ssize_t)sizeof(answer))
        return -EPIPE;
    struct identd_ask *ask = find(link, answer.id);
    if (!ask)
        return 0; /* dropped, or too late */
    if (!identd_answer_is_valid(&answer))
        identd_answer_fail(&answer, IDENTD_UNREADABLE);
    else if (answer.status != IDENTD_OK)
        identd_answer_fail(&answer, (enum identd_status)answer.status);
    finish(ask, &answer);
    return 0;
}

static void on_ready(uv_poll_t *poll, int status, int events);

static int watch(struct identd_link *link)
{
    int events = UV_READABLE | (list_is_empty(&link->unsent) ? 0 : UV_WRITABLE);
    return uv_poll_start(&link->poll, events, on_ready);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct identd_link *link = poll->data;
    int r = status;
    if (r == 0 && (events & UV_WRITABLE))
        r = send_unsent(link);
    if (r == -EAGAIN)
        r = 0;
    for (unsigned i = 0; r == 0 && i < LIMIT_IDENTD_MESSAGES; i++)
        r = receive(link);
    if (r == 0 || r == -EAGAIN)
        r = watch(link);
    if (r < 0)
        lose(link);
}

/* --- outside ----------------------------------------------------------------------------------------- */

int identd_link_new(uv_loop_t *loop, int fd, identd_lost_callback lost, void *userdata,
                    struct identd_link **ret)
{
    struct identd_link *link = calloc(1, sizeof(*link));
    if (!link)
        return -ENOMEM;
    list_init(&link->unsent);
    list_init(&link->sent);
    link->loop = loop;
    link->fd = fd;
    link->lost = lost;
    link->userdata = userdata;
    int r = uv_poll_init(loop, &link->poll, fd);
    if (r < 0) {
        free(link);
        return r;
    }
    link->poll.data = link;
    r = watch(link);
    if (r < 0) {
        link->fd = -1; /* stays the caller's */
        identd_link_free(link);
        return r;
    }
    *ret = link;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void identd_link_free(struct identd_link *link)
{
    if (!link)
        return;
    list_move_all(&link->unsent, &link->sent);
    while (!list_is_empty(&link->sent))
        list_remove(link->sent.next); /* each is its owner's to drop */
    uv_close((uv_handle_t *)&link->poll, on_closed);
    close_fd(link->fd);
}

static int hand_over(struct identd_link *link, struct identd_ask *ask, int pidfd)
{
    int r = list_is_empty(&link->unsent) ? send_request(link->fd, &ask->request, pidfd) : -EAGAIN;
    if (r == 0) {
        list_append(&link->sent, &ask->node);
        return 0;
    }
    if (r != -EAGAIN)
        return r;
    ask->pidfd = pidfd < 0 ? -1 : fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
    if (pidfd >= 0 && ask->pidfd < 0)
        return -errno;
    list_append(&link->unsent, &ask->node);
    return watch(link);
}

int identd_ask(struct identd_link *link, uid_t uid, pid_t pid, int pidfd, uint64_t connected_usec,
               identd_callback callback, void *userdata, struct identd_ask **ret)
{
    if (link->is_lost)
        return -EPIPE;
    _cleanup_(identd_ask_dropp) struct identd_ask *ask = calloc(1, sizeof(*ask));
    if (!ask)
        return -ENOMEM;
    list_init(&ask->node);
    ask->pidfd = -1;
    ask->callback = callback;
    ask->userdata = userdata;
    ask->request = (struct identd_request){
        .id = ++link->last_id,
        .connected_usec = connected_usec,
        .uid = uid,
        .pid = pid,
        .has_pidfd = pidfd >= 0,
    };
    int r = timer_start(link->loop, LIMIT_IDENTD_ANSWER_SEC * USEC_PER_SEC, on_late, ask, &ask->timer);
    if (r == 0)
        r = hand_over(link, ask, pidfd);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(ask);
    return 0;
}
