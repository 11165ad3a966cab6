/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sends each record of the trail on, once it is durable: to the systemd journal, or to syslog. Nobody waits
 * for it: what a collector does not take at once is kept while it is not much, and sent when it takes some
 * again. What had to be left out is counted, and said when sending works again; the trail has it all.
 *
 *   1. A record comes. While no collector is connected one is looked for; there is none: it is left out.
 *   2. A datagram is made of it, and put behind those that wait.
 *   3. They are sent until the collector has no room (then the loop tells when it has), or has gone: then it
 *      is looked for once more, since one that was restarted is there again under the same name. Else all
 *      that waits is left out. */

#include "broker/config.h"
#include "broker/records.h"

struct sink;

/* `records` outlives it. */
int sink_new(uv_loop_t *loop, struct records *records, enum audit_forward forward,
             struct sink **ret) _must_check_;
/* What still waits is left out. NULL is fine. */
void sink_free(struct sink *sink);
/* The configuration was read again. This and what follows take NULL for one that sends nothing. */
void sink_set_forward(struct sink *sink, enum audit_forward forward);

/* For status: where the last record went to ("journal", "syslog"), "none" for nowhere. */
const char *sink_name(const struct sink *sink);
/* How many records had to be left out since the start. */
uint64_t sink_count_unsent(const struct sink *sink);
