/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Audit1.Query: the records that fit a filter, page by page.
 *
 * With `wait` a query that finds nothing is held: its caller listens to what is written from before the first
 * look at the trail, so that nothing can come in between; a record that fits has it look again. It ends with
 * an answer in every case, after LIMIT_AUDIT_WAIT_SEC, or when the broker stops. */

#include "broker/audit1.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "broker/identity-user.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "broker/timer.h"
#include "util/clock.h"

#include <string.h>

struct query {
    struct permit permit;
    struct call *call;
    struct audit1_question question;
    struct store_page page;
    struct user_lookup *lookup; /* of the user that was named */
    struct store_op *op;

    /* With `wait`: */
    struct list node; /* in broker->audit_waits */
    struct record_listener listener;
    struct timer *timer;
    bool has_come; /* while it looked: something that it may have missed */
    bool is_over;  /* it waits no more */
};

static void query_free(void *state)
{
    struct query *q = state;
    permit_drop(&q->permit);
    user_lookup_drop(q->lookup);
    store_op_drop(q->op);
    timer_drop(q->timer);
    records_remove(&q->listener);
    list_remove(&q->node);
    audit1_question_clear(&q->question);
    free(q);
}

/* --- run --------------------------------------------------------------------------------------------- */

static void run(struct query *q);

/* Whether it goes on, having found nothing. */
static bool goes_on(struct query *q, int64_t next)
{
    if (!q->question.is_waiting || q->is_over)
        return false;
    if (next != 0)
        q->page.after = next;
    if (next != 0 || q->has_come)
        run(q);
    return true;
}

static void on_records(struct store_reply *stored, void *userdata)
{
    struct query *q = userdata;
    q->op = NULL;
    if (stored->r != 0)
        audit1_fail_unreadable(q->call);
    else if (stored->n_records > 0 || !goes_on(q, stored->next))
        audit1_reply(q->call, stored->records, stored->n_records, &stored->next);
}

static void run(struct query *q)
{
    q->has_come = false;
    int r = store_audit_query(q->call->broker->store, &q->question.filter, &q->page,
                              q->call->peer->identity.uid, on_records, q, &q->op);
    if (r < 0)
        audit1_fail_errno(q->call, r);
}

/* --- wait -------------------------------------------------------------------------------------------- */

static void on_record(const struct audit_record *record, void *userdata)
{
    struct query *q = userdata;
    struct audit_facts facts = audit_facts_of(record);
    if (record->sequence <= q->page.after || !audit_filter_fits(&q->question.filter, &facts))
        return;
    q->has_come = true;
    if (!q->op)
        run(q);
}

static void end_wait(struct query *q)
{
    const int64_t next = 0;
    q->is_over = true;
    if (!q->op) /* else its answer is */
        audit1_reply(q->call, NULL, 0, &next);
}

static void on_time(void *userdata)
{
    struct query *q = userdata;
    q->timer = NULL;
    end_wait(q);
}

void audit1_end_waits(struct broker *broker)
{
    struct query *q, *after;
    LIST_FOREACH_SAFE (q, after, &broker->audit_waits, node)
        end_wait(q);
}

/* -EUSERS when too many wait already. */
static int begin_wait(struct query *q)
{
    struct broker *broker = q->call->broker;
    unsigned n = 0, n_own = 0;
    const struct query *other;
    LIST_FOREACH (other, &broker->audit_waits, node) {
        n++;
        n_own += other->call->peer->identity.uid == q->call->peer->identity.uid;
    }
    if (n >= LIMIT_AUDIT_WAITS || n_own >= LIMIT_AUDIT_WAITS_PER_UID)
        return -EUSERS;
    list_append(&broker->audit_waits, &q->node);
    records_add(&broker->records, &q->listener, on_record, q);
    return timer_start(broker->loop, LIMIT_AUDIT_WAIT_SEC * USEC_PER_SEC, on_time, q, &q->timer);
}

/* --- whose records ----------------------------------------------------------------------------------- */

static void begin_run(struct query *q)
{
    static const struct refusal too_many = {
        .what = "Too many queries of this user wait for a record",
        .remedy = "end some (lwactl audit --follow)",
        .n = LIMIT_AUDIT_WAITS_PER_UID,
    };
    q->is_over = q->call->broker->is_stopping; /* since it was read */
    int r = q->question.is_waiting ? begin_wait(q) : 0;
    if (r < 0)
        call_fail_errno(q->call, r, &too_many);
    else
        run(q);
}

/* A user that is gone: what he ran that had no other name is found by his. False: another app is asked for.
 */
static bool use_name_as_app(const char *user, struct audit_filter *f)
{
    char app[IDENTITY_APP_SIZE];
    (void)snprintf(app, sizeof(app), "user:%s", user);
    if (f->app[0])
        return strcmp(f->app, app) == 0;
    memcpy(f->app, app, sizeof(app));
    return true;
}

static void on_uid(bool is_told, uid_t uid, void *userdata)
{
    struct query *q = userdata;
    struct audit_filter *f = &q->question.filter;
    q->lookup = NULL;
    if (!is_told) {
        call_fail(q->call, BUS_E_AUDIT_UNAVAILABLE,
                  "The user of this name cannot be looked up now; name the user by number.");
        return;
    }
    f->uid = uid;
    if (uid == (uid_t)-1 && !use_name_as_app(q->question.user, f)) {
        const int64_t next = 0;
        audit1_reply(q->call, NULL, 0, &next);
        return;
    }
    begin_run(q);
}

static void on_permitted(struct call *call)
{
    struct query *q = call->state;
    if (q->question.is_own)
        audit1_restrict_to_own(&q->question.filter, call);
    else
        call->reply_unit_bytes = COST_TRAIL_BYTES;
    if (!q->question.user[0]) {
        begin_run(q);
        return;
    }
    int r = user_find(call->broker, q->question.user, on_uid, q, &q->lookup);
    if (r < 0)
        audit1_fail_errno(call, r);
}

static void permit(struct call *call)
{
    struct query *q = call->state;
    audit1_permit(&q->permit, call, q->question.is_own, on_permitted);
}

/* --- read -------------------------------------------------------------------------------------------- */

static bool read_page(struct query *q)
{
    DBusMessageIter args;
    dbus_uint64_t after = 0;
    dbus_uint32_t limit = 0;
    (void)dbus_message_iter_init(q->call->message, &args);
    dbus_message_iter_next(&args);
    dbus_message_iter_get_basic(&args, &after);
    dbus_message_iter_next(&args);
    dbus_message_iter_get_basic(&args, &limit);
    if (limit < 1 || limit > STORE_QUERY_RECORDS_MAX || after > INT64_MAX) {
        call_fail(q->call, BUS_E_INVALID_ARGUMENT, "limit is 1 to %d, and after a sequence number.",
                  STORE_QUERY_RECORDS_MAX);
        return false;
    }
    q->page =
        (struct store_page){.after = (int64_t)after, .limit = limit, .is_newest = q->question.is_newest};
    return true;
}

void audit1_begin_query(struct call *call)
{
    struct query *q = calloc(1, sizeof(*q));
    if (!q) {
        call_fail_no_memory(call);
        return;
    }
    q->call = call;
    list_init(&q->node);
    list_init(&q->listener.node);
    call->state = q;
    call->drop_state = query_free;
    if (!audit1_read_question(call, &q->question) || !read_page(q))
        return;
    if (call_release_body(call) < 0)
        call_fail_no_memory(call);
    else
        call_identify_outside(call, permit);
}
