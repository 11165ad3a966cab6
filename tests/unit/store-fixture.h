/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A store in a folder of its own, and its calls as if they were synchronous. */

#include "tests/unit/unit.h"

#include "broker/store.h"

struct fixture {
    char folder[64];
    char path[96]; /* of the database */
    char key[96];
    uint64_t epoch_usec; /* of the trail; 0: the default */
    uv_loop_t loop;
    struct store *store;
};

int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* Through the test VFS. */
int fixture_open(struct fixture *f);
int fixture_open_at(struct fixture *f, const char *path);
void fixture_close(struct fixture *f);
void reopen(struct fixture *f);
/* The first number of a query, beside the store; -1 without a row. */
int64_t number(const struct fixture *f, const char *sql);
/* The same of any database. */
int64_t number_at(const char *path, const char *sql);
/* What a power cut would leave now, under the name "cut.db" in the folder. */
const char *cut_power(const struct fixture *f);
/* A path in the folder; good until the call after the next. */
const char *fixture_path(const struct fixture *f, const char *name);

struct result {
    bool done;
    int r;
    int64_t row;
    uint64_t generation;
    struct secret *token;
    struct audit_record **records;
    size_t n_records;
    int64_t next;
    uint64_t epoch;
};

void result_clear(struct result *result);
#define _cleanup_result_ _cleanup_(result_clear)
/* The callback: keeps all of the reply. */
void on_reply(struct store_reply *reply, void *userdata);
/* Turns the loop until the reply is there. */
void await(struct fixture *f, struct result *result);

/* A query's answer, which must not be a failure. Of all records without a filter. */
void query(struct fixture *f, const struct audit_filter *filter, struct store_page page, struct result *ret);

struct secret *new_token(const char *text);
struct audit_record *new_record(enum audit_event event, const char *app);
struct owner alice(void);
struct owner bob(void);
struct owner the_device(void);

/* Each queues, waits and returns the reply's r; row and generation where asked for. */
int add_grant(struct fixture *f, struct owner owner, const char *token, int64_t *ret_row);
int add_account(struct fixture *f, int64_t grant, const char *id, char customer, int64_t *ret_row);
int begin(struct fixture *f, int64_t grant, uint64_t generation, enum store_token_which which,
          const char *expected_token);
int finish(struct fixture *f, int64_t grant, uint64_t generation, enum store_token_which which,
           const char *rotated, uint64_t *ret_generation);
int end(struct fixture *f, int64_t grant, uint64_t generation, enum store_refresh_end how);
int audit(struct fixture *f, enum audit_event event, const char *app, int64_t *ret_sequence);

/* What store_load() says of the one grant, texts shortened to what tests look at. */
struct loaded {
    unsigned n_accounts, n_grants;
    struct store_account account; /* the last; its texts are gone */
    struct store_grant grant;
    char account_id[40], label[40], reason[40], carries[80], owner_name[OWNER_NAME_MAX];
};
struct loaded load(struct fixture *f);

/* Whole files. */
size_t read_file(const char *path, unsigned char **ret);
void write_file(const char *path, const void *bytes, size_t n);
bool folder_holds(const struct fixture *f, const void *bytes, size_t n);
