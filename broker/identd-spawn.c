/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/identd-spawn.h"

#include "broker/harden.h"
#include "broker/identd-wire.h"
#include "broker/limits.h"
#include "util/clock.h"
#include "util/log.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

const unsigned identd_capabilities[IDENTD_N_CAPABILITIES] = {CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH};

/* In the child: the pair as standard input, the log as standard error, nothing else. */
static int arrange_descriptors(int pair)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(pair, STDIN_FILENO) < 0)
        return -errno;
    return close_range(STDERR_FILENO + 1, ~0U, 0) < 0 ? -errno : 0;
}

/* In the child: returns only when it fails. Says why, since only it knows. */
static void run(const char *path, const char *user, int pair)
{
    char *const argv[] = {(char *)"lwa-identd", NULL};
    char *const environment[] = {NULL};
    (void)umask(0077);
    int r = harden_become_with(user, identd_capabilities, IDENTD_N_CAPABILITIES);
    if (r == -ENOENT)
        log_error("there is no user %s: add one, or name another with --user", user);
    else if (r < 0)
        log_error("lwa-identd needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: start lwa-brokerd from its unit, "
                  "or as root");
    if (r < 0)
        return;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        r = -errno;
    if (r == 0)
        r = arrange_descriptors(pair);
    if (r == 0 && execve(path, argv, environment) < 0)
        r = -errno;
    log_error("%s cannot be run: %s; without it nobody can be identified", path, strerror(-r));
}

static int wait_until_ready(int pair)
{
    struct identd_answer answer;
    struct pollfd said = {.fd = pair, .events = POLLIN};
    if (poll(&said, 1, (int)(LIMIT_IDENTD_READY_SEC * USEC_PER_SEC / USEC_PER_MSEC)) <= 0) {
        log_error("lwa-identd does not become ready");
        return -ETIMEDOUT;
    }
    ssize_t n = recv(pair, &answer, sizeof(answer), MSG_DONTWAIT);
    return n == (ssize_t)sizeof(answer) && answer.id == 0 && answer.status == IDENTD_OK ? 0 : -EPIPE;
}

static int spawn(const char *path, const char *user, int *ret_fd)
{
    int ends[2], status;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    _cleanup_close_ int ours = ends[0];
    pid_t pid = fork();
    if (pid == 0) {
        run(path, user, ends[1]);
        _exit(EXIT_FAILURE);
    }
    close_fd(ends[1]);
    if (pid < 0)
        return -errno;
    int r = wait_until_ready(ours);
    if (r == 0)
        *ret_fd = TAKE_FD(ours);
    else if (r == -EPIPE && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
        log_error("lwa-identd was ended by signal %d", WTERMSIG(status));
    return r;
}

static int connect_to(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, n + 1);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    int r = wait_until_ready(fd);
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

int identd_get(const char *path, const char *user, int *ret_fd)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return spawn(path, user, ret_fd);
    int r = connect_to(path, ret_fd);
    if (r < 0)
        log_error("lwa-identd does not answer on %s: %s; its log is in `journalctl -u 'lwa-identd*'`", path,
                  strerror(-r));
    return r;
}
