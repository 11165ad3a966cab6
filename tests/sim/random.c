/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/random.h"

#include "tests/sim/memory.h"

#include <string.h>
#include <sys/random.h>

static void random_fill(void *buffer, size_t n)
{
    for (char *p = buffer; n > 0;) {
        ssize_t r = getrandom(p, n, 0);
        if (r < 0) {
            if (errno != EINTR)
                abort();
            continue;
        }
        p += r;
        n -= (size_t)r;
    }
}

/* `alphabet` has 32 or 64 characters, so that every byte maps without bias. */
static char *random_text(const char *prefix, size_t n, const char *alphabet)
{
    size_t n_prefix = strlen(prefix);
    unsigned mask = (unsigned)strlen(alphabet) - 1;
    char *text = must(malloc(n_prefix + n + 1));

    memcpy(text, prefix, n_prefix);
    random_fill(text + n_prefix, n);
    for (size_t i = n_prefix; i < n_prefix + n; i++)
        text[i] = alphabet[(unsigned char)text[i] & mask];
    text[n_prefix + n] = '\0';
    return text;
}

char *random_token(const char *prefix, size_t n)
{
    return random_text(prefix, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}

char *random_user_code(size_t n)
{
    return random_text("", n, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789");
}

char *random_uuid(void)
{
    unsigned char b[16];
    char *text;

    random_fill(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    if (asprintf(&text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                 b[15]) < 0)
        abort();
    return text;
}
