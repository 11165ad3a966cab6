/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/token.h"

#include "dbus/reader.h"
#include "util/clock.h"

#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define AUTHORIZATION "Authorization: "
#define BEARER "Bearer "
#define API_KEY "x-api-key: "

struct lwa_token {
    unsigned n_refs;
    size_t size; /* of all of it, to be wiped */
    uint64_t end_usec;
    uint64_t life_usec;
    time_t expires_at;
    size_t n_bytes;             /* of the token alone */
    const char *api_key_header; /* these point into text; NULL: none */
    const char *api_base;
    const char *scope;
    const char *id;
    const char *account;
    char text[]; /* begins with the header Authorization */
};

/* --- making one ----------------------------------------------------------------------------------------- */

/* Printable, and without a blank: fit for the value of a header. */
static bool is_header_value(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] < 0x21 || bytes[i] > 0x7e)
            return false;
    return n > 0;
}

/* The size of a sealed memory file is that of the token. */
static int get_size(int fd, size_t *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size < 1 || st.st_size > TOKEN_BYTES_MAX)
        return -EBADMSG;
    *ret = (size_t)st.st_size;
    return 0;
}

/* pread(), since the descriptor's offset may be anywhere. */
static int read_all(int fd, char *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = pread(fd, bytes + done, n - done, (off_t)done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -EBADMSG;
        done += (size_t)r;
    }
    return is_header_value(bytes, n) ? 0 : -EBADMSG;
}

static size_t size_of_text(size_t n_bytes, const struct token_facts *facts)
{
    size_t n = sizeof(AUTHORIZATION BEARER) + n_bytes + sizeof(API_KEY) + strlen(facts->api_key) +
               strlen(facts->api_base) + 1 + strlen(facts->id) + 1 + strlen(facts->account) + 1 + 1;
    for (size_t i = 0; i < facts->scopes.n; i++)
        n += strlen(facts->scopes.items[i]) + 1;
    return n;
}

/* Puts a string and its NUL there; returns what comes after. */
static char *put(char *at, const char *s)
{
    size_t n = strlen(s) + 1;
    (void)memcpy(at, s, n);
    return at + n;
}

static char *put_scope(char *at, const struct strv *scopes)
{
    for (size_t i = 0; i < scopes->n; i++) {
        at = put(at, scopes->items[i]);
        if (i + 1 < scopes->n)
            at[-1] = ' ';
    }
    return scopes->n > 0 ? at : put(at, "");
}

static void put_facts(struct lwa_token *token, char *at, const struct token_facts *facts)
{
    if (*facts->api_key) {
        token->api_key_header = at;
        at = put(put(at, API_KEY) - 1, facts->api_key);
    }
    token->api_base = at;
    at = put(at, facts->api_base);
    token->id = at;
    at = put(at, facts->id);
    token->account = at;
    at = put(at, facts->account);
    token->scope = at;
    (void)put_scope(at, &facts->scopes);
}

/* An answer may have lain in the socket for a while, as when the program was stopped: then the time at which
 * the token ends has come nearer than its seconds say. */
static uint64_t life_usec(const struct token_facts *facts, const struct token_time *now)
{
    uint64_t wall = now->wall_sec > 0 ? (uint64_t)now->wall_sec : 0;
    uint64_t by_wall = facts->expires_at_sec > wall ? facts->expires_at_sec - wall : 0;
    return (by_wall < facts->expires_in_sec ? by_wall : facts->expires_in_sec) * USEC_PER_SEC;
}

/* Each goes into a header, a URL, a list that blanks part, or onto a terminal. */
static bool are_words(const struct token_facts *facts)
{
    const char *const words[] = {facts->api_key, facts->api_base, facts->id, facts->account};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (*words[i] && !is_header_value(words[i], strlen(words[i])))
            return false;
    for (size_t i = 0; i < facts->scopes.n; i++)
        if (!is_header_value(facts->scopes.items[i], strlen(facts->scopes.items[i])))
            return false;
    return true;
}

static bool are_usable(const struct token_facts *facts)
{
    return strcasecmp(facts->type, "Bearer") == 0 && *facts->id && facts->expires_at_sec <= LONG_MAX &&
           are_words(facts);
}

int token_new(int fd, const struct token_facts *facts, const struct token_time *now, struct lwa_token **ret)
{
    size_t n_bytes;
    if (!are_usable(facts) || get_size(fd, &n_bytes) < 0)
        return -EBADMSG;

    size_t size = sizeof(struct lwa_token) + size_of_text(n_bytes, facts);
    _cleanup_(lwa_token_unrefp) struct lwa_token *token = calloc(1, size);
    if (!token)
        return -ENOMEM;
    token->n_refs = 1;
    token->size = size;
    token->life_usec = life_usec(facts, now);
    token->end_usec = now->boot_usec + token->life_usec;
    token->expires_at = (time_t)facts->expires_at_sec;
    token->n_bytes = n_bytes;

    char *at = put(token->text, AUTHORIZATION BEARER) - 1;
    int r = read_all(fd, at, n_bytes);
    if (r < 0)
        return r;
    put_facts(token, at + n_bytes + 1, facts);
    *ret = TAKE_PTR(token);
    return 0;
}

static int read_facts(DBusMessageIter *info, struct token_facts *ret)
{
    struct reader_option wanted[] = {
        {"token_type", DBUS_TYPE_STRING, &ret->type, false},
        {"token_id", DBUS_TYPE_STRING, &ret->id, false},
        {"account", DBUS_TYPE_STRING, &ret->account, false},
        {"x_api_key", DBUS_TYPE_STRING, &ret->api_key, false},
        {"api_base", DBUS_TYPE_STRING, &ret->api_base, false},
        {"scopes", DBUS_TYPE_ARRAY, &ret->scopes, false},
        {"expires_at", DBUS_TYPE_UINT64, &ret->expires_at_sec, false},
        {"expires_in", DBUS_TYPE_UINT32, &ret->expires_in_sec, false},
    };
    int r = reader_find_all(info, wanted, ARRAY_SIZE(wanted));
    for (size_t i = 0; i < ARRAY_SIZE(wanted) && r == 0; i++)
        if (!wanted[i].seen)
            r = -EBADMSG;
    return r == -ENOMEM ? r : r == 0 ? 0 : -EBADMSG;
}

static void clear_facts(struct token_facts *facts)
{
    strv_clear(&facts->scopes);
}

int token_new_from_reply(DBusMessage *reply, const struct token_time *now, struct lwa_token **ret)
{
    _cleanup_close_ int fd = -1;
    _cleanup_(clear_facts) struct token_facts facts = {.scopes = STRV_EMPTY};
    DBusMessageIter args;
    if (!dbus_message_iter_init(reply, &args) || dbus_message_iter_get_arg_type(&args) != DBUS_TYPE_UNIX_FD)
        return -EBADMSG;
    dbus_message_iter_get_basic(&args, &fd); /* a duplicate */
    if (fd < 0)
        return -EMFILE;
    (void)dbus_message_iter_next(&args);
    int r = read_facts(&args, &facts);
    return r == 0 ? token_new(fd, &facts, now, ret) : r;
}

struct token_time token_now(void)
{
    return (struct token_time){.boot_usec = boottime_usec(), .wall_sec = wall_sec()};
}

/* --- having one ----------------------------------------------------------------------------------------- */

struct lwa_token *lwa_token_ref(struct lwa_token *token)
{
    if (token)
        token->n_refs++;
    return token;
}

struct lwa_token *lwa_token_unref(struct lwa_token *token)
{
    if (token && --token->n_refs == 0) {
        explicit_bzero(token, token->size);
        free(token);
    }
    return NULL;
}

uint64_t token_get_end_usec(const struct lwa_token *token)
{
    return token->end_usec;
}

uint64_t token_get_life_usec(const struct lwa_token *token)
{
    return token->life_usec;
}

const char *lwa_token_get_bytes(const struct lwa_token *token, size_t *ret_n_bytes)
{
    if (ret_n_bytes)
        *ret_n_bytes = token ? token->n_bytes : 0;
    return token ? token->text + strlen(AUTHORIZATION BEARER) : NULL;
}

const char *lwa_token_get_authorization(const struct lwa_token *token)
{
    return token ? token->text + strlen(AUTHORIZATION) : NULL;
}

const char *lwa_token_get_authorization_header(const struct lwa_token *token)
{
    return token ? token->text : NULL;
}

const char *lwa_token_get_api_key(const struct lwa_token *token)
{
    return token && token->api_key_header ? token->api_key_header + strlen(API_KEY) : NULL;
}

const char *lwa_token_get_api_key_header(const struct lwa_token *token)
{
    return token ? token->api_key_header : NULL;
}

const char *lwa_token_get_api_base(const struct lwa_token *token)
{
    return token ? token->api_base : NULL;
}

const char *lwa_token_get_scope(const struct lwa_token *token)
{
    return token ? token->scope : NULL;
}

int lwa_token_has_scope(const struct lwa_token *token, const char *scope)
{
    size_t n = scope ? strlen(scope) : 0;
    if (!token || n == 0)
        return 0;
    for (const char *at = token->scope; *at; at += strspn(at, " ")) {
        size_t n_here = strcspn(at, " ");
        if (n_here == n && memcmp(at, scope, n) == 0)
            return 1;
        at += n_here;
    }
    return 0;
}

time_t lwa_token_get_expires_at(const struct lwa_token *token)
{
    return token ? token->expires_at : 0;
}

unsigned lwa_token_get_expires_in(const struct lwa_token *token)
{
    uint64_t now = token ? boottime_usec() : 0;
    /* Rounded up, as the broker's own number says it: 0 is over, and nothing else is. */
    return token && token->end_usec > now
               ? (unsigned)((token->end_usec - now + USEC_PER_SEC - 1) / USEC_PER_SEC)
               : 0;
}

const char *lwa_token_get_id(const struct lwa_token *token)
{
    return token ? token->id : NULL;
}

const char *lwa_token_get_account(const struct lwa_token *token)
{
    return token ? token->account : NULL;
}
