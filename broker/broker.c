/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/broker.h"
#include "autoconf.h"

#include "broker/account.h"
#include "broker/audit1.h"
#include "broker/broker-store.h"
#include "broker/consent.h"
#include "broker/limits.h"
#include "broker/peer.h"
#include "broker/policy-watch.h"
#include "broker/proving.h"
#include "broker/recheck.h"
#include "broker/reload.h"
#include "broker/server.h"
#include "broker/sink.h"
#include "broker/timer.h"
#include "broker/token.h"
#include "broker/trail.h"
#include "util/clock.h"
#include "util/log.h"

#include <signal.h>
#include <sodium.h>
#include <string.h>

/* --- policy ------------------------------------------------------------------------------------------ */

void broker_policy_changed(struct broker *broker)
{
    broker->policy_epoch++;
}

static void on_polkit_changed(void *userdata)
{
    struct broker *broker = userdata;
    broker->polkit_epoch++;
    broker_policy_changed(broker);
    recheck_start(broker);
}

/* --- the trail --------------------------------------------------------------------------------------- */

static void record_interrupted(const struct grant *grant)
{
    const struct trail_facts facts = {
        .account = grant->account->id,
        .owner = &grant->owner,
        .carried = &grant->carries,
        .detail = "refresh",
        .grant = grant->row,
    };
    trail_write(grant->broker, AUDIT_GRANT_INTERRUPTED, &facts);
}

/* A stop that could not be written, on a full disk, looks like a crash. */
static void record_start(struct broker *broker)
{
    int64_t last;
    char detail[48];
    int r = store_find_crash(broker->store, &last);
    if (r < 0)
        log_warning("how the last run ended cannot be told: %s", strerror(-r));
    if (r == 0 && last > 0) {
        log_warning("the broker had ended without having been stopped; see `lwactl audit`");
        (void)snprintf(detail, sizeof(detail), "after record %lld", (long long)last);
        trail_write(broker, AUDIT_BROKER_CRASHED, &(struct trail_facts){.detail = detail});
    }
    trail_write(broker, AUDIT_BROKER_STARTED, &(struct trail_facts){.detail = PACKAGE_VERSION});
    broker->is_recorded = true;
    broker_store_tell_key_event(broker);
    reload_record_first(broker);
}

/* --- the wall clock ---------------------------------------------------------------------------------- */

static void on_clock_set(void *userdata)
{
    struct broker *broker = userdata;
    log_info("the wall clock was set");
    renewals_clock_was_set(broker);
    reload_clock_was_set(broker); /* what is good until a time may be over, or not be good yet */
    consents_expire(broker);
}

/* Times at which it was seen right. */
static void note_clock(struct broker *broker)
{
    const struct account *account;
    const struct grant *grant;
    LIST_FOREACH (account, &broker->accounts, node)
        LIST_FOREACH (grant, &account->grants, node)
            wallclock_note(broker->wallclock, grant->refreshed_sec);
}

/* --- signals and stopping ---------------------------------------------------------------------------- */

/* A refresh that nobody waits for is work too: a provider that rotates may have ended the stored token. */
static bool is_renewing(const struct broker *broker)
{
    const struct account *account;
    const struct grant *grant;
    LIST_FOREACH (account, &broker->accounts, node)
        LIST_FOREACH (grant, &account->grants, node)
            if (renewal_is_under_way(grant))
                return true;
    LIST_FOREACH (grant, &broker->unproven, node)
        if (renewal_is_under_way(grant))
            return true;
    return false;
}

static void finish_if_idle(struct broker *broker)
{
    if (broker->is_stopping && !broker->is_finished && quotas_count(&broker->quotas, QUOTA_CALLS) == 0 &&
        !is_renewing(broker)) {
        broker->is_finished = true;
        uv_stop(broker->loop);
    }
}

void broker_work_ended(struct broker *broker)
{
    finish_if_idle(broker);
}

#define STOP_TIMEOUT_USEC (20 * USEC_PER_SEC) /* what is in flight by then is left unanswered */

static void on_stop_timeout(void *userdata)
{
    struct broker *broker = userdata;
    broker->flush_timer = NULL;
    log_warning("stopping with %u calls unanswered", quotas_count(&broker->quotas, QUOTA_CALLS));
    broker->is_finished = true;
    uv_stop(broker->loop);
}

void broker_stop(struct broker *broker, int exit_code)
{
    if (broker->is_stopping)
        return;
    broker->is_stopping = true;
    broker->exit_code = exit_code;
    notify_systemd_stopping(broker->systemd, "Finishing what is in flight");
    timer_drop(broker->flush_timer);
    broker->flush_timer = NULL;
    if (timer_start(broker->loop, STOP_TIMEOUT_USEC, on_stop_timeout, broker, &broker->flush_timer) < 0)
        log_warning("no memory for a timer; stopping waits for all calls");
    audit1_end_waits(broker);
    finish_if_idle(broker);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct broker *broker = handle->data;
    if (number == SIGHUP)
        (void)reload_all(broker, NULL); /* what is wrong is logged */
    else
        broker_stop(broker, EXIT_SUCCESS);
}

static void on_handle_closed(uv_handle_t *handle)
{
    free(handle);
}

static int watch_signals(struct broker *broker)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uv_signal_t *handle = calloc(1, sizeof(*handle));
        if (!handle)
            return -ENOMEM;
        int r = uv_signal_init(broker->loop, handle);
        if (r < 0) {
            free(handle);
            return r;
        }
        handle->data = broker;
        broker->signals[i] = handle;
        r = uv_signal_start(handle, on_signal, numbers[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- the bus ----------------------------------------------------------------------------------------- */

static void on_method_call(DBusMessage *message, void *userdata)
{
    server_handle(userdata, message);
}

static void on_name_owner_changed(struct broker *broker, DBusMessage *signal)
{
    const char *name, *old_owner, *new_owner;
    if (!dbus_message_get_args(signal, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &old_owner,
                               DBUS_TYPE_STRING, &new_owner, DBUS_TYPE_INVALID))
        return;
    bool is_unique = name[0] == ':';
    if (is_unique && old_owner[0] == '\0')
        appeared_add(&broker->appeared, name, boottime_usec());
    if (is_unique && new_owner[0] == '\0') {
        appeared_remove(&broker->appeared, name);
        peer_vanished(broker, name);
    }
}

static void on_bus_signal(DBusMessage *signal, void *userdata)
{
    struct broker *broker = userdata;
    /* Broadcasts reach us by our match rules, which name the sender. A signal that is addressed to us needs
     * no rule, so anyone can send one that looks like the bus's own. */
    if (dbus_message_get_destination(signal))
        return;
    if (dbus_message_is_signal(signal, DBUS_INTERFACE_DBUS, "NameOwnerChanged"))
        on_name_owner_changed(broker, signal);
    polkit_on_signal(broker->polkit, signal);
}

static void on_bus_lost(void *userdata)
{
    struct broker *broker = userdata;
    log_error("the message bus is gone; stopping, to be started again");
    /* Nobody is left to answer; but a refresh that was begun is ended and stored. */
    broker_stop(broker, EXIT_FAILURE);
    broker->exit_code = EXIT_FAILURE; /* also when it was stopping already */
    peers_free(broker);
    finish_if_idle(broker);
}

/* --- start ------------------------------------------------------------------------------------------- */

/* What a crash left behind: an interrupted refresh is said on the trail, an unproven login is proven. */
static void resume(struct broker *broker)
{
    struct account *account;
    struct grant *grant;
    LIST_FOREACH (account, &broker->accounts, node)
        LIST_FOREACH (grant, &account->grants, node)
            if (grant->is_intent_open && !grant->is_dead)
                record_interrupted(grant);
    LIST_FOREACH (grant, &broker->unproven, node)
        if (proving_start(grant, NULL, NULL, NULL) < 0)
            log_warning("grant %lld: no memory to prove it", (long long)grant->row);
}

#define NAME_OWNER_CHANGED                                                                                   \
    "type='signal',sender='" DBUS_SERVICE_DBUS "',interface='" DBUS_INTERFACE_DBUS                           \
    "',member='NameOwnerChanged'"

static int connect_bus(struct broker *broker)
{
    static const struct bus_handlers handlers = {on_method_call, on_bus_signal, on_bus_lost};
    int r = bus_open(broker->loop, broker->options.bus_address, &handlers, broker, &broker->bus);
    if (r < 0) {
        log_error("the message bus cannot be reached; is it running, and --bus-address right?");
        return r;
    }
    r = bus_add_match(broker->bus, NAME_OWNER_CHANGED ",arg1=''"); /* who comes */
    if (r == 0)
        r = bus_add_match(broker->bus, NAME_OWNER_CHANGED ",arg2=''"); /* who goes */
    if (r == 0)
        r = polkit_new(broker->loop, broker->bus, on_polkit_changed, broker, &broker->polkit);
    if (r < 0)
        return r;
    return reload_apply(broker);
}

static void on_flush(void *userdata)
{
    struct broker *broker = userdata;
    broker->flush_timer = NULL;
    tokens_prune(broker);
    tokens_flush_repeats(broker);
    denials_flush(broker);
    quotas_prune(&broker->quotas, boottime_usec());
    if (timer_start(broker->loop, LIMIT_REPEATS_FLUSH_SEC * USEC_PER_SEC, on_flush, broker,
                    &broker->flush_timer) < 0)
        log_warning("no memory for a timer; repeated deliveries are counted when the broker stops");
}

static void on_identd_lost(void *userdata)
{
    log_error("lwa-identd has ended: nobody can be identified; stopping, to be started again");
    broker_stop(userdata, EXIT_FAILURE);
}

static int connect_systemd(struct broker *broker)
{
    int r = notify_systemd_new(broker->loop, &broker->options.systemd, &broker->systemd);
    if (r < 0)
        log_error("NOTIFY_SOCKET names no socket that can be told how it goes: %s", strerror(-r));
    return r;
}

static int connect_identd(struct broker *broker)
{
    int fd = broker->options.identd_fd;
    return fd < 0 ? 0 : identd_link_new(broker->loop, fd, on_identd_lost, broker, &broker->identd);
}

void broker_tell_ready(const struct broker *broker)
{
    char status[160];
    size_t n = table_count_problems(broker->table) + (broker->config_problem.file ? 1 : 0);
    (void)snprintf(status, sizeof(status), "Serving, with %zu sections in grants.d%s%s",
                   table_count_sections(broker->table), n > 0 ? "; files with mistakes: see the log" : "",
                   broker->config_problem.file ? ", the configuration is the one before" : "");
    notify_systemd_ready(broker->systemd, status);
}

static int take_name(struct broker *broker)
{
    int r = bus_request_name(broker->bus, LWA_BUS_NAME);
    if (r == -EEXIST)
        log_error("another broker owns %s on this bus", LWA_BUS_NAME);
    else if (r < 0)
        log_error("the bus does not let this user own %s; is its policy file installed?", LWA_BUS_NAME);
    return r;
}

void broker_init(struct broker *broker, uv_loop_t *loop)
{
    memset(broker, 0, sizeof(*broker));
    broker->loop = loop;
    broker->started_usec = boottime_usec();
    broker->run_id = randombytes_random();
    list_init(&broker->accounts);
    for (size_t i = 0; i < ARRAY_SIZE(broker->owned); i++)
        list_init(&broker->owned[i]);
    list_init(&broker->unproven);
    list_init(&broker->tokens);
    list_init(&broker->identity.waiting);
    broker->identity.own_uid = geteuid();
    list_init(&broker->peers_by_use);
    records_init(&broker->records);
    list_init(&broker->audit_waits);
    provider_init(&broker->provider);
    prompt_turns_init(&broker->prompt_turns);
}

int broker_start(struct broker *broker, uv_loop_t *loop, const struct broker_options *options)
{
    broker_init(broker, loop);
    broker->options = *options;
    int r = reload_first(broker);
    if (r < 0)
        return r;
    quotas_init(&broker->quotas, &broker->config->limits);
    r = broker_store_open(broker);
    if (r == 0)
        r = broker_store_load(broker);
    if (r < 0)
        return r;
    r = sink_new(loop, &broker->records, broker->config->audit_forward, &broker->sink);
    if (r == 0)
        r = wallclock_new(loop, on_clock_set, broker, &broker->wallclock);
    if (r < 0)
        return r;
    note_clock(broker);
    r = connect_systemd(broker);
    if (r < 0)
        return r;
    struct http_options http_options = reload_http_options(broker->config);
    r = http_new(loop, &http_options, &broker->http);
    if (r == 0)
        r = connect_identd(broker);
    if (r == 0)
        r = connect_bus(broker);
    if (r == 0)
        r = watch_signals(broker);
    if (r == 0)
        r = reload_watch(broker);
    if (r < 0)
        return r;
    record_start(broker);
    resume(broker);
    consents_expire(broker);
    on_flush(broker);
    r = take_name(broker);
    if (r < 0)
        return r;
    log_info("serving %s with %zu sections in grants.d", LWA_BUS_NAME, table_count_sections(broker->table));
    broker_tell_ready(broker);
    return 0;
}

int broker_run(struct broker *broker)
{
    while (!broker->is_finished)
        (void)uv_run(broker->loop, UV_RUN_DEFAULT);
    return broker->exit_code;
}

/* What hangs from callers first, then what the store still writes, then what its callbacks pointed at. */
void broker_free(struct broker *broker)
{
    peers_free(broker);
    identd_link_free(broker->identd);
    accounts_free(broker);
    if (broker->store) {
        tokens_flush_repeats(broker);
        denials_flush(broker);
    }
    denials_free(broker);
    if (broker->is_recorded)
        trail_write(broker, AUDIT_BROKER_STOPPED, &(struct trail_facts){.detail = ""});
    store_close(broker->store);
    sink_free(broker->sink);
    tokens_free(broker);
    recheck_free(broker->recheck);
    polkit_free(broker->polkit);
    if (broker->bus)
        bus_flush(broker->bus);
    bus_close(broker->bus);
    http_free(broker->http);
    wallclock_free(broker->wallclock);
    notify_systemd_free(broker->systemd);
    policy_watch_free(broker->policy_watch);
    timer_drop(broker->flush_timer);
    appeared_clear(&broker->appeared);
    timer_drop(broker->consent_timer);
    quotas_free(&broker->quotas);
    for (size_t i = 0; i < ARRAY_SIZE(broker->signals); i++)
        if (broker->signals[i])
            uv_close((uv_handle_t *)broker->signals[i], on_handle_closed);
    table_free(broker->table);
    catalogue_free(broker->catalogue);
    config_free(broker->config);
    config_problem_clear(&broker->config_problem);
}
