/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/diagnose-internal.h"

#include "broker/account.h"
#include "broker/reload.h"

#include <string.h>

#define CLIENT_ID_PREFIX "amzn1.application-oa2-client."
#define ID_DIGITS 32

/* --- the files as they stand now --------------------------------------------------------------------- */

static bool is_below(const char *file, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(file, folder, n) == 0 && (file[n] == '/' || file[n] == '\0');
}

static void add_problem(struct diagnosis *d, const struct table_problem *p)
{
    bool is_table = is_below(p->file, d->broker->config->grants_dir);
    char where[DIAGNOSE_HOST_SIZE];
    if (p->problem.line > 0)
        (void)snprintf(where, sizeof(where), "%s:%u", p->file, p->problem.line);
    else
        (void)snprintf(where, sizeof(where), "%s", p->file);
    findings_add(&d->findings, is_table ? CHECK_GRANTS : CHECK_CONFIGURATION, where, FINDING_PROBLEM,
                 is_table ? "Mend the line, then `lwactl reload`; until then what the file grants is denied."
                          : "Mend it, then `lwactl reload`.",
                 "%s", p->problem.reason);
}

void diagnose_configuration(struct diagnosis *d)
{
    _cleanup_(policy_problems_clear) struct policy_problems problems = {NULL, 0};
    int r = reload_check(d->broker, &problems);
    if (r < 0) {
        findings_add(&d->findings, CHECK_CONFIGURATION, d->broker->options.config_path, FINDING_UNKNOWN,
                     "See the row `files`.", "could not be read: %s", strerrordesc_np(-r));
        return;
    }
    size_t n_before = d->findings.n;
    for (size_t i = 0; i < problems.n; i++)
        add_problem(d, &problems.items[i]);
    size_t n_others = 0;
    for (size_t i = n_before; i < d->findings.n; i++)
        n_others += strcmp(d->findings.items[i].check, CHECK_CONFIGURATION) == 0;
    if (n_others == 0)
        findings_add(&d->findings, CHECK_CONFIGURATION, d->broker->options.config_path, FINDING_OK, NULL,
                     "is well-formed, and so is the catalogue of scopes");
}

/* --- what names the client --------------------------------------------------------------------------- */

static bool is_amazon_id(const char *id)
{
    size_t n = strlen(CLIENT_ID_PREFIX);
    return strncmp(id, CLIENT_ID_PREFIX, n) == 0 && strlen(id + n) == ID_DIGITS &&
           strspn(id + n, "0123456789abcdef") == ID_DIGITS;
}

/* What the provider said of the client at some login's last refresh. */
static enum lwa_outcome last_word(const struct broker *broker)
{
    const struct account *account;
    const struct grant *grant;
    enum lwa_outcome found = LWA_OK;
    LIST_FOREACH (account, &broker->accounts, node)
        LIST_FOREACH (grant, &account->grants, node)
            if (grant->renewal.error == LWA_E_CLIENT_TYPE || grant->renewal.error == LWA_E_CLIENT)
                found = grant->renewal.error;
    return found;
}

void diagnose_client_id(struct diagnosis *d)
{
    const struct config *c = d->broker->config;
    enum lwa_outcome word = d->caller ? last_word(d->broker) : LWA_OK;
    if (word == LWA_E_CLIENT_TYPE)
        findings_add(&d->findings, CHECK_CLIENT_ID, c->client_id, FINDING_PROBLEM,
                     "Take the client id of the tab \"Other devices and platforms\" of the security profile "
                     "as [provider] client_id, and log in again.",
                     "is of a web client: Amazon asks for a secret with it");
    else if (word == LWA_E_CLIENT)
        findings_add(&d->findings, CHECK_CLIENT_ID, c->client_id, FINDING_PROBLEM,
                     "Compare [provider] client_id with the security profile in Amazon's developer console.",
                     "is refused by Amazon");
    else if (!is_amazon_id(c->client_id))
        findings_add(&d->findings, CHECK_CLIENT_ID, c->client_id, FINDING_WARNING,
                     "Compare [provider] client_id with the security profile in Amazon's developer console.",
                     "does not look like a client id: %s and %d hexadecimal digits", CLIENT_ID_PREFIX,
                     ID_DIGITS);
    else
        findings_add(&d->findings, CHECK_CLIENT_ID, c->client_id, FINDING_OK, NULL,
                     "has the form of a client id%s",
                     c->client_secret ? ", and there is a secret for it, as a web client needs" : "");
}

void diagnose_profile_id(struct diagnosis *d)
{
    const struct config *c = d->broker->config;
    if (!c->security_profile_id[0])
        findings_add(&d->findings, CHECK_PROFILE_ID, NULL, FINDING_WARNING,
                     "Set [api] security_profile_id to the id of the security profile, "
                     "amzn1.application.…, which is not the client id.",
                     "there is no Security Profile ID: apps are told no x-api-key, which the API asks for");
    else
        findings_add(&d->findings, CHECK_PROFILE_ID, c->security_profile_id, FINDING_OK, NULL,
                     "has the form of a Security Profile ID, and is not the client id");
}

/* --- the key ----------------------------------------------------------------------------------------- */

/* Whoever copies the state then copies what opens it. */
static bool is_key_in_state(const struct broker *broker)
{
    return is_below(broker->config->key_file, broker->options.state_dir);
}

void diagnose_key(struct diagnosis *d)
{
    const struct config *c = d->broker->config;
    struct findings *f = &d->findings;
    if (c->key_credential[0] && !d->broker->options.credentials)
        findings_add(f, CHECK_KEY, c->key_credential, d->caller ? FINDING_PROBLEM : FINDING_UNKNOWN,
                     "The unit needs LoadCredential= or LoadCredentialEncrypted= with this name.",
                     "is a credential, and none was handed over to this process");
    else if (c->key_credential[0])
        findings_add(f, CHECK_KEY, c->key_credential, FINDING_OK, NULL, "the key is a systemd credential");
    else if (is_key_in_state(d->broker))
        findings_add(f, CHECK_KEY, c->key_file, FINDING_WARNING,
                     "Name another file as [store] key_file, and the present one as previous_key_file.",
                     "lies in the state folder: a copy of the state is a copy of the logins");
    else
        findings_add(f, CHECK_KEY, c->key_file, FINDING_OK, NULL, "the key is a file apart from the state");
    if (!c->key_credential[0] && keys_is_staged(c->key_file))
        findings_add(f, CHECK_KEY, c->key_file, FINDING_WARNING,
                     "Make its folder writable for lwa-broker, and restart lwa-brokerd.",
                     "a new key waits beside it, in FILE.new, to take its place");
    if (c->previous_key_file[0] || c->previous_key_credential[0])
        findings_add(
            f, CHECK_KEY, "previous", FINDING_NOTE,
            "Once lwa-brokerd has started with the new key, take the previous one out of broker.conf "
            "and remove it.",
            "a previous key is configured still");
}
