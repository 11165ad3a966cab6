/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the simulated provider behaves, changed through POST /set of the control port. */

#include "tests/sim/form.h"

#include <json.h>
#include <stdint.h>

enum rotation {
    ROTATION_NONE, /* no refresh_token in the answer to a refresh */
    ROTATION_SAME, /* the one that was sent */
    ROTATION_NEW,  /* a new one */
};

/* What a refresh that names scopes comes to. */
enum narrowing {
    NARROWING_IGNORE, /* the token carries what the grant carries */
    NARROWING_NARROW, /* it carries those, if the grant carries them */
    NARROWING_REFUSE, /* invalid_scope */
    NARROWING_GRANT,  /* invalid_grant, though the grant is alive */
};

struct settings {
    uint32_t token_lifetime;     /* seconds; of access tokens made from now on */
    uint32_t code_lifetime;      /* seconds; of code pairs made from now on */
    uint32_t auth_code_lifetime; /* seconds; of authorization codes made from now on */
    uint32_t interval;           /* seconds; what a code pair advertises */
    uint32_t min_poll_interval;  /* seconds; polls that come faster get slow_down; 0 for never */
    uint32_t rotation;           /* enum rotation */
    uint32_t rotation_kills_old; /* whether a new refresh token ends the one before */
    uint32_t expires_in_form;    /* 0 number, 1 string */
    uint32_t client_type;        /* what --client-id names: 0 a device's client, 1 a web client */
    uint32_t narrowing;          /* enum narrowing */
    uint32_t wrong_region; /* refresh tokens are another region's: good here, and refused at a refresh */
    uint32_t delay_ms;     /* before every answer of the token endpoint */
    char token_type[64];
    char disabled_scopes[1024]; /* known, but not enabled for the security profile */
};

void settings_init(struct settings *s);
/* Applies all fields or none. -EINVAL with the name of the wrong field in *ret_name, which lives as long
 * as the form. */
int settings_apply(struct settings *s, const struct form *form, const char **ret_name) _must_check_;
struct json_object *settings_to_json(const struct settings *s);

/* Reads a decimal number of at most `max`. */
bool number_parse(const char *text, uint32_t max, uint32_t *ret) _must_check_;
