/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the simulated provider serves over HTTPS. A handler is called with the lock held and always fills
 * the reply in. */

#include "tests/sim/sim.h"

/* Finds the handler, counts the request, and lets ordered faults get in the way. Takes the lock itself. */
void provider_dispatch(struct sim *sim, const struct request *rq, struct reply *rp);

typedef void (*provider_handler)(struct sim *sim, const struct request *rq, struct reply *rp);

/* oauth endpoints: codepair.c, token.c */
void handle_codepair(struct sim *sim, const struct request *rq, struct reply *rp);
void handle_token(struct sim *sim, const struct request *rq, struct reply *rp);
/* who a token is for: userinfo.c */
void handle_tokeninfo(struct sim *sim, const struct request *rq, struct reply *rp);
void handle_profile(struct sim *sim, const struct request *rq, struct reply *rp);
/* the person's pages: pages.c, authorize.c */
void handle_code_get(struct sim *sim, const struct request *rq, struct reply *rp);
void handle_code_post(struct sim *sim, const struct request *rq, struct reply *rp);
void handle_authorize_get(struct sim *sim, const struct request *rq, struct reply *rp);
void handle_authorize_post(struct sim *sim, const struct request *rq, struct reply *rp);
/* The same without the pages, for a person that a test plays: answers the authorization request whose query
 * this is. What is wrong with it, or NULL with the address that the browser is sent back to. */
const char *authorize_as(struct sim *sim, const struct form *query, struct customer *customer, bool is_denied,
                         uint64_t deselected, char **ret_location);
/* Amazon Music: music.c; all paths below /v1/ */
void handle_music(struct sim *sim, const struct request *rq, struct reply *rp);

/* The type of grant that a token request asks for, NULL for none that is known. */
const char *token_grant_type(const struct request *rq);

/* Fills in "missing a required parameter" and is true when the parameter is not there. */
bool reply_missing(struct reply *rp, const struct request *rq, const char *name, const char *value);
