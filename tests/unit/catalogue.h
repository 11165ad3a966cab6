/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A catalogue of a few scopes, for tests of what stands on it. After unit.h. */

#include "policy/catalogue.h"

#include <string.h>

#define D "description = d\n"

/* lib implies read; the others stand alone. */
#define FEW_SCOPES "[read]\n" D "[lib]\n" D "implies = read\n[play]\n" D "[hist]\n" D "[prof]\n" D

static inline struct catalogue *make_catalogue(const char *text)
{
    struct catalogue *c = NULL;
    struct ini_problem problem;
    assert_int_equal(catalogue_new(NULL, &c), 0);
    assert_int_equal(catalogue_add_text(c, text, strlen(text), true, &problem), 0);
    assert_int_equal(catalogue_seal(c, &problem), 0);
    return c;
}
