/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/proving.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/limits.h"
#include "broker/notify.h"
#include "broker/timer.h"
#include "broker/token.h"
#include "broker/trail.h"
#include "util/clock.h"
#include "util/log.h"

#include <sodium.h>
#include <string.h>

#define RETRY_USEC (2 * USEC_PER_SEC)

struct proving {
    struct grant *grant;
    struct trail_origin origin;
    proving_callback callback; /* NULL: nobody waits */
    void *userdata;
    struct renewal_wait *renewal_wait;
    struct lwa_request *request;
    struct store_op *op;
    struct timer *timer;
    struct charge charge; /* of the login, once nobody waits for it any more */
    /* While the link is being stored. */
    struct store_account account;
    char account_id[LWA_ACCOUNT_ID_BYTES_MAX + 1];
    unsigned char customer[STORE_CUSTOMER_BYTES];
    int64_t superseded[LIMIT_GRANTS_PER_ACCOUNT];
    size_t n_superseded;
    bool is_second_try;
    bool was_sent; /* a refresh may have reached the provider */
};

static void prove(struct proving *p);

void proving_free(struct proving *p)
{
    if (!p)
        return;
    renewal_wait_drop(p->renewal_wait);
    lwa_request_drop(p->request);
    store_op_drop(p->op);
    timer_drop(p->timer);
    charge_release(&p->charge);
    free(p);
}

void proving_detach(struct proving *p, struct charge *charge)
{
    p->callback = NULL;
    p->charge = *charge;
    charge->quota = NULL;
}

static struct audit_record *new_record(struct proving *p, enum audit_event event, const char *account,
                                       const char *detail)
{
    const struct trail_facts facts = {
        .origin = &p->origin,
        .account = account,
        .owner = &p->grant->owner,
        .carried = &p->grant->carries,
        .detail = detail,
        .grant = p->grant->row,
    };
    return trail_new(p->grant->broker, event, &facts);
}

/* --- the end ----------------------------------------------------------------------------------------- */

void proving_cancel(struct proving *p, enum login_reason reason)
{
    if (p->op)
        return;
    struct grant *grant = p->grant;
    const char *detail = login_reason_get(reason)->word;
    if (store_remove_grant(grant->broker->store, grant->row,
                           new_record(p, AUDIT_LOGIN_FAILED, grant->target, detail), NULL, NULL, NULL) < 0)
        log_warning(
            "grant %lld: a login that failed could not be removed; it is tried again at the next start",
            (long long)grant->row);
    if (p->callback)
        p->callback(grant, reason, p->userdata);
    grant_remove(grant, NULL);
}

static void on_retry(void *userdata)
{
    struct proving *p = userdata;
    p->timer = NULL;
    prove(p);
}

static void retry_at(struct proving *p, uint64_t at_usec)
{
    uint64_t now = boottime_usec();
    uint64_t delay = at_usec > now ? at_usec - now : RETRY_USEC;
    if (timer_start(p->grant->broker->loop, delay, on_retry, p, &p->timer) < 0)
        log_error("grant %lld: no memory to go on proving a login; it is proven at the next start",
                  (long long)p->grant->row);
}

/* --- linking ----------------------------------------------------------------------------------------- */

static bool is_superseded(const struct grant *old, const struct grant *new)
{
    if (scope_set_equal(old->may_carry, new->may_carry) && scope_set_equal(old->carries, new->carries))
        return true;
    return old->is_dead && scope_set_is_subset(old->carries, new->carries);
}

/* Returns how many others the account keeps. */
static size_t collect_superseded(struct proving *p, const struct account *account)
{
    size_t n_kept = 0;
    p->n_superseded = 0;
    const struct grant *old;
    LIST_FOREACH (old, &account->grants, node)
        if (is_superseded(old, p->grant) && p->n_superseded < LIMIT_GRANTS_PER_ACCOUNT)
            p->superseded[p->n_superseded++] = old->row;
        else
            n_kept++;
    return n_kept;
}

static void remove_superseded(struct proving *p)
{
    for (size_t i = 0; i < p->n_superseded; i++) {
        struct grant *old = grant_find(p->grant->broker, p->superseded[i]);
        if (old)
            grant_remove(old, NULL);
    }
}

static void link_to(struct proving *p, struct account *account);

static void adopt(struct proving *p);

static void on_adopt(void *userdata)
{
    struct proving *p = userdata;
    p->timer = NULL;
    adopt(p);
}

static void on_linked(struct store_reply *reply, void *userdata)
{
    struct proving *p = userdata;
    struct grant *grant = p->grant;
    struct broker *broker = grant->broker;
    p->op = NULL;
    if (reply->r == -EPERM || reply->r > 0) {
        proving_cancel(p, LOGIN_R_OTHER_CUSTOMER); /* the account changed hands, or is gone */
        return;
    }
    if (reply->r == -EEXIST && !p->is_second_try) {
        /* A login beside this one made an account of this id, perhaps for the same customer. */
        p->is_second_try = true;
        link_to(p, account_find_customer(broker, &grant->owner, p->customer));
        return;
    }
    if (reply->r < 0) {
        log_warning("grant %lld: the login could not be linked yet: %s", (long long)grant->row,
                    strerror(-reply->r));
        retry_at(p, 0);
        return;
    }
    p->account.row = reply->row;
    adopt(p);
}

/* The store has it; so has the loop now, as soon as there is memory. */
static void adopt(struct proving *p)
{
    struct grant *grant = p->grant;
    struct broker *broker = grant->broker;
    struct account *account = account_find_customer(broker, &grant->owner, p->customer);
    if (!account && account_new(broker, &p->account, &account) < 0) {
        log_warning("grant %lld: no memory for its account yet", (long long)grant->row);
        if (timer_start(broker->loop, RETRY_USEC, on_adopt, p, &p->timer) < 0)
            log_error("grant %lld: its account is there after a restart", (long long)grant->row);
        return;
    }
    /* In this order: who waits for a superseded one starts over, and is served by this one. */
    grant_join(grant, account);
    remove_superseded(p);
    log_info("grant %lld: linked to account %s of %s", (long long)grant->row, account->id,
             owner_text(&account->owner));
    notify_accounts_changed(broker, &account->owner);
    grant->proving = NULL;
    if (p->callback)
        p->callback(grant, LOGIN_R_LINKED, p->userdata);
    proving_free(p);
}

static int make_account(struct proving *p)
{
    struct grant *grant = p->grant;
    int r = account_make_id(grant->broker, &grant->owner, p->account_id);
    if (r < 0)
        return r;
    p->account = (struct store_account){
        .id = p->account_id,
        .label = grant->label[0] ? grant->label : p->account_id,
        .owner = grant->owner,
        .is_default = !account_find_default(grant->broker, grant->owner.device, grant->owner.uid),
        .created_sec = wall_sec(),
        .customer = p->customer,
    };
    return 0;
}

static void link_to(struct proving *p, struct account *account)
{
    struct grant *grant = p->grant;
    if (!account &&
        (account_count_of(grant->broker, &grant->owner) >= grant->broker->config->limits.accounts_per_owner ||
         make_account(p) < 0)) {
        proving_cancel(p, LOGIN_R_TOO_MANY_ACCOUNTS);
        return;
    }
    p->n_superseded = 0;
    if (account && collect_superseded(p, account) >= LIMIT_GRANTS_PER_ACCOUNT) {
        proving_cancel(p, LOGIN_R_TOO_MANY_LOGINS);
        return;
    }

    struct store_link link = {
        .grant = grant->row,
        .account_row = account ? account->row : 0,
        .id = account ? "" : p->account.id,
        .label = account ? "" : p->account.label,
        .is_default = !account && p->account.is_default,
        .superseded = p->superseded,
        .n_superseded = p->n_superseded,
    };
    memcpy(link.customer, p->customer, sizeof(link.customer));
    const char *id = account ? account->id : p->account_id;
    if (store_link(grant->broker->store, &link, new_record(p, AUDIT_LOGIN_FINISHED, id, ""), on_linked, p,
                   &p->op) < 0)
        retry_at(p, 0);
}

/* --- whose login is it? ------------------------------------------------------------------------------ */

static void check_customer(struct proving *p, const struct lwa_token_info *info)
{
    struct grant *grant = p->grant;
    struct broker *broker = grant->broker;
    if (strcmp(info->audience, grant->client_id) != 0) {
        proving_cancel(p, LOGIN_R_OTHER_CLIENT);
        return;
    }
    store_customer_hash(broker->store, info->user_id, p->customer);
    p->is_second_try = false;
    struct account *same = account_find_customer(broker, &grant->owner, p->customer);
    if (grant->target[0]) {
        uid_t uid = grant->owner.uid;
        struct account *target = account_find(broker, uid, grant->target);
        if (!target || sodium_memcmp(target->customer, p->customer, sizeof(p->customer)) != 0) {
            proving_cancel(p, target ? LOGIN_R_OTHER_CUSTOMER : LOGIN_R_NO_SUCH_ACCOUNT);
            return;
        }
        same = target;
    }
    link_to(p, same);
}

static void on_info(const struct lwa_answer *answer, const struct lwa_token_info *info, void *userdata)
{
    struct proving *p = userdata;
    p->request = NULL;
    if (answer->outcome == LWA_OK)
        check_customer(p, info);
    else if (lwa_outcome_is_transient(answer->outcome))
        retry_at(p, 0);
    else
        proving_cancel(p, login_reason_of(answer->outcome));
}

static void ask_whose(struct proving *p)
{
    struct grant *grant = p->grant;
    _cleanup_(secret_freep) struct secret *access = NULL;
    int r = token_read(grant->token, &access);
    if (r == 0)
        r = lwa_request_token_info(grant->broker->http, grant->broker->config->tokeninfo_endpoint, access,
                                   on_info, p, &p->request);
    if (r < 0)
        retry_at(p, 0);
}

/* --- the refresh ------------------------------------------------------------------------------------- */

/* The first request of an import is this one: its person is told at once that nothing could be sent, and has
 * the token still. Who has just logged in at Amazon's is not asked to do so again for it. */
static bool is_unsent(enum lwa_outcome error)
{
    return error == LWA_E_OFFLINE || error == LWA_E_CLOCK || error == LWA_E_PORTAL;
}

static void on_result(struct proving *p, enum renewal_result result)
{
    struct grant *grant = p->grant;
    switch (result) {
    case RENEWAL_OK:
        ask_whose(p);
        break;
    case RENEWAL_DEAD:
        proving_cancel(p, grant->is_claimed ? LOGIN_R_TOKEN : LOGIN_R_REGION_OR_CLIENT);
        break;
    case RENEWAL_MISCONFIGURED:
        if (p->callback)
            proving_cancel(p, login_reason_of(grant->renewal.error));
        else
            retry_at(p, grant->renewal.next_try_usec);
        break;
    case RENEWAL_UNAVAILABLE:
        if (p->callback && grant->is_claimed && !p->was_sent && is_unsent(grant->renewal.error)) {
            proving_cancel(p, login_reason_of(grant->renewal.error));
            break;
        }
        p->was_sent = p->was_sent || !is_unsent(grant->renewal.error);
        retry_at(p, grant->renewal.next_try_usec);
        break;
    case RENEWAL_STORE:
        retry_at(p, grant->renewal.next_try_usec);
        break;
    }
}

static void on_renewed(enum renewal_result result, void *userdata)
{
    struct proving *p = userdata;
    p->renewal_wait = NULL;
    on_result(p, result);
}

static void prove(struct proving *p)
{
    enum renewal_result result;
    int r = renewal_ensure(p->grant, 0, p->origin.request, on_renewed, p, &result, &p->renewal_wait);
    if (r == RENEWAL_ANSWERED)
        on_result(p, result);
    else if (r < 0)
        retry_at(p, 0);
}

int proving_start(struct grant *grant, const struct trail_origin *origin, proving_callback callback,
                  void *userdata)
{
    struct proving *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->grant = grant;
    if (origin)
        p->origin = *origin;
    p->callback = callback;
    p->userdata = userdata;
    grant->proving = p;
    /* From the loop, so that no callback runs from within this call. */
    int r = timer_start(grant->broker->loop, 0, on_retry, p, &p->timer);
    if (r < 0) {
        grant->proving = NULL;
        proving_free(p);
    }
    return r;
}
