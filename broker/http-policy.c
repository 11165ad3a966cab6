/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The system's authorities come as one file and as a folder of files whose names are hashes of their
 * subjects. Curl's default reads the file, whole, for every connection: 25 ms in which the loop serves
 * nobody, and 0.9 MiB that stay (measured with Debian 12's 140 authorities). From the folder only the one
 * that is needed is read. So the folder is used where it has such names, as Debian's has. */

#include "broker/http-policy.h"

#include "autoconf.h"
#include <dirent.h>
#include <openssl/ssl.h>
#include <string.h>

#define POOL_AGE_SEC 60L

/* --- options ----------------------------------------------------------------------------------------- */

static void closedirp(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static bool is_hash_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && strcmp(name + 8, ".0") == 0;
}

static const char *find_ca_folder(void)
{
    const char *path = curl_version_info(CURLVERSION_NOW)->capath;
    _cleanup_(closedirp) DIR *folder = path ? opendir(path) : NULL;
    if (!folder)
        return NULL;
    for (const struct dirent *entry; (entry = readdir(folder));)
        if (is_hash_name(entry->d_name))
            return path;
    return NULL;
}

int http_policy_set(struct http_policy *p, const struct http_options *options)
{
    _cleanup_free_ char *proxy = strdup(options->proxy ? options->proxy : "");
    bool has_ca_file = options->ca_file && options->ca_file[0];
    _cleanup_free_ char *ca_file = has_ca_file ? strdup(options->ca_file) : NULL;
    if (!proxy || (has_ca_file && !ca_file))
        return -ENOMEM;

    http_policy_clear(p);
    *p = (struct http_policy){
        .ca_file = TAKE_PTR(ca_file),
        .ca_folder = has_ca_file ? NULL : find_ca_folder(),
        .proxy = TAKE_PTR(proxy),
        .connect_timeout_sec = (long)options->connect_timeout_sec,
        .request_timeout_sec = (long)options->request_timeout_sec,
    };
    return 0;
}

void http_policy_clear(struct http_policy *p)
{
    free(p->ca_file);
    free(p->proxy);
    *p = (struct http_policy){0};
}

/* --- transfers --------------------------------------------------------------------------------------- */

#define SET(option, value) (failed |= curl_easy_setopt(easy, option, value) != CURLE_OK)

/* OpenSSL decrypts in place and keeps the buffer with the connection: without this the last reply, tokens and
 * all, stays in memory for as long as the connection does, and after it. */
static CURLcode on_tls_context(CURL *easy _unused_, void *context, void *userdata _unused_)
{
    (void)SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);
    return CURLE_OK;
}

/* TLS 1.2 or newer and full verification, for the server and for an https proxy. */
static bool apply_tls(const struct http_policy *p, CURL *easy)
{
    bool failed = false;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
    if (!p->ca_file && !p->ca_folder)
        return !failed;

    SET(CURLOPT_CAINFO, p->ca_file);
    SET(CURLOPT_CAPATH, p->ca_folder);
    SET(CURLOPT_PROXY_CAINFO, p->ca_file);
    SET(CURLOPT_PROXY_CAPATH, p->ca_folder);
    return !failed;
}

bool http_policy_apply(const struct http_policy *p, CURL *easy)
{
    bool failed = false;
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_USERAGENT, "lwa-broker/" PACKAGE_VERSION);
    /* The total bounds a slow reply too: it is small enough that a low-speed limit would add nothing. */
    SET(CURLOPT_CONNECTTIMEOUT, p->connect_timeout_sec);
    SET(CURLOPT_TIMEOUT, p->request_timeout_sec);
    SET(CURLOPT_MAXAGE_CONN, POOL_AGE_SEC);
    /* Both are said even when empty: curl reads the environment only for what is not set. */
    SET(CURLOPT_PROXY, p->proxy);
    SET(CURLOPT_NOPROXY, "");
    return !failed && apply_tls(p, easy);
}

#undef SET

static void url_freep(CURLU **u)
{
    curl_url_cleanup(*u);
}

int http_policy_check_url(const char *url)
{
    _cleanup_(url_freep) CURLU *u = curl_url();
    if (!u)
        return -ENOMEM;
    CURLUcode code = curl_url_set(u, CURLUPART_URL, url, 0);
    char *scheme = NULL;
    if (code == CURLUE_OK)
        code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
    bool is_https = scheme && strcmp(scheme, "https") == 0;
    curl_free(scheme);
    if (code == CURLUE_OUT_OF_MEMORY)
        return -ENOMEM;
    return code == CURLUE_OK && is_https ? 0 : -EINVAL;
}

static bool is_about_time(long verify_result)
{
    return verify_result == X509_V_ERR_CERT_NOT_YET_VALID || verify_result == X509_V_ERR_CERT_HAS_EXPIRED;
}

bool http_policy_is_about_time(CURL *easy)
{
    long server = 0, proxy = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &server);
    (void)curl_easy_getinfo(easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy);
    return is_about_time(server) || is_about_time(proxy);
}

bool http_policy_is_too_early(CURL *easy)
{
    long server = 0, proxy = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &server);
    (void)curl_easy_getinfo(easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy);
    return server == X509_V_ERR_CERT_NOT_YET_VALID || proxy == X509_V_ERR_CERT_NOT_YET_VALID;
}
