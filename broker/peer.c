/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/peer.h"

#include "broker/broker.h"
#include "broker/call.h"
#include "broker/limits.h"
#include "broker/login.h"
#include "broker/token.h"
#include "util/clock.h"

#include <assert.h>
#include <search.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct peer *)a)->name, ((const struct peer *)b)->name);
}

struct peer *peer_find(struct broker *broker, const char *sender)
{
    /* The name is at the end of the struct: a key needs no more than the name to be in place. */
    struct peer key;
    size_t n = strlen(sender);
    if (n >= sizeof(key.name))
        return NULL;
    memcpy(key.name, sender, n + 1);
    struct peer **found = tfind(&key, &broker->peers, compare);
    return found ? *found : NULL;
}

static void peer_free(struct peer *peer)
{
    struct broker *broker = peer->broker;
    identity_lookup_drop(peer->lookup);
    while (!list_is_empty(&peer->calls))
        call_drop(LIST_ENTRY(peer->calls.next, struct call, node));
    while (!list_is_empty(&peer->logins))
        login_abandon(LIST_ENTRY(peer->logins.next, struct login, in_peer));
    authorize_forget_peer(peer);
    token_release_all(peer);
    (void)tdelete(peer, &broker->peers, compare);
    list_remove(&peer->by_use);
    charge_release(&peer->tracked);
    free(peer);
}

static bool is_idle(const struct peer *peer)
{
    return list_is_empty(&peer->calls) && list_is_empty(&peer->holds) && list_is_empty(&peer->logins) &&
           !peer->wants_accounts_changed && !peer->wants_attention;
}

/* Of this user, or with -1 of anyone, the one that has been idle for longest. */
static bool forget_idle(struct broker *broker, uid_t uid)
{
    struct peer *peer;
    LIST_FOREACH (peer, &broker->peers_by_use, by_use)
        if (is_idle(peer) && (uid == (uid_t)-1 || peer->identity.uid == uid)) {
            peer_free(peer);
            return true;
        }
    return false;
}

static int identify(struct peer *peer, const struct identity *identity, struct refusal *ret_refusal)
{
    int r = quota_identify(&peer->quota, identity, boottime_usec(), ret_refusal);
    if (r == -EUSERS && ret_refusal->level == QUOTA_USER && forget_idle(peer->broker, identity->uid))
        r = quota_identify(&peer->quota, identity, boottime_usec(), ret_refusal);
    return r;
}

static void refuse_calls(struct peer *peer, int error, const struct refusal *refusal)
{
    while (!list_is_empty(&peer->calls))
        call_fail_errno(LIST_ENTRY(peer->calls.next, struct call, node), error, refusal);
}

/* What waits is refused. If it was for want of memory or of a descriptor of ours, it is forgotten, and its
 * next call is tried anew. If its own process is the reason, it pays for the look as any app of its user, and
 * is not looked at again at once. */
static void refuse(struct peer *peer, const struct identity *identity, const char *why)
{
    peer->why_refused = why;
    call_resume_identified(peer);
    if (!identity) {
        peer_free(peer);
        return;
    }
    peer->identity.uid = identity->uid;
    peer->refused_until_usec = boottime_usec() + LIMIT_LOOK_AGAIN_SEC * USEC_PER_SEC;
}

static void on_identity(const struct identity *identity, const char *why, void *userdata)
{
    struct peer *peer = userdata;
    peer->lookup = NULL;
    assert(identity || why);
    struct refusal refusal;
    int r = identity ? identify(peer, identity, &refusal) : 0;
    if (r < 0) {
        /* There is no room for it: it is forgotten, to be tried again. */
        refuse_calls(peer, r, &refusal);
        peer_free(peer);
        return;
    }
    if (why) {
        refuse(peer, identity, why);
        return;
    }
    peer->identity = *identity;
    peer->is_known = true;
    if (r == QUOTA_E_SPENT)
        refuse_calls(peer, -EUSERS, &refusal);
    else
        call_resume_identified(peer);
}

static int charge(struct peer *peer, struct refusal *ret_refusal)
{
    int r = quota_charge(&peer->quota, QUOTA_CONNECTIONS, &peer->tracked, ret_refusal);
    if (r == -EUSERS && forget_idle(peer->broker, (uid_t)-1))
        r = quota_charge(&peer->quota, QUOTA_CONNECTIONS, &peer->tracked, ret_refusal);
    return r;
}

static int peer_new(struct broker *broker, const char *sender, struct peer **ret, struct refusal *ret_refusal)
{
    if (strlen(sender) >= PEER_NAME_SIZE)
        return -ENAMETOOLONG;
    struct peer *peer = calloc(1, sizeof(*peer));
    if (!peer)
        return -ENOMEM;
    peer->broker = broker;
    quota_init(&broker->quotas, &peer->quota);
    peer->identity.uid = (uid_t)-1;
    list_init(&peer->calls);
    list_init(&peer->decisions);
    list_init(&peer->holds);
    list_init(&peer->logins);
    memcpy(peer->name, sender, strlen(sender) + 1);
    int r = charge(peer, ret_refusal);
    if (r < 0) {
        free(peer);
        return r;
    }
    list_append(&broker->peers_by_use, &peer->by_use);
    if (!tsearch(peer, &broker->peers, compare))
        r = -ENOMEM;
    if (r == 0)
        r = identity_look_up(broker, sender, on_identity, peer, &peer->lookup);
    if (r < 0) {
        peer_free(peer);
        return r;
    }
    *ret = peer;
    return 0;
}

int peer_get(struct broker *broker, const char *sender, struct peer **ret, struct refusal *ret_refusal)
{
    struct peer *known = peer_find(broker, sender);
    if (known && known->why_refused && boottime_usec() >= known->refused_until_usec) {
        peer_free(known);
        known = NULL;
    }
    if (!known)
        return peer_new(broker, sender, ret, ret_refusal);
    list_remove(&known->by_use);
    list_append(&broker->peers_by_use, &known->by_use);
    *ret = known;
    return 0;
}

void peer_vanished(struct broker *broker, const char *sender)
{
    struct peer *peer = peer_find(broker, sender);
    if (peer)
        peer_free(peer);
}

void peers_free(struct broker *broker)
{
    while (broker->peers)
        peer_free(*(struct peer **)broker->peers); /* the root of the tree */
}

struct visit {
    void (*visit)(struct peer *peer, void *userdata);
    void *userdata;
};

static void visit_node(const void *node, VISIT which, void *closure)
{
    struct visit *v = closure;
    if (which == postorder || which == leaf)
        v->visit(*(struct peer *const *)node, v->userdata);
}

void peers_foreach(struct broker *broker, void (*visit)(struct peer *peer, void *userdata), void *userdata)
{
    struct visit v = {visit, userdata};
    twalk_r(broker->peers, visit_node, &v);
}

static void name_again(struct peer *peer, void *userdata _unused_)
{
    if (!peer->is_known)
        return;
    char before[IDENTITY_APP_SIZE];
    memcpy(before, peer->identity.app, sizeof(before));
    identity_name(&peer->identity, peer->broker->table);
    if (strcmp(before, peer->identity.app) != 0)
        peer->broker->polkit_epoch++; /* what polkit has said was about the other name */
    quota_rename(&peer->quota, &peer->identity, boottime_usec());
}

void peers_name_again(struct broker *broker)
{
    peers_foreach(broker, name_again, NULL);
}
