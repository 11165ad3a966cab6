/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bytes of a record that its hash is made of: every field but the hash itself, the seals and the counter
 * of repeats (which changes later, and has a seal of its own). One form only, so that no two records have the
 * same bytes: integers as 8 bytes, least significant first; texts after their length. lwa-broker-audit(5) has
 * the order, for whoever verifies without us. */

#include "broker/audit.h"

/* A malloc'ed buffer; the texts of the record may be NULL. 0 or -ENOMEM. */
int audit_encode(const struct audit_record *record, unsigned char **ret, size_t *ret_n) _must_check_;
