/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/audit-cursor.h"

#include "client/lwactl/outcome.h"
#include "client/lwactl/savefile.h"
#include "client/lwactl/terminal.h"
#include "util/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 256
#define TAIL_MAX ((off_t)256 * 1024) /* longer than a record can be */

bool audit_cursor_parse_sequence(const char *text, uint64_t *ret)
{
    size_t n = strspn(text, "0123456789");
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (n == 0 || text[n] || errno != 0 || value > INT64_MAX) /* the broker counts with 63 bits */
        return false;
    *ret = value;
    return true;
}

void audit_cursor_set(struct audit_cursor *c, struct json_object *record)
{
    c->sequence = audit_sequence(record);
    (void)snprintf(c->hash, sizeof(c->hash), "%s", values_text(record, "hash"));
}

/* --- the file ------------------------------------------------------------------------------------------- */

static bool parse(struct audit_cursor *c, char *text)
{
    text[strcspn(text, "\n")] = '\0';
    char *colon = strchr(text, ':');
    if (!colon)
        return false;
    *colon = '\0';
    size_t n = strlen(colon + 1);
    if ((n != 0 && n != AUDIT_CURSOR_HASH_SIZE - 1) || strspn(colon + 1, "0123456789abcdef") != n)
        return false;
    memcpy(c->hash, colon + 1, n + 1);
    return audit_cursor_parse_sequence(text, &c->sequence);
}

int audit_cursor_load(struct audit_cursor *c, const char *path)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    int r = file_read(path, FILE_MAX, &text, &n);
    *c = (struct audit_cursor){0};
    if (r == -ENOENT)
        return CTL_OK;
    if (r == 0 && parse(c, text))
        return CTL_OK;
    if (r < 0 && r != -EFBIG)
        return report(CTL_FAILED, "cannot read the cursor in %s: %s", path, strerror(-r));
    (void)report(CTL_FAILED, "%s holds no cursor of an export", path);
    report_hint("--after N goes on after record N and writes it anew");
    return CTL_FAILED;
}

int audit_cursor_save(const struct audit_cursor *c, const char *path)
{
    char text[FILE_MAX];
    int n = snprintf(text, sizeof(text), "%" PRIu64 ":%s\n", c->sequence, c->hash);
    int r = savefile_replace(path, text, (size_t)n);
    if (r == SAVEFILE_E_OTHER)
        return report(CTL_FAILED, "%s is not a regular file", path);
    return r < 0 ? report(CTL_FAILED, "cannot write %s: %s", path, strerror(-r)) : CTL_OK;
}

/* --- the trail ------------------------------------------------------------------------------------------ */

static int refuse(const char *what)
{
    (void)report(CTL_FAILED, "%s", what);
    report_hint("look into it with `lwactl audit verify`; --after N goes on after record N all the same");
    return CTL_FAILED;
}

/* The first record after this one, or NULL at the end of the trail. */
static int find_after(struct bus *bus, bool is_own, uint64_t sequence, struct json_object **ret)
{
    const struct audit_filter filter = {.is_own = is_own};
    struct audit_page page = {.after = sequence, .limit = 1};
    uint64_t next;
    int r;
    do {
        _cleanup_json_ struct json_object *records = NULL;
        r = audit_query(bus, &filter, &page, VALUES_EXACT, &records, &next);
        *ret = r == CTL_OK ? json_object_get(values_item(records, 0)) : NULL;
        if (next <= page.after)
            break;
        page.after = next;
    } while (r == CTL_OK && !*ret);
    return r;
}

int audit_cursor_check(const struct audit_cursor *c, struct bus *bus, bool is_own)
{
    _cleanup_json_ struct json_object *record = NULL;
    int r = c->sequence > 0 ? find_after(bus, is_own, c->sequence - 1, &record) : CTL_OK;
    if (r != CTL_OK || c->sequence == 0)
        return r;
    if (!record)
        return refuse(
            "The trail ends before the record that was exported last: it is another trail, or its end "
            "was cut off.");
    uint64_t found = audit_sequence(record);
    if (found == c->sequence && *c->hash && strcmp(values_text(record, "hash"), c->hash) != 0)
        return refuse("The record that was exported last is another one by now: the trail was altered, or is "
                      "another one.");
    if (found > c->sequence + 1)
        (void)report(CTL_OK,
                     "The records %" PRIu64 " to %" PRIu64
                     " are not on the trail any more, and were not exported.",
                     c->sequence + 1, found - 1);
    return CTL_OK;
}

/* --- what was written before ---------------------------------------------------------------------------- */

/* The last bytes of standard output as a file, and where they begin. NULL when it is none that can be read.
 */
static char *read_tail(off_t *ret_offset, size_t *ret_n)
{
    struct stat st;
    if (fstat(STDOUT_FILENO, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return NULL;
    /* It may have been opened for writing only. */
    _cleanup_close_ int fd = open("/proc/self/fd/1", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    off_t offset = st.st_size > TAIL_MAX ? st.st_size - TAIL_MAX : 0;
    size_t n = (size_t)(st.st_size - offset);
    _cleanup_free_ char *tail = malloc(n + 1);
    if (fd < 0 || !tail || pread(fd, tail, n, offset) != (ssize_t)n)
        return NULL;
    tail[n] = '\0';
    *ret_offset = offset;
    *ret_n = n;
    return TAKE_PTR(tail);
}

/* The record that is the whole of this line. NULL: it is none. */
static struct json_object *parse_record(const char *line, const char *end)
{
    struct json_tokener *parser = json_tokener_new();
    if (!parser)
        return NULL;
    _cleanup_json_ struct json_object *record = json_tokener_parse_ex(parser, line, (int)(end - line));
    bool is_whole = json_tokener_get_parse_end(parser) == (size_t)(end - line);
    json_tokener_free(parser);
    return record && is_whole && audit_sequence(record) > 0 ? TAKE_PTR(record) : NULL;
}

void audit_cursor_take_up_output(struct audit_cursor *c)
{
    off_t offset;
    size_t n;
    _cleanup_free_ char *tail = read_tail(&offset, &n);
    _cleanup_json_ struct json_object *record = NULL;
    if (!tail)
        return;
    char *end = memrchr(tail, '\n', n);
    if (end) {
        char *before = memrchr(tail, '\n', (size_t)(end - tail));
        record = parse_record(before ? before + 1 : tail, end);
        if (!record)
            return;
    } else if (offset > 0 || *tail != '{') {
        return;
    }
    off_t whole = offset + (end ? end + 1 - tail : 0);
    if (whole < offset + (off_t)n && ftruncate(STDOUT_FILENO, whole) < 0)
        return;
    (void)lseek(STDOUT_FILENO, 0, SEEK_END);
    if (record && audit_sequence(record) > c->sequence)
        audit_cursor_set(c, record);
}
