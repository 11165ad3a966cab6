/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/faults.h"

#include "tests/sim/memory.h"
#include "tests/sim/message.h"
#include "tests/sim/settings.h"

#include <string.h>

/* "status-N" and "error" share an answer; the number of the former is read from its name. */
static const struct fault_kind kinds[] = {
    {"status-", FAULT_ANSWER, fault_answer_status},
    {"error", FAULT_ANSWER, fault_answer_status},
    {"html-502", FAULT_ANSWER, fault_answer_html},
    {"html-200", FAULT_ANSWER, fault_answer_html},
    {"http-429", FAULT_ANSWER, fault_answer_429},
    {"huge", FAULT_ANSWER, fault_answer_huge},
    {"nested", FAULT_ANSWER, fault_answer_nested},
    {"duplicate-keys", FAULT_ANSWER, fault_answer_duplicate_keys},
    {"wrong-types", FAULT_ANSWER, fault_answer_wrong_types},
    {"empty-200", FAULT_ANSWER, fault_answer_empty},
    {"nul-and-percent", FAULT_ANSWER, fault_answer_nul_and_percent},
    {"nul", FAULT_ANSWER, fault_answer_nul},
    {"long-token", FAULT_ANSWER, fault_answer_long_token},
    {"redirect", FAULT_ANSWER, fault_answer_redirect},
    {"reset", FAULT_CLOSE, NULL},
    {"reset-after", FAULT_CLOSE_AFTER, NULL},
    {"hang-before", FAULT_HOLD, NULL},
    {"hang-after", FAULT_HOLD_AFTER, NULL},
    {"delay", FAULT_DELAY, NULL},
    {"truncated", FAULT_CUT_AFTER, NULL},
};

static const char *const endpoint_names[] = {
    [ENDPOINT_CODEPAIR] = "codepair",
    [ENDPOINT_TOKEN] = "token",
    [ENDPOINT_TOKENINFO] = "tokeninfo",
    [ENDPOINT_PROFILE] = "profile",
    [ENDPOINT_API] = "api",
    [ENDPOINT_ANY] = "any",
    [ENDPOINT_PAGES] = "pages",
    [ENDPOINT_ELSEWHERE] = "elsewhere",
    [ENDPOINT_OTHER] = "other",
};

const char *endpoint_name(enum endpoint endpoint)
{
    return endpoint_names[endpoint];
}

void faults_init(struct faults *f)
{
    list_init(&f->list);
    f->n = 0;
}

void faults_deinit(struct faults *f)
{
    struct fault *fault, *after;

    LIST_FOREACH_SAFE (fault, after, &f->list, node)
        free(fault);
    faults_init(f);
}

/* --- reading an order --- */

static bool read_endpoint(struct fault *fault, const char *value)
{
    for (size_t i = 0; i <= ENDPOINT_ANY; i++)
        if (strcmp(endpoint_names[i], value) == 0) {
            fault->endpoint = (enum endpoint)i;
            return true;
        }
    return false;
}

static bool read_status(struct fault *fault, const char *value)
{
    return number_parse(value, 599, &fault->status) && fault->status >= 200;
}

static bool read_kind(struct fault *fault, const char *value)
{
    if (strncmp(value, "status-", strlen("status-")) == 0) {
        fault->kind = &kinds[0];
        return read_status(fault, value + strlen("status-"));
    }
    for (size_t i = 1; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i].name, value) == 0) {
            fault->kind = &kinds[i];
            return true;
        }
    return false;
}

static bool read_text(char *text, size_t size, const char *value)
{
    size_t n = strlen(value);

    if (n >= size || strpbrk(value, "\r\n"))
        return false;
    memcpy(text, value, n + 1);
    return true;
}

static bool read_grant_type(struct fault *fault, const char *value)
{
    return read_text(fault->grant_type, sizeof(fault->grant_type), value);
}

static bool read_count(struct fault *fault, const char *value)
{
    return number_parse(value, 1000000, &fault->left);
}

static bool read_ms(struct fault *fault, const char *value)
{
    return number_parse(value, 600000, &fault->ms);
}

static bool read_error(struct fault *fault, const char *value)
{
    return read_text(fault->error, sizeof(fault->error), value);
}

static bool read_description(struct fault *fault, const char *value)
{
    return read_text(fault->description, sizeof(fault->description), value);
}

static bool read_retry_after(struct fault *fault, const char *value)
{
    return read_text(fault->retry_after, sizeof(fault->retry_after), value);
}

static bool read_location(struct fault *fault, const char *value)
{
    return read_text(fault->location, sizeof(fault->location), value);
}

static const struct {
    const char *name;
    bool (*read)(struct fault *fault, const char *value);
} parameters[] = {
    {"endpoint", read_endpoint},
    {"kind", read_kind},
    {"grant_type", read_grant_type},
    {"count", read_count},
    {"ms", read_ms},
    {"status", read_status},
    {"error", read_error},
    {"description", read_description},
    {"retry_after", read_retry_after},
    {"location", read_location},
};

static bool read_parameter(struct fault *fault, const struct form_field *field)
{
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
        if (strcmp(parameters[i].name, field->name) == 0)
            return parameters[i].read(fault, field->value);
    return false;
}

int faults_add(struct faults *f, const struct form *form, const char **ret_reason)
{
    struct fault fault = {.endpoint = ENDPOINT_OTHER, .left = 1, .ms = 120000};

    for (size_t i = 0; i < form->n; i++)
        if (!read_parameter(&fault, &form->fields[i])) {
            *ret_reason = form->fields[i].name;
            return -EINVAL;
        }
    if (fault.endpoint == ENDPOINT_OTHER || !fault.kind) {
        *ret_reason = "endpoint and kind are both needed";
        return -EINVAL;
    }
    if (f->n == FAULTS_MAX)
        return -ENOSPC;

    struct fault *added = must(malloc(sizeof(*added)));
    *added = fault;
    list_append(&f->list, &added->node);
    f->n++;
    return 0;
}

/* --- use --- */

static bool fault_matches(const struct fault *fault, enum endpoint endpoint, const char *grant_type)
{
    if (endpoint >= ENDPOINT_ANY || (fault->endpoint != endpoint && fault->endpoint != ENDPOINT_ANY))
        return false;
    return fault->grant_type[0] == '\0' || (grant_type && strcmp(fault->grant_type, grant_type) == 0);
}

bool faults_take(struct faults *f, enum endpoint endpoint, const char *grant_type, struct fault *ret)
{
    struct fault *fault;

    LIST_FOREACH (fault, &f->list, node) {
        if (!fault_matches(fault, endpoint, grant_type))
            continue;
        *ret = *fault;
        list_init(&ret->node);
        ret->endpoint = endpoint;
        if (fault->left > 0 && --fault->left == 0) {
            list_remove(&fault->node);
            f->n--;
            free(fault);
        }
        return true;
    }
    return false;
}

struct json_object *faults_to_json(const struct faults *f)
{
    struct json_object *array = must(json_object_new_array());
    struct fault *fault;

    LIST_FOREACH (fault, &f->list, node) {
        struct json_object *object = must(json_object_new_object());
        json_add(object, "endpoint", endpoint_name(fault->endpoint));
        json_add(object, "grant_type", fault->grant_type);
        json_add(object, "kind", fault->kind->name);
        json_object_object_add(object, "left", must(json_object_new_int64(fault->left)));
        json_object_array_add(array, object);
    }
    return array;
}
