/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/peer-uid.h"

#include <inttypes.h>
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

/* Both ends as the kernel writes them, seen from the other side. */
static int describe(int fd, char *ret, size_t size)
{
    struct sockaddr_in own = {0}, peer = {0};
    socklen_t n_own = sizeof(own), n_peer = sizeof(peer);
    if (getsockname(fd, (struct sockaddr *)&own, &n_own) < 0 ||
        getpeername(fd, (struct sockaddr *)&peer, &n_peer) < 0)
        return -errno;
    (void)snprintf(ret, size, "%08" PRIX32 ":%04X %08" PRIX32 ":%04X", (uint32_t)peer.sin_addr.s_addr,
                   (unsigned)ntohs(peer.sin_port), (uint32_t)own.sin_addr.s_addr,
                   (unsigned)ntohs(own.sin_port));
    return 0;
}

/* Reads what follows the two ends in a line: state, queues, timer, retransmits, uid. A socket that its
 * process has closed stands there as root's: only an open one counts. */
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

/* 0, or -ENOENT. */
static int find_uid(const char *ends, uid_t *ret)
{
    _cleanup_fclose_ FILE *table = fopen("/proc/net/tcp", "re");
    char line[512];
    while (table && fgets(line, sizeof(line), table)) {
        const char *found = strstr(line, ends);
        if (found && read_owner(found + strlen(ends), ret))
            return 0;
    }
    return -ENOENT;
}

bool peer_uid_is_allowed(int fd, const struct peer_uids *allowed)
{
    char ends[64];
    uid_t uid;
    if (describe(fd, ends, sizeof(ends)) < 0 || find_uid(ends, &uid) < 0)
        return false;
    for (size_t i = 0; i < allowed->n; i++)
        if (allowed->uids[i] == uid)
            return true;
    return false;
}
