/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What `lwactl audit` can be told to do: a function each, in a file of its own (audit-VERB.c). */

#include "client/lwactl/options.h"

/* Without a verb: the records, as a table. */
int audit_list(const struct command *command, const struct arguments *arguments);
/* Makes a verification secret and shows it once. */
int audit_setup(const struct command *command, const struct arguments *arguments);
int audit_matrix(const struct command *command, const struct arguments *arguments);
int audit_report(const struct command *command, const struct arguments *arguments);
/* CTL_FAILED when no record has the token. */
int audit_token(const struct command *command, const struct arguments *arguments);
/* CTL_FAILED when the trail is damaged. */
int audit_verify(const struct command *command, const struct arguments *arguments);
int audit_who_has(const struct command *command, const struct arguments *arguments);

/* The whole story of an app. */
int audit_app(const struct command *command, const struct arguments *arguments);
/* The records as JSON lines, for collectors. */
int audit_export(const struct command *command, const struct arguments *arguments);
