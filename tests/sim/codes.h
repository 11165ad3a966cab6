/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What waits for a person: code pairs, authorization codes, and the pages that were shown. All three are
 * bounded; the oldest entry makes room for a new one. */

#include "tests/sim/ledger.h"

#define CODE_PAIRS_MAX 4096
#define AUTH_CODES_MAX 1024
#define PAGES_MAX 1024
#define USER_CODE_CHARS 6

enum pair_state { PAIR_PENDING, PAIR_ALLOWED, PAIR_DENIED };

struct code_pair {
    struct list node;
    char *device_code;
    char *user_code;
    const struct client *client;
    uint64_t scopes;
    enum pair_state state;
    bool is_unknown_product; /* scope_data named no product: the person's page fails */
    struct customer *customer;
    uint64_t expires_usec;
    uint64_t polled_usec; /* 0 before the first poll */
};

/* An authorization request as it came, carried from the consent page to the code and to its redemption. */
struct authorize {
    const struct client *client;
    uint64_t scopes;
    uint64_t voluntary; /* of these, what the person may de-select */
    char *redirect_uri;
    char *state;     /* NULL if none was sent */
    char *challenge; /* NULL if none was sent */
    bool is_s256;
};

struct auth_code {
    struct list node;
    char *code;
    struct authorize request;
    struct customer *customer;
    uint64_t expires_usec;
};

enum page_kind { PAGE_CODE, PAGE_PAIR_CONSENT, PAGE_AUTHORIZE };

/* A page that was shown. Its token comes back with the form, once, and says what the form is about, so
 * that a form cannot be sent by a page of somebody else's. */
struct page {
    struct list node;
    char *token;
    enum page_kind kind;
    char *user_code;          /* of a consent page */
    struct authorize request; /* of an authorization page */
};

struct codes {
    struct list pairs;
    struct list auth_codes;
    struct list pages;
    unsigned n_pairs;
    unsigned n_auth_codes;
    unsigned n_pages;
};

void codes_init(struct codes *c);
void codes_deinit(struct codes *c);

struct code_pair *codes_add_pair(struct codes *c, const struct client *client, uint64_t scopes,
                                 uint32_t lifetime_sec);
/* By what the person typed: case, spaces and dashes do not matter. NULL for unknown. */
struct code_pair *codes_find_user_code(struct codes *c, const char *typed);
struct code_pair *codes_find_device_code(struct codes *c, const char *device_code);
void codes_remove_pair(struct codes *c, struct code_pair *pair);
bool code_pair_is_expired(const struct code_pair *pair);

void authorize_clear(struct authorize *a);

/* Takes over what `request` owns and leaves it empty. */
struct auth_code *codes_add_auth_code(struct codes *c, struct authorize *request, struct customer *customer,
                                      uint32_t lifetime_sec);
/* Takes the code out, so that it works once. The caller owns it; NULL for unknown or expired. */
struct auth_code *codes_take_auth_code(struct codes *c, const char *code);
void auth_code_free(struct auth_code *code);
DEFINE_CLEANUP(struct auth_code, auth_code_free);

struct page *codes_add_page(struct codes *c, enum page_kind kind);
/* Takes the page out; the caller owns it. NULL for unknown, used or of another kind. */
struct page *codes_take_page(struct codes *c, const char *token, enum page_kind kind);
void page_free(struct page *page);
DEFINE_CLEANUP(struct page, page_free);
