/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* GET and POST /ap/oa: the authorization code flow in the browser. What is wrong with client,
 * redirection or scope is shown to the person and never redirected; an answer goes back to the client with
 * code, scope and state, or with error and state. */

#include "tests/sim/html.h"
#include "tests/sim/memory.h"
#include "tests/sim/provider.h"
#include "tests/sim/scopes.h"

#include <ctype.h>
#include <string.h>

#define TEXT_BYTES_MAX 2048

/* https, plain http to the loopback, or Amazon's own scheme for companion apps, without a fragment. */
static bool redirect_is_allowed(const char *uri)
{
    static const char *const starts[] = {"https://",
                                         "http://127.0.0.1:",
                                         "http://127.0.0.1/",
                                         "http://localhost:",
                                         "http://localhost/",
                                         "http://[::1]:",
                                         "amzn://"};

    if (strlen(uri) > TEXT_BYTES_MAX)
        return false;
    for (const char *p = uri; *p; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '#')
            return false;
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
        if (strncmp(uri, starts[i], strlen(starts[i])) == 0 && uri[strlen(starts[i])] != '\0')
            return true;
    return false;
}

static char *copy_parameter(const struct form *form, const char *name)
{
    const char *value = form_get(form, name);

    return value ? must(strdup(value)) : NULL;
}

/* {"profile":{"essential":false}}: those are voluntary. False when it is no JSON object. */
static bool read_scope_data(const char *text, uint64_t *voluntary)
{
    struct json_tokener *tokener = must(json_tokener_new_ex(16));
    struct json_object *root = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
    bool is_object = json_object_is_type(root, json_type_object);
    struct json_object *essential;

    if (is_object) {
        json_object_object_foreach(root, name, value)
        {
            if (json_object_is_type(value, json_type_object) &&
                json_object_object_get_ex(value, "essential", &essential) &&
                json_object_is_type(essential, json_type_boolean) && !json_object_get_boolean(essential))
                *voluntary |= scope_bit(name);
        }
    }
    json_object_put(root);
    json_tokener_free(tokener);
    return is_object;
}

/* The sentence for the person when the request is wrong, else NULL. */
static const char *read_authorize(const struct sim *sim, const struct form *form, struct authorize *a)
{
    const char *client_id = form_get(form, "client_id");
    const char *redirect_uri = form_get(form, "redirect_uri");
    const char *response_type = form_get(form, "response_type");
    const char *method = form_get(form, "code_challenge_method");
    const char *state = form_get(form, "state");
    const char *scope = form_get(form, "scope");
    const char *scope_data = form_get(form, "scope_data");

    a->client = client_id ? sim_find_client(sim, client_id) : NULL;
    if (!a->client)
        return "400 Bad Request - An unknown client was named";
    if (!redirect_uri || !redirect_is_allowed(redirect_uri))
        return "400 Bad Request - The redirect URI is not allowed for this client";
    if (!response_type || strcmp(response_type, "code") != 0)
        return "400 Bad Request - The response type is not supported";
    if (!scope || !sim_parse_scopes(sim, scope, &a->scopes) || a->scopes == 0)
        return "400 Bad Request - An unknown scope was requested";
    if (scope_data && !read_scope_data(scope_data, &a->voluntary))
        return "400 Bad Request - The scope data is not valid";
    if (method && strcmp(method, "S256") != 0 && strcmp(method, "plain") != 0)
        return "400 Bad Request - The code challenge method is not supported";
    if (state && strlen(state) > TEXT_BYTES_MAX)
        return "400 Bad Request - The state is too long";
    a->redirect_uri = must(strdup(redirect_uri));
    a->state = copy_parameter(form, "state");
    a->challenge = copy_parameter(form, "code_challenge");
    a->is_s256 = method && strcmp(method, "S256") == 0;
    return NULL;
}

static void authorize_move(struct authorize *to, struct authorize *from)
{
    authorize_clear(to);
    *to = *from;
    *from = (struct authorize){NULL};
}

void handle_authorize_get(struct sim *sim, const struct request *rq, struct reply *rp)
{
    _cleanup_(authorize_clear) struct authorize request = {NULL};
    const char *wrong = read_authorize(sim, &rq->query, &request);
    struct html h;

    if (wrong)
        return html_message(rp, 400, "bad_request", "We're sorry!", wrong);
    struct page *page = codes_add_page(&sim->codes, PAGE_AUTHORIZE);
    authorize_move(&page->request, &request);
    html_begin(&h, "Sign in");
    html_raw(&h, "<form method=\"post\" action=\"/ap/oa\">\n");
    html_hidden(&h, "page_token", page->token);
    html_consent(&h, &sim->customers, page->request.client, page->request.scopes, page->request.voluntary);
    html_raw(&h, "</form>\n");
    html_end(&h, rp, 200, "consent");
}

static void put_parameter(FILE *out, const char *separator, const char *name, const char *value)
{
    (void)fprintf(out, "%s%s=", separator, name);
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        if (isalnum(*p) || strchr("-._~", *p))
            (void)fputc(*p, out);
        else
            (void)fprintf(out, "%%%02X", *p);
    }
}

/* Where the browser is sent back to, with two parameters, whose names are ours, and the state. */
static char *make_location(const char *redirect_uri, const char *state, const char *const parameters[4])
{
    char *location = NULL;
    size_t n;
    FILE *out = must(open_memstream(&location, &n));

    (void)fputs(redirect_uri, out);
    put_parameter(out, strchr(redirect_uri, '?') ? "&" : "?", parameters[0], parameters[1]);
    put_parameter(out, "&", parameters[2], parameters[3]);
    if (state)
        put_parameter(out, "&", "state", state);
    if (fclose(out) != 0)
        abort();
    return location;
}

static char *deny(const struct authorize *request)
{
    const char *const parameters[] = {"error", "access_denied", "error_description",
                                      "The customer has denied the request"};

    return make_location(request->redirect_uri, request->state, parameters);
}

/* Uses the request up. */
static char *allow(struct sim *sim, struct authorize *request, struct customer *customer, uint64_t kept)
{
    request->scopes &= ~request->voluntary | kept;
    _cleanup_free_ char *scopes = scopes_join(request->scopes);
    const struct auth_code *code =
        codes_add_auth_code(&sim->codes, request, customer, sim->settings.auth_code_lifetime);
    const char *const parameters[] = {"code", code->code, "scope", scopes};

    return make_location(code->request.redirect_uri, code->request.state, parameters);
}

static void reply_redirect(struct reply *rp, const char *outcome, char *location)
{
    reply_body(rp, 302, outcome, "text/html; charset=utf-8", must(strdup("")), 0);
    rp->location = location;
}

static uint64_t read_kept(const struct form *form)
{
    uint64_t kept = 0;

    for (size_t i = 0; i < form->n; i++)
        if (strcmp(form->fields[i].name, "keep") == 0)
            kept |= scope_bit(form->fields[i].value);
    return kept;
}

void handle_authorize_post(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *token = form_get(&rq->form, "page_token");
    const char *answer = form_get(&rq->form, "answer");
    const char *name = form_get(&rq->form, "customer");
    bool is_form = rq->body_kind == BODY_FORM && !rq->is_body_malformed;
    _cleanup_(page_freep) struct page *page =
        is_form && token ? codes_take_page(&sim->codes, token, PAGE_AUTHORIZE) : NULL;

    if (!page)
        return html_message(rp, 403, "stale_page", "Start again",
                            "That page was used already or is too old.");
    if (answer && strcmp(answer, "deny") == 0)
        return reply_redirect(rp, "denied", deny(&page->request));
    struct customer *customer = name ? customers_get(&sim->customers, name) : NULL;
    if (!answer || strcmp(answer, "allow") != 0 || !customer)
        return html_message(rp, 400, "bad_form", "Something is missing",
                            "The form came without a customer or without an answer. Start again.");
    reply_redirect(rp, "allowed", allow(sim, &page->request, customer, read_kept(&rq->form)));
}

const char *authorize_as(struct sim *sim, const struct form *query, struct customer *customer, bool is_denied,
                         uint64_t deselected, char **ret_location)
{
    _cleanup_(authorize_clear) struct authorize request = {NULL};
    const char *wrong = read_authorize(sim, query, &request);

    if (wrong)
        return wrong;
    if ((deselected & ~request.voluntary) != 0)
        return "deselect";
    *ret_location = is_denied ? deny(&request) : allow(sim, &request, customer, ~deselected);
    return NULL;
}
