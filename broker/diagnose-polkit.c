/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* polkit is asked about ourselves, twice, with facts that are made up: a scope that the table allows, and one
 * that it denies. The shipped rule says yes and no to that, whoever the subject is. */

#include "broker/diagnose-internal.h"

#include <string.h>

#define ACTION "org.lwabroker.scope.other"

void diagnose_polkit_actions(struct diagnosis *d)
{
    const char *health = polkit_health(d->broker->polkit);
    if (strcmp(health, "ok") == 0)
        findings_add(&d->findings, CHECK_ACTIONS, NULL, FINDING_OK, NULL,
                     "polkit knows the action of every scope, each with lwa-broker as its owner");
    else
        findings_add(&d->findings, CHECK_ACTIONS, NULL, FINDING_PROBLEM,
                     "Is polkitd running, and org.lwabroker.policy in /usr/share/polkit-1/actions? Install "
                     "lwa-broker again, and restart polkitd.",
                     "%s", health);
}

static void on_denied(const struct polkit_answer *answer, void *userdata)
{
    struct diagnosis *d = userdata;
    d->denied = NULL;
    if (answer->result == POLKIT_YES)
        findings_add(&d->findings, CHECK_RULE, "deny", FINDING_WARNING,
                     "Look in /etc/polkit-1/rules.d for a rule that answers every action with YES.",
                     "polkit says yes even to what grants.d denies: the broker still refuses that, but not "
                     "what grants.d leaves open");
    diagnosis_done(d, d->wait_denied);
}

static void on_allowed(const struct polkit_answer *answer, void *userdata)
{
    struct diagnosis *d = userdata;
    d->allowed = NULL;
    if (answer->result == POLKIT_YES)
        findings_add(&d->findings, CHECK_RULE, NULL, FINDING_OK, NULL,
                     "polkit's rule answers by the broker's verdict");
    else if (answer->result == POLKIT_UNAVAILABLE)
        findings_add(&d->findings, CHECK_RULE, NULL, FINDING_PROBLEM,
                     "Start polkitd (`systemctl start polkit`); see the row `actions`.",
                     "polkit does not answer: no app gets a token");
    else
        findings_add(&d->findings, CHECK_RULE, NULL, FINDING_PROBLEM,
                     "Is 50-lwa-broker.rules in /usr/share/polkit-1/rules.d, and does a rule before it in "
                     "/etc/polkit-1/rules.d say no?",
                     "polkit does not say yes to what grants.d allows: no app gets a token");
    diagnosis_done(d, d->wait_allowed);
}

static int ask(struct diagnosis *d, const char *verdict, polkit_callback callback, struct polkit_check **ret)
{
    const struct polkit_detail details[] = {
        {"app", "lwactl-doctor"}, {"app_kind", "user"}, {"strength", "uid"},
        {"verdict", verdict},     {"table", verdict},
    };
    const char *self = bus_unique_name(d->broker->bus);
    return polkit_check(d->broker->polkit, self, d->caller->uid, ACTION, details, ARRAY_SIZE(details), 0,
                        callback, d, ret);
}

void diagnose_polkit_rule(struct diagnosis *d)
{
    static const struct polkit_answer none = {.result = POLKIT_UNAVAILABLE};
    d->wait_allowed = diagnosis_wait(d, CHECK_RULE, "");
    d->wait_denied = diagnosis_wait(d, CHECK_RULE, "deny");
    if (ask(d, "allow", on_allowed, &d->allowed) < 0)
        on_allowed(&none, d);
    if (ask(d, "deny", on_denied, &d->denied) < 0)
        on_denied(&none, d);
}
