/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the Amazon Music handlers share. */

#include "tests/sim/provider.h"

/* One call that passed the checks of token and key. */
struct music_call {
    struct sim *sim;
    const struct request *rq;
    struct customer *customer;
    char id[80]; /* the {id} of the path, "" for none */
};

typedef void (*music_handler)(const struct music_call *call, struct reply *rp);

/* music-catalog.c */
void music_tracks(const struct music_call *call, struct reply *rp);
void music_track(const struct music_call *call, struct reply *rp);
void music_search(const struct music_call *call, struct reply *rp);
void music_liked(const struct music_call *call, struct reply *rp);
void music_recently_played(const struct music_call *call, struct reply *rp);
/* music-library.c */
void music_me(const struct music_call *call, struct reply *rp);
void music_playlists(const struct music_call *call, struct reply *rp);
void music_playlist(const struct music_call *call, struct reply *rp);
void music_playlist_create(const struct music_call *call, struct reply *rp);
void music_playlist_delete(const struct music_call *call, struct reply *rp);
void music_playlist_tracks(const struct music_call *call, struct reply *rp);
void music_playlist_add_tracks(const struct music_call *call, struct reply *rp);

/* The number of a track by its id, or -1; a new JSON object for one. */
int track_find(const char *id);
struct json_object *track_to_json(size_t index);

/* A part of a list: `limit` and `cursor` of the query. */
struct music_page {
    size_t first;
    size_t limit;
};
/* False with a 400 filled in. */
bool music_page_read(const struct request *rq, size_t default_limit, size_t max_limit,
                     struct music_page *ret_page, struct reply *rp) _must_check_;
/* Adds an edge for the node at `index` of the whole list; takes the node over. */
void music_edge(struct json_object *edges, size_t index, struct json_object *node);
/* {"data":{NAME:{"edgeCount","pageInfo","edges"}}}; takes the edges over. `n` is the size of the whole list.
 */
void music_reply_edges(struct reply *rp, const char *name, const struct music_page *page, size_t n,
                       struct json_object *edges);
/* {"data":{NAME:VALUE}}; takes the value over. */
void music_reply_data(struct reply *rp, unsigned status, const char *name, struct json_object *value);
/* The body as a JSON object of the caller's, or NULL with a 400 filled in. */
struct json_object *music_read_body(const struct request *rq, struct reply *rp);
