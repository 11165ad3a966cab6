/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* inotify watches what a name stood for when the watch was made. So the folder's own folder is watched too,
 * for the name; and after each change both watches are made anew, before the files are read: what changes
 * from then on is another change. A watch that cannot be made (there is no such folder, or too many watches)
 * is tried again now and then. */

#include "broker/policy-watch.h"

#include "broker/limits.h"
#include "broker/timer.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"

#include <string.h>

#define WATCHES 2 /* the folder; the folder it is in */

struct policy_watch {
    uv_loop_t *loop;
    uv_fs_event_t watches[WATCHES];
    unsigned n_open; /* handles that libuv has */
    const struct policy_watch_handlers *handlers;
    void *userdata;
    char *folder;
    char *parent;
    const char *name;     /* of the folder in its parent */
    struct timer *change; /* while changes are gathered, or to try again */
    uint64_t first_usec;  /* when the first of them was seen; 0: none was */
    struct timer *expiry;
    int64_t expires_sec;
    bool is_blind_told; /* the log has said that a watch cannot be made */
};

/* --- changes ----------------------------------------------------------------------------------------- */

static void on_change_due(void *userdata);

static void wait_to_read(struct policy_watch *w, uint64_t delay_usec)
{
    timer_drop(w->change);
    w->change = NULL;
    if (timer_start(w->loop, delay_usec, on_change_due, w, &w->change) < 0)
        log_warning("no memory for a timer; changes of grants.d count after a reload");
}

/* Later changes wait for it to be quiet, but not for ever. */
static void note_change(struct policy_watch *w)
{
    uint64_t now = boottime_usec();
    if (w->first_usec == 0)
        w->first_usec = now;
    uint64_t latest = w->first_usec + LIMIT_POLICY_GATHER_MSEC * USEC_PER_MSEC;
    uint64_t left = latest > now ? latest - now : 0;
    uint64_t quiet = LIMIT_POLICY_QUIET_MSEC * USEC_PER_MSEC;
    wait_to_read(w, left < quiet ? left : quiet);
}

/* A change of the folder itself comes with its own name, or with none. */
static void on_event(uv_fs_event_t *handle, const char *name, int events _unused_, int status)
{
    struct policy_watch *w = handle->data;
    bool is_folder = handle == &w->watches[0];
    if (status < 0 || !name || strcmp(name, w->name) == 0 || (is_folder && file_is_listed(name, ".conf")))
        note_change(w);
}

/* Whether all is watched that can be: a folder that is not there will be seen to come, by its parent. */
static bool watch(struct policy_watch *w)
{
    int results[WATCHES];
    const char *const paths[WATCHES] = {w->folder, w->parent};
    for (unsigned i = 0; i < WATCHES; i++) {
        (void)uv_fs_event_stop(&w->watches[i]);
        results[i] = uv_fs_event_start(&w->watches[i], on_event, paths[i], 0);
    }
    bool is_seeing = results[1] == 0 && (results[0] == 0 || results[0] == UV_ENOENT);
    if (!is_seeing && !w->is_blind_told)
        log_warning("%s cannot be watched for changes (%s); it is read now and then instead", w->folder,
                    uv_strerror(results[1] == 0 ? results[0] : results[1]));
    w->is_blind_told = !is_seeing;
    return is_seeing;
}

static void on_change_due(void *userdata)
{
    struct policy_watch *w = userdata;
    w->change = NULL;
    w->first_usec = 0;
    bool is_seeing = watch(w);
    if (w->handlers->changed(w->userdata) < 0 || !is_seeing)
        wait_to_read(w, LIMIT_POLICY_RETRY_SEC * USEC_PER_SEC);
}

/* --- the end of a section ---------------------------------------------------------------------------- */

static void await_expiry(struct policy_watch *w);

static void on_expiry_due(void *userdata)
{
    struct policy_watch *w = userdata;
    w->expiry = NULL;
    if (wall_sec() < w->expires_sec) { /* the two clocks are not equally fast */
        await_expiry(w);
        return;
    }
    w->expires_sec = 0;
    w->handlers->expired(w->userdata);
}

static void await_expiry(struct policy_watch *w)
{
    uint64_t now = clock_usec(CLOCK_REALTIME), end = (uint64_t)w->expires_sec * USEC_PER_SEC;
    uint64_t left = end > now ? end - now : 0, most = LIMIT_POLICY_EXPIRY_SEC * USEC_PER_SEC;
    if (left > most)
        left = most;
    if (timer_start(w->loop, left, on_expiry_due, w, &w->expiry) < 0)
        log_warning("no memory for a timer; tokens of what runs out in grants.d are not reported as revoked");
}

void policy_watch_set_expiry(struct policy_watch *w, int64_t sec)
{
    if (!w)
        return;
    timer_drop(w->expiry);
    w->expiry = NULL;
    w->expires_sec = sec;
    if (sec > 0)
        await_expiry(w);
}

/* --- life -------------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct policy_watch *w = handle->data;
    if (--w->n_open == 0)
        free(w);
}

int policy_watch_new(uv_loop_t *loop, const struct policy_watch_handlers *handlers, void *userdata,
                     struct policy_watch **ret)
{
    struct policy_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->loop = loop;
    w->handlers = handlers;
    w->userdata = userdata;
    for (unsigned i = 0; i < WATCHES; i++) {
        (void)uv_fs_event_init(loop, &w->watches[i]); /* always succeeds */
        w->watches[i].data = w;
        w->n_open++;
    }
    *ret = w;
    return 0;
}

void policy_watch_free(struct policy_watch *w)
{
    if (!w)
        return;
    timer_drop(w->change);
    timer_drop(w->expiry);
    free(w->folder);
    free(w->parent);
    w->folder = w->parent = NULL;
    for (unsigned i = 0; i < WATCHES; i++)
        uv_close((uv_handle_t *)&w->watches[i], on_closed);
}

static char *parent_of(const char *folder, const char *name)
{
    if (name == folder)
        return strdup(".");
    size_t n = (size_t)(name - folder);
    return strndup(folder, n > 1 ? n - 1 : n);
}

static char *without_slashes(const char *folder)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    return strndup(folder, n);
}

int policy_watch_set_folder(struct policy_watch *w, const char *folder)
{
    _cleanup_free_ char *copy = without_slashes(folder);
    if (!copy)
        return -ENOMEM;
    if (w->folder && strcmp(w->folder, copy) == 0)
        return 0;
    const char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    char *parent = parent_of(copy, name);
    if (!parent)
        return -ENOMEM;
    free(w->folder);
    free(w->parent);
    w->name = name;
    w->parent = parent;
    w->folder = TAKE_PTR(copy);
    if (!watch(w))
        wait_to_read(w, LIMIT_POLICY_RETRY_SEC * USEC_PER_SEC);
    return 0;
}
