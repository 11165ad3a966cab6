/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl rekey: a new master key. */

#include "client/lwactl/bus.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/values.h"
#include "dbus/names.h"

static int ask(const struct arguments *arguments, DBusMessage **ret_reply)
{
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *call = NULL;
    int r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_KEYS, "Rekey", &call);
    if (r != CTL_OK)
        return r;
    struct writer w;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_close(&w);
    r = bus_end_arguments(&w);
    return r == CTL_OK ? bus_call(&bus, call, "a{sv}", NULL, ret_reply) : r;
}

static void show(struct json_object *result)
{
    unsigned n = (unsigned)values_number(result, "owners");
    (void)printf("The logins of %u owner%s are sealed with a new key now, %s.\n", n, n == 1 ? "" : "s",
                 values_text(result, "key_id"));
    if (!values_flag(result, "finished"))
        (void)printf(
            "The key file could not be replaced: the new key is beside it, in FILE.new. Keep both; the next\n"
            "start of lwa-brokerd finishes it.\n");
    (void)printf("Old backups of the database need the old key, which is gone; make a new backup of both.\n");
}

static int run(const struct command *command, const struct arguments *arguments)
{
    bool as_json = arguments->given[OPTION_JSON];
    _cleanup_message_ DBusMessage *reply = NULL;
    _cleanup_json_ struct json_object *result = NULL;

    if (arguments->n_operands > 0)
        return options_usage(command, "rekey takes no operand, not `%s`", arguments->operands[0]);
    int r = ask(arguments, &reply);
    if (r != CTL_OK)
        return r;
    r = values_from_message(reply, 0, as_json ? VALUES_EXACT : VALUES_SAFE, &result);
    if (r == 0 && as_json)
        r = values_print(result, true, stdout);
    else if (r == 0)
        show(result);
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

static const struct option_spec options[] = {
    {OPTION_JSON, "json", NULL, "print one JSON object"},
};

const struct command command_rekey = {
    .name = "rekey",
    .synopsis = "rekey [--json]",
    .summary = "Seal the logins with a new key",
    .details =
        "For administrators. A new master key takes the place of the old one in the key file; logins and\n"
        "apps notice nothing. Back up the new key, apart from the database. If the key is a systemd\n"
        "credential, see previous_key_credential in lwa-broker.conf(5).\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
