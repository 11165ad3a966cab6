/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/peer-uid.h"

#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define STATE_ESTABLISHED 1

static void allow(struct peer_uids *u, uid_t uid)
{
    if (u->n < PEER_UIDS_MAX)
        u->uids[u->n++] = uid;
}

struct peer_uids peer_uids_allowed(void)
{
    struct peer_uids u = {.n = 0};
    struct stat terminal;
    allow(&u, 0);
    allow(&u, geteuid());
    if (geteuid() != 0)
        return u;
    const char *caller = getenv("SUDO_UID");
    size_t digits = caller ? strspn(caller, "0123456789") : 0;
    if (digits > 0 && digits < 10 && !caller[digits])
        allow(&u, (uid_t)strtoul(caller, NULL, 10));
    if (isatty(STDIN_FILENO) && fstat(STDIN_FILENO, &terminal) == 0)
        allow(&u, terminal.st_uid);
    return u;
}

struct ends {
    struct sockaddr_in own, peer;
};

static int find_ends(int fd, struct ends *ret)
{
    socklen_t n_own = sizeof(ret->own), n_peer = sizeof(ret->peer);
    *ret = (struct ends){.own = {0}};
    if (getsockname(fd, (struct sockaddr *)&ret->own, &n_own) < 0 ||
        getpeername(fd, (struct sockaddr *)&ret->peer, &n_peer) < 0)
        return -errno;
    return 0;
}

/* --- by asking for this very socket ------------------------------------------------------------------- */

/* The time that it takes does not grow with the number of connections, which any user can make large. */
static int ask_kernel(const struct ends *ends, struct inet_diag_msg *ret)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } request = {
        .head = {.nlmsg_len = sizeof(request),
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = UINT32_MAX},
    };
    struct inet_diag_sockid *id = &request.body.id;
    *id = (struct inet_diag_sockid){
        .idiag_sport = ends->peer.sin_port,
        .idiag_dport = ends->own.sin_port,
        .idiag_src = {ends->peer.sin_addr.s_addr},
        .idiag_dst = {ends->own.sin_addr.s_addr},
        .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE},
    };
    struct {
        struct nlmsghdr head;
        struct inet_diag_msg body;
        char more[512];
    } reply;
    _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
        return -errno;
    /* The kernel has answered before send() returns. */
    ssize_t n = recv(fd, &reply, sizeof(reply), MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    if ((size_t)n < sizeof(reply.head) + sizeof(reply.body) || reply.head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return -ENOENT;
    *ret = reply.body;
    return 0;
}

static bool is_other_end(const struct inet_diag_sockid *id, const struct ends *ends)
{
    return id->idiag_sport == ends->peer.sin_port && id->idiag_dport == ends->own.sin_port &&
           id->idiag_src[0] == ends->peer.sin_addr.s_addr && id->idiag_dst[0] == ends->own.sin_addr.s_addr;
}

/* --- by the table of all, where the kernel cannot be asked -------------------------------------------- */

/* Reads what follows the two ends in a line: state, queues, timer, retransmits, uid. */
static bool read_owner(const char *rest, uid_t *ret)
{
    char *end;
    unsigned long state = strtoul(rest, &end, 16);
    for (unsigned i = 0; i < 3; i++) {
        end += strspn(end, " ");
        end += strcspn(end, " ");
    }
    *ret = (uid_t)strtoul(end, NULL, 10);
    return state == STATE_ESTABLISHED;
}

static bool find_in_table(const struct ends *ends, uid_t *ret)
{
    char text[64], line[512];
    (void)snprintf(text, sizeof(text), "%08" PRIX32 ":%04X %08" PRIX32 ":%04X",
                   (uint32_t)ends->peer.sin_addr.s_addr, (unsigned)ntohs(ends->peer.sin_port),
                   (uint32_t)ends->own.sin_addr.s_addr, (unsigned)ntohs(ends->own.sin_port));
    _cleanup_fclose_ FILE *table = fopen("/proc/net/tcp", "re");
    while (table && fgets(line, sizeof(line), table)) {
        const char *found = strstr(line, text);
        if (found && read_owner(found + strlen(text), ret))
            return true;
    }
    return false;
}

/* A socket that its process has closed is shown as root's: only an open one counts. */
static bool find_uid(const struct ends *ends, uid_t *ret)
{
    struct inet_diag_msg found = {.idiag_state = 0};
    if (ask_kernel(ends, &found) < 0)
        return find_in_table(ends, ret);
    *ret = found.idiag_uid;
    return found.idiag_state == STATE_ESTABLISHED && is_other_end(&found.id, ends);
}

bool peer_uid_is_allowed(int fd, const struct peer_uids *allowed)
{
    struct ends ends;
    uid_t uid;
    if (find_ends(fd, &ends) < 0 || !find_uid(&ends, &uid))
        return false;
    for (size_t i = 0; i < allowed->n; i++)
        if (allowed->uids[i] == uid)
            return true;
    return false;
}
