/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit matrix: which app may have which scope, has it now, had it, or asked in vain.
 *
 * The table takes the first form that fits the terminal: words below the scopes' names; words below numbers,
 * and a legend; a mark for each cell; and at last a line for each app and scope. */

#include "client/lwactl/audit-call.h"
#include "client/lwactl/audit-filter.h"
#include "client/lwactl/audit.h"
#include "client/lwactl/grid.h"
#include "client/lwactl/matrix.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/text.h"
#include "util/clock.h"

#include <inttypes.h>
#include <string.h>

#define CELL_SIZE 64
#define TITLE_SIZE 24
#define DAYS_DEFAULT 90
#define GLANCE_MAX 10 /* apps in a list below the table */

enum form { FORM_WORDS, FORM_NUMBERS, FORM_MARKS };

/* --- cells -------------------------------------------------------------------------------------------- */

/* "45 min": what is left, or what has passed. */
static const char *span(int64_t when_sec, int64_t now_sec, char buffer[static TEXT_TIME_SIZE])
{
    int64_t distance = when_sec > now_sec ? when_sec - now_sec : now_sec - when_sec;
    const char *text = text_relative_time(now_sec + (distance > 0 ? distance : 1), now_sec, buffer);
    return strncmp(text, "in ", 3) == 0 ? text + 3 : text;
}

static const char *words_of(struct json_object *row, int64_t now, char text[static CELL_SIZE])
{
    char when[TEXT_TIME_SIZE];
    enum matrix_state state = row ? matrix_state_of(row, now) : MATRIX_NONE;
    const char *allowed = values_text(row, "allowed");
    bool is_marked = strcmp(allowed, "allow") != 0 && state != MATRIX_REFUSED;
    const char *open = is_marked ? " (" : "", *end = is_marked ? ")" : "", *mark = is_marked ? allowed : "";
    switch (state) {
    case MATRIX_HELD:
        (void)snprintf(text, CELL_SIZE, "held %s%s%.8s%s", span(values_number(row, "held_until"), now, when),
                       open, mark, end);
        break;
    case MATRIX_REFUSED:
        (void)snprintf(text, CELL_SIZE, "refused %s ago", span(values_number(row, "denied_at"), now, when));
        break;
    case MATRIX_UNMET:
        (void)snprintf(text, CELL_SIZE, "asked %s ago%s%.8s%s",
                       span(values_number(row, "denied_at"), now, when), open, mark, end);
        break;
    case MATRIX_USED:
        (void)snprintf(text, CELL_SIZE, "%s ago%s%.8s%s", span(values_number(row, "used_at"), now, when),
                       open, mark, end);
        break;
    case MATRIX_UNUSED:
        (void)snprintf(text, CELL_SIZE, "unused%s%.8s%s", open, mark, end);
        break;
    case MATRIX_NONE:
    default:
        *text = '\0';
        break;
    }
    return text;
}

static const char *mark_of(struct json_object *row, int64_t now)
{
    static const char *const marks[][3] = {
        [MATRIX_HELD] = {"H", "H?", "H!"},  [MATRIX_REFUSED] = {"R", "R", "R"},
        [MATRIX_UNMET] = {"a", "a?", "a"},  [MATRIX_USED] = {"u", "u?", "u!"},
        [MATRIX_UNUSED] = {"n", "n?", "n"}, [MATRIX_NONE] = {"", "", ""},
    };
    enum matrix_state state = row ? matrix_state_of(row, now) : MATRIX_NONE;
    const char *allowed = values_text(row, "allowed");
    return marks[state][strcmp(allowed, "ask") == 0 ? 1 : strcmp(allowed, "deny") == 0 ? 2 : 0];
}

static enum colour cell_colour(const char *cell)
{
    switch (*cell) {
    case 'h':
    case 'H':
        return strchr(cell, '!') || strstr(cell, "(deny)") ? COLOUR_RED : COLOUR_GREEN;
    case 'r':
    case 'R':
    case 'a':
        return COLOUR_RED;
    default:
        return *cell == 'n' || strncmp(cell, "unused", 6) == 0 ? COLOUR_YELLOW : COLOUR_PLAIN;
    }
}

/* --- the table ---------------------------------------------------------------------------------------- */

struct view {
    const struct matrix *matrix;
    int64_t now_sec, since_sec;
    struct terminal terminal;
    char (*titles)[TITLE_SIZE]; /* the scopes' numbers */
};

static void set_columns(const struct view *v, enum form form, struct grid_column *columns)
{
    const struct matrix *m = v->matrix;
    *columns++ = (struct grid_column){"APP", 24, NULL};
    if (m->has_users)
        *columns++ = (struct grid_column){"USER", 5, NULL};
    for (size_t i = 0; i < m->n_scopes; i++)
        *columns++ = (struct grid_column){form == FORM_WORDS ? m->scopes[i] : v->titles[i], 0, cell_colour};
}

static void add_rows(const struct view *v, enum form form, struct grid *grid)
{
    const struct matrix *m = v->matrix;
    char text[CELL_SIZE];
    for (size_t i = 0; i < m->n_apps; i++) {
        grid_add(grid, m->apps[i].app);
        if (m->has_users)
            grid_add(grid, m->apps[i].user);
        for (size_t j = 0; j < m->n_scopes; j++) {
            struct json_object *row = matrix_cell(m, i, j);
            grid_add(grid, form == FORM_MARKS ? mark_of(row, v->now_sec) : words_of(row, v->now_sec, text));
        }
    }
}

static void print_legend(const struct view *v, enum form form)
{
    static const char words[] =
        "held: has a token, for that long. 2 h ago: had one last. unused: may have it, and did not take it. "
        "asked: may have it, and got none. refused: asked, and may not. (ask): someone is asked first. "
        "(deny): "
        "may not any more. -: may not, and did not ask.";
    static const char marks[] =
        "H: has a token now. u: had one. n: may have it, and did not take it. a: may have it, asked, and got "
        "none. R: asked, and may not. ?: someone is asked first. !: may not any more. -: may not, and did "
        "not "
        "ask.";
    char since[TEXT_TIME_SIZE];
    (void)putchar('\n');
    for (size_t i = 0; form != FORM_WORDS && i < v->matrix->n_scopes; i++)
        (void)printf("%3zu  %s\n", i + 1, v->matrix->scopes[i]);
    paragraph_print(&v->terminal, "", form == FORM_MARKS ? marks : words, stdout);
    (void)printf("Since %s.\n", text_time(v->since_sec, since));
}

/* 1 when the form does not fit. */
static int print_form(const struct view *v, enum form form)
{
    struct grid_column columns[GRID_COLUMNS_MAX];
    _cleanup_grid_ struct grid grid = {.columns = columns,
                                       .n_columns = 1 + v->matrix->has_users + v->matrix->n_scopes};
    if (grid.n_columns > GRID_COLUMNS_MAX)
        return 1;
    set_columns(v, form, columns);
    add_rows(v, form, &grid);
    if (!grid_fits(&grid, &v->terminal, true))
        return 1;
    int r = grid_print(&grid, &v->terminal, true, stdout);
    if (r == 0)
        print_legend(v, form);
    return r;
}

static void print_app(const struct view *v, size_t i)
{
    const struct matrix_app *app = &v->matrix->apps[i];
    (void)printf("%s%s%s%s%s\n", terminal_colour(&v->terminal, COLOUR_BOLD), app->app,
                 v->matrix->has_users && *app->user ? " of " : "", v->matrix->has_users ? app->user : "",
                 terminal_colour(&v->terminal, COLOUR_PLAIN));
}

static void print_list(const struct view *v)
{
    const struct matrix *m = v->matrix;
    char text[CELL_SIZE];
    for (size_t i = 0; i < m->n_apps; i++) {
        print_app(v, i);
        for (size_t j = 0; j < m->n_scopes; j++) {
            const char *words = words_of(matrix_cell(m, i, j), v->now_sec, text);
            if (*words)
                (void)printf("  %s: %s%s%s\n", m->scopes[j],
                             terminal_colour(&v->terminal, cell_colour(words)), words,
                             terminal_colour(&v->terminal, COLOUR_PLAIN));
        }
    }
    print_legend(v, FORM_WORDS);
}

static int print_table(const struct view *v)
{
    int r = 1;
    for (enum form form = FORM_WORDS; r == 1 && form <= FORM_MARKS; form++)
        r = print_form(v, form);
    if (r == 1)
        print_list(v);
    return r < 0 ? r : 0;
}

/* --- what to look at ---------------------------------------------------------------------------------- */

static bool is_held(struct json_object *row, int64_t now)
{
    return matrix_state_of(row, now) == MATRIX_HELD;
}

static bool is_refused(struct json_object *row, int64_t now)
{
    return matrix_state_of(row, now) == MATRIX_REFUSED;
}

static bool is_unmet(struct json_object *row, int64_t now)
{
    return matrix_state_of(row, now) == MATRIX_UNMET;
}

/* What an app only may ask for costs nothing until someone says yes. */
static bool is_unneeded(struct json_object *row, int64_t now)
{
    return matrix_state_of(row, now) == MATRIX_UNUSED && strcmp(values_text(row, "allowed"), "allow") == 0;
}

static int add_scope(struct strv *items, struct json_object *row, const char *scope, int64_t now)
{
    char when[TEXT_TIME_SIZE];
    _cleanup_free_ char *text = NULL;
    int64_t asked = values_number(row, "asked");
    int n = is_held(row, now)
                ? asprintf(&text, "%s (%s left)", scope, span(values_number(row, "held_until"), now, when))
            : is_unneeded(row, now)
                ? asprintf(&text, "%s", scope)
                : asprintf(&text, "%s (asked %" PRId64 " time%s, last refused %s ago)", scope, asked,
                           asked == 1 ? "" : "s", span(values_number(row, "denied_at"), now, when));
    if (n < 0) {
        text = NULL; /* asprintf() leaves it undefined */
        return -ENOMEM;
    }
    return strv_add(items, text);
}

static int list_wanted(const struct view *v, size_t i, bool (*wanted)(struct json_object *, int64_t),
                       struct strv *ret)
{
    for (size_t j = 0; j < v->matrix->n_scopes; j++) {
        struct json_object *row = matrix_cell(v->matrix, i, j);
        int r = row && wanted(row, v->now_sec) ? add_scope(ret, row, v->matrix->scopes[j], v->now_sec) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int print_wanted(const struct view *v, size_t i, const struct strv *scopes)
{
    const struct matrix_app *app = &v->matrix->apps[i];
    bool has_user = v->matrix->has_users && *app->user;
    _cleanup_free_ char *joined = strv_join(scopes, ", "), *text = NULL;
    if (!joined || asprintf(&text, "%s%s%s: %s", app->app, has_user ? " of " : "", has_user ? app->user : "",
                            joined) < 0) {
        text = NULL; /* asprintf() leaves it undefined */
        return -ENOMEM;
    }
    paragraph_print(&v->terminal, "  ", text, stdout);
    return 0;
}

static int print_glance(const struct view *v, const char *title,
                        bool (*wanted)(struct json_object *, int64_t))
{
    size_t n = 0;
    for (size_t i = 0; i < v->matrix->n_apps; i++) {
        _cleanup_strv_ struct strv scopes = STRV_EMPTY;
        int r = list_wanted(v, i, wanted, &scopes);
        if (r < 0)
            return r;
        if (scopes.n == 0)
            continue;
        if (n++ == 0)
            (void)printf("\n%s\n", title);
        r = n <= GLANCE_MAX ? print_wanted(v, i, &scopes) : 0;
        if (r < 0)
            return r;
    }
    if (n > GLANCE_MAX)
        (void)printf("  ... and %zu more\n", n - GLANCE_MAX);
    return 0;
}

static int print_all_glances(const struct view *v)
{
    static const struct {
        const char *title;
        bool (*wanted)(struct json_object *, int64_t);
    } glances[] = {
        {"Hold a token now (`lwactl audit who-has SCOPE` tells since when):", is_held},
        {"Asked for what they may not have (`lwactl explain APP SCOPE` tells why):", is_refused},
        {"May have it, asked, and got none (`lwactl explain APP SCOPE` tells what is missing):", is_unmet},
        {"May have it, and did not take it; does the table allow too much?", is_unneeded},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(glances); i++)
        r = print_glance(v, glances[i].title, glances[i].wanted);
    return r;
}

static int show(struct json_object *rows, const struct audit_filter *filter)
{
    _cleanup_matrix_ struct matrix m = {NULL};
    struct view v = {
        .matrix = &m, .now_sec = wall_sec(), .since_sec = filter->since_sec, .terminal = terminal_get()};
    int r = matrix_init(&m, rows, v.now_sec);
    if (r < 0)
        return r;
    if (m.n_apps == 0) {
        (void)printf("No app may have any scope%s, and none has asked.\n",
                     filter->is_own ? " of your accounts" : "");
        return 0;
    }
    _cleanup_free_ char(*titles)[TITLE_SIZE] = calloc(m.n_scopes, TITLE_SIZE);
    if (!titles)
        return -ENOMEM;
    for (size_t i = 0; i < m.n_scopes; i++)
        (void)snprintf(titles[i], TITLE_SIZE, "%zu", i + 1);
    v.titles = titles;
    r = print_table(&v);
    if (!m.is_complete)
        (void)printf("There is MORE than fits into one answer; a later --since, or --own, makes it fewer.\n");
    return r == 0 ? print_all_glances(&v) : r;
}

int audit_matrix(const struct command *command, const struct arguments *arguments)
{
    bool as_json = arguments->given[OPTION_JSON];
    struct audit_filter filter = {NULL};
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_json_ struct json_object *rows = NULL;
    int r = audit_filter_read(command, arguments, &filter);
    if (!filter.has_since)
        filter.since_sec = wall_sec() - DAYS_DEFAULT * INT64_C(86400);
    if (r == CTL_OK)
        r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = audit_call_matrix(&bus, filter.is_own, filter.since_sec, as_json ? VALUES_EXACT : VALUES_SAFE,
                              &rows);
    if (r != CTL_OK)
        return r;
    r = as_json ? values_print_lines(rows, stdout) : show(rows, &filter);
    return r < 0 ? report(CTL_FAILED, "out of memory") : CTL_OK;
}
