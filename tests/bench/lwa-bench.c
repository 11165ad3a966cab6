/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lwa-bench: the measuring half of `./dev bench`. tests/harness/bench.py makes the world, runs this as the
 * user whom a measurement needs, and makes a table of what it says.
 *
 *     lwa-bench ADDRESS bare                    serves the bare handler until it is ended
 *     lwa-bench ADDRESS hot CALLS               latency of one client: broker, bare handler, Ping
 *     lwa-bench ADDRESS first CONNECTIONS       latency of the first call of a connection
 *     lwa-bench ADDRESS throughput CLIENTS SLICES
 *     lwa-bench ADDRESS burst CONNECTIONS CALLS
 *     lwa-bench ADDRESS starts TIMES DAEMON [ARGUMENT...]
 *
 * All but the first write one JSON object of figures. */

#include "tests/bench/bench.h"

#include <string.h>

static unsigned number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || value < 1 || value > 1000000)
        die("%s is no number from 1 to 1000000", text);
    return (unsigned)value;
}

static bool measure(const char *address, const char *what, int argc, char **argv)
{
    if (strcmp(what, "hot") == 0 && argc == 1)
        measure_hot(address, number(argv[0]));
    else if (strcmp(what, "first") == 0 && argc == 1)
        measure_first(address, number(argv[0]));
    else if (strcmp(what, "throughput") == 0 && argc == 2)
        measure_throughput(address, number(argv[0]), number(argv[1]));
    else if (strcmp(what, "burst") == 0 && argc == 2)
        measure_burst(address, number(argv[0]), number(argv[1]));
    else if (strcmp(what, "starts") == 0 && argc >= 2)
        measure_starts(address, number(argv[0]), argv + 1);
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[2], "bare") == 0) {
        serve_bare(argv[1]);
        return EXIT_SUCCESS;
    }
    figures_begin();
    if (argc < 4 || !measure(argv[1], argv[2], argc - 3, argv + 3))
        die("see the head of tests/bench/lwa-bench.c for how it is called");
    figures_end();
    return EXIT_SUCCESS;
}
