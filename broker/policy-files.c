/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/policy-files.h"

#include "broker/limits.h"
#include "util/file.h"
#include "util/utf8.h"

#include <sodium.h>
#include <string.h>

static int name_problem(const char *file, const char *reason, struct config_problem *ret)
{
    config_problem_clear(ret);
    ret->file = strdup(file);
    ret->problem.line = 0;
    (void)snprintf(ret->problem.reason, sizeof(ret->problem.reason), "%s", reason);
    return ret->file ? CONFIG_E_MALFORMED : -ENOMEM;
}

static const char *explain(int error)
{
    if (error == -EPERM)
        return "must be a regular file, owned by root and not writable by others";
    if (error == -EFBIG)
        return "is too large";
    if (error == -ELOOP)
        return "must be a regular file, not a link";
    return strerror(-error);
}

static int add_catalogue_file(struct catalogue *c, const char *path, bool shipped,
                              struct config_problem *problem)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    int r = file_read_trusted(path, LIMIT_CATALOGUE_BYTES, &text, &n);
    if (r < 0)
        return r == -ENOMEM ? r : name_problem(path, explain(r), problem);
    struct ini_problem found = {.line = 0};
    r = catalogue_add_text(c, text, n, shipped, &found);
    if (r <= 0)
        return r;
    r = name_problem(path, found.reason, problem);
    problem->problem.line = found.line;
    return r;
}

static const char *explain_folder(int error)
{
    if (error == -EPERM)
        return "the folder must be owned by root and not be writable by others";
    if (error == -E2BIG)
        return "the folder has too many files";
    if (error == -EACCES)
        return "the folder cannot be read by the user of lwa-brokerd";
    return strerror(-error);
}

static int list(const char *dir, struct strv *paths, struct config_problem *problem)
{
    int r = file_list(dir, ".conf", LIMIT_TABLE_FILES, paths);
    return r == 0 || r == -ENOMEM ? r : name_problem(dir, explain_folder(r), problem);
}

int policy_files_load_catalogue(const struct config *config, const struct catalogue *previous,
                                struct catalogue **ret, struct config_problem *ret_problem)
{
    _cleanup_(catalogue_freep) struct catalogue *c = NULL;
    _cleanup_strv_ struct strv paths = STRV_EMPTY;
    int r = catalogue_new(previous, &c);
    if (r == 0)
        r = add_catalogue_file(c, config->scopes_file, true, ret_problem);
    if (r == 0)
        r = list(config->scopes_dir, &paths, ret_problem);
    for (size_t i = 0; r == 0 && i < paths.n; i++)
        r = add_catalogue_file(c, paths.items[i], false, ret_problem);
    if (r != 0)
        return r;

    struct ini_problem found = {.line = 0};
    r = catalogue_seal(c, &found);
    if (r > 0)
        r = name_problem(config->scopes_file, found.reason, ret_problem);
    if (r == 0)
        *ret = TAKE_PTR(c);
    return r;
}

/* --- grants.d ---------------------------------------------------------------------------------------- */

static void digest(crypto_generichash_state *state, const void *bytes, size_t n)
{
    (void)crypto_generichash_update(state, (const unsigned char *)&n, sizeof(n));
    (void)crypto_generichash_update(state, bytes, n);
}

/* -EAGAIN: it was there, and is not any more. */
static int add_table_file(struct table *t, const struct catalogue *c, const char *path,
                          crypto_generichash_state *state)
{
    _cleanup_free_ char *text = NULL;
    size_t n = 0;
    int r = file_read_trusted(path, LIMIT_TABLE_FILE_BYTES, &text, &n);
    digest(state, path, strlen(path));
    digest(state, &r, sizeof(r));
    digest(state, text ? text : "", n);
    if (r == -ENOENT)
        return -EAGAIN;
    if (r == -ENOMEM)
        return r;
    if (r == 0)
        return table_add_file(t, c, path, text, n);
    char reason[96];
    bool is_said = r == -EPERM || r == -EFBIG || r == -ELOOP;
    (void)snprintf(reason, sizeof(reason), "the file %s%s", is_said ? "" : "cannot be read: ", explain(r));
    return table_add_unreadable(t, path, reason);
}

static int read_folder(const struct config *config, const struct catalogue *catalogue, struct table *t,
                       struct policy_digest *ret_digest)
{
    _cleanup_strv_ struct strv paths = STRV_EMPTY;
    crypto_generichash_state state;
    int r = file_list(config->grants_dir, ".conf", LIMIT_TABLE_FILES, &paths);
    if (r == -ENOMEM)
        return r;
    (void)crypto_generichash_init(&state, NULL, 0, sizeof(ret_digest->bytes)); /* fits: cannot fail */
    digest(&state, &r, sizeof(r));
    if (r < 0) /* the folder itself cannot be read: it may have held a denial for anyone */
        r = table_add_unreadable(t, config->grants_dir, explain_folder(r));
    for (size_t i = 0; r == 0 && i < paths.n; i++)
        r = add_table_file(t, catalogue, paths.items[i], &state);
    (void)crypto_generichash_final(&state, ret_digest->bytes, sizeof(ret_digest->bytes));
    return r;
}

int policy_files_load_table(const struct config *config, const struct catalogue *catalogue,
                            struct table **ret, struct policy_digest *ret_digest)
{
    struct policy_digest made;
    for (unsigned tries = 0;; tries++) {
        _cleanup_(table_freep) struct table *t = NULL;
        int r = table_new(&t);
        if (r == 0)
            r = read_folder(config, catalogue, t, &made);
        if (r == -EAGAIN && tries < LIMIT_POLICY_TRIES)
            continue; /* renamed meanwhile, perhaps: under its new name it must not be overlooked */
        if (r < 0)
            return r;
        if (ret_digest)
            *ret_digest = made;
        *ret = TAKE_PTR(t);
        return 0;
    }
}

/* --- problems ---------------------------------------------------------------------------------------- */

void policy_problems_clear(struct policy_problems *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i].file);
    free(p->items);
    *p = (struct policy_problems){NULL, 0};
}

int policy_problems_add(struct policy_problems *p, const char *file, const struct ini_problem *problem)
{
    struct table_problem *items = reallocarray(p->items, p->n + 1, sizeof(*items));
    if (!items)
        return -ENOMEM;
    p->items = items;
    char *name = strdup(file);
    if (!name)
        return -ENOMEM;
    utf8_scrub(name);
    items[p->n++] = (struct table_problem){.file = name, .problem = *problem};
    return 0;
}

int policy_problems_add_table(struct policy_problems *p, const struct table *table)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < table_count_problems(table); i++) {
        const struct table_problem *found = table_get_problem(table, i);
        r = policy_problems_add(p, found->file, &found->problem);
    }
    return r;
}
