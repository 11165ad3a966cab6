/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An app that is spoken of, where polkit and the broker's own verdict are asked about one that calls: the
 * questions are the same ones, so that the answers are. It is no connection: it is in no list, and remembers
 * what it is told only for as long as it lives. Whoever asks pays. */

#include "broker/peer.h"

/* `connection` is what polkit is asked about; it belongs to the user of `identity`. */
void stand_in_init(struct peer *ret, const struct peer *payer, const char *connection,
                   const struct identity *identity);
/* All waits have been dropped. */
void stand_in_deinit(struct peer *stand_in);
