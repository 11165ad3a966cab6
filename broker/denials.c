/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/denials.h"

#include "broker/broker.h"
#include "broker/peer.h"
#include "broker/trail.h"
#include "util/clock.h"

#include <string.h>

static bool is_same(const struct denial *d, const struct peer *peer, const struct authorize_question *q,
                    enum bus_error error)
{
    return d->since_usec && d->error == error && d->uid == peer->identity.uid &&
           strcmp(d->app, peer->identity.app) == 0 && strcmp(d->account, q->account) == 0 &&
           scope_set_equal(d->asked, q->asked);
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

static struct denial *find_recent(struct peer *peer, const struct authorize_question *q, enum bus_error error)
{
    uint64_t now = boottime_usec();
    for (size_t i = 0; i < LIMIT_DENIALS_REMEMBERED; i++) {
        struct denial *d = &peer->broker->denials.recent[i];
        if (is_recent(d, now) && is_same(d, peer, q, error))
            return d;
    }
    return NULL;
}

static unsigned count_recent(const struct broker *broker, uid_t uid)
{
    uint64_t now = boottime_usec();
    unsigned n = 0;
    for (size_t i = 0; i < LIMIT_DENIALS_REMEMBERED; i++) {
        const struct denial *d = &broker->denials.recent[i];
        n += is_recent(d, now) && d->uid == uid ? 1 : 0;
    }
    return n;
}

/* The refusal itself stands whether or not it can be recorded. */
static void record(struct peer *peer, const struct authorize_question *q, enum bus_error error,
                   const char *decided_by, const char *detail, const struct chain *chain)
{
    char text[CHAIN_SIZE] = "";
    if (chain)
        chain_print(chain, text);
    struct broker *broker = peer->broker;
    struct denial *d = take_place(broker);
    d->uid = peer->identity.uid;
    memcpy(d->app, peer->identity.app, sizeof(d->app));
    memcpy(d->account, q->account, sizeof(d->account));
    d->asked = q->asked;
    d->error = error;
    d->since_usec = boottime_usec();
    const struct trail_facts facts = {
        .peer = peer,
        .account = q->account,
        .owner = q->account[0] ? &q->owner : NULL,
        .asked = &q->asked,
        .verdict = bus_error_short_name(error),
        .decided_by = decided_by,
        .detail = detail,
        .chain = text,
    };
    struct audit_record *denied = trail_new(broker, AUDIT_TOKEN_DENIED, &facts);
    if (!denied || store_audit(broker->store, denied, on_recorded, d, &d->op) < 0)
        d->since_usec = 0;
}

bool denials_add(struct peer *peer, const struct authorize_question *question, enum bus_error error,
                 const char *decided_by, const struct chain *chain)
{
    struct denial *d = find_recent(peer, question, error);
    struct authorize_question rest;
    bool is_rest = !d && count_recent(peer->broker, peer->identity.uid) >= LIMIT_DENIALS_PER_UID;
    if (is_rest) {
        authorize_question_init(&rest);
        d = find_recent(peer, &rest, error);
    }
    if (d)
        d->repeats++;
    else
        record(peer, is_rest ? &rest : question, error, decided_by, is_rest ? "many-kinds" : NULL,
               is_rest ? NULL : chain);
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
