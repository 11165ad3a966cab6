/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* broker.conf, then broker.conf.d/NAME.conf beside it in the order of their names: one immutable value. A
 * reload makes a new one and drops the old only when the new one is good. All keys, their defaults and what
 * they mean stand in one table (config-keys.c), which config-print.c shows and the man page is tested
 * against. */

#include "broker/limits.h"
#include "broker/secret.h"
#include "policy/table.h"
#include "util/ini.h"

#include <stdio.h>

struct config_limits {
#define CONFIG_LIMIT(name, ...) unsigned name;
    LIMITS_CONFIGURED(CONFIG_LIMIT)
#undef CONFIG_LIMIT
};

/* Where each record of the trail also goes. */
enum audit_forward {
    AUDIT_FORWARD_AUTO, /* the journal where there is one, else syslog */
    AUDIT_FORWARD_JOURNAL,
    AUDIT_FORWARD_SYSLOG,
    AUDIT_FORWARD_NONE,
};

struct config {
    /* [provider] */
    char *region; /* na, eu, fe */
    char *client_id;
    char *client_secret_file;     /* "" for none */
    struct secret *client_secret; /* read from it; NULL for none */
    char *codepair_endpoint;
    char *token_endpoint;
    char *authorize_endpoint;
    char *tokeninfo_endpoint;
    char *profile_endpoint;
    char *ca_file; /* "" for the system's */
    char *proxy;   /* "" for none */
    bool narrows_on_refresh;
    unsigned connect_timeout_sec;
    unsigned request_timeout_sec;
    /* [api] */
    char *api_base;
    char *security_profile_id; /* "" when not set */
    /* [tokens] */
    unsigned refresh_margin_sec;
    unsigned min_valid_sec;
    /* [policy] */
    char *scopes_file; /* the shipped catalogue */
    char *scopes_dir;  /* the administrator's additions */
    char *grants_dir;
    enum verdict default_verdict; /* ask or deny */
    unsigned decision_cache_sec;
    unsigned prompt_timeout_sec;
    /* [store] */
    char *key_file;
    char *key_credential; /* name of a systemd credential; "" for none */
    char *previous_key_file;
    char *previous_key_credential;
    /* [audit] */
    unsigned audit_keep_days;     /* 0: for ever */
    unsigned audit_max_megabytes; /* 0: no bound */
    unsigned audit_epoch_sec;
    enum audit_forward audit_forward;
    /* [limits] */
    struct config_limits limits;
};

enum { CONFIG_E_MALFORMED = 1 };

struct config_problem {
    char *file; /* owned */
    struct ini_problem problem;
};

void config_problem_clear(struct config_problem *p);

/* Reads and checks `path` and its .d folder. CONFIG_E_MALFORMED with *ret_problem: file, line and reason (not
 * owned by root or writable by others; an unknown key, with the nearest known one; a value out of range; an
 * endpoint that is not https; no client_id). A missing file is malformed too. */
int config_load(const char *path, struct config **ret, struct config_problem *ret_problem) _must_check_;
void config_free(struct config *c);
DEFINE_CLEANUP(struct config, config_free);

/* The table of keys, for documentation and its tests. */
#define CONFIG_FROM_REGION "the region's" /* default_text of what depends on the region */
struct config_key_info {
    const char *section;
    const char *key;
    const char *default_text;
    const char *meaning;
    bool is_number;
    unsigned min, max; /* of a number */
};
size_t config_count_keys(void);
struct config_key_info config_get_key(size_t i);

/* A broker.conf of all keys, with what they mean and their defaults, commented out; or of those that `which`
 * names, if it is not NULL: SECTION, KEY or SECTION.KEY. 0, a negative errno, or CONFIG_E_MALFORMED: there is
 * none of that name, and *problem has the nearest. */
int config_print_defaults(FILE *out, const char *which, struct ini_problem *problem) _must_check_;
