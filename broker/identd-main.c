/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lwa-identd: finds out for lwa-brokerd which process is behind a connection. It alone may look into the
 * processes of others (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH), and it shares nothing with the daemon but one
 * socketpair, which is its standard input: it holds no secret, and the daemon holds no capability.
 *
 *   1. It is started with the two capabilities and no other descriptor but the log: by systemd, when the
 *      daemon connects to its socket, or by the daemon (identd-spawn.c), as lwa-broker.
 *   2. No core dumps, not dumpable, no new privileges; the capabilities can no longer be handed on.
 *   3. It gives up all system calls but those it needs, says that it is ready, and serves (identd-server.c).
 *   4. Each look-up is a child of its own (identd-look.c).
 *   5. When the daemon closes the pair, it ends at once, whatever its children hang in. */

#include "autoconf.h"
#include "broker/harden.h"
#include "broker/identd-look.h"
#include "broker/identd-seccomp.h"
#include "broker/identd-server.h"
#include "broker/identd-spawn.h"
#include "util/log.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static bool is_pair(int fd)
{
    int type = 0, domain = 0;
    socklen_t n_type = sizeof(type), n_domain = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n_type) == 0 && type == SOCK_SEQPACKET &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n_domain) == 0 && domain == AF_UNIX;
}

static int give_up_privileges(struct identd_host *ret_host)
{
    (void)umask(0077);
    (void)clearenv();
    int r = close_range(STDERR_FILENO + 1, ~0U, 0) < 0 ? -errno : 0;
    if (r == 0)
        r = harden_process();
    if (r == 0)
        r = harden_keep(identd_capabilities, IDENTD_N_CAPABILITIES);
    if (r == -EPERM)
        log_error("lwa-identd needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: start lwa-brokerd from its unit, "
                  "or as root");
    if (r == 0)
        r = identd_host_read(ret_host);
    return r == 0 ? identd_confine() : r;
}

int main(int argc, char **argv _unused_)
{
    struct identd_host host;
    if (argc != 1 || !is_pair(STDIN_FILENO)) {
        (void)fputs("lwa-identd is a part of lwa-brokerd, which starts it.\n", stderr);
        return 2;
    }
    int r = give_up_privileges(&host);
    if (r < 0) {
        log_error("lwa-identd cannot be started: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    r = identd_serve(STDIN_FILENO, &host);
    if (r < 0)
        log_error("lwa-identd cannot go on: %s", strerror(-r));
    _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
