/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/grid.h"

#include "client/lwactl/text.h"

#include <assert.h>
#include <string.h>

#define GAP 2

void grid_clear(struct grid *g)
{
    strv_clear(&g->cells);
}

void grid_add(struct grid *g, const char *cell)
{
    int r = strv_add(&g->cells, *cell ? cell : "-");
    if (r < 0 && g->error == 0)
        g->error = r;
}

/* Together with what was printed before. */
static void measure(const struct grid *g, bool with_titles, size_t *widths)
{
    for (size_t i = 0; i < g->n_columns; i++) {
        size_t title = with_titles ? text_width(g->columns[i].title) : 0;
        widths[i] = title > g->widths[i] ? title : g->widths[i];
    }
    for (size_t i = 0; i < g->cells.n; i++) {
        size_t width = text_width(g->cells.items[i]);
        if (width > widths[i % g->n_columns])
            widths[i % g->n_columns] = width;
    }
}

static bool can_shrink(const struct grid *g, size_t column, const size_t *widths)
{
    size_t least = g->columns[column].least;
    return !g->is_dropped[column] && least > 0 && widths[column] > least;
}

/* How wide a row is; as_small: when all that can be cut is cut. */
static size_t row_width(const struct grid *g, const size_t *widths, bool as_small)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < g->n_columns; i++)
        if (!g->is_dropped[i]) {
            total += as_small && can_shrink(g, i, widths) ? g->columns[i].least : widths[i];
            n++;
        }
    return total + (n > 0 ? (n - 1) * GAP : 0);
}

/* Rows that are printed later have the same columns. */
static void drop(struct grid *g, size_t limit)
{
    for (size_t i = 0; i < g->n_droppable && row_width(g, g->widths, true) > limit; i++)
        g->is_dropped[g->droppable[i]] = true;
}

/* Takes columns from the widest flexible one, until all fit or nothing more can be taken. */
static void shrink(const struct grid *g, size_t limit, size_t *widths)
{
    for (size_t total = row_width(g, widths, false); total > limit; total--) {
        size_t widest = g->n_columns;
        for (size_t i = 0; i < g->n_columns; i++)
            if (can_shrink(g, i, widths) && (widest == g->n_columns || widths[i] > widths[widest]))
                widest = i;
        if (widest == g->n_columns)
            return;
        widths[widest]--;
    }
}

/* Prints the cell in at most `width` columns, and returns how many it took. */
static size_t print_cell(const struct terminal *t, const char *cell, size_t width, enum colour colour,
                         FILE *out)
{
    bool cut = text_width(cell) > width;
    size_t shown;
    size_t bytes = text_fit(cell, cut ? width - 1 : width, &shown);
    const char *mark = !cut ? "" : t->is_utf8 ? "\u2026" : "~";
    bool plain = colour == COLOUR_PLAIN;
    (void)fprintf(out, "%s%.*s%s%s", plain ? "" : terminal_colour(t, colour), (int)bytes, cell, mark,
                  plain ? "" : terminal_colour(t, COLOUR_PLAIN));
    return shown + cut;
}

/* Without cells, the titles. */
static void print_row(const struct grid *g, const struct terminal *t, const char *const *cells,
                      const size_t *widths, FILE *out)
{
    size_t left = t->width > 0 ? t->width : SIZE_MAX, gap = 0;
    for (size_t i = 0; i < g->n_columns; i++) {
        const struct grid_column *column = &g->columns[i];
        const char *cell = cells ? cells[i] : column->title;
        enum colour colour = !cells ? COLOUR_BOLD : column->colour ? column->colour(cell) : COLOUR_PLAIN;
        if (g->is_dropped[i])
            continue;
        if (left <= gap)
            break;
        (void)fprintf(out, "%*s", (int)gap, "");
        left -= gap;
        size_t width = widths[i] < left ? widths[i] : left;
        size_t shown = width > 0 ? print_cell(t, cell, width, colour, out) : 0;
        left -= shown;
        gap = width - shown + GAP;
    }
    (void)fputc('\n', out);
}

bool grid_fits(const struct grid *g, const struct terminal *t, bool with_titles)
{
    size_t widths[GRID_COLUMNS_MAX];
    assert(g->n_columns > 0 && g->n_columns <= GRID_COLUMNS_MAX);
    measure(g, with_titles, widths);
    return t->width == 0 || row_width(g, widths, true) <= t->width;
}

int grid_print(struct grid *g, const struct terminal *t, bool with_titles, FILE *out)
{
    size_t widths[GRID_COLUMNS_MAX];
    assert(g->n_columns > 0 && g->n_columns <= GRID_COLUMNS_MAX);
    if (g->error < 0)
        return g->error;

    measure(g, with_titles, widths);
    memcpy(g->widths, widths, g->n_columns * sizeof(*widths));
    if (t->width > 0 && !g->has_printed)
        drop(g, t->width);
    g->has_printed = true;
    if (t->width > 0)
        shrink(g, t->width, widths);
    if (with_titles)
        print_row(g, t, NULL, widths, out);
    for (size_t i = 0; i + g->n_columns <= g->cells.n; i += g->n_columns)
        print_row(g, t, (const char *const *)&g->cells.items[i], widths, out);
    return 0;
}
