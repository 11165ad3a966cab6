/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the broker and lwa-identd are confined, by what the kernel says of them: the broker has no capability
 * at all, its helper the two that it needs to look at other users' processes. */

#include "client/lwactl/doctor.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>

#define CHECK "process"
#define IDENTD "lwa-identd"
#define UNIT_FOLDER "/system.slice/"
#define CAP_DAC_READ_SEARCH_BIT 2
#define CAP_SYS_PTRACE_BIT 19
#define IDENTD_CAPABILITIES ((UINT64_C(1) << CAP_DAC_READ_SEARCH_BIT) | (UINT64_C(1) << CAP_SYS_PTRACE_BIT))
#define SECCOMP_FILTER 2

struct process {
    char name[32];
    long parent;
    uint64_t capabilities;
    bool has_no_new_privileges;
    long seccomp;
};

static void file_closep(FILE **file)
{
    if (*file)
        (void)fclose(*file);
}

static void closedirp(DIR **folder)
{
    if (*folder)
        (void)closedir(*folder);
}

static void read_line(const char *line, struct process *p)
{
    if (strncmp(line, "Name:\t", 6) == 0)
        (void)snprintf(p->name, sizeof(p->name), "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
    else if (strncmp(line, "PPid:", 5) == 0)
        p->parent = strtol(line + 5, NULL, 10);
    else if (strncmp(line, "CapEff:", 7) == 0)
        p->capabilities = strtoull(line + 7, NULL, 16);
    else if (strncmp(line, "NoNewPrivs:", 11) == 0)
        p->has_no_new_privileges = strtol(line + 11, NULL, 10) == 1;
    else if (strncmp(line, "Seccomp:", 8) == 0)
        p->seccomp = strtol(line + 8, NULL, 10);
}

static int read_status(const char *pid, struct process *ret)
{
    char path[64], line[256];
    (void)snprintf(path, sizeof(path), "/proc/%s/status", pid);
    _cleanup_(file_closep) FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    *ret = (struct process){.seccomp = -1};
    while (fgets(line, sizeof(line), file))
        read_line(line, ret);
    return 0;
}

/* Anybody can have a process of that name without a parent. Only root puts one into a system unit's cgroup:
 * the line of systemd's hierarchy, or of the only one, names it. */
static bool is_in_unit(const char *pid)
{
    char path[288], line[512];
    bool is_in = false;
    (void)snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
    _cleanup_(file_closep) FILE *file = fopen(path, "re");
    while (file && !is_in && fgets(line, sizeof(line), file)) {
        const char *at = strstr(line, ":/");
        bool is_systemds = strncmp(line, "0::", 3) == 0 || strstr(line, ":name=systemd:");
        is_in = is_systemds && at && strncmp(at + 1, UNIT_FOLDER, strlen(UNIT_FOLDER)) == 0 &&
                strstr(at, "/" IDENTD "@");
    }
    return is_in;
}

/* A child of the broker's; or systemd's, in a unit of its own. */
static bool find_identd(pid_t parent, struct process *ret)
{
    _cleanup_(closedirp) DIR *folder = opendir("/proc");
    if (!folder)
        return false;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        if (read_status(entry->d_name, ret) == 0 && strcmp(ret->name, IDENTD) == 0 &&
            (ret->parent == parent || (ret->parent == 1 && is_in_unit(entry->d_name))))
            return true;
    }
    return false;
}

static void check_broker(struct doctor *d, const struct process *p)
{
    if (p->capabilities != 0)
        doctor_add(
            d, CHECK, "lwa-brokerd", DOCTOR_PROBLEM,
            "Start it by its unit (`systemctl restart lwa-brokerd`), and look for what changes the unit "
            "(`systemctl cat lwa-brokerd`).",
            "holds capabilities (%016" PRIx64 "), and needs none", p->capabilities);
    else if (!p->has_no_new_privileges || p->seccomp != SECCOMP_FILTER)
        doctor_add(d, CHECK, "lwa-brokerd", DOCTOR_PROBLEM,
                   "Look at its log: the kernel needs seccomp filters.", "is not confined: %s",
                   p->has_no_new_privileges ? "it has no system call filter" : "it could gain privileges");
    else
        doctor_add(d, CHECK, "lwa-brokerd", DOCTOR_OK, NULL, "has no capability, and a system call filter");
}

static void check_identd(struct doctor *d)
{
    struct process p = {.seccomp = -1};
    if (!find_identd(d->pid, &p))
        doctor_add(d, CHECK, IDENTD, getuid() == 0 ? DOCTOR_PROBLEM : DOCTOR_UNKNOWN,
                   "`systemctl restart lwa-brokerd`; its log tells why " IDENTD " ended.",
                   "is not there: it cannot be found out who calls");
    else if (p.capabilities != IDENTD_CAPABILITIES)
        doctor_add(d, CHECK, IDENTD, DOCTOR_PROBLEM,
                   "The unit must give CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (`systemctl cat lwa-brokerd`).",
                   "has the capabilities %016" PRIx64 ", and needs %016" PRIx64 " to tell Flatpaks apart",
                   p.capabilities, IDENTD_CAPABILITIES);
    else
        doctor_add(d, CHECK, IDENTD, DOCTOR_OK, NULL, "has the two capabilities that it needs");
}

void doctor_check_process(struct doctor *d)
{
    struct process p = {.seccomp = -1};
    char pid[24];
    if (d->pid == 0)
        return;
    (void)snprintf(pid, sizeof(pid), "%ld", (long)d->pid);
    int r = read_status(pid, &p);
    if (r < 0) {
        doctor_add(d, CHECK, "lwa-brokerd", DOCTOR_UNKNOWN, "As root more can be seen: `sudo lwactl doctor`.",
                   "cannot be looked at: %s", strerrordesc_np(-r));
        return;
    }
    check_broker(d, &p);
    check_identd(d);
}
