/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/peer.h"

#include "broker/broker.h"
#include "broker/call.h"
#include "broker/limits.h"
#include "broker/login.h"
#include "broker/token.h"

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
    broker->n_peers--;
    free(peer);
}

static void on_identity(const struct identity *identity, void *userdata)
{
    struct peer *peer = userdata;
    peer->lookup = NULL;
    if (identity) {
        peer->identity = *identity;
        peer->is_known = true;
    } else {
        peer->is_refused = true;
    }
    call_resume_identified(peer);
}

int peer_get(struct broker *broker, const char *sender, struct peer **ret)
{
    struct peer *known = peer_find(broker, sender);
    if (known) {
        *ret = known;
        return 0;
    }
    if (broker->n_peers >= LIMIT_PEERS || strlen(sender) >= PEER_NAME_SIZE)
        return -EUSERS;

    struct peer *peer = calloc(1, sizeof(*peer));
    if (!peer)
        return -ENOMEM;
    peer->broker = broker;
    peer->identity.uid = (uid_t)-1;
    list_init(&peer->calls);
    list_init(&peer->decisions);
    list_init(&peer->holds);
    list_init(&peer->logins);
    memcpy(peer->name, sender, strlen(sender) + 1);
    if (!tsearch(peer, &broker->peers, compare)) {
        free(peer);
        return -ENOMEM;
    }
    broker->n_peers++;

    int r = identity_look_up(broker, sender, on_identity, peer, &peer->lookup);
    if (r < 0) {
        peer_free(peer);
        return r;
    }
    *ret = peer;
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
