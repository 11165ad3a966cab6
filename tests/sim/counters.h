/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Named counters, as GET /state shows them: "token.refresh_token.ok". */

#include "util/cleanup.h"

#include <json.h>
#include <stdint.h>

#define COUNTER_NAME_SIZE 96
#define COUNTERS_MAX 256

struct counter {
    char name[COUNTER_NAME_SIZE];
    uint64_t n;
};

struct counters {
    struct counter items[COUNTERS_MAX];
    size_t n;
};

/* Counts endpoint[.grant].outcome; grant may be NULL. */
void counters_count(struct counters *c, const char *endpoint, const char *grant, const char *outcome);
struct json_object *counters_to_json(const struct counters *c);
