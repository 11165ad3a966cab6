/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Catalogue files and scope strings. Parts of the input are separated by 0xff: the first is a scope string
 * as a store keeps them, the second the shipped catalogue, the others an administrator's additions. */

#include "policy/catalogue.h"
#include "tests/fuzz/fuzz.h"
#include "util/utf8.h"

static char *input_part(struct input *in, size_t *ret_n)
{
    const uint8_t *end = in->n > 0 ? memchr(in->data, 0xff, in->n) : NULL;
    *ret_n = end ? (size_t)(end - in->data) : in->n;
    char *part = input_text(in, *ret_n);
    (void)input_byte(in);
    return part;
}

static bool is_action_id(const char *id)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    return strspn(id, allowed) == strlen(id) && strncmp(id, "org.lwabroker.scope.", 20) == 0;
}

static void check_scope(const struct catalogue *c, int i)
{
    const struct scope_info *info = catalogue_get(c, i);
    require(scope_token_is_valid(info->name));
    require(catalogue_find(c, info->name) == (info->listed ? i : -1));
    if (!info->listed)
        return;
    require(info->description[0] && utf8_is_valid(info->description, strlen(info->description)));
    require(is_action_id(info->action_id) && info->family[0]);

    struct scope_set one = SCOPE_SET_EMPTY;
    scope_set_add(&one, i);
    struct scope_set down = catalogue_expand(c, one), up = catalogue_expand_up(c, one);
    require(scope_set_has(&down, i) && scope_set_has(&up, i));
    require(scope_set_equal(catalogue_expand(c, down), down));
    require(scope_set_equal(catalogue_expand_up(c, up), up));
    require(scope_set_equal(catalogue_reduce(c, down), one)); /* nothing implies itself round a circle */
    for (int k = scope_set_next(&down, 0); k >= 0; k = scope_set_next(&down, k + 1)) {
        struct scope_set implied = SCOPE_SET_EMPTY;
        scope_set_add(&implied, k);
        implied = catalogue_expand_up(c, implied);
        require(scope_set_has(&implied, i)); /* up is the inverse of down */
    }
}

static void check_set(const struct catalogue *c, struct scope_set set)
{
    struct scope_set reduced = catalogue_reduce(c, set);
    require(scope_set_is_subset(reduced, set));
    require(scope_set_equal(catalogue_expand(c, reduced), catalogue_expand(c, set)));
}

/* A scope string becomes a set, and the set the same string but for order and repeats. */
static void try_scopes(struct catalogue *c, const char *text)
{
    struct scope_set set, again;
    int r = catalogue_split(c, text, &set);
    require(r == 0 || r == -EINVAL || r == -ENOSPC);
    if (r < 0)
        return;
    check_set(c, set);
    _cleanup_free_ char *joined = catalogue_join(c, set);
    require(joined && strlen(joined) <= strlen(text));
    require(catalogue_split(c, joined, &again) == 0 && scope_set_equal(set, again));
}

static bool read_all(struct catalogue *c, struct input *in)
{
    bool shipped = true;
    while (in->n > 0) {
        size_t n;
        struct ini_problem problem = {.line = 0};
        _cleanup_free_ char *text = input_part(in, &n);
        int r = catalogue_add_text(c, text, n, shipped, &problem);
        require(r == 0 || r == CATALOGUE_E_MALFORMED);
        require(r == 0 || (problem.reason[0] && utf8_is_valid(problem.reason, strlen(problem.reason))));
        if (r != 0)
            return false;
        shipped = false;
    }
    struct ini_problem problem = {.line = 0};
    return catalogue_seal(c, &problem) == 0;
}

/* The names that the one before knew keep their numbers, whatever the files say now. */
static void try_reload(const struct catalogue *before, struct input in)
{
    _cleanup_(catalogue_freep) struct catalogue *c = NULL;
    require(catalogue_new(before, &c) == 0);
    for (unsigned i = 0; i < catalogue_count(before); i++)
        require(strcmp(catalogue_get(before, (int)i)->name, catalogue_get(c, (int)i)->name) == 0);
    require(scope_set_is_empty(catalogue_listed(c)));
    if (!read_all(c, &in))
        return;
    require(scope_set_equal(catalogue_listed(c), catalogue_listed(before)));
    for (unsigned i = 0; i < catalogue_count(c); i++)
        check_scope(c, (int)i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    size_t n_scopes;
    _cleanup_free_ char *scopes = input_part(&in, &n_scopes);
    struct input files = in;
    _cleanup_(catalogue_freep) struct catalogue *c = NULL;
    require(catalogue_new(NULL, &c) == 0);
    if (!read_all(c, &in))
        return 0;
    for (unsigned i = 0; i < catalogue_count(c); i++)
        check_scope(c, (int)i);
    check_set(c, catalogue_listed(c));
    try_scopes(c, scopes);
    try_reload(c, files);
    return 0;
}
