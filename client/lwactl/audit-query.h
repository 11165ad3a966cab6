/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Audit1.Query, a page at a time. */

#include "client/lwactl/audit-filter.h"
#include "client/lwactl/follow.h"
#include "client/lwactl/values.h"

#define AUDIT_PAGE_MAX 1000 /* what the broker hands out at once */

struct audit_page {
    bool is_newest;
    uint64_t after;
    unsigned limit;
};

/* The records of a page, oldest first, and where the next one begins (0: it was the last). A page can be
 * empty and not be the last one. CTL_OK, or said. A page that goes on (`after` is not 0) is waited for when
 * the broker is asked too often. */
int audit_query(struct bus *bus, const struct audit_filter *filter, const struct audit_page *page,
                enum values_style style, struct json_object **ret_records, uint64_t *ret_next) _must_check_;
/* All pages after record `after`, oldest first: take() gets each, one in memory at a time, and ends it with
 * what is not CTL_OK. CTL_OK, or said. */
int audit_query_each(struct bus *bus, const struct audit_filter *filter, uint64_t after,
                     enum values_style style, int (*take)(void *userdata, struct json_object *records),
                     void *userdata) _must_check_;
/* The newest `n` (1 to AUDIT_PAGE_MAX) of all records, oldest first. CTL_OK, or said. */
int audit_query_newest(struct bus *bus, const struct audit_filter *filter, unsigned n,
                       enum values_style style, struct json_object **ret_records) _must_check_;

/* The records of the first page that has any, without a prompt and saying nothing when it fails: NULL. None
 * at all: an empty list. */
struct json_object *audit_query_try(struct bus *bus, const struct audit_filter *filter,
                                    const struct audit_page *page, enum values_style style);

/* Waits for records after *after, which moves on, over a restart of the broker too, which is said once.
 * CTL_OK, with an empty list when there is nothing yet; f->is_over: no list. Or said. */
int audit_query_wait(struct follow *f, const struct audit_filter *filter, uint64_t *after,
                     enum values_style style, struct json_object **ret_records) _must_check_;

/* The sequence of a record, whole: values_number() ends at INT64_MAX. */
uint64_t audit_sequence(struct json_object *record);
/* That of the last one of a list, `otherwise` when it is empty. */
uint64_t audit_last_sequence(struct json_object *records, uint64_t otherwise);
