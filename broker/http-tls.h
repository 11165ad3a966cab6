/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whom a transfer trusts, and what a failed check of a certificate was about. Internal to http.c. */

#include "util/cleanup.h"

#include <curl/curl.h>

/* The system's folder of authorities if it can be looked up by name, else NULL. */
const char *http_tls_find_ca_folder(void);

/* TLS 1.2 or newer and full verification, for the server and an https proxy: against `ca_file`, or else
 * `ca_folder`, or else curl's default. Curl copies the strings. */
bool http_tls_set_policy(CURL *easy, const char *ca_file, const char *ca_folder) _must_check_;

/* Whether the transfer failed because a certificate is not valid now. */
bool http_tls_is_about_time(CURL *easy);
