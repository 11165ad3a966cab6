/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The texts of HTTP that http.c writes and reads by itself: forms, and values of headers. Pure code. */

#include "broker/http.h"

/* Encodes the fields as application/x-www-form-urlencoded: everything but unreserved characters as %XX. The
 * result is a string of n bytes in a buffer of n + 1, for the caller to wipe. 0 or -ENOMEM. */
int http_text_encode_form(const struct http_field *fields, size_t n_fields, char **ret,
                          size_t *ret_n) _must_check_;

/* Printable ASCII only: nothing that could end a header and begin another. */
bool http_text_is_header_value(const char *text);

/* A media type of application/json; a parameter may follow it after a space, as Amazon is seen to write it.
 */
bool http_text_is_json(const char *type);

/* In seconds, cut to a day; -1 for none or anything else. A date is taken against the reply's own Date, since
 * our clock may be wrong. */
long http_text_parse_retry_after(const char *text, const char *date);

/* Copies [A-Za-z0-9-]*, or "" where the text is anything else or too long. */
void http_text_copy_request_id(const char *text, char ret[static HTTP_REQUEST_ID_SIZE]);
