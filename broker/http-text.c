/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/http-text.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define RETRY_AFTER_SEC_MAX 86400

/* Writes the encoded text and returns its end; only counts where `end` is NULL. */
static char *encode(const char *text, char *end, size_t *n)
{
    static const char hex[] = "0123456789ABCDEF";
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool plain = strchr(ALNUM "-._~", c);
        *n += plain ? 1 : 3;
        if (!end)
            continue;
        *end++ = plain ? *p : '%';
        if (!plain) {
            *end++ = hex[c >> 4];
            *end++ = hex[c & 15];
        }
    }
    return end;
}

static char *append(char *end, char c, size_t *n)
{
    (*n)++;
    if (end)
        *end++ = c;
    return end;
}

static size_t encode_fields(const struct http_field *fields, size_t n_fields, char *end)
{
    size_t n = 0;
    for (size_t i = 0; i < n_fields; i++) {
        if (i > 0)
            end = append(end, '&', &n);
        end = encode(fields[i].name, end, &n);
        end = append(end, '=', &n);
        end = encode(fields[i].value, end, &n);
    }
    return n;
}

int http_text_encode_form(const struct http_field *fields, size_t n_fields, char **ret, size_t *ret_n)
{
    size_t n = encode_fields(fields, n_fields, NULL);
    char *form = malloc(n + 1);
    if (!form)
        return -ENOMEM;
    (void)encode_fields(fields, n_fields, form);
    form[n] = '\0';
    *ret = form;
    *ret_n = n;
    return 0;
}

bool http_text_is_header_value(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            return false;
    return true;
}

bool http_text_is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t n = sizeof(json) - 1;
    return strncasecmp(type, json, n) == 0 && (type[n] == '\0' || type[n] == ';' || type[n] == ' ');
}

static long parse_seconds(const char *text)
{
    if (!*text)
        return -1;
    long seconds = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return -1;
        if (seconds < RETRY_AFTER_SEC_MAX)
            seconds = seconds * 10 + (*p - '0');
    }
    return seconds < RETRY_AFTER_SEC_MAX ? seconds : RETRY_AFTER_SEC_MAX;
}

/* The form that servers must send (IMF-fixdate, RFC 9110); those of the last century are not read. */
static bool parse_date(const char *text, time_t *ret)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end)
        return false;
    *ret = timegm(&tm);
    return true;
}

long http_text_parse_retry_after(const char *text, const char *date)
{
    long seconds = parse_seconds(text);
    time_t until, now;
    if (seconds >= 0 || !parse_date(text, &until) || !parse_date(date, &now))
        return seconds;
    int64_t left = (int64_t)until - (int64_t)now;
    return left < 0 ? 0 : left < RETRY_AFTER_SEC_MAX ? (long)left : RETRY_AFTER_SEC_MAX;
}

void http_text_copy_request_id(const char *text, char ret[static HTTP_REQUEST_ID_SIZE])
{
    size_t n = strspn(text, ALNUM "-");
    ret[0] = '\0';
    if (!text[n] && n < HTTP_REQUEST_ID_SIZE)
        memcpy(ret, text, n + 1);
}
