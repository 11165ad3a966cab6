/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a process is looked at, so that what is said of it is said of one process at one time:
 *
 *   1. /proc/PID is opened once; all else is read relative to it. If the process ends, these reads fail, also
 *      when its number is another's by then.
 *   2. A pidfd of the bus names the process itself. Without one the process must have started before its
 *      connection was there: then it had the number already.
 *   3. It must run as the user that connected.
 *   4. Its root is opened; the mark of Flatpak, and what is read of it, is below that one.
 *   5. In the end it must still live, with the same root: else what was read may be of two different lives.
 *
 * What is not there is taken for "not so" only where that cannot be arranged: no mark means no sandbox only
 * in the host's root and user namespace, and everything else that cannot be read is a refusal. */

#include "broker/identd-look.h"

#include "broker/cgroup-unit.h"
#include "broker/flatpak-info.h"
#include "broker/limits.h"
#include "broker/proc-text.h"
#include "util/clock.h"
#include "util/file.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

_Static_assert(LIMIT_FLATPAK_INFO_BYTES <= LIMIT_PROC_FILE_BYTES, "one buffer takes both");

struct look {
    const struct identd_host *host;
    const struct identd_request *request;
    struct identd_answer *answer;
    int process; /* /proc/PID */
    int pidfd;
    int root;
    struct statx root_was;
    size_t n_text;
    char text[LIMIT_PROC_FILE_BYTES + 1]; /* of the file that was read last, n_text bytes */
};

/* --- the host ---------------------------------------------------------------------------------------- */

/* 0 or a negative errno; -ENOENT with zeros where the kernel has no user namespaces. */
static int read_user_namespace(int process, struct identd_node *ret)
{
    struct stat st;
    *ret = (struct identd_node){0, 0};
    if (fstatat(process, "ns/user", &st, 0) < 0)
        return -errno;
    *ret = (struct identd_node){st.st_dev, st.st_ino};
    return 0;
}

int identd_host_read(struct identd_host *ret)
{
    struct stat root;
    _cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    long ticks = sysconf(_SC_CLK_TCK);
    if (self < 0 || stat("/", &root) < 0)
        return -errno;
    int r = read_user_namespace(self, &ret->user_namespace);
    if (r < 0 && r != -ENOENT)
        return r;
    if (ticks <= 0)
        return -EINVAL;
    ret->root = (struct identd_node){root.st_dev, root.st_ino};
    ret->ticks_per_sec = (uint64_t)ticks;
    return 0;
}

static bool is_same(const struct identd_node *a, const struct identd_node *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/* --- reading ----------------------------------------------------------------------------------------- */

/* The whole of an open file into look->text: 0, -EFBIG or another negative errno. */
static int read_open(struct look *look, int fd, size_t max)
{
    look->n_text = 0;
    while (look->n_text <= max) {
        ssize_t n = read(fd, look->text + look->n_text, max + 1 - look->n_text);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        look->n_text += (size_t)n;
    }
    return -EFBIG;
}

static int read_file(struct look *look, int folder, const char *name)
{
    _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : read_open(look, fd, LIMIT_PROC_FILE_BYTES);
}

/* --- the process ------------------------------------------------------------------------------------- */

static bool has_ended(const struct look *look)
{
    struct pollfd ended = {.fd = look->pidfd, .events = POLLIN};
    return poll(&ended, 1, 0) != 0; /* an error is no reason to believe in it */
}

/* Whether the descriptor is a pidfd, of this very process. */
static enum identd_status check_pidfd(struct look *look)
{
    char name[sizeof("/proc/self/fdinfo/") + 3 * sizeof(int)];
    pid_t pid;
    (void)snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", look->pidfd);
    if (read_file(look, AT_FDCWD, name) < 0 || proc_text_pidfd(look->text, look->n_text, &pid) != 0) {
        look->pidfd = -1; /* it says nothing of any process */
        return IDENTD_UNREADABLE;
    }
    return pid == look->request->pid ? IDENTD_OK : IDENTD_GONE;
}

static enum identd_status open_process(struct look *look, int *ret_process, int *ret_pidfd)
{
    char path[sizeof("/proc/") + 3 * sizeof(pid_t)];
    if (look->request->pid <= 0)
        return IDENTD_GONE;
    (void)snprintf(path, sizeof(path), "/proc/%d", look->request->pid);
    *ret_process = look->process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (look->process < 0)
        return errno == ENOENT ? IDENTD_GONE : IDENTD_UNREADABLE;
    if (look->request->has_pidfd)
        return check_pidfd(look);
    *ret_pidfd = look->pidfd = pidfd_open(look->request->pid, 0);
    if (look->pidfd < 0)
        return errno == ESRCH || errno == EINVAL ? IDENTD_GONE : IDENTD_UNREADABLE;
    return IDENTD_OK;
}

static enum identd_status check_user(struct look *look)
{
    uid_t uid;
    char state;
    if (read_file(look, look->process, "status") < 0 ||
        proc_text_status(look->text, look->n_text, &uid, &state) != 0)
        return IDENTD_UNREADABLE;
    if (state == 'Z' || state == 'X')
        return IDENTD_GONE;
    return uid == look->request->uid ? IDENTD_OK : IDENTD_OTHER_UID;
}

/* Times in /proc are whole ticks, rounded down: a process that took over a number within the same tick in
 * which the connection was seen would pass. All other numbers would have to be used up in that time. */
static enum identd_status check_start(struct look *look)
{
    uint64_t ticks;
    look->answer->is_pinned = look->request->has_pidfd ? 1 : 0;
    if (look->request->has_pidfd || look->request->connected_usec == 0)
        return IDENTD_OK;
    if (read_file(look, look->process, "stat") < 0 || proc_text_start(look->text, look->n_text, &ticks) != 0)
        return IDENTD_UNREADABLE;
    uint64_t per_sec = look->host->ticks_per_sec;
    uint64_t started_usec = ticks / per_sec * USEC_PER_SEC + ticks % per_sec * USEC_PER_SEC / per_sec;
    if (started_usec > look->request->connected_usec)
        return IDENTD_GONE;
    look->answer->is_pinned = 1;
    return IDENTD_OK;
}

/* --- its root ---------------------------------------------------------------------------------------- */

static int open_root(const struct look *look, int *ret_fd, struct statx *ret)
{
    _cleanup_close_ int fd = openat(look->process, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, ret) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static enum identd_status look_at_root(struct look *look, int *ret_root)
{
    const struct statx *st = &look->root_was;
    struct identd_node user_namespace;
    if (open_root(look, ret_root, &look->root_was) < 0)
        return IDENTD_UNREADABLE;
    look->root = *ret_root;
    int r = read_user_namespace(look->process, &user_namespace);
    if (r < 0 && (r != -ENOENT || look->host->user_namespace.inode != 0))
        return IDENTD_UNREADABLE;
    const struct identd_node root = {makedev(st->stx_dev_major, st->stx_dev_minor), st->stx_ino};
    look->answer->is_foreign =
        !is_same(&root, &look->host->root) || !is_same(&user_namespace, &look->host->user_namespace);
    return IDENTD_OK;
}

/* Nothing is opened for reading before it is known to be a plain file: to open another could block, or do
 * something. */
static enum identd_status look_for_mark(struct look *look)
{
    struct stat st;
    int again = -1;
    _cleanup_close_ int mark = openat(look->root, ".flatpak-info", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (mark < 0)
        return errno == ENOENT ? IDENTD_OK : IDENTD_UNREADABLE;
    if (fstat(mark, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > LIMIT_FLATPAK_INFO_BYTES ||
        file_reopen(mark, &again) < 0)
        return IDENTD_UNREADABLE;
    int r = read_open(look, again, LIMIT_FLATPAK_INFO_BYTES);
    (void)close_fd(again);
    if (r < 0 || flatpak_info_parse(look->text, look->n_text, look->answer->flatpak) != 0)
        return IDENTD_UNREADABLE;
    return IDENTD_OK;
}

/* --- facts ------------------------------------------------------------------------------------------- */

static enum identd_status look_at_unit(struct look *look)
{
    int r = read_file(look, look->process, "cgroup");
    if (r == -ENOENT) /* a kernel without cgroups, or a process that is gone: which is seen in the end */
        return IDENTD_OK;
    if (r < 0 || cgroup_unit_parse(look->text, look->n_text, look->answer->unit) != 0)
        return IDENTD_UNREADABLE;
    return IDENTD_OK;
}

/* A path means something only where its root is ours. It names no app, so that not to know it is no error. */
static void look_at_program(struct look *look)
{
    static const char deleted[] = " (deleted)";
    char path[PATH_MAX];
    if (look->answer->is_foreign)
        return;
    ssize_t n = readlinkat(look->process, "exe", path, sizeof(path) - 1);
    if (n <= 0 || (size_t)n >= IDENTD_EXE_SIZE || memchr(path, '\0', (size_t)n))
        return;
    path[n] = '\0';
    size_t n_deleted = strlen(deleted);
    if ((size_t)n >= n_deleted && strcmp(path + (size_t)n - n_deleted, deleted) == 0)
        return;
    if (identd_exe_is_valid(path))
        memcpy(look->answer->exe, path, (size_t)n + 1);
}

/* --- all of it --------------------------------------------------------------------------------------- */

static enum identd_status check_again(struct look *look)
{
    struct statx root = {.stx_mask = 0};
    _cleanup_close_ int fd = -1;
    enum identd_status status = check_user(look);
    if (status != IDENTD_OK)
        return status;
    if (open_root(look, &fd, &root) < 0)
        return IDENTD_UNREADABLE;
    const struct statx *was = &look->root_was;
    bool is_same_root = root.stx_dev_major == was->stx_dev_major &&
                        root.stx_dev_minor == was->stx_dev_minor && root.stx_ino == was->stx_ino &&
                        root.stx_mnt_id == was->stx_mnt_id;
    return is_same_root ? IDENTD_OK : IDENTD_UNREADABLE;
}

static enum identd_status look_at_all(struct look *look)
{
    _cleanup_close_ int process = -1, pidfd = -1, root = -1;
    enum identd_status status = open_process(look, &process, &pidfd);
    if (status == IDENTD_OK)
        status = check_user(look);
    if (status == IDENTD_OK)
        status = check_start(look);
    if (status == IDENTD_OK)
        status = look_at_root(look, &root);
    if (status == IDENTD_OK)
        status = look_for_mark(look);
    if (status == IDENTD_OK)
        status = look_at_unit(look);
    if (status == IDENTD_OK)
        look_at_program(look);
    if (status == IDENTD_OK)
        status = check_again(look);
    /* Of a process that has ended nothing can be read: that is why, then. And if it lives, all that was read
     * through /proc/PID was its own. */
    if (look->pidfd >= 0 && has_ended(look))
        status = IDENTD_GONE;
    return status;
}

void identd_look(const struct identd_host *host, const struct identd_request *request, int pidfd,
                 struct identd_answer *ret)
{
    struct look look;
    memset(ret, 0, sizeof(*ret));
    memset(&look, 0, offsetof(struct look, text));
    look.host = host;
    look.request = request;
    look.answer = ret;
    look.pidfd = pidfd;
    look.process = look.root = -1;
    ret->id = request->id;
    ret->status = (uint32_t)look_at_all(&look);
    if (ret->status != IDENTD_OK)
        identd_answer_fail(ret, (enum identd_status)ret->status);
}
