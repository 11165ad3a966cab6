/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A process for each client, which calls again as soon as it has its answer. The parent lets all of them call
 * the broker and the bare handler by turns, and reads their counters at both ends of each slice. */

#include "tests/bench/bench.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CLIENTS_MAX 128
#define SLICE_USEC 500000
#define SETTLE_USEC 30000 /* after a change of turns, until the last answer of the other is in */

struct board {
    _Atomic int target; /* an enum target */
    _Atomic unsigned n_ready;
    _Atomic uint64_t answers[CLIENTS_MAX]; /* of the present turns of each client */
};

static _Noreturn void be_client(struct board *board, unsigned self, const char *address)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    DBusConnection *connection = connect_to(address);
    (void)timed_call(connection, TARGET_BROKER);
    (void)timed_call(connection, TARGET_BARE);
    atomic_fetch_add(&board->n_ready, 1);
    for (;;) {
        (void)timed_call(connection, (enum target)atomic_load(&board->target));
        atomic_fetch_add(&board->answers[self], 1);
    }
}

static uint64_t sum(struct board *board, unsigned clients)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < clients; i++)
        n += atomic_load(&board->answers[i]);
    return n;
}

/* Answers a second. */
static double run_slice(struct board *board, unsigned clients, enum target target)
{
    atomic_store(&board->target, (int)target);
    (void)usleep(SETTLE_USEC);
    uint64_t start = clock_usec(CLOCK_MONOTONIC), before = sum(board, clients);
    (void)usleep(SLICE_USEC);
    uint64_t after = sum(board, clients), end = clock_usec(CLOCK_MONOTONIC);
    return (double)(after - before) * 1e6 / (double)(end - start);
}

static void await_ready(struct board *board, unsigned clients)
{
    for (unsigned i = 0; atomic_load(&board->n_ready) < clients; i++) {
        if (i > 30000 || waitpid(-1, NULL, WNOHANG) > 0)
            die("the clients did not come up");
        (void)usleep(1000);
    }
}

static void end_clients(const pid_t *pids, unsigned clients)
{
    for (unsigned i = 0; i < clients; i++) {
        int status = 0;
        (void)kill(pids[i], SIGKILL);
        if (waitpid(pids[i], &status, 0) != pids[i] || !WIFSIGNALED(status))
            die("a client ended by itself");
    }
}

void measure_throughput(const char *address, unsigned clients, unsigned slices)
{
    pid_t pids[CLIENTS_MAX];
    struct board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED || clients > CLIENTS_MAX)
        die("too many clients");
    for (unsigned i = 0; i < clients; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            die("no more processes");
        if (pids[i] == 0)
            be_client(board, i, address);
    }
    await_ready(board, clients);

    struct samples broker = {.n = 0}, bare = {.n = 0};
    for (unsigned i = 0; i < slices; i++) {
        samples_add(&broker, run_slice(board, clients, TARGET_BROKER));
        samples_add(&bare, run_slice(board, clients, TARGET_BARE));
    }
    end_clients(pids, clients);
    (void)munmap(board, sizeof(*board));

    char key[64];
    (void)snprintf(key, sizeof(key), "throughput_%u", clients);
    figures_add(key, samples_quantile(&broker, 0.5));
    (void)snprintf(key, sizeof(key), "bare_throughput_%u", clients);
    figures_add(key, samples_quantile(&bare, 0.5));
    (void)snprintf(key, sizeof(key), "throughput_ratio_%u", clients);
    figures_add(key, samples_quantile(&broker, 0.5) / samples_quantile(&bare, 0.5));
    samples_clear(&broker);
    samples_clear(&bare);
}
