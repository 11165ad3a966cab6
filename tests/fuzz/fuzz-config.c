/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* broker.conf, in a file of its own: what is accepted keeps all that config.h and the table of keys promise,
 * what is refused is refused with a reason. Root runs it, since the file must be root's. */

#include "broker/config.h"
#include "tests/fuzz/fuzz.h"
#include "util/utf8.h"

#include <fcntl.h>

static char folder[] = "/dev/shm/lwa-fuzz-XXXXXX";
static char path[sizeof(folder) + sizeof("/broker.conf")];
static int file = -1;

static void clean_up(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

static void prepare(void)
{
    if (file >= 0)
        return;
    require(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/broker.conf", folder);
    require(atexit(clean_up) == 0);
    file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    require(file >= 0);
}

static void require_https(const char *url)
{
    require(strncmp(url, "https://", 8) == 0 && url[8] && url[8] != '/');
    for (const char *p = url; *p; p++)
        require(*p > 0x20 && *p < 0x7f);
}

static void require_number(const char *key, unsigned value)
{
    for (size_t i = 0; i < config_count_keys(); i++) {
        struct config_key_info info = config_get_key(i);
        if (strcmp(info.key, key) == 0)
            require(info.is_number && value >= info.min && value <= info.max);
    }
}

static void check(const struct config *c)
{
    require_https(c->codepair_endpoint);
    require_https(c->token_endpoint);
    require_https(c->authorize_endpoint);
    require_https(c->tokeninfo_endpoint);
    require_https(c->profile_endpoint);
    require_https(c->api_base);
    require(c->client_id[0]);
    require_printable(c->client_id, 101);
    require(c->grants_dir[0] == '/' && c->scopes_dir[0] == '/' && c->scopes_file[0] == '/');
    require(c->key_file[0] == '/' && !strchr(c->key_credential, '/'));
    require(c->default_verdict == VERDICT_ASK || c->default_verdict == VERDICT_DENY);
    require_number("connect_timeout", c->connect_timeout_sec);
    require_number("request_timeout", c->request_timeout_sec);
    require_number("refresh_margin", c->refresh_margin_sec);
    require_number("min_valid", c->min_valid_sec);
    require_number("decision_cache_seconds", c->decision_cache_sec);
    require_number("prompt_timeout", c->prompt_timeout_sec);
#define REQUIRE_LIMIT(name, ...) require_number(#name, c->limits.name);
    LIMITS_CONFIGURED(REQUIRE_LIMIT)
#undef REQUIRE_LIMIT
    require(c->limits.calls_per_app <= c->limits.calls_per_uid && c->limits.calls_per_uid <= c->limits.calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    prepare();
    require(ftruncate(file, 0) == 0 && pwrite(file, data, n, 0) == (ssize_t)n);

    _cleanup_(config_freep) struct config *c = NULL;
    struct config_problem problem = {.file = NULL};
    int r = config_load(path, &c, &problem);
    require(r == 0 || r == CONFIG_E_MALFORMED);
    if (r == 0) {
        check(c);
        return 0;
    }
    const char *reason = problem.problem.reason;
    require(!c && problem.file && reason[0] && utf8_is_valid(reason, strlen(reason)));
    require(problem.problem.line <= n + 1);
    config_problem_clear(&problem);
    return 0;
}
