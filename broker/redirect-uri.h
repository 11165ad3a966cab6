/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The two addresses of a login by redirect: where the person's browser is sent, and where it comes back to.
 * Pure code. */

#include "util/cleanup.h"

#define REDIRECT_URI_BYTES_MAX 1024

/* Where a browser may be sent back to: http to the loopback (127.0.0.1, [::1], localhost) with a port and a
 * path; https; or the private scheme of a companion app, which is amzn:// or one with a dot in its name (RFC
 * 8252, section 7.1). Printable ASCII without blanks, quotes and the like; no user, no fragment. */
bool redirect_uri_is_valid(const char *uri);

struct redirect_request {
    const char *endpoint; /* https, without query or fragment */
    const char *client_id;
    const char *scope;
    const char *redirect_uri;
    const char *state;
    const char *challenge;  /* S256 */
    const char *scope_data; /* NULL for none */
};

/* The address that the person's browser opens. 0 or -ENOMEM. */
int redirect_authorize_uri(const struct redirect_request *request, char **ret) _must_check_;
