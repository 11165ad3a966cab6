/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit verify: what is proven of the trail, what cannot be known and why, and what was found. */

#include "client/lwactl/audit.h"
#include "client/lwactl/bus.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/paragraph.h"
#include "client/lwactl/token-input.h"
#include "client/lwactl/values.h"
#include "dbus/names.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define LEAD "  - "

/* A paragraph of a list. */
_printf_(2, 3) static void say(const struct terminal *t, const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    paragraph_print(t, LEAD, text ? text : "out of memory", stdout);
}

static bool fits(struct json_object *result)
{
    return strcmp(values_text(result, "secret"), "fits") == 0;
}

static bool is_damaged(struct json_object *result)
{
    return strcmp(values_text(result, "verdict"), "intact") != 0;
}

/* --- what was found ----------------------------------------------------------------------------------- */

/* What a kind of finding means to whoever reads it. */
static const char *const meanings[][2] = {
    {"altered", "a record was changed, or one was put in its place, after it was written"},
    {"seal", "whoever wrote this record had not the key of its time: it was written or changed later"},
    {"gap", "records were taken out here"},
    {"order", "records were swapped, or put in twice"},
    {"epoch", "a whole stretch of the trail was taken out or put in, or its end was cut off"},
    {"truncated", "the newest records were taken off, or an older copy of the database was put back"},
    {"repeats", "how often a token was handed out again was changed"},
    {"base", "what retention says that it removed was changed: older records may be missing, too"},
    {"unsealed", "a record was put in by something that is not the broker"},
    {"key-lost",
     "the key file was lost or replaced. Nothing from here on can be proven with a secret of before: "
     "make a new one with `lwactl audit setup`"},
    {"reported", "the broker found damage when it started, and wrote down which"},
    {"head", "records up to this one were changed, taken off or put back since the head was kept"},
    {"secret",
     "look for the secret of this machine and this time; if this is it, then somebody made the trail "
     "anew, and nothing of it can be believed"},
    {"database", "what the other commands show may lack records, though they are all there"},
    {"clock", "the clock was set back, or ran wrong: times near this record may mislead, its place does not"},
    {"partial", "what is before it was not looked at"},
    {"pruned", "the oldest records were removed as the configuration says (keep_days, max_megabytes)"},
};

static const char *meaning_of(const char *kind)
{
    for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
        if (strcmp(meanings[i][0], kind) == 0)
            return meanings[i][1];
    return "";
}

static void print_finding(const struct terminal *t, struct json_object *finding)
{
    const char *kind = values_text(finding, "kind"), *meaning = meaning_of(kind);
    int64_t sequence = values_number(finding, "sequence");
    char at[40] = "";
    if (sequence > 0)
        (void)snprintf(at, sizeof(at), "record %" PRId64 ", ", sequence);
    say(t, "%s%s: %s.%s%s%s", at, kind, values_text(finding, "text"), *meaning ? " It means: " : "", meaning,
        *meaning ? "." : "");
}

static void print_findings(const struct terminal *t, struct json_object *result, bool damage,
                           const char *heading)
{
    struct json_object *findings = values_list(result, "findings");
    bool has_any = false;
    for (size_t i = 0; i < values_count(findings); i++) {
        struct json_object *finding = values_item(findings, i);
        if (values_flag(finding, "damage") != damage)
            continue;
        if (!has_any)
            (void)printf("\n%s\n", heading);
        has_any = true;
        print_finding(t, finding);
    }
}

static void print_damage(const struct terminal *t, struct json_object *result)
{
    int64_t n = values_number(result, "damage");
    size_t n_told = 0;
    struct json_object *findings = values_list(result, "findings");
    for (size_t i = 0; i < values_count(findings); i++)
        n_told += values_flag(values_item(findings, i), "damage");
    print_findings(t, result, true, "Damage:");
    if (n > (int64_t)n_told)
        say(t, "and %" PRId64 " more.", n - (int64_t)n_told);
    print_findings(t, result, false, "Worth knowing:");
}

/* --- what is proven ----------------------------------------------------------------------------------- */

static void print_proof_of_secret(const struct terminal *t, struct json_object *result)
{
    int64_t first = values_number(result, "first_proven_epoch"), last = values_number(result, "last_epoch");
    say(t,
        "The secret fits. With it %" PRId64 " records were checked, those of epochs %" PRId64 " to %" PRId64
        ": of epochs that are over, no one who took over this machine since can have changed, added, "
        "taken out or reordered a record unseen.",
        values_number(result, "proven"), first, values_number(result, "last_proven_epoch"));
    if (values_number(result, "last_proven_epoch") < last)
        say(t, "Epochs from %" PRId64 " on are of another chain of keys: only a later secret proves them.",
            values_number(result, "last_proven_epoch") + 1);
}

static void print_proof(const struct terminal *t, struct json_object *result)
{
    int64_t n = values_number(result, "records"), unchained = values_number(result, "unchained");
    bool damaged = is_damaged(result);
    (void)printf("\nWhat is proven%s:\n", damaged ? ", but for what is above" : "");
    if (n > unchained)
        say(t, "Each of %" PRId64 " records, %" PRId64 " to %" PRId64 ", fits the one before it%s.",
            n - unchained, values_number(result, "first"), values_number(result, "last"),
            damaged ? " where nothing is told" : "");
    else
        say(t, "Nothing: there is no chained record.");
    if (fits(result))
        print_proof_of_secret(t, result);
    else if (values_number(result, "proven") > 0)
        say(t,
            "Records of the present epoch (%" PRId64
            ") with the seal of the key that this machine has now: %" PRId64 ".",
            values_number(result, "last_epoch"), values_number(result, "proven"));
}

static void print_limits(const struct terminal *t, struct json_object *result)
{
    int64_t unchained = values_number(result, "unchained"),
            first = values_number(result, "first_proven_epoch");
    (void)printf("\nWhat cannot be known:\n");
    if (!fits(result))
        say(t, "Without the verification secret of a setup: whether somebody who had this machine wrote the "
               "trail of before the present epoch anew, as a whole, with hashes that fit. Give it with "
               "`--secret FILE`. If there was no setup, `lwactl audit setup` makes a secret that proves what "
               "is recorded from then on.");
    else if (first > 1)
        say(t, "Of records of before epoch %" PRId64 ": only an older secret proves those.", first);
    say(t,
        "Of the present epoch (%" PRId64 "): who has taken over this machine now has its key, and can still "
        "change it.",
        values_number(result, "last_epoch"));
    if (unchained > 0)
        say(t, "Of the %" PRId64 " oldest records: they were made before the trail was chained.", unchained);
    say(t, "Whether this answer is true, where the machine cannot be trusted: it is the broker on it that "
           "verifies. Then take an export to another machine, and use `lwa-audit-verify` there.");
}

/* Who reads this for the first time has an incident. */
static void print_advice(const struct terminal *t, struct json_object *result)
{
    if (!is_damaged(result))
        return;
    (void)printf("\nWhat to do:\n");
    say(t,
        "Keep what is there before anything else changes it: `lwactl audit export >trail.json`, and a copy "
        "of the state folder (/var/lib/lwa-broker), both taken to another machine.");
    say(t, "Compare the records that are named above, and their neighbours, with the copies that went "
           "elsewhere: "
           "the journal or syslog (`journalctl SYSLOG_IDENTIFIER=lwa-brokerd`), a collector's, an older "
           "export.");
    if (!fits(result))
        say(t, "Fetch the verification secret, if there was a setup: `lwa-audit-verify --secret FILE "
               "trail.json` "
               "on the other machine tells which epochs are proven all the same.");
    say(t,
        "Who altered the trail could read the database: if it was nobody's mistake, end the logins at Amazon "
        "(https://amazon.com/ap/adam) and log in anew on a machine that can be trusted.");
}

static void print_head(struct json_object *result)
{
    const char *head = values_text(result, "head");
    if (!*head || is_damaged(result))
        return;
    (void)printf(
        "\nHead, to keep elsewhere: `lwactl audit verify --head` with it shows whether all up to here is "
        "still there.\n%s\n",
        head);
}

static void show(struct json_object *result)
{
    struct terminal t = terminal_get();
    bool damaged = is_damaged(result);
    int64_t n = values_number(result, "damage");
    (void)printf("%sThe audit trail is %s.%s\n", terminal_colour(&t, damaged ? COLOUR_RED : COLOUR_GREEN),
                 !damaged ? fits(result) ? "intact" : "intact as far as can be known without a secret"
                 : n == 1 ? "DAMAGED, in 1 place"
                          : "DAMAGED",
                 terminal_colour(&t, COLOUR_PLAIN));
    print_damage(&t, result);
    print_proof(&t, result);
    print_limits(&t, result);
    print_advice(&t, result);
    print_head(result);
}

/* --- the call ----------------------------------------------------------------------------------------- */

static void write_secret(struct writer *w, int fd)
{
    writer_open(w, DBUS_TYPE_DICT_ENTRY, NULL);
    writer_string(w, "secret");
    writer_open(w, DBUS_TYPE_VARIANT, "h");
    writer_fd(w, fd);
    writer_close(w);
    writer_close(w);
}

/* A program hands on the line of a cursor file as it is, with its end. */
static int copy_head(const char *text, char **ret)
{
    *ret = text ? strndup(text, strcspn(text, "\r\n")) : NULL;
    return text && !*ret ? report(CTL_FAILED, "out of memory") : CTL_OK;
}

static int new_call(const struct arguments *arguments, int secret, DBusMessage **ret)
{
    _cleanup_message_ DBusMessage *call = NULL;
    _cleanup_free_ char *head = NULL;
    struct writer w;
    int r = bus_new_call(LWA_OBJECT_PATH, LWA_INTERFACE_AUDIT, "Verify", &call);
    if (r == CTL_OK)
        r = copy_head(arguments->values[OPTION_HEAD], &head);
    if (r != CTL_OK)
        return r;
    writer_begin(&w, call);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    if (head)
        writer_entry_string(&w, "head", head);
    if (secret >= 0)
        write_secret(&w, secret);
    writer_close(&w);
    r = bus_end_arguments(&w);
    if (r == CTL_OK)
        *ret = TAKE_PTR(call);
    return r;
}

static int verify(const struct arguments *arguments, DBusMessage **ret_reply)
{
    _cleanup_close_ int secret = -1;
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_message_ DBusMessage *call = NULL;
    int r = CTL_OK;
    if (arguments->given[OPTION_SECRET])
        r = token_input_read_file(TOKEN_INPUT_SECRET, arguments->values[OPTION_SECRET], &secret);
    if (r == CTL_OK)
        r = bus_open(arguments, &bus);
    if (r == CTL_OK)
        r = new_call(arguments, secret, &call);
    return r == CTL_OK ? bus_call(&bus, call, "a{sv}", NULL, ret_reply) : r;
}

int audit_verify(_unused_ const struct command *command, const struct arguments *arguments)
{
    bool as_json = arguments->given[OPTION_JSON];
    _cleanup_message_ DBusMessage *reply = NULL;
    _cleanup_json_ struct json_object *result = NULL;
    int r = verify(arguments, &reply);
    if (r != CTL_OK)
        return r;
    r = values_from_message(reply, 0, as_json ? VALUES_EXACT : VALUES_SAFE, &result);
    if (r == 0 && as_json)
        r = values_print(result, false, stdout);
    else if (r == 0)
        show(result);
    if (r < 0)
        return report(CTL_FAILED, "out of memory");
    return is_damaged(result) ? CTL_FAILED : CTL_OK;
}
