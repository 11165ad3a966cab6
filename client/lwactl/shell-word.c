/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/shell-word.h"

#include <pwd.h>
#include <string.h>

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:._@/+-=%,";

char *shell_word(const char *word)
{
    if (*word && strspn(word, plain) == strlen(word))
        return strdup(word);
    char *quoted = malloc(4 * strlen(word) + 3); /* each quote takes four */
    if (!quoted)
        return NULL;
    char *end = quoted;
    *end++ = '\'';
    for (; *word; word++)
        end = *word == '\'' ? mempcpy(end, "'\\''", 4) : mempcpy(end, word, 1);
    *end++ = '\'';
    *end = '\0';
    return quoted;
}

static bool is_caller(const char *owner)
{
    const struct passwd *user = getpwuid(geteuid());
    return user && strcmp(user->pw_name, owner) == 0;
}

static bool is_other_user(const char *owner)
{
    return *owner && strcmp(owner, "device") != 0 && !is_caller(owner);
}

char *shell_revoke(const char *app, const char *owner)
{
    bool is_other = is_other_user(owner);
    _cleanup_free_ char *app_word = shell_word(app), *owner_word = shell_word(owner);
    char *text;
    if (!app_word || !owner_word ||
        asprintf(&text, "lwactl revoke %s%s%s", app_word, is_other ? " --user " : "",
                 is_other ? owner_word : "") < 0)
        return NULL;
    return text;
}

char *shell_remove(const char *account, const char *owner)
{
    bool is_other = is_other_user(owner);
    _cleanup_free_ char *word = shell_word(account), *owner_word = shell_word(owner);
    char *text;
    if (!word || !owner_word ||
        asprintf(&text, "lwactl accounts remove %s%s%s", word, is_other ? "  # only as its owner, " : "",
                 is_other ? owner_word : "") < 0)
        return NULL;
    return text;
}
