/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/identity-user.h"

#include "broker/broker.h"
#include "broker/identity.h"
#include "broker/limits.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>

#define NAME_BUFFER_BYTES 16384

/* What the worker thread touches, and nothing else. */
struct name_work {
    uv_work_t work;
    struct user_lookup *lookup; /* NULL once dropped; read and written on the loop's thread only */
    struct broker *broker;
    uid_t uid;
    uid_t broker_uid;
    bool failed;                   /* not "no such user": it could not be told */
    char name[IDENTITY_USER_SIZE]; /* "" when it has none */
};

struct user_lookup {
    struct list waiting; /* in broker->identity.waiting while it waits for a worker */
    struct broker *broker;
    struct name_work *work;
    user_callback callback;
    void *userdata;
    uid_t uid;
};

static bool is_usable_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n >= IDENTITY_USER_SIZE)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isascii((unsigned char)name[i]) || (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i])))
            return false;
    return true;
}

/* 0 with or without a name in `ret`, "" then; else an error. */
static int read_name(uid_t uid, char *buffer, char ret[static IDENTITY_USER_SIZE])
{
    struct passwd entry, *found;
    ret[0] = '\0';
    int r = getpwuid_r(uid, &entry, buffer, NAME_BUFFER_BYTES, &found);
    if (r == 0 && found && is_usable_name(found->pw_name))
        memcpy(ret, found->pw_name, strlen(found->pw_name) + 1);
    return r;
}

/* Who cannot be identified gets nothing: a uid whose name cannot be read is no uid without a name, for which
 * the table may have another section. But the C library says "no such user", and no error, when a source of
 * names that has the user cannot be read (no descriptor is free, memory is out) and the next one does not
 * know it. So this is believed only if it is said twice, and if our own name, which is there, is found in
 * between. */
static void look_name_up(uv_work_t *work)
{
    struct name_work *w = work->data;
    _cleanup_free_ char *buffer = malloc(NAME_BUFFER_BYTES);
    char own[IDENTITY_USER_SIZE];
    w->failed = true;
    if (!buffer || read_name(w->uid, buffer, w->name) != 0)
        return;
    w->failed = false;
    if (w->name[0])
        return;
    w->failed =
        read_name(w->broker_uid, buffer, own) != 0 || !own[0] || read_name(w->uid, buffer, w->name) != 0;
}

static void finish(struct user_lookup *l, const char *name)
{
    user_callback callback = l->callback;
    void *userdata = l->userdata;
    user_lookup_drop(l);
    callback(name, userdata);
}

static int start_work(struct user_lookup *l);

static void start_waiting(struct broker *broker)
{
    struct list *head = &broker->identity.waiting;
    while (!list_is_empty(head) && broker->identity.n_running < LIMIT_IDENTITY_LOOKUPS) {
        struct user_lookup *l = LIST_ENTRY(head->next, struct user_lookup, waiting);
        list_remove(&l->waiting);
        if (start_work(l) < 0)
            finish(l, NULL);
    }
}

static void on_name(uv_work_t *work, int status)
{
    _cleanup_free_ struct name_work *w = work->data;
    struct broker *broker = w->broker;
    struct user_lookup *l = w->lookup;
    broker->identity.n_running--;
    if (l) {
        l->work = NULL;
        finish(l, status == 0 && !w->failed ? w->name : NULL);
    }
    start_waiting(broker);
}

static int start_work(struct user_lookup *l)
{
    struct name_work *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->work.data = w;
    w->lookup = l;
    w->broker = l->broker;
    w->uid = l->uid;
    w->broker_uid = l->broker->identity.own_uid;
    if (uv_queue_work(l->broker->loop, &w->work, look_name_up, on_name) < 0) {
        free(w);
        return -ENOMEM;
    }
    l->work = w;
    l->broker->identity.n_running++;
    return 0;
}

int user_look_up(struct broker *broker, uid_t uid, user_callback callback, void *userdata,
                 struct user_lookup **ret)
{
    _cleanup_(user_lookup_dropp) struct user_lookup *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->broker = broker;
    l->callback = callback;
    l->userdata = userdata;
    l->uid = uid;
    list_init(&l->waiting);
    if (broker->identity.n_running < LIMIT_IDENTITY_LOOKUPS) {
        int r = start_work(l);
        if (r < 0)
            return r;
    } else {
        list_append(&broker->identity.waiting, &l->waiting);
    }
    *ret = TAKE_PTR(l);
    return 0;
}

void user_lookup_drop(struct user_lookup *l)
{
    if (!l)
        return;
    list_remove(&l->waiting);
    if (l->work) {
        l->work->lookup = NULL;
        (void)uv_cancel((uv_req_t *)&l->work->work); /* works only if no worker has begun with it */
    }
    free(l);
}
