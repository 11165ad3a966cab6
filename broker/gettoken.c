/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Broker1.GetToken, the main job, as steps. Whatever a step had to wait for, the request starts over from
 * decide(): while it waited the policy, the account, the grant and the token may all have changed, and what
 * was learned is remembered where it belongs (the decision with the peer, the token with the grant, the
 * record with the token), so that starting over is cheap and the last pass waits for nothing.
 *
 *   read       the arguments                                     InvalidArgument InvalidScope
 *   identify   the caller                                        AccessDenied
 *   decide     verdict on what was asked, by table and polkit    AccessDenied ConsentRequired
 *   account    the one named, the caller's, the device's         NoSuchAccount LoginRequired
 *   grant      the one that may carry least; verdict on all      LoginRequired NarrowerLoginRequired
 *              that it may carry (I1)
 *   token      fresh enough, or renewed                          ProviderUnavailable ...
 *   disclose   a durable record first (I3)                       AuditUnavailable
 *   deliver    a fresh read-only descriptor */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/disclosure.h"
#include "broker/handlers.h"
#include "broker/limits.h"
#include "broker/notify.h"
#include "broker/peer.h"
#include "broker/schedule.h"
#include "broker/token.h"
#include "broker/verdict.h"
#include "policy/select.h"
#include "util/clock.h"

#include <string.h>

#define LIFETIME_UNKNOWN_SEC 3600 /* of Amazon's tokens, until one was seen */

struct get_token {
    struct call *call;
    struct scope_set asked;                          /* canonical */
    char account_name[LWA_ACCOUNT_ID_BYTES_MAX + 1]; /* "" when not named */
    uint32_t min_valid_sec;
    struct scope_set refused; /* extras that polkit refused: grants that may carry them are passed over */
    unsigned restarts;

    /* Of the present pass. */
    uint64_t epoch; /* of the policy that it rests on */
    struct authorize_question question;
    struct account *account;
    struct grant *grant;
    int64_t grant_row;
    const char *decided_by;

    /* What it waits for: at most one of these. */
    struct authorize_wait *authorize_wait;
    struct renewal_wait *renewal_wait;
    struct disclosure_wait *disclosure_wait;
};

static void decide(struct get_token *g);
static void choose_grant(struct get_token *g);

static void get_token_free(void *state)
{
    struct get_token *g = state;
    authorize_wait_drop(g->authorize_wait);
    renewal_wait_drop(g->renewal_wait);
    disclosure_wait_drop(g->disclosure_wait);
    free(g);
}

/* --- small things ------------------------------------------------------------------------------------ */

static struct account *find_account(struct get_token *g)
{
    return account_for_caller(g->call->broker, g->call->peer->identity.uid, g->account_name);
}

/* --- answers ----------------------------------------------------------------------------------------- */

/* The app cannot log in; who can is told that a login is missing. */
static void tell_owner(struct get_token *g)
{
    struct owner caller = {.uid = g->call->peer->identity.uid};
    const struct owner *owner = g->account ? &g->account->owner : &caller;
    notify_attention(g->call->broker, owner, g->account ? g->account->id : "", "missing");
}

/* Refuses, on the trail, with a sentence that names the scopes between its two parts. */
static void fail_scopes(struct get_token *g, enum bus_error error, const char *decided_by,
                        struct scope_set scopes, const char *before, const char *after)
{
    const struct catalogue *catalogue = g->call->broker->catalogue;
    bool is_new = denials_add(g->call->peer, &g->question, error, decided_by);
    if (is_new && (error == BUS_E_LOGIN_REQUIRED || error == BUS_E_NARROWER_LOGIN_REQUIRED))
        tell_owner(g);
    _cleanup_free_ char *names = catalogue_join(catalogue, catalogue_reduce(catalogue, scopes));
    call_fail(g->call, error, "%s%s%s", before, names ? names : "", after);
}

/* The sentence ends with the command that makes a login of the same owner. */
static void ask_for_login(struct get_token *g, enum bus_error error, const char *decided_by,
                          struct scope_set scopes, const char *sentence)
{
    char before[256];
    bool is_device = g->account && g->account->owner.device;
    (void)snprintf(before, sizeof(before), "%s: lwactl login %s", sentence, is_device ? "--device " : "");
    fail_scopes(g, error, decided_by, scopes, before, "");
}

static void fail_answer(struct get_token *g, const struct authorize_answer *answer)
{
    switch (answer->result) {
    case AUTHORIZE_NO:
        fail_scopes(g, BUS_E_ACCESS_DENIED, answer->decided_by, answer->refused, "This app may not hold ",
                    "; an administrator allows it in grants.d or by a polkit rule.");
        break;
    case AUTHORIZE_CHALLENGE:
        fail_scopes(g, BUS_E_CONSENT_REQUIRED, answer->decided_by, answer->challenged,
                    "The owner of the account must agree that this app holds ",
                    "; an administrator can allow it in grants.d or by a polkit rule.");
        break;
    default:
        fail_scopes(g, BUS_E_ACCESS_DENIED, "polkit-unavailable", SCOPE_SET_EMPTY,
                    "polkit cannot be asked, and without it nothing is given out", "; see `lwactl status`.");
        break;
    }
}

/* Goes back to the start of the pass; a world that will not stand still is not waited for. */
static void start_over(struct get_token *g)
{
    if (g->restarts++ < LIMIT_RESTARTS_PER_CALL)
        decide(g);
    else
        call_fail(g->call, BUS_E_PROVIDER_UNAVAILABLE,
                  "Logins or policy keep changing; try again in a second.");
}

/* --- deliver ----------------------------------------------------------------------------------------- */

static void write_info(struct get_token *g, struct writer *w)
{
    struct broker *broker = g->call->broker;
    const struct token *token = g->grant->token;
    uint64_t now = boottime_usec();
    uint32_t left = token->expires_usec > now ? (uint32_t)((token->expires_usec - now) / USEC_PER_SEC) : 0;
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    if (catalogue_names(broker->catalogue, token->carries, &scopes) < 0)
        w->error = -ENOMEM;

    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "token_id", token->id);
    writer_entry_string(w, "token_type", "Bearer");
    writer_entry_strv(w, "scopes", &scopes);
    writer_entry_uint64(w, "expires_at", (uint64_t)wall_sec() + left);
    writer_entry_uint32(w, "expires_in", left);
    writer_entry_string(w, "account", g->account->id);
    writer_entry_string(w, "x_api_key", broker->config->security_profile_id);
    writer_entry_string(w, "api_base", broker->config->api_base);
    writer_close(w);
}

static void deliver(struct get_token *g, struct disclosure *d)
{
    _cleanup_close_ int fd = -1;
    int r = token_open(g->grant->token, &fd);
    if (r >= 0)
        r = token_hold(g->grant->token, g->call->peer);
    if (r < 0) {
        authorize_fail(g->call, r);
        return;
    }
    disclosure_count_delivery(d);

    struct writer w;
    DBusMessage *reply = call_reply(g->call, &w);
    if (reply) {
        writer_fd(&w, fd);
        write_info(g, &w);
    }
    call_send(g->call, reply, &w);
}

/* --- disclose ---------------------------------------------------------------------------------------- */

static void on_recorded(bool is_durable, void *userdata)
{
    struct get_token *g = userdata;
    g->disclosure_wait = NULL;
    if (is_durable)
        start_over(g);
    else
        call_fail(g->call, BUS_E_AUDIT_UNAVAILABLE,
                  "The disclosure cannot be recorded, so no token is given out; see `lwactl status`.");
}

static void disclose(struct get_token *g)
{
    struct token *token = g->grant->token;
    const struct trail_facts facts = {
        .peer = g->call->peer,
        .account = g->account->id,
        .owner = &g->account->owner,
        .asked = &g->asked,
        .carried = &token->may_carry,
        .verdict = "allow",
        .decided_by = g->decided_by,
        .grant = g->grant->row,
        .token = token,
    };
    struct disclosure *d;
    int r =
        disclosure_ensure(token, &g->call->peer->identity, &facts, on_recorded, g, &d, &g->disclosure_wait);
    if (r == DISCLOSURE_ANSWERED)
        deliver(g, d);
    else if (r < 0)
        authorize_fail(g->call, r);
}

/* --- token ------------------------------------------------------------------------------------------- */

/* After a wait: is the grant that this pass chose still there, under the same policy? */
static bool is_grant_valid(struct get_token *g)
{
    struct broker *broker = g->call->broker;
    return g->epoch == broker->policy_epoch && find_account(g) == g->account && g->account &&
           grant_find(broker, g->grant_row) == g->grant && g->grant->account == g->account;
}

static void on_renewed(enum renewal_result result, void *userdata)
{
    struct get_token *g = userdata;
    g->renewal_wait = NULL;
    if (result == RENEWAL_OK || result == RENEWAL_DEAD || !is_grant_valid(g))
        start_over(g); /* dead: another grant may serve, or the grant is gone */
    else
        handlers_fail_renewal(g->call, g->grant, result);
}

static uint64_t lifetime_usec(const struct grant *grant)
{
    return grant->lifetime_usec ? grant->lifetime_usec : LIFETIME_UNKNOWN_SEC * USEC_PER_SEC;
}

static uint32_t longest_min_valid_sec(const struct grant *grant)
{
    return (uint32_t)(lifetime_usec(grant) / 2 / USEC_PER_SEC);
}

static void ensure_token(struct get_token *g)
{
    uint32_t longest = longest_min_valid_sec(g->grant);
    if (g->min_valid_sec > longest) {
        call_fail(g->call, BUS_E_INVALID_ARGUMENT,
                  "min_valid can be at most %u s, half the lifetime of this provider's tokens.", longest);
        return;
    }
    /* The configured floor gives way where tokens live so short that it would renew at every call. */
    uint64_t min_valid =
        schedule_floor_usec(lifetime_usec(g->grant), g->call->broker->config->min_valid_sec * USEC_PER_SEC);
    if (g->min_valid_sec * USEC_PER_SEC > min_valid)
        min_valid = g->min_valid_sec * USEC_PER_SEC;

    enum renewal_result result;
    int r = renewal_ensure(g->grant, min_valid, on_renewed, g, &result, &g->renewal_wait);
    if (r < 0)
        authorize_fail(g->call, r);
    else if (r == RENEWAL_ANSWERED && result == RENEWAL_OK)
        disclose(g);
    else if (r == RENEWAL_ANSWERED)
        handlers_fail_renewal(g->call, g->grant, result);
}

/* --- grant ------------------------------------------------------------------------------------------- */

static void on_extras_decided(const struct authorize_answer *answer, void *userdata)
{
    struct get_token *g = userdata;
    g->authorize_wait = NULL;
    bool is_valid = is_grant_valid(g);
    if (answer->result == AUTHORIZE_NO)
        g->refused = scope_set_union(g->refused, answer->refused);

    if (answer->result == AUTHORIZE_YES && is_valid)
        ensure_token(g);
    else if (answer->result == AUTHORIZE_NO && is_valid)
        choose_grant(g); /* not start_over(): the world stood still, and there may be many logins to try */
    else if (answer->result == AUTHORIZE_YES || answer->result == AUTHORIZE_NO)
        start_over(g);
    else
        fail_answer(g, answer);
}

/* The token may carry more than was asked: all of it must be allowed. */
static void decide_extras(struct get_token *g, struct scope_set may_carry)
{
    struct authorize_question question = g->question;
    question.scopes = may_carry;
    struct authorize_answer answer;
    int r = authorize_scopes(g->call->peer, &question, on_extras_decided, g, &answer, &g->authorize_wait);
    if (r < 0) {
        authorize_fail(g->call, r);
    } else if (r == AUTHORIZE_ANSWERED && answer.result == AUTHORIZE_YES) {
        ensure_token(g);
    } else if (r == AUTHORIZE_ANSWERED && answer.result == AUTHORIZE_NO) {
        /* Each turn refuses at least one more scope, so this ends. */
        g->refused = scope_set_union(g->refused, answer.refused);
        choose_grant(g);
    } else if (r == AUTHORIZE_ANSWERED) {
        fail_answer(g, &answer);
    }
}

static bool covers(struct broker *broker, const struct grant *grant, struct scope_set asked)
{
    return scope_set_is_subset(catalogue_expand(broker->catalogue, asked),
                               catalogue_expand(broker->catalogue, grant->carries));
}

/* The account's grants that can be used now. Notes whether one that cannot would have done. */
static size_t collect_grants(struct get_token *g, struct select_grant *ret, struct grant **ret_grants,
                             size_t max, bool *ret_foreign)
{
    size_t n = 0;
    struct grant *grant;
    *ret_foreign = false;
    LIST_FOREACH (grant, &g->account->grants, node) {
        if (grant->is_dead || n == max)
            continue;
        if (renewal_is_foreign(grant)) {
            *ret_foreign = *ret_foreign || covers(g->call->broker, grant, g->asked);
            continue;
        }
        ret_grants[n] = grant;
        ret[n++] = (struct select_grant){(uint64_t)grant->row, grant->carries, grant->may_carry,
                                         grant->token ? grant->token->expires_usec : 0};
    }
    return n;
}

static void fail_selection(struct get_token *g, int outcome, bool is_foreign, struct scope_set log_in_with)
{
    if (outcome == SELECT_E_NARROWER_LOGIN)
        ask_for_login(g, BUS_E_NARROWER_LOGIN_REQUIRED, "grant", log_in_with,
                      "Every login that would serve may carry more than this app may hold; log in with fewer "
                      "scopes");
    else if (is_foreign)
        handlers_fail_foreign(g->call, g->account);
    else
        ask_for_login(g, BUS_E_LOGIN_REQUIRED, "grant", g->asked,
                      "No login of this account carries what was asked; log in");
}

static void choose_grant(struct get_token *g)
{
    struct broker *broker = g->call->broker;
    struct select_grant choices[LIMIT_GRANTS_PER_ACCOUNT];
    struct grant *grants[LIMIT_GRANTS_PER_ACCOUNT];
    bool is_foreign;
    size_t n = collect_grants(g, choices, grants, LIMIT_GRANTS_PER_ACCOUNT, &is_foreign);

    struct verdicts verdicts = g->question.verdicts;
    verdicts.allow = scope_set_minus(verdicts.allow, g->refused);
    verdicts.ask = scope_set_minus(verdicts.ask, g->refused);
    size_t chosen;
    struct scope_set may_carry = SCOPE_SET_EMPTY; /* not set where no login covers the request */
    /* A grant has one token, as wide as the grant: no refresh asks for less, so no provider narrows it. */
    int r = select_grant(broker->catalogue, choices, n, g->asked, &verdicts, false, &chosen, &may_carry);
    if (r != 0) {
        fail_selection(g, r, is_foreign, may_carry);
        return;
    }
    g->grant = grants[chosen];
    g->grant_row = g->grant->row;
    if (scope_set_equal(may_carry, g->question.scopes))
        ensure_token(g);
    else
        decide_extras(g, may_carry);
}

/* --- account ----------------------------------------------------------------------------------------- */

static void check_account(struct get_token *g, bool may_use_device)
{
    bool is_usable = g->account && (may_use_device || !g->account->owner.device);
    if (!is_usable && g->account_name[0])
        call_fail(g->call, BUS_E_NO_SUCH_ACCOUNT, "This user has no account %s; see `lwactl accounts`.",
                  g->account_name);
    else if (!is_usable)
        fail_scopes(g, BUS_E_LOGIN_REQUIRED, "account", g->asked,
                    "Nobody has logged in; log in, with --device for all users: lwactl login ", "");
    else if (account_is_locked(g->account, g->call->peer->identity.user))
        call_fail(g->call, BUS_E_ACCESS_DENIED, ACCOUNT_LOCKED_SENTENCE, g->account->id);
    else
        choose_grant(g);
}

/* --- decide ------------------------------------------------------------------------------------------ */

static void fill_question(struct get_token *g)
{
    struct broker *broker = g->call->broker;
    struct authorize_question *q = &g->question;
    authorize_question_init(q);
    if (g->account) {
        memcpy(q->account, g->account->id, sizeof(g->account->id));
        q->owner = g->account->owner;
    }
    q->asked = g->asked;
    q->scopes = catalogue_expand(broker->catalogue, g->asked);
    verdict_of(broker, &g->call->peer->identity, g->account, &q->verdicts);
}

static void on_answer(struct get_token *g, const struct authorize_answer *answer)
{
    g->decided_by = answer->decided_by;
    if (answer->result == AUTHORIZE_YES || answer->result == AUTHORIZE_NO_DEVICE)
        check_account(g, answer->result == AUTHORIZE_YES);
    else
        fail_answer(g, answer);
}

static void on_decided(const struct authorize_answer *answer, void *userdata)
{
    struct get_token *g = userdata;
    g->authorize_wait = NULL;
    /* The answer is good for the question as it was asked. A yes that is not remembered (it rests on a
     * temporary authorisation, or no memory is configured) has to be used here: asking again would not find
     * it. */
    struct authorize_question before = g->question;
    g->account = find_account(g);
    fill_question(g);
    if (g->epoch == g->call->broker->policy_epoch && authorize_question_equal(&before, &g->question))
        on_answer(g, answer);
    else
        start_over(g);
}

static void decide(struct get_token *g)
{
    g->epoch = g->call->broker->policy_epoch;
    g->account = find_account(g);
    g->grant = NULL;
    fill_question(g);
    struct authorize_answer answer;
    int r = authorize_scopes(g->call->peer, &g->question, on_decided, g, &answer, &g->authorize_wait);
    if (r < 0)
        authorize_fail(g->call, r);
    else if (r == AUTHORIZE_ANSWERED)
        on_answer(g, &answer);
}

static void begin(struct call *call)
{
    call->peer->wants_accounts_changed = true;
    decide(call->state);
}

/* --- read -------------------------------------------------------------------------------------------- */

void broker1_get_token(struct call *call)
{
    struct scope_set asked;
    const char *account = NULL;
    dbus_uint32_t min_valid = 0;
    struct reader_option options[] = {
        {"account", DBUS_TYPE_STRING, &account, false},
        {"min_valid", DBUS_TYPE_UINT32, &min_valid, false},
    };
    if (!handlers_read_options(call, 1, options, ARRAY_SIZE(options)) ||
        !handlers_read_scopes(call, 0, &asked))
        return;
    if (account && !account_id_is_valid(account)) {
        call_fail(call, BUS_E_INVALID_ARGUMENT, "An account id is 1 to 32 of a-z, 0-9 and -.");
        return;
    }
    struct get_token *g = calloc(1, sizeof(*g));
    if (!g) {
        call_fail_no_memory(call);
        return;
    }
    g->call = call;
    g->asked = catalogue_reduce(call->broker->catalogue, asked);
    (void)snprintf(g->account_name, sizeof(g->account_name), "%s", account ? account : "");
    g->min_valid_sec = min_valid;
    call->state = g;
    call->drop_state = get_token_free;
    call_identify(call, begin);
}
