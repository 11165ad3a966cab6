/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl login: links the device to an Amazon account, in one of four ways (enum login_flow). What happens
 * while it is open: client/lwactl/login.h. */

#include "client/lwactl/login.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/token-input.h"
#include "client/lwactl/values.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PORT_MIN 1024
#define PORT_MAX 65535

#define HINT_SIZE 64

/* What the arguments come to. */
struct plan {
    enum login_flow flow;
    struct strv scopes;
    const char *scope_data; /* NULL: none */
    struct json_object *voluntary;
    const char *redirect_uri; /* NULL: none */
    int token_fd;             /* -1: none */
    struct answers *answers;  /* NULL: none are to come */
    char hint[HINT_SIZE];     /* the options with which one says it again */
};

static void plan_clear(struct plan *p)
{
    strv_clear(&p->scopes);
    json_object_put(p->voluntary);
    p->token_fd = close_fd(p->token_fd);
    if (p->answers)
        answers_clear(p->answers);
    free(p->answers);
}

/* --- the arguments ------------------------------------------------------------------------------------ */

static const struct {
    enum ctl_option option;
    enum login_flow flow;
    const char *name;       /* on the bus */
    const char *login_hint; /* how one says it again */
} flows[] = {
    {OPTION_COUNT, LOGIN_BY_CODE, "device-code", ""},
    {OPTION_BROWSER, LOGIN_BY_BROWSER, "authorization-code", "--browser "},
    {OPTION_REDIRECT_URI, LOGIN_BY_PASTE, "authorization-code", "--redirect-uri URI "},
    {OPTION_IMPORT, LOGIN_BY_IMPORT, "import", "--import "},
};

/* Options that would be without effect, and so must not look as if they had one. */
static int check_combination(const struct command *command, const struct arguments *arguments)
{
    static const struct {
        enum ctl_option option, other;
        const char *sentence;
    } excluded[] = {
        {OPTION_BROWSER, OPTION_REDIRECT_URI, "--browser and --redirect-uri exclude each other"},
        {OPTION_BROWSER, OPTION_IMPORT, "--browser and --import exclude each other"},
        {OPTION_REDIRECT_URI, OPTION_IMPORT, "--redirect-uri and --import exclude each other"},
        {OPTION_SCOPE_DATA, OPTION_VOLUNTARY, "--scope-data and --voluntary exclude each other"},
        {OPTION_IMPORT, OPTION_SCOPE_DATA, "--scope-data does not go with --import"},
        {OPTION_IMPORT, OPTION_VOLUNTARY, "--voluntary does not go with --import"},
        {OPTION_IMPORT, OPTION_LOCALE, "--locale does not go with --import"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(excluded); i++)
        if (arguments->given[excluded[i].option] && arguments->given[excluded[i].other])
            return options_usage(command, "%s", excluded[i].sentence);
    if (arguments->given[OPTION_PORT] && !arguments->given[OPTION_BROWSER])
        return options_usage(command, "--port goes with --browser only");
    if (arguments->given[OPTION_NO_OPEN] && !arguments->given[OPTION_BROWSER])
        return options_usage(command, "--no-open goes with --browser only");
    return CTL_OK;
}

/* {"SCOPE": {"essential": false}, ...} of the voluntary ones, which are asked for too. */
static int plan_voluntary(struct plan *p, const char *names)
{
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    if (strv_split(&scopes, names, OPTIONS_SEPARATORS) < 0)
        return report(CTL_FAILED, "out of memory");
    p->voluntary = json_object_new_object();
    for (size_t i = 0; p->voluntary && i < scopes.n; i++) {
        _cleanup_json_ struct json_object *entry = json_object_new_object();
        if (!entry || json_object_object_add(entry, "essential", json_object_new_boolean(false)) < 0 ||
            json_object_object_add(p->voluntary, scopes.items[i], entry) < 0)
            return report(CTL_FAILED, "out of memory");
        entry = NULL; /* it is the other's now */
    }
    p->scope_data = json_object_to_json_string_ext(p->voluntary, JSON_C_TO_STRING_NOSLASHESCAPE);
    return p->scope_data ? CTL_OK : report(CTL_FAILED, "out of memory");
}

static int plan_scope_data(struct plan *p, const struct command *command, const struct arguments *arguments)
{
    if (arguments->given[OPTION_VOLUNTARY])
        return plan_voluntary(p, arguments->values[OPTION_VOLUNTARY]);
    p->scope_data = arguments->values[OPTION_SCOPE_DATA];
    _cleanup_json_ struct json_object *parsed = p->scope_data ? json_tokener_parse(p->scope_data) : NULL;
    if (p->scope_data && !json_object_is_type(parsed, json_type_object))
        return options_usage(command, "--scope-data is no JSON object");
    return CTL_OK;
}

/* --- where the answer comes from ---------------------------------------------------------------------- */

static int plan_listener(struct plan *p, const struct command *command, const struct arguments *arguments)
{
    const char *text = arguments->values[OPTION_PORT];
    unsigned port = 0;
    int r = text ? options_number(command, "port", text, PORT_MIN, PORT_MAX, &port) : CTL_OK;
    if (r != CTL_OK)
        return r;
    r = listener_new(port, &p->answers->listener);
    if (r == -EADDRINUSE) {
        (void)report(CTL_FAILED, "Port %u is taken by another program. Nothing was linked.", port);
        report_hint(
            "is another login waiting? End it, or give another --port that Amazon may send browsers to");
        return CTL_FAILED;
    }
    if (r < 0)
        return report(CTL_FAILED, "cannot listen on the loopback: %s", strerror(-r));
    p->redirect_uri = listener_redirect_uri(p->answers->listener);
    return CTL_OK;
}

static int plan_answers(struct plan *p, const struct command *command, const struct arguments *arguments)
{
    if (p->flow == LOGIN_BY_IMPORT)
        return token_input_read(TOKEN_INPUT_REFRESH, &p->token_fd);
    if (p->flow == LOGIN_BY_CODE)
        return CTL_OK;
    p->answers = calloc(1, sizeof(*p->answers));
    if (!p->answers)
        return report(CTL_FAILED, "out of memory");
    p->redirect_uri = arguments->values[OPTION_REDIRECT_URI];
    return p->flow == LOGIN_BY_BROWSER ? plan_listener(p, command, arguments) : CTL_OK;
}

/* Without the scopes and the account, which every hint of a login names. */
static void plan_hint(struct plan *p, const struct arguments *arguments)
{
    const char *port = arguments->values[OPTION_PORT];
    (void)snprintf(p->hint, sizeof(p->hint), "%s%s%s%s%s", flows[p->flow].login_hint, port ? "--port " : "",
                   port ? port : "", port ? " " : "", arguments->given[OPTION_DEVICE] ? "--device " : "");
}

static int make_plan(struct plan *p, const struct command *command, const struct arguments *arguments)
{
    int r = check_combination(command, arguments);
    for (size_t i = 1; i < ARRAY_SIZE(flows); i++)
        if (arguments->given[flows[i].option])
            p->flow = flows[i].flow;
    plan_hint(p, arguments);
    if (r == CTL_OK)
        r = options_scopes(command, arguments, &p->scopes);
    if (r == CTL_OK)
        r = plan_scope_data(p, command, arguments);
    return r == CTL_OK ? plan_answers(p, command, arguments) : r;
}

/* --- the login ---------------------------------------------------------------------------------------- */

/* The token stays in its memory file, and is only looked at. */
static int set_token(struct lwa_login *login, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    size_t n = (size_t)status.st_size;
    void *bytes = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    int r = lwa_login_set_token(login, bytes, n);
    (void)munmap(bytes, n);
    return r;
}

static int set_options(struct lwa_login *login, const struct plan *plan, const struct arguments *arguments)
{
    const struct {
        const char *name, *value;
    } texts[] = {
        {"account", arguments->values[OPTION_ACCOUNT]},
        {"label", arguments->values[OPTION_LABEL]},
        {"locale", arguments->values[OPTION_LOCALE]},
        {"owner", arguments->given[OPTION_DEVICE] ? "device" : NULL},
        {"scope_data", plan->scope_data},
        {"redirect_uri", plan->redirect_uri},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++)
        r = lwa_login_set_option(login, texts[i].name, texts[i].value);
    if (r == 0 && plan->token_fd >= 0)
        r = set_token(login, plan->token_fd);
    return r;
}

static int new_login(struct lwa_client *client, const struct plan *plan, const struct arguments *arguments,
                     struct lwa_login **ret)
{
    _cleanup_free_ char *scopes = NULL;
    int r = app_scopes(arguments, &plan->scopes, &scopes);
    if (r != CTL_OK)
        return r;
    r = lwa_login_new(client, flows[plan->flow].name, scopes, ret);
    if (r == 0)
        r = set_options(*ret, plan, arguments);
    return r < 0 ? report(CTL_FAILED, "cannot prepare the login: %s", strerror(-r)) : CTL_OK;
}

static void lwa_login_freep(struct lwa_login **login)
{
    (void)lwa_login_free(*login);
}

static int run(const struct command *command, const struct arguments *arguments)
{
    _cleanup_(plan_clear) struct plan plan = {.token_fd = -1};
    int r = make_plan(&plan, command, arguments);
    if (r != CTL_OK)
        return r;

    struct bus_context context = {&plan.scopes, arguments->values[OPTION_ACCOUNT], plan.hint};
    _cleanup_client_ struct lwa_client *client = NULL;
    _cleanup_(lwa_login_freep) struct lwa_login *lwa_login = NULL;
    _cleanup_(login_view_clear) struct login_view view = {
        .out = arguments->given[OPTION_JSON] ? stderr : stdout,
        .flow = plan.flow,
        .wants_qr = !arguments->given[OPTION_NO_QR],
    };
    r = app_open(arguments, &client);
    if (r == CTL_OK)
        r = new_login(client, &plan, arguments, &lwa_login);
    if (r != CTL_OK)
        return r;
    _cleanup_(login_deinit) struct login login = {
        .client = client,
        .login = lwa_login,
        .arguments = arguments,
        .context = &context,
        .view = &view,
        .answers = plan.answers,
        .wants_browser = plan.flow == LOGIN_BY_BROWSER && !arguments->given[OPTION_NO_OPEN],
        .wants_json = arguments->given[OPTION_JSON],
        .signal_fd = -1,
    };
    r = login_begin(&login);
    return r == CTL_OK ? login_follow(&login) : r;
}

static const struct option_spec options[] = {
    {OPTION_SCOPES, "scopes", "\"SCOPE...\"", "the scopes, in one argument (or as operands)"},
    {OPTION_VOLUNTARY, "voluntary", "\"SCOPE...\"", "scopes that the person may leave out on Amazon's page"},
    {OPTION_BROWSER, "browser", NULL, "log in with a browser on this computer"},
    {OPTION_PORT, "port", "N", "with --browser: wait on this port, 1024 to 65535"},
    {OPTION_NO_OPEN, "no-open", NULL, "with --browser: do not open it, only show the address"},
    {OPTION_REDIRECT_URI, "redirect-uri", "URI", "log in with any browser, and paste where it was sent to"},
    {OPTION_IMPORT, "import", NULL, "take a refresh token from standard input"},
    {OPTION_DEVICE, "device", NULL, "make it the device's account, shared by policy"},
    {OPTION_ACCOUNT, "account", "ID", "add to this account: the same customer has to log in"},
    {OPTION_LABEL, "label", "TEXT", "what a new account is called"},
    {OPTION_SCOPE_DATA, "scope-data", "JSON", "what some scopes want to know, such as alexa:all"},
    {OPTION_LOCALE, "locale", "LOCALE", "language of Amazon's page, such as de-DE"},
    {OPTION_NO_QR, "no-qr", NULL, "show no QR code"},
    {OPTION_JSON, "json", NULL, "print how it ended as JSON; all else goes to standard error"},
};

const struct command command_login = {
    .name = "login",
    .synopsis = "login SCOPE... [OPTION]...\n"
                "login --browser [--port N] [--no-open] SCOPE... [OPTION]...\n"
                "login --redirect-uri URI SCOPE... [OPTION]...\n"
                "login --import SCOPE... [OPTION]... <FILE",
    .summary = "Link this device to an Amazon account",
    .details = "Shows a code and an address; the person opens the address on any device, logs in to\n"
               "Amazon and types the code. Ctrl-C cancels.\n"
               "\n"
               "With --browser a browser on this computer logs in and comes back by itself, to\n"
               "http://127.0.0.1:PORT/lwa-callback. With --redirect-uri it may be any browser: paste\n"
               "the address that it was sent to, or the code in it. Amazon has to know the return\n"
               "address (Allowed Return URLs of the security profile). With --import a refresh token\n"
               "that exists already is taken; never give it as an argument.\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
