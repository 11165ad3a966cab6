/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The least that any service can do which hands out a descriptor: opens a sealed memory file anew for each
 * call and answers with it and a dictionary of the same keys, types and sizes as the broker's. */

#include "tests/bench/bench.h"

#include "dbus/names.h"
#include "dbus/writer.h"
#include "util/file.h"

#define TOKEN "Atza|a bearer token of the bare handler, which is about as long as one is in the simulation"

static DBusMessage *new_answer(DBusMessage *call, int memfd)
{
    _cleanup_close_ int fd = -1;
    char scope[] = "music::library";
    char *scopes[] = {scope};
    const struct strv names = {.items = scopes, .n = 1};
    struct writer w;
    DBusMessage *reply = dbus_message_new_method_return(call);
    if (!reply || file_reopen(memfd, &fd) < 0)
        die("the bare handler cannot answer");

    writer_begin(&w, reply);
    writer_fd(&w, fd);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(&w, "token_id", "00112233445566778899aabbccddeeff");
    writer_entry_string(&w, "token_type", "Bearer");
    writer_entry_strv(&w, "scopes", &names);
    writer_entry_uint64(&w, "expires_at", (uint64_t)wall_sec() + 3600);
    writer_entry_uint32(&w, "expires_in", 3600);
    writer_entry_string(&w, "account", "main");
    writer_entry_string(&w, "x_api_key", "amzn1.application.000000000000000000000000005ec0f0");
    writer_entry_string(&w, "api_base", "https://localhost:40000/v1");
    writer_close(&w);
    if (writer_end(&w) < 0)
        die("the bare handler cannot write its answer");
    return reply;
}

static DBusHandlerResult handle(DBusConnection *connection, DBusMessage *message, void *memfd)
{
    if (!dbus_message_is_method_call(message, LWA_INTERFACE_BROKER, "GetToken"))
        return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    DBusMessage *reply = new_answer(message, *(int *)memfd);
    if (!dbus_connection_send(connection, reply, NULL))
        die("no memory");
    dbus_message_unref(reply);
    return DBUS_HANDLER_RESULT_HANDLED;
}

void serve_bare(const char *address)
{
    int memfd;
    DBusConnection *connection = connect_to(address);
    if (file_new_sealed("lwa-bench", TOKEN, sizeof(TOKEN) - 1, &memfd) < 0)
        die("no memory file");
    if (!dbus_connection_add_filter(connection, handle, &memfd, NULL))
        die("no memory");
    if (dbus_bus_request_name(connection, BARE_NAME, DBUS_NAME_FLAG_DO_NOT_QUEUE, NULL) !=
        DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER)
        die("the bus does not give %s", BARE_NAME);
    while (dbus_connection_read_write_dispatch(connection, -1))
        ;
}
