/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A request to the Amazon Music API with libcurl. lwa_client_call() gets the token, and if the API does not
 * take it, reports it, gets another, and runs the request once more.
 *
 *     cc curl.c -o curl $(pkg-config --cflags --libs lwa-client libcurl) */

#include <lwa-client-curl.h>
#include <lwa-client.h>

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Where the API is comes with the token. */
static int fetch(struct lwa_token *token, void *userdata)
{
    struct lwa_curl *request = userdata;
    char url[1024];
    (void)snprintf(url, sizeof(url), "%s/me/playlists", lwa_token_get_api_base(token));
    if (curl_easy_setopt(request->easy, CURLOPT_URL, url) != CURLE_OK)
        return -ENOMEM;
    return lwa_curl_perform(token, request);
}

static size_t write_body(char *bytes, size_t size, size_t n, void *userdata)
{
    return fwrite(bytes, size, n, userdata) * size;
}

static CURL *easy_new(void)
{
    const char *authority = getenv("CURL_CA_BUNDLE"); /* as the tool curl has it */
    CURL *easy = curl_easy_init();
    if (!easy || curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_TIMEOUT, 60L) != CURLE_OK ||
        (authority && curl_easy_setopt(easy, CURLOPT_CAINFO, authority) != CURLE_OK)) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    return easy;
}

static void complain(const struct lwa_client *client, const struct lwa_curl *request, int result)
{
    if (request->code != CURLE_OK)
        fprintf(stderr, "the request failed: %s\n", curl_easy_strerror(request->code));
    else if (result == -EKEYEXPIRED)
        fprintf(stderr, "the API took neither the token nor a new one\n");
    else
        fprintf(stderr, "no token: %s\n", lwa_error_get_message(lwa_client_get_error(client)));
}

/* What a program does for each request; the client and the easy handle are for all of them. */
static int print_playlists(struct lwa_client *client, CURL *easy)
{
    struct lwa_curl request = LWA_CURL_INIT;
    int r;
    request.easy = easy;
    request.write_fn = write_body;
    request.write_userdata = stdout;
    r = lwa_client_call(client, "music::library:read", NULL, 0, fetch, &request);
    if (r < 0)
        complain(client, &request, r);
    else if (request.status != 200)
        fprintf(stderr, "the API answered with the status %ld\n", request.status);
    return r == 0 && request.status == 200 ? 0 : 1;
}

int main(void)
{
    struct lwa_client *client = NULL;
    CURL *easy = NULL;
    int status = 1;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        easy = easy_new();
    if (easy && lwa_client_new(&client) == 0)
        status = print_playlists(client, easy);
    lwa_client_free(client);
    curl_easy_cleanup(easy);
    curl_global_cleanup();
    return status;
}
