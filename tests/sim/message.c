/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/message.h"

#include "tests/sim/memory.h"

#include <string.h>

void reply_clear(struct reply *rp)
{
    free(rp->body);
    free(rp->location);
    free(rp->retry_after);
    *rp = (struct reply){.mode = REPLY_SEND};
}

void reply_body(struct reply *rp, unsigned status, const char *outcome, const char *content_type, char *body,
                size_t n)
{
    reply_clear(rp);
    rp->status = status;
    rp->content_type = content_type;
    rp->body = body;
    rp->n = n;
    (void)snprintf(rp->outcome, sizeof(rp->outcome), "%s", outcome);
}

void reply_json(struct reply *rp, unsigned status, const char *outcome, struct json_object *object)
{
    size_t n;
    const char *text = json_object_to_json_string_length(
        object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
    char *copy = must(malloc(n + 1));

    memcpy(copy, must((void *)text), n + 1);
    reply_body(rp, status, outcome, "application/json;charset UTF-8", copy, n);
    json_object_put(object);
}

void json_add(struct json_object *object, const char *name, const char *value)
{
    json_object_object_add(object, name, must(json_object_new_string(value)));
}

void reply_oauth_error(struct reply *rp, const struct request *rq, unsigned status, const char *error,
                       const char *description)
{
    struct json_object *object = must(json_object_new_object());

    json_add(object, "error_description", description);
    json_add(object, "error", error);
    json_add(object, "request_id", rq->id);
    reply_json(rp, status, error, object);
}

void reply_api_error(struct reply *rp, unsigned status, const char *code, const char *message)
{
    struct json_object *object = must(json_object_new_object());
    struct json_object *error = must(json_object_new_object());
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", status);
    json_add(error, "status", text);
    json_add(error, "code", code);
    json_add(error, "message", message);
    json_object_object_add(object, "error", error);
    reply_json(rp, status, code, object);
}
