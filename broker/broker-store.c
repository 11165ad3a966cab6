/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/broker-store.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/trail.h"
#include "util/clock.h"
#include "util/log.h"

#include <sodium.h>
#include <string.h>

static const char *explain_store(int outcome)
{
    switch (outcome) {
    case STORE_E_CORRUPT:
        return "the database is corrupt; it was left as it is: restore a copy, or move it away to begin anew";
    case STORE_E_TOO_NEW:
        return "the database was made by a later version of lwa-broker; install that one";
    case STORE_E_NO_KEY:
        return "the master key is not there, and nothing was changed; bring it back, since nothing else "
               "opens the logins";
    case STORE_E_OTHER_KEY:
        return "the logins in the database are sealed with another key, and nothing was changed; bring "
               "that one back, or name it as the previous key (previous_key_file, previous_key_credential)";
    case STORE_E_BAD_KEY:
        return "the key must be a file of 32 bytes that this user can read and nobody else can read, in a "
               "folder "
               "of this user's or root's that nobody else can write to";
    default:
        return strerror(-outcome);
    }
}

static bool is_about_key(int outcome)
{
    return outcome == STORE_E_NO_KEY || outcome == STORE_E_OTHER_KEY || outcome == STORE_E_BAD_KEY;
}

static void explain_key(const struct broker *broker, const struct key_source *source)
{
    const char *name = broker->config->key_credential;
    if (!source->credential_path)
        log_error("the key is looked for in %s ([store] key_file)", source->file);
    else if (source->credential_path[0])
        log_error("the key is looked for in the credential %s ([store] key_credential)", name);
    else
        log_error("no credential was handed over: the unit needs LoadCredential=%s:... or "
                  "LoadCredentialEncrypted=, for [store] key_credential",
                  name);
}

static void record_key(struct broker *broker)
{
    unsigned char id[KEYS_ID_BYTES];
    char detail[2 * KEYS_ID_BYTES + 1];
    store_key_id(broker->store, id);
    (void)sodium_bin2hex(detail, sizeof(detail), id, sizeof(id));
    trail_write(broker, AUDIT_KEY_CREATED, &(struct trail_facts){.detail = detail});
}

void broker_store_tell_key_event(struct broker *broker)
{
    switch (store_key_event(broker->store)) {
    case STORE_KEY_KEPT:
        break;
    case STORE_KEY_CREATED:
        log_info("made a master key, %s; back it up, apart from the database", broker->config->key_file);
        record_key(broker);
        break;
    case STORE_KEY_MOVED:
        log_info("the logins are sealed with the configured key now; take previous_key_file and "
                 "previous_key_credential out of the configuration, and remove the previous key");
        break;
    case STORE_KEY_FINISHED:
        log_info("finished a change of the key that was cut short: the new key is in place");
        break;
    }
}

/* The path of a credential; NULL when none is configured, "" when none was handed over. */
static int name_credential(const struct broker *broker, const char *name, char **ret)
{
    const char *folder = broker->options.credentials;
    char *path = NULL;
    if (name[0] && asprintf(&path, "%s%s%s", folder ? folder : "", folder ? "/" : "", folder ? name : "") < 0)
        return -ENOMEM;
    *ret = path;
    return 0;
}

static const char *none_if_empty(const char *text)
{
    return text[0] ? text : NULL;
}

/* What the options point to. */
struct places {
    char *path, *audit_key, *credential, *previous;
};

static void places_clear(struct places *p)
{
    free(p->path);
    free(p->audit_key);
    free(p->credential);
    free(p->previous);
}

static int find_places(const struct broker *broker, struct places *ret)
{
    const struct config *config = broker->config;
    if (asprintf(&ret->path, "%s/broker.db", broker->options.state_dir) < 0)
        ret->path = NULL;
    if (asprintf(&ret->audit_key, "%s/audit.key", broker->options.state_dir) < 0)
        ret->audit_key = NULL;
    int r = ret->path && ret->audit_key ? 0 : -ENOMEM;
    if (r == 0)
        r = name_credential(broker, config->key_credential, &ret->credential);
    return r < 0 ? r : name_credential(broker, config->previous_key_credential, &ret->previous);
}

static struct store_options make_options(const struct config *config, const struct places *p)
{
    return (struct store_options){
        .path = p->path,
        .key_source = {.credential_path = p->credential,
                       .file = config->key_file,
                       .previous_credential_path = p->previous,
                       .previous_file = none_if_empty(config->previous_key_file)},
        .audit_key_path = p->audit_key,
        .audit_epoch_usec = config->audit_epoch_sec * USEC_PER_SEC,
    };
}

int broker_store_check(struct broker *broker, const char **ret_why)
{
    _cleanup_(places_clear) struct places places = {NULL};
    int r = find_places(broker, &places);
    if (r == 0) {
        const struct store_options options = make_options(broker->config, &places);
        r = store_check_closed(&options);
    }
    *ret_why = r == 0 ? NULL : explain_store(r);
    return r;
}

int broker_store_open(struct broker *broker)
{
    _cleanup_(places_clear) struct places places = {NULL};
    int r = find_places(broker, &places);
    if (r < 0)
        return r;
    const struct store_options options = make_options(broker->config, &places);
    r = store_open(broker->loop, &options, &broker->store);
    if (r != 0)
        log_error("%s: %s", places.path, explain_store(r));
    if (is_about_key(r))
        explain_key(broker, &options.key_source);
    if (r == 0)
        records_follow(&broker->records, broker->store);
    return r > 0 ? -EUCLEAN : r;
}

int broker_store_load(struct broker *broker)
{
    int r = accounts_load(broker);
    if (r < 0)
        log_error("%s/broker.db: %s", broker->options.state_dir,
                  explain_store(r == -EUCLEAN || r == -EINVAL ? STORE_E_CORRUPT : r));
    return r;
}
