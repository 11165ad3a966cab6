/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/check-main.h"

#include "broker/broker-store.h"
#include "broker/diagnose.h"
#include "broker/reload.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct check {
    struct broker broker;
    struct findings findings;
    bool is_running; /* another process is the broker */
    bool is_done;
};

/* --- what it found ----------------------------------------------------------------------------------- */

/* The texts are printable UTF-8 by now: findings.h. */
static void print_member(const char *key, const char *text, char end)
{
    (void)printf("\"%s\":\"", key);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            (void)putchar('\\');
        (void)putchar(*p);
    }
    (void)printf("\"%c", end);
}

static void print(const struct findings *f, bool *ret_has_problem)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct finding *found = &f->items[i];
        *ret_has_problem |= found->level == FINDING_PROBLEM;
        (void)putchar('{');
        print_member("check", found->check, ',');
        print_member("subject", found->subject, ',');
        print_member("level", finding_level_name(found->level), ',');
        print_member("text", found->text, ',');
        print_member("fix", found->fix, '}');
        (void)putchar('\n');
    }
}

/* --- the configuration ------------------------------------------------------------------------------- */

static bool is_unconfigured(const struct check *c, const struct config_problem *p)
{
    const char *path = c->broker.options.config_path;
    return p->file && strcmp(p->file, path) == 0 && access(path, F_OK) < 0 && errno == ENOENT;
}

static void add_problem(struct check *c, const struct config_problem *p)
{
    char where[512];
    (void)snprintf(where, sizeof(where), p->problem.line > 0 ? "%s:%u" : "%s", p->file ? p->file : "",
                   p->problem.line);
    findings_add(&c->findings, "configuration", where, FINDING_PROBLEM,
                 is_unconfigured(c, p)
                     ? "Write it, at least `client_id = ` in a section [provider]; lwa-broker.conf(5) "
                       "explains it. Then start lwa-brokerd."
                     : "Mend it, then start lwa-brokerd.",
                 "%s", p->problem.reason);
}

/* False: it is so that no broker can start, and nothing else can be looked at. */
static bool load(struct check *c)
{
    _cleanup_(config_problem_clear) struct config_problem problem = {.file = NULL};
    struct broker *b = &c->broker;
    int r = config_load(b->options.config_path, &b->config, &problem);
    if (r == 0)
        r = policy_files_load_catalogue(b->config, NULL, &b->catalogue, &problem);
    if (r == 0)
        r = policy_files_load_table(b->config, b->catalogue, &b->table, &b->table_digest);
    if (r > 0)
        add_problem(c, &problem);
    else if (r < 0)
        findings_add(&c->findings, "configuration", b->options.config_path, FINDING_PROBLEM,
                     "Let the user lwa-broker read it.", "cannot be read: %s", strerrordesc_np(-r));
    return r == 0;
}

/* --- the bus ----------------------------------------------------------------------------------------- */

static void ignore_message(DBusMessage *message _unused_, void *userdata _unused_)
{
}

static void ignore_loss(void *userdata _unused_)
{
}

/* The only way to learn whether a bus lets us own a name is to ask for it. Nobody else has it, and it is
 * given back at once. */
static void check_bus(struct check *c)
{
    static const struct bus_handlers handlers = {ignore_message, ignore_message, ignore_loss};
    struct broker *b = &c->broker;
    if (bus_open(b->loop, b->options.bus_address, &handlers, c, &b->bus) < 0) {
        findings_add(&c->findings, "bus", NULL, FINDING_PROBLEM, "Start dbus-daemon.",
                     "the broker's user cannot reach the message bus");
        return;
    }
    int r = bus_request_name(b->bus, LWA_BUS_NAME);
    c->is_running = r == -EEXIST;
    if (r == -EPERM)
        findings_add(
            &c->findings, "bus-policy", NULL, FINDING_PROBLEM,
            "Is org.lwabroker.Broker1.conf in /usr/share/dbus-1/system.d? Then `systemctl reload dbus`.",
            "the bus does not let the user lwa-broker own %s: the shipped policy is not in force",
            LWA_BUS_NAME);
    else if (r == 0)
        findings_add(&c->findings, "bus-policy", NULL, FINDING_OK, NULL,
                     "the bus lets the user lwa-broker own %s", LWA_BUS_NAME);
    bus_close(b->bus);
    b->bus = NULL;
}

/* --- the rest ---------------------------------------------------------------------------------------- */

/* A database that somebody has open is not to be opened by us. */
static void check_database(struct check *c)
{
    const char *why;
    if (c->is_running) {
        findings_add(&c->findings, "database", NULL, FINDING_UNKNOWN,
                     "`lwactl doctor` asks the broker that runs.", "a broker runs, and has it open");
        return;
    }
    if (c->broker.config->key_credential[0] && !c->broker.options.credentials) {
        findings_add(&c->findings, "database", NULL, FINDING_UNKNOWN, NULL,
                     "the key that opens it is a credential, which only the unit is handed");
        return;
    }
    int r = broker_store_check(&c->broker, &why);
    if (r == -ENOENT)
        findings_add(&c->findings, "database", NULL, FINDING_NOTE, NULL,
                     "there is none yet: the first start makes it");
    else if (r != 0)
        findings_add(&c->findings, "database", NULL, FINDING_PROBLEM, "Mend that, then start lwa-brokerd.",
                     "%s", why);
    else
        findings_add(&c->findings, "database", NULL, FINDING_OK, NULL,
                     "its pages are sound, and the key opens it");
}

static void on_findings(const struct findings *findings, void *userdata)
{
    struct check *c = userdata;
    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *f = &findings->items[i];
        findings_add(&c->findings, f->check, f->subject, f->level, f->fix, "%s", f->text);
    }
    c->findings.error = findings->error;
    c->is_done = true;
    uv_stop(c->broker.loop);
}

static void ignore_clock(void *userdata _unused_)
{
}

static int diagnose(struct check *c)
{
    struct broker *b = &c->broker;
    struct diagnosis *diagnosis;
    struct http_options options = reload_http_options(b->config);
    int r = http_new(b->loop, &options, &b->http);
    if (r == 0)
        r = wallclock_new(b->loop, ignore_clock, NULL, &b->wallclock);
    if (r == 0)
        r = diagnosis_start(b, NULL, on_findings, c, &diagnosis);
    while (r == 0 && !c->is_done)
        (void)uv_run(b->loop, UV_RUN_DEFAULT);
    return r;
}

int check_main(uv_loop_t *loop, const struct broker_options *options)
{
    struct check c = {.is_done = false};
    bool has_problem = false;
    int r = 0;
    broker_init(&c.broker, loop);
    c.broker.options = *options;
    check_bus(&c);
    if (load(&c)) {
        check_database(&c);
        r = diagnose(&c);
    }
    print(&c.findings, &has_problem);
    bool is_whole = r == 0 && c.findings.error == 0 && fflush(stdout) == 0;
    findings_clear(&c.findings);
    broker_free(&c.broker);
    return is_whole && !has_problem ? EXIT_SUCCESS : EXIT_FAILURE;
}
