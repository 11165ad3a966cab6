/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/polkit.h"

#include "broker/limits.h"
#include "broker/polkit-self-check.h"
#include "broker/timer.h"
#include "dbus/reader.h"
#include "dbus/writer.h"
#include "util/clock.h"
#include "util/list.h"

#include <string.h>

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define ERROR_CANCELLED POLKIT_NAME ".Error.Cancelled"
#define ALLOW_USER_INTERACTION 1
#define CANCELLATION_ID_SIZE 32

struct polkit {
    uv_loop_t *loop;
    struct bus *bus;
    void (*changed)(void *userdata);
    void *userdata;
    struct list lanes; /* of the users whose checks wait, the one whose turn it is first */
    unsigned n_queued;
    unsigned n_in_flight; /* without interaction */
    struct list prompts;  /* checks with interaction */
    unsigned prompts_max;
    unsigned prompts_per_uid_max;
    uint64_t last_cancellation;
    struct polkit_self_check *self_check;
};

/* The checks of one user whose messages are not sent yet; there are some while it exists. */
struct lane {
    struct list node; /* in polkit->lanes */
    uid_t uid;
    struct list queue;
    unsigned n;
};

struct polkit_check {
    struct list node; /* in its lane, in the prompts, or by itself */
    struct polkit *polkit;
    uid_t uid;
    struct lane *lane;                          /* while queued */
    DBusMessage *message;                       /* while queued */
    struct bus_call *call;                      /* while in flight */
    struct timer *timer;                        /* of an interactive check */
    char cancellation_id[CANCELLATION_ID_SIZE]; /* "" without interaction */
    bool is_crowded_out;                        /* so it is without */
    polkit_callback callback;
    void *userdata;
};

/* --- one check --------------------------------------------------------------------------------------- */

static DBusMessage *new_authority_call(const char *member)
{
    return dbus_message_new_method_call(POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, member);
}

static void write_subject(struct writer *w, const char *subject)
{
    writer_open(w, DBUS_TYPE_STRUCT, NULL);
    writer_string(w, "system-bus-name");
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "name", subject);
    writer_close(w);
    writer_close(w);
}

static int new_check_message(const char *subject, const char *action, const struct polkit_detail *details,
                             size_t n_details, const char *cancellation_id, DBusMessage **ret)
{
    DBusMessage *message = new_authority_call("CheckAuthorization");
    if (!message)
        return -ENOMEM;
    struct writer w;
    writer_begin(&w, message);
    write_subject(&w, subject);
    writer_string(&w, action);
    writer_open(&w, DBUS_TYPE_ARRAY, "{ss}");
    for (size_t i = 0; i < n_details; i++)
        writer_pair(&w, details[i].key, details[i].value);
    writer_close(&w);
    writer_uint32(&w, cancellation_id[0] ? ALLOW_USER_INTERACTION : 0);
    writer_string(&w, cancellation_id);
    int r = writer_end(&w);
    if (r < 0) {
        dbus_message_unref(message);
        return r;
    }
    *ret = message;
    return 0;
}

/* (bba{ss}): authorised, challenge, details. */
static struct polkit_answer read_answer(DBusMessage *reply)
{
    struct polkit_answer answer = {POLKIT_UNAVAILABLE, false};
    DBusMessageIter args, fields, dict, item, entry;
    if (dbus_message_is_error(reply, ERROR_CANCELLED))
        answer.result = POLKIT_TIMED_OUT;
    if (dbus_message_get_type(reply) != DBUS_MESSAGE_TYPE_METHOD_RETURN ||
        !dbus_message_has_signature(reply, "(bba{ss})") || !dbus_message_iter_init(reply, &args))
        return answer;

    dbus_bool_t is_authorized, is_challenge;
    bool is_dismissed = false;
    dbus_message_iter_recurse(&args, &fields);
    dbus_message_iter_get_basic(&fields, &is_authorized);
    dbus_message_iter_next(&fields);
    dbus_message_iter_get_basic(&fields, &is_challenge);
    dbus_message_iter_next(&fields);
    dbus_message_iter_recurse(&fields, &dict);
    for (item = dict; dbus_message_iter_get_arg_type(&item) == DBUS_TYPE_DICT_ENTRY;
         dbus_message_iter_next(&item)) {
        const char *key;
        dbus_message_iter_recurse(&item, &entry);
        dbus_message_iter_get_basic(&entry, &key);
        answer.is_temporary = answer.is_temporary || strcmp(key, "polkit.temporary_authorization_id") == 0;
        is_dismissed = is_dismissed || strcmp(key, "polkit.dismissed") == 0;
    }

    answer.result = POLKIT_NO;
    if (is_authorized)
        answer.result = POLKIT_YES;
    else if (is_dismissed)
        answer.result = POLKIT_DISMISSED;
    else if (is_challenge)
        answer.result = POLKIT_CHALLENGE;
    return answer;
}

static bool is_prompt(const struct polkit_check *c)
{
    return c->cancellation_id[0] != '\0';
}

static void send_queued(struct polkit *p);

static void finish(struct polkit_check *c, struct polkit_answer answer)
{
    polkit_callback callback = c->callback;
    void *userdata = c->userdata;
    polkit_check_drop(c);
    callback(&answer, userdata);
}

static void on_checked(DBusMessage *reply, void *userdata)
{
    struct polkit_check *c = userdata;
    struct polkit *p = c->polkit;
    c->call = NULL;
    p->n_in_flight -= is_prompt(c) ? 0 : 1;
    struct polkit_answer answer = read_answer(reply);
    if (answer.result == POLKIT_CHALLENGE && c->is_crowded_out)
        answer.result = POLKIT_CROWDED;
    finish(c, answer);
    send_queued(p);
}

static void on_prompt_timeout(void *userdata)
{
    struct polkit_check *c = userdata;
    c->timer = NULL;
    finish(c, (struct polkit_answer){POLKIT_TIMED_OUT, false});
}

static int send_check(struct polkit_check *c)
{
    int timeout = is_prompt(c) ? DBUS_TIMEOUT_INFINITE : LIMIT_POLKIT_TIMEOUT_SEC * 1000;
    int r = bus_call(c->polkit->bus, c->message, timeout, on_checked, c, &c->call);
    dbus_message_unref(c->message);
    c->message = NULL;
    if (r == 0 && !is_prompt(c))
        c->polkit->n_in_flight++;
    return r;
}

static struct lane *find_lane(struct polkit *p, uid_t uid)
{
    struct lane *lane;
    LIST_FOREACH (lane, &p->lanes, node)
        if (lane->uid == uid)
            return lane;
    return NULL;
}

static int enqueue(struct polkit_check *c)
{
    struct polkit *p = c->polkit;
    struct lane *lane = find_lane(p, c->uid);
    if (p->n_queued >= LIMIT_POLKIT_QUEUE || (lane && lane->n >= LIMIT_POLKIT_PER_UID))
        return -EUSERS;
    if (!lane) {
        lane = calloc(1, sizeof(*lane));
        if (!lane)
            return -ENOMEM;
        lane->uid = c->uid;
        list_init(&lane->queue);
        list_append(&p->lanes, &lane->node);
    }
    c->lane = lane;
    list_append(&lane->queue, &c->node);
    lane->n++;
    p->n_queued++;
    return 0;
}

static void dequeue(struct polkit_check *c)
{
    struct lane *lane = c->lane;
    list_remove(&c->node);
    c->lane = NULL;
    lane->n--;
    c->polkit->n_queued--;
    if (lane->n > 0)
        return;
    list_remove(&lane->node);
    free(lane);
}

/* The next check of the user whose turn it is, who is the last after that. */
static struct polkit_check *take_next(struct polkit *p)
{
    struct lane *lane = LIST_ENTRY(p->lanes.next, struct lane, node);
    struct polkit_check *c = LIST_ENTRY(lane->queue.next, struct polkit_check, node);
    list_remove(&lane->node);
    list_append(&p->lanes, &lane->node);
    dequeue(c);
    return c;
}

static void send_queued(struct polkit *p)
{
    /* Without a bus nothing can be asked any more: what waits is dropped with its callers. */
    if (bus_is_lost(p->bus))
        return;
    while (!list_is_empty(&p->lanes) && p->n_in_flight < LIMIT_POLKIT_IN_FLIGHT) {
        struct polkit_check *c = take_next(p);
        if (send_check(c) < 0)
            finish(c, (struct polkit_answer){POLKIT_UNAVAILABLE, false});
    }
}

static void cancel_prompt(struct polkit_check *c)
{
    DBusMessage *cancel = new_authority_call("CancelCheckAuthorization");
    const char *id = c->cancellation_id;
    if (!cancel)
        return;
    dbus_message_set_no_reply(cancel, TRUE);
    if (dbus_message_append_args(cancel, DBUS_TYPE_STRING, &id, DBUS_TYPE_INVALID))
        bus_send(c->polkit->bus, cancel);
    dbus_message_unref(cancel);
}

static bool may_prompt(const struct polkit *p, uid_t uid)
{
    unsigned n = 0, n_own = 0;
    const struct polkit_check *c;
    LIST_FOREACH (c, &p->prompts, node) {
        n++;
        n_own += c->uid == uid ? 1 : 0;
    }
    return n < p->prompts_max && n_own < p->prompts_per_uid_max;
}

static int begin_prompt(struct polkit_check *c, unsigned timeout_sec)
{
    list_append(&c->polkit->prompts, &c->node);
    return timer_start(c->polkit->loop, timeout_sec * UINT64_C(1000000), on_prompt_timeout, c, &c->timer);
}

int polkit_check(struct polkit *p, const char *subject, uid_t uid, const char *action,
                 const struct polkit_detail *details, size_t n_details, unsigned prompt_timeout_sec,
                 polkit_callback callback, void *userdata, struct polkit_check **ret)
{
    _cleanup_(polkit_check_dropp) struct polkit_check *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->polkit = p;
    c->uid = uid;
    c->callback = callback;
    c->userdata = userdata;
    list_init(&c->node);
    c->is_crowded_out = prompt_timeout_sec > 0 && !may_prompt(p, uid);
    if (prompt_timeout_sec > 0 && !c->is_crowded_out)
        (void)snprintf(c->cancellation_id, sizeof(c->cancellation_id), "lwa-%llu",
                       (unsigned long long)++p->last_cancellation);

    int r = new_check_message(subject, action, details, n_details, c->cancellation_id, &c->message);
    if (r == 0 && is_prompt(c))
        r = begin_prompt(c, prompt_timeout_sec);
    if (r < 0)
        return r;
    r = is_prompt(c) || p->n_in_flight < LIMIT_POLKIT_IN_FLIGHT ? send_check(c) : enqueue(c);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

void polkit_check_drop(struct polkit_check *c)
{
    if (!c)
        return;
    struct polkit *p = c->polkit;
    timer_drop(c->timer);
    if (c->lane)
        dequeue(c);
    list_remove(&c->node);
    if (c->message)
        dbus_message_unref(c->message);
    bool was_in_flight = c->call != NULL;
    if (was_in_flight) {
        if (is_prompt(c))
            cancel_prompt(c);
        else
            p->n_in_flight--;
        bus_call_drop(c->call);
    }
    free(c);
    if (was_in_flight)
        send_queued(p);
}

/* --- polkit as a whole ------------------------------------------------------------------------------- */

int polkit_new(uv_loop_t *loop, struct bus *bus, void (*changed)(void *userdata), void *userdata,
               struct polkit **ret)
{
    _cleanup_(polkit_freep) struct polkit *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->loop = loop;
    p->bus = bus;
    p->changed = changed;
    p->userdata = userdata;
    list_init(&p->lanes);
    list_init(&p->prompts);

    int r = polkit_self_check_new(bus, &p->self_check);
    if (r < 0)
        return r;
    r = bus_add_match(bus, "type='signal',sender='" POLKIT_NAME "',interface='" POLKIT_INTERFACE
                           "',member='Changed'");
    if (r < 0)
        return r;
    r = bus_add_match(bus, "type='signal',sender='" DBUS_SERVICE_DBUS "',interface='" DBUS_INTERFACE_DBUS
                           "',member='NameOwnerChanged',arg0='" POLKIT_NAME "'");
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

void polkit_free(struct polkit *p)
{
    if (!p)
        return;
    polkit_self_check_free(p->self_check);
    free(p);
}

void polkit_set_limits(struct polkit *p, unsigned prompts, unsigned prompts_per_uid)
{
    p->prompts_max = prompts;
    p->prompts_per_uid_max = prompts_per_uid;
}

uint64_t polkit_wait_usec(const struct polkit *p)
{
    return p->n_queued * USEC_PER_SEC / LIMIT_POLKIT_RATE;
}

void polkit_set_expected_actions(struct polkit *p, const struct strv *action_ids, const char *owner)
{
    polkit_self_check_expect(p->self_check, action_ids, owner);
}

const char *polkit_health(const struct polkit *p)
{
    return polkit_self_check_health(p->self_check);
}

static void on_owner_changed(struct polkit *p, DBusMessage *signal)
{
    const char *name, *old_owner, *new_owner;
    if (!dbus_message_get_args(signal, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &old_owner,
                               DBUS_TYPE_STRING, &new_owner, DBUS_TYPE_INVALID) ||
        strcmp(name, POLKIT_NAME) != 0)
        return;
    p->changed(p->userdata);
    if (new_owner[0])
        polkit_self_check_run(p->self_check);
    else
        polkit_self_check_lost(p->self_check);
}

void polkit_on_signal(struct polkit *p, DBusMessage *signal)
{
    /* `Changed` needs no look at its sender: who fakes it only costs us remembered answers; the bus policy of
     * polkit's name keeps others from sending it as polkit. */
    if (dbus_message_is_signal(signal, POLKIT_INTERFACE, "Changed"))
        p->changed(p->userdata);
    else if (dbus_message_is_signal(signal, DBUS_INTERFACE_DBUS, "NameOwnerChanged"))
        on_owner_changed(p, signal);
}
