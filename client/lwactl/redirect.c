/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/redirect.h"

#include <string.h>
#include <strings.h>

/* Bytes of a text that is not ended by a NUL. */
struct piece {
    const char *bytes;
    size_t n;
};

static struct piece cut(struct piece *rest, char separator)
{
    const char *end = rest->n > 0 ? memchr(rest->bytes, separator, rest->n) : NULL;
    struct piece head = {rest->bytes, end ? (size_t)(end - rest->bytes) : rest->n};
    size_t used = end ? head.n + 1 : head.n;
    *rest = (struct piece){rest->bytes + used, rest->n - used};
    return head;
}

static bool piece_is(struct piece p, const char *text)
{
    return p.n == strlen(text) && memcmp(p.bytes, text, p.n) == 0;
}

static bool starts_with(struct piece p, const char *text)
{
    return p.n >= strlen(text) && memcmp(p.bytes, text, strlen(text)) == 0;
}

/* --- the query --------------------------------------------------------------------------------------- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character of a form's encoding; -1 for a broken one. */
static int next_decoded(struct piece *rest)
{
    char c = *rest->bytes;
    size_t used = c == '%' ? 3 : 1;
    if (used > rest->n)
        return -1;
    int code = c == '+' ? ' ' : (unsigned char)c;
    if (c == '%') {
        int high = hex(rest->bytes[1]), low = hex(rest->bytes[2]);
        code = high < 0 || low < 0 ? -1 : high << 4 | low;
    }
    *rest = (struct piece){rest->bytes + used, rest->n - used};
    return code;
}

/* Decodes into `size` bytes, NUL included. False for what is too long or holds something unprintable. */
static bool decode(struct piece value, bool takes_blanks, char *field, size_t size)
{
    size_t n = 0;
    while (value.n > 0) {
        int code = next_decoded(&value);
        if (code < (takes_blanks ? 0x20 : 0x21) || code > 0x7e || n + 1 >= size)
            return false;
        field[n++] = (char)code;
    }
    field[n] = '\0';
    return true;
}

struct parameter {
    const char *name;
    char *field;
    size_t size;
    bool takes_blanks;
    bool is_given;
};

/* False for a parameter that is given twice (RFC 6749, section 3.1) or is no text. The unknown are passed
 * over. */
static bool take_parameter(struct piece pair, struct parameter *parameters, size_t n)
{
    struct piece name = cut(&pair, '=');
    for (size_t i = 0; i < n; i++) {
        struct parameter *p = &parameters[i];
        if (!piece_is(name, p->name))
            continue;
        if (p->is_given)
            return false;
        p->is_given = true;
        return decode(pair, p->takes_blanks, p->field, p->size);
    }
    return true;
}

static bool take_parameters(struct piece query, struct parameter *parameters, size_t n)
{
    while (query.n > 0)
        if (!take_parameter(cut(&query, '&'), parameters, n))
            return false;
    return true;
}

static enum redirect_kind parse_query(struct piece query, struct redirect *ret)
{
    struct redirect r = {.has_scope = false};
    struct parameter parameters[] = {
        {"code", r.code, sizeof(r.code), false, false},
        {"error", r.error, sizeof(r.error), false, false},
        {"state", r.state, sizeof(r.state), false, false},
        {"scope", r.scope, sizeof(r.scope), true, false},
    };
    bool is_good = take_parameters(query, parameters, ARRAY_SIZE(parameters)) && *r.state != '\0' &&
                   (*r.code != '\0') != (*r.error != '\0');
    r.has_scope = parameters[3].is_given;
    if (is_good)
        *ret = r;
    explicit_bzero(&r, sizeof(r));
    return is_good ? REDIRECT_ANSWER : REDIRECT_E_MALFORMED;
}

int redirect_find_state(const char *uri, char ret[static REDIRECT_STATE_BYTES_MAX + 1])
{
    struct piece rest = {uri, strcspn(uri, "#")};
    char state[REDIRECT_STATE_BYTES_MAX + 1];
    struct parameter parameter = {"state", state, sizeof(state), false, false};
    (void)cut(&rest, '?');
    if (!take_parameters(rest, &parameter, 1) || !parameter.is_given || !*state)
        return -EBADMSG;
    (void)memcpy(ret, state, sizeof(state));
    return 0;
}

bool redirect_state_is(const struct redirect *r, const char *state)
{
    size_t n = strlen(state);
    if (n == 0 || strlen(r->state) != n)
        return false;
    /* All of it, however early it differs: the time must not tell how much was guessed. */
    unsigned char difference = 0;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)(r->state[i] ^ state[i]);
    return difference == 0;
}

/* --- the request of a browser ------------------------------------------------------------------------ */

size_t redirect_head_size(const char *bytes, size_t n)
{
    static const char end[] = "\r\n\r\n";
    const char *found = n > 0 ? memmem(bytes, n, end, strlen(end)) : NULL;
    return found ? (size_t)(found - bytes) + strlen(end) : 0;
}

static bool is_token(struct piece p)
{
    for (size_t i = 0; i < p.n; i++)
        if (p.bytes[i] <= 0x20 || p.bytes[i] > 0x7e || strchr("\"(),/:;<=>?@[\\]{}", p.bytes[i]))
            return false;
    return p.n > 0;
}

/* The next line without its CR LF; false where a line ends in another way. */
static bool next_line(struct piece *rest, struct piece *ret)
{
    bool is_ended = rest->n > 0 && memchr(rest->bytes, '\n', rest->n);
    *ret = cut(rest, '\n');
    if (!is_ended || ret->n == 0 || ret->bytes[ret->n - 1] != '\r')
        return false;
    ret->n--;
    for (size_t i = 0; i < ret->n; i++)
        if (((unsigned char)ret->bytes[i] < 0x20 && ret->bytes[i] != '\t') || ret->bytes[i] == 0x7f)
            return false;
    return true;
}

static struct piece without_blanks(struct piece p)
{
    while (p.n > 0 && (*p.bytes == ' ' || *p.bytes == '\t'))
        p = (struct piece){p.bytes + 1, p.n - 1};
    while (p.n > 0 && (p.bytes[p.n - 1] == ' ' || p.bytes[p.n - 1] == '\t'))
        p.n--;
    return p;
}

static bool name_is(struct piece name, const char *text)
{
    return name.n == strlen(text) && strncasecmp(name.bytes, text, name.n) == 0;
}

/* Header lines up to the empty one: one Host, ours; no body. *ret_is_sent: by the page of another site. */
static enum redirect_kind check_headers(struct piece rest, const char *authority, bool *ret_is_sent)
{
    bool has_host = false, is_ours = false;
    *ret_is_sent = false;
    for (;;) {
        struct piece line;
        if (!next_line(&rest, &line))
            return REDIRECT_E_MALFORMED;
        if (line.n == 0)
            break;
        bool has_colon = memchr(line.bytes, ':', line.n) != NULL;
        struct piece name = cut(&line, ':');
        if (!has_colon || !is_token(name))
            return REDIRECT_E_MALFORMED;
        struct piece value = without_blanks(line);
        if (name_is(name, "transfer-encoding") || (name_is(name, "content-length") && !piece_is(value, "0")))
            return REDIRECT_E_MALFORMED;
        if (name_is(name, "sec-fetch-site") && !piece_is(value, "none") && !piece_is(value, "same-origin"))
            *ret_is_sent = true;
        if (!name_is(name, "host"))
            continue;
        if (has_host)
            return REDIRECT_E_MALFORMED;
        has_host = true;
        is_ours = piece_is(value, authority);
    }
    if (rest.n > 0 || !has_host)
        return REDIRECT_E_MALFORMED;
    return is_ours ? REDIRECT_ANSWER : REDIRECT_E_HOST;
}

static bool is_target(struct piece target)
{
    for (size_t i = 0; i < target.n; i++)
        if (target.bytes[i] <= 0x20 || target.bytes[i] > 0x7e || target.bytes[i] == '#')
            return false;
    return target.n > 0 && *target.bytes == '/';
}

enum redirect_kind redirect_parse_head(const char *head, size_t n, const struct redirect_place *place,
                                       struct redirect *ret)
{
    struct piece rest = {head, n}, line;
    if (!next_line(&rest, &line))
        return REDIRECT_E_MALFORMED;
    struct piece method = cut(&line, ' '), target = cut(&line, ' ');
    if (!is_token(method) || !is_target(target) ||
        (!piece_is(line, "HTTP/1.1") && !piece_is(line, "HTTP/1.0")))
        return REDIRECT_E_MALFORMED;
    bool is_sent;
    enum redirect_kind kind = check_headers(rest, place->authority, &is_sent);
    if (kind != REDIRECT_ANSWER)
        return kind;
    if (!piece_is(method, "GET"))
        return REDIRECT_E_METHOD;
    struct piece path = cut(&target, '?');
    /* A page that sends a browser here could have logged it in at Amazon's as somebody else before. */
    if (piece_is(path, place->begin_path))
        return is_sent ? REDIRECT_E_HOST : REDIRECT_BEGIN;
    return piece_is(path, place->path) ? parse_query(target, ret) : REDIRECT_E_OTHER;
}

/* --- what a person pastes ---------------------------------------------------------------------------- */

static struct piece trimmed(const char *line, size_t n)
{
    static const char blanks[] = " \t\r\n";
    while (n > 0 && line[0] && strchr(blanks, line[0])) {
        line++;
        n--;
    }
    while (n > 0 && line[n - 1] && strchr(blanks, line[n - 1]))
        n--;
    return (struct piece){line, n};
}

static enum redirect_kind parse_bare_code(struct piece code, const char *state, struct redirect *ret)
{
    struct redirect r = {.has_scope = false};
    bool is_good = code.n > 0 && code.n <= REDIRECT_CODE_BYTES_MAX && *state &&
                   strlen(state) <= REDIRECT_STATE_BYTES_MAX;
    for (size_t i = 0; is_good && i < code.n; i++)
        is_good = code.bytes[i] > 0x20 && code.bytes[i] <= 0x7e;
    if (!is_good)
        return REDIRECT_E_MALFORMED;
    (void)memcpy(r.code, code.bytes, code.n);
    (void)memcpy(r.state, state, strlen(state));
    *ret = r;
    explicit_bzero(&r, sizeof(r));
    return REDIRECT_ANSWER;
}

enum redirect_kind redirect_parse_pasted(const char *line, size_t n, const char *state, struct redirect *ret)
{
    struct piece text = trimmed(line, n);
    if (n > REDIRECT_LINE_BYTES_MAX)
        return REDIRECT_E_MALFORMED;
    text = cut(&text, '#');
    bool has_query = text.n > 0 && memchr(text.bytes, '?', text.n);
    if (has_query)
        (void)cut(&text, '?');
    else if (starts_with(text, "http:") || starts_with(text, "https:"))
        return REDIRECT_E_MALFORMED; /* an address without an answer */
    if (has_query || (text.n > 0 && memchr(text.bytes, '=', text.n)))
        return parse_query(text, ret);
    return parse_bare_code(text, state, ret);
}
