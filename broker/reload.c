/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/reload.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "broker/policy-watch.h"
#include "broker/sink.h"
#include "broker/token.h"
#include "broker/trail.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/utf8.h"

#include <string.h>

#define DAY_SEC 86400
#define MIB 1048576
#define ACTION_OWNER "unix-user:lwa-broker"

/* --- what is wrong ----------------------------------------------------------------------------------- */

static void log_problem(const struct config_problem *p)
{
    const char *file = p->file ? p->file : "configuration";
    if (p->problem.line == 0) /* what is wrong is no line of it */
        log_error("%s: %s", file, p->problem.reason);
    else
        log_error("%s:%u: %s", file, p->problem.line, p->problem.reason);
}

static void log_table_problems(const struct table *table)
{
    for (size_t i = 0; i < table_count_problems(table); i++) {
        const struct table_problem *p = table_get_problem(table, i);
        if (p->problem.line == 0)
            log_warning("%s: %s", p->file, p->problem.reason);
        else
            log_warning("%s:%u: %s; what this file would have granted is denied", p->file, p->problem.line,
                        p->problem.reason);
    }
}

int reload_list_problems(const struct broker *broker, struct policy_problems *ret)
{
    _cleanup_(policy_problems_clear) struct policy_problems problems = {NULL, 0};
    int r = 0;
    if (broker->config_problem.file)
        r = policy_problems_add(&problems, broker->config_problem.file, &broker->config_problem.problem);
    if (r == 0)
        r = policy_problems_add_table(&problems, broker->table);
    if (r == 0) {
        *ret = problems;
        problems = (struct policy_problems){NULL, 0};
    }
    return r;
}

/* Goes on after a mistake with what is in force instead, so that the later ones are found too. */
static int check(const struct broker *broker, struct policy_problems *problems)
{
    _cleanup_(config_freep) struct config *config = NULL;
    _cleanup_(catalogue_freep) struct catalogue *catalogue = NULL;
    _cleanup_(table_freep) struct table *table = NULL;
    _cleanup_(config_problem_clear) struct config_problem problem = {.file = NULL};
    int r = config_load(broker->options.config_path, &config, &problem);
    if (r > 0)
        r = policy_problems_add(problems, problem.file, &problem.problem);
    if (r < 0)
        return r;
    const struct config *by = config ? config : broker->config;
    config_problem_clear(&problem);
    r = policy_files_load_catalogue(by, NULL, &catalogue, &problem);
    if (r > 0)
        r = policy_problems_add(problems, problem.file, &problem.problem);
    if (r == 0)
        r = policy_files_load_table(by, catalogue ? catalogue : broker->catalogue, &table, NULL);
    return r < 0 ? r : policy_problems_add_table(problems, table);
}

int reload_check(const struct broker *broker, struct policy_problems *ret)
{
    _cleanup_(policy_problems_clear) struct policy_problems problems = {NULL, 0};
    int r = check(broker, &problems);
    if (r == 0) {
        *ret = problems;
        problems = (struct policy_problems){NULL, 0};
    }
    return r;
}

/* --- the parts that a configuration decides ---------------------------------------------------------- */

struct http_options reload_http_options(const struct config *config)
{
    return (struct http_options){
        .ca_file = config->ca_file[0] ? config->ca_file : NULL,
        .proxy = config->proxy,
        .connect_timeout_sec = config->connect_timeout_sec,
        .request_timeout_sec = config->request_timeout_sec,
    };
}

static int expect_actions(struct broker *broker)
{
    _cleanup_strv_ struct strv ids = STRV_EMPTY;
    for (unsigned i = 0; i < catalogue_count(broker->catalogue); i++) {
        const struct scope_info *info = catalogue_get(broker->catalogue, (int)i);
        if (info->listed && !strv_contains(&ids, info->action_id) && strv_add(&ids, info->action_id) < 0)
            return -ENOMEM;
    }
    static const char *const others[] = {
        "org.lwabroker.login",         "org.lwabroker.accounts.manage", "org.lwabroker.device.use",
        "org.lwabroker.keys.manage",   "org.lwabroker.audit.read",      "org.lwabroker.audit.read-own",
        "org.lwabroker.sandbox.allow", "org.lwabroker.consent",         "org.lwabroker.consent.device",
        "org.lwabroker.policy.manage",
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (strv_add(&ids, others[i]) < 0)
            return -ENOMEM;
    polkit_set_expected_actions(broker->polkit, &ids, ACTION_OWNER);
    return 0;
}

static void apply_retention(struct broker *broker)
{
    const struct retention limits = {
        .keep_sec = (int64_t)broker->config->audit_keep_days * DAY_SEC,
        .max_bytes = (int64_t)broker->config->audit_max_megabytes * MIB,
    };
    store_set_retention(broker->store, &limits);
}

int reload_apply(struct broker *broker)
{
    const struct config_limits *limits = &broker->config->limits;
    apply_retention(broker);
    quotas_set_limits(&broker->quotas, limits);
    polkit_set_limits(broker->polkit, limits->prompts, limits->prompts_per_uid);
    return expect_actions(broker);
}

/* --- reading ----------------------------------------------------------------------------------------- */

/* What changes in the folder from now on is noticed, also before its files are read. */
static void watch(struct broker *broker, const struct config *config)
{
    if (broker->policy_watch && policy_watch_set_folder(broker->policy_watch, config->grants_dir) < 0)
        log_warning("no memory to watch grants.d; changes of it count after a reload");
}

static int load(struct broker *broker, struct config **ret_config, struct catalogue **ret_catalogue,
                struct table **ret_table, struct policy_digest *ret_digest, struct config_problem *problem)
{
    _cleanup_(config_freep) struct config *config = NULL;
    _cleanup_(catalogue_freep) struct catalogue *catalogue = NULL;
    int r = config_load(broker->options.config_path, &config, problem);
    if (r == 0)
        r = policy_files_load_catalogue(config, broker->catalogue, &catalogue, problem);
    if (r != 0)
        return r;
    watch(broker, config);
    r = policy_files_load_table(config, catalogue, ret_table, ret_digest);
    if (r != 0)
        return r;
    *ret_config = TAKE_PTR(config);
    *ret_catalogue = TAKE_PTR(catalogue);
    return 0;
}

int reload_first(struct broker *broker)
{
    _cleanup_(config_problem_clear) struct config_problem problem = {.file = NULL};
    int r =
        load(broker, &broker->config, &broker->catalogue, &broker->table, &broker->table_digest, &problem);
    if (r > 0)
        log_problem(&problem);
    else if (r < 0)
        log_error("the configuration cannot be read: %s", strerror(-r));
    else
        log_table_problems(broker->table);
    return r > 0 ? -EINVAL : r;
}

/* The digest is always that of the table in force: else a change could pass for none. */
static void take_table(struct broker *broker, struct table *table, const struct policy_digest *digest)
{
    table_free(broker->table);
    broker->table = table;
    broker->table_digest = *digest;
}

static int try_all(struct broker *broker, struct config_problem *problem)
{
    _cleanup_(config_freep) struct config *config = NULL;
    _cleanup_(catalogue_freep) struct catalogue *catalogue = NULL;
    _cleanup_(table_freep) struct table *table = NULL;
    struct policy_digest digest;
    int r = load(broker, &config, &catalogue, &table, &digest, problem);
    if (r != 0)
        return r;
    struct http_options options = reload_http_options(config);
    r = http_set_options(broker->http, &options);
    if (r < 0)
        return r;

    config_free(broker->config);
    catalogue_free(broker->catalogue);
    broker->config = TAKE_PTR(config);
    broker->catalogue = TAKE_PTR(catalogue);
    take_table(broker, TAKE_PTR(table), &digest);
    return 0;
}

static int try_table(struct broker *broker)
{
    struct table *table;
    struct policy_digest digest;
    int r = policy_files_load_table(broker->config, broker->catalogue, &table, &digest);
    if (r == 0)
        take_table(broker, table, &digest);
    return r;
}

/* --- what follows ------------------------------------------------------------------------------------ */

static void await_expiry(struct broker *broker)
{
    /* While the clock is wrong all that has an end is over already: verdict.c. */
    bool is_known = wallclock_is_plausible(broker->wallclock);
    policy_watch_set_expiry(broker->policy_watch,
                            is_known ? table_next_expiry(broker->table, wall_sec()) : 0);
}

/* What was decided before may be wrong now. */
static void tell(struct broker *broker)
{
    peers_name_again(broker);
    broker_policy_changed(broker);
    tokens_revoke_denied(broker, "policy");
    await_expiry(broker);
}

static void record(struct broker *broker, const struct call *call, enum audit_event event, const char *detail)
{
    const struct trail_facts facts = {
        .peer = call ? call->peer : NULL, .request = call ? call->request : NULL, .detail = detail};
    trail_write(broker, event, &facts);
}

/* Which file and line, and not what is wrong there: that may quote the file. */
static void record_problem(struct broker *broker, const struct call *call, const char *file, unsigned line)
{
    char detail[256];
    (void)snprintf(detail, sizeof(detail) - 16, "%s", file);
    utf8_scrub(detail);
    if (line > 0)
        (void)snprintf(detail + strlen(detail), 16, ":%u", line);
    record(broker, call, AUDIT_POLICY_REJECTED, detail);
}

static void record_table(struct broker *broker, const struct call *call, const char *why)
{
    char detail[64];
    size_t n = table_count_problems(broker->table);
    for (size_t i = 0; i < n && i < LIMIT_REJECTED_RECORDED; i++) {
        const struct table_problem *p = table_get_problem(broker->table, i);
        record_problem(broker, call, p->file, p->problem.line);
    }
    if (n == 0)
        (void)snprintf(detail, sizeof(detail), "%s", why);
    else
        (void)snprintf(detail, sizeof(detail), "%s; %zu problem%s", why, n, n == 1 ? "" : "s");
    record(broker, call, AUDIT_POLICY_LOADED, detail);
}

void reload_record_first(struct broker *broker)
{
    record_table(broker, NULL, "start");
}

static void tell_table(struct broker *broker, const struct call *call, const char *why)
{
    tell(broker);
    log_table_problems(broker->table);
    record_table(broker, call, why);
    log_info("the table has %zu sections for %zu apps", table_count_sections(broker->table),
             table_count_apps(broker->table));
}

/* What was touched only, or read already, is no change. */
static int reread_table(struct broker *broker, const struct call *call, const char *why)
{
    struct policy_digest before = broker->table_digest;
    int r = try_table(broker);
    if (r < 0)
        log_error("grants.d was not read: %s; the table before stays in force", strerror(-r));
    else if (memcmp(&before, &broker->table_digest, sizeof(before)) != 0)
        tell_table(broker, call, why);
    return r;
}

static int on_files_changed(void *userdata)
{
    return reread_table(userdata, NULL, "changed");
}

static void on_expired(void *userdata)
{
    struct broker *broker = userdata;
    log_info("a section of grants.d has run out");
    tell(broker);
    record(broker, NULL, AUDIT_POLICY_LOADED, "expired");
}

int reload_watch(struct broker *broker)
{
    static const struct policy_watch_handlers handlers = {on_files_changed, on_expired};
    int r = policy_watch_new(broker->loop, &handlers, broker, &broker->policy_watch);
    if (r == 0)
        r = policy_watch_set_folder(broker->policy_watch, broker->config->grants_dir);
    if (r == 0)
        r = try_table(broker); /* what has changed since the first reading */
    if (r == 0)
        await_expiry(broker);
    return r;
}

void reload_clock_was_set(struct broker *broker)
{
    tell(broker);
}

static void tell_all(struct broker *broker, const struct call *call)
{
    sink_set_forward(broker->sink, broker->config->audit_forward);
    if (reload_apply(broker) < 0)
        log_warning("no memory to check polkit's actions");
    renewals_reconfigured(broker);
    tell_table(broker, call, "reload");
    log_info("configuration re-read");
}

static int read_all(struct broker *broker, const struct call *call)
{
    _cleanup_(config_problem_clear) struct config_problem problem = {.file = NULL};
    int r = try_all(broker, &problem);
    config_problem_clear(&broker->config_problem);
    if (r == 0) {
        tell_all(broker, call);
        return 0;
    }
    if (r > 0)
        log_problem(&problem);
    else
        log_error("the configuration cannot be read: %s", strerror(-r));
    log_error("the configuration was not re-read; the one before stays in force");
    record_problem(broker, call, problem.file ? problem.file : "unreadable", problem.problem.line);
    broker->config_problem = problem;
    problem = (struct config_problem){.file = NULL};
    int error = reread_table(broker, call, "reload");
    return error < 0 ? error : r;
}

int reload_all(struct broker *broker, const struct call *call)
{
    notify_systemd_reloading(broker->systemd);
    int r = read_all(broker, call);
    broker_tell_ready(broker);
    return r;
}
