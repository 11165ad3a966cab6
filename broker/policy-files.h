/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the scope catalogue and the administrator's table from their files. */

#include "broker/config.h"
#include "policy/table.h"

/* The shipped catalogue and the administrator's additions; keeps the numbers of `previous` (may be NULL).
 * CONFIG_E_MALFORMED with *ret_problem when a file is not as it must be: a catalogue is needed whole. */
int policy_files_load_catalogue(const struct config *config, const struct catalogue *previous,
                                struct catalogue **ret, struct config_problem *ret_problem) _must_check_;

/* grants.d. What is wrong with a file is among the table's problems; it denies what it would have granted. */
int policy_files_load_table(const struct config *config, const struct catalogue *catalogue,
                            struct table **ret) _must_check_;
