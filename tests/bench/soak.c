/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many users, each an app of its own that calls once a period, for long; in turns that are spread over it. */

#include "tests/bench/bench.h"

#define USERS_MAX 200

void measure_soak(const char *address, unsigned first_uid, unsigned n, unsigned period_msec, unsigned seconds)
{
    struct app *users[USERS_MAX];
    struct samples samples = {.n = 0};
    if (n < 1 || n > USERS_MAX)
        die("too many users");
    for (unsigned i = 0; i < n; i++) {
        users[i] = app_start(address, first_uid + i);
        (void)app_do(users[i], APP_CONNECT);
        (void)app_do(users[i], APP_CALL); /* its first token */
    }

    uint64_t due = clock_usec(CLOCK_MONOTONIC), end = due + seconds * USEC_PER_SEC;
    for (unsigned i = 0; due < end; i++) {
        samples_add(&samples, app_do(users[i % n], APP_CALL));
        due += period_msec * USEC_PER_MSEC / n;
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        if (due > now)
            (void)usleep((unsigned)(due - now));
    }
    for (unsigned i = 0; i < n; i++)
        app_end(users[i]);
    samples_report("soak", &samples);
    figures_add("soak_max_us", samples_quantile(&samples, 1));
    figures_add("soak_calls", (double)samples.n);
    samples_clear(&samples);
}
