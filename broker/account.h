/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the broker knows of the logins on this device, in memory: accounts and their grants, without any
 * refresh token. The store is the truth; this mirrors it, and is changed only when the store has answered. */

#include "broker/renewal.h"
#include "broker/store.h"
#include "dbus/names.h"
#include "policy/catalogue.h"
#include "util/list.h"

struct broker;
struct proving;
struct token;

struct account {
    struct list node;     /* in broker->accounts */
    struct list in_owned; /* in one of broker->owned */
    struct broker *broker;
    int64_t row;
    char id[LWA_ACCOUNT_ID_BYTES_MAX + 1];
    char *label;
    struct owner owner;
    bool is_default;
    int64_t created_sec;
    unsigned char customer[STORE_CUSTOMER_BYTES];
    struct list grants;
    struct list consents; /* struct consents_of_app */
};

struct grant {
    struct list node; /* in account->grants, or in broker->unproven */
    struct broker *broker;
    struct account *account; /* NULL while the login is not proven */
    int64_t row;
    struct owner owner;
    char *target; /* unproven: the account to extend, "" for none */
    char *label;  /* unproven */
    char *endpoint;
    char *client_id;
    struct scope_set may_carry; /* canonical */
    struct scope_set carries;   /* canonical */
    int64_t created_sec;
    int64_t refreshed_sec; /* 0: never. Of a dead one: when it died */
    bool is_dead;
    bool is_claimed; /* imported: what it carries is only said by who brought it */
    bool has_previous;
    bool is_intent_open; /* a refresh may have been carried out whose answer is lost */
    char dead_reason[32];
    uint64_t generation;
    struct token *token;    /* the current access token, NULL for none */
    uint64_t lifetime_usec; /* last seen of this grant's tokens; 0 before the first */
    struct renewal renewal;
    struct proving *proving; /* while unproven */
};

/* Reads everything from the store. Blocks: at start only. */
int accounts_load(struct broker *broker) _must_check_;
void accounts_free(struct broker *broker);

/* A grant in memory, not in any list yet. */
int grant_new(struct broker *broker, const struct store_grant *stored, struct grant **ret) _must_check_;
/* Drops whatever is under way for it. Its tokens' holders are told (reason NULL: not). */
void grant_remove(struct grant *grant, const char *reason);

/* The grant is proven: it goes from broker->unproven to the account. */
void grant_join(struct grant *grant, struct account *account);
/* Into the list of the broker, which owns it. */
int account_new(struct broker *broker, const struct store_account *stored, struct account **ret) _must_check_;
void account_remove(struct account *account);

/* The account by its row; callbacks of the store find theirs again with it. */
struct account *account_find_row(struct broker *broker, int64_t row);
/* By the owner's uid and id; a user's own accounts, and the device's for everyone. NULL for none: another
 * uid's account cannot be named. */
struct account *account_find(struct broker *broker, uid_t uid, const char *id);
/* The owner's default account; for `device` that of the device. */
struct account *account_find_default(struct broker *broker, bool device, uid_t uid);
/* The one a caller means: the named one, or with "" the caller's own default, else the device's. */
struct account *account_for_caller(struct broker *broker, uid_t uid, const char *name);
/* Of this owner and this customer. */
struct account *account_find_customer(struct broker *broker, const struct owner *owner,
                                      const unsigned char *customer);
/* The grant by its row, proven or not; callbacks of the store find their grant again with it. */
struct grant *grant_find(struct broker *broker, int64_t row);

/* What its user is told; with the account's id. */
#define ACCOUNT_LOCKED_SENTENCE                                                                              \
    "Account %s belongs to a user whose name and uid came apart; an administrator must give that user "      \
    "the old name and uid again."

/* The owner's name and uid came apart (the name now belongs to another uid, or the uid to another name):
 * locked until an administrator decides. `user` is the name that the caller's uid has now. */
bool account_is_locked(const struct account *account, const char *user);

/* An unused id for the owner: main, main-2, ...; device, device-2, ... */
int account_make_id(struct broker *broker, const struct owner *owner,
                    char ret[LWA_ACCOUNT_ID_BYTES_MAX + 1]) _must_check_;
bool account_id_is_valid(const char *id);
/* 0 to 128 bytes of UTF-8 without control characters. */
bool account_label_is_valid(const char *label);
unsigned account_count_of(struct broker *broker, const struct owner *owner);
bool owner_equal(const struct owner *a, const struct owner *b);
const char *owner_text(const struct owner *owner); /* "device", or the user's name */
