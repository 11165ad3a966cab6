/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl token: one bearer token, to standard output or into a file.
 *
 * The token is in the library's memory and in one buffer of this program, which are wiped on all paths; it
 * goes out by write(2), since stdio would keep a copy. It is never in argv. */

#include "client/lwactl/app.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/savefile.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/values.h"

#include <string.h>
#include <sys/resource.h>

#define OUTPUT_BYTES_MAX (32 * 1024)

/* What goes out; holds the token. */
struct output {
    size_t n;
    char bytes[OUTPUT_BYTES_MAX];
};

static void output_free(struct output *o)
{
    if (o)
        explicit_bzero(o, sizeof(*o));
    free(o);
}

DEFINE_CLEANUP(struct output, output_free);

/* 0 or -ENOBUFS. */
static int add(struct output *o, const char *text)
{
    size_t n = strlen(text);
    if (n > sizeof(o->bytes) - o->n)
        return -ENOBUFS;
    (void)memcpy(o->bytes + o->n, text, n);
    o->n += n;
    return 0;
}

static int add_token(struct output *o, const struct lwa_token *token)
{
    return add(o, lwa_token_get_bytes(token, NULL));
}

static int add_line(struct output *o, const char *line)
{
    int r = add(o, line);
    return r == 0 ? add(o, "\n") : r;
}

static int add_headers(struct output *o, const struct lwa_token *token)
{
    const char *key = lwa_token_get_api_key_header(token);
    int r = add_line(o, lwa_token_get_authorization_header(token));
    return r == 0 && key ? add_line(o, key) : r;
}

/* All that is known of the token, without it: json-c would keep a copy that is not wiped. */
static int describe(const struct lwa_token *token, struct json_object **ret)
{
    const char *key = lwa_token_get_api_key(token);
    _cleanup_json_ struct json_object *info = json_object_new_object();
    int r = info ? values_add(info, "token_id", json_object_new_string(lwa_token_get_id(token))) : -ENOMEM;
    if (r == 0)
        r = values_add(info, "token_type", json_object_new_string("Bearer"));
    if (r == 0)
        r = values_add(info, "scopes", values_from_words(lwa_token_get_scope(token)));
    if (r == 0)
        r = values_add(info, "expires_at", json_object_new_int64(lwa_token_get_expires_at(token)));
    if (r == 0)
        r = values_add(info, "expires_in", json_object_new_int64(lwa_token_get_expires_in(token)));
    if (r == 0)
        r = values_add(info, "account", json_object_new_string(lwa_token_get_account(token)));
    if (r == 0)
        r = values_add(info, "x_api_key", json_object_new_string(key ? key : ""));
    if (r == 0)
        r = values_add(info, "api_base", json_object_new_string(lwa_token_get_api_base(token)));
    if (r == 0)
        *ret = TAKE_PTR(info);
    return r;
}

/* The token is spliced into the text of the rest. */
static int add_json(struct output *o, const struct lwa_token *token)
{
    _cleanup_json_ struct json_object *info = NULL;
    _cleanup_free_ char *rest = NULL;
    size_t n = 0;
    if (strpbrk(lwa_token_get_bytes(token, NULL), "\"\\"))
        return -EBADMSG; /* no token of OAuth 2.0 has what JSON would have to escape */
    int r = describe(token, &info);
    FILE *memory = r == 0 ? open_memstream(&rest, &n) : NULL;
    if (!memory)
        return r < 0 ? r : -errno;
    r = values_print(info, false, memory);
    if (fclose(memory) != 0 || r < 0 || !rest) /* glibc says nothing when the text's last move fails */
        return r < 0 ? r : -ENOMEM;

    r = add(o, "{ \"token\": \"");
    if (r == 0)
        r = add_token(o, token);
    if (r == 0)
        r = add(o, "\",");
    return r == 0 ? add(o, rest + strspn(rest, "{")) : r;
}

static int build(const struct arguments *arguments, const struct lwa_token *token, struct output *o)
{
    if (arguments->given[OPTION_HEADER])
        return add_headers(o, token);
    if (arguments->given[OPTION_JSON])
        return add_json(o, token);
    int r = add_token(o, token);
    return r == 0 ? add(o, "\n") : r;
}

static int write_out(const struct arguments *arguments, const struct output *o)
{
    const char *path = arguments->values[OPTION_OUTPUT];
    if (!path) {
        int r = savefile_write_all(STDOUT_FILENO, o->bytes, o->n);
        return r < 0 ? terminal_write_failed(-r) : CTL_OK;
    }
    int r = savefile_replace(path, o->bytes, o->n);
    if (r == SAVEFILE_E_OTHER)
        return report(CTL_FAILED, "%s is there and is no regular file: it is left alone", path);
    return r < 0 ? report(CTL_FAILED, "cannot write %s: %s", path, strerror(-r)) : CTL_OK;
}

static int report_bad_token(void)
{
    return report(CTL_FAILED, "The broker's token is empty, too long, or holds what no token may hold.");
}

static int deliver(const struct arguments *arguments, const struct lwa_token *token)
{
    _cleanup_(output_freep) struct output *output = calloc(1, sizeof(*output));
    int r = output ? build(arguments, token, output) : -ENOMEM;
    if (r == -EBADMSG || r == -ENOBUFS)
        return report_bad_token();
    if (r < 0)
        return report(CTL_FAILED, "cannot print the token: %s", strerror(-r));
    return write_out(arguments, output);
}

static void lwa_token_unrefp(struct lwa_token **token)
{
    (void)lwa_token_unref(*token);
}

static int ask(const struct arguments *arguments, const struct strv *scopes, unsigned min_valid)
{
    const char *account = arguments->values[OPTION_ACCOUNT];
    struct bus_context context = {.scopes = scopes, .account = account, .is_app = true};
    _cleanup_free_ char *joined = NULL;
    _cleanup_client_ struct lwa_client *client = NULL;
    _cleanup_(lwa_token_unrefp) struct lwa_token *token = NULL;

    int r = app_scopes(arguments, scopes, &joined);
    if (r == CTL_OK)
        r = app_open(arguments, &client);
    if (r != CTL_OK)
        return r;
    if (lwa_client_get_token(client, joined, account, min_valid, &token) < 0)
        return app_report(lwa_client_get_error(client), arguments, &context);
    return deliver(arguments, token);
}

static int run(const struct command *command, const struct arguments *arguments)
{
    const char *seconds = arguments->values[OPTION_MIN_VALID];
    unsigned min_valid = 0;
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;

    if (arguments->given[OPTION_HEADER] && arguments->given[OPTION_JSON])
        return options_usage(command, "--header and --json exclude each other");
    int r = seconds ? options_number(command, "min-valid", seconds, 1, 86400, &min_valid) : CTL_OK;
    if (r == CTL_OK)
        r = options_scopes(command, arguments, &scopes);
    if (r != CTL_OK)
        return r;

    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* no dump that holds the token */
    return ask(arguments, &scopes, min_valid);
}

static const struct option_spec options[] = {
    {OPTION_ACCOUNT, "account", "ID", "the account to use (default: the caller's default)"},
    {OPTION_MIN_VALID, "min-valid", "SECONDS", "the token must be valid for at least this long"},
    {OPTION_HEADER, "header", NULL, "print header lines, fit for `curl -H @-`"},
    {OPTION_JSON, "json", NULL, "print one JSON object with the token and all about it"},
    {OPTION_OUTPUT, "output", "FILE", "write to FILE instead: mode 0600, all or nothing"},
};

const struct command command_token = {
    .name = "token",
    .synopsis = "token SCOPE... [--account ID] [--min-valid SECONDS]\n"
                "      [--header | --json] [--output FILE]",
    .summary = "Print a bearer token that carries the scopes",
    .details = "  lwactl token --header music::library:read |\n"
               "      curl -H @- https://api.music.amazon.dev/v1/me/playlists\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
