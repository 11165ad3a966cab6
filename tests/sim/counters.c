/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/counters.h"

#include "tests/sim/memory.h"

#include <string.h>

void counters_count(struct counters *c, const char *endpoint, const char *grant, const char *outcome)
{
    char name[COUNTER_NAME_SIZE];

    (void)snprintf(name, sizeof(name), "%s%s%s.%s", endpoint, grant ? "." : "", grant ? grant : "", outcome);
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->items[i].name, name) == 0) {
            c->items[i].n++;
            return;
        }
    if (c->n == COUNTERS_MAX)
        return;
    memcpy(c->items[c->n].name, name, sizeof(name));
    c->items[c->n++].n = 1;
}

struct json_object *counters_to_json(const struct counters *c)
{
    struct json_object *object = must(json_object_new_object());

    for (size_t i = 0; i < c->n; i++)
        json_object_object_add(object, c->items[i].name, must(json_object_new_uint64(c->items[i].n)));
    return object;
}
