/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The person's side of a code pair, in three pages:
 *   1. GET /code shows a form for the user code.
 *   2. POST /code with user_code and page_token shows who asks for what, with the customer to be.
 *   3. POST /code with customer, answer and the page_token of page 2 settles the pair.
 * A page token works once, and only with the form it was shown in. */

#include "tests/sim/html.h"
#include "tests/sim/memory.h"
#include "tests/sim/provider.h"

#include <string.h>

static void show_code_form(struct sim *sim, struct reply *rp, unsigned status, const char *outcome,
                           const char *notice, const char *typed)
{
    const struct page *page = codes_add_page(&sim->codes, PAGE_CODE);
    struct html h;

    html_begin(&h, "Link a device");
    if (notice)
        html_notice(&h, notice);
    html_raw(&h, "<form method=\"post\" action=\"/code\">\n");
    html_hidden(&h, "page_token", page->token);
    html_raw(&h,
             "<label for=\"user_code\">Type the code that the device shows</label>\n"
             "<input class=\"code\" id=\"user_code\" name=\"user_code\" required maxlength=\"20\" "
             "autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" autofocus value=\"");
    html_text(&h, typed ? typed : "");
    html_raw(&h, "\">\n<button type=\"submit\">Go on</button>\n</form>\n");
    html_end(&h, rp, status, outcome);
}

void handle_code_get(struct sim *sim, const struct request *rq, struct reply *rp)
{
    show_code_form(sim, rp, 200, "ok", NULL, form_get(&rq->query, "user_code"));
}

static void show_consent(struct sim *sim, const struct code_pair *pair, struct reply *rp)
{
    struct page *page = codes_add_page(&sim->codes, PAGE_PAIR_CONSENT);
    struct html h;

    page->user_code = must(strdup(pair->user_code));
    html_begin(&h, "Link this device?");
    html_raw(&h, "<form method=\"post\" action=\"/code\">\n");
    html_hidden(&h, "page_token", page->token);
    html_consent(&h, &sim->customers, pair->client, pair->scopes, 0);
    html_raw(&h, "</form>\n");
    html_end(&h, rp, 200, "consent");
}

static void take_code(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *typed = form_get(&rq->form, "user_code");
    struct code_pair *pair = typed ? codes_find_user_code(&sim->codes, typed) : NULL;

    if (!pair || code_pair_is_expired(pair) || pair->state != PAIR_PENDING)
        return show_code_form(sim, rp, 400, "unknown_code",
                              "There is no such code, or it is no longer valid. Check what the device shows.",
                              typed);
    if (pair->is_unknown_product)
        return html_message(rp, 400, "unknown_product", "We're sorry!",
                            "The device did not say which product it is. It cannot be linked.");
    show_consent(sim, pair, rp);
}

static void take_answer(struct sim *sim, const struct request *rq, const struct page *page, struct reply *rp)
{
    const char *answer = form_get(&rq->form, "answer");
    const char *name = form_get(&rq->form, "customer");
    struct code_pair *pair = codes_find_user_code(&sim->codes, page->user_code);

    if (!pair || code_pair_is_expired(pair) || pair->state != PAIR_PENDING)
        return html_message(rp, 400, "expired_code", "Too late", "The code is no longer valid.");
    if (answer && strcmp(answer, "deny") == 0) {
        pair->state = PAIR_DENIED;
        return html_message(rp, 200, "denied", "Not linked", "You said no. The device was not linked.");
    }
    struct customer *customer = name ? customers_get(&sim->customers, name) : NULL;
    if (!answer || strcmp(answer, "allow") != 0 || !customer)
        return html_message(rp, 400, "bad_form", "Something is missing",
                            "The form came without a customer or without an answer. Start again.");
    pair->customer = customer;
    pair->state = PAIR_ALLOWED;
    html_message(rp, 200, "allowed", "Done", "The device is linked. You can close this page.");
}

void handle_code_post(struct sim *sim, const struct request *rq, struct reply *rp)
{
    const char *token = form_get(&rq->form, "page_token");
    _cleanup_(page_freep) struct page *code = NULL;
    _cleanup_(page_freep) struct page *consent = NULL;

    if (rq->body_kind != BODY_FORM || rq->is_body_malformed)
        return html_message(rp, 400, "bad_form", "Something is wrong", "The form cannot be read.");
    code = token ? codes_take_page(&sim->codes, token, PAGE_CODE) : NULL;
    if (code)
        return take_code(sim, rq, rp);
    consent = token ? codes_take_page(&sim->codes, token, PAGE_PAIR_CONSENT) : NULL;
    if (consent)
        return take_answer(sim, rq, consent, rp);
    show_code_form(sim, rp, 403, "stale_page", "That page was used already or is too old. Start again.",
                   NULL);
}
