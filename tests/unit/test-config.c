/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/config.h"
#include "util/file.h"
#include "util/utf8.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Every test has a folder of its own, with broker.conf and broker.conf.d in it. */
static char dir[64];
static char main_file[128];
static char drop_ins[128];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/lwa-test-config-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(main_file, sizeof(main_file), "%s/broker.conf", dir);
    (void)snprintf(drop_ins, sizeof(drop_ins), "%s/broker.conf.d", dir);
    return mkdir(drop_ins, 0755);
}

static void empty(const char *folder)
{
    _cleanup_strv_ struct strv paths = STRV_EMPTY;
    assert_int_equal(file_list(folder, "", 1000, &paths), 0);
    for (size_t i = 0; i < paths.n; i++)
        (void)unlink(paths.items[i]);
}

static int teardown(void **state)
{
    (void)state;
    empty(drop_ins);
    empty(dir);
    return rmdir(drop_ins) == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static const char *in_dir(const char *name)
{
    static char path[192];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

#define CLIENT "[provider]\nclient_id = amzn1.application-oa2-client.0123\n"

static struct config *load(void)
{
    struct config *c = NULL;
    struct config_problem problem = {0};
    int r = config_load(main_file, &c, &problem);
    if (r != 0)
        fail_msg("%d %s:%u: %s", r, problem.file, problem.problem.line, problem.problem.reason);
    return c;
}

static void assert_refused(const char *file, unsigned line, const char *reason)
{
    struct config *c = NULL;
    struct config_problem problem = {0};
    assert_int_equal(config_load(main_file, &c, &problem), CONFIG_E_MALFORMED);
    assert_null(c);
    if (!strstr(problem.problem.reason, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, problem.problem.reason);
    assert_string_equal(problem.file, file);
    assert_int_equal(problem.problem.line, line);
    config_problem_clear(&problem);
}

static void test_defaults(void **state)
{
    (void)state;
    put(main_file, CLIENT);
    _cleanup_(config_freep) struct config *c = load();
    assert_string_equal(c->region, "na");
    assert_string_equal(c->client_id, "amzn1.application-oa2-client.0123");
    assert_string_equal(c->client_secret_file, "");
    assert_null(c->client_secret);
    assert_string_equal(c->ca_file, "");
    assert_string_equal(c->proxy, "");
    assert_false(c->narrows_on_refresh);
    assert_int_equal(c->connect_timeout_sec, 10);
    assert_int_equal(c->request_timeout_sec, 60);
    assert_string_equal(c->api_base, "https://api.music.amazon.dev/v1");
    assert_string_equal(c->security_profile_id, "");
    assert_int_equal(c->refresh_margin_sec, 300);
    assert_int_equal(c->min_valid_sec, 60);
    assert_int_equal(c->default_verdict, VERDICT_ASK);
    assert_int_equal(c->decision_cache_sec, 30);
    assert_int_equal(c->prompt_timeout_sec, 120);
    assert_string_equal(c->scopes_file, PKGDATADIR "/scopes.conf");
    assert_string_equal(c->scopes_dir, CONFDIR "/scopes.d");
    assert_string_equal(c->grants_dir, CONFDIR "/grants.d");
    assert_string_equal(c->key_file, CONFDIR "/keys/master.key");
    assert_string_equal(c->key_credential, "");
    assert_int_equal(c->limits.calls, 4096);
    assert_int_equal(c->limits.calls_per_connection, 256);
    assert_int_equal(c->limits.app_rate, 300);
    assert_int_equal(c->limits.uid_burst, 2000);
    assert_int_equal(c->limits.grant_report_interval, 10);
}

static void test_regions(void **state)
{
    (void)state;
    static const struct {
        const char *region, *host, *authorize;
    } regions[] = {
        {"na", "https://api.amazon.com", "https://www.amazon.com/ap/oa"},
        {"eu", "https://api.amazon.co.uk", "https://eu.account.amazon.com/ap/oa"},
        {"fe", "https://api.amazon.co.jp", "https://apac.account.amazon.com/ap/oa"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
        char text[512], url[128];
        (void)snprintf(text, sizeof(text),
                       CLIENT "profile_endpoint = https://localhost:8443/p\nregion = %s\n",
                       regions[i].region);
        put(main_file, text);
        _cleanup_(config_freep) struct config *c = load();
        assert_string_equal(c->codepair_endpoint, "https://api.amazon.com/auth/o2/create/codepair");
        assert_string_equal(c->authorize_endpoint, regions[i].authorize);
        (void)snprintf(url, sizeof(url), "%s/auth/o2/token", regions[i].host);
        assert_string_equal(c->token_endpoint, url);
        (void)snprintf(url, sizeof(url), "%s/auth/o2/tokeninfo", regions[i].host);
        assert_string_equal(c->tokeninfo_endpoint, url);
        assert_string_equal(c->profile_endpoint, "https://localhost:8443/p");
    }
    put(main_file, CLIENT "region = fe\n");
    _cleanup_(config_freep) struct config *c = load();
    assert_string_equal(c->profile_endpoint, "https://api.amazon.co.jp/user/profile");
}

static void test_all_keys(void **state)
{
    (void)state;
    put(in_dir("ca.pem"), "x");
    char text[2048];
    (void)snprintf(text, sizeof(text),
                   CLIENT
                   "codepair_endpoint = https://[::1]:8443/pair\nca_file = %s/ca.pem\n"
                   "proxy = http://user:word@proxy.example:3128\nnarrows_on_refresh = yes\n"
                   "connect_timeout = 1\nrequest_timeout = 600\n"
                   "[api]\nbase = https://api.example.com\nsecurity_profile_id = amzn1.application.0a-b\n"
                   "[tokens]\nrefresh_margin = 0\nmin_valid = 1800\n"
                   "[policy]\nscopes_file = /a\nscopes_dir = /b\ngrants_dir = /c\ndefault = deny\n"
                   "decision_cache_seconds = 0\nprompt_timeout = 5\n"
                   "[store]\nkey_file = /d\nkey_credential = lwa.key\n",
                   dir);
    put(main_file, text);
    _cleanup_(config_freep) struct config *c = load();
    assert_string_equal(c->codepair_endpoint, "https://[::1]:8443/pair");
    assert_string_equal(c->ca_file, in_dir("ca.pem"));
    assert_string_equal(c->proxy, "http://user:word@proxy.example:3128");
    assert_true(c->narrows_on_refresh);
    assert_int_equal(c->connect_timeout_sec, 1);
    assert_int_equal(c->request_timeout_sec, 600);
    assert_string_equal(c->api_base, "https://api.example.com");
    assert_string_equal(c->security_profile_id, "amzn1.application.0a-b");
    assert_int_equal(c->refresh_margin_sec, 0);
    assert_int_equal(c->min_valid_sec, 1800);
    assert_string_equal(c->scopes_file, "/a");
    assert_string_equal(c->scopes_dir, "/b");
    assert_string_equal(c->grants_dir, "/c");
    assert_int_equal(c->default_verdict, VERDICT_DENY);
    assert_int_equal(c->decision_cache_sec, 0);
    assert_int_equal(c->prompt_timeout_sec, 5);
    assert_string_equal(c->key_file, "/d");
    assert_string_equal(c->key_credential, "lwa.key");
}

static void test_refused_values(void **state)
{
    (void)state;
    /* Each is the third line, after a section and its first line. */
    static const struct {
        const char *section; /* with a first line */
        const char *line;
        const char *reason;
    } cases[] = {
        {CLIENT, "region = us", "na, eu or fe"},
        {CLIENT, "client_id = twice", "set again; it was set on line 2"},
        {CLIENT, "token_endpoint = http://api.amazon.com/", "https://"},
        {CLIENT, "token_endpoint =", "https://"},
        {CLIENT, "token_endpoint = HTTPS://a/", "https://"},
        {CLIENT, "token_endpoint = https://", "host"},
        {CLIENT, "token_endpoint = https:///path", "host"},
        {CLIENT, "token_endpoint = https://user@host/", "host"},
        {CLIENT, "token_endpoint = https://host:0/", "host"},
        {CLIENT, "token_endpoint = https://host:65536/", "host"},
        {CLIENT, "token_endpoint = https://host:/", "host"},
        {CLIENT, "token_endpoint = https://host:8a/", "host"},
        {CLIENT, "token_endpoint = https://[::1/", "host"},
        {CLIENT, "token_endpoint = https://[::1]x/", "host"},
        {CLIENT, "token_endpoint = https://host/?a=b", "query"},
        {CLIENT, "token_endpoint = https://host/#a", "query"},
        {CLIENT, "token_endpoint = https://host/a b", "plain"},
        {CLIENT, "token_endpoint = https://h\xC3\xB6st/", "plain"},
        {CLIENT, "ca_file = relative", "absolute"},
        {CLIENT, "ca_file = /nonexistent/ca", "no such file"},
        {CLIENT, "client_secret_file = relative", "absolute"},
        {CLIENT, "client_secret_file = /nonexistent/secret", "no such file"},
        {CLIENT, "proxy = ftp://host", "must start with"},
        {CLIENT, "proxy = host:3128", "must start with"},
        {CLIENT, "proxy = http://", "host"},
        {CLIENT, "narrows_on_refresh = maybe", "yes or no"},
        {CLIENT, "narrows_on_refresh =", "yes or no"},
        {CLIENT, "connect_timeout = 0", "from 1 to 300"},
        {CLIENT, "connect_timeout = 301", "from 1 to 300"},
        {CLIENT, "connect_timeout = -1", "from 1 to 300"},
        {CLIENT, "connect_timeout = 1.5", "from 1 to 300"},
        {CLIENT, "connect_timeout = 10s", "from 1 to 300"},
        {CLIENT, "connect_timeout =", "from 1 to 300"},
        {CLIENT, "connect_timeout = 4294967297", "from 1 to 300"},
        {CLIENT, "  continued", "one line"},
        {CLIENT, "cleint_id = x", "nearest is \"client_id\" in [provider]"},
        {CLIENT, "refresh_margin = 1", "nearest is \"refresh_margin\" in [tokens]"},
        {CLIENT, "[providers]", "nearest is [provider]"},
        {CLIENT, "[plicy]", "nearest is [policy]"},
        {CLIENT, "[archive]", "unknown section [archive]"},
        {CLIENT, "[limit]", "nearest is [limits]"},
        {"[limits]\n\n", "calls = 15", "a whole number from 16 to 65536"},
        {"[limits]\n\n", "calls = 65537", "from 16 to 65536"},
        {"[limits]\n\n", "calls = 1e3", "from 16 to 65536"},
        {"[limits]\n\n", "calls = 4294967312", "from 16 to 65536"},
        {"[limits]\n\n", "call = 100", "nearest is \"calls\" in [limits]"},
        {CLIENT, "no equals", "\"=\""},
        {"[provider]\n\n", "client_id =", "1 to 100"},
        {"[provider]\n\n", "client_id = a b", "1 to 100"},
        {"[provider]\n\n", "client_id = \xC3\xA9", "1 to 100"},
        {"[provider]\n\n", "client_id = amzn1.application.0123", "security profile id"},
        {"[api]\n\n", "security_profile_id = amzn1.application-oa2-client.0123", "is a client id"},
        {"[api]\n\n", "security_profile_id = amzn1.application.", "look like"},
        {"[api]\n\n", "security_profile_id = amzn1.application.a/b", "look like"},
        {"[api]\n\n", "security_profile_id = 0123", "look like"},
        {"[api]\n\n", "base = http://api.example.com", "https://"},
        {"[tokens]\n\n", "min_valid = 1801", "from 0 to 1800"},
        {"[policy]\n\n", "default = allow", "ask or deny"},
        {"[policy]\n\n", "grants_dir =", "absolute"},
        {"[store]\n\n", "key_credential = ../key", "plain name"},
        {"[store]\n\n", "key_credential = a/b", "plain name"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text), "%s%s\n", cases[i].section, cases[i].line);
        put(main_file, text);
        assert_refused(main_file, 3, cases[i].reason);
    }
}

/* Of every key of every section: a slip of a finger, and the right key in a wrong section. */
static void test_unknown_keys_name_the_nearest(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_count_keys(); i++) {
        const struct config_key_info key = config_get_key(i);
        char text[256], reason[256];
        (void)snprintf(reason, sizeof(reason), "the nearest is \"%s\" in [%s]", key.key, key.section);
        (void)snprintf(text, sizeof(text), "[%s]\n%sq = 1\n", key.section, key.key);
        put(main_file, text);
        assert_refused(main_file, 2, reason);
        (void)snprintf(text, sizeof(text), "[%s]\n%s = 1\n", key.section, key.key + 1);
        put(main_file, text);
        assert_refused(main_file, 2, reason);
        (void)snprintf(text, sizeof(text), "[%s]\n%s = 1\n",
                       strcmp(key.section, "api") == 0 ? "store" : "api", key.key);
        put(main_file, text);
        assert_refused(main_file, 2, reason);
        (void)snprintf(reason, sizeof(reason), "unknown section [%sq]; the nearest is [%s]", key.section,
                       key.section);
        (void)snprintf(text, sizeof(text), "[%sq]\n", key.section);
        put(main_file, text);
        assert_refused(main_file, 1, reason);
    }
}

/* A part that is allowed more than the whole: blamed is the line that was written. */
static void test_limits_that_contradict(void **state)
{
    (void)state;
    static const struct {
        const char *lines; /* the second is to blame */
        const char *reason;
    } cases[] = {
        {"calls = 5000\ncalls_per_uid = 5001\n", "calls_per_uid cannot be used: it may not be above calls"},
        {"\ncalls = 100\n", "calls cannot be used: calls_per_uid may not be above it"},
        {"\ncalls_per_connection = 2000\n",
         "calls_per_connection cannot be used: it may not be above calls_per_app"},
        {"\ncalls_per_app = 2000\n", "it may not be above calls_per_uid"},
        {"\nconnections = 100\n", "connections_per_uid may not be above it"},
        {"\napp_rate = 601\n", "it may not be above uid_rate"},
        {"\nuid_burst = 10\n", "app_burst may not be above it"},
        {"\nlogins = 3\n", "logins_per_uid may not be above it"},
        {"\nprompts_per_uid = 17\n", "it may not be above prompts"},
        {"\ngrant_report_burst = 4\n", "app_report_burst may not be above it"},
        {"\napp_report_interval = 9\n", "grant_report_interval may not be above it"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text), CLIENT "[limits]\n%s", cases[i].lines);
        put(main_file, text);
        assert_refused(main_file, 5, cases[i].reason);
    }
    put(main_file, CLIENT "[limits]\ncalls = 100\ncalls_per_uid = 100\ncalls_per_app = 100\n"
                          "calls_per_connection = 100\n");
    _cleanup_(config_freep) struct config *c = load();
    assert_int_equal(c->limits.calls_per_app, 100);
}

static void test_refused_files(void **state)
{
    (void)state;
    assert_refused(main_file, 0, "no such file");
    put(main_file, "[provider]\nregion = na\n");
    assert_refused(main_file, 0, "client_id is missing");
    put(main_file, CLIENT);
    assert_int_equal(chmod(main_file, 0666), 0);
    assert_refused(main_file, 0, "nobody else may write");
    assert_int_equal(chmod(main_file, 0644), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(main_file, 12345, 12345), 0);
        assert_refused(main_file, 0, "root owns");
        assert_int_equal(chown(main_file, 0, 0), 0);
    }

    char drop_in[192];
    (void)snprintf(drop_in, sizeof(drop_in), "%s/10-x.conf", drop_ins);
    put(drop_in, "[tokens]\nmin_valid = x\n");
    assert_refused(drop_in, 2, "min_valid");
    put(drop_in, "[tokens]\n");
    assert_int_equal(chmod(drop_in, 0622), 0);
    assert_refused(drop_in, 0, "nobody else may write");
    (void)unlink(drop_in);
    assert_int_equal(symlink(main_file, drop_in), 0);
    assert_refused(drop_in, 0, "symbolic link");
    (void)unlink(drop_in);

    for (int i = 0; i < 65; i++) {
        (void)snprintf(drop_in, sizeof(drop_in), "%s/%d.conf", drop_ins, i);
        put(drop_in, "");
    }
    assert_refused(main_file, 0, "more than 64");
}

static void test_drop_ins_in_order(void **state)
{
    (void)state;
    static const char *const files[][2] = {
        {"20-b.conf", "[tokens]\nmin_valid = 20\n"},
        {"10-a.conf", "[tokens]\nmin_valid = 10\nrefresh_margin = 10\n"},
        {"30-c.conf.off", "[tokens]\nmin_valid = 30\n"},
        {".40-d.conf", "[tokens]\nmin_valid = 40\n"},
    };
    put(main_file, CLIENT "[tokens]\nmin_valid = 1\nrefresh_margin = 1\n[policy]\nprompt_timeout = 7\n");
    char path[192];
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", drop_ins, files[i][0]);
        put(path, files[i][1]);
    }
    _cleanup_(config_freep) struct config *c = load();
    assert_int_equal(c->min_valid_sec, 20);
    assert_int_equal(c->refresh_margin_sec, 10);
    assert_int_equal(c->prompt_timeout_sec, 7);
    (void)snprintf(path, sizeof(path), "%s/.40-d.conf", drop_ins);
    (void)unlink(path);
}

static void test_client_secret(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *secret; /* NULL: refused */
    } cases[] = {
        {"amzn1.oa2-cs.v1.0123", "amzn1.oa2-cs.v1.0123"},
        {"secret\n", "secret"},
        {"secret\r\n", "secret"},
        {"", NULL},
        {"\n", NULL},
        {"two\nlines\n", NULL},
        {"a blank\n", NULL},
        {"secret\n\n", NULL},
    };
    char text[512];
    char drop_in[192];
    put(main_file, CLIENT);
    (void)snprintf(drop_in, sizeof(drop_in), "%s/s.conf", drop_ins);
    (void)snprintf(text, sizeof(text), "\n[provider]\nclient_secret_file = %s/secret\n", dir);
    put(drop_in, text);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        put(in_dir("secret"), cases[i].text);
        if (!cases[i].secret) {
            assert_refused(drop_in, 3, "one line of text");
            continue;
        }
        _cleanup_(config_freep) struct config *c = load();
        assert_int_equal(secret_size(c->client_secret), strlen(cases[i].secret));
        assert_memory_equal(secret_bytes(c->client_secret), cases[i].secret, strlen(cases[i].secret));
    }
    assert_int_equal(chmod(in_dir("secret"), 0666), 0);
    assert_refused(drop_in, 3, "nobody else may write");
}

static void test_table_of_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_count_keys(); i++) {
        struct config_key_info info = config_get_key(i);
        assert_true(info.section && info.key && info.default_text);
        assert_true(strlen(info.meaning) > 10);
        assert_true(utf8_is_valid(info.meaning, strlen(info.meaning)));
        for (size_t k = 0; k < i; k++)
            assert_false(strcmp(info.key, config_get_key(k).key) == 0 &&
                         strcmp(info.section, config_get_key(k).section) == 0);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_regions),
        TEST(test_all_keys),
        TEST(test_refused_values),
        TEST(test_refused_files),
        TEST(test_limits_that_contradict),
        TEST(test_unknown_keys_name_the_nearest),
        TEST(test_drop_ins_in_order),
        TEST(test_client_secret),
        TEST(test_table_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
