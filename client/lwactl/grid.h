/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A table on the terminal: columns as wide as their widest cell, the flexible ones cut (with a mark) until a
 * row fits the terminal; where that is not enough, whole columns are left out. Away from a terminal nothing
 * is cut. Rows that come later can be printed below: clear the grid, add them, print it again. */

#include "client/lwactl/terminal.h"
#include "util/strv.h"

struct grid_column {
    const char *title;
    size_t least; /* columns that are left of it when space is short; 0: never cut */
    enum colour (*colour)(const char *cell); /* may be NULL */
};

#define GRID_COLUMNS_MAX 64

struct grid {
    const struct grid_column *columns;
    size_t n_columns;        /* 1 to GRID_COLUMNS_MAX */
    const size_t *droppable; /* columns to leave out where space is short, in this order; may be NULL */
    size_t n_droppable;
    struct strv cells;                 /* row after row */
    int error;                         /* the first failure sticks, and grid_print() hands it up */
    bool is_dropped[GRID_COLUMNS_MAX]; /* left out, from the start or since it was printed first */
    /* Of what was printed so far. */
    bool has_printed;
    size_t widths[GRID_COLUMNS_MAX]; /* before anything was cut */
};

/* Forgets the cells, and keeps how wide the columns are. */
void grid_clear(struct grid *g);
/* Adds the next cell, which must be safe text; "" is shown as "-". */
void grid_add(struct grid *g, const char *cell);
/* Whether its rows fit the terminal, be it that flexible columns are cut. */
bool grid_fits(const struct grid *g, const struct terminal *t, bool with_titles);
int grid_print(struct grid *g, const struct terminal *t, bool with_titles, FILE *out) _must_check_;

#define _cleanup_grid_ _cleanup_(grid_clear)
