/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a browser, or a stranger on the loopback, sends to `lwactl login`, and what a person pastes
 * (client/lwactl/redirect.h). */

#include "client/lwactl/redirect.h"
#include "tests/fuzz/fuzz.h"

static void require_answer(const struct redirect *r)
{
    require_printable(r->code, sizeof(r->code));
    require_printable(r->error, sizeof(r->error));
    require_printable(r->state, sizeof(r->state));
    require_printable(r->scope, sizeof(r->scope));
    require(!strchr(r->code, ' ') && !strchr(r->error, ' ') && !strchr(r->state, ' '));
    require((*r->code != '\0') != (*r->error != '\0'));
    require(*r->state != '\0' && redirect_state_is(r, r->state));
    require(r->has_scope || *r->scope == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct redirect_place place = {"127.0.0.1:8123", "/lwa-callback", "/lwa-login"};
    struct redirect r;
    /* Without the NUL that input_text() adds, so that a read beyond the end is seen. */
    _cleanup_free_ char *exact = malloc(n > 0 ? n : 1);
    require(exact);
    if (n > 0)
        memcpy(exact, data, n);
    size_t size = redirect_head_size(exact, n);
    require(size <= n);
    memset(&r, 'x', sizeof(r));
    enum redirect_kind kind = redirect_parse_head(exact, n, &place, &r);
    require(kind == REDIRECT_E_MALFORMED || size == n);
    if (kind == REDIRECT_ANSWER)
        require_answer(&r);
    memset(&r, 'x', sizeof(r));
    if (redirect_parse_pasted(exact, n, "state", &r) == REDIRECT_ANSWER)
        require_answer(&r);

    char state[REDIRECT_STATE_BYTES_MAX + 1];
    struct input in = {data, n};
    _cleanup_free_ char *uri = input_line(&in);
    if (redirect_find_state(uri, state) == 0) {
        require(*state != '\0' && !strchr(state, ' '));
        require_printable(state, sizeof(state));
    }
    return 0;
}
