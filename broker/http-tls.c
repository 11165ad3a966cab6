/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The system's authorities come as one file and as a folder of files whose names are hashes of their
 * subjects. Curl's default reads the file, whole, for every connection: 25 ms in which the loop serves
 * nobody, and 0.9 MiB that stay (measured with Debian 12's 140 authorities). From the folder only the one
 * that is needed is read. So the folder is used where it has such names, as Debian's has. */

#include "broker/http-tls.h"

#include <dirent.h>
#include <string.h>

/* OpenSSL's numbers (x509_vfy.h), which CURLINFO_SSL_VERIFYRESULT hands through. */
enum { VERIFY_NOT_YET_VALID = 9, VERIFY_HAS_EXPIRED = 10 };

static void closedirp(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static bool is_hash_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && strcmp(name + 8, ".0") == 0;
}

const char *http_tls_find_ca_folder(void)
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

#define SET(option, value) (failed |= curl_easy_setopt(easy, option, value) != CURLE_OK)

bool http_tls_set_policy(CURL *easy, const char *ca_file, const char *ca_folder)
{
    bool failed = false;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
    if (!ca_file && !ca_folder)
        return !failed;

    SET(CURLOPT_CAINFO, ca_file);
    SET(CURLOPT_CAPATH, ca_file ? NULL : ca_folder);
    SET(CURLOPT_PROXY_CAINFO, ca_file);
    SET(CURLOPT_PROXY_CAPATH, ca_file ? NULL : ca_folder);
    return !failed;
}

#undef SET

bool http_tls_is_about_time(CURL *easy)
{
    long server = 0, proxy = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &server);
    (void)curl_easy_getinfo(easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy);
    return server == VERIFY_NOT_YET_VALID || server == VERIFY_HAS_EXPIRED || proxy == VERIFY_NOT_YET_VALID ||
           proxy == VERIFY_HAS_EXPIRED;
}
