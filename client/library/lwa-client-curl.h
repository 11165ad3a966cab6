/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LWA_CLIENT_CURL_H
#define LWA_CLIENT_CURL_H

/* liblwa-client with libcurl. All of it is inline: the library itself does not need curl, and who includes
 * this links it himself (pkg-config --libs lwa-client libcurl).
 *
 *     struct lwa_curl request = LWA_CURL_INIT;
 *     request.easy = easy;
 *     request.write_fn = write_body;
 *     request.write_userdata = &body;
 *     r = lwa_client_call(client, "music::library:read", NULL, 0, lwa_curl_perform, &request);
 *     if (r == 0)
 *         look_at(request.status);
 *
 * URL, method and what is sent are the caller's to set. What comes is given to `write_fn` and not to a
 * CURLOPT_WRITEFUNCTION: an answer that says that the token was rejected is not for the caller.
 *
 * The token goes to the host of the URL only, and by HTTPS only: a redirect is not followed but handed to the
 * caller as the answer, since curl would take x-api-key to any host, and a 401 of another host is no word of
 * the API's.
 *
 * The token is put into a list of headers, which is wiped after the request. curl and TLS make copies of
 * their own for the time of the connection, which cannot be wiped. Do not set CURLOPT_VERBOSE: it prints
 * headers.
 *
 * This header is C89, and C++. */

#include "lwa-client.h"

#include <curl/curl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LWA_CURL_INLINE static __inline__ __attribute__((unused))
#else
#define LWA_CURL_INLINE static
#endif

/* Adds `Authorization: Bearer ...`, and `x-api-key: ...` if there is a key, to a list that may be NULL.
 * Returns the list, to be freed with lwa_curl_free_headers() once the transfer is over. NULL without memory:
 * the list that was given is the caller's as before, and may have become longer. */
LWA_CURL_INLINE struct curl_slist *lwa_curl_append_headers(struct curl_slist *list,
                                                           const struct lwa_token *token)
{
    const char *key = lwa_token_get_api_key_header(token);
    struct curl_slist *with_key = key ? curl_slist_append(list, key) : list;
    struct curl_slist *with_both = NULL;
    if (with_key || !key)
        with_both = curl_slist_append(with_key, lwa_token_get_authorization_header(token));
    if (!with_both && !list)
        curl_slist_free_all(with_key);
    return with_both;
}

/* Wipes and frees it. Returns NULL; takes NULL. */
LWA_CURL_INLINE struct curl_slist *lwa_curl_free_headers(struct curl_slist *list)
{
    struct curl_slist *at;
    for (at = list; at; at = at->next) {
        volatile char *c = at->data;
        while (*c)
            *c++ = '\0';
    }
    curl_slist_free_all(list);
    return NULL;
}

/* As much as is looked at of the body of a 401. */
#define LWA_CURL_ANSWER_BYTES_MAX 4096

/* A request: for lwa_curl_perform(). Begin with LWA_CURL_INIT. */
struct lwa_curl {
    /* The caller's. Its CURLOPT_HTTPHEADER, _WRITEFUNCTION, _WRITEDATA are set for the time of the request;
     * its CURLOPT_FOLLOWLOCATION is off and its protocol is HTTPS from then on. */
    CURL *easy;
    const struct curl_slist *headers; /* the caller's, to be sent besides; may be NULL */
    /* As CURLOPT_WRITEFUNCTION; NULL: the body is dropped. Of a 401 it gets the first 4 KiB, at the end. */
    size_t (*write_fn)(char *bytes, size_t size, size_t n, void *userdata);
    void *write_userdata;
    /* What came of it. */
    CURLcode code;
    long status; /* of HTTP; 0 if there was no answer */
    /* Inside. */
    size_t n_answer;
    char answer[LWA_CURL_ANSWER_BYTES_MAX];
};
#define LWA_CURL_INIT                                                                                        \
    {                                                                                                        \
        NULL, NULL, NULL, NULL, CURLE_OK, 0, 0,                                                              \
        {                                                                                                    \
            0                                                                                                \
        }                                                                                                    \
    }

LWA_CURL_INLINE size_t lwa_curl_write(char *bytes, size_t size, size_t n, void *userdata)
{
    struct lwa_curl *request = (struct lwa_curl *)userdata;
    size_t n_bytes = size * n;
    size_t n_kept = LWA_CURL_ANSWER_BYTES_MAX - request->n_answer;
    if (curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &request->status) != CURLE_OK ||
        request->status != 401)
        return request->write_fn ? request->write_fn(bytes, size, n, request->write_userdata) : n_bytes;
    if (n_kept > n_bytes)
        n_kept = n_bytes;
    if (n_kept > 0)
        memcpy(request->answer + request->n_answer, bytes, n_kept);
    request->n_answer += n_kept;
    return n_bytes;
}

/* A copy of the caller's headers, and the token's; NULL without memory. */
LWA_CURL_INLINE struct curl_slist *lwa_curl_new_headers(const struct curl_slist *others,
                                                        const struct lwa_token *token)
{
    struct curl_slist *list = NULL;
    struct curl_slist *longer = NULL;
    for (; others; others = others->next) {
        longer = curl_slist_append(list, others->data);
        if (!longer) {
            lwa_curl_free_headers(list);
            return NULL;
        }
        list = longer;
    }
    longer = lwa_curl_append_headers(list, token);
    if (!longer)
        lwa_curl_free_headers(list);
    return longer;
}

LWA_CURL_INLINE CURLcode lwa_curl_bind(CURL *easy)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    if (code != CURLE_OK)
        return code;
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
#else
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
}

LWA_CURL_INLINE CURLcode lwa_curl_transfer(struct lwa_curl *request, struct curl_slist *headers)
{
    CURLcode code = lwa_curl_bind(request->easy);
    if (code == CURLE_OK)
        code = curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, headers);
    if (code == CURLE_OK)
        code = curl_easy_setopt(request->easy, CURLOPT_WRITEFUNCTION, lwa_curl_write);
    if (code == CURLE_OK)
        code = curl_easy_setopt(request->easy, CURLOPT_WRITEDATA, request);
    if (code == CURLE_OK)
        code = curl_easy_perform(request->easy);
    /* The handle can outlive headers and request. */
    (void)curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, (struct curl_slist *)NULL);
    (void)curl_easy_setopt(request->easy, CURLOPT_WRITEFUNCTION, (curl_write_callback)NULL);
    (void)curl_easy_setopt(request->easy, CURLOPT_WRITEDATA, (void *)stdout);
    return code;
}

/* Performs the request with this token, for lwa_client_call(): `userdata` is the struct lwa_curl. 0 when
 * there is an answer, whatever its status; LWA_CALL_REJECTED if it says that the token was rejected; -1 when
 * the transfer failed, which `code` explains. Blocks. */
LWA_CURL_INLINE int lwa_curl_perform(struct lwa_token *token, void *userdata)
{
    struct lwa_curl *request = (struct lwa_curl *)userdata;
    struct curl_slist *headers = lwa_curl_new_headers(request->headers, token);
    request->status = 0;
    request->n_answer = 0;
    request->code = headers ? lwa_curl_transfer(request, headers) : CURLE_OUT_OF_MEMORY;
    lwa_curl_free_headers(headers);
    if (request->code != CURLE_OK)
        return -1;
    (void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &request->status);
    if (lwa_is_rejected(request->status, request->answer, request->n_answer))
        return LWA_CALL_REJECTED;
    if (request->n_answer > 0 && request->write_fn &&
        request->write_fn(request->answer, 1, request->n_answer, request->write_userdata) !=
            request->n_answer) {
        request->code = CURLE_WRITE_ERROR;
        return -1;
    }
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif
