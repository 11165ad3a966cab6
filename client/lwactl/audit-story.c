/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/audit-story.h"

#include "util/strv.h"

#include <string.h>

/* Lists are searched from their end: what happens again happened lately. */

static int set(struct json_object *object, const char *key, struct json_object *value)
{
    if (value && json_object_object_add(object, key, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

static int set_number(struct json_object *object, const char *key, int64_t value)
{
    return set(object, key, json_object_new_int64(value));
}

static int set_text(struct json_object *object, const char *key, const char *value)
{
    return set(object, key, json_object_new_string(value));
}

/* The fields of the record, under the same names. */
static int copy(struct json_object *to, struct json_object *record, const char *const *keys)
{
    int r = 0;
    for (; r == 0 && *keys; keys++) {
        struct json_object *value;
        if (json_object_object_get_ex(record, *keys, &value))
            r = set(to, *keys, json_object_get(value));
    }
    return r;
}

/* A new object at the list's end; NULL when memory is out. */
static struct json_object *append(struct json_object *list)
{
    struct json_object *item = json_object_new_object();
    if (values_count(list) >= AUDIT_STORY_MAX)
        (void)json_object_array_del_idx(list, 0, 1);
    if (item && json_object_array_add(list, item) == 0)
        return item;
    json_object_put(item);
    return NULL;
}

struct json_object *audit_story_new(void)
{
    static const char *const lists[] = {"uids", "scopes", "holds", "refusals", "consents"};
    _cleanup_json_ struct json_object *story = json_object_new_object();
    int r = story ? set_number(story, "records", 0) : -ENOMEM;
    if (r == 0)
        r = set(story, "verdicts", json_object_new_object());
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
        r = set(story, lists[i], json_object_new_array());
    return r == 0 ? TAKE_PTR(story) : NULL;
}

/* The last item in which all these fields are as in `like`, or NULL. */
static struct json_object *find_like(struct json_object *list, struct json_object *like,
                                     const char *const *keys)
{
    for (size_t i = values_count(list); i > 0; i--) {
        struct json_object *item = values_item(list, i - 1);
        const char *const *key = keys;
        while (*key &&
               json_object_equal(json_object_object_get(item, *key), json_object_object_get(like, *key)))
            key++;
        if (!*key)
            return item;
    }
    return NULL;
}

static int64_t times_of(struct json_object *record)
{
    return 1 + values_number(record, "repeats");
}

static int count_up(struct json_object *object, const char *key, int64_t times)
{
    return set_number(object, key, values_number(object, key) + times);
}

/* --- what a record tells -------------------------------------------------------------------------------- */

/* What is empty in a record is not known, and does not replace what was. */
static int add_identity(struct json_object *story, struct json_object *record)
{
    static const char *const keys[] = {"app", "kind", "strength", "unit", "program"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(keys); i++)
        if (*values_text(record, keys[i]))
            r = set_text(story, keys[i], values_text(record, keys[i]));
    return r;
}

static int add_uid(struct json_object *story, struct json_object *record)
{
    struct json_object *uid, *list = values_list(story, "uids");
    if (!json_object_object_get_ex(record, "uid", &uid))
        return 0;
    for (size_t i = 0; i < values_count(list); i++)
        if (json_object_equal(values_item(list, i), uid))
            return 0;
    return json_object_array_add(list, json_object_get(uid)) < 0 ? -ENOMEM : 0;
}

static struct json_object *find_scope(struct json_object *list, const char *scope)
{
    for (size_t i = 0; i < values_count(list); i++)
        if (strcmp(values_text(values_item(list, i), "scope"), scope) == 0)
            return values_item(list, i);
    struct json_object *item = append(list);
    return item && set_text(item, "scope", scope) == 0 ? item : NULL;
}

static int add_scope(struct json_object *item, struct json_object *record, bool is_got)
{
    int64_t time = values_number(record, "time");
    int r = count_up(item, is_got ? "got" : "refused", times_of(record));
    if (r == 0 && is_got && values_number(item, "first_got") == 0)
        r = set_number(item, "first_got", time);
    return r == 0 ? set_number(item, is_got ? "last_got" : "last_refused", time) : r;
}

static int add_scopes(struct json_object *story, struct json_object *record, bool is_got)
{
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    struct json_object *list = values_list(story, "scopes");
    int r = strv_split(&scopes, values_text(record, is_got ? "carried" : "asked"), " ");
    for (size_t i = 0; r == 0 && i < scopes.n; i++) {
        struct json_object *item = find_scope(list, scopes.items[i]);
        r = item ? add_scope(item, record, is_got) : -ENOMEM;
    }
    return r;
}

static int add_refusal(struct json_object *story, struct json_object *record)
{
    static const char *const keys[] = {"verdict", "decided_by", "detail", "asked", "account", NULL};
    struct json_object *list = values_list(story, "refusals");
    struct json_object *item = find_like(list, record, keys);
    int r = 0;
    if (!item) {
        item = append(list);
        r = item ? copy(item, record, keys) : -ENOMEM;
        if (r == 0)
            r = set_number(item, "first", values_number(record, "time"));
    }
    if (r == 0)
        r = count_up(item, "times", times_of(record));
    if (r == 0)
        r = set_number(item, "last", values_number(record, "time"));
    return r == 0 ? set_number(item, "sequence", values_number(record, "sequence")) : r;
}

static int add_consent(struct json_object *story, struct json_object *record)
{
    static const char *const keys[] = {"time",       "event",      "account",  "asked", "detail",
                                       "decided_by", "expires_at", "sequence", NULL};
    struct json_object *list = values_list(story, "consents"), *item = append(list);
    return item ? copy(item, record, keys) : -ENOMEM;
}

static int add_token(struct json_object *story, struct json_object *record)
{
    static const char *const keys[] = {"token", "uid", "account", "carried", "expires_at", "sequence", NULL};
    static const char *const same[] = {"token", "uid", NULL};
    struct json_object *list = values_list(story, "holds"), *item = find_like(list, record, same);
    if (!item)
        item = append(list);
    int r = item ? copy(item, record, keys) : -ENOMEM;
    if (r == 0)
        r = set_number(item, "since", values_number(record, "time"));
    return r == 0 ? set(item, "released", json_object_new_boolean(false)) : r;
}

/* Without a token, all that the same user's app held: it is done with them. */
static int add_release(struct json_object *story, struct json_object *record)
{
    struct json_object *list = values_list(story, "holds"), *uid = json_object_object_get(record, "uid");
    const char *token = values_text(record, "token");
    int r = 0;
    for (size_t i = 0; r == 0 && i < values_count(list); i++) {
        struct json_object *item = values_item(list, i);
        bool is_meant = *token ? strcmp(values_text(item, "token"), token) == 0
                               : json_object_equal(json_object_object_get(item, "uid"), uid) != 0;
        if (is_meant)
            r = set(item, "released", json_object_new_boolean(true));
    }
    return r;
}

static int add_verdict(struct json_object *story, struct json_object *record)
{
    const char *verdict = values_text(record, "verdict");
    struct json_object *verdicts = json_object_object_get(story, "verdicts");
    return *verdict ? count_up(verdicts, verdict, times_of(record)) : 0;
}

static int add_event(struct json_object *story, struct json_object *record, int64_t now_sec)
{
    const char *event = values_text(record, "event");
    int r = 0;
    if (strcmp(event, "token-disclosed") == 0) {
        r = add_scopes(story, record, true);
        bool is_held = values_number(record, "expires_at") > now_sec;
        return r == 0 && is_held ? add_token(story, record) : r;
    }
    if (strcmp(event, "token-denied") == 0) {
        r = add_scopes(story, record, false);
        return r == 0 ? add_refusal(story, record) : r;
    }
    if (strcmp(event, "token-released") == 0)
        return add_release(story, record);
    return strncmp(event, "consent-", strlen("consent-")) == 0 ? add_consent(story, record) : 0;
}

/* Who answered a question about the app is not the app: what such a record says of a caller is his. */
static bool is_by_app(struct json_object *record)
{
    return strncmp(values_text(record, "event"), "consent-", strlen("consent-")) != 0;
}

static int add_record(struct json_object *story, struct json_object *record, int64_t now_sec)
{
    int r = 0;
    if (is_by_app(record)) {
        r = add_identity(story, record);
        if (r == 0)
            r = add_uid(story, record);
        if (r == 0)
            r = add_verdict(story, record);
    }
    if (r == 0 && values_number(story, "records") == 0)
        r = set_number(story, "first", values_number(record, "time"));
    if (r == 0)
        r = set_number(story, "last", values_number(record, "time"));
    if (r == 0)
        r = count_up(story, "records", 1);
    return r == 0 ? add_event(story, record, now_sec) : r;
}

int audit_story_add(struct json_object *story, struct json_object *records, int64_t now_sec)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < values_count(records); i++)
        r = add_record(story, values_item(records, i), now_sec);
    return r;
}
