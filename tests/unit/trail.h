/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A trail as it lies in the folder of a store's fixture: read, checked and tampered with beside the store. */

#include "tests/unit/store-fixture.h"

#include "broker/audit-keyfile.h"

struct trail {
    struct audit_record **records;
    size_t n, n_allocated;
};

/* All records of a database, which may be open. */
void trail_read(const char *path, struct trail *ret);
void trail_clear(struct trail *trail);
#define _cleanup_trail_ _cleanup_(trail_clear)

/* The key that the file has now. */
void trail_key(const struct fixture *f, struct audit_chain_key *ret);
#define _cleanup_chain_key_ _cleanup_(audit_chain_key_clear)

/* Asserts, by a calculation of its own, that every record is linked to the one before and sealed with the key
 * of its epoch, all of which `first` becomes; that numbers have no gap, and that each epoch has an end. */
void trail_assert_whole(const struct trail *trail, const struct audit_chain_key *first);

size_t trail_count(const struct trail *trail, enum audit_event event);
/* The last of them; "" without one. */
const char *trail_detail(const struct trail *trail, enum audit_event event);

/* Copies files of the folder: the database (closed), the key file. */
void trail_copy(const struct fixture *f, const char *from, const char *to);
#define KEY_FILE "store.db-audit.key"
