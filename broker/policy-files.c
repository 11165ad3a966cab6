/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/policy-files.h"

#include "broker/limits.h"
#include "util/file.h"

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

int policy_files_load_catalogue(const struct config *config, const struct catalogue *previous,
                                struct catalogue **ret, struct config_problem *ret_problem)
{
    _cleanup_(catalogue_freep) struct catalogue *c = NULL;
    _cleanup_strv_ struct strv paths = STRV_EMPTY;
    int r = catalogue_new(previous, &c);
    if (r == 0)
        r = add_catalogue_file(c, config->scopes_file, true, ret_problem);
    if (r == 0)
        r = file_list(config->scopes_dir, ".conf", LIMIT_TABLE_FILES, &paths);
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

static int add_table_file(struct table *t, const struct catalogue *c, const char *path)
{
    _cleanup_free_ char *text = NULL;
    size_t n = 0;
    int r = file_read_trusted(path, LIMIT_TABLE_FILE_BYTES, &text, &n);
    if (r == -ENOMEM)
        return r;
    return table_add_file(t, c, path, r == 0 ? text : NULL, n);
}

int policy_files_load_table(const struct config *config, const struct catalogue *catalogue,
                            struct table **ret)
{
    _cleanup_(table_freep) struct table *t = NULL;
    _cleanup_strv_ struct strv paths = STRV_EMPTY;
    int r = table_new(&t);
    if (r < 0)
        return r;
    r = file_list(config->grants_dir, ".conf", LIMIT_TABLE_FILES, &paths);
    if (r == -ENOMEM)
        return r;
    if (r < 0) /* the folder itself cannot be read: it may have held a denial for anyone */
        r = table_add_file(t, catalogue, config->grants_dir, NULL, 0);
    for (size_t i = 0; r == 0 && i < paths.n; i++)
        r = add_table_file(t, catalogue, paths.items[i]);
    if (r == 0)
        *ret = TAKE_PTR(t);
    return r;
}
