/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/account.h"

#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/proving.h"
#include "broker/token.h"
#include "util/clock.h"
#include "util/utf8.h"

#include <string.h>

/* --- life -------------------------------------------------------------------------------------------- */

static void grant_free(struct grant *g)
{
    if (!g)
        return;
    list_remove(&g->node);
    free(g->target);
    free(g->label);
    free(g->endpoint);
    free(g->client_id);
    free(g);
}
DEFINE_CLEANUP(struct grant, grant_free);

int grant_new(struct broker *broker, const struct store_grant *stored, struct grant **ret)
{
    _cleanup_(grant_freep) struct grant *g = calloc(1, sizeof(*g));
    if (!g)
        return -ENOMEM;
    list_init(&g->node);
    g->broker = broker;
    g->row = stored->row;
    g->owner = stored->owner;
    g->target = strdup(stored->target ? stored->target : "");
    g->label = strdup(stored->label ? stored->label : "");
    g->endpoint = strdup(stored->endpoint);
    g->client_id = strdup(stored->client_id);
    if (!g->target || !g->label || !g->endpoint || !g->client_id)
        return -ENOMEM;
    int r = catalogue_split(broker->catalogue, stored->may_carry, &g->may_carry);
    if (r >= 0)
        r = catalogue_split(broker->catalogue, stored->carries, &g->carries);
    if (r < 0)
        return r;
    g->created_sec = stored->created_sec > 0 ? stored->created_sec : wall_sec();
    g->refreshed_sec = stored->refreshed_sec;
    g->is_dead = stored->is_dead;
    g->is_claimed = stored->claimed;
    g->has_previous = stored->has_previous;
    g->is_intent_open = stored->intent_open;
    (void)snprintf(g->dead_reason, sizeof(g->dead_reason), "%s",
                   stored->dead_reason ? stored->dead_reason : "");
    g->generation = stored->generation;
    renewal_init(&g->renewal);
    *ret = TAKE_PTR(g);
    return 0;
}

static void detach_tokens(struct grant *grant, const char *reason)
{
    struct token *t, *after;
    LIST_FOREACH_SAFE (t, after, &grant->broker->tokens, node) {
        if (t->grant != grant)
            continue;
        t->grant = NULL;
        if (reason)
            token_revoke(t, reason);
    }
    if (grant->token)
        token_retire(grant->token);
    grant->token = NULL;
}

void grant_remove(struct grant *grant, const char *reason)
{
    list_remove(&grant->node);
    detach_tokens(grant, reason);
    proving_free(grant->proving);
    grant->proving = NULL;
    renewal_deinit(grant);
    grant_free(grant);
}

void grant_join(struct grant *grant, struct account *account)
{
    list_remove(&grant->node);
    grant->account = account;
    list_append(&account->grants, &grant->node);
}

/* The list in which the accounts of this owner are, among others. */
static struct list *owned_by(struct broker *broker, bool device, uid_t uid)
{
    return &broker->owned[device ? 0 : uid % ACCOUNT_LISTS];
}

int account_new(struct broker *broker, const struct store_account *stored, struct account **ret)
{
    struct account *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->label = strdup(stored->label);
    if (!a->label) {
        free(a);
        return -ENOMEM;
    }
    a->broker = broker;
    a->row = stored->row;
    (void)snprintf(a->id, sizeof(a->id), "%s", stored->id);
    a->owner = stored->owner;
    a->is_default = stored->is_default;
    a->created_sec = stored->created_sec;
    memcpy(a->customer, stored->customer, sizeof(a->customer));
    list_init(&a->grants);
    list_init(&a->consents);
    list_append(&broker->accounts, &a->node);
    list_append(owned_by(broker, a->owner.device, a->owner.uid), &a->in_owned);
    *ret = a;
    return 0;
}

void account_remove(struct account *account)
{
    list_remove(&account->node);
    list_remove(&account->in_owned);
    while (!list_is_empty(&account->grants))
        grant_remove(LIST_ENTRY(account->grants.next, struct grant, node), "account-removed");
    consents_free(account);
    free(account->label);
    free(account);
}

/* --- loading ----------------------------------------------------------------------------------------- */

/* A database that was written to by others: what everyone else relies on is looked at once, here. */
static bool owner_is_sound(const struct owner *owner)
{
    return owner->device == (owner->uid == (uid_t)-1) && utf8_is_valid(owner->name, strlen(owner->name));
}

static bool account_is_sound(const struct store_account *a)
{
    return account_id_is_valid(a->id) && account_label_is_valid(a->label) && owner_is_sound(&a->owner);
}

static bool grant_is_sound(const struct store_grant *g)
{
    return (!g->target[0] || account_id_is_valid(g->target)) && account_label_is_valid(g->label) &&
           utf8_is_valid(g->dead_reason, strlen(g->dead_reason)) && owner_is_sound(&g->owner);
}

static int load_account(const struct store_account *stored, void *userdata)
{
    struct account *account;
    return account_is_sound(stored) ? account_new(userdata, stored, &account) : -EUCLEAN;
}

/* A grant and its account have the same owner. */
static struct account *find_row(struct broker *broker, const struct owner *owner, int64_t row)
{
    struct account *a;
    LIST_FOREACH (a, owned_by(broker, owner->device, owner->uid), in_owned)
        if (a->row == row && owner_equal(&a->owner, owner))
            return a;
    return NULL;
}

static int load_grant(const struct store_grant *stored, void *userdata)
{
    struct broker *broker = userdata;
    struct account *account = NULL;
    if (!grant_is_sound(stored))
        return -EUCLEAN;
    if (stored->account > 0) {
        account = find_row(broker, &stored->owner, stored->account);
        if (!account)
            return -EUCLEAN;
    }
    struct grant *grant;
    int r = grant_new(broker, stored, &grant);
    if (r < 0)
        return r;
    if (account)
        grant_join(grant, account);
    else
        list_append(&broker->unproven, &grant->node);
    return 0;
}

static int load_consent(const struct store_consent *stored, void *userdata)
{
    struct account *account = account_find_row(userdata, stored->account);
    return account ? consent_load(account, stored) : -EUCLEAN;
}

int accounts_load(struct broker *broker)
{
    const struct store_visitor visitor = {load_account, load_grant, load_consent};
    return store_load(broker->store, &visitor, broker);
}

void accounts_free(struct broker *broker)
{
    while (!list_is_empty(&broker->unproven))
        grant_remove(LIST_ENTRY(broker->unproven.next, struct grant, node), NULL);
    while (!list_is_empty(&broker->accounts)) {
        struct account *a = LIST_ENTRY(broker->accounts.next, struct account, node);
        while (!list_is_empty(&a->grants))
            grant_remove(LIST_ENTRY(a->grants.next, struct grant, node), NULL);
        account_remove(a);
    }
}

/* --- finding ----------------------------------------------------------------------------------------- */

static bool is_owned_by(const struct account *a, bool device, uid_t uid)
{
    return a->owner.device == device && (device || a->owner.uid == uid);
}

static struct account *find_owned(struct broker *broker, bool device, uid_t uid, const char *id)
{
    struct account *a;
    LIST_FOREACH (a, owned_by(broker, device, uid), in_owned)
        if (is_owned_by(a, device, uid) && strcmp(a->id, id) == 0)
            return a;
    return NULL;
}

struct account *account_find(struct broker *broker, uid_t uid, const char *id)
{
    struct account *own = find_owned(broker, false, uid, id);
    return own ? own : find_owned(broker, true, (uid_t)-1, id);
}

struct account *account_find_default(struct broker *broker, bool device, uid_t uid)
{
    struct account *a;
    LIST_FOREACH (a, owned_by(broker, device, uid), in_owned)
        if (a->is_default && is_owned_by(a, device, uid))
            return a;
    return NULL;
}

struct account *account_for_caller(struct broker *broker, uid_t uid, const char *name)
{
    if (name[0])
        return account_find(broker, uid, name);
    struct account *own = account_find_default(broker, false, uid);
    return own ? own : account_find_default(broker, true, uid);
}

struct account *account_find_customer(struct broker *broker, const struct owner *owner,
                                      const unsigned char *customer)
{
    struct account *a;
    LIST_FOREACH (a, owned_by(broker, owner->device, owner->uid), in_owned)
        if (owner_equal(&a->owner, owner) && memcmp(a->customer, customer, sizeof(a->customer)) == 0)
            return a;
    return NULL;
}

struct account *account_find_row(struct broker *broker, int64_t row)
{
    struct account *a;
    LIST_FOREACH (a, &broker->accounts, node)
        if (a->row == row)
            return a;
    return NULL;
}

static struct grant *find_in(struct list *head, int64_t row)
{
    struct grant *g;
    LIST_FOREACH (g, head, node)
        if (g->row == row)
            return g;
    return NULL;
}

struct grant *grant_find(struct broker *broker, int64_t row)
{
    struct grant *found = find_in(&broker->unproven, row);
    struct account *a;
    LIST_FOREACH (a, &broker->accounts, node) {
        if (found)
            break;
        found = find_in(&a->grants, row);
    }
    return found;
}

/* --- names ------------------------------------------------------------------------------------------- */

bool owner_equal(const struct owner *a, const struct owner *b)
{
    if (a->device || b->device)
        return a->device == b->device;
    return a->uid == b->uid && strcmp(a->name, b->name) == 0;
}

const char *owner_text(const struct owner *owner)
{
    return owner->device ? "device" : owner->name;
}

bool account_is_locked(const struct account *account, const char *user)
{
    return !account->owner.device && strcmp(account->owner.name, user) != 0;
}

static bool is_taken(struct broker *broker, const struct owner *owner, const char *id)
{
    return find_owned(broker, owner->device, owner->uid, id) != NULL;
}

int account_make_id(struct broker *broker, const struct owner *owner, char ret[LWA_ACCOUNT_ID_BYTES_MAX + 1])
{
    const char *stem = owner->device ? "device" : "main";
    (void)snprintf(ret, LWA_ACCOUNT_ID_BYTES_MAX + 1, "%s", stem);
    for (unsigned n = 2; is_taken(broker, owner, ret); n++) {
        if (n > 100000)
            return -EUSERS;
        (void)snprintf(ret, LWA_ACCOUNT_ID_BYTES_MAX + 1, "%s-%u", stem, n);
    }
    return 0;
}

unsigned account_count_of(struct broker *broker, const struct owner *owner)
{
    unsigned n = 0;
    struct account *a;
    LIST_FOREACH (a, owned_by(broker, owner->device, owner->uid), in_owned)
        n += owner_equal(&a->owner, owner) ? 1 : 0;
    return n;
}

bool account_id_is_valid(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n >= 1 && n <= LWA_ACCOUNT_ID_BYTES_MAX && id[n] == '\0';
}

/* What a terminal or a reader could be misled by, at the start of valid UTF-8: control characters (C0, DEL,
 * C1), line and paragraph separators, and what turns the direction of writing. */
static bool is_control(const unsigned char *s)
{
    if (s[0] < 0x20 || s[0] == 0x7f)
        return true;
    if (s[0] == 0xc2)
        return s[1] < 0xa0;
    if (s[0] == 0xe2 && s[1] == 0x80)
        return s[2] >= 0xa8 && s[2] <= 0xae;
    return s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

bool account_label_is_valid(const char *label)
{
    size_t n = strlen(label);
    if (n > LWA_LABEL_BYTES_MAX || !utf8_is_valid(label, n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (is_control((const unsigned char *)label + i))
            return false;
    return true;
}
