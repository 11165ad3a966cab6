/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The tracks that exist, and what may be asked about them. All of them are invented. */

#include "tests/sim/memory.h"
#include "tests/sim/music.h"
#include "util/strv.h"

#include <string.h>

#define IDS_MAX 100

static const struct {
    const char *title;
    const char *artist;
    const char *album;
    int seconds;
} tracks[] = {
    {"First Light", "The Lamplighters", "Harbour", 214},
    {"Low Tide", "The Lamplighters", "Harbour", 187},
    {"Rope and Tar", "The Lamplighters", "Harbour", 243},
    {"Gulls", "The Lamplighters", "Harbour", 201},
    {"Night Watch", "The Lamplighters", "Harbour", 265},
    {"Butter", "Marta Quist", "Kitchen Songs", 152},
    {"Salt", "Marta Quist", "Kitchen Songs", 168},
    {"The Kettle", "Marta Quist", "Kitchen Songs", 199},
    {"Flour on the Floor", "Marta Quist", "Kitchen Songs", 176},
    {"Leftovers", "Marta Quist", "Kitchen Songs", 221},
    {"Slow Train", "Ove & Ida", "Departures", 305},
    {"Platform Nine", "Ove & Ida", "Departures", 232},
    {"Window Seat", "Ove & Ida", "Departures", 248},
    {"The Last Stop", "Ove & Ida", "Departures", 287},
    {"Homeward", "Ove & Ida", "Departures", 260},
    {"Square One", "Null Terminator", "Undefined Behaviour", 128},
    {"Off by One", "Null Terminator", "Undefined Behaviour", 129},
    {"Dangling", "Null Terminator", "Undefined Behaviour", 142},
    {"Race Condition", "Null Terminator", "Undefined Behaviour", 133},
    {"Core Dump", "Null Terminator", "Undefined Behaviour", 256},
};

#define TRACK_ID_PREFIX "B0SIM0"

int track_find(const char *id)
{
    uint32_t index;

    if (strncmp(id, TRACK_ID_PREFIX, strlen(TRACK_ID_PREFIX)) != 0 || strlen(id) != 10 ||
        !number_parse(id + strlen(TRACK_ID_PREFIX), ARRAY_SIZE(tracks) - 1, &index))
        return -1;
    return (int)index;
}

struct json_object *track_to_json(size_t index)
{
    struct json_object *object = must(json_object_new_object());
    char id[16];

    (void)snprintf(id, sizeof(id), TRACK_ID_PREFIX "%04zu", index);
    json_add(object, "id", id);
    json_add(object, "title", tracks[index].title);
    json_add(object, "artist", tracks[index].artist);
    json_add(object, "album", tracks[index].album);
    json_object_object_add(object, "durationSeconds", must(json_object_new_int(tracks[index].seconds)));
    return object;
}

void music_track(const struct music_call *call, struct reply *rp)
{
    int index = track_find(call->id);

    if (index < 0)
        return reply_api_error(rp, 404, "RESOURCE_NOT_FOUND", "There is no such track");
    music_reply_data(rp, 200, "track", track_to_json((size_t)index));
}

void music_tracks(const struct music_call *call, struct reply *rp)
{
    const char *ids = form_get(&call->rq->query, "ids");
    _cleanup_strv_ struct strv names = STRV_EMPTY;

    if (ids && strv_split(&names, ids, ",") < 0)
        abort();
    if (names.n == 0 || names.n > IDS_MAX)
        return reply_api_error(rp, 400, "BAD_REQUEST", "ids takes 1 to 100 track ids");
    struct json_object *found = must(json_object_new_array());
    for (size_t i = 0; i < names.n; i++) {
        int index = track_find(names.items[i]);
        if (index >= 0)
            json_object_array_add(found, track_to_json((size_t)index));
    }
    music_reply_data(rp, 200, "tracks", found);
}

/* Every `step`th track, as a list in pages. */
static void reply_every(const struct music_call *call, size_t step, size_t max_limit, const char *name,
                        struct reply *rp)
{
    size_t n = (ARRAY_SIZE(tracks) + step - 1) / step;
    struct music_page page;

    if (!music_page_read(call->rq, 20, max_limit, &page, rp))
        return;
    struct json_object *edges = must(json_object_new_array());
    for (size_t i = page.first; i < n && i < page.first + page.limit; i++)
        music_edge(edges, i, track_to_json(i * step));
    music_reply_edges(rp, name, &page, n, edges);
}

void music_liked(const struct music_call *call, struct reply *rp)
{
    reply_every(call, 3, 100, "tracks", rp);
}

void music_recently_played(const struct music_call *call, struct reply *rp)
{
    reply_every(call, 2, 60, "recentlyPlayed", rp);
}

/* --- search --- */

struct search {
    size_t limit;
    const char *query;
};

/* False with a 400 filled in. The query lives as long as the body. */
static bool search_read(struct json_object *body, struct search *ret, struct reply *rp)
{
    struct json_object *filters, *limit, *filter, *query = NULL;
    int64_t n = 20;

    if (json_object_object_get_ex(body, "limit", &limit))
        n = json_object_is_type(limit, json_type_int) ? json_object_get_int64(limit) : 0;
    if (json_object_object_get_ex(body, "searchFilters", &filters) &&
        json_object_is_type(filters, json_type_array)) {
        filter = json_object_array_get_idx(filters, 0);
        if (json_object_is_type(filter, json_type_object))
            (void)json_object_object_get_ex(filter, "query", &query);
    }
    if (n < 1 || n > 20 || !json_object_is_type(query, json_type_string)) {
        reply_api_error(rp, 400, "BAD_REQUEST",
                        "searchFilters with a query and a limit of 1 to 20 are needed");
        return false;
    }
    *ret = (struct search){.limit = (size_t)n, .query = json_object_get_string(query)};
    return true;
}

void music_search(const struct music_call *call, struct reply *rp)
{
    struct json_object *body = music_read_body(call->rq, rp);
    struct search search;

    if (!body)
        return;
    if (search_read(body, &search, rp)) {
        struct music_page page = {.limit = search.limit};
        struct json_object *edges = must(json_object_new_array());
        size_t n = 0;
        for (size_t i = 0; i < ARRAY_SIZE(tracks); i++) {
            if (!strcasestr(tracks[i].title, search.query) && !strcasestr(tracks[i].artist, search.query))
                continue;
            if (n < page.limit)
                music_edge(edges, n, track_to_json(i));
            n++;
        }
        music_reply_edges(rp, "searchTracks", &page, n, edges);
    }
    json_object_put(body);
}
