/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clients that each get first disclosures, one after another: an app gets a token for the first time but
 * once, so each client is as many apps as it gets tokens. That they may is known before: they have asked. */

#include "tests/bench/bench.h"

#include <fcntl.h>
#include <sys/wait.h>

#define APPS_MAX 1024

static _Noreturn void be_client(struct app **apps, unsigned n, int gate)
{
    char go;
    struct samples samples = {.n = 0};
    if (read(gate, &go, 1) < 0)
        die("the gate is broken");
    for (unsigned i = 0; i < n; i++)
        samples_add(&samples, app_do(apps[i], APP_CALL));
    samples_clear(&samples);
    _exit(EXIT_SUCCESS);
}

static void start_apps(struct app **apps, const char *address, unsigned first_uid, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        apps[i] = app_start(address, first_uid + i);
        (void)app_do(apps[i], APP_CONNECT);
        (void)app_do(apps[i], APP_CHECK);
    }
}

void measure_disclosures(const char *address, unsigned first_uid, unsigned clients, unsigned each)
{
    struct app *apps[APPS_MAX] = {NULL};
    int gate[2];
    if (clients * each > APPS_MAX)
        die("%u clients with %u disclosures each are too many", clients, each);
    start_apps(apps, address, first_uid, clients * each);
    if (pipe2(gate, O_CLOEXEC) < 0) /* now: the apps would keep it open */
        die("no pipe");
    (void)puts(""); /* ready; and on standard input, when it is to begin */
    (void)fflush(stdout);
    (void)getchar();
    for (unsigned i = 0; i < clients; i++) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork failed");
        if (pid == 0) {
            (void)close_fd(gate[1]);
            be_client(apps + i * each, each, gate[0]);
        }
    }
    double before = precise_usec();
    (void)close_fd(gate[1]);
    for (unsigned i = 0; i < clients; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            die("a client failed");
    }
    figures_add("audit_disclosures_per_s", clients * each * 1e6 / (precise_usec() - before));
    for (unsigned i = 0; i < clients * each; i++)
        app_end(apps[i]);
}
