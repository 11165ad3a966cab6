/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One login, from the person's side: it is shown as liblwa-client tells of it, what a redirect brings is
 * handed in, and Ctrl-C asks the broker to cancel and still waits for its word, since the login may have been
 * linked at that moment. A second Ctrl-C does not wait. */

#include "client/lwactl/answers.h"
#include "client/lwactl/app.h"
#include "client/lwactl/login-view.h"

struct login {
    struct lwa_client *client;
    struct lwa_login *login;
    const struct arguments *arguments;
    const struct bus_context *context;
    struct login_view *view;
    struct answers *answers; /* NULL: none are to come */
    bool wants_browser;      /* open one */
    bool wants_json;         /* of the outcome, on standard output */
    int signal_fd;
    bool is_over;
    int code;                      /* the exit code, once it is over */
    uint64_t cancel_deadline_usec; /* 0: not cancelled */
};

/* Frees neither the client nor the login. */
void login_deinit(struct login *l);

/* Both return an exit code, and what is not CTL_OK has been said. */
int login_begin(struct login *l) _must_check_;
/* Until it is over. */
int login_follow(struct login *l) _must_check_;
