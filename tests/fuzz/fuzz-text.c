/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Text of others on its way to a terminal (client/lwactl/text.h), in a locale of UTF-8 and in one without,
 * and times and misspelled words. Nothing that is unsafe comes out, and what comes out is UTF-8. */

#include "client/lwactl/text.h"
#include "tests/fuzz/fuzz.h"
#include "util/utf8.h"

#include <locale.h>

static void choose_locale(bool utf8)
{
    static locale_t locales[2];
    for (size_t i = 0; !locales[0] && i < 2; i++)
        locales[1 - i] = newlocale(LC_CTYPE_MASK, i == 0 ? "C.UTF-8" : "C", (locale_t)0);
    require(locales[utf8] && uselocale(locales[utf8]));
}

static void require_safe(const char *safe, const char *text)
{
    size_t n = strlen(safe), columns;
    require(n <= strlen(text) && utf8_is_valid(safe, n));
    bool utf8 = text_locale_is_utf8();
    uint32_t code;
    for (const char *p = safe; (n = text_next(p, &code)) > 0; p += n) {
        require(!text_is_unsafe(code) && code >= 0x20 && (code < 0x7f || code > 0x9f));
        require(utf8 || code < 0x80);
    }
    size_t width = text_width(safe);
    require(text_fit(safe, width, &columns) == strlen(safe) && columns == width);
    for (size_t limit = 0; limit < 5; limit++) {
        size_t bytes = text_fit(safe, limit, &columns);
        require(columns <= limit && bytes <= strlen(safe));
        require(utf8_is_valid(safe, bytes)); /* never cut inside of a character */
    }
    _cleanup_free_ char *again = text_safe(safe);
    require(again && strcmp(again, safe) == 0);
}

static void try_times(struct input *in)
{
    int64_t times[2] = {0};
    for (size_t i = 0; i < 16; i++)
        times[i / 8] = (int64_t)((uint64_t)times[i / 8] << 8 | input_byte(in));
    char buffer[TEXT_TIME_SIZE];
    require_printable(text_relative_time(times[0], times[1], buffer), TEXT_TIME_SIZE);
    require_printable(text_time(times[0], buffer), TEXT_TIME_SIZE);
    require_printable(text_countdown(times[0], buffer), TEXT_TIME_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"login", "token", NULL, "accounts", "status", "check", "audit"};
    struct input in = {data, n};
    bool wants_utf8 = input_byte(&in) & 1;
    choose_locale(wants_utf8);
    require(text_locale_is_utf8() == wants_utf8);
    try_times(&in);
    while (in.n > 0) {
        _cleanup_free_ char *text = input_line(&in);
        _cleanup_free_ char *safe = text_safe(text);
        require(safe);
        require_safe(safe, text);
        (void)text_nearest(text, names, ARRAY_SIZE(names));
    }
    return 0;
}
