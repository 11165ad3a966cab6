/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/error.h"

#include "dbus/errors.h"
#include "dbus/names.h"
#include "util/utf8.h"

#include <dbus/dbus.h>
#include <limits.h>
#include <string.h>

#define OWN_PREFIX "org.lwabroker.Client.Error."

struct kind {
    int code;
    const char *name; /* NULL: it is in the contract's table */
    const char *message;
    const char *hint;
};

static const struct kind own_kinds[OWN_ERROR_COUNT] = {
    [OWN_NO_BUS] = {-ENOTCONN, OWN_PREFIX "NoBus", "The system bus cannot be reached.",
                    "Check that dbus-daemon runs, and DBUS_SYSTEM_BUS_ADDRESS if it is set."},
    [OWN_NO_BROKER] = {-EHOSTUNREACH, OWN_PREFIX "NoBroker",
                       "The broker is not running, and the bus could not start it.",
                       "`lwactl doctor`, as root, tells why."},
    [OWN_NO_REPLY] = {-ETIMEDOUT, OWN_PREFIX "NoReply", "The broker did not answer in time.",
                      "Try again; if that does not help, look at the broker's log."},
    [OWN_BAD_ANSWER] = {-EBADMSG, OWN_PREFIX "BadAnswer",
                        "The broker answered in a way that this library does not know.",
                        "Compare the version of liblwa-client with the broker's in `lwactl status`."},
    [OWN_FORKED] = {-ECHILD, OWN_PREFIX "Forked", "This handle was made before fork(), by another process.",
                    "Free it, and make a new one in this process."},
    [OWN_NO_MEMORY] = {-ENOMEM, OWN_PREFIX "NoMemory", "Out of memory.", ""},
    [OWN_BAD_ARGUMENT] = {-EINVAL, OWN_PREFIX "BadArgument", "An argument is not valid.", ""},
    [OWN_TOKEN_REJECTED] = {-EKEYEXPIRED, OWN_PREFIX "TokenRejected",
                            "The API rejected two tokens, one after the other.",
                            "Check the x-api-key that is sent along, and `lwactl status`."},
};

static const struct kind broker_kinds[BUS_ERROR_COUNT] = {
    [BUS_E_ACCESS_DENIED] = {-EACCES, NULL, "The policy does not allow this.",
                             "An administrator decides in /etc/lwa-broker/grants.d and in polkit's rules."},
    [BUS_E_CONSENT_REQUIRED] =
        {-EPERM, NULL, "Someone has to consent to this first.",
         "Ask interactively while a polkit agent runs, or let an administrator allow it in "
         "/etc/lwa-broker/grants.d."},
    [BUS_E_LOGIN_REQUIRED] = {-ENOKEY, NULL, "No login carries these scopes.",
                              "Log in with `lwactl login` and the scopes."},
    [BUS_E_NARROWER_LOGIN_REQUIRED] =
        {-EKEYREJECTED, NULL,
         "The logins that carry these scopes also carry others, which the caller may not have.",
         "Log in with `lwactl login` and just these scopes."},
    [BUS_E_INVALID_SCOPE] = {-EINVAL, NULL, "One of the scopes is not known here.",
                             "Check the spelling; an administrator can add scopes to the catalogue."},
    [BUS_E_INVALID_ARGUMENT] = {-EINVAL, NULL, "The broker refuses one of the arguments.", ""},
    [BUS_E_NO_SUCH_ACCOUNT] = {-ENOENT, NULL, "There is no such account.",
                               "`lwactl accounts` lists those that there are."},
    [BUS_E_PROVIDER_UNAVAILABLE] = {-EAGAIN, NULL, "Login with Amazon cannot be reached or is not well.",
                                    "Nothing is lost: try again later."},
    [BUS_E_PROVIDER_MISCONFIGURED] =
        {-EPROTO, NULL, "Amazon does not accept the broker's configuration.",
         "An administrator should check [provider] in /etc/lwa-broker/broker.conf."},
    [BUS_E_RATE_LIMITED] = {-EBUSY, NULL, "Too many calls.", "Wait a little, then try again."},
    [BUS_E_AUDIT_UNAVAILABLE] =
        {-EIO, NULL, "The audit trail cannot be written, so nothing is handed out.",
         "An administrator should look at the space on the disk of /var/lib/lwa-broker."},
    [BUS_E_STORE_UNAVAILABLE] = {-EIO, NULL, "The broker's store cannot be used.",
                                 "An administrator should look at the broker's log and at `lwactl status`."},
    [BUS_E_CANCELLED] = {-ECANCELED, NULL, "It was cancelled.", ""},
    [BUS_E_NOT_SUPPORTED] = {-EOPNOTSUPP, NULL, "The broker does not support this.",
                             "Compare the version of liblwa-client with the broker's in `lwactl status`."},
};

/* Errors of the bus that mean one of the library's own. */
static const struct {
    const char *name;
    enum own_error own;
} bus_own[] = {
    {DBUS_ERROR_SERVICE_UNKNOWN, OWN_NO_BROKER},
    {DBUS_ERROR_NAME_HAS_NO_OWNER, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_EXEC_FAILED, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_FAILED, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_FORK_FAILED, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_CHILD_EXITED, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_CHILD_SIGNALED, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_SETUP_FAILED, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_CONFIG_INVALID, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_SERVICE_INVALID, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_SERVICE_NOT_FOUND, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_PERMISSIONS_INVALID, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_FILE_INVALID, OWN_NO_BROKER},
    {DBUS_ERROR_SPAWN_NO_MEMORY, OWN_NO_BROKER},
    {DBUS_ERROR_NO_REPLY, OWN_NO_REPLY},
    {DBUS_ERROR_TIMEOUT, OWN_NO_REPLY},
    {DBUS_ERROR_TIMED_OUT, OWN_NO_REPLY},
    {DBUS_ERROR_DISCONNECTED, OWN_NO_BUS},
    {DBUS_ERROR_NO_SERVER, OWN_NO_BUS},
    {DBUS_ERROR_NO_MEMORY, OWN_NO_MEMORY},
};

/* Errors of the bus that keep their names. */
static const struct kind bus_kinds[] = {
    {-EACCES, DBUS_ERROR_ACCESS_DENIED, "The bus does not let this program speak to the broker.",
     "Inside of a sandbox it needs --system-talk-name=" LWA_BUS_NAME "."},
    {-EBUSY, DBUS_ERROR_LIMITS_EXCEEDED, "The bus has too much to do for this program.",
     "Wait for answers before asking again."},
    {-EOPNOTSUPP, DBUS_ERROR_UNKNOWN_METHOD, "The broker does not know this call.",
     "Compare the version of liblwa-client with the broker's in `lwactl status`."},
    {-EOPNOTSUPP, DBUS_ERROR_UNKNOWN_INTERFACE, "The broker does not know this call.",
     "Compare the version of liblwa-client with the broker's in `lwactl status`."},
    {-EOPNOTSUPP, DBUS_ERROR_UNKNOWN_OBJECT, "The broker knows nothing of this any more.", "Start over."},
};

/* --- what others have written -------------------------------------------------------------------------- */

/* What a terminal would obey or not show: control characters (ASCII's, U+0080 to U+009F), and of U+2000 to
 * U+206F what turns the direction of text, ends lines or has no width. */
static bool is_control(const unsigned char *p)
{
    if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] < 0xA0))
        return true;
    if (*p != 0xE2)
        return false;
    return (p[1] == 0x80 && ((p[2] >= 0x8B && p[2] <= 0x8F) || (p[2] >= 0xA8 && p[2] <= 0xAE))) ||
           (p[1] == 0x81 && p[2] >= 0xA0 && p[2] <= 0xAF);
}

/* Such characters do not stay in it. */
static void copy_text(char *ret, size_t size, const char *s)
{
    size_t n = utf8_cut(s, strlen(s), size - 1);
    memcpy(ret, s, n);
    ret[n] = '\0';
    utf8_scrub(ret);
    for (unsigned char *p = (unsigned char *)ret; *p; p++)
        if (is_control(p))
            memset(p, '?', *p < 0x80 ? 1 : *p == 0xC2 ? 2 : 3);
}

/* The broker ends such sentences in "try again in 5 s." or "the next try is due in 5 s.". */
static unsigned find_retry_after(const char *message)
{
    size_t n = strlen(message);
    if (n < 3 || strcmp(message + n - 3, " s.") != 0)
        return 0;
    const char *end = message + n - 3;
    const char *digits = end;
    while (digits > message && digits[-1] >= '0' && digits[-1] <= '9')
        digits--;
    if (digits == end || digits - message < 4 || memcmp(digits - 4, " in ", 4) != 0)
        return 0;
    unsigned long sec = strtoul(digits, NULL, 10); /* ULONG_MAX when it is more */
    return sec < INT_MAX ? (unsigned)sec : INT_MAX;
}

static int set(struct lwa_error *error, const struct kind *kind, const char *name, const char *message)
{
    *error = (struct lwa_error){.code = kind->code, .hint = kind->hint};
    copy_text(error->name, sizeof(error->name), name);
    copy_text(error->message, sizeof(error->message), message && *message ? message : kind->message);
    return error->code;
}

int error_set_own(struct lwa_error *error, enum own_error own, const char *message)
{
    return set(error, &own_kinds[own], own_kinds[own].name, message);
}

static int set_from_broker(struct lwa_error *error, enum bus_error kind, const char *name,
                           const char *message)
{
    int r = set(error, &broker_kinds[kind], name, message);
    if (kind == BUS_E_RATE_LIMITED || kind == BUS_E_PROVIDER_UNAVAILABLE)
        error->retry_after_sec = find_retry_after(error->message);
    return r;
}

int error_set_from_bus(struct lwa_error *error, const char *name, const char *message)
{
    enum bus_error of_broker = bus_error_from_name(name);
    if (of_broker != BUS_OK)
        return set_from_broker(error, of_broker, name, message);
    for (size_t i = 0; i < ARRAY_SIZE(bus_own); i++)
        if (strcmp(bus_own[i].name, name) == 0)
            return error_set_own(error, bus_own[i].own, NULL);
    /* The words of the bus are for its own developers. */
    for (size_t i = 0; i < ARRAY_SIZE(bus_kinds); i++)
        if (strcmp(bus_kinds[i].name, name) == 0)
            return set(error, &bus_kinds[i], name, NULL);
    /* One of a newer broker's keeps its name. */
    return set(error, &own_kinds[OWN_BAD_ANSWER], name, message);
}

/* --- what it says -------------------------------------------------------------------------------------- */

int lwa_error_get_errno(const struct lwa_error *error)
{
    return error ? error->code : 0;
}

const char *lwa_error_get_name(const struct lwa_error *error)
{
    return error ? error->name : "";
}

const char *lwa_error_get_message(const struct lwa_error *error)
{
    return error ? error->message : "";
}

const char *lwa_error_get_hint(const struct lwa_error *error)
{
    return error && error->hint ? error->hint : "";
}

int lwa_error_is(const struct lwa_error *error, const char *name)
{
    if (!error || !name)
        return 0;
    const char *dot = strrchr(error->name, '.');
    return strcmp(error->name, name) == 0 || (dot && strcmp(dot + 1, name) == 0);
}

unsigned lwa_error_get_retry_after(const struct lwa_error *error)
{
    return error ? error->retry_after_sec : 0;
}
