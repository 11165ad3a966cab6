/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of a diagnosis share; diagnose.h has their map. */

#include "broker/broker.h"
#include "broker/diagnose.h"

#define DIAGNOSE_WAITS_MAX 16
#define DIAGNOSE_HOSTS_MAX 6 /* five endpoints, and the API */
#define DIAGNOSE_HOST_SIZE 256

struct diagnose_files;

struct diagnose_host {
    struct diagnosis *diagnosis;
    char origin[DIAGNOSE_HOST_SIZE + 16]; /* https://host:port */
    struct http_request *request;
    int wait;
};

struct diagnosis {
    struct broker *broker;
    const struct identity *caller;
    diagnosis_callback callback;
    void *userdata;
    struct findings findings;
    struct timer *timer;

    /* What is under way, by check and subject. */
    struct diagnose_wait {
        const char *check; /* NULL: free */
        char subject[DIAGNOSE_HOST_SIZE];
    } waits[DIAGNOSE_WAITS_MAX];
    unsigned n_waits;
    bool is_starting;

    /* Slots. */
    struct diagnose_files *files;
    struct diagnose_host hosts[DIAGNOSE_HOSTS_MAX];
    size_t n_hosts;
    bool is_clock_told; /* one host's word for what time it is is enough */
    struct store_op *pages, *deaths, *matrix;
    struct polkit_check *allowed, *denied;
    int wait_pages, wait_deaths, wait_matrix, wait_allowed, wait_denied;
};

/* Something is under way: the number to end it by. */
int diagnosis_wait(struct diagnosis *d, const char *check, const char *subject);
/* It has answered, and its rows are added. The last one ends the diagnosis: nothing of it may be touched
 * afterwards. */
void diagnosis_done(struct diagnosis *d, int wait);

/* The checks. Each adds rows, or begins to wait. */
void diagnose_configuration(struct diagnosis *d);
void diagnose_client_id(struct diagnosis *d);
void diagnose_profile_id(struct diagnosis *d);
void diagnose_key(struct diagnosis *d);
void diagnose_files(struct diagnosis *d);
void diagnose_database(struct diagnosis *d);
void diagnose_trail_health(struct diagnosis *d);
void diagnose_clock(struct diagnosis *d);
void diagnose_polkit_actions(struct diagnosis *d);
void diagnose_polkit_rule(struct diagnosis *d);
void diagnose_hosts(struct diagnosis *d);
void diagnose_logins(struct diagnosis *d);
void diagnose_widths(struct diagnosis *d);
void diagnose_deaths(struct diagnosis *d);
void diagnose_apps(struct diagnosis *d);

/* Their words in the rows. */
#define CHECK_CONFIGURATION "configuration"
#define CHECK_CLIENT_ID "client-id"
#define CHECK_PROFILE_ID "profile-id"
#define CHECK_KEY "key"
#define CHECK_FILES "files"
#define CHECK_GRANTS "grants.d"
#define CHECK_DATABASE "database"
#define CHECK_TRAIL "trail"
#define CHECK_CLOCK "clock"
#define CHECK_ACTIONS "actions"
#define CHECK_RULE "rule"
#define CHECK_HOST "host"
#define CHECK_LOGIN "login"
#define CHECK_WIDTH "width"
#define CHECK_LOGIN_END "login-end"
#define CHECK_APP "app"

/* Ends what diagnose_files() and diagnose_hosts() began. */
void diagnose_files_drop(struct diagnose_files *files);
void diagnose_hosts_drop(struct diagnosis *d);
