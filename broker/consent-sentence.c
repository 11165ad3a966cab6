/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/consent-sentence.h"

#include "broker/limits.h"
#include "util/utf8.h"

#include <stdio.h>
#include <string.h>

/* Who wants it, as a person knows it, and as the system does. */
static void print_app(FILE *out, const struct consent_sentence *s)
{
    const char *text = s->description ? s->description : "";
    size_t n = utf8_cut(text, strlen(text), LIMIT_PROMPT_NAME_BYTES);
    if (n == 0)
        fprintf(out, "%s", s->app);
    else
        fprintf(out, "%.*s%s (%s)", (int)n, text, n < strlen(text) ? "..." : "", s->app);
}

static void print_account(FILE *out, const struct consent_sentence *s)
{
    fputs(s->is_device ? "the Amazon account of this device" : "your Amazon account", out);
    if (s->account)
        fprintf(out, " %s", s->account);
}

static void print_scopes(FILE *out, const struct catalogue *c, struct scope_set scopes)
{
    struct scope_set shown = catalogue_reduce(c, scopes);
    const char *between = "";
    for (int i = scope_set_next(&shown, 0); i >= 0; i = scope_set_next(&shown, i + 1)) {
        const struct scope_info *scope = catalogue_get(c, i);
        fprintf(out, "%s%s", between, scope->description[0] ? scope->description : scope->name);
        between = "; ";
    }
}

/* polkit replaces $(NAME) by details of the check: what is shown must be what stands here. */
static void disarm(char *text)
{
    for (char *p = strstr(text, "$("); p; p = strstr(p, "$("))
        *p = '?';
    utf8_scrub(text);
}

int consent_sentence_make(const struct catalogue *c, const struct consent_sentence *s, char **ret)
{
    _cleanup_free_ char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return -ENOMEM;
    print_app(out, s);
    fputs(" wants to use ", out);
    print_account(out, s);
    if (scope_set_is_empty(s->scopes)) {
        fputs(" again, for what the policy of this device allows", out);
    } else {
        fputs(" to: ", out);
        print_scopes(out, c, s->scopes);
    }
    fputs(".", out);
    bool is_whole = !ferror(out);
    if (fclose(out) != 0 || !is_whole || !text) /* glibc says nothing when the text's last move fails */
        return -ENOMEM;
    if (n > LIMIT_PROMPT_SENTENCE_BYTES)
        return CONSENT_SENTENCE_E_TOO_LONG;
    disarm(text);
    *ret = TAKE_PTR(text);
    return 0;
}
