/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/bench.h"

#define ACCOUNTS_MAX 64
#define ANSWER_TIMEOUT_MSEC 60000

void measure_accounts(const char *address, unsigned n)
{
    DBusPendingCall *pending[ACCOUNTS_MAX];
    DBusConnection *connection = connect_to(address);
    if (n > ACCOUNTS_MAX)
        die("too many accounts");
    uint64_t start = clock_usec(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < n; i++) {
        char account[32];
        (void)snprintf(account, sizeof(account), "account-%u", i + 1);
        DBusMessage *call = new_account_call(account);
        if (!dbus_connection_send_with_reply(connection, call, &pending[i], ANSWER_TIMEOUT_MSEC) ||
            !pending[i])
            die("a call could not be sent");
        dbus_message_unref(call);
    }
    for (unsigned i = 0; i < n; i++) {
        dbus_pending_call_block(pending[i]);
        DBusMessage *reply = dbus_pending_call_steal_reply(pending[i]);
        read_reply(TARGET_BROKER, reply);
        dbus_message_unref(reply);
        dbus_pending_call_unref(pending[i]);
    }
    figures_add("accounts_s", (double)(clock_usec(CLOCK_MONOTONIC) - start) / 1e6);
    disconnect(connection);
}
