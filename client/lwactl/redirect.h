/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a person's browser brings back from Amazon's page: code, state and scope, or error and state. It comes
 * as a request to the loopback, or as a line that a person has pasted. Pure code: a strict reader of foreign
 * bytes, which takes one form of each thing and nothing else. */

#include "util/cleanup.h"

#define REDIRECT_HEAD_BYTES_MAX 16384
#define REDIRECT_LINE_BYTES_MAX 8192
#define REDIRECT_CODE_BYTES_MAX 512
#define REDIRECT_STATE_BYTES_MAX 128
#define REDIRECT_SCOPE_BYTES_MAX 4160 /* 32 scopes of 128 bytes, and blanks */
#define REDIRECT_ERROR_BYTES_MAX 64

/* Either code or error is there, the other is "". Printable ASCII, all but the scope without blanks. */
struct redirect {
    char code[REDIRECT_CODE_BYTES_MAX + 1];
    char error[REDIRECT_ERROR_BYTES_MAX + 1];
    char state[REDIRECT_STATE_BYTES_MAX + 1]; /* never "" */
    char scope[REDIRECT_SCOPE_BYTES_MAX + 1];
    bool has_scope;
};

enum redirect_kind {
    REDIRECT_ANSWER,   /* *ret is set; its state is still to be compared */
    REDIRECT_BEGIN,    /* the browser asks where it should begin */
    REDIRECT_E_OTHER,  /* an address that is not ours, such as that of an icon */
    REDIRECT_E_METHOD, /* not GET */
    REDIRECT_E_HOST,   /* a foreign page: it points a name of its own at the loopback, or begins the login */
    REDIRECT_E_MALFORMED, /* anything that is not exactly what a browser sends, or holds no answer */
};

/* Where the browser is sent back to. */
struct redirect_place {
    const char *authority; /* "127.0.0.1:PORT" */
    const char *path;
    const char *begin_path;
};

/* Bytes of the head of a request with the empty line that ends it; 0 while that has not come. */
size_t redirect_head_size(const char *bytes, size_t n);
/* Reads a whole head. *ret is touched for REDIRECT_ANSWER only. */
enum redirect_kind redirect_parse_head(const char *head, size_t n, const struct redirect_place *place,
                                       struct redirect *ret) _must_check_;

/* Reads what a person has pasted: the address that the browser was sent to, its query, or the bare code,
 * which belongs to `state`. REDIRECT_ANSWER or REDIRECT_E_MALFORMED. */
enum redirect_kind redirect_parse_pasted(const char *line, size_t n, const char *state,
                                         struct redirect *ret) _must_check_;

/* The state that an authorization address carries. 0, or -EBADMSG without exactly one. */
int redirect_find_state(const char *uri, char ret[static REDIRECT_STATE_BYTES_MAX + 1]) _must_check_;
bool redirect_state_is(const struct redirect *r, const char *state);
