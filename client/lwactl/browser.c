/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/browser.h"

#include "util/cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>

extern char **environ;

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static bool has_session(void)
{
    return geteuid() != 0 && geteuid() == getuid() && (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"));
}

/* In a session of its own, so that Ctrl-C ends us and not the browser, and with the signals as they are for
 * any program. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, defaults;
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    short flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    int r = posix_spawnattr_setflags(attributes, flags);
    if (r == 0)
        r = posix_spawnattr_setsigmask(attributes, &none);
    return r == 0 ? posix_spawnattr_setsigdefault(attributes, &defaults) : r;
}

static int set_files(posix_spawn_file_actions_t *files)
{
    int r = 0;
    for (int fd = STDIN_FILENO; r == 0 && fd <= STDERR_FILENO; fd++)
        r = posix_spawn_file_actions_addopen(files, fd, "/dev/null", O_RDWR, 0);
    return r;
}

bool browser_open(const char *uri)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    _cleanup_free_ char *copy = strdup(uri);
    char program[] = "xdg-open";
    char *argv[] = {program, copy, NULL};
    pid_t pid;

    if (!copy || !has_session() || posix_spawnattr_init(&attributes) != 0)
        return false;
    if (posix_spawn_file_actions_init(&files) != 0) {
        (void)posix_spawnattr_destroy(&attributes);
        return false;
    }
    bool is_started = set_attributes(&attributes) == 0 && set_files(&files) == 0 &&
                      posix_spawnp(&pid, program, &files, &attributes, argv, environ) == 0;
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attributes);
    return is_started;
}
