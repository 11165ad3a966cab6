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

static int become(const struct passwd *entry)
{
    capng_clear(CAPNG_SELECT_BOTH);
    if (capng_change_id((int)entry->pw_uid, (int)entry->pw_gid, CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING) !=
        0)
        return -EPERM;
    return 0;
}

int harden_become(const char *user)
{
    if (geteuid() == 0) {
        errno = 0;
        const struct passwd *entry = getpwnam(user);
        if (!entry)
            return errno ? -errno : -ENOENT;
        if (entry->pw_uid == 0)
            return -EPERM;
        int r = become(entry);
        if (r < 0)
            return r;
    } else {
        capng_clear(CAPNG_SELECT_BOTH);
        if (capng_apply(CAPNG_SELECT_CAPS) != 0)
            return -EPERM;
    }
    if (capng_get_caps_process() != 0 || capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
        return -EPERM;
    return 0;
}
