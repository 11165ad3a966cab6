/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A program on the library that a test drives with lines on its standard input; it answers with lines on its
 * standard output, and waits in poll(2) as an app would.
 *
 *   new, free                  the handle
 *   timeout MSEC, interactive  its settings
 *   on-revoked, on-changed     prints "revoked ID REASON", "changed" when they are called
 *   check SCOPE                asks and waits: "check RESULT ERROR" ("-" for no error)
 *   token SCOPE                the same with GetToken, so that the broker knows us as the holder of a token
 *   start ID SCOPE             asks without waiting: "started ID RESULT", later "done ID RESULT ERROR"
 *   nothing ID                 the same, without a call
 *   cancel ID                  "cancelled ID"
 *   then LINE                  LINE is run inside of the next callback; several in their order, one for each
 *   error                      "error ERRNO RETRY-AFTER NAME | MESSAGE | HINT"
 *   pause, resume              leaves the handle alone; "paused", "resumed"
 *   dispatch                   "dispatch RESULT"
 *   wait                       "wait READABLE TIMEOUT": whether the descriptor is readable, and for how long
 * to wait spin N                     N times get_timeout and dispatch: "spin READABLE", the number of times
 * it was wakes                      "wakes N": how often poll(2) has returned for the handle since the last
 * time process                    "process FDS NOT-CLOEXEC THREADS SIGPIPE-IGNORED" child LINE;LINE in a
 * child, which ends then: its answers, and "child STATUS" hold, release              a child that holds
 * copies of all descriptors: "holding", "released" quit                       frees all and ends, as the end
 * of the input does */

#include "client/library/client.h"

#include <sys/types.h>

#define REQUESTS_MAX 64
#define THEN_MAX 16
#define DRIVER_LOGINS_MAX 4

struct driver;
struct driver_login {
    struct driver *driver;
    unsigned id;
    struct lwa_login *login; /* NULL: there is none */
    struct lwa_request *begin;
};

struct driver {
    struct lwa_client *client;
    struct lwa_request *requests[REQUESTS_MAX];
    char *then[THEN_MAX];
    unsigned n_then;
    bool is_paused;
    bool is_over;
    unsigned n_wakes;
    pid_t held;
    struct driver_login logins[DRIVER_LOGINS_MAX];
};

/* Answers a line. */
void say(const char *fmt, ...) _printf_(1, 2);
void driver_run(struct driver *d, char *line);

/* What every callback does after it has said its own. */
void driver_then(struct driver *d);

/* driver-calls.c */
void driver_check(struct driver *d, char *argument);
void driver_token(struct driver *d, char *argument);
void driver_start(struct driver *d, char *argument);
void driver_nothing(struct driver *d, char *argument);
void driver_cancel(struct driver *d, char *argument);
/* driver-login.c: "login ID WORD ...", the words and their answers are in its table. */
void driver_login(struct driver *d, char *argument);
void driver_free_logins(struct driver *d);
/* driver-process.c */
void driver_process(struct driver *d, char *argument);
void driver_child(struct driver *d, char *argument);
void driver_hold(struct driver *d, char *argument);
void driver_release(struct driver *d, char *argument);
