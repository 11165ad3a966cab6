/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/disclosure.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
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

struct disclosure *disclosure_find(const struct token *token, const char *app, uid_t uid)
{
    struct disclosure *d;
    LIST_FOREACH (d, &token->disclosures, node)
        if (!d->is_over && !d->uses_once && d->uid == uid && strcmp(d->app, app) == 0)
            return d;
    return NULL;
}

void disclosure_end(struct disclosure *d, bool is_told)
{
    d->is_over = true;
    d->is_told = d->is_told || is_told;
}

/* A record that used up a consent is another one for an app that had this token already: repeats count there
 * from now on. */
static void replace_earlier(struct disclosure *d)
{
    struct token *token = d->token;
    struct disclosure *earlier = disclosure_find(token, d->app, d->uid);
    d->uses_once = false;
    if (!earlier || !earlier->is_durable)
        return;
    disclosure_flush(token->broker, earlier);
    disclosure_free(earlier);
}

/* The record belongs to the disclosure, not to a call: it is written even if every caller has left. */
static void on_recorded(struct store_reply *reply, void *userdata)
{
    struct disclosure *d = userdata;
    int r = reply->r == STORE_E_GONE ? DISCLOSURE_E_GONE : reply->r;
    struct list waits;
    list_init(&waits);
    list_move_all(&d->waits, &waits);
    if (r == 0) {
        if (d->uses_once)
            replace_earlier(d);
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
        callback(r, wait_userdata);
    }
}

static int begin(struct token *token, const struct identity *identity, const struct trail_facts *facts,
                 const struct scope_set *once, struct disclosure **ret)
{
    struct audit_record *record = trail_new(token->broker, AUDIT_TOKEN_DISCLOSED, facts);
    _cleanup_free_ struct disclosure *d = calloc(1, sizeof(*d));
    if (!record || !d) {
        audit_record_free(record);
        return -ENOMEM;
    }
    memcpy(d->app, identity->app, sizeof(d->app));
    d->uid = identity->uid;
    d->token = token;
    d->uses_once = once != NULL;
    list_init(&d->node);
    list_init(&d->waits);
    int r = once ? consent_use_once(token->grant->account, d->app, *once, record, on_recorded, d)
                 : store_audit(token->broker->store, record, on_recorded, d, NULL);
    if (r < 0)
        return r;
    list_append(&token->disclosures, &d->node);
    *ret = TAKE_PTR(d);
    return 0;
}

/* `wait` is taken. */
static void await(struct disclosure *d, struct disclosure_wait *wait, disclosure_callback callback,
                  void *userdata)
{
    wait->callback = callback;
    wait->userdata = userdata;
    list_append(&d->waits, &wait->node);
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
    int r = d ? 0 : begin(token, identity, facts, NULL, &d);
    if (r < 0)
        return r;
    await(d, wait, callback, userdata);
    *ret = TAKE_PTR(wait);
    return 0;
}

int disclosure_use_once(struct token *token, const struct identity *identity, const struct trail_facts *facts,
                        struct scope_set once, disclosure_callback callback, void *userdata,
                        struct disclosure_wait **ret)
{
    _cleanup_free_ struct disclosure_wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return -ENOMEM;
    struct disclosure *d;
    int r = begin(token, identity, facts, &once, &d);
    if (r < 0)
        return r;
    await(d, wait, callback, userdata);
    *ret = TAKE_PTR(wait);
    return 0;
}
