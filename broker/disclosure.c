/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/disclosure.h"

#include "broker/broker.h"
#include "broker/token.h"

#include <string.h>

struct disclosure_wait {
    struct list node; /* in disclosure->waits */
    disclosure_callback callback;
    void *userdata;
};

void disclosure_free(struct disclosure *d)
{
    list_remove(&d->node);
    free(d);
}

static uint64_t repeats(const struct disclosure *d)
{
    return d->deliveries > 1 ? d->deliveries - 1 : 0;
}

bool disclosure_is_open(const struct disclosure *d)
{
    return !d->is_durable || repeats(d) != d->repeats_written;
}

void disclosure_count_delivery(struct disclosure *d)
{
    d->deliveries++;
}

void disclosure_flush(struct broker *broker, struct disclosure *d)
{
    if (d->is_durable && repeats(d) != d->repeats_written &&
        store_count_repeats(broker->store, d->sequence, repeats(d)) == 0)
        d->repeats_written = repeats(d);
}

void disclosure_wait_drop(struct disclosure_wait *wait)
{
    if (!wait)
        return;
    list_remove(&wait->node);
    free(wait);
}

/* The record belongs to the disclosure, not to a call: it is written even if every caller has left. */
static void on_recorded(struct store_reply *reply, void *userdata)
{
    struct disclosure *d = userdata;
    bool is_durable = reply->r == 0;
    struct list waits;
    list_init(&waits);
    list_move_all(&d->waits, &waits);
    if (is_durable) {
        d->is_durable = true;
        d->sequence = reply->row;
    } else {
        disclosure_free(d); /* the next one tries anew */
    }
    while (!list_is_empty(&waits)) {
        struct disclosure_wait *wait = LIST_ENTRY(waits.next, struct disclosure_wait, node);
        disclosure_callback callback = wait->callback;
        void *wait_userdata = wait->userdata;
        disclosure_wait_drop(wait);
        callback(is_durable, wait_userdata);
    }
}

struct disclosure *disclosure_find(const struct token *token, const char *app, uid_t uid)
{
    struct disclosure *d;
    LIST_FOREACH (d, &token->disclosures, node)
        if (!d->is_over && d->uid == uid && strcmp(d->app, app) == 0)
            return d;
    return NULL;
}

void disclosure_end(struct disclosure *d, bool is_told)
{
    d->is_over = true;
    d->is_told = d->is_told || is_told;
}

static int begin(struct token *token, const struct identity *identity, const struct trail_facts *facts,
                 struct disclosure **ret)
{
    struct audit_record *record = trail_new(token->broker, AUDIT_TOKEN_DISCLOSED, facts);
    _cleanup_free_ struct disclosure *d = calloc(1, sizeof(*d));
    if (!record || !d) {
        audit_record_free(record);
        return -ENOMEM;
    }
    memcpy(d->app, identity->app, sizeof(d->app));
    d->uid = identity->uid;
    list_init(&d->node);
    list_init(&d->waits);
    int r = store_audit(token->broker->store, record, on_recorded, d, NULL);
    if (r < 0)
        return r;
    list_append(&token->disclosures, &d->node);
    *ret = TAKE_PTR(d);
    return 0;
}

int disclosure_ensure(struct token *token, const struct identity *identity, const struct trail_facts *facts,
                      disclosure_callback callback, void *userdata, struct disclosure **ret_disclosure,
                      struct disclosure_wait **ret)
{
    struct disclosure *d = disclosure_find(token, identity->app, identity->uid);
    if (d && d->is_durable) {
        *ret_disclosure = d;
        return DISCLOSURE_ANSWERED;
    }
    _cleanup_free_ struct disclosure_wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return -ENOMEM;
    int r = d ? 0 : begin(token, identity, facts, &d);
    if (r < 0)
        return r;
    wait->callback = callback;
    wait->userdata = userdata;
    list_append(&d->waits, &wait->node);
    *ret = TAKE_PTR(wait);
    return 0;
}
