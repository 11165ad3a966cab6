/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The customers of the simulated provider and the playlists they own. A customer is known by a short name
 * ("alice"); a name not met before makes a new customer. The user id follows from the name, so that it is
 * the same in every run. */

#include "util/cleanup.h"
#include "util/list.h"

#include <stdint.h>

#define CUSTOMER_NAME_MAX 64
#define PLAYLISTS_MAX 500
#define PLAYLIST_TRACKS_MAX 500

struct playlist {
    struct list node;
    char *id;
    char *title;
    char *description;
    bool is_public;
    size_t n_tracks;
    uint16_t tracks[PLAYLIST_TRACKS_MAX]; /* indices into the music catalogue */
};

struct customer {
    struct list node;
    char *name;
    char *full_name;
    char *user_id;
    char *email;
    char *postal_code;
    struct list playlists;
    unsigned n_playlists;
    unsigned n_playlists_made;
};

struct customers {
    struct list list;
};

/* Starts with the demo customers. */
void customers_init(struct customers *c);
void customers_deinit(struct customers *c);
/* Finds or makes; NULL for an empty or over-long name. */
struct customer *customers_get(struct customers *c, const char *name);

/* NULL when the customer has PLAYLISTS_MAX of them. */
struct playlist *customer_add_playlist(struct customer *c, const char *title, const char *description);
struct playlist *customer_find_playlist(struct customer *c, const char *id);
void customer_remove_playlist(struct customer *c, struct playlist *p);
