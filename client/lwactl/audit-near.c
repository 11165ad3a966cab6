/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/audit-near.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/text.h"

#include <string.h>

/* The words of the field, each once. */
static int collect(struct strv *names, struct json_object *record, const char *key)
{
    _cleanup_strv_ struct strv words = STRV_EMPTY;
    int r = strv_split(&words, values_text(record, key), " ");
    for (size_t i = 0; r == 0 && i < words.n; i++)
        if (!strv_contains(names, words.items[i]))
            r = strv_add(names, words.items[i]);
    return r;
}

/* An app is mostly mistaken in its name, and not in the kind before it. */
static const char *nearest_name(const char *word, const struct strv *names)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *colon = strchr(names->items[i], ':');
        if (colon && strcmp(colon + 1, word) == 0)
            return names->items[i];
    }
    return text_nearest(word, (const char *const *)names->items, names->n);
}

static bool hint(const char *word, struct json_object *records, const char *key, const char *other_key)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    if (!word)
        return false;
    for (size_t i = 0; i < values_count(records); i++)
        if (collect(&names, values_item(records, i), key) < 0 ||
            collect(&names, values_item(records, i), other_key) < 0)
            return false;
    const char *nearest = strv_contains(&names, word) ? NULL : nearest_name(word, &names);
    if (nearest)
        report_hint("did you mean `%s`?", nearest);
    return nearest != NULL;
}

void audit_near_hint(struct bus *bus, const struct audit_filter *filter)
{
    const struct audit_filter any = {.is_own = filter->is_own};
    _cleanup_json_ struct json_object *records = NULL;
    if (!filter->app && !filter->scope && !filter->account)
        return;
    if (audit_query_newest(bus, &any, AUDIT_PAGE_MAX, VALUES_SAFE, &records) != CTL_OK)
        return;
    if (!hint(filter->app, records, "app", "app") && !hint(filter->scope, records, "asked", "carried"))
        (void)hint(filter->account, records, "account", "account");
}
