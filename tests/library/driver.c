/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/library/driver.h"

#include <poll.h>
#include <stdarg.h>
#include <string.h>

#define LINE_BYTES_MAX 4096

void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)putchar('\n');
    (void)fflush(stdout);
}

/* --- the handle ---------------------------------------------------------------------------------------- */

static void do_new(struct driver *d, char *argument _unused_)
{
    say("new %d", lwa_client_new(&d->client));
}

static void do_free(struct driver *d, char *argument _unused_)
{
    driver_free_logins(d);
    d->client = lwa_client_free(d->client);
    memset(d->requests, 0, sizeof(d->requests));
    say("freed");
}

static void do_timeout(struct driver *d, char *argument)
{
    lwa_client_set_timeout(d->client, (int)strtol(argument, NULL, 10));
}

static void do_interactive(struct driver *d, char *argument _unused_)
{
    lwa_client_set_interactive(d->client, 1);
}

static void on_revoked(struct lwa_client *client _unused_, const char *id, const char *reason, void *userdata)
{
    say("revoked %s %s", id, reason);
    driver_then(userdata);
}

static void do_on_revoked(struct driver *d, char *argument _unused_)
{
    lwa_client_on_revoked(d->client, on_revoked, d);
}

static void on_changed(struct lwa_client *client _unused_, void *userdata)
{
    say("changed");
    driver_then(userdata);
}

static void do_on_changed(struct driver *d, char *argument _unused_)
{
    lwa_client_on_changed(d->client, on_changed, d);
}

static void do_error(struct driver *d, char *argument _unused_)
{
    const struct lwa_error *error = lwa_client_get_error(d->client);
    say("error %d %u %s | %s | %s", lwa_error_get_errno(error), lwa_error_get_retry_after(error),
        lwa_error_get_name(error), lwa_error_get_message(error), lwa_error_get_hint(error));
}

/* --- the loop ------------------------------------------------------------------------------------------ */

static int is_readable(const struct driver *d)
{
    struct pollfd at = {.fd = lwa_client_get_fd(d->client), .events = POLLIN};
    return poll(&at, 1, 0);
}

static void do_pause(struct driver *d, char *argument _unused_)
{
    d->is_paused = true;
    say("paused");
}

static void do_resume(struct driver *d, char *argument _unused_)
{
    d->is_paused = false;
    say("resumed");
}

static void do_dispatch(struct driver *d, char *argument _unused_)
{
    say("dispatch %d", lwa_client_dispatch(d->client));
}

static void do_wait(struct driver *d, char *argument _unused_)
{
    say("wait %d %d", is_readable(d), lwa_client_get_timeout(d->client));
}

static void do_fd(struct driver *d, char *argument _unused_)
{
    say("fd %d", lwa_client_get_fd(d->client));
}

static void do_spin(struct driver *d, char *argument)
{
    int n_readable = 0;
    for (long n = strtol(argument, NULL, 10); n > 0; n--) {
        if (lwa_client_get_timeout(d->client) == 0 || lwa_client_dispatch(d->client) < 0)
            n_readable++;
        n_readable += n % 1000 == 0 ? is_readable(d) : 0;
    }
    say("spin %d", n_readable);
}

static void do_wakes(struct driver *d, char *argument _unused_)
{
    say("wakes %u", d->n_wakes);
    d->n_wakes = 0;
}

static void do_quit(struct driver *d, char *argument _unused_)
{
    d->is_over = true;
}

/* --- lines --------------------------------------------------------------------------------------------- */

static void do_then(struct driver *d, char *argument)
{
    if (d->n_then < THEN_MAX)
        d->then[d->n_then++] = strdup(argument);
}

void driver_then(struct driver *d)
{
    if (d->n_then == 0)
        return;
    _cleanup_free_ char *line = d->then[0];
    memmove(d->then, d->then + 1, sizeof(d->then[0]) * --d->n_then);
    driver_run(d, line);
}

static const struct {
    const char *word;
    void (*run)(struct driver *d, char *argument);
} commands[] = {
    {"new", do_new},
    {"free", do_free},
    {"timeout", do_timeout},
    {"interactive", do_interactive},
    {"on-revoked", do_on_revoked},
    {"on-changed", do_on_changed},
    {"check", driver_check},
    {"token", driver_token},
    {"start", driver_start},
    {"nothing", driver_nothing},
    {"cancel", driver_cancel},
    {"then", do_then},
    {"error", do_error},
    {"pause", do_pause},
    {"resume", do_resume},
    {"dispatch", do_dispatch},
    {"wait", do_wait},
    {"fd", do_fd},
    {"spin", do_spin},
    {"wakes", do_wakes},
    {"login", driver_login},
    {"process", driver_process},
    {"child", driver_child},
    {"hold", driver_hold},
    {"release", driver_release},
    {"quit", do_quit},
};

void driver_run(struct driver *d, char *line)
{
    char *argument = line + strcspn(line, " ");
    if (*argument)
        *argument++ = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].word, line) == 0) {
            commands[i].run(d, argument);
            return;
        }
    say("unknown %s", line);
}

/* Takes no memory: tests let that end. */
static void read_line(struct driver *d)
{
    char line[LINE_BYTES_MAX];
    if (!fgets(line, sizeof(line), stdin)) {
        d->is_over = true;
        return;
    }
    line[strcspn(line, "\n")] = '\0';
    driver_run(d, line);
}

static void turn(struct driver *d)
{
    bool is_live = d->client && !d->is_paused;
    struct pollfd at[2] = {{.fd = 0, .events = POLLIN}, {.fd = -1}};
    if (is_live) {
        at[1].fd = lwa_client_get_fd(d->client);
        at[1].events = (short)lwa_client_get_events(d->client);
    }
    int n = poll(at, 2, is_live ? lwa_client_get_timeout(d->client) : -1);
    if (is_live && (n == 0 || at[1].revents)) {
        d->n_wakes++;
        int r = lwa_client_dispatch(d->client);
        if (r < 0)
            say("dispatch %d", r);
    }
    if (n > 0 && at[0].revents)
        read_line(d);
}

int main(void)
{
    struct driver d = {.client = NULL};
    /* Lines must not be read ahead: poll() would not tell of them. */
    (void)setvbuf(stdin, NULL, _IONBF, 0);
    while (!d.is_over)
        turn(&d);
    driver_free_logins(&d);
    lwa_client_free(d.client);
    while (d.n_then > 0)
        free(d.then[--d.n_then]);
    if (d.held > 0)
        driver_release(&d, NULL);
    return 0;
}
