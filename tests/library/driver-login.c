/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/library/driver.h"

#include <string.h>

/* Userdata of the callbacks. */
static struct driver_login *get(struct driver *d, unsigned id)
{
    struct driver_login *l = &d->logins[id % DRIVER_LOGINS_MAX];
    l->driver = d;
    l->id = id;
    return l;
}

static const char *name_of(const struct lwa_error *error)
{
    const char *name = lwa_error_get_name(error);
    return *name ? strrchr(name, '.') + 1 : "-";
}

static void say_result(const struct driver_login *l, const char *what, int result)
{
    say("login %u %s %d %s", l->id, what, result,
        result < 0 ? name_of(lwa_client_get_error(l->driver->client)) : "-");
}

/* --- callbacks ---------------------------------------------------------------------------------------- */

static void on_change(struct lwa_login *login, void *userdata)
{
    const struct driver_login *l = userdata;
    const char *state = lwa_login_get_state(login), *outcome = lwa_login_get_outcome(login);
    say("login %u change %s %s %s", l->id, *state ? state : "-", *outcome ? outcome : "-",
        strcmp(outcome, "lost") == 0 ? name_of(lwa_client_get_error(l->driver->client)) : "-");
    driver_then(l->driver);
}

static void on_begun(struct lwa_client *client _unused_, int result, const struct lwa_error *error,
                     void *userdata)
{
    struct driver_login *l = userdata;
    l->begin = NULL;
    say("login %u begun %d %s", l->id, result, error ? name_of(error) : "-");
    driver_then(l->driver);
}

static void on_completed(struct lwa_client *client _unused_, int result, const struct lwa_error *error,
                         void *userdata)
{
    const struct driver_login *l = userdata;
    say("login %u completed %d %s", l->id, result, error ? name_of(error) : "-");
    driver_then(l->driver);
}

/* --- commands ----------------------------------------------------------------------------------------- */

static void do_new(struct driver_login *l, char *argument)
{
    const char *flow = strsep(&argument, " ");
    int r = lwa_login_new(l->driver->client, flow, argument, &l->login);
    if (r == 0)
        lwa_login_on_change(l->login, on_change, l);
    say_result(l, "new", r);
}

static void do_option(struct driver_login *l, char *argument)
{
    const char *name = strsep(&argument, " ");
    say_result(l, "option", lwa_login_set_option(l->login, name, argument));
}

static void do_secret(struct driver_login *l, char *argument)
{
    say_result(l, "secret", lwa_login_set_token(l->login, argument, strlen(argument)));
}

static void do_begin(struct driver_login *l, char *argument _unused_)
{
    say_result(l, "begin", lwa_login_begin(l->login));
}

static void do_start_begin(struct driver_login *l, char *argument _unused_)
{
    say_result(l, "started", lwa_login_start_begin(l->login, on_begun, l, &l->begin));
}

static void do_give_up(struct driver_login *l, char *argument _unused_)
{
    lwa_request_cancel(l->begin);
    l->begin = NULL;
    say_result(l, "given-up", 0);
}

/* KIND VALUE STATE [SCOPE] */
static void do_complete(struct driver_login *l, char *argument)
{
    bool is_error = strcmp(strsep(&argument, " "), "error") == 0;
    const char *value = strsep(&argument, " "), *state = strsep(&argument, " ");
    say_result(
        l, "complete",
        lwa_login_complete(l->login, is_error ? NULL : value, state, argument, is_error ? value : NULL));
}

static void do_start_complete(struct driver_login *l, char *argument)
{
    bool is_error = strcmp(strsep(&argument, " "), "error") == 0;
    const char *value = strsep(&argument, " "), *state = strsep(&argument, " ");
    say_result(l, "handed-in",
               lwa_login_start_complete(l->login, is_error ? NULL : value, state, argument,
                                        is_error ? value : NULL, on_completed, l, NULL));
}

static void do_cancel(struct driver_login *l, char *argument _unused_)
{
    say_result(l, "cancel", lwa_login_cancel(l->login));
}

static void do_wait(struct driver_login *l, char *argument _unused_)
{
    say_result(l, "wait", lwa_login_wait(l->login));
}

static void do_show(struct driver_login *l, char *argument _unused_)
{
    const struct lwa_login *login = l->login;
    say("login %u show state=%s|code=%s|uri=%s|authorize=%s|notice=%s|expires=%lld|outcome=%s|account=%s|"
        "scope=%s|refused=%s|reason=%s|message=%s|error=%s",
        l->id, lwa_login_get_state(login), lwa_login_get_user_code(login),
        lwa_login_get_verification_uri(login), lwa_login_get_authorize_uri(login),
        lwa_login_get_notice(login), (long long)lwa_login_get_expires_at(login), lwa_login_get_outcome(login),
        lwa_login_get_account(login), lwa_login_get_scope(login), lwa_login_get_refused_scope(login),
        lwa_login_get_reason(login), lwa_login_get_message(login), lwa_login_get_error_name(login));
}

static void do_free(struct driver_login *l, char *argument _unused_)
{
    l->login = lwa_login_free(l->login);
    say_result(l, "freed", 0);
}

static const struct {
    const char *word;
    void (*run)(struct driver_login *l, char *argument);
} commands[] = {
    {"new", do_new},
    {"option", do_option},
    {"secret", do_secret},
    {"begin", do_begin},
    {"start-begin", do_start_begin},
    {"give-up", do_give_up},
    {"complete", do_complete},
    {"start-complete", do_start_complete},
    {"cancel", do_cancel},
    {"wait", do_wait},
    {"show", do_show},
    {"free", do_free},
};

void driver_login(struct driver *d, char *argument)
{
    struct driver_login *l = get(d, (unsigned)strtoul(strsep(&argument, " "), NULL, 10));
    const char *word = strsep(&argument, " ");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (word && strcmp(commands[i].word, word) == 0) {
            commands[i].run(l, argument);
            return;
        }
    say("unknown login");
}

void driver_free_logins(struct driver *d)
{
    for (size_t i = 0; i < DRIVER_LOGINS_MAX; i++)
        d->logins[i].login = lwa_login_free(d->logins[i].login);
}
