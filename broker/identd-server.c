/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/identd-server.h"

#include "broker/limits.h"
#include "util/clock.h"
#include "util/list.h"
#include "util/log.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

_Static_assert(sizeof(struct identd_answer) <= 4096, "a pipe takes it in one piece");

struct lookup {
    struct list node; /* in server->waiting or server->running */
    struct identd_request request;
    int pidfd; /* -1 without one, and once the child has it */
    uint64_t deadline_usec;
    pid_t child; /* once it runs; 0 once it was reaped */
    int result;  /* the read end of the child's pipe; -1 once the request is answered */
    bool is_readable;
};

struct server {
    int socket;
    const struct identd_host *host;
    struct list waiting; /* by their deadlines, as running is */
    struct list running; /* those whose child is not reaped, or not read */
    unsigned n_waiting;
    unsigned n_running;
    bool is_blocked; /* the daemon does not take `unsent`: until it does, nothing else is answered */
    struct identd_answer unsent;
};

/* --- answers ----------------------------------------------------------------------------------------- */

/* 0 also when the daemon does not take it now; a negative errno when it never will. */
static int send_answer(struct server *s, const struct identd_answer *answer)
{
    if (send(s->socket, answer, sizeof(*answer), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 0;
    if (errno != EAGAIN)
        return -errno;
    s->is_blocked = true;
    if (answer != &s->unsent)
        s->unsent = *answer;
    return 0;
}

static int send_status(struct server *s, uint64_t id, enum identd_status status)
{
    struct identd_answer answer = {.id = id};
    identd_answer_fail(&answer, status);
    return send_answer(s, &answer);
}

static int send_unsent(struct server *s)
{
    s->is_blocked = false;
    return send_answer(s, &s->unsent);
}

static void lookup_free(struct lookup *l)
{
    list_remove(&l->node);
    close_fd(l->pidfd);
    close_fd(l->result);
    free(l);
}

/* --- children ---------------------------------------------------------------------------------------- */

/* Holds nothing but its pipe and its pidfd from here on: however long it hangs, it keeps nobody else's
 * descriptor open. */
static void run_child(const struct identd_host *host, const struct lookup *l, int result, pid_t parent)
{
    struct identd_answer answer;
    struct identd_request request = l->request;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
        _exit(EXIT_FAILURE);
    if (dup2(result, STDOUT_FILENO) < 0 || (l->pidfd >= 0 && dup2(l->pidfd, STDIN_FILENO) < 0) ||
        close_range(STDERR_FILENO, ~0U, 0) < 0)
        _exit(EXIT_FAILURE);
    if (l->pidfd < 0)
        (void)close(STDIN_FILENO);
    identd_look(host, &request, l->pidfd < 0 ? -1 : STDIN_FILENO, &answer);
    _exit(write(STDOUT_FILENO, &answer, sizeof(answer)) == (ssize_t)sizeof(answer) ? EXIT_SUCCESS
                                                                                   : EXIT_FAILURE);
}

static int start_child(struct server *s, struct lookup *l)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        run_child(s->host, l, ends[1], parent);
    int r = pid < 0 ? -errno : 0;
    close_fd(ends[1]);
    if (r < 0) {
        close_fd(ends[0]);
        return r;
    }
    l->child = pid;
    l->result = ends[0];
    l->pidfd = close_fd(l->pidfd);
    return 0;
}

static void note_end(struct server *s, pid_t pid, int status)
{
    struct lookup *l;
    LIST_FOREACH (l, &s->running, node)
        if (l->child == pid) {
            l->child = 0;
            if (l->result >= 0 && WIFSIGNALED(status))
                log_warning("a look-up was ended by signal %d", WTERMSIG(status));
            return;
        }
}

static void reap(struct server *s)
{
    int status;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG))
        note_end(s, pid, status);
}

/* --- requests ---------------------------------------------------------------------------------------- */

static unsigned count(const struct list *list, uint32_t uid)
{
    unsigned n = 0;
    const struct lookup *l;
    LIST_FOREACH (l, list, node)
        n += l->request.uid == uid;
    return n;
}

static bool may_start(const struct server *s, const struct lookup *l)
{
    return s->n_running < LIMIT_IDENTD_CHILDREN && count(&s->running, l->request.uid) < LIMIT_IDENTD_PER_UID;
}

static int start(struct server *s, struct lookup *l)
{
    list_remove(&l->node);
    if (start_child(s, l) < 0) {
        int r = send_status(s, l->request.id, IDENTD_BUSY);
        lookup_free(l);
        return r;
    }
    l->deadline_usec = boottime_usec() + LIMIT_IDENTD_LOOK_SEC * USEC_PER_SEC;
    list_append(&s->running, &l->node);
    s->n_running++;
    return 0;
}

static int start_waiting(struct server *s)
{
    int r = 0;
    struct lookup *l, *after;
    LIST_FOREACH_SAFE (l, after, &s->waiting, node) {
        if (r < 0 || s->is_blocked || s->n_running >= LIMIT_IDENTD_CHILDREN)
            break;
        if (!may_start(s, l))
            continue;
        s->n_waiting--;
        r = start(s, l);
    }
    return r;
}

static int add(struct server *s, const struct identd_request *request, int pidfd)
{
    struct lookup *l = calloc(1, sizeof(*l));
    if (!l) {
        close_fd(pidfd);
        return send_status(s, request->id, IDENTD_BUSY);
    }
    list_init(&l->node);
    l->request = *request;
    l->pidfd = pidfd;
    l->result = -1;
    bool is_first = count(&s->waiting, request->uid) == 0;
    if (is_first && may_start(s, l))
        return start(s, l);
    if (s->n_waiting >= LIMIT_IDENTD_WAITING ||
        count(&s->waiting, request->uid) >= LIMIT_IDENTD_WAITING_PER_UID) {
        lookup_free(l);
        return send_status(s, request->id, IDENTD_BUSY);
    }
    l->deadline_usec = boottime_usec() + LIMIT_IDENTD_WAIT_SEC * USEC_PER_SEC;
    list_append(&s->waiting, &l->node);
    s->n_waiting++;
    return 0;
}

/* The one descriptor, or -1. Others, for which alignment may leave room, are closed. */
static int take_descriptor(struct msghdr *message)
{
    int fds[CMSG_SPACE(sizeof(int)) / sizeof(int)];
    const struct cmsghdr *head = CMSG_FIRSTHDR(message);
    if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
        return -1;
    size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(head), n * sizeof(int));
    for (size_t i = 1; i < n; i++)
        close_fd(fds[i]);
    return n == 1 ? fds[0] : n > 1 ? close_fd(fds[0]) : -1;
}

/* 1: a request; 0: none there; or a negative errno, -EPIPE when the daemon is gone. A pidfd that did not come
 * through, because there was no descriptor free, leaves *ret_fd at -1. */
static int receive(const struct server *s, struct identd_request *ret, int *ret_fd)
{
    struct iovec part = {ret, sizeof(*ret)};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t n = recvmsg(s->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    *ret_fd = take_descriptor(&message);
    if (n == (ssize_t)sizeof(*ret) && !(message.msg_flags & MSG_TRUNC))
        return 1;
    *ret_fd = close_fd(*ret_fd);
    return -EPIPE;
}

static int take_requests(struct server *s)
{
    for (unsigned i = 0; i < LIMIT_IDENTD_MESSAGES && !s->is_blocked; i++) {
        struct identd_request request;
        int pidfd = -1;
        int r = receive(s, &request, &pidfd);
        if (r <= 0)
            return r;
        if ((request.has_pidfd != 0) == (pidfd >= 0))
            r = add(s, &request, pidfd);
        else {
            close_fd(pidfd);
            r = send_status(s, request.id, IDENTD_BUSY);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- what became of them ----------------------------------------------------------------------------- */

static int read_result(struct server *s, struct lookup *l)
{
    struct identd_answer answer;
    ssize_t n = read(l->result, &answer, sizeof(answer));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    answer.id = l->request.id;
    if (n != (ssize_t)sizeof(answer) || !identd_answer_is_valid(&answer))
        identd_answer_fail(&answer, IDENTD_UNREADABLE); /* it ended before it had an answer */
    l->result = close_fd(l->result);
    return send_answer(s, &answer);
}

static int read_results(struct server *s)
{
    int r = 0;
    struct lookup *l;
    LIST_FOREACH (l, &s->running, node) {
        if (r < 0 || s->is_blocked)
            break;
        if (l->result >= 0 && l->is_readable)
            r = read_result(s, l);
    }
    return r;
}

static int expire_running(struct server *s, uint64_t now)
{
    int r = 0;
    struct lookup *l;
    LIST_FOREACH (l, &s->running, node) {
        if (r < 0 || s->is_blocked || l->deadline_usec > now)
            break;
        if (l->result < 0)
            continue;
        if (l->child)
            (void)kill(l->child, SIGKILL);
        l->result = close_fd(l->result);
        r = send_status(s, l->request.id, IDENTD_TIMEOUT);
    }
    return r;
}

static int expire_waiting(struct server *s, uint64_t now)
{
    int r = 0;
    struct lookup *l, *after;
    LIST_FOREACH_SAFE (l, after, &s->waiting, node) {
        if (r < 0 || s->is_blocked || l->deadline_usec > now)
            break;
        r = send_status(s, l->request.id, IDENTD_TIMEOUT);
        s->n_waiting--;
        lookup_free(l);
    }
    return r;
}

static void free_ended(struct server *s)
{
    struct lookup *l, *after;
    LIST_FOREACH_SAFE (l, after, &s->running, node)
        if (l->child == 0 && l->result < 0) {
            s->n_running--;
            lookup_free(l);
        }
}

/* --- the loop ---------------------------------------------------------------------------------------- */

static uint64_t next_deadline(const struct server *s)
{
    const struct lookup *l;
    uint64_t next = UINT64_MAX;
    LIST_FOREACH (l, &s->running, node)
        if (l->result >= 0 && l->deadline_usec < next)
            next = l->deadline_usec;
    if (!list_is_empty(&s->waiting)) {
        l = LIST_ENTRY(s->waiting.next, struct lookup, node);
        next = l->deadline_usec < next ? l->deadline_usec : next;
    }
    return next;
}

/* SIGCHLD is let in only while this waits. 0 with what is ready noted, or a negative errno. */
static int wait_for_events(struct server *s, short *ret_socket)
{
    struct pollfd fds[1 + LIMIT_IDENTD_CHILDREN];
    nfds_t n = 1;
    struct lookup *l;
    fds[0] = (struct pollfd){.fd = s->socket, .events = s->is_blocked ? POLLOUT : POLLIN};
    LIST_FOREACH (l, &s->running, node)
        if (l->result >= 0 && !s->is_blocked)
            fds[n++] = (struct pollfd){.fd = l->result, .events = POLLIN};

    uint64_t next = s->is_blocked ? UINT64_MAX : next_deadline(s), now = boottime_usec();
    uint64_t left = next > now ? next - now : 0;
    struct timespec timeout = {(time_t)(left / USEC_PER_SEC), (long)(left % USEC_PER_SEC * 1000)};
    sigset_t none;
    (void)sigemptyset(&none);
    if (ppoll(fds, n, next == UINT64_MAX ? NULL : &timeout, &none) < 0) {
        if (errno != EINTR)
            return -errno;
        for (nfds_t i = 0; i < n; i++)
            fds[i].revents = 0;
    }
    *ret_socket = fds[0].revents;
    nfds_t i = 1;
    LIST_FOREACH (l, &s->running, node)
        l->is_readable = l->result >= 0 && i < n && fds[i].fd == l->result && fds[i++].revents != 0;
    return 0;
}

static int turn(struct server *s)
{
    short ready = 0;
    int r = wait_for_events(s, &ready);
    if (r == 0 && (ready & (POLLHUP | POLLERR)))
        r = -EPIPE; /* whatever it still asked: nobody is left to read the answer */
    if (r == 0 && s->is_blocked && ready)
        r = send_unsent(s);
    reap(s);
    if (r == 0)
        r = read_results(s);
    uint64_t now = boottime_usec();
    if (r == 0)
        r = expire_running(s, now);
    if (r == 0)
        r = expire_waiting(s, now);
    free_ended(s);
    if (r == 0 && (ready & POLLIN))
        r = take_requests(s);
    if (r == 0)
        r = start_waiting(s);
    return r;
}

static void on_child(int number _unused_)
{
    /* Only to end ppoll(). */
}

static int prepare_signals(void)
{
    const struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGCHLD, &child, NULL) < 0)
        return -errno;
    /* Those that end a service as a whole: the daemon still needs us until it closes the pair. */
    if (sigaction(SIGTERM, &ignored, NULL) < 0 || sigaction(SIGINT, &ignored, NULL) < 0 ||
        sigaction(SIGHUP, &ignored, NULL) < 0)
        return -errno;
    return 0;
}

static void kill_children(const struct server *s)
{
    const struct lookup *l;
    LIST_FOREACH (l, &s->running, node)
        if (l->child)
            (void)kill(l->child, SIGKILL);
}

int identd_serve(int socket, const struct identd_host *host)
{
    struct server s = {.socket = socket, .host = host};
    list_init(&s.waiting);
    list_init(&s.running);
    int r = prepare_signals();
    if (r == 0)
        r = send_status(&s, 0, IDENTD_OK);
    while (r == 0)
        r = turn(&s);
    kill_children(&s);
    return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}
