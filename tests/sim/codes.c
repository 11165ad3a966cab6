/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/codes.h"

#include "tests/sim/memory.h"
#include "tests/sim/random.h"
#include "util/clock.h"

#include <ctype.h>
#include <string.h>

void codes_init(struct codes *c)
{
    *c = (struct codes){.n_pairs = 0};
    list_init(&c->pairs);
    list_init(&c->auth_codes);
    list_init(&c->pages);
}

void codes_deinit(struct codes *c)
{
    struct code_pair *pair, *pair_after;
    struct auth_code *code, *code_after;
    struct page *page, *page_after;

    LIST_FOREACH_SAFE (pair, pair_after, &c->pairs, node)
        codes_remove_pair(c, pair);
    LIST_FOREACH_SAFE (code, code_after, &c->auth_codes, node)
        auth_code_free(code);
    LIST_FOREACH_SAFE (page, page_after, &c->pages, node)
        page_free(page);
    codes_init(c);
}

/* --- code pairs --- */

void codes_remove_pair(struct codes *c, struct code_pair *pair)
{
    list_remove(&pair->node);
    c->n_pairs--;
    free(pair->device_code);
    free(pair->user_code);
    free(pair);
}

struct code_pair *codes_add_pair(struct codes *c, const struct client *client, uint64_t scopes,
                                 uint32_t lifetime_sec)
{
    if (c->n_pairs == CODE_PAIRS_MAX)
        codes_remove_pair(c, LIST_ENTRY(c->pairs.next, struct code_pair, node));

    struct code_pair *pair = must(calloc(1, sizeof(*pair)));
    pair->device_code = random_uuid();
    do {
        free(pair->user_code);
        pair->user_code = random_user_code(USER_CODE_CHARS);
    } while (codes_find_user_code(c, pair->user_code));
    pair->client = client;
    pair->scopes = scopes;
    pair->expires_usec = boottime_usec() + lifetime_sec * USEC_PER_SEC;
    list_append(&c->pairs, &pair->node);
    c->n_pairs++;
    return pair;
}

struct code_pair *codes_find_user_code(struct codes *c, const char *typed)
{
    char code[USER_CODE_CHARS + 1];
    struct code_pair *pair;
    size_t n = 0;

    for (const char *p = typed; *p; p++) {
        if (*p == ' ' || *p == '-')
            continue;
        if (n == USER_CODE_CHARS)
            return NULL;
        code[n++] = (char)toupper((unsigned char)*p);
    }
    code[n] = '\0';
    LIST_FOREACH (pair, &c->pairs, node)
        if (strcmp(pair->user_code, code) == 0)
            return pair;
    return NULL;
}

struct code_pair *codes_find_device_code(struct codes *c, const char *device_code)
{
    struct code_pair *pair;

    LIST_FOREACH (pair, &c->pairs, node)
        if (strcmp(pair->device_code, device_code) == 0)
            return pair;
    return NULL;
}

bool code_pair_is_expired(const struct code_pair *pair)
{
    return boottime_usec() >= pair->expires_usec;
}

/* --- authorization codes --- */

void authorize_clear(struct authorize *a)
{
    free(a->redirect_uri);
    free(a->state);
    free(a->challenge);
    *a = (struct authorize){NULL};
}

static struct authorize authorize_take(struct authorize *a)
{
    struct authorize taken = *a;

    *a = (struct authorize){NULL};
    return taken;
}

void auth_code_free(struct auth_code *code)
{
    if (!code)
        return;
    authorize_clear(&code->request);
    free(code->code);
    free(code);
}

struct auth_code *codes_add_auth_code(struct codes *c, struct authorize *request, struct customer *customer,
                                      uint32_t lifetime_sec)
{
    struct auth_code *code = must(calloc(1, sizeof(*code)));

    if (c->n_auth_codes == AUTH_CODES_MAX) {
        struct auth_code *oldest = LIST_ENTRY(c->auth_codes.next, struct auth_code, node);
        list_remove(&oldest->node);
        auth_code_free(oldest);
    } else {
        c->n_auth_codes++;
    }
    code->code = random_token("AN", 20);
    code->request = authorize_take(request);
    code->customer = customer;
    code->expires_usec = boottime_usec() + lifetime_sec * USEC_PER_SEC;
    list_append(&c->auth_codes, &code->node);
    return code;
}

struct auth_code *codes_take_auth_code(struct codes *c, const char *value)
{
    struct auth_code *code;

    LIST_FOREACH (code, &c->auth_codes, node) {
        if (strcmp(code->code, value) != 0)
            continue;
        list_remove(&code->node);
        c->n_auth_codes--;
        if (boottime_usec() < code->expires_usec)
            return code;
        auth_code_free(code);
        return NULL;
    }
    return NULL;
}

/* --- pages --- */

void page_free(struct page *page)
{
    if (!page)
        return;
    authorize_clear(&page->request);
    free(page->token);
    free(page->user_code);
    free(page);
}

struct page *codes_add_page(struct codes *c, enum page_kind kind)
{
    struct page *page = must(calloc(1, sizeof(*page)));

    if (c->n_pages == PAGES_MAX) {
        struct page *oldest = LIST_ENTRY(c->pages.next, struct page, node);
        list_remove(&oldest->node);
        page_free(oldest);
    } else {
        c->n_pages++;
    }
    page->token = random_token("", 32);
    page->kind = kind;
    list_append(&c->pages, &page->node);
    return page;
}

struct page *codes_take_page(struct codes *c, const char *token, enum page_kind kind)
{
    struct page *page;

    LIST_FOREACH (page, &c->pages, node)
        if (page->kind == kind && strcmp(page->token, token) == 0) {
            list_remove(&page->node);
            c->n_pages--;
            return page;
        }
    return NULL;
}
