/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Run while building: prints the polkit actions of the shipped scopes and those that the broker needs
 * besides. Every action names the broker's user as its owner: without that annotation polkitd lets only
 * root pass details or ask about processes of others. */

#include "policy/catalogue.h"
#include "util/file.h"

#include <string.h>

#define SCOPES_BYTES_MAX (256 * 1024)

struct action {
    const char *id;
    const char *description;
    const char *message;
    const char *any;
    const char *inactive;
    const char *active;
};

/* polkit puts details of the check for $(...) in messages. What reads the trail is kept by polkit for some
 * minutes, for the process that was asked about: a listing is many calls, one for each page, and a person is
 * to be asked once. Nothing of that is kept by the broker. */
static const struct action actions[] = {
    {"org.lwabroker.scope.other", "Obtain a token for a scope that this machine's administrator added",
     "Authentication is required to let $(app) use your Amazon account in a way that the administrator of "
     "this machine has named",
     "no", "no", "no"},
    {"org.lwabroker.consent", "Agree that an app may use one's Amazon account",
     "Authentication is required to let $(app) use your Amazon account", "auth_self", "auth_self",
     "auth_self"},
    {"org.lwabroker.consent.device", "Agree that an app may use the Amazon account of the device",
     "Authentication is required to let $(app) use the Amazon account of this device", "auth_admin",
     "auth_admin", "auth_admin"},
    {"org.lwabroker.login", "Log in with Amazon",
     "Authentication is required to link this device to your Amazon account", "auth_self", "auth_self",
     "yes"},
    {"org.lwabroker.accounts.manage", "Manage one's own Amazon logins on this device",
     "Authentication is required to change your Amazon logins on this device", "auth_self", "auth_self",
     "yes"},
    {"org.lwabroker.device.use", "Use the Amazon account of the device",
     "Authentication is required to use the Amazon account of this device", "no", "no", "no"},
    {"org.lwabroker.policy.manage", "Decide which app may use which Amazon account",
     "Authentication is required to change which apps may use the Amazon accounts of this device",
     "auth_admin", "auth_admin", "auth_admin"},
    {"org.lwabroker.sandbox.allow", "Let a sandboxed app use what is closed to sandboxed apps",
     "Authentication is required to let $(app) use the interface $(interface)", "no", "no", "no"},
    {"org.lwabroker.keys.manage", "Change the key that Amazon logins are sealed with",
     "Authentication is required to change the key that the Amazon logins of this device are sealed with",
     "auth_admin", "auth_admin", "auth_admin"},
    {"org.lwabroker.audit.read", "Read the record of all uses of Amazon accounts",
     "Authentication is required to read the record of all uses of Amazon accounts on this device",
     "auth_admin_keep", "auth_admin_keep", "auth_admin_keep"},
    {"org.lwabroker.audit.read-own", "Read the record of the uses of one's own Amazon account",
     "Authentication is required to read the record of the uses of your Amazon account", "auth_self_keep",
     "auth_self_keep", "yes"},
};

/* Text of an element. polkitd keeps only the last piece of a text that an entity cuts into pieces, so
 * entities are avoided: what would need them stands in a CDATA section, which reaches polkitd whole. */
static void print_text(const char *text)
{
    bool plain = !strpbrk(text, "&<>");
    if (plain || strstr(text, "]]>")) {
        for (const char *p = text; *p; p++)
            if (*p == '&')
                fputs("&amp;", stdout);
            else if (*p == '<')
                fputs("&lt;", stdout);
            else if (*p == '>')
                fputs("&gt;", stdout);
            else
                putchar(*p);
        return;
    }
    printf("<![CDATA[%s]]>", text);
}

static int print_element(const char *indent, const char *name, const char *prefix, const char *text)
{
    _cleanup_free_ char *joined = NULL;
    if (asprintf(&joined, "%s%s", prefix, text) < 0)
        return -ENOMEM;
    printf("%s<%s>", indent, name);
    print_text(joined);
    printf("</%s>\n", name);
    return 0;
}

/* `what` is put after the description and the message, for those that are made of two parts. Ids are made of
 * letters, digits, full stops and hyphens. */
static int print_action(const struct action *a, const char *what)
{
    printf("  <action id=\"%s\">\n", a->id);
    int r = print_element("    ", "description", a->description, what);
    if (r == 0)
        r = print_element("    ", "message", a->message, what);
    printf("    <defaults>\n"
           "      <allow_any>%s</allow_any>\n"
           "      <allow_inactive>%s</allow_inactive>\n"
           "      <allow_active>%s</allow_active>\n"
           "    </defaults>\n"
           "    <annotate key=\"org.freedesktop.policykit.owner\">unix-user:lwa-broker</annotate>\n"
           "  </action>\n",
           a->any, a->inactive, a->active);
    return r;
}

static int print_scope(const struct scope_info *scope)
{
    struct action a = {
        .id = scope->action_id,
        .description = "Obtain a token with which an app can ",
        .message = "Authentication is required to let $(app) ",
        .any = "no",
        .inactive = "no",
        .active = "no",
    };
    return print_action(&a, scope->description);
}

static int print_all(const struct catalogue *c)
{
    printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
           "<!DOCTYPE policyconfig PUBLIC \"-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN\"\n"
           " \"http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd\">\n"
           "<!-- Made by policy/mkactions from policy/scopes.conf. -->\n"
           "<policyconfig>\n"
           "  <vendor>lwa-broker</vendor>\n");
    int r = 0;
    for (unsigned i = 0; r == 0 && i < catalogue_count(c); i++)
        r = print_scope(catalogue_get(c, (int)i));
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(actions); i++)
        r = print_action(&actions[i], "");
    printf("</policyconfig>\n");
    return r;
}

static int load(const char *path, struct catalogue **ret, struct ini_problem *ret_problem)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    int r = file_read(path, SCOPES_BYTES_MAX, &text, &n);
    if (r < 0)
        return r;
    _cleanup_(catalogue_freep) struct catalogue *c = NULL;
    r = catalogue_new(NULL, &c);
    if (r == 0)
        r = catalogue_add_text(c, text, n, true, ret_problem);
    if (r == 0)
        r = catalogue_seal(c, ret_problem);
    if (r == 0)
        *ret = TAKE_PTR(c);
    return r;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: mkactions SCOPES.CONF\n");
        return 2;
    }
    _cleanup_(catalogue_freep) struct catalogue *c = NULL;
    struct ini_problem problem = {0};
    int r = load(argv[1], &c, &problem);
    if (r > 0)
        fprintf(stderr, "%s:%u: %s\n", argv[1], problem.line, problem.reason);
    else if (r < 0)
        fprintf(stderr, "%s: cannot be read (error %d)\n", argv[1], -r);
    if (r != 0)
        return 1;

    if (print_all(c) < 0 || fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "mkactions: cannot write\n");
        return 1;
    }
    return 0;
}
