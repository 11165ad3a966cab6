/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of keys as a broker.conf that one can start from. */

#include "broker/config.h"

#include "util/edit-distance.h"

#include <string.h>

#define LINE_WIDTH 100

static const char head[] =
    "# Configuration of lwa-brokerd, see lwa-broker.conf(5). Each key stands here with its default.\n"
    "# Only client_id has to be set. The file must be owned by root and not be writable by others.\n"
    "# After a change: systemctl reload lwa-brokerd.\n"
    "\n";

static void print_comment(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > 0 && column + 1 + n > LINE_WIDTH) {
            (void)fputc('\n', out);
            column = 0;
        }
        (void)fprintf(out, "%s%.*s", column == 0 ? "# " : " ", (int)n, text);
        column += (column == 0 ? 2 : 1) + n;
        text += n + strspn(text + n, " ");
    }
    (void)fputc('\n', out);
}

/* `before`: the section of the key before, "" for the first. */
static void print_key(FILE *out, const struct config_key_info *key, const char *before)
{
    if (*before)
        (void)fputc('\n', out);
    if (strcmp(before, key->section) != 0)
        (void)fprintf(out, "[%s]\n", key->section);
    print_comment(out, key->meaning);
    if (key->is_number)
        (void)fprintf(out, "# From %u to %u.\n", key->min, key->max);
    /* What follows the region cannot be written down as one value. */
    bool has_value = strcmp(key->default_text, CONFIG_FROM_REGION) != 0 && key->default_text[0];
    (void)fprintf(out, "#%s =%s%s\n", key->key, has_value ? " " : "", has_value ? key->default_text : "");
}

static bool is_named(const struct config_key_info *key, const char *which)
{
    size_t n = strlen(key->section);
    return strcmp(which, key->section) == 0 || strcmp(which, key->key) == 0 ||
           (strncmp(which, key->section, n) == 0 && which[n] == '.' && strcmp(which + n + 1, key->key) == 0);
}

static int name_nearest(const char *which, struct ini_problem *problem)
{
    struct config_key_info nearest = config_get_key(0);
    const char *dot = strchr(which, '.');
    const char *name = dot ? dot + 1 : which;
    for (size_t i = 1; i < config_count_keys(); i++)
        if (edit_distance(config_get_key(i).key, name) < edit_distance(nearest.key, name))
            nearest = config_get_key(i);
    return ini_refuse(problem, "no section and no key is called \"%.40s\"; the nearest is \"%s\" in [%s]",
                      which, nearest.key, nearest.section);
}

int config_print_defaults(FILE *out, const char *which, struct ini_problem *problem)
{
    const char *section = "";
    for (size_t i = 0; i < config_count_keys(); i++) {
        struct config_key_info key = config_get_key(i);
        if (which && !is_named(&key, which))
            continue;
        if (!*section)
            (void)fputs(which ? "" : head, out); /* the head ends with an empty line */
        print_key(out, &key, section);
        section = key.section;
    }
    if (which && !*section)
        return name_nearest(which, problem);
    return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}
