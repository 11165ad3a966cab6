/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The Amazon Music Web API, version 1 (developer.amazon.com/docs/music). In this order a call is asked for a
 * bearer token, for the key of the application, for a path that exists, and for the scope that method and
 * path need. */

#include "tests/sim/music.h"

#include "tests/sim/memory.h"
#include "tests/sim/scopes.h"

#include <string.h>
#include <strings.h>

struct music_route {
    const char *method;
    const char *pattern; /* {id} stands for one piece of the path */
    const char *scope;
    music_handler handle;
};

static const struct music_route routes[] = {
    {"GET", "/v1/me", "music::profile:read", music_me},
    {"GET", "/v1/me/playlists", "music::library:read", music_playlists},
    {"POST", "/v1/playlists", "music::library", music_playlist_create},
    {"GET", "/v1/playlists/{id}", "music::library:read", music_playlist},
    {"DELETE", "/v1/playlists/{id}", "music::library", music_playlist_delete},
    {"GET", "/v1/playlists/{id}/tracks", "music::library:read", music_playlist_tracks},
    {"PUT", "/v1/playlists/{id}/tracks", "music::library", music_playlist_add_tracks},
    {"GET", "/v1/me/tracks", "music::favorites:read", music_liked},
    {"GET", "/v1/tracks", "music::catalog", music_tracks},
    {"GET", "/v1/tracks/{id}", "music::catalog", music_track},
    {"POST", "/v1/search/tracks", "music::catalog", music_search},
    {"GET", "/v1/player/recentlyPlayed", "music::history", music_recently_played},
};

/* --- helpers of the handlers --- */

bool music_page_read(const struct request *rq, size_t default_limit, size_t max_limit,
                     struct music_page *ret_page, struct reply *rp)
{
    const char *limit = form_get(&rq->query, "limit");
    const char *cursor = form_get(&rq->query, "cursor");
    uint32_t n = (uint32_t)default_limit, first = 0;

    if (limit && (!number_parse(limit, (uint32_t)max_limit, &n) || n == 0)) {
        reply_api_error(rp, 400, "BAD_REQUEST", "limit is out of range");
        return false;
    }
    /* Cursors are opaque to clients; here they are "c" and the number of the next entry. */
    if (cursor && (cursor[0] != 'c' || !number_parse(cursor + 1, UINT32_MAX, &first))) {
        reply_api_error(rp, 400, "BAD_REQUEST", "cursor is not valid");
        return false;
    }
    *ret_page = (struct music_page){.first = first, .limit = n};
    return true;
}

static void cursor_text(char *text, size_t size, size_t index)
{
    (void)snprintf(text, size, "c%zu", index);
}

void music_edge(struct json_object *edges, size_t index, struct json_object *node)
{
    struct json_object *edge = must(json_object_new_object());
    char cursor[32];

    cursor_text(cursor, sizeof(cursor), index + 1);
    json_add(edge, "cursor", cursor);
    json_object_object_add(edge, "node", node);
    json_object_array_add(edges, edge);
}

void music_reply_edges(struct reply *rp, const char *name, const struct music_page *page, size_t n,
                       struct json_object *edges)
{
    struct json_object *list = must(json_object_new_object());
    struct json_object *info = must(json_object_new_object());
    size_t next = page->first + json_object_array_length(edges);
    char token[32];

    json_object_object_add(info, "hasNextPage", json_object_new_boolean(next < n));
    cursor_text(token, sizeof(token), next);
    if (next < n)
        json_add(info, "token", token);
    json_object_object_add(list, "edgeCount",
                           must(json_object_new_int64((int64_t)json_object_array_length(edges))));
    json_object_object_add(list, "pageInfo", info);
    json_object_object_add(list, "edges", edges);
    music_reply_data(rp, 200, name, list);
}

void music_reply_data(struct reply *rp, unsigned status, const char *name, struct json_object *value)
{
    struct json_object *data = must(json_object_new_object());
    struct json_object *root = must(json_object_new_object());

    json_object_object_add(data, name, value);
    json_object_object_add(root, "data", data);
    reply_json(rp, status, "ok", root);
}

struct json_object *music_read_body(const struct request *rq, struct reply *rp)
{
    struct json_tokener *tokener = must(json_tokener_new_ex(16));
    struct json_object *root;

    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    root = json_tokener_parse_ex(tokener, rq->body, (int)rq->n_body + 1);
    json_tokener_free(tokener);
    if (json_object_is_type(root, json_type_object))
        return root;
    json_object_put(root);
    reply_api_error(rp, 400, "BAD_REQUEST", "The body is not a JSON object");
    return NULL;
}

/* --- checks --- */

/* The access token if it is good, else NULL with a 401 filled in. */
static const struct token *check_bearer(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *header = request_header(rq, "Authorization");

    if (!header || strncasecmp(header, "bearer", 6) != 0 || (header[6] != ' ' && header[6] != '\0')) {
        reply_api_error(rp, 401, "INVALID_AUTH_TYPE", "The Authorization header is not of type Bearer");
        return NULL;
    }
    const char *value = header + 6 + strspn(header + 6, " ");
    if (*value == '\0') {
        reply_api_error(rp, 401, "INVALID_AUTH_TOKEN", "The bearer token is empty");
        return NULL;
    }
    const struct token *token = ledger_find_access(&sim->ledger, value);
    if (!token)
        reply_api_error(rp, 401, "INVALID_ACCESS_TOKEN", "The access token is not valid or has expired");
    return token;
}

static bool check_api_key(const struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *key = request_header(rq, "x-api-key");

    if (!key) {
        reply_api_error(rp, 401, "NO_X_API_KEY", "The x-api-key header is missing");
        return false;
    }
    if (strcmp(key, sim->security_profile_id) != 0) {
        reply_api_error(rp, 401, "INVALID_CLIENT_ID",
                        "The x-api-key is not a security profile that is known");
        return false;
    }
    return true;
}

/* Matches piece by piece and copies what stands for {id}. */
static bool pattern_matches(const char *pattern, const char *path, char *id, size_t size)
{
    static const char hole[] = "{id}";
    const char *at = strstr(pattern, hole);

    if (!at)
        return strcmp(pattern, path) == 0;
    size_t n_before = (size_t)(at - pattern);
    if (strncmp(pattern, path, n_before) != 0)
        return false;
    size_t n_id = strcspn(path + n_before, "/");
    if (n_id == 0 || n_id >= size || strcmp(at + strlen(hole), path + n_before + n_id) != 0)
        return false;
    memcpy(id, path + n_before, n_id);
    id[n_id] = '\0';
    return true;
}

static const struct music_route *route_find(const struct request *rq, char *id, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
        if (strcmp(routes[i].method, rq->method) == 0 &&
            pattern_matches(routes[i].pattern, rq->path, id, size))
            return &routes[i];
    return NULL;
}

void handle_music(struct sim *sim, const struct request *rq, struct reply *rp)
{
    struct music_call call = {.sim = sim, .rq = rq};
    const struct token *token = check_bearer(sim, rq, rp);

    if (!token || !check_api_key(sim, rq, rp))
        return;
    const struct music_route *route = route_find(rq, call.id, sizeof(call.id));
    if (!route)
        return reply_api_error(rp, 404, "RESOURCE_NOT_FOUND", "There is no such resource");
    if ((scopes_expand(token->scopes) & scope_bit(route->scope)) == 0)
        return reply_api_error(rp, 403, "ACCESS_DENIED", "The access token does not carry the scope needed");
    call.customer = token->grant->customer;
    route->handle(&call, rp);
}
