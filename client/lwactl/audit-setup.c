/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit setup: a new verification secret, shown once or written to a file.
 *
 * The secret is in one buffer of this program, which is wiped on all paths; it goes out by write(2), since
 * stdio would keep a copy. It is made only when there is somewhere to put it: a file is tried before, and one
 * that is there is never overwritten, since a secret of before proves what was before. */

#include "client/lwactl/audit-query.h"
#include "client/lwactl/audit.h"
#include "client/lwactl/confirm.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/savefile.h"
#include "client/lwactl/text.h"
#include "client/lwactl/values.h"
#include "dbus/names.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define SECRET_BYTES_MAX 256
#define SETUPS_MAX 100

struct secret_line {
    size_t n;
    char bytes[SECRET_BYTES_MAX];
};

static void wipe(struct secret_line *line)
{
    explicit_bzero(line, sizeof(*line));
}

/* --- the one before ----------------------------------------------------------------------------------- */

/* When the newest setup was: 0 for never, -1 where that cannot be found out. */
static int64_t find_setup(struct bus *bus)
{
    static const struct audit_filter keys = {.event = "trail-key-created"};
    static const struct audit_page newest = {.is_newest = true, .limit = SETUPS_MAX};
    _cleanup_json_ struct json_object *records = audit_query_try(bus, &keys, &newest, VALUES_SAFE);
    int64_t found = records ? 0 : -1;
    for (size_t i = 0; i < values_count(records); i++) {
        struct json_object *record = values_item(records, i);
        if (strncmp(values_text(record, "detail"), "setup ", 6) == 0)
            found = values_number(record, "time");
    }
    return found;
}

static int ask(struct bus *bus)
{
    char question[320], when[TEXT_TIME_SIZE];
    int64_t before = find_setup(bus);
    if (before == 0)
        return CTL_OK;
    if (before > 0)
        (void)snprintf(
            question, sizeof(question),
            "There was a setup on %s. A new secret proves only what is recorded from now on: keep the "
            "old one for what is before. Make a new one?",
            text_time(before, when));
    else
        (void)snprintf(question, sizeof(question),
                       "It cannot be seen whether there was a setup before. A new secret proves only what is "
                       "recorded from now on: keep an old one for what is before. Make a new one?");
    return confirm(question, "make a new verification secret", "Nothing was made.");
}

/* --- somewhere to put it ------------------------------------------------------------------------------ */

/* An empty file, so that what is made can be written; removed again by forget_place(). */
static int find_place(const char *path)
{
    struct stat st;
    if (!path && !isatty(STDOUT_FILENO)) {
        (void)report(CTL_USAGE, "not at a terminal, so the secret would be shown to nobody knows whom");
        report_hint("give --output FILE");
        return CTL_USAGE;
    }
    if (!path)
        return CTL_OK;
    if (lstat(path, &st) == 0) {
        (void)report(CTL_USAGE,
                     "%s is there: a secret overwrites nothing, since an older one is needed for what "
                     "was recorded before",
                     path);
        return CTL_USAGE;
    }
    int r = savefile_replace(path, "", 0);
    return r != 0 ? report(CTL_FAILED, "cannot write %s: %s", path, strerror(r < 0 ? -r : EEXIST)) : CTL_OK;
}

static void forget_place(const char *path)
{
    if (path)
        (void)unlink(path);
}

/* --- the secret --------------------------------------------------------------------------------------- */

static int make(struct bus *bus, DBusMessage **ret_reply)
{
    _cleanup_message_ DBusMessage *call = NULL;
    struct writer w;
    int r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_AUDIT, "Setup", &call);
    if (r != CTL_OK)
        return r;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_close(&w);
    r = bus_end_arguments(&w);
    return r == CTL_OK ? bus_call(bus, call, "ha{sv}", NULL, ret_reply) : r;
}

static bool is_plain(const struct secret_line *line)
{
    for (size_t i = 0; i < line->n; i++)
        if (line->bytes[i] < 0x21 || line->bytes[i] > 0x7e)
            return false;
    return line->n > 0;
}

/* With the newline that ends it. pread(), since the offset of the descriptor may be anywhere. */
static int read_secret(DBusMessage *reply, struct secret_line *ret)
{
    _cleanup_close_ int fd = -1;
    if (!dbus_message_get_args(reply, NULL, DBUS_TYPE_UNIX_FD, &fd, DBUS_TYPE_INVALID))
        return report(CTL_FAILED, "cannot take the secret: out of memory or descriptors; do it again");
    ssize_t n = pread(fd, ret->bytes, sizeof(ret->bytes) - 1, 0);
    ret->n = n > 0 ? (size_t)n : 0;
    if (ret->n == sizeof(ret->bytes) - 1 || !is_plain(ret))
        return report(CTL_FAILED, "The broker's secret is empty, too long, or no text; do it again");
    ret->bytes[ret->n++] = '\n';
    return CTL_OK;
}

static void print_where(struct json_object *info, const char *path)
{
    struct terminal t = terminal_get();
    _cleanup_free_ char *safe = path ? text_safe(path) : NULL, *line = NULL;
    if (asprintf(&line,
                 "It proves what is recorded from epoch %" PRId64
                 " on. Its id, which the trail has too, is %s.",
                 values_number(info, "epoch"), values_text(info, "key_id")) < 0)
        line = NULL;
    if (path)
        (void)printf("The verification secret is in %s.\n", safe ? safe : "the file");
    paragraph_print(&t, "", line ? line : "out of memory", stdout);
    paragraph_print(
        &t, "",
        "Keep it where whoever takes over this machine cannot reach it: on paper, in a safe, in a "
        "password store elsewhere. It is not kept here and cannot be shown again. Nobody needs it until "
        "the trail is verified: `lwactl audit verify --secret -` asks for it.",
        stdout);
    if (path)
        paragraph_print(&t, "",
                        "As long as the file is on this machine, the secret proves nothing to those who fear "
                        "that it was taken over: move the file away.",
                        stdout);
}

static int show(const struct secret_line *line)
{
    (void)printf("Verification secret of the audit trail, shown this once:\n\n");
    int r = terminal_flush();
    if (r != CTL_OK)
        return r;
    r = savefile_write_all(STDOUT_FILENO, line->bytes, line->n);
    if (r < 0)
        return terminal_write_failed(-r);
    (void)putchar('\n');
    return CTL_OK;
}

static int deliver(DBusMessage *reply, const char *path)
{
    _cleanup_(wipe) struct secret_line line = {.n = 0};
    _cleanup_json_ struct json_object *info = NULL;
    int r = read_secret(reply, &line);
    if (r != CTL_OK)
        return r;
    if (values_from_message(reply, 1, VALUES_SAFE, &info) < 0)
        return report(CTL_FAILED, "out of memory; do it again");
    if (path) {
        r = savefile_replace(path, line.bytes, line.n);
        if (r != 0)
            return report(CTL_FAILED, "cannot write %s, so the secret is lost; do it again: %s", path,
                          strerror(r < 0 ? -r : EEXIST));
    } else {
        r = show(&line);
    }
    if (r == CTL_OK)
        print_where(info, path);
    return r;
}

/* ------------------------------------------------------------------------------------------------------ */

int audit_setup(_unused_ const struct command *command, const struct arguments *arguments)
{
    const char *path = arguments->values[OPTION_OUTPUT];
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *reply = NULL;
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* no dump that holds the secret */
    int r = bus_open(arguments, &bus);
    if (r == CTL_OK && !arguments->given[OPTION_YES])
        r = ask(&bus);
    if (r == CTL_OK)
        r = find_place(path);
    if (r != CTL_OK)
        return r;
    r = make(&bus, &reply);
    if (r == CTL_OK)
        r = deliver(reply, path);
    if (r != CTL_OK)
        forget_place(path);
    return r;
}
