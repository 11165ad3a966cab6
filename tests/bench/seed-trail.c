/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* seed-trail DATABASE KEY-FILE COUNT DAYS: writes a trail of COUNT records over the DAYS up to now, in the
 * place of the one of a broker that is not running. As the broker's user. Says "COUNT records, BYTES bytes".
 */

#include "tests/bench/long-trail.h"
#include "util/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define EPOCH_SEC 900 /* as configured by default */
#define DAY_SEC 86400

static int64_t number(const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    return end == text || *end || value < 0 ? -1 : value;
}

static int64_t per_epoch(int64_t n, int64_t days)
{
    int64_t epochs = days * DAY_SEC / EPOCH_SEC, each = epochs ? n / epochs : n;
    return each < 2 ? 2 : each;
}

int main(int argc, char **argv)
{
    int64_t count = argc == 5 ? number(argv[3]) : -1, days = argc == 5 ? number(argv[4]) : -1;
    if (count < 2 || days < 0 || sodium_init() < 0) {
        (void)fputs("usage: seed-trail DATABASE KEY-FILE COUNT DAYS\n", stderr);
        return EXIT_FAILURE;
    }
    const struct long_trail trail = {
        .database = argv[1],
        .key_file = argv[2],
        .n = count,
        .from_sec = wall_sec() - days * DAY_SEC,
        .to_sec = wall_sec(),
        .n_per_epoch = per_epoch(count, days),
    };
    int r = long_trail_write(&trail);
    struct stat st;
    if (r == 0 && stat(argv[1], &st) < 0)
        r = -errno;
    if (r != 0) {
        (void)fprintf(stderr, "seed-trail: %s\n", strerror(r < 0 ? -r : EIO));
        return EXIT_FAILURE;
    }
    return printf("%lld records, %lld bytes\n", (long long)count, (long long)st.st_size) < 0;
}
