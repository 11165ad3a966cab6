/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/consent-record.h"

#include "broker/account.h"

#include <string.h>

static char *kind_of(const char *app)
{
    size_t n = strcspn(app, ":");
    return n == 3 && memcmp(app, "uid", 3) == 0 ? strdup("user") : strndup(app, n);
}

struct audit_record *consent_record_new(const struct account *account, enum audit_event event,
                                        const char *app, struct trail_facts facts)
{
    facts.account = account->id;
    facts.owner = &account->owner;
    _cleanup_(audit_record_freep) struct audit_record *record = trail_new(account->broker, event, &facts);
    if (!record)
        return NULL;
    record->app = strdup(app);
    record->kind = kind_of(app);
    return record->app && record->kind ? TAKE_PTR(record) : NULL;
}

struct audit_record *consent_record_change(const struct account *account, const struct consent_change *change)
{
    static const enum audit_event events[] = {
        [CONSENT_ALLOW] = AUDIT_CONSENT_GIVEN,
        [CONSENT_DENY] = AUDIT_CONSENT_REFUSED,
        [CONSENT_FORGET] = AUDIT_CONSENT_REVOKED,
    };
    static const char *const verdicts[] = {"allow", "deny", NULL};
    char detail[64];
    const char *lasts = change->answer == CONSENT_FORGET ? "" : consent_lasts_name(change->lasts);
    (void)snprintf(detail, sizeof(detail), "%s%s%s", lasts, lasts[0] && !change->scopes ? ", " : "",
                   change->scopes ? "" : "every scope");
    struct audit_record *record = consent_record_new(account, events[change->answer], change->app,
                                                     (struct trail_facts){
                                                         .asked = change->scopes,
                                                         .verdict = verdicts[change->answer],
                                                         .decided_by = consent_how_name(change->how),
                                                         .detail = detail,
                                                         .request = change->request,
                                                     });
    if (record) {
        record->uid = change->by_uid;
        record->expires_sec =
            change->answer != CONSENT_FORGET && change->lasts == CONSENT_UNTIL ? change->until_sec : 0;
    }
    return record;
}
