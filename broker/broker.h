/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon as a whole: what all parts share. Everything runs on the loop's one thread; what can block runs
 * in the store's thread (store.h), in curl's resolver, or in a libuv worker (identity-user.c). */

#include "broker/appeared.h"
#include "broker/bus.h"
#include "broker/config.h"
#include "broker/denials.h"
#include "broker/http.h"
#include "broker/identd-link.h"
#include "broker/notify-systemd.h"
#include "broker/policy-files.h"
#include "broker/polkit.h"
#include "broker/prompt-turn.h"
#include "broker/provider.h"
#include "broker/quota.h"
#include "broker/records.h"
#include "broker/reporters.h"
#include "broker/store.h"
#include "broker/wallclock.h"
#include "dbus/names.h"
#include "dbus/reader.h"
#include "dbus/writer.h"
#include "policy/catalogue.h"
#include "policy/table.h"
#include "util/list.h"

#include <uv.h>

#define ACCOUNT_LISTS 64

struct diagnosis;
struct sink;

struct broker_options {
    const char *config_path;
    const char *state_dir;
    const char *bus_address;               /* NULL: the system bus */
    const char *user;                      /* whom to become when started as root */
    const char *credentials;               /* $CREDENTIALS_DIRECTORY, NULL without one */
    struct notify_systemd_options systemd; /* where the service manager is told how it goes */
    const char *identd_path;               /* the program lwa-identd, or the socket of its unit */
    int identd_fd;                         /* the pair to lwa-identd; -1: there is none (tests of parts) */
};

struct broker {
    struct broker_options options;
    uv_loop_t *loop;
    uint64_t started_usec;

    /* Configuration: each is replaced as a whole, on a reload that succeeded. */
    struct config *config;
    struct catalogue *catalogue;
    struct table *table;
    struct policy_digest table_digest;
    struct policy_watch *policy_watch;
    struct config_problem
        config_problem;    /* for which the last reload took no configuration; file NULL: none */
    uint64_t polkit_epoch; /* grows whenever polkit may answer otherwise */
    struct recheck *recheck;
    uint64_t policy_epoch; /* grows whenever a remembered decision may have become wrong */

    /* Parts. */
    struct store *store;
    struct records records;  /* who is told what it writes */
    struct list audit_waits; /* queries that wait for a record: audit1-query.c */
    struct http *http;
    struct bus *bus;
    struct identd_link *identd;
    struct polkit *polkit;
    struct wallclock *wallclock;
    struct notify_systemd *systemd; /* NULL: it was not started by systemd */
    struct provider provider;

    /* What is there. */
    struct list accounts;             /* struct account */
    struct list owned[ACCOUNT_LISTS]; /* the same ones, by their owner's uid: a call looks for its caller's */
    struct list unproven;             /* struct grant of logins not proven yet */
    struct list tokens;               /* struct token */
    void *peers;                      /* tree of struct peer, by name */
    struct list peers_by_use;         /* the same ones */
    struct appeared appeared;         /* all connections to the bus that came after us */
    uint64_t refusal_told_usec;       /* when the log last said that someone calls too often */
    struct quotas quotas;             /* what they, their apps and users cause */
    uint64_t last_login;
    uint32_t run_id; /* of this run, at random */
    uint64_t last_request;
    uint64_t next_interrupted_usec; /* see renewal.c */
    uint64_t n_refreshes;           /* since start: that succeeded */
    uint64_t n_waits;               /* GetToken calls that had to wait for one */
    struct {
        struct list waiting;
        unsigned n_running;
        uid_t own_uid;
    } identity;

    struct diagnosis *diagnosis; /* under way: one at a time */
    struct sink *sink;
    bool is_recorded; /* on the trail it has started */

    struct timer *consent_timer; /* until the next consent runs out */
    struct denials denials;
    struct prompt_turns prompt_turns;
    struct reporters reporters;
    struct timer *flush_timer; /* while stopping: what is waited for at most */
    uv_signal_t *signals[3];
    bool is_stopping;
    bool is_finished;
    int exit_code;
};

/* A broker that has nothing yet: no part, no configuration, no caller. */
void broker_init(struct broker *broker, uv_loop_t *loop);
/* Builds everything, in the order in which each needs the others, and takes the bus name last. */
int broker_start(struct broker *broker, uv_loop_t *loop, const struct broker_options *options) _must_check_;
/* Runs until it is told to stop; the process's exit code. */
int broker_run(struct broker *broker);
void broker_free(struct broker *broker);

/* Finishes what is in flight, then ends the loop. */
void broker_stop(struct broker *broker, int exit_code);
/* Tells the service manager that what was read is in force, and what that is. */
void broker_tell_ready(const struct broker *broker);
/* A call or a refresh ended: while stopping, the last one lets the loop end. */
void broker_work_ended(struct broker *broker);
/* Remembered decisions may be wrong from now on. */
void broker_policy_changed(struct broker *broker);
