/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/denials.h"

#include "broker/broker.h"
#include "broker/peer.h"
#include "broker/trail.h"
#include "util/clock.h"

#include <string.h>

/* What one record is about. */
struct kind {
    struct authorize_question question; /* about nothing: of the app or the user all the rest */
    uid_t uid;                          /* -1: all the rest of everybody */
    const char *app;                    /* "": all the rest of the user */
    enum bus_error error;
};

static bool is_same(const struct denial *d, const struct kind *kind)
{
    return d->since_usec && d->error == kind->error && d->uid == kind->uid &&
           strcmp(d->app, kind->app) == 0 && strcmp(d->account, kind->question.account) == 0 &&
           scope_set_equal(d->asked, kind->question.asked);
}

static void on_recorded(struct store_reply *reply, void *userdata)
{
    struct denial *d = userdata;
    d->op = NULL;
    if (reply->r == 0)
        d->sequence = reply->row;
    else
        d->since_usec = 0; /* not on the trail: the next one tries anew */
}

static void write_repeats(struct broker *broker, struct denial *d)
{
    if (d->sequence > 0 && d->repeats != d->repeats_written &&
        store_count_repeats(broker->store, d->sequence, d->repeats) == 0)
        d->repeats_written = d->repeats;
}

static struct denial *take_place(struct broker *broker)
{
    struct denial *oldest = &broker->denials.recent[0];
    for (size_t i = 0; i < LIMIT_DENIALS_REMEMBERED; i++) {
        struct denial *d = &broker->denials.recent[i];
        if (d->since_usec < oldest->since_usec)
            oldest = d;
    }
    write_repeats(broker, oldest);
    store_op_drop(oldest->op);
    memset(oldest, 0, sizeof(*oldest));
    return oldest;
}

static bool is_recent(const struct denial *d, uint64_t now)
{
    return d->since_usec && now - d->since_usec <= LIMIT_REPEATS_FLUSH_SEC * USEC_PER_SEC;
}

static struct denial *find_recent(struct broker *broker, const struct kind *kind)
{
    uint64_t now = boottime_usec();
    for (size_t i = 0; i < LIMIT_DENIALS_REMEMBERED; i++) {
        struct denial *d = &broker->denials.recent[i];
        if (is_recent(d, now) && is_same(d, kind))
            return d;
    }
    return NULL;
}

/* Of this user, or of all. */
static unsigned count_recent(const struct broker *broker, uid_t uid)
{
    uint64_t now = boottime_usec();
    unsigned n = 0;
    for (size_t i = 0; i < LIMIT_DENIALS_REMEMBERED; i++) {
        const struct denial *d = &broker->denials.recent[i];
        n += is_recent(d, now) && (uid == (uid_t)-1 || d->uid == uid) ? 1 : 0;
    }
    return n;
}

/* The refusal itself stands whether or not it can be recorded. */
static void record(struct call *call, const struct kind *kind, const char *decided_by, const char *detail,
                   const struct chain *chain)
{
    const struct authorize_question *q = &kind->question;
    char text[CHAIN_SIZE] = "";
    if (chain && !detail)
        chain_print(chain, text);
    struct broker *broker = call->broker;
    struct peer *peer = call->peer;
    struct denial *d = take_place(broker);
    d->uid = kind->uid;
    (void)snprintf(d->app, sizeof(d->app), "%s", kind->app);
    memcpy(d->account, q->account, sizeof(d->account));
    d->asked = q->asked;
    d->error = kind->error;
    d->since_usec = boottime_usec();
    const struct trail_facts facts = {
        .peer = kind->app[0] ? peer : NULL,
        .account = q->account,
        .owner = q->account[0] ? &q->owner : NULL,
        .asked = &q->asked,
        .verdict = bus_error_short_name(kind->error),
        .decided_by = decided_by,
        .detail = detail,
        .chain = text,
        .request = call->request,
    };
    struct audit_record *denied = trail_new(broker, AUDIT_TOKEN_DENIED, &facts);
    if (denied)
        denied->uid = kind->uid;
    if (!denied || store_audit(broker->store, denied, on_recorded, d, &d->op) < 0)
        d->since_usec = 0;
}

/* Of a user with many records already it is one of those that count the rest: of each app as far as there are
 * not many of these either, since whoever runs programs of that user can call them what he likes. */
static const char *choose_kind(const struct peer *peer, struct kind *kind)
{
    unsigned n = count_recent(peer->broker, peer->identity.uid);
    if (n < LIMIT_DENIALS_PER_UID)
        return NULL;
    authorize_question_init(&kind->question);
    if (n < 2 * LIMIT_DENIALS_PER_UID)
        return "many-kinds";
    kind->app = "";
    return "many-apps";
}

/* There are more users than have a place of their own: a device has few, but who may make them makes many. */
static bool is_of_everybody(const struct broker *broker, struct kind *kind)
{
    if (count_recent(broker, (uid_t)-1) < LIMIT_DENIALS_REMEMBERED - LIMIT_DENIALS_OF_ALL)
        return false;
    authorize_question_init(&kind->question);
    kind->uid = (uid_t)-1;
    kind->app = "";
    return true;
}

bool denials_add(struct call *call, const struct authorize_question *question, enum bus_error error,
                 const char *decided_by, const struct chain *chain)
{
    struct peer *peer = call->peer;
    struct kind kind = {*question, peer->identity.uid, peer->identity.app, error};
    struct denial *d = find_recent(peer->broker, &kind);
    const char *detail = NULL;
    if (!d) {
        detail = choose_kind(peer, &kind);
        d = detail ? find_recent(peer->broker, &kind) : NULL;
    }
    if (!d && is_of_everybody(peer->broker, &kind)) {
        detail = "many-users";
        d = find_recent(peer->broker, &kind);
    }
    if (d)
        d->repeats++;
    else
        record(call, &kind, decided_by, detail, chain);
    return !d;
}

void denials_flush(struct broker *broker)
{
    for (size_t i = 0; i < LIMIT_DENIALS_REMEMBERED; i++)
        write_repeats(broker, &broker->denials.recent[i]);
}

void denials_free(struct broker *broker)
{
    for (size_t i = 0; i < LIMIT_DENIALS_REMEMBERED; i++) {
        store_op_drop(broker->denials.recent[i].op);
        broker->denials.recent[i].op = NULL;
    }
}
