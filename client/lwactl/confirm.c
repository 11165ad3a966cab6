/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/confirm.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/text.h"

#include <string.h>
#include <strings.h>

int confirm(const char *question, const char *what, const char *undone)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        (void)report(CTL_USAGE, "not at a terminal, so nobody can be asked whether to %s", what);
        report_hint("give --yes to do it without asking");
        return CTL_USAGE;
    }
    _cleanup_free_ char *safe = text_safe(question);
    if (!safe)
        return report(CTL_FAILED, "out of memory");
    (void)printf("%s [y/N] ", safe);
    int r = terminal_flush();
    if (r != 0)
        return r;

    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    if (getline(&line, &size, stdin) < 0)
        (void)putchar('\n');
    else if (strcmp(line, "y\n") == 0 || strcmp(line, "Y\n") == 0 || strcasecmp(line, "yes\n") == 0)
        return CTL_OK;
    return report(CTL_CANCELLED, "%s", undone);
}
