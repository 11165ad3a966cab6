/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/bench.h"

void samples_add(struct samples *s, double value)
{
    if (s->n == s->size) {
        size_t size = s->size ? 2 * s->size : 1024;
        double *items = reallocarray(s->items, size, sizeof(*items));
        if (!items)
            die("no memory");
        s->items = items;
        s->size = size;
    }
    s->items[s->n++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double samples_quantile(struct samples *s, double part)
{
    if (s->n == 0)
        die("nothing was measured");
    qsort(s->items, s->n, sizeof(*s->items), compare);
    return s->items[(size_t)(part * (double)(s->n - 1))];
}

void samples_clear(struct samples *s)
{
    free(s->items);
    *s = (struct samples){NULL, 0, 0};
}

static const char *separator = "";

void figures_begin(void)
{
    (void)fputs("{", stdout);
    separator = "";
}

void figures_add(const char *name, double value)
{
    (void)printf("%s\"%s\": %.3f", separator, name, value);
    separator = ", ";
}

void figures_end(void)
{
    if (puts("}") < 0 || fflush(stdout) != 0)
        die("the figures could not be written");
}

void samples_report(const char *name, struct samples *s)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "%s_p50_us", name);
    figures_add(key, samples_quantile(s, 0.5));
    (void)snprintf(key, sizeof(key), "%s_p99_us", name);
    figures_add(key, samples_quantile(s, 0.99));
}
