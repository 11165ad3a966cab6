/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/library/driver.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static unsigned count(const char *folder, unsigned *ret_open_on_exec)
{
    DIR *dir = opendir(folder);
    unsigned n = 0;
    if (!dir)
        abort();
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        int fd = *entry->d_name == '.' ? -1 : (int)strtol(entry->d_name, NULL, 10);
        if (fd < 0 || fd == dirfd(dir))
            continue;
        n++;
        if (ret_open_on_exec && fd > 2 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
            ++*ret_open_on_exec;
    }
    (void)closedir(dir);
    return n;
}

void driver_process(struct driver *d _unused_, char *argument _unused_)
{
    struct sigaction action;
    unsigned n_open_on_exec = 0;
    unsigned n_fds = count("/proc/self/fd", &n_open_on_exec);
    (void)sigaction(SIGPIPE, NULL, &action);
    say("process %u %u %u %d", n_fds, n_open_on_exec, count("/proc/self/task", NULL),
        action.sa_handler != SIG_DFL);
}

void driver_child(struct driver *d, char *argument)
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char *rest = NULL;
        for (char *line = strtok_r(argument, ";", &rest); line; line = strtok_r(NULL, ";", &rest))
            driver_run(d, line);
        (void)fflush(stdout);
        lwa_client_free(d->client);
        _exit(0);
    }
    int status = -1;
    (void)waitpid(pid, &status, 0);
    say("child %d", status);
}

void driver_hold(struct driver *d, char *argument _unused_)
{
    d->held = fork();
    if (d->held == 0)
        for (;;)
            (void)pause();
    say("holding");
}

void driver_release(struct driver *d, char *argument _unused_)
{
    if (d->held > 0) {
        (void)kill(d->held, SIGKILL);
        (void)waitpid(d->held, NULL, 0);
    }
    d->held = 0;
    say("released");
}
