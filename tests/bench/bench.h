/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of lwa-bench share. It is a measuring tool: whatever goes wrong ends it, with a sentence. */

#include "util/cleanup.h"
#include "util/clock.h"

#include <dbus/dbus.h>
#include <stdint.h>

#define BARE_NAME "org.lwabroker.Bench"

#define die(...)                                                                                             \
    do {                                                                                                     \
        (void)fprintf(stderr, "lwa-bench: " __VA_ARGS__);                                                    \
        (void)fputc('\n', stderr);                                                                           \
        exit(EXIT_FAILURE);                                                                                  \
    } while (0)

/* --- one call (call.c) ---------------------------------------------------------------------------------- */

/* What is called. The broker and the bare handler get the very same message but for its destination. */
enum target { TARGET_BROKER, TARGET_BARE, TARGET_PING, TARGET_COUNT };

DBusConnection *connect_to(const char *address);
void disconnect(DBusConnection *connection);

DBusMessage *new_call(enum target target);
/* GetToken for this account of the caller's. */
DBusMessage *new_account_call(const char *account);
/* CheckScopes for the scope of new_call(). */
DBusMessage *new_check_call(void);
/* GetToken for two scopes that stand alone. */
DBusMessage *new_two_scopes_call(void);
/* Reads everything, takes the descriptor out and closes it. Ends the program unless it is a good answer. */
void read_reply(enum target target, DBusMessage *reply);
/* Calls, waits, reads the reply; returns the microseconds that all of it took. */
double timed_call(DBusConnection *connection, enum target target);
/* The same for this message, which it drops. */
double timed_message(DBusConnection *connection, enum target target, DBusMessage *call);

/* CLOCK_MONOTONIC, in microseconds and parts of one. */
double precise_usec(void);

/* --- apps of other users (app.c) ------------------------------------------------------------------------ */

struct app;

enum app_act {
    APP_CONNECT,
    APP_CALL,
    APP_CALL_TWO_SCOPES,
    APP_CHECK,   /* CheckScopes */
    APP_RELEASE, /* ReleaseTokens */
    APP_LOOK_UP_USER,
    APP_DISCONNECT,
};

#define APP_NAME_BYTES 32

/* A process of this user's. As root. */
struct app *app_start(const char *address, uid_t uid);
/* Has it do that, and returns the microseconds it took. */
double app_do(struct app *app, enum app_act what);
/* *ret_name: the unique name of its connection then. */
double app_do_named(struct app *app, enum app_act what, char *ret_name);
void app_end(struct app *app);

/* --- the bare handler (bare.c) -------------------------------------------------------------------------- */

/* Serves BARE_NAME until the bus goes: GetToken with no policy, no trail and no loop but libdbus's own. */
void serve_bare(const char *address);

/* --- figures (figures.c) -------------------------------------------------------------------------------- */

struct samples {
    double *items;
    size_t n, size;
};

void samples_add(struct samples *s, double value);
/* Sorts; the value that `part` (0 to 1) of the samples do not exceed. */
double samples_quantile(struct samples *s, double part);
void samples_clear(struct samples *s);
/* NAME_p50_us and NAME_p99_us. */
void samples_report(const char *name, struct samples *s);

/* The one JSON object on standard output: begin, any number of figures, end. */
void figures_begin(void);
void figures_add(const char *name, double value);
void figures_end(void);

/* --- what is measured ----------------------------------------------------------------------------------- */

/* One client, the three targets by turns (hot.c). */
void measure_hot(const char *address, unsigned calls);
/* The first call of a connection (hot.c). */
void measure_first(const char *address, unsigned calls);
/* What such a call costs, and its parts: one app for each of n users, from this uid on (first.c). As root. */
void measure_first_calls(const char *address, unsigned first_uid, unsigned n);
/* Closed loop: each client calls again as soon as it has its answer (crowd.c). */
void measure_throughput(const char *address, unsigned clients, unsigned slices);
/* Everything at once, then all the answers (burst.c). */
void measure_burst(const char *address, unsigned connections, unsigned calls);
/* One client at a steady pace, in as many rounds as there are lines on standard input (steady.c). */
void measure_steady(const char *address, const char *account, unsigned calls, unsigned pause_usec);
/* Calls at this rate for ever, whatever is answered; 0: as fast as the bus takes them (flood.c). */
void flood(const char *address, unsigned rate);
/* One call for each of n accounts, at once (accounts.c). */
void measure_accounts(const char *address, unsigned n);
/* n users, from this uid on, each an app of its own and each calling once a period (soak.c). As root. */
void measure_soak(const char *address, unsigned first_uid, unsigned n, unsigned period_msec,
                  unsigned seconds);
/* The newest records of an app, and who has a scope, by turns (audit.c). As who may read the trail. */
void measure_audit(const char *address, const char *app, const char *scope, unsigned times);
/* Each client as so many apps of users, from this uid on, one after another (disclosures.c). Says that it is
 * ready with an empty line, and begins after a line on standard input. As root. */
void measure_disclosures(const char *address, unsigned first_uid, unsigned clients, unsigned each);
/* liblwa-client: a token that is kept, and one over the bus beside the bare call (client.c). */
void measure_client(const char *address, unsigned calls);
/* Two programs by turns, from start to end: argv is `A [ARGUMENT...] -- B [ARGUMENT...]` (client.c). */
void measure_programs(unsigned times, char **argv);
/* From fork to owning the name; argv is the daemon's (starts.c). As root. */
void measure_starts(const char *address, unsigned times, char **argv);
