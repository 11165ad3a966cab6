/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the scope catalogue and the administrator's table from their files. */

#include "broker/config.h"
#include "policy/table.h"

/* The shipped catalogue and the administrator's additions; keeps the numbers of `previous` (may be NULL).
 * CONFIG_E_MALFORMED with *ret_problem when a file is not as it must be: a catalogue is needed whole. */
int policy_files_load_catalogue(const struct config *config, const struct catalogue *previous,
                                struct catalogue **ret, struct config_problem *ret_problem) _must_check_;

/* Of all that a table was made from: the same for the same files with the same contents. */
struct policy_digest {
    unsigned char bytes[32];
};

/* grants.d. What is wrong with a file is among the table's problems; it denies what it would have granted.
 * ret_digest may be NULL. */
int policy_files_load_table(const struct config *config, const struct catalogue *catalogue,
                            struct table **ret, struct policy_digest *ret_digest) _must_check_;

/* What is wrong with files of any of the kinds. */
struct policy_problems {
    struct table_problem *items; /* owned, with their names */
    size_t n;
};

void policy_problems_clear(struct policy_problems *p);
int policy_problems_add(struct policy_problems *p, const char *file,
                        const struct ini_problem *problem) _must_check_;
int policy_problems_add_table(struct policy_problems *p, const struct table *table) _must_check_;
