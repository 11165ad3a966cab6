/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl token: one bearer token, to standard output or into a file.
 *
 * The token is in one buffer of this program, which is wiped on all paths; it goes out by write(2), since
 * stdio would keep a copy. It is never in argv, and it is checked to be printable ASCII before it is put
 * into a header line. */

#include "client/lwactl/bus.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/savefile.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/values.h"
#include "dbus/names.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#define TOKEN_BYTES_MAX 4096
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

/* Fit for the value of a header, and free of what JSON would have to escape. */
static bool is_header_value(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] < 0x21 || bytes[i] > 0x7e || bytes[i] == '"' || bytes[i] == '\\')
            return false;
    return n > 0;
}

/* Reads the token right into the output. pread(), since the offset of the descriptor may be anywhere. */
static int add_token(struct output *o, int fd)
{
    size_t n = 0;
    if (sizeof(o->bytes) - o->n <= TOKEN_BYTES_MAX)
        return -ENOBUFS;
    while (n <= TOKEN_BYTES_MAX) {
        ssize_t r = pread(fd, o->bytes + o->n + n, TOKEN_BYTES_MAX + 1 - n, (off_t)n);
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r == 0)
            break;
        if (r > 0)
            n += (size_t)r;
    }
    if (n > TOKEN_BYTES_MAX || !is_header_value(o->bytes + o->n, n))
        return -EBADMSG;
    o->n += n;
    return 0;
}

static int add_headers(struct output *o, int fd, struct json_object *info)
{
    const char *key = values_text(info, "x_api_key");
    int r = add(o, "Authorization: Bearer ");
    if (r == 0)
        r = add_token(o, fd);
    if (r == 0)
        r = add(o, "\n");
    if (r < 0 || !*key)
        return r;
    if (!is_header_value(key, strlen(key)))
        return -EBADMSG;
    r = add(o, "x-api-key: ");
    if (r == 0)
        r = add(o, key);
    return r == 0 ? add(o, "\n") : r;
}

/* The token is spliced into the text of the rest: json-c would keep a copy that is not wiped. */
static int add_json(struct output *o, int fd, struct json_object *info)
{
    _cleanup_free_ char *rest = NULL;
    size_t n = 0;
    json_object_object_del(info, "token");
    FILE *memory = open_memstream(&rest, &n);
    if (!memory)
        return -errno;
    int r = values_print(info, false, memory);
    if (fclose(memory) != 0 || r < 0 || !rest) /* glibc says nothing when the text's last move fails */
        return r < 0 ? r : -ENOMEM;

    bool has_more = json_object_object_length(info) > 0;
    r = add(o, "{ \"token\": \"");
    if (r == 0)
        r = add_token(o, fd);
    if (r == 0)
        r = add(o, has_more ? "\"," : "\" }\n");
    return r == 0 && has_more ? add(o, rest + strspn(rest, "{")) : r;
}

static int build(const struct arguments *arguments, int fd, struct json_object *info, struct output *o)
{
    if (arguments->given[OPTION_HEADER])
        return add_headers(o, fd, info);
    if (arguments->given[OPTION_JSON])
        return add_json(o, fd, info);
    int r = add_token(o, fd);
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

static int deliver(const struct arguments *arguments, DBusMessage *reply)
{
    _cleanup_close_ int fd = -1;
    if (!dbus_message_get_args(reply, NULL, DBUS_TYPE_UNIX_FD, &fd, DBUS_TYPE_INVALID))
        return report(CTL_FAILED, "cannot take the descriptor of the token: out of memory or descriptors");

    _cleanup_json_ struct json_object *info = NULL;
    _cleanup_(output_freep) struct output *output = calloc(1, sizeof(*output));
    int r = output ? values_from_message(reply, 1, VALUES_EXACT, &info) : -ENOMEM;
    if (r == 0)
        r = build(arguments, fd, info, output);
    if (r == -EBADMSG || r == -ENOBUFS)
        return report(CTL_FAILED, "The broker's token is empty, too long, or holds what no token may hold.");
    if (r < 0)
        return report(CTL_FAILED, "cannot read the token: %s", strerror(-r));
    return write_out(arguments, output);
}

static int new_call(const struct arguments *arguments, const struct strv *scopes, bool has_min_valid,
                    unsigned min_valid, DBusMessage **ret)
{
    _cleanup_message_ DBusMessage *call = NULL;
    int r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "GetToken", &call);
    if (r != CTL_OK)
        return r;

    struct writer w;
    writer_begin(&w, call);
    writer_strv(&w, scopes);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    if (arguments->given[OPTION_ACCOUNT])
        writer_entry_string(&w, "account", arguments->values[OPTION_ACCOUNT]);
    if (has_min_valid)
        writer_entry_uint32(&w, "min_valid", min_valid);
    writer_close(&w);
    r = bus_end_arguments(&w);
    if (r == CTL_OK)
        *ret = TAKE_PTR(call);
    return r;
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
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *call = NULL, *reply = NULL;
    struct bus_context context = {
        .scopes = &scopes, .account = arguments->values[OPTION_ACCOUNT], .is_app = true};
    r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = new_call(arguments, &scopes, seconds != NULL, min_valid, &call);
    if (r == CTL_OK)
        r = bus_call(&bus, call, "ha{sv}", &context, &reply);
    return r == CTL_OK ? deliver(arguments, reply) : r;
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
