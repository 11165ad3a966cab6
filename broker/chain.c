/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/chain.h"

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/peer.h"
#include "broker/verdict.h"
#include "util/clock.h"
#include "util/utf8.h"

#include <stdarg.h>
#include <string.h>

#define PLACES_MAX 3
#define FILE_BYTES_MAX 32 /* of its name */

/* Appends; what does not fit is left out, and never half a character. */
static void append(char text[CHAIN_SIZE], const char *format, ...) _printf_(2, 3);

static void append(char text[CHAIN_SIZE], const char *format, ...)
{
    size_t n = strlen(text);
    va_list args;
    va_start(args, format);
    int added = vsnprintf(text + n, CHAIN_SIZE - n, format, args);
    va_end(args);
    if (added < 0 || (size_t)added >= CHAIN_SIZE - n)
        text[n] = '\0';
}

/* "music.conf:3 ask", "default ask", "music.conf:7 malformed" */
static void print_place(const struct table_finding *found, char *ret, size_t size)
{
    const char *slash = strrchr(found->place.file, '/'), *file = slash ? slash + 1 : found->place.file;
    const char *word = found->source == TABLE_ENTRY || found->source == TABLE_FALLBACK
                           ? verdict_name(found->source == TABLE_ENTRY ? found->key : found->verdict)
                           : table_source_name(found->source);
    if (!file[0])
        (void)snprintf(ret, size, "%s%s", found->source == TABLE_FALLBACK ? "default " : "", word);
    else
        (void)snprintf(ret, size, "%.*s:%u %s", (int)utf8_cut(file, strlen(file), FILE_BYTES_MAX), file,
                       found->place.line, word);
}

static void append_places(const struct chain *c, char text[CHAIN_SIZE])
{
    char places[PLACES_MAX][FILE_BYTES_MAX + 32];
    unsigned n = 0;
    for (int i = scope_set_next(&c->scopes, 0); i >= 0; i = scope_set_next(&c->scopes, i + 1)) {
        struct table_finding found;
        char place[sizeof(places[0])];
        unsigned known = 0;
        verdict_explain(c->peer->broker, &c->peer->identity, c->account, i, &found);
        print_place(&found, place, sizeof(place));
        while (known < n && strcmp(places[known], place) != 0)
            known++;
        if (known < n)
            continue;
        if (n == PLACES_MAX) {
            append(text, ", ...");
            return;
        }
        memcpy(places[n], place, sizeof(place));
        append(text, "%s%s", n == 0 ? "; " : ", ", place);
        n++;
    }
}

/* How long the answer holds that decided; one that is in no store any more was for this call. */
static void append_consent(const struct chain *c, char text[CHAIN_SIZE])
{
    struct scope_set answered = scope_set_intersection(c->scopes, c->verdicts->consented);
    int scope = scope_set_next(&answered, 0);
    if (scope < 0)
        return;
    const struct consent *found =
        c->account ? consents_find(c->account, c->peer->identity.app, scope, wall_sec()) : NULL;
    if (found && found->denies)
        append(text, "; consent denied");
    else
        append(text, "; consent %s", found ? consent_lasts_name(found->lasts) : "once");
}

void chain_print(const struct chain *chain, char ret[CHAIN_SIZE])
{
    ret[0] = '\0';
    append(ret, "strength=%s pinned=%s", identity_strength_name(&chain->peer->identity),
           chain->peer->identity.is_pinned ? "yes" : "no");
    append_places(chain, ret);
    append_consent(chain, ret);
    if (chain->polkit)
        append(ret, "; %s", chain->polkit);
    if (chain->grant != 0)
        append(ret, "; grant %lld", (long long)chain->grant);
}
