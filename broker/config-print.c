/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of keys as a broker.conf that one can start from. */

#include "broker/config.h"

#include <string.h>

#define LINE_WIDTH 100

static const char head[] =
    "# Configuration of lwa-brokerd, see lwa-broker.conf(5). Each key stands here with its default.\n"
    "# Only client_id has to be set. The file must be owned by root and not be writable by others.\n"
    "# After a change: systemctl reload lwa-brokerd.\n";

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

int config_print_defaults(FILE *out)
{
    const char *section = "";
    (void)fputs(head, out);
    for (size_t i = 0; i < config_count_keys(); i++) {
        struct config_key_info key = config_get_key(i);
        if (strcmp(section, key.section) != 0)
            (void)fprintf(out, "\n[%s]\n", key.section);
        else
            (void)fputc('\n', out);
        section = key.section;
        print_comment(out, key.meaning);
        if (key.is_number)
            (void)fprintf(out, "# From %u to %u.\n", key.min, key.max);
        /* What follows the region cannot be written down as one value. */
        bool has_value = strcmp(key.default_text, CONFIG_FROM_REGION) != 0 && key.default_text[0];
        (void)fprintf(out, "#%s =%s%s\n", key.key, has_value ? " " : "", has_value ? key.default_text : "");
    }
    return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}
