/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/answers.h"

#include "client/lwactl/bus.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"

#include <string.h>

#define TRIES 5

void answers_clear(struct answers *a)
{
    listener_free(a->listener);
    explicit_bzero(a, sizeof(*a));
}

int answers_open(struct answers *a, const char *authorize_uri)
{
    int r = redirect_find_state(authorize_uri, a->state);
    if (r == 0 && a->listener)
        r = listener_expect(a->listener, authorize_uri, a->state);
    if (r == -ENOMEM)
        return report(CTL_FAILED, "out of memory");
    if (r < 0)
        return bus_report_unknown_answer();
    a->is_open = true;
    return CTL_OK;
}

size_t answers_poll(const struct answers *a, struct pollfd fds[static ANSWERS_FDS_MAX], int *timeout_msec)
{
    if (a->listener)
        return listener_poll(a->listener, fds, timeout_msec);
    if (!a->is_open || a->is_paused)
        return 0;
    fds[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    return 1;
}

/* --- standard input ----------------------------------------------------------------------------------- */

enum answers_result answers_refuse(struct answers *a, int *ret_code)
{
    a->is_paused = false;
    if (++a->n_refused >= TRIES) {
        *ret_code = report(CTL_USAGE, "That was the last try. Nothing was linked; log in again.");
        return ANSWERS_OVER;
    }
    return ANSWERS_REFUSED;
}

static enum answers_result handle_line(struct answers *a, size_t n, struct redirect *ret, int *ret_code)
{
    enum redirect_kind kind = redirect_parse_pasted(a->line, n, a->state, ret);
    if (kind == REDIRECT_ANSWER && redirect_state_is(ret, a->state)) {
        a->is_paused = true;
        return ANSWERS_ONE;
    }
    if (kind == REDIRECT_ANSWER)
        (void)report(CTL_USAGE, "That address belongs to another login than this one.");
    else if (n >= REDIRECT_LINE_BYTES_MAX)
        (void)report(CTL_USAGE, "That is longer than an address with an answer can be.");
    else
        (void)report(CTL_USAGE, "There is no answer in that: an address with `code=` and `state=` is wanted, "
                                "as the browser shows it after the login.");
    return answers_refuse(a, ret_code);
}

/* Takes the first line out; at the end of the input what is left counts as one. */
static enum answers_result take_line(struct answers *a, bool is_end, struct redirect *ret, int *ret_code)
{
    const char *end = memchr(a->line, '\n', a->n);
    if (!end && !is_end && a->n < sizeof(a->line))
        return ANSWERS_NONE;
    size_t n = end ? (size_t)(end - a->line) + 1 : a->n;
    enum answers_result result = handle_line(a, n, ret, ret_code);
    (void)memmove(a->line, a->line + n, a->n - n);
    a->n -= n;
    return result;
}

static enum answers_result read_input(struct answers *a, struct redirect *ret, int *ret_code)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    /* A line that came together with the one before waits here, where poll() does not see it. */
    if (memchr(a->line, '\n', a->n))
        return take_line(a, false, ret, ret_code);
    if (poll(&fd, 1, 0) <= 0)
        return ANSWERS_NONE;
    ssize_t r = read(STDIN_FILENO, a->line + a->n, sizeof(a->line) - a->n);
    if (r < 0 && (errno == EINTR || errno == EAGAIN))
        return ANSWERS_NONE;
    if (r > 0) {
        a->n += (size_t)r;
        return take_line(a, false, ret, ret_code);
    }
    if (a->n > 0 && take_line(a, true, ret, ret_code) == ANSWERS_ONE)
        return ANSWERS_ONE;
    *ret_code = report(a->n_refused > 0 ? CTL_USAGE : CTL_CANCELLED,
                       "Standard input ended before it brought an answer. Nothing was linked; log in again.");
    return ANSWERS_OVER;
}

/* --- both --------------------------------------------------------------------------------------------- */

bool answers_saw_stranger(struct answers *a)
{
    if (!a->listener || !listener_saw_stranger(a->listener) || a->has_told_of_stranger)
        return false;
    a->has_told_of_stranger = true;
    return true;
}

enum answers_result answers_handle(struct answers *a, struct redirect *ret, int *ret_code)
{
    if (a->listener) {
        bool is_one = listener_handle(a->listener, ret);
        if (!is_one || a->is_paused)
            return ANSWERS_NONE;
        a->is_paused = true;
        return ANSWERS_ONE;
    }
    return a->is_open && !a->is_paused ? read_input(a, ret, ret_code) : ANSWERS_NONE;
}
