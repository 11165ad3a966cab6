/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An app as anybody may write one, on the public header alone, which a test drives by lines on its standard
 * input; it answers each with one line. It dispatches only when told to. Words are separated by tabs; "-" is
 * NULL. The last token stays with it until the next, or `drop`.
 *
 *   get SCOPE ACCOUNT MIN-VALID        "token ID EXPIRES-IN ACCOUNT SCOPE"
 *   gets N SCOPE                       the same so often, between a line "begin" and "end DIFFERENT-IDS"
 *   start TAG SCOPE ACCOUNT MIN-VALID  "started", and while it loops "got TAG token ID ..."
 *   cancel TAG                         "cancelled"
 *   loop MSEC                          dispatches for so long: "looped"
 *   report, start-report               of the last token: "reported RESULT"
 *   release, start-release             "released RESULT"
 *   check SCOPE ACCOUNT                "verdicts SCOPE=VERDICT ..."; start-check
 *   call SCOPE N                       a request whose first N tokens are rejected:
 *                                      "called RESULT TIMES ID ID"
 *   version, feature NAME              "version TEXT", "feature RESULT"
 *   start-silent SCOPE                 all that can be started, without a callback: "started"
 *   on-revoked                         "revoked ID REASON" while it loops
 *   interactive                        "interactive"
 *   write                              the bytes of the last token, and a line's end
 *   drop                               gives the last token up: "dropped"
 *   free, new                          the handle
 *
 * What fails is "error ERRNO NAME", "got TAG error ...". */

#include "client/library/lwa-client.h"

#include "util/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define WORDS_MAX 8
#define TAGS_MAX 8

struct app {
    struct lwa_client *client;
    struct lwa_token *token;
    struct lwa_request *requests[TAGS_MAX];
    char *words[WORDS_MAX];
};

struct started {
    struct app *app;
    unsigned tag;
};

_printf_(1, 2) static void say(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vprintf(format, values);
    va_end(values);
    (void)putchar('\n');
    (void)fflush(stdout);
}

static const char *word(const struct app *app, unsigned i)
{
    const char *w = i < WORDS_MAX && app->words[i] ? app->words[i] : "";
    return strcmp(w, "-") == 0 ? NULL : w;
}

static unsigned number(const struct app *app, unsigned i)
{
    const char *w = word(app, i);
    return w ? (unsigned)strtoul(w, NULL, 10) : 0;
}

static void say_error(const char *before, const struct lwa_error *error)
{
    say("%serror %d %s", before, lwa_error_get_errno(error), lwa_error_get_name(error));
}

static void say_token(const char *before, const struct lwa_token *token)
{
    say("%stoken %s %u %s %s", before, lwa_token_get_id(token), lwa_token_get_expires_in(token),
        lwa_token_get_account(token), lwa_token_get_scope(token));
}

static void say_result(struct app *app, const char *what, int r)
{
    if (r < 0)
        say_error("", lwa_client_get_error(app->client));
    else
        say("%s %d", what, r);
}

/* --- tokens --------------------------------------------------------------------------------------------- */

static void do_get(struct app *app)
{
    struct lwa_token *token = NULL;
    int r = lwa_client_get_token(app->client, word(app, 1), word(app, 2), number(app, 3), &token);
    if (r < 0) {
        say_error("", lwa_client_get_error(app->client));
        return;
    }
    lwa_token_unref(app->token);
    app->token = token;
    say_token("", token);
}

static void do_gets(struct app *app)
{
    unsigned n = number(app, 1), n_other = 0;
    struct lwa_token *first = NULL, *token = NULL;
    say("begin");
    if (lwa_client_get_token(app->client, word(app, 2), NULL, 0, &first) < 0)
        n = 0;
    for (unsigned i = 0; i < n; i++) {
        if (lwa_client_get_token(app->client, word(app, 2), NULL, 0, &token) == 0)
            n_other += token != first;
        token = lwa_token_unref(token);
    }
    lwa_token_unref(first);
    say("end %u", first ? n_other : n + 1);
}

static void on_token(struct lwa_client *client _unused_, int result, struct lwa_token *token,
                     const struct lwa_error *error, void *userdata)
{
    struct started *s = userdata;
    char before[32];
    (void)snprintf(before, sizeof(before), "got %u ", s->tag);
    s->app->requests[s->tag] = NULL;
    if (result < 0 || !token || error) {
        say_error(before, error);
    } else {
        lwa_token_unref(s->app->token);
        s->app->token = lwa_token_ref(token);
        say_token(before, token);
    }
    free(s);
}

static void do_start(struct app *app)
{
    struct started *s = calloc(1, sizeof(*s));
    unsigned tag = number(app, 1) % TAGS_MAX;
    if (!s)
        return;
    *s = (struct started){.app = app, .tag = tag};
    int r = lwa_client_start_get_token(app->client, word(app, 2), word(app, 3), number(app, 4), on_token, s,
                                       &app->requests[tag]);
    if (r < 0) {
        free(s);
        say_error("", lwa_client_get_error(app->client));
        return;
    }
    say("started");
}

/* Nobody wants to know how it ends. */
static void do_start_silent(struct app *app)
{
    const char *scope = word(app, 1);
    int r = lwa_client_start_get_token(app->client, scope, NULL, 0, NULL, NULL, NULL);
    if (r == 0)
        r = lwa_client_start_check_scopes(app->client, scope, NULL, NULL, NULL, NULL);
    if (r == 0)
        r = lwa_client_start_report_rejected(app->client, app->token, NULL, NULL, NULL);
    if (r == 0)
        r = lwa_client_start_release_tokens(app->client, NULL, NULL, NULL);
    if (r < 0)
        say_error("", lwa_client_get_error(app->client));
    else
        say("started");
}

/* What was started with it is left to the end of the process: nobody can tell its callback any more. */
static void do_cancel(struct app *app)
{
    unsigned tag = number(app, 1) % TAGS_MAX;
    lwa_request_cancel(app->requests[tag]);
    app->requests[tag] = NULL;
    say("cancelled");
}

static void do_write(struct app *app)
{
    size_t n;
    const char *bytes = lwa_token_get_bytes(app->token, &n);
    if (write(STDOUT_FILENO, bytes, n) != (ssize_t)n)
        return;
    say("%s", "");
}

static void do_drop(struct app *app)
{
    app->token = lwa_token_unref(app->token);
    say("dropped");
}

/* --- the rest ------------------------------------------------------------------------------------------- */

static void do_report(struct app *app)
{
    say_result(app, "reported", lwa_client_report_rejected(app->client, app->token));
}

static void do_release(struct app *app)
{
    say_result(app, "released", lwa_client_release_tokens(app->client));
}

static void on_result(struct lwa_client *client _unused_, int result, const struct lwa_error *error,
                      void *userdata)
{
    if (error)
        say_error("", error);
    else
        say("%s %d", (const char *)userdata, result);
}

static char reported[] = "reported", released[] = "released";

static void do_start_report(struct app *app)
{
    int r = lwa_client_start_report_rejected(app->client, app->token, on_result, reported, NULL);
    say_result(app, "started", r);
}

static void do_start_release(struct app *app)
{
    say_result(app, "started", lwa_client_start_release_tokens(app->client, on_result, released, NULL));
}

static void say_verdicts(const struct lwa_verdicts *verdicts)
{
    (void)printf("verdicts");
    for (size_t i = 0; i < lwa_verdicts_get_count(verdicts); i++)
        (void)printf(" %s=%s", lwa_verdicts_get_scope(verdicts, i), lwa_verdicts_get_verdict(verdicts, i));
    say("%s", "");
}

static void do_check(struct app *app)
{
    struct lwa_verdicts *verdicts = NULL;
    if (lwa_client_check_scopes(app->client, word(app, 1), word(app, 2), &verdicts) < 0)
        say_error("", lwa_client_get_error(app->client));
    else
        say_verdicts(verdicts);
    lwa_verdicts_free(verdicts);
}

static void on_verdicts(struct lwa_client *client _unused_, int result, const struct lwa_verdicts *verdicts,
                        const struct lwa_error *error, void *userdata _unused_)
{
    if (result < 0)
        say_error("", error);
    else
        say_verdicts(verdicts);
}

static void do_start_check(struct app *app)
{
    int r = lwa_client_start_check_scopes(app->client, word(app, 1), word(app, 2), on_verdicts, NULL, NULL);
    say_result(app, "started", r);
}

struct request {
    unsigned n_rejected, n_calls;
    char ids[256];
};

#define CALL_RESULT 7

static int request_fn(struct lwa_token *token, void *userdata)
{
    struct request *request = userdata;
    size_t n = strlen(request->ids);
    (void)snprintf(request->ids + n, sizeof(request->ids) - n, " %s", lwa_token_get_id(token));
    return request->n_calls++ < request->n_rejected ? LWA_CALL_REJECTED : CALL_RESULT;
}

static void do_call(struct app *app)
{
    struct request request = {.n_rejected = number(app, 2)};
    int r = lwa_client_call(app->client, word(app, 1), NULL, 0, request_fn, &request);
    say("called %d %u%s", r, request.n_calls, request.ids);
}

static void do_version(struct app *app)
{
    const char *version = NULL;
    if (lwa_client_get_broker_version(app->client, &version) < 0)
        say_error("", lwa_client_get_error(app->client));
    else
        say("version %s", version);
}

static void do_feature(struct app *app)
{
    say_result(app, "feature", lwa_client_has_feature(app->client, word(app, 1)));
}

static void on_revoked(struct lwa_client *client _unused_, const char *token_id, const char *reason,
                       void *userdata _unused_)
{
    say("revoked %s %s", token_id, reason);
}

static void do_on_revoked(struct app *app)
{
    lwa_client_on_revoked(app->client, on_revoked, NULL);
    say("listening");
}

static void do_interactive(struct app *app)
{
    lwa_client_set_interactive(app->client, 1);
    say("interactive");
}

static long now_msec(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void do_loop(struct app *app)
{
    long end = now_msec() + number(app, 1);
    struct pollfd p = {.fd = lwa_client_get_fd(app->client),
                       .events = (short)lwa_client_get_events(app->client)};
    for (long left = end - now_msec(); left > 0; left = end - now_msec()) {
        int timeout = lwa_client_get_timeout(app->client);
        (void)poll(&p, 1, timeout < 0 || timeout > left ? (int)left : timeout);
        if (lwa_client_dispatch(app->client) < 0)
            break;
    }
    say("looped");
}

static void do_free(struct app *app)
{
    app->client = lwa_client_free(app->client);
    say("freed");
}

static void do_new(struct app *app)
{
    say("new %d", lwa_client_new(&app->client));
}

/* --- lines ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(struct app *app);
} commands[] = {
    {"get", do_get},
    {"gets", do_gets},
    {"start", do_start},
    {"start-silent", do_start_silent},
    {"cancel", do_cancel},
    {"loop", do_loop},
    {"report", do_report},
    {"release", do_release},
    {"start-report", do_start_report},
    {"start-release", do_start_release},
    {"check", do_check},
    {"start-check", do_start_check},
    {"call", do_call},
    {"version", do_version},
    {"feature", do_feature},
    {"on-revoked", do_on_revoked},
    {"interactive", do_interactive},
    {"write", do_write},
    {"drop", do_drop},
    {"free", do_free},
    {"new", do_new},
};

static void run(struct app *app, char *line)
{
    char *rest = line;
    line[strcspn(line, "\n")] = '\0';
    for (unsigned i = 0; i < WORDS_MAX; i++)
        app->words[i] = strsep(&rest, "\t");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, line) == 0) {
            commands[i].run(app);
            return;
        }
    say("unknown %s", line);
}

int main(void)
{
    struct app app = {.client = NULL};
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    (void)prctl(PR_SET_DUMPABLE, 1); /* its memory is looked into, also when it has changed its user */
    if (lwa_client_new(&app.client) < 0)
        return EXIT_FAILURE;
    while (getline(&line, &size, stdin) > 0)
        run(&app, line);
    lwa_token_unref(app.token);
    lwa_client_free(app.client);
    return EXIT_SUCCESS;
}
