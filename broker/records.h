/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is told of each record of the trail once it is durable: whoever waits for one (audit1-query.c), and
 * what sends them on. In the order of the trail, on the loop's thread. */

#include "broker/store.h"
#include "util/list.h"

struct records {
    struct list listeners;
};

/* Embedded in its owner, who removes it before it goes. */
struct record_listener {
    struct list node;
    store_record_callback callback;
    void *userdata;
};

void records_init(struct records *records);
/* From now on it is told what this store writes. */
void records_follow(struct records *records, struct store *store);

/* A callback may add and remove any listener, itself too: who is new is told from the next record on. */
void records_add(struct records *records, struct record_listener *listener, store_record_callback callback,
                 void *userdata);
/* Harmless when it is in no list; its node must have been made with list_init(), or added. */
void records_remove(struct record_listener *listener);
