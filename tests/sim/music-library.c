/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The customer's own: who they are to the service, and their playlists. */

#include "tests/sim/memory.h"
#include "tests/sim/music.h"

#include <string.h>

#define TITLE_BYTES_MAX 256

void music_me(const struct music_call *call, struct reply *rp)
{
    struct json_object *user = must(json_object_new_object());

    json_add(user, "id", call->customer->user_id);
    json_add(user, "name", call->customer->full_name);
    json_add(user, "url", "https://music.amazon.com/profiles/simulated");
    music_reply_data(rp, 200, "user", user);
}

static struct json_object *playlist_to_json(const struct playlist *p)
{
    struct json_object *object = must(json_object_new_object());

    json_add(object, "id", p->id);
    json_add(object, "title", p->title);
    json_add(object, "description", p->description);
    json_add(object, "visibility", p->is_public ? "PUBLIC" : "PRIVATE");
    json_object_object_add(object, "trackCount", must(json_object_new_int64((int64_t)p->n_tracks)));
    return object;
}

/* NULL with a 404 filled in. */
static struct playlist *playlist_of(const struct music_call *call, struct reply *rp)
{
    struct playlist *p = customer_find_playlist(call->customer, call->id);

    if (!p)
        reply_api_error(rp, 404, "RESOURCE_NOT_FOUND", "There is no such playlist");
    return p;
}

void music_playlists(const struct music_call *call, struct reply *rp)
{
    struct music_page page;
    struct playlist *p;
    size_t i = 0;

    if (!music_page_read(call->rq, 20, 100, &page, rp))
        return;
    struct json_object *edges = must(json_object_new_array());
    LIST_FOREACH (p, &call->customer->playlists, node) {
        if (i >= page.first && i - page.first < page.limit)
            music_edge(edges, i, playlist_to_json(p));
        i++;
    }
    music_reply_edges(rp, "playlists", &page, i, edges);
}

void music_playlist(const struct music_call *call, struct reply *rp)
{
    const struct playlist *p = playlist_of(call, rp);

    if (p)
        music_reply_data(rp, 200, "playlist", playlist_to_json(p));
}

/* A string member of 1 to max bytes without a NUL in it, "" when it is absent, NULL when it is wrong. */
static const char *text_member(struct json_object *body, const char *name)
{
    struct json_object *value;

    if (!json_object_object_get_ex(body, name, &value))
        return "";
    if (!json_object_is_type(value, json_type_string))
        return NULL;
    const char *text = json_object_get_string(value);
    size_t n = (size_t)json_object_get_string_len(value);
    return n > TITLE_BYTES_MAX || strlen(text) != n ? NULL : text;
}

static void create_from(const struct music_call *call, struct json_object *body, struct reply *rp)
{
    const char *title = text_member(body, "title");
    const char *description = text_member(body, "description");
    const char *visibility = text_member(body, "visibility");

    if (!title || *title == '\0' || !description || !visibility ||
        (*visibility && strcmp(visibility, "PUBLIC") != 0 && strcmp(visibility, "PRIVATE") != 0))
        return reply_api_error(rp, 400, "BAD_REQUEST",
                               "A title is needed; visibility is PUBLIC or PRIVATE; texts are bounded");
    struct playlist *p = customer_add_playlist(call->customer, title, description);
    if (!p)
        return reply_api_error(rp, 422, "UNPROCESSABLE", "There are too many playlists");
    p->is_public = strcmp(visibility, "PUBLIC") == 0;
    music_reply_data(rp, 201, "playlist", playlist_to_json(p));
}

void music_playlist_create(const struct music_call *call, struct reply *rp)
{
    struct json_object *body = music_read_body(call->rq, rp);

    if (!body)
        return;
    create_from(call, body, rp);
    json_object_put(body);
}

void music_playlist_delete(const struct music_call *call, struct reply *rp)
{
    struct playlist *p = playlist_of(call, rp);

    if (!p)
        return;
    customer_remove_playlist(call->customer, p);
    reply_body(rp, 204, "ok", NULL, must(strdup("")), 0);
}

void music_playlist_tracks(const struct music_call *call, struct reply *rp)
{
    const struct playlist *p = playlist_of(call, rp);
    struct music_page page;

    if (!p || !music_page_read(call->rq, 20, 100, &page, rp))
        return;
    struct json_object *edges = must(json_object_new_array());
    for (size_t i = page.first; i < p->n_tracks && i - page.first < page.limit; i++)
        music_edge(edges, i, track_to_json(p->tracks[i]));
    music_reply_edges(rp, "tracks", &page, p->n_tracks, edges);
}

/* All tracks or none. */
static bool add_tracks(struct playlist *p, struct json_object *ids)
{
    size_t n = json_object_is_type(ids, json_type_array) ? json_object_array_length(ids) : 0;

    if (n == 0 || n > PLAYLIST_TRACKS_MAX - p->n_tracks)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct json_object *id = json_object_array_get_idx(ids, i);
        int index = json_object_is_type(id, json_type_string) ? track_find(json_object_get_string(id)) : -1;
        if (index < 0)
            return false;
        p->tracks[p->n_tracks + i] = (uint16_t)index;
    }
    p->n_tracks += n;
    return true;
}

void music_playlist_add_tracks(const struct music_call *call, struct reply *rp)
{
    struct playlist *p = playlist_of(call, rp);
    struct json_object *ids = NULL;

    if (!p)
        return;
    struct json_object *body = music_read_body(call->rq, rp);
    if (!body)
        return;
    (void)json_object_object_get_ex(body, "trackIds", &ids);
    if (add_tracks(p, ids))
        music_reply_data(rp, 200, "playlist", playlist_to_json(p));
    else
        reply_api_error(rp, 400, "BAD_REQUEST", "trackIds is not a list of tracks that exist");
    json_object_put(body);
}
