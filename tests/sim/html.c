/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/html.h"

#include "tests/sim/memory.h"
#include "tests/sim/scopes.h"

#include <string.h>

static const char head_start[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>";
static const char head_end[] =
    "</title>\n<style>\n"
    "body { font: 1.1rem/1.5 sans-serif; color: #111; background: #fff; max-width: 28rem; margin: 0 auto; "
    "padding: 1rem; }\n"
    "h1 { font-size: 1.5rem; }\n"
    "code { overflow-wrap: anywhere; }\n"
    "label { display: block; margin: 1rem 0 0.25rem; }\n"
    "input, select { font: inherit; width: 100%; box-sizing: border-box; padding: 0.6rem; }\n"
    ".code { font-size: 1.6rem; letter-spacing: 0.2em; text-transform: uppercase; }\n"
    "button { font: inherit; width: 100%; padding: 0.8rem; margin-top: 1rem; }\n"
    ".notice { border-left: 0.3rem solid #b00; padding-left: 0.8rem; }\n"
    "footer { margin-top: 2rem; font-size: 0.85rem; color: #444; }\n"
    "</style>\n</head>\n<body>\n<main>\n<h1>";

void html_raw(struct html *h, const char *markup)
{
    (void)fputs(markup, h->out);
}

void html_text(struct html *h, const char *text)
{
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '&':
            html_raw(h, "&amp;");
            break;
        case '<':
            html_raw(h, "&lt;");
            break;
        case '>':
            html_raw(h, "&gt;");
            break;
        case '"':
            html_raw(h, "&quot;");
            break;
        case '\'':
            html_raw(h, "&#39;");
            break;
        default:
            (void)fputc(*p, h->out);
        }
    }
}

void html_begin(struct html *h, const char *title)
{
    *h = (struct html){NULL};
    h->out = must(open_memstream(&h->text, &h->n));
    html_raw(h, head_start);
    html_text(h, title);
    html_raw(h, head_end);
    html_text(h, title);
    html_raw(h, "</h1>\n");
}

void html_end(struct html *h, struct reply *rp, unsigned status, const char *outcome)
{
    html_raw(h, "</main>\n<footer>This is a simulator for tests. No real account is involved.</footer>\n"
                "</body>\n</html>\n");
    if (fclose(h->out) != 0)
        abort();
    reply_body(rp, status, outcome, "text/html; charset=utf-8", h->text, h->n);
}

void html_hidden(struct html *h, const char *name, const char *value)
{
    html_raw(h, "<input type=\"hidden\" name=\"");
    html_text(h, name);
    html_raw(h, "\" value=\"");
    html_text(h, value);
    html_raw(h, "\">\n");
}

void html_notice(struct html *h, const char *text)
{
    html_raw(h, "<p class=\"notice\" role=\"alert\">");
    html_text(h, text);
    html_raw(h, "</p>\n");
}

static void html_customers(struct html *h, const struct customers *customers)
{
    struct customer *customer;

    html_raw(h, "<label for=\"customer\">You are</label>\n<select id=\"customer\" name=\"customer\">\n");
    LIST_FOREACH (customer, &customers->list, node) {
        html_raw(h, "<option value=\"");
        html_text(h, customer->name);
        html_raw(h, "\">");
        html_text(h, customer->full_name);
        html_raw(h, "</option>\n");
    }
    html_raw(h, "</select>\n");
}

static void html_checkbox(struct html *h, const char *name, const char *value)
{
    html_raw(h, "<input type=\"checkbox\" checked name=\"");
    html_text(h, name);
    html_raw(h, "\" value=\"");
    html_text(h, value);
    html_raw(h, "\"> ");
}

void html_consent(struct html *h, const struct customers *customers, const struct client *client,
                  uint64_t scopes, uint64_t voluntary)
{
    html_customers(h, customers);
    html_raw(h, "<p>The application</p>\n<p><code>");
    html_text(h, client->id);
    html_raw(h, "</code></p>\n<p>asks to:</p>\n<ul>\n");
    for (int i = scopes_next(scopes, 0); i >= 0; i = scopes_next(scopes, i + 1)) {
        html_raw(h, "<li>");
        if (voluntary >> i & 1)
            html_checkbox(h, "keep", scope_name(i));
        html_text(h, scope_words(i));
        html_raw(h, " <small>(");
        html_text(h, scope_name(i));
        html_raw(h, ")</small></li>\n");
    }
    html_raw(h, "</ul>\n<button type=\"submit\" name=\"answer\" value=\"allow\">Allow</button>\n"
                "<button type=\"submit\" name=\"answer\" value=\"deny\">Deny</button>\n");
}

void html_message(struct reply *rp, unsigned status, const char *outcome, const char *title, const char *text)
{
    struct html h;

    html_begin(&h, title);
    html_raw(&h, "<p>");
    html_text(&h, text);
    html_raw(&h, "</p>\n");
    html_end(&h, rp, status, outcome);
}
