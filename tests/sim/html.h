/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pages for people: plain HTML without scripts that can be read on a phone. Everything that did not come
 * from this source goes through html_text(). */

#include "tests/sim/ledger.h"
#include "tests/sim/message.h"

struct html {
    FILE *out;
    char *text;
    size_t n;
};

void html_begin(struct html *h, const char *title);
/* Ends the page and hands it to the reply. */
void html_end(struct html *h, struct reply *rp, unsigned status, const char *outcome);

/* Markup of ours. */
void html_raw(struct html *h, const char *markup);
/* Text, escaped for elements and for quoted attributes. */
void html_text(struct html *h, const char *text);
void html_hidden(struct html *h, const char *name, const char *value);
/* A paragraph with a notice; `text` is escaped. */
void html_notice(struct html *h, const char *text);
/* The customer's choice, the client, the scopes in words, and the buttons: the inside of a consent form. The
 * voluntary ones of them can be de-selected; those that are not come back as `keep`. */
void html_consent(struct html *h, const struct customers *customers, const struct client *client,
                  uint64_t scopes, uint64_t voluntary);

/* A whole page that says one thing. */
void html_message(struct reply *rp, unsigned status, const char *outcome, const char *title,
                  const char *text);
