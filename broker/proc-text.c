/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/proc-text.h"

#include <string.h>

/* What follows the key at the start of a line; NULL when there is no such line, or two. */
static const char *find(const char *text, size_t n, const char *key, const char **ret_end)
{
    const char *found = NULL;
    size_t n_key = strlen(key);
    for (const char *line = text, *end = text + n; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline)
            return NULL; /* cut off */
        if ((size_t)(newline - line) > n_key && memcmp(line, key, n_key) == 0) {
            if (found)
                return NULL;
            found = line + n_key;
            *ret_end = newline;
        }
        line = newline + 1;
    }
    return found;
}

/* The digits at *p, which something must follow. */
static int take_number(const char **p, const char *end, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    const char *s = *p;
    for (; s < end && *s >= '0' && *s <= '9'; s++) {
        uint64_t digit = (uint64_t)(*s - '0');
        if (value > (max - digit) / 10)
            return PROC_TEXT_E_MALFORMED;
        value = value * 10 + digit;
    }
    if (s == *p)
        return PROC_TEXT_E_MALFORMED;
    *p = s;
    *ret = value;
    return 0;
}

int proc_text_status(const char *text, size_t n, uid_t *ret_uid, char *ret_state)
{
    const char *end = NULL;
    uint64_t real, effective;
    const char *p = find(text, n, "Uid:\t", &end); /* real, effective, saved, of the file system */
    if (!p || take_number(&p, end, UINT32_MAX - 1, &real) != 0 || p == end || *p++ != '\t' ||
        take_number(&p, end, UINT32_MAX - 1, &effective) != 0 || p == end || *p != '\t')
        return PROC_TEXT_E_MALFORMED;
    const char *state = find(text, n, "State:\t", &end);
    if (!state)
        return PROC_TEXT_E_MALFORMED;
    *ret_uid = (uid_t)effective;
    *ret_state = *state;
    return 0;
}

#define FIELD_START 22 /* proc(5); the name is the second, in parentheses, and may hold anything */

int proc_text_start(const char *text, size_t n, uint64_t *ret_ticks)
{
    const char *end = text + n;
    const char *p = memrchr(text, ')', n);
    for (unsigned field = 2; p && field < FIELD_START; field++) {
        p = memchr(p, ' ', (size_t)(end - p));
        if (p)
            p++;
    }
    uint64_t ticks;
    if (!p || take_number(&p, end, UINT64_MAX, &ticks) != 0 || p == end || *p != ' ')
        return PROC_TEXT_E_MALFORMED;
    *ret_ticks = ticks;
    return 0;
}

int proc_text_pidfd(const char *text, size_t n, pid_t *ret_pid)
{
    const char *end = NULL;
    uint64_t pid;
    const char *p = find(text, n, "Pid:\t", &end);
    if (p && end - p == 2 && memcmp(p, "-1", 2) == 0) {
        *ret_pid = -1;
        return 0;
    }
    if (!p || take_number(&p, end, INT32_MAX, &pid) != 0 || p != end)
        return PROC_TEXT_E_MALFORMED;
    *ret_pid = (pid_t)pid;
    return 0;
}
