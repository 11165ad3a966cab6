/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is missing, and what to do about it: for each scope that is refused or to be asked for, where that
 * comes from and what changes it; then for the login. */

#include "broker/consent.h"
#include "broker/explain.h"
#include "policy/table.h"
#include "util/clock.h"
#include "util/utf8.h"

#include <stdarg.h>
#include <string.h>

#define SENTENCE_MAX 2048

static int say(struct strv *ret, const char *format, ...) _printf_(2, 3) _must_check_;
static int say(struct strv *ret, const char *format, ...)
{
    char sentence[SENTENCE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    utf8_scrub(sentence); /* cut off, perhaps */
    return strv_contains(ret, sentence) ? 0 : strv_add(ret, sentence);
}

static const char *name_of(const struct explain *e, int scope)
{
    return catalogue_get(e->call->broker->catalogue, scope)->name;
}

static char *join(const struct explain *e, struct scope_set scopes)
{
    const struct catalogue *c = e->call->broker->catalogue;
    return catalogue_join(c, catalogue_reduce(c, scopes));
}

static const struct account *account_of(const struct explain *e)
{
    return e->get_token.account;
}

static bool is_device(const struct explain *e)
{
    return account_of(e) && account_of(e)->owner.device;
}

/* --- why one scope is not allowed -------------------------------------------------------------------- */

static int advise_table(const struct explain *e, int scope, const struct table_finding *f, struct strv *ret)
{
    const char *name = name_of(e, scope);
    switch (f->source) {
    case TABLE_MALFORMED:
        return say(ret,
                   "%s:%u: this file has a mistake, so all that it would give %s is denied; mend it, then: "
                   "lwactl reload",
                   f->place.file, f->place.line, e->app);
    case TABLE_UNREADABLE:
        return say(ret, "%s cannot be read, and may have denied %s; see `lwactl policy check`.",
                   f->place.file, name);
    case TABLE_ENTRY:
        return say(ret, "%s:%u: [%s] says deny for %s; that is final until an administrator changes it.",
                   f->place.file, f->place.line, f->place.section, name);
    case TABLE_FALLBACK:
    case TABLE_UNLISTED:
        break;
    }
    if (f->unmet != TABLE_CONDITION_NONE)
        return say(ret, "%s:%u: [%s] speaks of %s but does not count here: its condition `%s` is not met.",
                   f->unmet_place.file, f->unmet_place.line, f->unmet_place.section, name,
                   table_condition_name(f->unmet));
    return say(ret,
               "No file of grants.d gives %s to %s, and the default is deny; to give it, an administrator "
               "adds to a file in grants.d: "
               "[%s] allow = %s",
               name, e->app, e->app, name);
}

static bool is_denied_by_owner(const struct explain *e, int scope)
{
    const struct account *account = account_of(e);
    const struct consent *c = account ? consents_find(account, e->app, scope, wall_sec()) : NULL;
    return c && c->denies;
}

static int advise_denied(const struct explain *e, int scope, struct strv *ret)
{
    struct table_finding f;
    if (is_denied_by_owner(e, scope))
        return say(
            ret, "The owner of the account denied this to %s; to take that back: lwactl consent revoke %s%s",
            e->app, e->app, is_device(e) ? " --device" : "");
    explain_find(e, scope, &f);
    return advise_table(e, scope, &f, ret);
}

static int advise_refused(const struct explain *e, int scope, struct strv *ret)
{
    const struct get_token *g = &e->get_token;
    enum verdict verdict = verdicts_get(&g->question.verdicts, scope);
    if (verdict == VERDICT_DENY)
        return advise_denied(e, scope, ret);
    if (e->facts.identity.uid == 0 && verdict == VERDICT_ASK)
        return say(ret,
                   "For programs of root only what is allowed counts, since polkit lets root do all; to give "
                   "it, an administrator adds to a file in grants.d: [%s] allow = %s",
                   e->app, name_of(e, scope));
    return say(ret,
               "A polkit rule refuses %s to %s: look for rules on the action %s in /etc/polkit-1/rules.d and "
               "/usr/share/polkit-1/rules.d.",
               name_of(e, scope), e->app, catalogue_get(e->call->broker->catalogue, scope)->action_id);
}

static int advise_each(const struct explain *e, struct scope_set scopes,
                       int (*advise)(const struct explain *, int, struct strv *), struct strv *ret)
{
    int r = 0;
    for (int i = scope_set_next(&scopes, 0); i >= 0 && r == 0; i = scope_set_next(&scopes, i + 1))
        r = advise(e, i, ret);
    return r;
}

/* --- answers ----------------------------------------------------------------------------------------- */

static int advise_no(const struct explain *e, struct strv *ret)
{
    const struct account *account = account_of(e);
    if (e->get_token.answer.result == AUTHORIZE_UNAVAILABLE)
        return say(ret, "polkit cannot be asked, and without it nothing is given out; see `lwactl status`.");
    if (account && account_is_locked(account, e->facts.identity.user) && scope_set_is_empty(e->missing))
        return say(ret, ACCOUNT_LOCKED_SENTENCE, account->id);
    return advise_each(e, e->missing, advise_refused, ret);
}

static int advise_consent(const struct explain *e, struct strv *ret)
{
    const struct authorize_answer *a = &e->get_token.answer;
    struct scope_set others = scope_set_minus(a->challenged, a->unconsented);
    _cleanup_free_ char *names = join(e, a->unconsented);
    _cleanup_free_ char *other_names = join(e, others);
    int r = names && other_names ? 0 : -ENOMEM;
    if (r == 0 && !scope_set_is_empty(a->unconsented))
        r = say(ret,
                "%s has to agree: when the app asks interactively, or now with: lwactl consent allow %s %s%s",
                is_device(e) ? "An administrator" : "The owner of the account", e->app, names,
                is_device(e) ? " --device" : "");
    if (r == 0 && !scope_set_is_empty(a->unconsented))
        r = say(ret, "Or an administrator allows it: [%s] allow = %s in a file of grants.d.", e->app, names);
    if (r == 0 && !scope_set_is_empty(others))
        r = say(ret,
                "A polkit rule wants somebody to authenticate before %s holds %s: it has to ask "
                "interactively while a polkit agent runs.",
                e->app, other_names);
    return r;
}

static int advise_login(const struct explain *e, struct strv *ret)
{
    const struct account *account = account_of(e);
    _cleanup_free_ char *names = join(e, e->get_token.asked);
    if (!names)
        return -ENOMEM;
    if (!account)
        return say(ret,
                   "Nobody has logged in: lwactl login %s (or, for all users of this device: lwactl login "
                   "--device %s)",
                   names, names);
    if (e->result == BUS_E_NARROWER_LOGIN_REQUIRED)
        return say(ret,
                   "Every login that would serve may carry more than %s may hold; log in with fewer scopes: "
                   "lwactl login %s%s",
                   e->app, is_device(e) ? "--device " : "", names);
    return say(ret, "No login of account %s that works carries this; log in: lwactl login %s%s", account->id,
               is_device(e) ? "--device " : "", names);
}

int explain_advise(const struct explain *e, struct strv *ret)
{
    switch (e->result) {
    case BUS_OK:
        return say(ret, "Nothing is missing: GetToken gives a token of account %s.", account_of(e)->id);
    case BUS_E_ACCESS_DENIED:
        return advise_no(e, ret);
    case BUS_E_CONSENT_REQUIRED:
        return advise_consent(e, ret);
    case BUS_E_LOGIN_REQUIRED:
    case BUS_E_NARROWER_LOGIN_REQUIRED:
        return advise_login(e, ret);
    case BUS_E_NO_SUCH_ACCOUNT:
        return say(ret, "The user of %s has no account %s; see `lwactl accounts`.", e->app,
                   e->get_token.account_name);
    case BUS_E_PROVIDER_MISCONFIGURED:
        return say(ret, "The login was made with another client id or provider than broker.conf names now; "
                        "log in again: lwactl login");
    default:
        return say(ret, "Ask again in a moment.");
    }
}
