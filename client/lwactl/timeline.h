/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Events counted into spans of time, of which there are never more than fit a picture. Days and longer spans
 * begin at local midnight. Pure code but for the time zone. */

#include "util/cleanup.h"

#include <stdint.h>

#define TIMELINE_SPANS_MAX 62

struct timeline_span {
    int64_t begins_sec;
    uint64_t n_given;
    uint64_t n_refused;
};

struct timeline {
    struct timeline_span spans[TIMELINE_SPANS_MAX];
    size_t n_spans;   /* 1 at least */
    const char *name; /* "day", "3 hours" */
    bool is_by_day;   /* spans are whole days */
};

/* From the span that holds `since_sec` to the one that holds `now_sec`. */
void timeline_init(struct timeline *t, int64_t since_sec, int64_t now_sec);
/* The span of a time; what lies before the first counts to it, what lies after the last (the clock was wrong)
 * too. */
struct timeline_span *timeline_at(struct timeline *t, int64_t when_sec);
/* The largest count of any span; 0 for none. */
uint64_t timeline_peak(const struct timeline *t);
