/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/harden.h"

#include "autoconf.h"
#include "broker/limits.h"

#include <cap-ng.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* systemd.exec(5), "Environment variables in spawned processes". */
static const char *const kept[] = {"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};

int harden_environment(void)
{
    char *values[ARRAY_SIZE(kept)] = {NULL};
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        const char *value = getenv(kept[i]);
        values[i] = value ? strdup(value) : NULL;
        if (value && !values[i])
            r = -ENOMEM;
    }
    if (clearenv() != 0)
        r = -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        if (r == 0 && values[i] && setenv(kept[i], values[i], 1) < 0)
            r = -errno;
        free(values[i]);
    }
    return r;
}

/* Less than wanted is no harm: fewer descriptors, and secrets that can be swapped out (SECURITY.md). */
static void raise_limit(int resource, rlim_t wanted)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(resource, &limit);
}

int harden_process(void)
{
    const struct rlimit none = {0, 0};
    /* Whose peer has left is told by errno; curl leaves this to the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    /* The leak checker of the sanitizers attaches to its own process. */
    if (prctl(PR_SET_DUMPABLE, LWA_SANITIZE, 0, 0, 0) < 0)
        return -errno;
    raise_limit(RLIMIT_NOFILE, LIMIT_OPEN_FILES);
    raise_limit(RLIMIT_MEMLOCK, LIMIT_LOCKED_BYTES);
    return 0;
}

/* Selects what is to be left; applied by the caller. */
static int select_capabilities(const unsigned *capabilities, size_t n, unsigned kinds)
{
    capng_clear(CAPNG_SELECT_ALL);
    for (size_t i = 0; i < n; i++)
        if (capng_update(CAPNG_ADD, (capng_type_t)kinds, capabilities[i]) != 0)
            return -EPERM;
    return 0;
}

static int change_user(const char *user)
{
    errno = 0;
    const struct passwd *entry = getpwnam(user);
    if (!entry)
        return errno ? -errno : -ENOENT;
    if (entry->pw_uid == 0 || capng_change_id((int)entry->pw_uid, (int)entry->pw_gid,
                                              CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING) != 0)
        return -EPERM;
    return 0;
}

/* Whether the n are there, and nothing else. */
static int expect(const unsigned *capabilities, size_t n)
{
    if (capng_get_caps_process() != 0)
        return -EPERM;
    for (size_t i = 0; i < n; i++) {
        if (!capng_have_capability(CAPNG_EFFECTIVE, capabilities[i]))
            return -EPERM;
        (void)capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE,
                           capabilities[i]);
    }
    return capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE ? 0 : -EPERM;
}

int harden_keep(const unsigned *capabilities, size_t n)
{
    /* Where there is none to give up nothing is called that the unit's own filter does not let through. */
    if (n == 0 && expect(NULL, 0) == 0)
        return 0;
    int r = select_capabilities(capabilities, n, CAPNG_EFFECTIVE | CAPNG_PERMITTED);
    if (r == 0 && capng_apply(CAPNG_SELECT_CAPS) != 0)
        r = -EPERM;
    return r < 0 ? r : expect(capabilities, n);
}

int harden_become(const char *user)
{
    if (geteuid() != 0)
        return harden_keep(NULL, 0);
    int r = select_capabilities(NULL, 0, 0);
    if (r == 0)
        r = change_user(user);
    return r < 0 ? r : expect(NULL, 0);
}

int harden_become_with(const char *user, const unsigned *capabilities, size_t n)
{
    int r = select_capabilities(capabilities, n, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE);
    if (r == 0 && geteuid() == 0)
        r = change_user(user);
    else if (r == 0 && capng_apply(CAPNG_SELECT_CAPS) != 0)
        r = -EPERM;
    /* The ambient set is what a program that is run gets without being setuid. */
    for (size_t i = 0; r == 0 && i < n; i++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capabilities[i], 0, 0) < 0)
            r = -errno;
    return r < 0 ? r : expect(capabilities, n);
}
