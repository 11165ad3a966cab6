/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl audit report: a page to read, to print and to hand on, that needs nothing but itself. */

#include "client/lwactl/audit-report.h"

#include "client/lwactl/audit.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/savefile.h"
#include "client/lwactl/terminal.h"
#include "client/lwactl/text.h"
#include "util/clock.h"

#include <string.h>

#define DAYS_DEFAULT 30

static int compose(const struct report *r, char **ret, size_t *ret_n)
{
    FILE *out = open_memstream(ret, ret_n);
    if (!out)
        return report(CTL_FAILED, "out of memory");
    report_write(r, out);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        return report(CTL_FAILED, "out of memory");
    return CTL_OK;
}

static int save(const char *path, const char *page, size_t n)
{
    int r = savefile_replace(path, page, n);
    if (r == SAVEFILE_E_OTHER)
        return report(CTL_FAILED, "%s is there and is no regular file; the report was not written", path);
    if (r < 0)
        return report(CTL_FAILED, "cannot write %s: %s", path, strerror(-r));
    return CTL_OK;
}

static void tell(const struct report *r, const char *path, size_t n)
{
    bool is_damaged = r->verified && strcmp(values_text(r->verified, "verdict"), "intact") != 0;
    _cleanup_free_ char *safe = text_safe(path);
    (void)printf(
        "The report is in %s (%zu KiB). Open it in a browser; it is for the eyes of those who may read the "
        "trail.\n",
        safe ? safe : "the file", (n + 1023) / 1024);
    if (is_damaged)
        (void)printf("The trail is DAMAGED; `lwactl audit verify` tells more.\n");
}

int audit_report(const struct command *command, const struct arguments *arguments)
{
    const char *path = arguments->values[OPTION_HTML];
    _cleanup_bus_ struct bus bus = {NULL};
    _cleanup_report_ struct report r = {.now_sec = wall_sec()};
    struct audit_filter filter;
    _cleanup_free_ char *page = NULL;
    size_t n = 0;
    if (!path)
        return options_usage(command, "audit report needs --html FILE");
    int code = audit_filter_read(command, arguments, &filter);
    if (code != CTL_OK)
        return code;
    r.own = filter.is_own;
    r.since_sec = filter.has_since ? filter.since_sec : r.now_sec - (int64_t)DAYS_DEFAULT * 86400;
    code = bus_open(arguments, &bus);
    if (code == CTL_OK)
        code = report_gather(&r, &bus);
    if (code == CTL_OK)
        code = compose(&r, &page, &n);
    if (code == CTL_OK)
        code = save(path, page, n);
    if (code == CTL_OK)
        tell(&r, path, n);
    return code;
}
