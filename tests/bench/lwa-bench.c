/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lwa-bench: the measuring half of `./dev bench`. tests/harness/bench.py makes the world, runs this as the
 * user whom a measurement needs, and makes a table of what it says.
 *
 *     lwa-bench ADDRESS bare                    serves the bare handler until it is ended
 *     lwa-bench ADDRESS hot CALLS               latency of one client: broker, bare handler, Ping
 *     lwa-bench ADDRESS first CONNECTIONS       latency of the first call of a connection
 *     lwa-bench ADDRESS first-calls FIRST-UID USERS
 *                                               what such a call costs, in its parts
 *     lwa-bench ADDRESS throughput CLIENTS SLICES
 *     lwa-bench ADDRESS burst CONNECTIONS CALLS
 *     lwa-bench ADDRESS starts TIMES DAEMON [ARGUMENT...]
 *     lwa-bench ADDRESS accounts COUNT          one call for each of account-1, account-2, ... at once
 *     lwa-bench ADDRESS steady ACCOUNT CALLS PAUSE-USEC
 *                                               a round for each line on standard input, a line of figures
 * for each lwa-bench ADDRESS flood RATE              calls without end; a RATE of 0 is as fast as it goes
 *     lwa-bench ADDRESS audit APP SCOPE TIMES   questions to the trail
 *     lwa-bench ADDRESS disclosures FIRST-UID CLIENTS EACH
 *                                               first disclosures, after a line on standard input
 *     lwa-bench ADDRESS client CALLS            liblwa-client beside the bare call, and a token that is kept
 *     lwa-bench ADDRESS programs TIMES A [ARGUMENT...] -- B [ARGUMENT...]
 *     lwa-bench ADDRESS soak FIRST-UID USERS PERIOD-MSEC SECONDS
 *
 * All but bare and flood write one JSON object of figures; steady writes one for each round. */

#include "tests/bench/bench.h"

#include <string.h>

static unsigned number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || value > 1000000)
        die("%s is no number up to 1000000", text);
    return (unsigned)value;
}

static bool measure(const char *address, const char *what, int argc, char **argv)
{
    if (strcmp(what, "hot") == 0 && argc == 1)
        measure_hot(address, number(argv[0]));
    else if (strcmp(what, "first") == 0 && argc == 1)
        measure_first(address, number(argv[0]));
    else if (strcmp(what, "first-calls") == 0 && argc == 2)
        measure_first_calls(address, number(argv[0]), number(argv[1]));
    else if (strcmp(what, "throughput") == 0 && argc == 2)
        measure_throughput(address, number(argv[0]), number(argv[1]));
    else if (strcmp(what, "burst") == 0 && argc == 2)
        measure_burst(address, number(argv[0]), number(argv[1]));
    else if (strcmp(what, "accounts") == 0 && argc == 1)
        measure_accounts(address, number(argv[0]));
    else if (strcmp(what, "soak") == 0 && argc == 4)
        measure_soak(address, number(argv[0]), number(argv[1]), number(argv[2]), number(argv[3]));
    else if (strcmp(what, "audit") == 0 && argc == 3)
        measure_audit(address, argv[0], argv[1], number(argv[2]));
    else if (strcmp(what, "disclosures") == 0 && argc == 3)
        measure_disclosures(address, number(argv[0]), number(argv[1]), number(argv[2]));
    else if (strcmp(what, "client") == 0 && argc == 1)
        measure_client(address, number(argv[0]));
    else if (strcmp(what, "programs") == 0 && argc >= 4)
        measure_programs(number(argv[0]), argv + 1);
    else if (strcmp(what, "starts") == 0 && argc >= 2)
        measure_starts(address, number(argv[0]), argv + 1);
    else
        return false;
    return true;
}

/* What does not end with one object of figures. */
static bool serve(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[2], "bare") == 0)
        serve_bare(argv[1]);
    else if (argc == 4 && strcmp(argv[2], "flood") == 0)
        flood(argv[1], number(argv[3]));
    else if (argc == 6 && strcmp(argv[2], "steady") == 0)
        measure_steady(argv[1], argv[3], number(argv[4]), number(argv[5]));
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    if (serve(argc, argv))
        return EXIT_SUCCESS;
    figures_begin();
    if (argc < 4 || !measure(argv[1], argv[2], argc - 3, argv + 3))
        die("see the head of tests/bench/lwa-bench.c for how it is called");
    figures_end();
    return EXIT_SUCCESS;
}
