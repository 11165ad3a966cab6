/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which records of the trail: the options that all verbs share, and Audit1's filter that they make. */

#include "client/lwactl/options.h"
#include "dbus/writer.h"

/* What a verb with a filter takes, and what the options say. `--until` excludes the second that it names. */
#define AUDIT_FILTER_TAKES                                                                                   \
    OPTION_APP, OPTION_USER, OPTION_ACCOUNT, OPTION_SCOPE, OPTION_EVENT, OPTION_VERDICT, OPTION_SINCE,       \
        OPTION_UNTIL, OPTION_OWN
/* Of one app, which is an operand. */
#define AUDIT_STORY_TAKES OPTION_USER, OPTION_ACCOUNT, OPTION_SINCE, OPTION_UNTIL, OPTION_OWN
#define AUDIT_FILTER_SPECS                                                                                   \
    {OPTION_APP, "app", "APP", "only of this app"}, {OPTION_USER, "user", "USER", "only of this caller"},    \
        {OPTION_ACCOUNT, "account", "ID", "only of this account"},                                           \
        {OPTION_SCOPE, "scope", "SCOPE", "only where it was asked for or carried"},                          \
        {OPTION_EVENT, "event", "EVENT", "only these events, e.g. token-denied"},                            \
        {OPTION_VERDICT, "verdict", "VERDICT", "only with this verdict, e.g. allow"},                        \
        {OPTION_SINCE, "since", "WHEN", "only since then, e.g. yesterday or 2h"},                            \
        {OPTION_UNTIL, "until", "WHEN", "only until then"},                                                  \
    {                                                                                                        \
        OPTION_OWN, "own", NULL, "only records of the caller's own accounts"                                 \
    }

/* Texts are borrowed from the command line or our tables; NULL: any. */
struct audit_filter {
    const char *app, *user, *account, *scope, *event, *verdict;
    int64_t since_sec, until_sec; /* since <= time < until */
    bool has_since, has_until;
    bool is_own;
};

/* From the command line. CTL_OK, or CTL_USAGE: said, with what may have been meant. */
int audit_filter_read(const struct command *command, const struct arguments *arguments,
                      struct audit_filter *ret) _must_check_;
/* Whether it leaves out any record that `is_own` alone would not. */
bool audit_filter_is_narrow(const struct audit_filter *filter);
/* As entries of an open a{sv}. */
void audit_filter_write(const struct audit_filter *filter, struct writer *w);
