/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/notify-systemd.h"

#include "broker/timer.h"
#include "util/clock.h"
#include "util/log.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MESSAGE_BYTES_MAX 512
#define RETRY_USEC (100 * USEC_PER_MSEC)

struct notify_systemd {
    uv_loop_t *loop;
    int fd;
    struct sockaddr_un address;
    socklen_t address_bytes;
    uint64_t watchdog_usec; /* between two messages; 0: none is wanted */
    struct timer *watchdog;
    struct timer *retry;
    bool is_stopping;
    char unsent[MESSAGE_BYTES_MAX]; /* while `retry` runs */
};

/* --- messages ---------------------------------------------------------------------------------------- */

static void on_retry(void *userdata);

/* False only when the manager does not take it now. */
static bool try_send(const struct notify_systemd *n, const char *message)
{
    ssize_t r = sendto(n->fd, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL,
                       (const struct sockaddr *)&n->address, n->address_bytes);
    if (r < 0 && errno != EAGAIN && errno != ENOBUFS)
        log_debug("the service manager cannot be told: %s", strerror(errno));
    return r >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

/* `message` may be n->unsent itself. */
static void tell(struct notify_systemd *n, const char *message)
{
    timer_drop(n->retry);
    n->retry = NULL;
    if (try_send(n, message))
        return;
    if (message != n->unsent)
        (void)snprintf(n->unsent, sizeof(n->unsent), "%s", message);
    if (timer_start(n->loop, RETRY_USEC, on_retry, n, &n->retry) < 0)
        log_warning("no memory to tell the service manager how it goes");
}

static void on_retry(void *userdata)
{
    struct notify_systemd *n = userdata;
    n->retry = NULL;
    tell(n, n->unsent);
}

/* A line break in what is said would begin another message. */
static void tell_state(struct notify_systemd *n, const char *state, const char *status)
{
    char message[MESSAGE_BYTES_MAX];
    int used = snprintf(message, sizeof(message), "%s\nSTATUS=", state);
    (void)snprintf(message + used, sizeof(message) - (size_t)used, "%s", status);
    for (char *p = message + used; *p; p++)
        if ((unsigned char)*p < 0x20)
            *p = '?';
    tell(n, message);
}

/* --- the watchdog ------------------------------------------------------------------------------------ */

static void on_watchdog(void *userdata);

static void await_watchdog(struct notify_systemd *n)
{
    if (timer_start(n->loop, n->watchdog_usec, on_watchdog, n, &n->watchdog) < 0)
        log_warning("no memory for the watchdog: the service manager will end this process");
}

/* One that the manager does not take now is not repeated: half of the time is left for the next. */
static void on_watchdog(void *userdata)
{
    struct notify_systemd *n = userdata;
    n->watchdog = NULL;
    (void)try_send(n, "WATCHDOG=1");
    await_watchdog(n);
}

static bool parse_usec(const char *text, uint64_t *ret)
{
    size_t n = text ? strspn(text, "0123456789") : 0;
    if (n == 0 || n > 18 || text[n] != '\0')
        return false;
    *ret = strtoull(text, NULL, 10);
    return true;
}

static uint64_t watchdog_interval(const struct notify_systemd_options *options)
{
    uint64_t usec, pid;
    if (!parse_usec(options->watchdog_usec, &usec))
        return 0;
    /* What is meant for another process was inherited. */
    if (options->watchdog_pid && (!parse_usec(options->watchdog_pid, &pid) || pid != (uint64_t)getpid()))
        return 0;
    return usec / 2;
}

/* --- the states -------------------------------------------------------------------------------------- */

void notify_systemd_ready(struct notify_systemd *n, const char *status)
{
    if (!n || n->is_stopping)
        return;
    tell_state(n, "READY=1", status);
    if (n->watchdog_usec > 0 && !n->watchdog)
        await_watchdog(n);
}

/* With the time, so that the manager can tell the READY=1 that follows from one before. */
void notify_systemd_reloading(struct notify_systemd *n)
{
    char state[80];
    if (!n || n->is_stopping)
        return;
    (void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_usec(CLOCK_MONOTONIC));
    tell_state(n, state, "Reading the configuration again");
}

void notify_systemd_stopping(struct notify_systemd *n, const char *status)
{
    if (!n || n->is_stopping)
        return;
    n->is_stopping = true;
    tell_state(n, "STOPPING=1", status);
}

/* --- the socket -------------------------------------------------------------------------------------- */

/* A path, or a name in the abstract namespace, which begins with @ and does not end with a NUL. */
static int set_address(struct notify_systemd *n, const char *name)
{
    size_t bytes = strlen(name);
    bool is_abstract = name[0] == '@';
    if ((!is_abstract && name[0] != '/') || bytes < 2 || bytes >= sizeof(n->address.sun_path))
        return -EINVAL;
    n->address.sun_family = AF_UNIX;
    memcpy(n->address.sun_path, name, bytes);
    if (is_abstract)
        n->address.sun_path[0] = '\0';
    n->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes + (is_abstract ? 0 : 1));
    return 0;
}

int notify_systemd_new(uv_loop_t *loop, const struct notify_systemd_options *options,
                       struct notify_systemd **ret)
{
    *ret = NULL;
    if (!options->socket)
        return 0;
    _cleanup_(notify_systemd_freep) struct notify_systemd *n = calloc(1, sizeof(*n));
    if (!n)
        return -ENOMEM;
    n->loop = loop;
    n->watchdog_usec = watchdog_interval(options);
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd < 0)
        return -errno;
    int r = set_address(n, options->socket);
    if (r == 0)
        *ret = TAKE_PTR(n);
    return r;
}

void notify_systemd_free(struct notify_systemd *n)
{
    if (!n)
        return;
    timer_drop(n->watchdog);
    timer_drop(n->retry);
    close_fd(n->fd);
    free(n);
}
