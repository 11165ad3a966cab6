/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/diagnose-internal.h"

#include "broker/plan-input.h"
#include "broker/trouble.h"

#include <inttypes.h>
#include <string.h>

#define SUBJECT_SIZE 128

/* --- how they are doing ------------------------------------------------------------------------------ */

static void name_grant(const struct grant *grant, char ret[static SUBJECT_SIZE])
{
    (void)snprintf(ret, SUBJECT_SIZE, "%s of %s, grant %" PRId64,
                   grant->account ? grant->account->id : "unproven", owner_text(&grant->owner), grant->row);
}

static void suggest_login(const struct grant *grant, char *ret, size_t size)
{
    _cleanup_free_ char *scopes = catalogue_join(grant->broker->catalogue, grant->carries);
    (void)snprintf(ret, size, "`lwactl login %s--account %s %s`", grant->owner.device ? "--device " : "",
                   grant->account ? grant->account->id : "main", scopes ? scopes : "SCOPE...");
}

static void tell_grant(struct diagnosis *d, const struct grant *grant)
{
    char subject[SUBJECT_SIZE], login[4096];
    struct findings *f = &d->findings;
    const struct renewal *r = &grant->renewal;
    name_grant(grant, subject);
    suggest_login(grant, login, sizeof(login));
    if (grant->is_dead)
        findings_add(f, CHECK_LOGIN, subject, FINDING_PROBLEM, login, "is over (%s)", grant->dead_reason);
    else if (grant->account && renewal_is_foreign(grant))
        findings_add(f, CHECK_LOGIN, subject, FINDING_PROBLEM, login,
                     "was made with another client id or provider than broker.conf names now");
    else if (r->trouble != TROUBLE_NONE)
        findings_add(f, CHECK_LOGIN, subject, FINDING_WARNING,
                     "The rows `host` and `clock` say what is in the way; it is tried again by itself.",
                     "waits: %s", renewal_trouble_text(grant));
    else if (grant->is_intent_open && grant->account)
        findings_add(f, CHECK_LOGIN, subject, FINDING_NOTE, NULL,
                     "had a refresh whose answer was lost; the next one tells whether it lives");
    else
        findings_add(f, CHECK_LOGIN, subject, FINDING_OK, NULL, "%s", renewal_state_name(grant));
}

void diagnose_logins(struct diagnosis *d)
{
    const struct account *account;
    const struct grant *grant;
    bool is_any = false;
    LIST_FOREACH (account, &d->broker->accounts, node)
        LIST_FOREACH (grant, &account->grants, node) {
            is_any = true;
            tell_grant(d, grant);
        }
    if (!is_any)
        findings_add(&d->findings, CHECK_LOGIN, NULL, FINDING_NOTE, "`lwactl login SCOPE...` makes one.",
                     "nobody has logged in");
}

/* --- what nobody needs ------------------------------------------------------------------------------- */

/* All that the table gives to any app of this account, asked for or not. */
static struct scope_set needed(const struct plan_input *in)
{
    struct scope_set set = SCOPE_SET_EMPTY;
    for (size_t i = 0; i < in->names.n; i++)
        set = scope_set_union(set, scope_set_union(in->apps[i].allow, in->apps[i].ask));
    return catalogue_expand(in->broker->catalogue, set);
}

static void tell_width(struct diagnosis *d, const struct grant *grant, struct scope_set need)
{
    const struct catalogue *c = d->broker->catalogue;
    char subject[SUBJECT_SIZE], fix[512];
    struct scope_set carried = catalogue_expand(c, scope_set_union(grant->may_carry, grant->carries));
    struct scope_set extra = catalogue_reduce(c, scope_set_minus(carried, need));
    name_grant(grant, subject);
    if (scope_set_is_empty(extra)) {
        findings_add(&d->findings, CHECK_WIDTH, subject, FINDING_OK, NULL,
                     "carries nothing that no app of grants.d needs");
        return;
    }
    _cleanup_free_ char *names = catalogue_join(c, extra);
    (void)snprintf(
        fix, sizeof(fix),
        "`lwactl plan%s --account %s` says which logins the table needs; make those, and remove this "
        "account, or add the app that needs more to grants.d.",
        grant->owner.device ? " --device" : "", grant->account->id);
    findings_add(&d->findings, CHECK_WIDTH, subject, FINDING_WARNING, fix,
                 "carries more than any app of grants.d needs: %s", names ? names : "");
}

static void tell_widths(struct diagnosis *d, const struct account *account)
{
    _cleanup_(plan_input_clear) struct plan_input in = {
        .broker = d->broker, .account = account, .owner = account->owner, .id = account->id};
    int r = plan_input_collect(&in);
    if (r < 0) {
        findings_add(&d->findings, CHECK_WIDTH, account->id, FINDING_UNKNOWN,
                     "Say in the sections of grants.d which accounts they are for.",
                     "too many sections of grants.d are for this account to be compared");
        return;
    }
    struct scope_set need = needed(&in);
    for (size_t i = 0; i < in.n_grants; i++)
        tell_width(d, in.of[i], need);
}

/* Without a table every app is asked about, and may need anything. */
void diagnose_widths(struct diagnosis *d)
{
    const struct account *account;
    if (table_count_sections(d->broker->table) == 0)
        return;
    LIST_FOREACH (account, &d->broker->accounts, node)
        tell_widths(d, account);
}
