/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/login-view.h"

#include "client/outcome.h"
#include "client/qr.h"
#include "client/text.h"
#include "dbus/names.h"
#include "util/clock.h"

#include <string.h>

#define TICK_MSEC 1000

static const struct {
    const char *name;
    const char *words;
} states[LOGIN_STATE_COUNT] = {
    [LOGIN_STARTING] = {"starting", "Asking Amazon for a code"},
    [LOGIN_WAITING] = {"waiting", "Waiting for the code to be entered"},
    [LOGIN_EXCHANGING] = {"exchanging", "The code was entered; fetching the login"},
    [LOGIN_PROVING] = {"proving", "Checking the login"},
};

static void take_text(struct json_object *properties, const char *key, char *field, size_t size)
{
    const char *value = values_text(properties, key);
    if (*value && strlen(value) < size)
        (void)memcpy(field, value, strlen(value) + 1);
}

static void take_deadline(struct login_view *v, struct json_object *properties)
{
    int64_t left = values_number(properties, "ExpiresAt") - wall_sec();
    /* On the clock that no step of the wall clock moves; a day is the most that Amazon gives. */
    if (left > 0 && left <= 86400)
        v->deadline_usec = boottime_usec() + (uint64_t)left * USEC_PER_SEC;
}

static void show_code(struct login_view *v)
{
    struct terminal t = terminal_get();
    (void)printf("To link this device, open\n\n    %s%s%s\n\n", terminal_colour(&t, COLOUR_BOLD), v->address,
                 terminal_colour(&t, COLOUR_PLAIN));
    if (v->wants_qr && qr_print(&t, v->address, stdout))
        (void)putchar('\n');
    (void)printf("on any phone or computer, log in to Amazon there, and enter this code:\n\n");
    if (t.is_terminal) {
        qr_print_letters(&t, v->code, stdout);
        (void)putchar('\n');
    }
    (void)printf("    Code: %s\n\n", v->code);
    v->has_shown_code = true;
}

void login_view_update(struct login_view *v, struct json_object *properties)
{
    const char *state = values_text(properties, "State");
    for (int i = 0; i < LOGIN_STATE_COUNT; i++)
        if (strcmp(states[i].name, state) == 0)
            v->state = (enum login_state)i;
    take_text(properties, "UserCode", v->code, sizeof(v->code));
    take_text(properties, "VerificationUri", v->address, sizeof(v->address));
    if (v->deadline_usec == 0)
        take_deadline(v, properties);
    if (!v->has_shown_code && *v->code && *v->address && v->state == LOGIN_WAITING) {
        login_view_leave(v);
        show_code(v);
    }
}

static int64_t left_sec(const struct login_view *v)
{
    uint64_t now = boottime_usec();
    return v->deadline_usec > now ? (int64_t)((v->deadline_usec - now + USEC_PER_SEC - 1) / USEC_PER_SEC) : 0;
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
        (void)snprintf(line, sizeof(line), "%s, %s left", states[v->state].words,
                       text_countdown(left_sec(v), left));
    else
        (void)snprintf(line, sizeof(line), "%s...", states[v->state].words);
    /* A line that wraps could not be redrawn in place. */
    (void)printf("\r\033[K%.*s", (int)text_fit(line, t->width > 1 ? t->width - 1 : 1, &unused), line);
    v->is_line_open = true;
}

static void add_lines(struct login_view *v)
{
    char left[TEXT_TIME_SIZE];
    if (v->said_state != (int)v->state + 1) {
        (void)printf("%s.\n", states[v->state].words);
        v->said_state = (int)v->state + 1;
        v->said_minutes = INT64_MAX;
    }
    int64_t minutes = left_sec(v) / 60;
    if (has_countdown(v) && minutes < v->said_minutes) {
        (void)printf("Time left: %s\n", text_countdown(left_sec(v), left));
        v->said_minutes = minutes;
    }
}

void login_view_draw(struct login_view *v)
{
    struct terminal t = terminal_get();
    if (v->is_cancelling)
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
        (void)putchar('\n');
    v->is_line_open = false;
}

void login_view_cancelling(struct login_view *v)
{
    v->is_cancelling = true;
    (void)printf("Cancelling...\n");
    (void)fflush(stdout); /* what it says of a failed write is not lost: the stream keeps it */
}

static int finish_linked(struct json_object *details)
{
    struct terminal t = terminal_get();
    _cleanup_free_ char *scopes = values_join(values_list(details, "scopes"), " ");
    (void)printf("%sLinked%s: account %s carries %s\n", terminal_colour(&t, COLOUR_GREEN),
                 terminal_colour(&t, COLOUR_PLAIN), values_text(details, "account"), scopes ? scopes : "");
    (void)printf("`lwactl token SCOPE...` asks for a token, `lwactl accounts` lists what is linked.\n");
    return CTL_OK;
}

/* The error is the name of one of the bus contract, with or without its prefix. */
static int finish_failed(const char *error, const struct bus_context *context)
{
    _cleanup_free_ char *name = NULL;
    bool is_full = strncmp(error, LWA_ERROR_PREFIX, strlen(LWA_ERROR_PREFIX)) == 0;
    if (asprintf(&name, "%s%s", is_full ? "" : LWA_ERROR_PREFIX, error) < 0) {
        name = NULL; /* asprintf() leaves it undefined */
        return report(CTL_FAILED, "out of memory");
    }
    if (bus_error_from_name(name) != BUS_OK)
        return bus_report(name, NULL, context);
    (void)report(CTL_FAILED, "The login failed (%s). Nothing was linked.",
                 *error ? error : "no reason given");
    report_hint("`lwactl status` and the broker's log may tell why; then log in again");
    return CTL_FAILED;
}

int login_view_finish(struct login_view *v, const char *outcome, struct json_object *details,
                      const struct bus_context *context)
{
    static const struct {
        const char *name;
        int code;
        const char *sentence;
        bool again;
    } ends[] = {
        {"denied", CTL_DENIED, "The login was turned down on Amazon's page. Nothing was linked.", true},
        {"expired", CTL_EXPIRED, "The code ran out before it was entered. Nothing was linked.", true},
        {"cancelled", CTL_CANCELLED, "Cancelled. Nothing was linked.", false},
    };
    login_view_leave(v);
    if (strcmp(outcome, "linked") == 0)
        return finish_linked(details);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        if (strcmp(outcome, ends[i].name) == 0) {
            (void)report(ends[i].code, "%s", ends[i].sentence);
            if (ends[i].again)
                bus_hint_login(context);
            return ends[i].code;
        }
    return finish_failed(values_text(details, "error"), context);
}
