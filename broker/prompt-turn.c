/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/prompt-turn.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct prompt_turn {
    struct list node; /* in prompt_turns->taken */
    struct prompt_turns *turns;
    char app[IDENTITY_APP_SIZE];
    uid_t uid;
    struct list waits;
};

struct prompt_wait {
    struct list node; /* in the turn's waits */
    prompt_wait_callback callback;
    void *userdata;
};

void prompt_turns_init(struct prompt_turns *t)
{
    memset(t, 0, sizeof(*t));
    list_init(&t->taken);
}

static bool is_paused(const struct prompt_turns *t, const struct identity *who, uint64_t now)
{
    unsigned n = 0;
    for (size_t i = 0; i < LIMIT_PROMPT_PAUSES; i++) {
        const struct prompt_pause *p = &t->pauses[i];
        if (p->until_usec <= now || p->uid != who->uid)
            continue;
        if (p->n_left >= LIMIT_PROMPTS_LEFT && strcmp(p->app, who->app) == 0)
            return true;
        n += p->n_left;
    }
    return n >= LIMIT_PROMPT_PAUSES_PER_UID * LIMIT_PROMPTS_LEFT;
}

static struct prompt_turn *find(const struct prompt_turns *t, const struct identity *who)
{
    struct prompt_turn *turn;
    LIST_FOREACH (turn, &t->taken, node)
        if (turn->uid == who->uid && strcmp(turn->app, who->app) == 0)
            return turn;
    return NULL;
}

static int wait_for(struct prompt_turn *turn, prompt_wait_callback callback, void *userdata,
                    struct prompt_wait **ret)
{
    struct prompt_wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return -ENOMEM;
    wait->callback = callback;
    wait->userdata = userdata;
    list_append(&turn->waits, &wait->node);
    *ret = wait;
    return 0;
}

int prompt_turn_take(struct prompt_turns *t, const struct identity *who, uint64_t now_usec,
                     prompt_wait_callback callback, void *userdata, struct prompt_turn **ret,
                     struct prompt_wait **ret_wait)
{
    struct prompt_turn *turn = find(t, who);
    if (turn)
        return wait_for(turn, callback, userdata, ret_wait);
    if (is_paused(t, who, now_usec))
        return PROMPT_TURN_E_PAUSED;
    turn = calloc(1, sizeof(*turn));
    if (!turn)
        return -ENOMEM;
    turn->turns = t;
    memcpy(turn->app, who->app, sizeof(turn->app));
    turn->uid = who->uid;
    list_init(&turn->waits);
    list_append(&t->taken, &turn->node);
    *ret = turn;
    return PROMPT_TURN_TAKEN;
}

/* That of the app, else the one that is over first. */
static struct prompt_pause *find_place(const struct prompt_turn *turn, uint64_t now)
{
    struct prompt_pause *pauses = turn->turns->pauses, *place = &pauses[0];
    for (size_t i = 0; i < LIMIT_PROMPT_PAUSES; i++) {
        if (pauses[i].until_usec > now && pauses[i].uid == turn->uid && strcmp(pauses[i].app, turn->app) == 0)
            return &pauses[i];
        if (pauses[i].until_usec < place->until_usec)
            place = &pauses[i];
    }
    memcpy(place->app, turn->app, sizeof(place->app));
    place->uid = turn->uid;
    place->n_left = 0;
    return place;
}

void prompt_turn_pause(struct prompt_turn *turn, uint64_t now_usec)
{
    struct prompt_pause *place = find_place(turn, now_usec);
    place->n_left = LIMIT_PROMPTS_LEFT;
    place->until_usec = now_usec + LIMIT_PROMPT_PAUSE_SEC * USEC_PER_SEC;
}

void prompt_turn_leave(struct prompt_turn *turn, uint64_t now_usec)
{
    struct prompt_pause *place = find_place(turn, now_usec);
    place->n_left++;
    place->until_usec = now_usec + LIMIT_PROMPT_PAUSE_SEC * USEC_PER_SEC;
}

void prompt_turn_drop(struct prompt_turn *turn)
{
    if (!turn)
        return;
    /* It is over before anyone is called: one of them may take the next turn. */
    struct list waits;
    list_init(&waits);
    list_move_all(&turn->waits, &waits);
    list_remove(&turn->node);
    free(turn);
    while (!list_is_empty(&waits)) {
        struct prompt_wait *wait = LIST_ENTRY(waits.next, struct prompt_wait, node);
        prompt_wait_callback callback = wait->callback;
        void *userdata = wait->userdata;
        prompt_wait_drop(wait);
        callback(userdata);
    }
}

void prompt_wait_drop(struct prompt_wait *wait)
{
    if (!wait)
        return;
    list_remove(&wait->node);
    free(wait);
}
