/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the fuzz entries share. An entry is LLVMFuzzerTestOneInput() in tests/fuzz/fuzz-NAME.c: linked with
 * replay.c it runs over tests/fuzz/corpus/NAME, with libFuzzer's own main() it searches. Entries assert what
 * the headers promise, not only that nothing crashes. */

#include "util/cleanup.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What must hold whatever the input is. */
#define require(holds)                                                                                       \
    do {                                                                                                     \
        if (!(holds)) {                                                                                      \
            (void)fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #holds);            \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* --- taking an input apart --------------------------------------------------------------------------- */

struct input {
    const uint8_t *data;
    size_t n;
};

/* 0 once it is used up. */
static inline uint8_t input_byte(struct input *in)
{
    if (in->n == 0)
        return 0;
    in->n--;
    return *in->data++;
}

/* The next `n` bytes, or what is left, as a string at the end of an allocation of its own, so that the
 * sanitizer sees a read beyond it. */
static inline char *input_text(struct input *in, size_t n)
{
    if (n > in->n)
        n = in->n;
    char *text = malloc(n + 1);
    require(text);
    memcpy(text, in->data, n);
    text[n] = '\0';
    in->data += n;
    in->n -= n;
    return text;
}

/* Up to the next NUL. */
static inline char *input_line(struct input *in)
{
    size_t n = in->n > 0 ? strnlen((const char *)in->data, in->n) : 0;
    char *text = input_text(in, n);
    (void)input_byte(in);
    return text;
}

/* --- what is promised of texts ----------------------------------------------------------------------- */

static inline void require_printable(const char *text, size_t size)
{
    size_t n = strnlen(text, size);
    require(n < size);
    for (size_t i = 0; i < n; i++)
        require(text[i] >= 0x20 && text[i] < 0x7f);
}
