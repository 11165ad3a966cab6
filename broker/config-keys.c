/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One row per key: everything that is known of it. The check of a text belongs to its kind, and kinds write
 * into the field by its offset; a field is a char *, an unsigned, a bool or an enum verdict as the kind says.
 */

#include "broker/config-keys.h"

#include "util/edit-distance.h"

#include <stdint.h>
#include <string.h>

#define CLIENT_ID_BYTES_MAX 100 /* as Amazon's reference of the authorization request has it */
#define PROFILE_ID_PREFIX "amzn1.application."

enum kind {
    KIND_REGION,
    KIND_CLIENT_ID,
    KIND_PROFILE_ID,
    KIND_PATH,
    KIND_PATH_OR_NONE,
    KIND_URL,          /* https */
    KIND_REGIONAL_URL, /* as KIND_URL; the default is the region's */
    KIND_PROXY,
    KIND_CREDENTIAL,
    KIND_BOOL,
    KIND_SECONDS,
    KIND_COUNT,
    KIND_VERDICT,
    KIND_FORWARD,
};

struct config_key {
    const char *section;
    const char *key;
    enum kind kind;
    size_t offset;
    const char *default_text;
    const char *meaning;
    unsigned min, max; /* of a number */
};

#define FIELD(name) offsetof(struct config, name)

static const struct config_key keys[] = {
    {"provider", "region", KIND_REGION, FIELD(region), "na",
     "Where the Amazon account is: na (the Americas), eu (Europe) or fe (the Far East)."},
    {"provider", "client_id", KIND_CLIENT_ID, FIELD(client_id), "",
     "The client id of the security profile, from its \"Other devices and platforms\" tab. It has no "
     "default."},
    {"provider", "client_secret_file", KIND_PATH_OR_NONE, FIELD(client_secret_file), "",
     "File that holds the client secret, for web clients only. It must be root's, not be writable by others, "
     "and be readable by the group lwa-broker."},
    {"provider", "codepair_endpoint", KIND_REGIONAL_URL, FIELD(codepair_endpoint), CONFIG_FROM_REGION,
     "Where a user code is asked for."},
    {"provider", "token_endpoint", KIND_REGIONAL_URL, FIELD(token_endpoint), CONFIG_FROM_REGION,
     "Where tokens are obtained and refreshed."},
    {"provider", "authorize_endpoint", KIND_REGIONAL_URL, FIELD(authorize_endpoint), CONFIG_FROM_REGION,
     "Where a browser is sent to log in."},
    {"provider", "tokeninfo_endpoint", KIND_REGIONAL_URL, FIELD(tokeninfo_endpoint), CONFIG_FROM_REGION,
     "Where it is asked whose a token is."},
    {"provider", "profile_endpoint", KIND_REGIONAL_URL, FIELD(profile_endpoint), CONFIG_FROM_REGION,
     "Where the customer's profile is read."},
    {"provider", "ca_file", KIND_PATH_OR_NONE, FIELD(ca_file), "",
     "File of the certificate authorities to trust instead of the system's."},
    {"provider", "proxy", KIND_PROXY, FIELD(proxy), "",
     "Proxy for all requests to Amazon: http://, https://, socks5:// or socks5h://."},
    {"provider", "narrows_on_refresh", KIND_BOOL, FIELD(narrows_on_refresh), "no",
     "Whether a refresh that names fewer scopes gives a narrower token. Amazon is not known to do so, and no "
     "refresh names fewer yet, so the key has no effect."},
    {"provider", "connect_timeout", KIND_SECONDS, FIELD(connect_timeout_sec), "10",
     "Seconds until a connection must stand.", 1, 300},
    {"provider", "request_timeout", KIND_SECONDS, FIELD(request_timeout_sec), "60",
     "Seconds that a request may take as a whole.", 1, 600},
    {"api", "base", KIND_URL, FIELD(api_base), "https://api.music.amazon.dev/v1",
     "Base address of the API that apps are told to call."},
    {"api", "security_profile_id", KIND_PROFILE_ID, FIELD(security_profile_id), "",
     "The id of the security profile, amzn1.application.…, which apps send as x-api-key."},
    {"tokens", "refresh_margin", KIND_SECONDS, FIELD(refresh_margin_sec), "300",
     "Seconds before its end at which a token is renewed; at least twice min_valid.", 0, 3600},
    {"tokens", "min_valid", KIND_SECONDS, FIELD(min_valid_sec), "60",
     "Seconds that a token must still be good for when it is handed out.", 0, 1800},
    {"policy", "scopes_file", KIND_PATH, FIELD(scopes_file), PKGDATADIR "/scopes.conf",
     "The catalogue of scopes that comes with lwa-broker."},
    {"policy", "scopes_dir", KIND_PATH, FIELD(scopes_dir), CONFDIR "/scopes.d",
     "Folder of further catalogues."},
    {"policy", "grants_dir", KIND_PATH, FIELD(grants_dir), CONFDIR "/grants.d",
     "Folder of the table that says which app may hold which scope."},
    {"policy", "default", KIND_VERDICT, FIELD(default_verdict), "ask",
     "What holds for an app and scope that the table does not mention: ask or deny."},
    {"policy", "decision_cache_seconds", KIND_SECONDS, FIELD(decision_cache_sec), "30",
     "Seconds that a plain yes of polkit is remembered; 0 for not at all.", 0, 3600},
    {"policy", "prompt_timeout", KIND_SECONDS, FIELD(prompt_timeout_sec), "120",
     "Seconds that a person has to answer a prompt.", 5, 3600},
    {"store", "key_file", KIND_PATH, FIELD(key_file), CONFDIR "/keys/master.key",
     "File of the master key, which is made if there is none and nothing is sealed yet."},
    {"store", "key_credential", KIND_CREDENTIAL, FIELD(key_credential), "",
     "Name of the systemd credential that holds the master key, instead of the file."},
    {"store", "previous_key_file", KIND_PATH_OR_NONE, FIELD(previous_key_file), "",
     "Key file that the logins were sealed with before."},
    {"store", "previous_key_credential", KIND_CREDENTIAL, FIELD(previous_key_credential), "",
     "Systemd credential that the logins were sealed with before."},
    {"audit", "keep_days", KIND_COUNT, FIELD(audit_keep_days), "365",
     "Days that records of the audit trail are kept; 0 for ever.", 0, 36500},
    {"audit", "max_megabytes", KIND_COUNT, FIELD(audit_max_megabytes), "256",
     "Size of the database, in MiB, above which the oldest records are removed earlier; 0 for no bound.", 0,
     1048576},
    {"audit", "epoch_seconds", KIND_SECONDS, FIELD(audit_epoch_sec), "900",
     "Seconds after which what was recorded is sealed for good: who takes over the machine later cannot "
     "alter it "
     "unnoticed.",
     10, 86400},
    {"audit", "forward", KIND_FORWARD, FIELD(audit_forward), "auto",
     "Where each record also goes: journal, syslog, auto (the journal where there is one, else syslog) or "
     "none."},
#define LIMIT_KEY(name, value, least, most, meaning)                                                         \
    {"limits", #name, KIND_COUNT, FIELD(limits.name), #value, meaning, least, most},
    LIMITS_CONFIGURED(LIMIT_KEY)
#undef LIMIT_KEY
};

_Static_assert(ARRAY_SIZE(keys) <= CONFIG_KEYS_MAX, "arrays by key have this many members");

static bool is_number(enum kind kind)
{
    return kind == KIND_SECONDS || kind == KIND_COUNT;
}

size_t config_count_keys(void)
{
    return ARRAY_SIZE(keys);
}

struct config_key_info config_get_key(size_t i)
{
    return (struct config_key_info){
        .section = keys[i].section,
        .key = keys[i].key,
        .default_text = keys[i].default_text,
        .meaning = keys[i].meaning,
        .is_number = is_number(keys[i].kind),
        .min = keys[i].min,
        .max = keys[i].max,
    };
}

size_t config_key_index(const struct config_key *key)
{
    return (size_t)(key - keys);
}

/* --- names ------------------------------------------------------------------------------------------- */

int config_section_check(const char *section, struct ini_problem *problem)
{
    const char *nearest = keys[0].section;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(keys[i].section, section) == 0)
            return 0;
        if (edit_distance(keys[i].section, section) < edit_distance(nearest, section))
            nearest = keys[i].section;
    }
    return ini_refuse(problem, "unknown section [%.40s]; the nearest is [%s]", section, nearest);
}

const struct config_key *config_key_find(const char *section, const char *key, struct ini_problem *problem)
{
    /* A key of another section is nearer than any misspelling. */
    const struct config_key *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        size_t distance = edit_distance(keys[i].key, key);
        bool same_section = strcmp(keys[i].section, section) == 0;
        if (distance == 0 && same_section)
            return &keys[i];
        distance = 2 * distance + (same_section ? 0 : 1);
        if (distance < least) {
            least = distance;
            nearest = &keys[i];
        }
    }
    if (nearest)
        (void)ini_refuse(problem, "unknown key \"%.40s\" in [%s]; the nearest is \"%s\" in [%s]", key,
                         section, nearest->key, nearest->section);
    return NULL;
}

/* --- kinds ------------------------------------------------------------------------------------------- */

struct region {
    const char *name;
    const char *token_host;
    const char *authorize_url;
};

/* The hosts of Amazon's SDKs. For linking by code only api.amazon.com is documented and used, for all
 * marketplaces: the customer is sent to his own marketplace's page by the address that comes back. So that
 * host stands for every region. */
#define CODEPAIR_URL "https://api.amazon.com/auth/o2/create/codepair"

static const struct region regions[] = {
    {"na", "https://api.amazon.com", "https://www.amazon.com/ap/oa"},
    {"eu", "https://api.amazon.co.uk", "https://eu.account.amazon.com/ap/oa"},
    {"fe", "https://api.amazon.co.jp", "https://apac.account.amazon.com/ap/oa"},
};

static const struct region *find_region(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
        if (strcmp(regions[i].name, name) == 0)
            return &regions[i];
    return NULL;
}

static bool is_printable(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p <= 0x20 || *p > 0x7E)
            return false;
    return true;
}

static const char *check_client_id(const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n > CLIENT_ID_BYTES_MAX || !is_printable(text))
        return "must be 1 to 100 printable characters without blanks";
    if (strncmp(text, PROFILE_ID_PREFIX, strlen(PROFILE_ID_PREFIX)) == 0)
        return "is a security profile id: the client id starts with amzn1.application-oa2-client.";
    return NULL;
}

static const char *check_profile_id(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (text[0] == '\0')
        return NULL;
    if (strncmp(text, "amzn1.application-oa2-client.", 29) == 0)
        return "is a client id: the security profile id starts with amzn1.application.";
    size_t n = strlen(PROFILE_ID_PREFIX);
    if (strncmp(text, PROFILE_ID_PREFIX, n) != 0 || text[n] == '\0' || text[n + strspn(text + n, allowed)])
        return "must look like amzn1.application.…";
    return NULL;
}

static const char *check_path(const char *text)
{
    return text[0] == '/' ? NULL : "must be an absolute path";
}

/* The port, from the colon on, of the authority that ends at `end`. */
static bool port_is_valid(const char *colon, const char *end)
{
    unsigned port = 0;
    if (colon == end)
        return true;
    for (const char *p = colon + 1; p < end; p++) {
        if (*p < '0' || *p > '9' || port > 65535)
            return false;
        port = port * 10 + (unsigned)(*p - '0');
    }
    return *colon == ':' && port > 0 && port <= 65535;
}

/* A host or a bracketed address, and perhaps a port. */
static bool authority_is_valid(const char *text, size_t n)
{
    static const char host[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    static const char address[] = "0123456789abcdefABCDEF:.";
    const char *end = text + n;
    if (n > 0 && text[0] == '[') {
        size_t length = strspn(text + 1, address);
        return length > 0 && text[1 + length] == ']' && port_is_valid(text + 2 + length, end);
    }
    size_t length = strspn(text, host);
    return length > 0 && length <= n && port_is_valid(text + length, end);
}

static const char *check_url(const char *text)
{
    static const char scheme[] = "https://";
    if (strncmp(text, scheme, strlen(scheme)) != 0)
        return "must start with https://";
    if (!is_printable(text) || strpbrk(text, "?#\"<>\\^`{|}"))
        return "must be a plain address without query or fragment";
    const char *authority = text + strlen(scheme);
    if (!authority_is_valid(authority, strcspn(authority, "/")))
        return "must name a host, perhaps with a port, and no user";
    return NULL;
}

static const char *check_proxy(const char *text)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    if (text[0] == '\0')
        return NULL;
    if (!is_printable(text))
        return "must not hold blanks or characters beyond ASCII";
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(text, schemes[i], n) != 0)
            continue;
        const char *authority = text + n;
        const char *end = authority + strcspn(authority, "/");
        const char *at = memrchr(authority, '@', (size_t)(end - authority));
        authority = at ? at + 1 : authority;
        return authority_is_valid(authority, (size_t)(end - authority)) ? NULL : "must name a host";
    }
    return "must start with http://, https://, socks5:// or socks5h://";
}

static const char *check_credential(const char *text)
{
    if (strlen(text) > 255 || !is_printable(text) || strchr(text, '/') || text[0] == '.')
        return "must be a plain name, as in LoadCredential=";
    return NULL;
}

static int find_forward(const char *text)
{
    static const char *const names[] = {[AUDIT_FORWARD_AUTO] = "auto",
                                        [AUDIT_FORWARD_JOURNAL] = "journal",
                                        [AUDIT_FORWARD_SYSLOG] = "syslog",
                                        [AUDIT_FORWARD_NONE] = "none"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], text) == 0)
            return (int)i;
    return -1;
}

static const char *check_text(enum kind kind, const char *text)
{
    switch (kind) {
    case KIND_REGION:
        return find_region(text) ? NULL : "must be na, eu or fe";
    case KIND_CLIENT_ID:
        return check_client_id(text);
    case KIND_PROFILE_ID:
        return check_profile_id(text);
    case KIND_PATH:
        return check_path(text);
    case KIND_PATH_OR_NONE:
        return text[0] ? check_path(text) : NULL;
    case KIND_URL:
    case KIND_REGIONAL_URL:
        return check_url(text);
    case KIND_PROXY:
        return check_proxy(text);
    case KIND_CREDENTIAL:
        return check_credential(text);
    case KIND_BOOL:
        return strcmp(text, "yes") == 0 || strcmp(text, "no") == 0 ? NULL : "must be yes or no";
    case KIND_VERDICT:
        return strcmp(text, "ask") == 0 || strcmp(text, "deny") == 0 ? NULL : "must be ask or deny";
    case KIND_FORWARD:
        return find_forward(text) >= 0 ? NULL : "must be auto, journal, syslog or none";
    case KIND_SECONDS:
    case KIND_COUNT:
        return NULL;
    }
    return NULL;
}

static bool parse_number(const struct config_key *key, const char *text, unsigned *ret)
{
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 9 || text[n] != '\0')
        return false;
    unsigned value = (unsigned)strtoul(text, NULL, 10);
    if (value < key->min || value > key->max)
        return false;
    *ret = value;
    return true;
}

static int set_string(char **field, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static bool is_string(enum kind kind)
{
    return kind != KIND_BOOL && kind != KIND_VERDICT && kind != KIND_FORWARD && !is_number(kind);
}

int config_key_set(struct config *c, const struct config_key *key, const char *text,
                   struct ini_problem *problem)
{
    void *field = (char *)c + key->offset;
    const char *reason = check_text(key->kind, text);
    if (reason)
        return ini_refuse(problem, "%s %s", key->key, reason);
    if (is_string(key->kind))
        return set_string(field, text);

    if (key->kind == KIND_BOOL)
        *(bool *)field = strcmp(text, "yes") == 0;
    else if (key->kind == KIND_VERDICT)
        *(enum verdict *)field = strcmp(text, "ask") == 0 ? VERDICT_ASK : VERDICT_DENY;
    else if (key->kind == KIND_FORWARD)
        *(enum audit_forward *)field = (enum audit_forward)find_forward(text);
    else if (!parse_number(key, text, field))
        return ini_refuse(problem, "%s must be a whole number %sfrom %u to %u", key->key,
                          key->kind == KIND_SECONDS ? "of seconds " : "", key->min, key->max);
    return 0;
}

/* --- defaults ---------------------------------------------------------------------------------------- */

static int set_joined(char **field, const char *host, const char *path)
{
    char *joined;
    if (asprintf(&joined, "%s%s", host, path) < 0)
        return -ENOMEM;
    free(*field);
    *field = joined;
    return 0;
}

static int set_regional_default(struct config *c, const struct config_key *key)
{
    /* The region itself is checked when it is set, and stands before the endpoints in the table. */
    const struct region *region = find_region(c->region);
    if (!region)
        return -EINVAL;
    switch (key->offset) {
    case FIELD(codepair_endpoint):
        return set_string(&c->codepair_endpoint, CODEPAIR_URL);
    case FIELD(token_endpoint):
        return set_joined(&c->token_endpoint, region->token_host, "/auth/o2/token");
    case FIELD(authorize_endpoint):
        return set_string(&c->authorize_endpoint, region->authorize_url);
    case FIELD(tokeninfo_endpoint):
        return set_joined(&c->tokeninfo_endpoint, region->token_host, "/auth/o2/tokeninfo");
    case FIELD(profile_endpoint):
        return set_joined(&c->profile_endpoint, region->token_host, "/user/profile");
    }
    return -EINVAL;
}

int config_set_defaults(struct config *c, const bool *is_set)
{
    struct ini_problem unused;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (is_set[i])
            continue;
        int r;
        if (keys[i].kind == KIND_REGIONAL_URL)
            r = set_regional_default(c, &keys[i]);
        else if (keys[i].kind == KIND_CLIENT_ID) /* has no default: the caller refuses its absence */
            r = set_string(&c->client_id, "");
        else
            r = config_key_set(c, &keys[i], keys[i].default_text, &unused);
        if (r != 0)
            return r < 0 ? r : -EINVAL;
    }
    return 0;
}

void config_clear_fields(struct config *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (is_string(keys[i].kind))
            free(*(char **)((char *)c + keys[i].offset));
    secret_free(c->client_secret);
    *c = (struct config){0};
}
