/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/records.h"

void records_init(struct records *records)
{
    list_init(&records->listeners);
}

void records_add(struct records *records, struct record_listener *listener, store_record_callback callback,
                 void *userdata)
{
    listener->callback = callback;
    listener->userdata = userdata;
    list_append(&records->listeners, &listener->node);
}

void records_remove(struct record_listener *listener)
{
    list_remove(&listener->node);
}

static void tell(const struct audit_record *record, void *userdata)
{
    struct records *records = userdata;
    struct list turn;
    list_init(&turn);
    list_move_all(&records->listeners, &turn);
    while (!list_is_empty(&turn)) {
        struct record_listener *l = LIST_ENTRY(turn.next, struct record_listener, node);
        list_remove(&l->node);
        list_append(&records->listeners, &l->node);
        l->callback(record, l->userdata); /* it may be gone now */
    }
}

void records_follow(struct records *records, struct store *store)
{
    store_on_record(store, tell, records);
}
