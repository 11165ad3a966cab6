/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the app has to be told: signals of the broker, in their order, until the dispatch delivers them. */

#include "client/library/client.h"

/* An app that sets callbacks and never dispatches keeps the last of these. */
#define NOTICES_MAX 1024

/* 0 or -ENOMEM. Nothing is kept of which nobody wants to hear. */
int notice_add(struct lwa_client *client, DBusMessage *m) _must_check_;
bool notice_is_due(const struct lwa_client *client);
/* The number of the arrival of the first signal; UINT64_MAX if there is none. */
uint64_t notice_get_first(const struct lwa_client *client);
/* Both call the app, which may do anything but free its handle. The first tells of one signal; the second of
 * what has no place among them. */
void notice_deliver_first(struct lwa_client *client);
void notice_deliver_changes(struct lwa_client *client);
void notice_clear(struct lwa_client *client);
