/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/memory.h"

void *must(void *p)
{
    if (!p)
        abort();
    return p;
}
