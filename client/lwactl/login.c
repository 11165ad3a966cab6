/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/login.h"

#include "client/lwactl/browser.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/values.h"
#include "util/clock.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define CANCEL_USEC (5 * USEC_PER_SEC)

void login_deinit(struct login *l)
{
    l->signal_fd = close_fd(l->signal_fd);
}

static void end(struct login *l, int code)
{
    l->is_over = true;
    l->code = code;
}

/* --- the answer of a redirect ------------------------------------------------------------------------- */

/* Lets the person type, if it is a person who answers. */
static void ask(struct login *l)
{
    if (!l->answers->listener && isatty(STDIN_FILENO))
        login_view_ask(l->view);
}

/* The address to open is on the screen: from now on an answer can come. */
static void open_answers(struct login *l)
{
    int r = answers_open(l->answers, l->view->authorize_uri);
    if (r != CTL_OK) {
        end(l, r);
        return;
    }
    /* The browser is sent to us first, since others can see what it is started with. */
    if (l->wants_browser && browser_open(listener_begin_uri(l->answers->listener)))
        login_view_opened(l->view);
    else if (l->answers->listener && getenv("SSH_CONNECTION"))
        login_view_tell_of_ssh(l->view, listener_port(l->answers->listener));
    ask(l);
}

/* The broker has taken the answer, or refuses it: then the login is open as before. */
static void on_completed(struct lwa_client *client, int result, const struct lwa_error *error, void *userdata)
{
    struct login *l = userdata;
    (void)client;
    if (result == 0 || l->is_over || lwa_error_is(error, "UnknownObject")) /* over: the outcome comes, too */
        return;
    login_view_leave(l->view);
    int code = app_report(error, l->arguments, l->context);
    if (lwa_error_is(error, "InvalidArgument") && answers_refuse(l->answers, &code) == ANSWERS_REFUSED)
        ask(l);
    else
        end(l, code);
}

static int complete(struct login *l, const struct redirect *answer)
{
    bool is_error = *answer->error;
    int r = lwa_login_start_complete(l->login, is_error ? NULL : answer->code, answer->state,
                                     answer->has_scope ? answer->scope : NULL,
                                     is_error ? answer->error : NULL, on_completed, l, NULL);
    return r == 0 ? CTL_OK : app_report(lwa_client_get_error(l->client), l->arguments, l->context);
}

static void handle_answers(struct login *l)
{
    struct redirect answer;
    int code;
    enum answers_result result = answers_handle(l->answers, &answer, &code);
    if (answers_saw_stranger(l->answers)) {
        login_view_leave(l->view);
        (void)report(CTL_OK, "A program of another user has come to this login, and was turned away.");
        report_hint("the browser has to run as the user who logs in; where it cannot, use --redirect-uri");
    }
    if (result == ANSWERS_NONE)
        return;
    login_view_answered(l->view);
    if (result == ANSWERS_REFUSED) {
        ask(l);
        return;
    }
    if (result == ANSWERS_ONE) {
        code = complete(l, &answer);
        explicit_bzero(&answer, sizeof(answer));
    }
    if (code != CTL_OK)
        end(l, code);
}

/* --- what the library tells --------------------------------------------------------------------------- */

/* For programs: the outcome, and all that the broker says of it. */
static int print_finished(const struct lwa_login *login)
{
    bool is_linked = strcmp(lwa_login_get_outcome(login), "linked") == 0;
    const struct {
        const char *key, *text;
        bool is_list, is_shown;
    } members[] = {
        {"account", lwa_login_get_account(login), false, false},
        {"scopes", lwa_login_get_scope(login), true, is_linked},
        {"refused", lwa_login_get_refused_scope(login), true, false},
        {"error", lwa_login_get_error_name(login), false, false},
        {"reason", lwa_login_get_reason(login), false, false},
        {"message", lwa_login_get_message(login), false, false},
        {"outcome", lwa_login_get_outcome(login), false, true},
    };
    _cleanup_json_ struct json_object *details = json_object_new_object();
    int r = details ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(members); i++) {
        const char *text = members[i].text;
        if (*text || members[i].is_shown)
            r = values_add(details, members[i].key,
                           members[i].is_list ? values_from_words(text) : json_object_new_string(text));
    }
    return r == 0 ? values_print(details, false, stdout) : r;
}

static void finish(struct login *l)
{
    if (l->wants_json && print_finished(l->login) < 0)
        end(l, report(CTL_FAILED, "out of memory"));
    else
        end(l, login_view_finish(l->view, l->login, l->context));
}

/* The broker or the bus has gone, or the login cannot be followed for another reason. */
static void handle_lost(struct login *l)
{
    const struct lwa_error *error = lwa_client_get_error(l->client);
    int code = CTL_NO_BROKER;
    login_view_leave(l->view);
    if (lwa_error_is(error, "NoBroker")) {
        (void)report(code, "The broker has left the bus, and the login with it. Nothing was linked.");
        report_hint("once it runs again (`lwactl status`), log in again");
    } else if (lwa_error_is(error, "NoBus")) {
        (void)report(code, "The connection to the system bus is lost, and the login with it.");
        report_hint("log in again once the bus is back");
    } else {
        code = app_report(error, l->arguments, l->context);
    }
    end(l, code);
}

static void on_change(struct lwa_login *login, void *userdata)
{
    struct login *l = userdata;
    const char *outcome = lwa_login_get_outcome(login);
    if (l->is_over)
        return;
    login_view_update(l->view, login);
    if (l->answers && l->view->has_shown_address && !l->answers->is_open)
        open_answers(l);
    if (l->is_over || !*outcome)
        return;
    if (strcmp(outcome, "lost") == 0)
        handle_lost(l);
    else
        finish(l);
}

int login_begin(struct login *l)
{
    lwa_login_on_change(l->login, on_change, l);
    if (lwa_login_begin(l->login) < 0)
        return app_report(lwa_client_get_error(l->client), l->arguments, l->context);
    return CTL_OK;
}

/* --- following ---------------------------------------------------------------------------------------- */

/* The first time asks the broker to cancel and waits for its word; the second time leaves at once. */
static void handle_signal(struct login *l)
{
    struct signalfd_siginfo info;
    if (read(l->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    login_view_leave(l->view);
    if (l->cancel_deadline_usec > 0 || lwa_login_cancel(l->login) < 0) {
        end(l, report(CTL_CANCELLED, "Cancelled."));
        return;
    }
    l->cancel_deadline_usec = boottime_usec() + CANCEL_USEC;
    login_view_cancelling(l->view);
}

static void wait_for_more(struct login *l)
{
    struct pollfd fds[2 + ANSWERS_FDS_MAX] = {
        {.fd = lwa_client_get_fd(l->client), .events = (short)lwa_client_get_events(l->client)},
        {.fd = l->signal_fd, .events = POLLIN}};
    int timeout_msec = login_view_tick_msec(l->view), library_msec = lwa_client_get_timeout(l->client);
    size_t n = 2;
    if (library_msec >= 0 && library_msec < timeout_msec)
        timeout_msec = library_msec;
    bool wants_answers = l->answers && l->cancel_deadline_usec == 0;
    if (wants_answers)
        n += answers_poll(l->answers, fds + 2, &timeout_msec);
    (void)poll(fds, n, timeout_msec);
    if (fds[1].revents & POLLIN)
        handle_signal(l);
    else if (wants_answers)
        handle_answers(l);
}

static int take_signals(struct login *l)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    l->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return l->signal_fd < 0 ? report(CTL_FAILED, "cannot wait for signals: %s", strerror(errno)) : CTL_OK;
}

int login_follow(struct login *l)
{
    int r = take_signals(l);
    while (r == CTL_OK && !l->is_over) {
        if (lwa_client_dispatch(l->client) < 0)
            return app_report(lwa_client_get_error(l->client), l->arguments, l->context);
        if (l->is_over)
            break;
        if (l->cancel_deadline_usec > 0 && boottime_usec() >= l->cancel_deadline_usec)
            return report(CTL_CANCELLED, "Cancelled; the broker has not confirmed it.");
        login_view_draw(l->view);
        r = terminal_flush();
        if (r == CTL_OK)
            wait_for_more(l);
    }
    return r == CTL_OK ? l->code : r;
}
