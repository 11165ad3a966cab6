/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Times as people write them, in local time. Pure code but for the time zone.
 *
 *     now · today · yesterday · monday (the last one; today when it is one) · yesterday 14:00 · monday
 * 9:30:15 2026-11-20 · 2026-11-20 14:00[:30] · 2026-11-20T14:00:00Z · ...+01:00 · 14:00 (today) · @1764000000
 *     2h · 2h ago · -2h · 90 min · 1h 30min · 3 days · 1w
 *
 * - An amount is counted back from now. Days and weeks keep the time of day, also when the clocks changed.
 * - A day without a time is its beginning as the start of a span and its end as the end: `--since monday
 *   --until monday` is the whole of Monday. It begins with its first second, even where there is no midnight.
 * - A time that the clocks showed twice is the first as a start and the last as an end, so that a span is
 *   never narrower than what was meant.
 */

#include "util/cleanup.h"

#include <stdint.h>

enum when_edge { WHEN_SINCE, WHEN_UNTIL };

/* For a message to whoever wrote something else. */
#define WHEN_EXAMPLES "yesterday, monday 9:30, 2h, 3 days, 14:00, 2026-11-20, 2026-11-20 14:00"

/* The time in unix seconds; what is before 1970 is 0. */
enum { WHEN_E_UNKNOWN = 1 };

int when_parse(const char *text, int64_t now_sec, enum when_edge edge, int64_t *ret_sec) _must_check_;
