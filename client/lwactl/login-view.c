/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/login-view.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/qr.h"
#include "client/lwactl/text.h"
#include "dbus/names.h"
#include "util/clock.h"

#include <string.h>

#define TICK_MSEC 1000
/* What is shown around the QR code and has to be seen with it, without the address of a page to log in at. */
#define LINES_WITH_CODE 16
#define LINES_WITH_URI 9
#define SLOW_USEC (15 * USEC_PER_SEC)
#define SLOW_WORDS " Amazon is slow to answer; Ctrl-C gives up"

static const char *const state_names[LOGIN_STATE_COUNT] = {
    [LOGIN_STARTING] = "starting",
    [LOGIN_WAITING] = "waiting",
    [LOGIN_EXCHANGING] = "exchanging",
    [LOGIN_PROVING] = "proving",
};

/* NULL: too short-lived to be told. */
static const char *state_words(const struct login_view *v)
{
    static const char *const words[LOGIN_FLOW_COUNT][LOGIN_STATE_COUNT] = {
        [LOGIN_BY_CODE] = {"Asking Amazon for a code", "Waiting for the code to be entered",
                           "The code was entered; fetching the login", "Checking the login"},
        [LOGIN_BY_BROWSER] = {NULL, "Waiting for the browser", "The answer has come; fetching the login",
                              "Checking the login"},
        [LOGIN_BY_PASTE] = {NULL, "Waiting for the answer", "The answer has come; fetching the login",
                            "Checking the login"},
        [LOGIN_BY_IMPORT] = {NULL, NULL, "Keeping the token", "Checking the token"},
    };
    return words[v->flow][v->state];
}

/* With --json what the person reads goes to standard error, which is not drawn on. */
static struct terminal get_terminal(const struct login_view *v)
{
    return v->out == stdout ? terminal_get() : (struct terminal){.is_terminal = false};
}

void login_view_clear(struct login_view *v)
{
    free(v->authorize_uri);
    v->authorize_uri = NULL;
}

static void take_text(const char *value, char *field, size_t size)
{
    _cleanup_free_ char *safe = text_safe(value);
    if (safe && *safe && strlen(safe) < size)
        (void)memcpy(field, safe, strlen(safe) + 1);
}

static void take_deadline(struct login_view *v, const struct lwa_login *login)
{
    int64_t left = (int64_t)lwa_login_get_expires_at(login) - wall_sec();
    /* On the clock that no step of the wall clock moves; a day is the most that Amazon gives. */
    if (left > 0 && left <= 86400)
        v->deadline_usec = boottime_usec() + (uint64_t)left * USEC_PER_SEC;
}

static void show_code(struct login_view *v)
{
    struct terminal t = get_terminal(v);
    (void)fprintf(v->out, "To link this device, open\n\n    %s%s%s\n\n", terminal_colour(&t, COLOUR_BOLD),
                  v->address, terminal_colour(&t, COLOUR_PLAIN));
    if (v->wants_qr && qr_print(&t, v->address, LINES_WITH_CODE, v->out))
        (void)fputc('\n', v->out);
    (void)fprintf(v->out, "on any phone or computer, log in to Amazon there, and enter this code:\n\n");
    if (t.is_terminal) {
        qr_print_letters(&t, v->code, v->out);
        (void)fputc('\n', v->out);
    }
    (void)fprintf(v->out, "    Code: %s\n\n", v->code);
}

/* The address stands alone on its line, whatever the width: so it can be copied as a whole. */
static void show_authorize_uri(struct login_view *v)
{
    struct terminal t = get_terminal(v);
    bool is_here = v->flow == LOGIN_BY_BROWSER;
    (void)fprintf(v->out,
                  "To link this device, open this address in a browser %s, and log in to Amazon:\n\n%s\n\n",
                  is_here ? "on this computer" : "on any phone or computer", v->authorize_uri);
    if (is_here)
        return;
    size_t uri_lines = t.width > 0 ? (strlen(v->authorize_uri) + t.width - 1) / t.width : 1;
    if (v->wants_qr && qr_print(&t, v->authorize_uri, LINES_WITH_URI + uri_lines, v->out))
        (void)fputc('\n', v->out);
    (void)fprintf(
        v->out,
        "Amazon then sends the browser on to another address, even if no page is there. Copy that whole\n"
        "address from the browser and paste it here. It is good once, and for this login only.\n\n");
}

static bool is_ready(const struct login_view *v)
{
    if (v->flow == LOGIN_BY_CODE)
        return *v->code && *v->address;
    return v->authorize_uri != NULL;
}

static void show(struct login_view *v)
{
    login_view_leave(v);
    if (v->flow == LOGIN_BY_CODE)
        show_code(v);
    else
        show_authorize_uri(v);
    v->has_shown_address = true;
}

/* Before the address: it says what to know before one logs in. */
static void show_notice(struct login_view *v, const char *notice)
{
    _cleanup_free_ char *safe = text_safe(notice);
    if (v->has_shown_notice || !safe || !*safe)
        return;
    struct terminal t = get_terminal(v);
    login_view_leave(v);
    (void)fprintf(v->out, "%sNote:%s %s\n\n", terminal_colour(&t, COLOUR_YELLOW),
                  terminal_colour(&t, COLOUR_PLAIN), safe);
    v->has_shown_notice = true;
}

static void take_authorize_uri(struct login_view *v, const char *uri)
{
    if (!v->authorize_uri && *uri)
        v->authorize_uri = text_safe(uri); /* without memory it is taken the next time */
}

void login_view_update(struct login_view *v, const struct lwa_login *login)
{
    const char *state = lwa_login_get_state(login);
    for (int i = 0; i < LOGIN_STATE_COUNT; i++)
        if (strcmp(state_names[i], state) == 0 && v->state != (enum login_state)i) {
            v->state = (enum login_state)i;
            v->state_usec = boottime_usec();
        }
    take_text(lwa_login_get_user_code(login), v->code, sizeof(v->code));
    take_text(lwa_login_get_verification_uri(login), v->address, sizeof(v->address));
    take_authorize_uri(v, lwa_login_get_authorize_uri(login));
    if (v->deadline_usec == 0)
        take_deadline(v, login);
    show_notice(v, lwa_login_get_notice(login));
    if (!v->has_shown_address && v->state == LOGIN_WAITING && v->flow != LOGIN_BY_IMPORT && is_ready(v))
        show(v);
}

void login_view_opened(struct login_view *v)
{
    login_view_leave(v);
    (void)fprintf(v->out, "It should open in your browser now.\n\n");
}

void login_view_tell_of_ssh(struct login_view *v, unsigned port)
{
    login_view_leave(v);
    (void)fprintf(v->out,
                  "Over SSH the browser is on another computer. Forward the port from there, with\n"
                  "`ssh -L %u:127.0.0.1:%u ...`, or log in with --redirect-uri.\n\n",
                  port, port);
}

void login_view_ask(struct login_view *v)
{
    login_view_leave(v);
    (void)fprintf(v->out, "Address or code: ");
    v->is_typing = v->is_line_open = true;
}

/* The line has been ended by him who typed it. */
void login_view_answered(struct login_view *v)
{
    if (v->is_typing)
        v->is_typing = v->is_line_open = false;
}

static int64_t left_sec(const struct login_view *v)
{
    uint64_t now = boottime_usec();
    return v->deadline_usec > now ? (int64_t)((v->deadline_usec - now + USEC_PER_SEC - 1) / USEC_PER_SEC) : 0;
}

/* The broker tries on, which can take as long as Amazon is not well. */
static bool is_slow(const struct login_view *v)
{
    return (v->state == LOGIN_EXCHANGING || v->state == LOGIN_PROVING) &&
           boottime_usec() - v->state_usec > SLOW_USEC;
}

static bool has_countdown(const struct login_view *v)
{
    return v->state == LOGIN_WAITING && v->deadline_usec > 0;
}

static void redraw(struct login_view *v, const struct terminal *t)
{
    char left[TEXT_TIME_SIZE], line[128];
    size_t unused;
    if (has_countdown(v))
        (void)snprintf(line, sizeof(line), "%s, %s left", state_words(v), text_countdown(left_sec(v), left));
    else
        (void)snprintf(line, sizeof(line), "%s...%s", state_words(v), is_slow(v) ? SLOW_WORDS : "");
    /* A line that wraps could not be redrawn in place. */
    (void)fprintf(v->out, "\r\033[K%.*s", (int)text_fit(line, t->width > 1 ? t->width - 1 : 1, &unused),
                  line);
    v->is_line_open = true;
}

static void add_lines(struct login_view *v)
{
    char left[TEXT_TIME_SIZE];
    if (v->said_state != (int)v->state + 1) {
        (void)fprintf(v->out, "%s.\n", state_words(v));
        v->said_state = (int)v->state + 1;
        v->said_minutes = INT64_MAX;
    }
    if (is_slow(v) && !v->has_said_slow) {
        (void)fprintf(v->out, "%s.\n", SLOW_WORDS + 1);
        v->has_said_slow = true;
    }
    int64_t minutes = left_sec(v) / 60;
    if (has_countdown(v) && minutes < v->said_minutes) {
        (void)fprintf(v->out, "Time left: %s\n", text_countdown(left_sec(v), left));
        v->said_minutes = minutes;
    }
}

void login_view_draw(struct login_view *v)
{
    struct terminal t = get_terminal(v);
    if (v->is_cancelling || v->is_typing || !state_words(v))
        return;
    if (t.is_terminal)
        redraw(v, &t);
    else
        add_lines(v);
}

int login_view_tick_msec(const struct login_view *v)
{
    uint64_t left = v->deadline_usec > 0 ? v->deadline_usec - boottime_usec() : 0;
    /* To the next whole second, so that no number is skipped; also when the deadline has passed. */
    return has_countdown(v) ? (int)(left % USEC_PER_SEC / USEC_PER_MSEC) + 1 : TICK_MSEC;
}

void login_view_leave(struct login_view *v)
{
    if (v->is_line_open)
        (void)fputc('\n', v->out);
    v->is_line_open = false;
}

void login_view_cancelling(struct login_view *v)
{
    v->is_cancelling = true;
    (void)fprintf(v->out, "Cancelling...\n");
    (void)fflush(v->out); /* what it says of a failed write is not lost: the stream keeps it */
}

static int finish_linked(const struct login_view *v, const struct lwa_login *login)
{
    struct terminal t = get_terminal(v);
    _cleanup_free_ char *account = text_safe(lwa_login_get_account(login));
    _cleanup_free_ char *scopes = text_safe(lwa_login_get_scope(login));
    _cleanup_free_ char *refused = text_safe(lwa_login_get_refused_scope(login));
    (void)fprintf(v->out, "%sLinked%s: account %s carries %s\n", terminal_colour(&t, COLOUR_GREEN),
                  terminal_colour(&t, COLOUR_PLAIN), account ? account : "", scopes ? scopes : "");
    if (refused && *refused)
        (void)fprintf(v->out, "De-selected on Amazon's page, and so not linked: %s\n", refused);
    if (v->flow == LOGIN_BY_IMPORT)
        (void)fprintf(v->out,
                      "These scopes are claimed: Amazon does not tell what an imported token carries.\n");
    (void)fprintf(v->out,
                  "`lwactl token SCOPE...` asks for a token, `lwactl accounts` lists what is linked.\n");
    return CTL_OK;
}

/* The broker's sentence says what to do next; only where that is another login its command is added. */
static int finish_told(const struct login_view *v, enum bus_error error, const char *message,
                       const struct bus_context *context)
{
    int code = error == BUS_OK ? CTL_FAILED : outcome_of_error(error)->code;
    (void)report(code, "%s", message);
    if (code == CTL_LOGIN && v->flow != LOGIN_BY_IMPORT)
        bus_hint_login(context);
    return code;
}

/* The error is the name of one of the bus contract, with or without its prefix. */
static int finish_failed(const struct login_view *v, const struct lwa_login *login,
                         const struct bus_context *context)
{
    const char *error = lwa_login_get_error_name(login), *message = lwa_login_get_message(login);
    _cleanup_free_ char *name = NULL;
    bool is_full = strncmp(error, LWA_ERROR_PREFIX, strlen(LWA_ERROR_PREFIX)) == 0;
    if (asprintf(&name, "%s%s", is_full ? "" : LWA_ERROR_PREFIX, error) < 0) {
        name = NULL; /* asprintf() leaves it undefined */
        return report(CTL_FAILED, "out of memory");
    }
    enum bus_error known = bus_error_from_name(name);
    if (*message)
        return finish_told(v, known, message, context);
    if (known != BUS_OK)
        return bus_report(name, NULL, context);
    (void)report(CTL_FAILED, "The login failed (%s). Nothing was linked.",
                 *error ? error : "no reason given");
    report_hint("`lwactl status` and the broker's log may tell why; then log in again");
    return CTL_FAILED;
}

static void hint_expired(const struct login_view *v, const struct bus_context *context)
{
    bool is_redirected = v->flow == LOGIN_BY_BROWSER || v->flow == LOGIN_BY_PASTE;
    if (is_redirected)
        report_hint(
            "if Amazon showed an error in place of its login page, the security profile lacks one of the "
            "scopes, or the return address among its Allowed Return URLs");
    else
        bus_hint_login(context);
}

int login_view_finish(struct login_view *v, const struct lwa_login *login, const struct bus_context *context)
{
    static const struct {
        const char *name;
        int code;
        const char *sentence;
    } ends[] = {
        {"denied", CTL_DENIED, "The login was turned down on Amazon's page. Nothing was linked."},
        {"expired", CTL_EXPIRED, "The code ran out before it was entered. Nothing was linked."},
        {"cancelled", CTL_CANCELLED, "Cancelled. Nothing was linked."},
    };
    const char *outcome = lwa_login_get_outcome(login), *message = lwa_login_get_message(login);
    login_view_leave(v);
    if (strcmp(outcome, "linked") == 0)
        return finish_linked(v, login);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        if (strcmp(outcome, ends[i].name) != 0)
            continue;
        bool is_expired = ends[i].code == CTL_EXPIRED;
        const char *sentence = is_expired && v->flow != LOGIN_BY_CODE
                                   ? "No answer came back from Amazon in time. Nothing was linked."
                                   : ends[i].sentence;
        (void)report(ends[i].code, "%s", *message ? message : sentence);
        if (is_expired)
            hint_expired(v, context);
        else if (ends[i].code == CTL_DENIED)
            bus_hint_login(context);
        return ends[i].code;
    }
    return finish_failed(v, login, context);
}
