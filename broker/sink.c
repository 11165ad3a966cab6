/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/sink.h"

#include "broker/limits.h"
#include "broker/sink-format.h"
#include "util/log.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct kind {
    const char *name;
    const char *path;
    enum audit_forward only; /* where no other kind is wanted */
    void (*format)(const struct audit_record *record, struct sink_buffer *b);
};

static const struct kind kinds[] = {
    {"journal", SINK_JOURNAL_PATH, AUDIT_FORWARD_JOURNAL, sink_journal_format},
    {"syslog", SINK_SYSLOG_PATH, AUDIT_FORWARD_SYSLOG, sink_syslog_format},
};

/* A connection. libuv lets go of the handle a round later, so it outlives its sink. */
struct link {
    uv_poll_t poll;
    struct sink *sink;
    int fd;
};

struct message {
    struct list node;
    size_t n;
    char bytes[];
};

struct sink {
    uv_loop_t *loop;
    struct record_listener listener;
    enum audit_forward forward;
    const struct kind *kind; /* that is connected, or was last */
    struct link *link;       /* NULL while none is */
    struct list waiting;     /* struct message */
    size_t n_waiting;
    size_t n_waiting_bytes;
    uint64_t n_unsent;
    uint64_t n_unsent_told;
};

/* --- the connection ---------------------------------------------------------------------------------- */

static void on_link_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    (void)close(link->fd);
    free(link);
}

static void disconnect(struct sink *sink)
{
    if (!sink->link)
        return;
    (void)uv_poll_stop(&sink->link->poll);
    uv_close((uv_handle_t *)&sink->link->poll, on_link_closed);
    sink->link = NULL;
}

/* Neither blocks: there is no queue to connect a datagram socket through. */
static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int connect_to(struct sink *sink, const struct kind *kind)
{
    _cleanup_close_ int fd = open_socket(kind->path);
    if (fd < 0)
        return fd;
    struct link *link = calloc(1, sizeof(*link));
    if (!link)
        return -ENOMEM;
    int r = uv_poll_init(sink->loop, &link->poll, fd);
    if (r < 0) {
        free(link);
        return r;
    }
    link->poll.data = link;
    link->sink = sink;
    link->fd = TAKE_FD(fd);
    uv_unref((uv_handle_t *)&link->poll); /* nothing of consequence waits for a collector */
    sink->link = link;
    sink->kind = kind;
    return 0;
}

static bool is_wanted(const struct sink *sink, const struct kind *kind)
{
    return sink->forward == AUDIT_FORWARD_AUTO || sink->forward == kind->only;
}

static bool find_collector(struct sink *sink)
{
    for (size_t i = 0; !sink->link && i < ARRAY_SIZE(kinds); i++)
        if (is_wanted(sink, &kinds[i]))
            (void)connect_to(sink, &kinds[i]);
    return sink->link;
}

/* --- what waits -------------------------------------------------------------------------------------- */

static void drop_first(struct sink *sink)
{
    struct message *first = LIST_ENTRY(sink->waiting.next, struct message, node);
    list_remove(&first->node);
    sink->n_waiting--;
    sink->n_waiting_bytes -= first->n;
    free(first);
}

static void leave_out_all(struct sink *sink)
{
    sink->n_unsent += sink->n_waiting;
    while (!list_is_empty(&sink->waiting))
        drop_first(sink);
}

static bool has_room(const struct sink *sink, size_t n)
{
    return sink->n_waiting < LIMIT_SINK_WAITING && n <= LIMIT_SINK_WAITING_BYTES - sink->n_waiting_bytes;
}

static bool keep(struct sink *sink, const struct sink_buffer *b)
{
    struct message *m = b->error == 0 && has_room(sink, b->n) ? malloc(sizeof(*m) + b->n) : NULL;
    if (!m)
        return false;
    m->n = b->n;
    memcpy(m->bytes, b->bytes, b->n);
    list_append(&sink->waiting, &m->node);
    sink->n_waiting++;
    sink->n_waiting_bytes += m->n;
    return true;
}

static void tell_unsent(struct sink *sink)
{
    if (sink->n_unsent == sink->n_unsent_told)
        return;
    log_warning("%llu records of the trail were not sent to the %s; `lwactl audit export` has them",
                (unsigned long long)(sink->n_unsent - sink->n_unsent_told), sink->kind->name);
    sink->n_unsent_told = sink->n_unsent;
}

/* --- sending ----------------------------------------------------------------------------------------- */

static void send_waiting(struct sink *sink);

static void on_writable(uv_poll_t *poll, int status _unused_, int events _unused_)
{
    struct link *link = poll->data;
    (void)uv_poll_stop(poll);
    send_waiting(link->sink);
}

/* False: it has no room now, or is gone. */
static bool send_first(struct sink *sink)
{
    const struct message *first = LIST_ENTRY(sink->waiting.next, struct message, node);
    if (send(sink->link->fd, first->bytes, first->n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
        drop_first(sink);
        tell_unsent(sink);
        return true;
    }
    if (errno == EAGAIN || errno == EINTR) {
        if (uv_poll_start(&sink->link->poll, UV_WRITABLE, on_writable) < 0)
            disconnect(sink);
        return false;
    }
    if (errno == EMSGSIZE || errno == ENOBUFS || errno == ENOMEM) { /* of this one only */
        sink->n_unsent++;
        drop_first(sink);
        return true;
    }
    disconnect(sink);
    return false;
}

/* All of them are in the form that the connected one takes: for another kind they are left out. */
static void send_waiting(struct sink *sink)
{
    while (!list_is_empty(&sink->waiting) && send_first(sink))
        ;
    if (!sink->link && connect_to(sink, sink->kind) == 0) /* it was restarted */
        while (!list_is_empty(&sink->waiting) && send_first(sink))
            ;
    if (!sink->link)
        leave_out_all(sink);
}

/* The kind decides the form, so one is looked for first. */
static void on_record(const struct audit_record *record, void *userdata)
{
    struct sink *sink = userdata;
    struct sink_buffer b = {NULL};
    if (sink->forward == AUDIT_FORWARD_NONE)
        return;
    if (!sink->link && !find_collector(sink)) {
        sink->n_unsent++;
        return;
    }
    sink->kind->format(record, &b);
    bool is_kept = keep(sink, &b);
    sink_buffer_clear(&b);
    if (!is_kept)
        sink->n_unsent++;
    else if (!uv_is_active((const uv_handle_t *)&sink->link->poll)) /* else it waits for room */
        send_waiting(sink);
}

/* --- life -------------------------------------------------------------------------------------------- */

int sink_new(uv_loop_t *loop, struct records *records, enum audit_forward forward, struct sink **ret)
{
    struct sink *sink = calloc(1, sizeof(*sink));
    if (!sink)
        return -ENOMEM;
    sink->loop = loop;
    sink->forward = forward;
    list_init(&sink->waiting);
    records_add(records, &sink->listener, on_record, sink);
    *ret = sink;
    return 0;
}

void sink_free(struct sink *sink)
{
    if (!sink)
        return;
    records_remove(&sink->listener);
    leave_out_all(sink);
    disconnect(sink);
    if (sink->kind)
        tell_unsent(sink);
    free(sink);
}

void sink_set_forward(struct sink *sink, enum audit_forward forward)
{
    if (!sink || sink->forward == forward)
        return;
    sink->forward = forward;
    leave_out_all(sink);
    disconnect(sink);
}

const char *sink_name(const struct sink *sink)
{
    return sink && sink->link ? sink->kind->name : "none";
}

uint64_t sink_count_unsent(const struct sink *sink)
{
    return sink ? sink->n_unsent : 0;
}
