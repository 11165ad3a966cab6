/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

/* A new first key, C(e), for the trail. It is handed out, as the verification secret, and never stored: what
 * the file gets is C(e+1). So epoch e has two records, which are written in the transaction that ends the
 * epoch before: the one that names the key, and the one that ends e (the worker adds it). The one
 * that ends the epoch before names the key too: the old chain of keys vouches for the new (audit-verify.h).
 *
 * Between the commit and the file's new key nothing durable continues the trail. The file was written just
 * before, to be sure that it can be; a crash in between makes the next start begin anew, and say so. */

int store_rows_setup_audit(struct store_db *db _unused_, const struct secret *master _unused_,
                           struct store_op *op)
{
    struct store_chain *chain = op->chain;
    int r = store_chain_write_key(chain);
    if (r < 0)
        return r;
    audit_chain_key_clear(&chain->setup);
    r = audit_chain_key_new(chain->link.epoch + 1, &chain->setup);
    if (r == 0)
        r = store_chain_describe("setup", &chain->setup, &op->record->detail);
    if (r == 0)
        r = store_events_add(
            op, &(struct store_event){.event = AUDIT_TRAIL_SEALED, .detail = op->record->detail});
    if (r == 0)
        r = secret_new(secret_bytes(chain->setup.key), secret_size(chain->setup.key), &op->reply.token);
    op->reply.epoch = chain->setup.epoch;
    return r;
}
