/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/audit-filter.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/text.h"
#include "client/lwactl/when.h"
#include "dbus/audit-names.h"
#include "dbus/errors.h"
#include "util/clock.h"

#include <string.h>
#include <strings.h>

/* What is recorded when a call was refused is the name of the error that it got. */
#define VERDICTS 3
#define NAMES_MAX ((size_t)AUDIT_EVENT_COUNT + BUS_ERROR_COUNT)

static size_t list_events(const char *names[static NAMES_MAX])
{
    for (int i = 0; i < AUDIT_EVENT_COUNT; i++)
        names[i] = audit_event_name((enum audit_event)i);
    return AUDIT_EVENT_COUNT;
}

static size_t list_verdicts(const char *names[static NAMES_MAX])
{
    static const char *const plain[VERDICTS] = {"allow", "ask", "deny"};
    size_t n = 0;
    for (; n < VERDICTS; n++)
        names[n] = plain[n];
    for (int i = BUS_OK + 1; i < BUS_ERROR_COUNT; i++)
        names[n++] = bus_error_short_name((enum bus_error)i);
    return n;
}

/* The name as it is in the list, whatever its case; NULL when it is said that there is none. */
static const char *find_name(const char *option, const char *word, size_t (*list)(const char **))
{
    const char *names[NAMES_MAX];
    size_t n = list(names);
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(names[i], word) == 0)
            return names[i];
    const char *nearest = text_nearest(word, names, n);
    (void)report(CTL_USAGE, "unknown %s %s", option, word);
    if (nearest)
        report_hint("did you mean `%s`?", nearest);
    else if (list == list_events)
        report_hint("lwa-broker-audit(5) lists the events; those of tokens begin with token-");
    else
        report_hint("allow, ask, deny, or an error such as AccessDenied");
    return NULL;
}

static int read_name(const char *option, const char *word, size_t (*list)(const char **), const char **ret)
{
    if (word)
        *ret = find_name(option, word, list);
    return word && !*ret ? CTL_USAGE : CTL_OK;
}

static int check_text(const struct command *command, const char *option, const char *text)
{
    if (text && !*text)
        return options_usage(command, "--%s is empty", option);
    return CTL_OK;
}

static int read_time(const struct command *command, const char *option, const char *text, enum when_edge edge,
                     int64_t *ret_sec, bool *ret_has)
{
    if (!text)
        return CTL_OK;
    if (when_parse(text, wall_sec(), edge, ret_sec) != 0)
        return options_usage(command, "--%s takes a time such as %s, not `%s`", option, WHEN_EXAMPLES, text);
    *ret_has = true;
    return CTL_OK;
}

static int read_times(const struct command *command, const struct arguments *arguments,
                      struct audit_filter *filter)
{
    const char *since = arguments->values[OPTION_SINCE], *until = arguments->values[OPTION_UNTIL];
    int r = read_time(command, "since", since, WHEN_SINCE, &filter->since_sec, &filter->has_since);
    if (r == CTL_OK)
        r = read_time(command, "until", until, WHEN_UNTIL, &filter->until_sec, &filter->has_until);
    if (r == CTL_OK && since && until && filter->since_sec >= filter->until_sec)
        return options_usage(command, "--until %s is not after --since %s", until, since);
    return r;
}

int audit_filter_read(const struct command *command, const struct arguments *arguments,
                      struct audit_filter *ret)
{
    const char *const *values = arguments->values;
    struct audit_filter filter = {
        .app = values[OPTION_APP],
        .user = values[OPTION_USER],
        .account = values[OPTION_ACCOUNT],
        .scope = values[OPTION_SCOPE],
        .is_own = arguments->given[OPTION_OWN],
    };
    int r = check_text(command, "app", filter.app);
    if (r == CTL_OK)
        r = check_text(command, "user", filter.user);
    if (r == CTL_OK)
        r = check_text(command, "account", filter.account);
    if (r == CTL_OK)
        r = check_text(command, "scope", filter.scope);
    if (r == CTL_OK)
        r = read_name("event", values[OPTION_EVENT], list_events, &filter.event);
    if (r == CTL_OK)
        r = read_name("verdict", values[OPTION_VERDICT], list_verdicts, &filter.verdict);
    if (r == CTL_OK)
        r = read_times(command, arguments, &filter);
    if (r == CTL_OK)
        *ret = filter;
    return r;
}

bool audit_filter_is_narrow(const struct audit_filter *f)
{
    return f->app || f->user || f->account || f->scope || f->event || f->verdict || f->has_since ||
           f->has_until;
}

void audit_filter_write(const struct audit_filter *f, struct writer *w)
{
    const struct {
        const char *key, *value;
    } texts[] = {{"app", f->app},     {"user", f->user},   {"account", f->account},
                 {"scope", f->scope}, {"event", f->event}, {"verdict", f->verdict}};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (texts[i].value)
            writer_entry_string(w, texts[i].key, texts[i].value);
    if (f->has_since)
        writer_entry_int64(w, "since", f->since_sec);
    if (f->has_until)
        writer_entry_int64(w, "until", f->until_sec);
    if (f->is_own)
        writer_entry_bool(w, "own", true);
}
