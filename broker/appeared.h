/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When each connection appeared on the bus, as far as we saw it: a process that started later than the
 * connection of its pid is another one than the one that connected, and the pid was used again.
 *
 * A connection that was there before the broker watched the bus is not known, nor is one beyond
 * LIMIT_APPEARED: whether its process is still the one that connected cannot be told then. The bus itself
 * allows fewer connections than that.
 *
 * What this cannot see: the pid is that of connect(), the name appears with Hello, and between the two a bus
 * lets up to its auth_timeout (5 s) pass. Only a bus that hands out a ProcessFD closes that gap. */

#include "util/cleanup.h"

#include <stdint.h>

struct appeared {
    void *names; /* tree */
    unsigned n;
};

/* A unique name that has just come. What memory cannot hold is not known. */
void appeared_add(struct appeared *a, const char *name, uint64_t now_usec);
void appeared_remove(struct appeared *a, const char *name);
/* CLOCK_BOOTTIME; 0: it is not known. */
uint64_t appeared_usec(const struct appeared *a, const char *name);
void appeared_clear(struct appeared *a);
