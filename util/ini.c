/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* inih splits lines into section, key and value. What it does not do, or does silently, is done here, by the
 * reader that hands it one line at a time:
 *
 * - it reads a line that does not fit its buffer as two lines: we refuse it;
 * - it cuts names of sections (and of continued keys) after 49 bytes, so that two identities could become
 *   one: names are taken from our copy of the line, never from what it hands to its handler;
 * - it takes `:` for `=`, ignores text after `]`, and does not strip comments from continued values: the
 * first two are refused, and comments are gone before it sees a line;
 * - its handler has no line numbers: the reader counts.
 *
 * The two views of a line must agree: `reader.kind` is what this file takes a line for, and an entry that
 * inih reports for any other kind is refused. */

#include "util/ini.h"

#include "util/utf8.h"

#include <stdarg.h>
#include <string.h>

/* The library and our header both call a type of theirs by this name. */
#define ini_handler inih_handler
#include <ini.h>
#undef ini_handler

enum line_kind { LINE_BLANK, LINE_SECTION, LINE_KEY, LINE_CONTINUED };

struct reader {
    const char *next;
    const char *end;
    unsigned line;
    enum line_kind kind;
    char section[INI_LINE_BYTES_MAX + 1]; /* "" before the first */
    char key[INI_LINE_BYTES_MAX + 1];     /* "" before the first of the section */
    ini_handler handler;
    void *userdata;
    int result; /* what ended the parse; 0 while it goes on */
    struct ini_problem problem;
};

int ini_refuse(struct ini_problem *problem, const char *format, ...)
{
    char text[2 * INI_REASON_SIZE];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    size_t length = n < 0 ? 0 : strlen(text);
    length = utf8_cut(text, length, sizeof(problem->reason) - 1);
    memcpy(problem->reason, text, length);
    problem->reason[length] = '\0';
    return INI_E_MALFORMED;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static const char *check_bytes(const char *line, size_t n)
{
    if (memchr(line, '\0', n))
        return "the line has a NUL byte in it";
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7F)
            return "the line has a control character in it";
    if (!utf8_is_valid(line, n))
        return "the line is not valid UTF-8";
    return NULL;
}

/* Where the line ends without its comment and the blanks before that. */
static size_t strip(const char *line, size_t n)
{
    size_t start = 0;
    while (start < n && is_space(line[start]))
        start++;
    if (start < n && (line[start] == ';' || line[start] == '#'))
        return 0;
    for (size_t i = start + 1; i < n; i++)
        if (line[i] == ';' && is_space(line[i - 1]))
            n = i;
    while (n > 0 && is_space(line[n - 1]))
        n--;
    return n;
}

static void copy_trimmed(char *to, const char *from, size_t n)
{
    while (n > 0 && is_space(from[n - 1]))
        n--;
    while (n > 0 && is_space(*from)) {
        from++;
        n--;
    }
    memcpy(to, from, n);
    to[n] = '\0';
}

static const char *read_section(struct reader *r, const char *line, size_t n)
{
    const char *close = memchr(line, ']', n);
    if (!close)
        return "the section is not closed by a \"]\"";
    if (close != line + n - 1)
        return "there is text after the \"]\" of the section";
    copy_trimmed(r->section, line + 1, n - 2);
    if (r->section[0] == '\0')
        return "the section has no name";
    r->key[0] = '\0';
    r->kind = LINE_SECTION;
    return NULL;
}

static const char *read_key(struct reader *r, const char *line, size_t n)
{
    const char *equals = memchr(line, '=', n);
    const char *colon = memchr(line, ':', n);
    if (!equals || (colon && colon < equals))
        return "there is no \"=\" after the key";
    if (r->section[0] == '\0')
        return "the key stands before any section";
    copy_trimmed(r->key, line, (size_t)(equals - line));
    if (r->key[0] == '\0')
        return "there is no key before the \"=\"";
    r->kind = LINE_KEY;
    return NULL;
}

/* Says what the n bytes are, with the comment gone; the reason if they are nothing that we accept. */
static const char *read_kind(struct reader *r, const char *line, size_t n)
{
    size_t indent = 0;
    while (indent < n && is_space(line[indent]))
        indent++;
    r->kind = LINE_BLANK;
    if (indent == n)
        return NULL;
    if (indent > 0 && r->key[0] != '\0') {
        r->kind = LINE_CONTINUED;
        return NULL;
    }
    if (line[indent] == '[')
        return read_section(r, line + indent, n - indent);
    return read_key(r, line + indent, n - indent);
}

static int report(struct reader *r, const char *key, const char *value)
{
    struct ini_entry entry = {
        .section = r->section,
        .key = key,
        .value = value,
        .line = r->line,
        .continues = r->kind == LINE_CONTINUED,
    };
    return r->handler(&entry, &r->problem, r->userdata);
}

/* Takes the next line, without its end: at the end of the text, before its final newline, or CR LF. */
static size_t take_line(struct reader *r, const char **ret_line)
{
    const char *newline = memchr(r->next, '\n', (size_t)(r->end - r->next));
    const char *end = newline ? newline : r->end;
    *ret_line = r->next;
    r->next = newline ? newline + 1 : r->end;
    r->line++;
    size_t n = (size_t)(end - *ret_line);
    if (n > 0 && newline && end[-1] == '\r')
        n--;
    return n;
}

/* inih's reader: fills `buffer` with the next line, or returns NULL at the end or after a refusal. */
static char *read_line(char *buffer, int size, void *stream)
{
    struct reader *r = stream;
    if (r->result != 0 || r->next == r->end)
        return NULL;

    const char *line;
    size_t n = take_line(r, &line);
    const char *reason = NULL;
    if (n > INI_LINE_BYTES_MAX || n + 1 > (size_t)size)
        reason = "the line is too long: continue the value on an indented line";
    if (!reason)
        reason = check_bytes(line, n);
    if (!reason) {
        n = strip(line, n);
        reason = read_kind(r, line, n);
    }
    if (reason)
        r->result = ini_refuse(&r->problem, "%s", reason);
    else if (r->kind == LINE_SECTION)
        r->result = report(r, NULL, NULL);
    if (r->result != 0)
        return NULL;

    memcpy(buffer, line, n);
    buffer[n] = '\0';
    return buffer;
}

/* inih's handler: `section` and `key` may be cut short, and are not used. */
static int take_entry(void *user, const char *section _unused_, const char *key _unused_, const char *value)
{
    struct reader *r = user;
    if (r->result != 0)
        return 0;
    if (r->kind != LINE_KEY && r->kind != LINE_CONTINUED)
        r->result = ini_refuse(&r->problem, "the line cannot be read in one way only");
    else
        r->result = report(r, r->key, value);
    return r->result == 0;
}

int ini_parse_text(const char *text, size_t n, ini_handler handler, void *userdata,
                   struct ini_problem *ret_problem)
{
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        n -= 3;
    }
    struct reader r = {
        .next = text,
        .end = text + n,
        .handler = handler,
        .userdata = userdata,
    };
    int left = ini_parse_stream(read_line, &r, take_entry, &r);
    if (r.result < 0)
        return r.result;
    if (r.result == 0 && left != 0)
        r.result = ini_refuse(&r.problem, "the line cannot be read");
    if (r.result == 0)
        return 0;
    *ret_problem = r.problem;
    ret_problem->line = r.line;
    return INI_E_MALFORMED;
}
