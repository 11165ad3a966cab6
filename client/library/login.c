/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/client.h"

void login_handle_signal(struct lwa_client *client _unused_, DBusMessage *m _unused_)
{
}

void login_handle_gone(struct lwa_client *client _unused_)
{
}
