/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/redirect-uri.h"

#include "broker/http-text.h"

#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool is_plain(const char *uri)
{
    size_t n = strnlen(uri, REDIRECT_URI_BYTES_MAX + 1);
    if (n == 0 || n > REDIRECT_URI_BYTES_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (uri[i] <= 0x20 || uri[i] > 0x7e || strchr("#\"<>\\^`{|}", uri[i]))
            return false;
    return true;
}

/* ":PORT", from 1 to 65535; NULL if there is none, else its end. */
static const char *skip_port(const char *colon)
{
    unsigned port = 0;
    size_t n = *colon == ':' ? strspn(colon + 1, DIGITS) : 0;
    if (n == 0 || n > 5)
        return NULL;
    for (size_t i = 0; i < n; i++)
        port = port * 10 + (unsigned)(colon[1 + i] - '0');
    return port > 0 && port <= 65535 ? colon + 1 + n : NULL;
}

static bool is_loopback(const char *uri)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://[::1]", "http://localhost"};
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        size_t n = strlen(hosts[i]);
        const char *end = strncmp(uri, hosts[i], n) == 0 ? skip_port(uri + n) : NULL;
        if (end)
            return *end == '/';
    }
    return false;
}

static bool is_https(const char *uri)
{
    static const char scheme[] = "https://";
    if (strncmp(uri, scheme, strlen(scheme)) != 0)
        return false;
    const char *host = uri + strlen(scheme);
    size_t n = strspn(host, LOWER UPPER DIGITS "-._");
    const char *end = host + n;
    if (*end == ':')
        end = skip_port(end);
    return n > 0 && end && (*end == '\0' || *end == '/' || *end == '?');
}

/* A browser or desktop hands such an address to the app that has claimed the scheme. Schemes that mean
 * something to a browser itself (javascript:, data:, file:) have no dot. */
static bool is_app(const char *uri)
{
    size_t n = strspn(uri, LOWER DIGITS "+-.");
    if (n == 0 || !strchr(LOWER, uri[0]) || uri[n] != ':' || uri[n + 1] != '/')
        return false;
    bool is_amazons = n == 4 && strncmp(uri, "amzn", n) == 0;
    bool has_dot = memchr(uri, '.', n) != NULL && uri[n - 1] != '.';
    return (is_amazons || has_dot) && uri[n + 2] != '\0';
}

bool redirect_uri_is_valid(const char *uri)
{
    return is_plain(uri) && (is_loopback(uri) || is_https(uri) || is_app(uri));
}

int redirect_authorize_uri(const struct redirect_request *request, char **ret)
{
    const struct http_field fields[] = {
        {"client_id", request->client_id}, {"scope", request->scope},
        {"response_type", "code"},         {"redirect_uri", request->redirect_uri},
        {"state", request->state},         {"code_challenge", request->challenge},
        {"code_challenge_method", "S256"}, {"scope_data", request->scope_data},
    };
    size_t n_fields = request->scope_data ? ARRAY_SIZE(fields) : ARRAY_SIZE(fields) - 1;
    _cleanup_free_ char *query = NULL;
    size_t n;
    int r = http_text_encode_form(fields, n_fields, &query, &n);
    if (r < 0)
        return r;
    char *uri;
    if (asprintf(&uri, "%s?%s", request->endpoint, query) < 0)
        return -ENOMEM;
    *ret = uri;
    return 0;
}
