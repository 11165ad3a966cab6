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
    uid_t uid; /* (uid_t)-1: that of `name` is looked up, and there is none */
    uid_t broker_uid;
    bool is_by_name;
    bool failed;                   /* not "no such user": it could not be told */
    char name[IDENTITY_USER_SIZE]; /* "" when it has none */
};

struct user_lookup {
    struct list waiting; /* in broker->identity.waiting while it waits for a worker */
    struct broker *broker;
    struct name_work *work;
    user_callback callback; /* one of these two */
    uid_callback on_uid;
    void *userdata;
    uid_t uid;
    char name[IDENTITY_USER_SIZE]; /* whose uid is wanted */
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

/* The other way round: (uid_t)-1 without one. */
static int read_uid(const char *name, char *buffer, uid_t *ret)
{
    struct passwd entry, *found;
    int r = getpwnam_r(name, &entry, buffer, NAME_BUFFER_BYTES, &found);
    *ret = r == 0 && found ? entry.pw_uid : (uid_t)-1;
    return r;
}

/* What is wanted; *ret_is_found when there is such a user. */
static int read_user(struct name_work *w, char *buffer, bool *ret_is_found)
{
    int r = w->is_by_name ? read_uid(w->name, buffer, &w->uid) : read_name(w->uid, buffer, w->name);
    *ret_is_found = w->is_by_name ? w->uid != (uid_t)-1 : w->name[0] != '\0';
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
    bool is_found;
    w->failed = true;
    if (!buffer || read_user(w, buffer, &is_found) != 0)
        return;
    w->failed = false;
    if (is_found)
        return;
    w->failed = read_name(w->broker_uid, buffer, own) != 0 || !own[0] || read_user(w, buffer, &is_found) != 0;
}

/* NULL: it could not be told. */
static void finish(struct user_lookup *l, const struct name_work *w)
{
    struct user_lookup copy = *l;
    user_lookup_drop(l);
    if (copy.on_uid)
        copy.on_uid(w != NULL, w ? w->uid : (uid_t)-1, copy.userdata);
    else
        copy.callback(w ? w->name : NULL, copy.userdata);
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
        finish(l, status == 0 && !w->failed ? w : NULL);
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
    w->is_by_name = l->on_uid != NULL;
    memcpy(w->name, l->name, sizeof(w->name));
    w->broker_uid = l->broker->identity.own_uid;
    if (uv_queue_work(l->broker->loop, &w->work, look_name_up, on_name) < 0) {
        free(w);
        return -ENOMEM;
    }
    l->work = w;
    l->broker->identity.n_running++;
    return 0;
}

static int begin(struct user_lookup *lookup, struct user_lookup **ret)
{
    _cleanup_(user_lookup_dropp) struct user_lookup *l = lookup;
    struct broker *broker = l->broker;
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

static struct user_lookup *lookup_new(struct broker *broker, void *userdata)
{
    struct user_lookup *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    list_init(&l->waiting);
    l->broker = broker;
    l->userdata = userdata;
    l->uid = (uid_t)-1;
    return l;
}

int user_look_up(struct broker *broker, uid_t uid, user_callback callback, void *userdata,
                 struct user_lookup **ret)
{
    struct user_lookup *l = lookup_new(broker, userdata);
    if (!l)
        return -ENOMEM;
    l->callback = callback;
    l->uid = uid;
    return begin(l, ret);
}

int user_find(struct broker *broker, const char *name, uid_callback callback, void *userdata,
              struct user_lookup **ret)
{
    struct user_lookup *l = lookup_new(broker, userdata);
    if (!l)
        return -ENOMEM;
    l->on_uid = callback;
    (void)snprintf(l->name, sizeof(l->name), "%s", name);
    return begin(l, ret);
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
