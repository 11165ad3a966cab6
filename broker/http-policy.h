/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every transfer must obey: https alone, whom it trusts, which proxy, how long. Internal to http.c. */

#include "broker/http.h"

#include <curl/curl.h>

struct http_policy {
    char *ca_file;         /* NULL: the system's */
    const char *ca_folder; /* the system's authorities by name, or NULL; curl's own string */
    char *proxy;           /* "" for none */
    long connect_timeout_sec;
    long request_timeout_sec;
};

/* Takes over the options: 0, or -ENOMEM with nothing changed. */
int http_policy_set(struct http_policy *p, const struct http_options *options) _must_check_;
void http_policy_clear(struct http_policy *p);

/* Curl copies what it is given. */
bool http_policy_apply(const struct http_policy *p, CURL *easy) _must_check_;

/* 0; -EINVAL for what is not an https URL; -ENOMEM. */
int http_policy_check_url(const char *url) _must_check_;

/* Whether the transfer failed because a certificate is not valid now. */
bool http_policy_is_about_time(CURL *easy);
/* Of such a one: the certificate's time has not come yet. */
bool http_policy_is_too_early(CURL *easy);
