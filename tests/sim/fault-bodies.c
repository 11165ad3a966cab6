/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The made-up answers of faults. Most of them carry the members of all endpoints at once, so that one body
 * is as wrong for a code pair as it is for a token. Whatever looks like a token goes into the ledger as a
 * stray: tests look for it in logs and memory too. */

#include "tests/sim/memory.h"
#include "tests/sim/random.h"
#include "tests/sim/sim.h"

#include <string.h>

#define HUGE_BYTES ((size_t)16 << 20)
#define NESTED_LEVELS 10000
#define LONG_TOKEN_BYTES 2049 /* one more than LWA allows */

void fault_answer_status(struct sim *sim _unused_, const struct fault *fault, const struct request *rq,
                         struct reply *rp)
{
    unsigned status = fault->status ? fault->status : 400;
    bool is_server = status >= 500;
    const char *description = fault->description[0] ? fault->description : "The fault that was ordered";

    if (fault->endpoint == ENDPOINT_API)
        reply_api_error(rp, status,
                        fault->error[0] ? fault->error
                        : is_server     ? "INTERNAL"
                                        : "BAD_REQUEST",
                        description);
    else
        reply_oauth_error(rp, rq, status,
                          fault->error[0] ? fault->error
                          : is_server     ? "ServerError"
                                          : "invalid_request",
                          description);
    if (fault->retry_after[0])
        rp->retry_after = must(strdup(fault->retry_after));
}

void fault_answer_429(struct sim *sim _unused_, const struct fault *fault, const struct request *rq _unused_,
                      struct reply *rp)
{
    if (fault->endpoint == ENDPOINT_API) {
        reply_api_error(rp, 429, "THROTTLED", "Too many requests");
    } else {
        struct json_object *object = must(json_object_new_object());
        json_add(object, "message", "Too Many Requests");
        reply_json(rp, 429, "throttled", object);
    }
    if (fault->retry_after[0])
        rp->retry_after = must(strdup(fault->retry_after));
}

void fault_answer_html(struct sim *sim _unused_, const struct fault *fault, const struct request *rq _unused_,
                       struct reply *rp)
{
    bool is_portal = strcmp(fault->kind->name, "html-200") == 0;
    char *page = must(strdup(
        is_portal ? "<!DOCTYPE html><html><head><title>Welcome to our network</title></head><body>"
                    "<h1>Please accept the terms</h1><form><button>Go online</button></form></body></html>\n"
                  : "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1>"
                    "</center></body></html>\n"));

    reply_body(rp, is_portal ? 200 : 502, fault->kind->name, "text/html; charset=utf-8", page, strlen(page));
}

void fault_answer_huge(struct sim *sim _unused_, const struct fault *fault, const struct request *rq _unused_,
                       struct reply *rp)
{
    static const char head[] = "{\"access_token\":\"";
    static const char tail[] = "\"}";
    char *body = must(malloc(HUGE_BYTES + 1));

    memset(body, 'A', HUGE_BYTES);
    memcpy(body, head, sizeof(head) - 1);
    memcpy(body + HUGE_BYTES - (sizeof(tail) - 1), tail, sizeof(tail));
    reply_body(rp, 200, fault->kind->name, "application/json", body, HUGE_BYTES);
}

void fault_answer_nested(struct sim *sim _unused_, const struct fault *fault,
                         const struct request *rq _unused_, struct reply *rp)
{
    static const char head[] = "{\"access_token\":";
    size_t n_head = sizeof(head) - 1;
    size_t n = n_head + 2 * NESTED_LEVELS + 1;
    char *body = must(malloc(n + 1));

    memcpy(body, head, n_head);
    memset(body + n_head, '[', NESTED_LEVELS);
    memset(body + n_head + NESTED_LEVELS, ']', NESTED_LEVELS);
    memcpy(body + n - 1, "}", 2);
    reply_body(rp, 200, fault->kind->name, "application/json", body, n);
}

static char *stray_token(struct sim *sim, const char *prefix, size_t n, bool is_refresh)
{
    char *token = random_token(prefix, n);

    sim_lock(sim);
    ledger_add_stray(&sim->ledger, token, is_refresh);
    sim_unlock(sim);
    return token;
}

/* Either of the two would do everywhere: only that there are two is wrong. */
void fault_answer_duplicate_keys(struct sim *sim, const struct fault *fault,
                                 const struct request *rq _unused_, struct reply *rp)
{
    _cleanup_free_ char *access_a = stray_token(sim, "Atza|", 350, false);
    _cleanup_free_ char *access_b = stray_token(sim, "Atza|", 350, false);
    _cleanup_free_ char *refresh_a = stray_token(sim, "Atzr|", 400, true);
    _cleanup_free_ char *refresh_b = stray_token(sim, "Atzr|", 400, true);
    const char *aud = sim->device_client.id;
    char *body;
    int n =
        asprintf(&body,
                 "{\"access_token\":\"%s\",\"refresh_token\":\"%s\",\"access_token\":\"%s\","
                 "\"refresh_token\":\"%s\",\"token_type\":\"bearer\",\"token_type\":\"Bearer\","
                 "\"expires_in\":3600,\"expires_in\":1800,\"user_code\":\"AAAAAA\",\"user_code\":\"BBBBBB\","
                 "\"device_code\":\"a\",\"device_code\":\"b\","
                 "\"verification_uri\":\"https://a.example/\",\"verification_uri\":\"https://b.example/\","
                 "\"interval\":1,\"interval\":2,\"user_id\":\"amzn1.account.A\","
                 "\"user_id\":\"amzn1.account.B\",\"aud\":\"%s\",\"aud\":\"%s\",\"exp\":1,\"exp\":2}",
                 access_a, refresh_a, access_b, refresh_b, aud, aud);

    if (n < 0)
        abort();
    reply_body(rp, 200, fault->kind->name, "application/json", body, (size_t)n);
}

void fault_answer_wrong_types(struct sim *sim _unused_, const struct fault *fault,
                              const struct request *rq _unused_, struct reply *rp)
{
    char *body = must(
        strdup("{\"access_token\":1,\"refresh_token\":{\"a\":\"b\"},\"token_type\":[\"bearer\"],"
               "\"expires_in\":{\"seconds\":3600},\"user_code\":null,\"device_code\":12.5,"
               "\"verification_uri\":false,\"interval\":[5],\"iss\":1,\"user_id\":{},\"aud\":[],\"app_id\":7,"
               "\"exp\":\"soon\",\"iat\":null,\"name\":{},\"email\":7,\"data\":\"text\",\"error\":{}}"));

    reply_body(rp, 200, fault->kind->name, "application/json", body, strlen(body));
}

void fault_answer_empty(struct sim *sim _unused_, const struct fault *fault,
                        const struct request *rq _unused_, struct reply *rp)
{
    reply_body(rp, 200, fault->kind->name, "application/json", must(strdup("")), 0);
}

void fault_answer_nul_and_percent(struct sim *sim _unused_, const struct fault *fault,
                                  const struct request *rq _unused_, struct reply *rp)
{
#define NASTY "%s%n%x\\u0000\xff\xfe\xc0\xaf\\ud800<b>&quot;\\r\\n\\u001b[31m"
    static const char body[] =
        "{\"error_description\":\"" NASTY "\",\"access_token\":\"Atza|" NASTY
        "\",\"refresh_token\":\"Atzr|" NASTY "\",\"token_type\":\"bearer" NASTY
        "\",\"expires_in\":\"3600" NASTY "\",\"user_code\":\"" NASTY "\",\"device_code\":\"" NASTY
        "\",\"verification_uri\":\"https://" NASTY "\",\"interval\":5,\"user_id\":\"" NASTY
        "\",\"aud\":\"" NASTY "\",\"name\":\"" NASTY "\",\"request_id\":\"" NASTY "\"";
#undef NASTY
    unsigned status = fault->status ? fault->status : 200;
    const char *end = status >= 400 ? ",\"error\":\"%s%n\\u0000\xff\"}" : "}";
    char *text;
    int n = asprintf(&text, "%s%s", body, end);

    if (n < 0)
        abort();
    reply_body(rp, status, fault->kind->name, "application/json", text, (size_t)n);
}

/* Good up to the NUL that each text holds: read as texts of C they would do. */
void fault_answer_nul(struct sim *sim, const struct fault *fault, const struct request *rq _unused_,
                      struct reply *rp)
{
#define NUL "\\u0000."
    _cleanup_free_ char *access = stray_token(sim, "Atza|", 350, false);
    _cleanup_free_ char *refresh = stray_token(sim, "Atzr|", 400, true);
    char *body;
    int n =
        asprintf(&body,
                 "{\"access_token\":\"%s" NUL "\",\"refresh_token\":\"%s" NUL "\",\"token_type\":\"bearer\","
                 "\"expires_in\":3600,\"user_code\":\"AAAAAA" NUL "\",\"device_code\":\"a" NUL "\","
                 "\"verification_uri\":\"https://a.example/" NUL "\",\"user_id\":\"amzn1.account.A" NUL "\","
                 "\"aud\":\"%s" NUL "\",\"exp\":1}",
                 access, refresh, sim->device_client.id);
#undef NUL

    if (n < 0)
        abort();
    reply_body(rp, 200, fault->kind->name, "application/json", body, (size_t)n);
}

void fault_answer_long_token(struct sim *sim, const struct fault *fault, const struct request *rq _unused_,
                             struct reply *rp)
{
    _cleanup_free_ char *access = stray_token(sim, "Atza|", LONG_TOKEN_BYTES - 5, false);
    _cleanup_free_ char *refresh = stray_token(sim, "Atzr|", 400, true);
    struct json_object *object = must(json_object_new_object());

    json_add(object, "access_token", access);
    json_add(object, "refresh_token", refresh);
    json_add(object, "token_type", "bearer");
    json_object_object_add(object, "expires_in", must(json_object_new_int(3600)));
    json_add(object, "user_code", access);
    json_add(object, "device_code", access);
    json_add(object, "verification_uri", access);
    json_add(object, "user_id", access);
    reply_json(rp, 200, fault->kind->name, object);
}

void fault_answer_redirect(struct sim *sim, const struct fault *fault, const struct request *rq _unused_,
                           struct reply *rp)
{
    char *location;

    if (fault->location[0])
        location = must(strdup(fault->location));
    else if (asprintf(&location, "%s/elsewhere", sim->public_base) < 0)
        abort();
    reply_body(rp, 302, fault->kind->name, "text/html; charset=utf-8", must(strdup("")), 0);
    rp->location = location;
}
