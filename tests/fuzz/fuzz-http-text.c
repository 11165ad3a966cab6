/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values of the provider's headers, and what goes into a form: lines of the input. */

#include "broker/http-text.h"
#include "tests/fuzz/fuzz.h"

static void try_header(const char *text)
{
    static const char date[] = "Wed, 25 Nov 2026 14:00:00 GMT";
    long sec = http_text_parse_retry_after(text, date);
    require(sec >= -1 && sec <= 86400);
    bool is_date = strlen(text) > 4 && strcmp(text + strlen(text) - 4, " GMT") == 0;
    if (sec >= 0)
        require(is_date || (text[0] && strspn(text, "0123456789") == strlen(text)));
    sec = http_text_parse_retry_after(date, text);
    require(sec >= -1 && sec <= 86400 && (sec < 0 || is_date));

    char id[HTTP_REQUEST_ID_SIZE];
    http_text_copy_request_id(text, id);
    require_printable(id, sizeof(id));
    require(!id[0] || strcmp(id, text) == 0);

    if (http_text_is_json(text))
        require(strlen(text) >= strlen("application/json"));
    if (http_text_is_header_value(text))
        require(!strpbrk(text, "\r\n"));
}

static int unhex(char c)
{
    return c >= 'A' ? c - 'A' + 10 : c - '0';
}

/* What was encoded, decoded by a reader of its own, is what it was; and nothing in it ends the field. */
static void require_encodes(const char *form, size_t n, const char *value)
{
    require(n >= 2 && form[0] == 'k' && form[1] == '=');
    size_t k = 0;
    for (size_t i = 2; i < n; i++) {
        char c = form[i];
        require(c > 0x20 && c < 0x7f && !strchr("&=+?#", c));
        if (c == '%') {
            require(i + 2 < n);
            c = (char)(unhex(form[i + 1]) << 4 | unhex(form[i + 2]));
            i += 2;
        }
        require(value[k++] == c);
    }
    require(!value[k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    while (in.n > 0) {
        _cleanup_free_ char *text = input_line(&in);
        try_header(text);

        const struct http_field field = {"k", text};
        _cleanup_free_ char *form = NULL;
        size_t n_form;
        require(http_text_encode_form(&field, 1, &form, &n_form) == 0 && strlen(form) == n_form);
        require_encodes(form, n_form, text);
    }
    return 0;
}
