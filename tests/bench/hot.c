/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One client that waits for each answer. The targets take turns in blocks, so that whatever else the machine
 * does falls on all of them alike. Where the scheduler happens to put a service, beside its bus or not, stays
 * for most of a run and doubles a call: the caller takes the median over several runs. */

#include "tests/bench/bench.h"

#define BLOCK 50
#define WARM_UP 100

void measure_hot(const char *address, unsigned calls)
{
    struct samples samples[TARGET_COUNT] = {{.n = 0}};
    DBusConnection *connection = connect_to(address);
    for (int target = 0; target < TARGET_COUNT; target++)
        for (unsigned i = 0; i < WARM_UP; i++)
            (void)timed_call(connection, (enum target)target);

    for (unsigned done = 0; done < calls; done += BLOCK)
        for (int target = 0; target < TARGET_COUNT; target++)
            for (unsigned i = 0; i < BLOCK; i++)
                samples_add(&samples[target], timed_call(connection, (enum target)target));
    disconnect(connection);

    samples_report("hot", &samples[TARGET_BROKER]);
    samples_report("bare", &samples[TARGET_BARE]);
    samples_report("ping", &samples[TARGET_PING]);
    figures_add("hot_ratio", samples_quantile(&samples[TARGET_BROKER], 0.5) /
                                 samples_quantile(&samples[TARGET_BARE], 0.5));
    for (int target = 0; target < TARGET_COUNT; target++)
        samples_clear(&samples[target]);
}

/* Who is calling is looked up, and polkit is asked, at the first call of a connection. */
void measure_first(const char *address, unsigned calls)
{
    struct samples broker = {.n = 0}, bare = {.n = 0};
    for (unsigned i = 0; i < calls; i++) {
        DBusConnection *connection = connect_to(address);
        samples_add(&broker, timed_call(connection, TARGET_BROKER));
        disconnect(connection);
        connection = connect_to(address);
        samples_add(&bare, timed_call(connection, TARGET_BARE));
        disconnect(connection);
    }
    samples_report("first", &broker);
    samples_report("bare_first", &bare);
    samples_clear(&broker);
    samples_clear(&bare);
}
