/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl doctor: what is wrong, and what to do. */

#include "client/lwactl/doctor.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/terminal.h"

#include <string.h>

static enum colour colour_of(const char *level)
{
    if (strcmp(level, DOCTOR_OK) == 0)
        return COLOUR_GREEN;
    if (strcmp(level, DOCTOR_PROBLEM) == 0)
        return COLOUR_RED;
    return strcmp(level, DOCTOR_WARNING) == 0 ? COLOUR_YELLOW : COLOUR_PLAIN;
}

/* The row, and below it what to do. */
static void print_row(const struct terminal *t, struct json_object *row)
{
    const char *level = values_text(row, "level"), *subject = values_text(row, "subject");
    const char *fix = values_text(row, "fix");
    char lead[64];
    _cleanup_free_ char *line = NULL;
    if (asprintf(&line, "%s%s%s", subject, *subject ? ": " : "", values_text(row, "text")) < 0)
        line = NULL;
    (void)printf("%s%-8s%s", terminal_colour(t, colour_of(level)), level, terminal_colour(t, COLOUR_PLAIN));
    (void)snprintf(lead, sizeof(lead), " %-14s ", values_text(row, "check"));
    paragraph_print(t, lead, line ? line : "out of memory", stdout);
    if (*fix)
        paragraph_print(t, "                        -> ", fix, stdout);
}

static void print_sum(const struct doctor *d)
{
    if (d->n_problems == 0 && d->n_warnings == 0)
        (void)printf("\nNothing is wrong%s.\n", d->n_unknown > 0 ? ", as far as could be seen" : "");
    else
        (void)printf("\n%zu problem%s, %zu warning%s.\n", d->n_problems, d->n_problems == 1 ? "" : "s",
                     d->n_warnings, d->n_warnings == 1 ? "" : "s");
}

static int show(struct doctor *d)
{
    struct terminal t = terminal_get();
    int r = d->error;
    if (r == 0 && d->arguments->given[OPTION_JSON])
        r = values_print(d->rows, true, stdout);
    else if (r == 0) {
        for (size_t i = 0; i < values_count(d->rows); i++)
            print_row(&t, values_item(d->rows, i));
        print_sum(d);
    }
    if (r < 0)
        return report(CTL_FAILED, "out of memory");
    return d->n_problems > 0 ? CTL_FAILED : CTL_OK;
}

static void doctor_clear(struct doctor *d)
{
    json_object_put(d->rows);
    free(d->owner);
    if (!d->bus)
        return;
    dbus_connection_close(d->bus);
    dbus_connection_unref(d->bus);
}

static int examine(const struct arguments *arguments)
{
    static void (*const checks[])(struct doctor * d) = {
        doctor_check_user, doctor_check_bus, doctor_check_process, doctor_check_polkit, doctor_check_broker,
    };
    _cleanup_(doctor_clear) struct doctor d = {
        .arguments = arguments, .rows = json_object_new_array(), .service_uid = (uid_t)-1};
    if (!d.rows)
        return report(CTL_FAILED, "out of memory");
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
        checks[i](&d);
    return show(&d);
}

static int run(const struct command *command, const struct arguments *arguments)
{
    if (arguments->n_operands > 0)
        return options_usage(command, "doctor takes no operand, not `%s`", arguments->operands[0]);
    if (arguments->given[OPTION_PROBE_NARROWING])
        return doctor_probe_narrowing(arguments);
    static const enum ctl_option of_the_probe[] = {OPTION_ACCOUNT, OPTION_USER, OPTION_YES};
    for (size_t i = 0; i < ARRAY_SIZE(of_the_probe); i++)
        if (arguments->given[of_the_probe[i]])
            return options_usage(command, "--account, --user and --yes need --probe-narrowing");
    return examine(arguments);
}

static const struct option_spec options[] = {
    {OPTION_JSON, "json", NULL, "print the rows as JSON"},
    {OPTION_PROBE_NARROWING, "probe-narrowing", NULL, "try whether a refresh can ask for fewer scopes"},
    {OPTION_ACCOUNT, "account", "ID", "with a login of this account"},
    {OPTION_USER, "user", "USER", "of this user, by name or number"},
    {OPTION_YES, "yes", NULL, "do not ask before the refresh"},
};

const struct command command_doctor = {
    .name = "doctor",
    .synopsis = "doctor [--json]\n"
                "doctor --probe-narrowing [--account ID] [--user USER] [--yes] [--json]",
    .summary = "Find out what is wrong, and what to do about it",
    .details =
        "Looks at bus, polkit, the broker's process, its files, key, database and trail, the clock, "
        "Amazon's\n"
        "hosts, the logins, and apps that ask for more than they may have. A row for each is ok, a note, a\n"
        "warning, a problem, or unknown; what is not ok says what to do. The exit code is 1 when there is a\n"
        "problem. Anybody may run it; root sees everything, also why a broker does not run.\n"
        "With --probe-narrowing it looks at none of that, but makes one refresh that names fewer scopes "
        "than\n"
        "its login carries, and says what the provider makes of it, and what to configure.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
