/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many users, each on a connection of its own and calling once a period, for long. One process plays all of
 * them, in turns that are spread over the period: a connection is whose it was when it was made. */

#include "tests/bench/bench.h"

#define USERS_MAX 200

static DBusConnection *connect_as(const char *address, uid_t uid)
{
    if (setresuid(uid, uid, 0) < 0)
        die("uid %u cannot be taken on", (unsigned)uid);
    DBusConnection *connection = connect_to(address);
    if (setresuid(0, 0, 0) < 0)
        die("root cannot be taken on again");
    return connection;
}

void measure_soak(const char *address, unsigned first_uid, unsigned n, unsigned period_msec, unsigned seconds)
{
    DBusConnection *users[USERS_MAX];
    struct samples samples = {.n = 0};
    if (n < 1 || n > USERS_MAX)
        die("too many users");
    for (unsigned i = 0; i < n; i++) {
        users[i] = connect_as(address, first_uid + i);
        (void)timed_message(users[i], TARGET_BROKER, new_call(TARGET_BROKER)); /* its first token */
    }

    uint64_t due = clock_usec(CLOCK_MONOTONIC), end = due + seconds * USEC_PER_SEC;
    for (unsigned i = 0; due < end; i++) {
        samples_add(&samples, timed_call(users[i % n], TARGET_BROKER));
        due += period_msec * USEC_PER_MSEC / n;
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        if (due > now)
            (void)usleep((unsigned)(due - now));
    }
    for (unsigned i = 0; i < n; i++)
        disconnect(users[i]);
    samples_report("soak", &samples);
    figures_add("soak_max_us", samples_quantile(&samples, 1));
    figures_add("soak_calls", (double)samples.n);
    samples_clear(&samples);
}
