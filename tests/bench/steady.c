/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One client that calls at a steady pace, in rounds that the caller starts: each line on standard input is
 * answered with a line of figures. So the caller can change the world between two rounds while the client
 * stays where the scheduler has put it, and compare what is comparable. */

#include "tests/bench/bench.h"

#define WARM_UP 100

static void play_round(DBusConnection *connection, const char *account, unsigned calls, unsigned pause_usec)
{
    struct samples samples = {.n = 0};
    for (unsigned i = 0; i < calls; i++) {
        samples_add(&samples, timed_message(connection, TARGET_BROKER, new_account_call(account)));
        if (pause_usec > 0)
            (void)usleep(pause_usec);
    }
    figures_begin();
    samples_report("steady", &samples);
    figures_add("steady_max_us", samples_quantile(&samples, 1));
    figures_end();
    samples_clear(&samples);
}

void measure_steady(const char *address, const char *account, unsigned calls, unsigned pause_usec)
{
    DBusConnection *connection = connect_to(address);
    for (unsigned i = 0; i < WARM_UP; i++) {
        (void)timed_message(connection, TARGET_BROKER, new_account_call(account));
        (void)usleep(pause_usec);
    }
    for (int c; (c = getchar()) != EOF;)
        if (c == '\n')
            play_round(connection, account, calls, pause_usec);
    disconnect(connection);
}
