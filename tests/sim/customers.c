/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/customers.h"

#include "tests/sim/memory.h"

#include <ctype.h>
#include <string.h>

static const char *const demo_names[] = {"alice", "bob", "carol"};

/* Spreads the name over 28 characters (FNV-1a, then a walk of the same hash). */
static char *user_id_new(const char *name)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    char id[29] = "";
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    char *text;

    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < sizeof(id) - 1; i++) {
        hash = (hash ^ (hash >> 29)) * UINT64_C(0x9e3779b97f4a7c15) + i;
        id[i] = alphabet[hash >> 59];
    }
    if (asprintf(&text, "amzn1.account.%s", id) < 0)
        abort();
    return text;
}

static void playlist_free(struct playlist *p)
{
    free(p->id);
    free(p->title);
    free(p->description);
    free(p);
}

static void customer_free(struct customer *c)
{
    struct playlist *p, *after;

    LIST_FOREACH_SAFE (p, after, &c->playlists, node)
        playlist_free(p);
    free(c->name);
    free(c->full_name);
    free(c->user_id);
    free(c->email);
    free(c->postal_code);
    free(c);
}

static void customer_add_demo_playlists(struct customer *c)
{
    static const char *const titles[] = {"Morning walk", "Sunday kitchen", "Quiet evening"};

    for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
        struct playlist *p = customer_add_playlist(c, titles[i], "A playlist of the simulator");
        for (size_t t = 0; p && t < 5; t++)
            p->tracks[p->n_tracks++] = (uint16_t)(i * 5 + t);
    }
}

static struct customer *customer_new(const char *name)
{
    struct customer *c = must(calloc(1, sizeof(*c)));

    list_init(&c->node);
    list_init(&c->playlists);
    c->name = must(strdup(name));
    c->user_id = user_id_new(name);
    c->postal_code = must(strdup("98109"));
    if (asprintf(&c->full_name, "%s Example", name) < 0 || asprintf(&c->email, "%s@example.com", name) < 0)
        abort();
    c->full_name[0] = (char)toupper((unsigned char)c->full_name[0]);
    customer_add_demo_playlists(c);
    return c;
}

void customers_init(struct customers *c)
{
    list_init(&c->list);
    for (size_t i = 0; i < ARRAY_SIZE(demo_names); i++)
        (void)customers_get(c, demo_names[i]);
}

void customers_deinit(struct customers *c)
{
    struct customer *entry, *after;

    LIST_FOREACH_SAFE (entry, after, &c->list, node)
        customer_free(entry);
    list_init(&c->list);
}

struct customer *customers_get(struct customers *c, const char *name)
{
    struct customer *entry;

    if (*name == '\0' || strlen(name) > CUSTOMER_NAME_MAX)
        return NULL;
    LIST_FOREACH (entry, &c->list, node)
        if (strcmp(entry->name, name) == 0)
            return entry;
    entry = customer_new(name);
    list_append(&c->list, &entry->node);
    return entry;
}

struct playlist *customer_add_playlist(struct customer *c, const char *title, const char *description)
{
    if (c->n_playlists == PLAYLISTS_MAX)
        return NULL;

    struct playlist *p = must(calloc(1, sizeof(*p)));
    p->title = must(strdup(title));
    p->description = must(strdup(description));
    if (asprintf(&p->id, "%.12s-%u", c->user_id + strlen("amzn1.account."), ++c->n_playlists_made) < 0)
        abort();
    list_append(&c->playlists, &p->node);
    c->n_playlists++;
    return p;
}

struct playlist *customer_find_playlist(struct customer *c, const char *id)
{
    struct playlist *p;

    LIST_FOREACH (p, &c->playlists, node)
        if (strcmp(p->id, id) == 0)
            return p;
    return NULL;
}

void customer_remove_playlist(struct customer *c, struct playlist *p)
{
    list_remove(&p->node);
    c->n_playlists--;
    playlist_free(p);
}
