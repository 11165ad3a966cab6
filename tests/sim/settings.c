/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/settings.h"

#include "tests/sim/memory.h"

#include <ctype.h>
#include <string.h>

/* A row is a number of at most `max`, one of the `choices`, or, where `size` is not 0, a text. */
struct setting_row {
    const char *name;
    size_t offset;
    uint32_t max;
    size_t size;
    const char *choices[4];
};

#define OFFSET(member) offsetof(struct settings, member)
#define TEXT_SIZE(member) sizeof(((struct settings *)NULL)->member)

static const struct setting_row rows[] = {
    {"token_lifetime", OFFSET(token_lifetime), 1000000},
    {"code_lifetime", OFFSET(code_lifetime), 1000000},
    {"auth_code_lifetime", OFFSET(auth_code_lifetime), 1000000},
    {"interval", OFFSET(interval), 1000000},
    {"min_poll_interval", OFFSET(min_poll_interval), 1000000},
    {"rotation", OFFSET(rotation), .choices = {"none", "same", "new"}},
    {"rotation_kills_old", OFFSET(rotation_kills_old), .choices = {"no", "yes"}},
    {"expires_in_form", OFFSET(expires_in_form), .choices = {"number", "string"}},
    {"client_type", OFFSET(client_type), .choices = {"device", "web"}},
    {"narrowing", OFFSET(narrowing), .choices = {"ignore", "narrow", "refuse", "grant"}},
    {"wrong_region", OFFSET(wrong_region), .choices = {"no", "yes"}},
    {"delay_ms", OFFSET(delay_ms), 600000},
    {"token_type", OFFSET(token_type), .size = TEXT_SIZE(token_type)},
    {"disabled_scopes", OFFSET(disabled_scopes), .size = TEXT_SIZE(disabled_scopes)},
};

void settings_init(struct settings *s)
{
    *s = (struct settings){
        .token_lifetime = 3600,
        .code_lifetime = 600,
        .auth_code_lifetime = 300,
        .interval = 5,
        .rotation = ROTATION_SAME,
        .token_type = "bearer",
    };
}

bool number_parse(const char *text, uint32_t max, uint32_t *ret)
{
    uint64_t value = 0;

    if (*text == '\0' || strlen(text) > 10)
        return false;
    for (const char *p = text; *p; p++) {
        if (!isdigit((unsigned char)*p))
            return false;
        value = value * 10 + (uint64_t)(*p - '0');
    }
    if (value > max)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool choice_parse(const struct setting_row *row, const char *text, uint32_t *ret)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(row->choices) && row->choices[i]; i++)
        if (strcmp(row->choices[i], text) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

static bool setting_apply(const struct setting_row *row, struct settings *s, const char *text)
{
    char *member = (char *)s + row->offset;

    if (row->size > 0) {
        size_t n = strlen(text);
        if (n >= row->size)
            return false;
        memcpy(member, text, n + 1);
        return true;
    }
    if (row->choices[0])
        return choice_parse(row, text, (uint32_t *)(void *)member);
    return number_parse(text, row->max, (uint32_t *)(void *)member);
}

static const struct setting_row *row_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

int settings_apply(struct settings *s, const struct form *form, const char **ret_name)
{
    struct settings changed = *s;

    for (size_t i = 0; i < form->n; i++) {
        const struct setting_row *row = row_find(form->fields[i].name);
        if (!row || !setting_apply(row, &changed, form->fields[i].value)) {
            *ret_name = form->fields[i].name;
            return -EINVAL;
        }
    }
    *s = changed;
    return 0;
}

struct json_object *settings_to_json(const struct settings *s)
{
    struct json_object *object = must(json_object_new_object());

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct setting_row *row = &rows[i];
        const char *member = (const char *)s + row->offset;
        struct json_object *value;
        if (row->size > 0) {
            value = json_object_new_string(member);
        } else {
            uint32_t number;
            memcpy(&number, member, sizeof(number));
            value = row->choices[0] ? json_object_new_string(row->choices[number])
                                    : json_object_new_int64(number);
        }
        json_object_object_add(object, row->name, must(value));
    }
    return object;
}
