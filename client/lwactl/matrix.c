/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/matrix.h"

#include <string.h>

enum matrix_state matrix_state_of(struct json_object *row, int64_t now_sec)
{
    const char *allowed = values_text(row, "allowed");
    int64_t used_at = values_number(row, "used_at"), denied_at = values_number(row, "denied_at");
    if (values_number(row, "held_until") > now_sec)
        return MATRIX_HELD;
    if (denied_at > 0 && denied_at > used_at)
        return strcmp(allowed, "deny") == 0 ? MATRIX_REFUSED : MATRIX_UNMET;
    if (used_at > 0)
        return MATRIX_USED;
    return strcmp(allowed, "deny") == 0 ? MATRIX_NONE : MATRIX_UNUSED;
}

struct json_object *matrix_cell(const struct matrix *m, size_t app, size_t scope)
{
    return m->cells[app * m->n_scopes + scope];
}

static int compare_apps(const void *a, const void *b)
{
    struct json_object *left = *(struct json_object *const *)a, *right = *(struct json_object *const *)b;
    int order = strcmp(values_text(left, "app"), values_text(right, "app"));
    return order != 0 ? order : strcmp(values_text(left, "user"), values_text(right, "user"));
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_left_out(struct json_object *rows)
{
    for (size_t i = 0; i < values_count(rows); i++) {
        struct json_object *complete;
        if (json_object_object_get_ex(values_item(rows, i), "complete", &complete) &&
            !json_object_get_boolean(complete))
            return true;
    }
    return false;
}

/* All rows but those that say nothing, sorted by app and user. */
static size_t sort_rows(struct json_object *rows, int64_t now_sec, struct json_object **ret)
{
    size_t n = 0;
    for (size_t i = 0; i < values_count(rows); i++)
        if (matrix_state_of(values_item(rows, i), now_sec) != MATRIX_NONE)
            ret[n++] = values_item(rows, i);
    qsort(ret, n, sizeof(*ret), compare_apps);
    return n;
}

static void list_scopes(struct matrix *m, struct json_object *const *sorted, size_t n)
{
    for (size_t i = 0; i < n; i++)
        m->scopes[i] = values_text(sorted[i], "scope");
    qsort(m->scopes, n, sizeof(*m->scopes), compare_texts);
    for (size_t i = 0; i < n; i++)
        if (m->n_scopes == 0 || strcmp(m->scopes[i], m->scopes[m->n_scopes - 1]) != 0)
            m->scopes[m->n_scopes++] = m->scopes[i];
}

static void list_apps(struct matrix *m, struct json_object *const *sorted, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && compare_apps(&sorted[i - 1], &sorted[i]) == 0)
            continue;
        struct matrix_app *a = &m->apps[m->n_apps++];
        *a = (struct matrix_app){values_text(sorted[i], "app"), values_text(sorted[i], "user"),
                                 values_text(sorted[i], "account")};
        bool is_user = strncmp(a->app, "user:", 5) == 0 && strcmp(a->app + 5, a->user) == 0;
        m->has_users = m->has_users || (*a->user && !is_user);
    }
}

static void fill_cells(struct matrix *m, struct json_object *const *sorted, size_t n, int64_t now_sec)
{
    size_t app = 0;
    for (size_t i = 0; i < n; i++) {
        const char *scope = values_text(sorted[i], "scope");
        const char **found = bsearch(&scope, m->scopes, m->n_scopes, sizeof(*m->scopes), compare_texts);
        if (i > 0 && compare_apps(&sorted[i - 1], &sorted[i]) != 0)
            app++;
        m->cells[app * m->n_scopes + (size_t)(found - m->scopes)] = sorted[i];
        m->n_states[matrix_state_of(sorted[i], now_sec)]++;
    }
}

int matrix_init(struct matrix *m, struct json_object *rows, int64_t now_sec)
{
    size_t n_rows = values_count(rows);
    _cleanup_free_ struct json_object **sorted = calloc(n_rows + 1, sizeof(*sorted));
    *m = (struct matrix){
        .is_complete = !has_left_out(rows),
        .apps = calloc(n_rows + 1, sizeof(*m->apps)),
        .scopes = calloc(n_rows + 1, sizeof(*m->scopes)),
    };
    if (sorted && m->apps && m->scopes) {
        size_t n = sort_rows(rows, now_sec, sorted);
        list_scopes(m, sorted, n);
        list_apps(m, sorted, n);
        m->cells = calloc(m->n_apps * m->n_scopes + 1, sizeof(struct json_object *));
        if (m->cells)
            fill_cells(m, sorted, n, now_sec);
    }
    if (!m->cells) {
        matrix_deinit(m);
        return -ENOMEM;
    }
    return 0;
}

void matrix_deinit(struct matrix *m)
{
    free(m->apps);
    free(m->scopes);
    free(m->cells);
    *m = (struct matrix){NULL};
}
