/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each host of the configuration is asked for the head of its root, by the broker's own way: its authorities,
 * its proxy. That is no login and no try of one. Whatever HTTP answers, it is reachable. */

#include "broker/diagnose-internal.h"

#include "util/clock.h"

#include <inttypes.h>
#include <string.h>

#define SKEW_SEC 300 /* more than that, and certificates that were just made are not valid yet */

static const struct {
    enum http_failure failure;
    const char *text, *fix;
} failures[] = {
    {HTTP_E_RESOLVE, "its name is not found",
     "Is the network up, and the name right? `getent hosts NAME` asks as the broker does; with a proxy its "
     "name counts."},
    {HTTP_E_CONNECT, "cannot be reached",
     "Is the network up? A firewall must let port 443 out; [provider] proxy names a proxy."},
    {HTTP_E_TLS, "answers with a certificate that is not trusted, or of another host",
     "Does the network want a sign-in? Is ca-certificates installed, and [provider] ca_file right?"},
    {HTTP_E_LOST, "breaks the connection off before it answers", "Try again; look at proxy and firewall."},
    {HTTP_E_INTERNAL, "could not be asked: memory or descriptors are out", "Try again."},
};

static const char *host_of(const struct diagnose_host *h)
{
    return h->origin + strlen("https://");
}

/* --- time -------------------------------------------------------------------------------------------- */

static void tell_time_of_certificate(struct diagnosis *d, const struct diagnose_host *h, bool is_too_early)
{
    findings_add(&d->findings, CHECK_HOST, host_of(h), FINDING_PROBLEM,
                 "Look at `date`. If the clock is right, it is the server's certificate that is not.",
                 is_too_early
                     ? "its certificate is not valid yet: the clock of this device is probably behind"
                     : "its certificate has run out, or the clock of this device is ahead");
    findings_add(&d->findings, CHECK_CLOCK, host_of(h), FINDING_WARNING,
                 "Look at `date`; systemd-timesyncd can set the clock.", "%s",
                 is_too_early ? "is before the time from which the host's certificate is valid"
                              : "is after the time until which the host's certificate is valid");
    d->is_clock_told = true;
}

static void tell_skew(struct diagnosis *d, const struct diagnose_host *h, int64_t date_sec)
{
    int64_t ahead = wall_sec() - date_sec;
    if (date_sec == 0 || d->is_clock_told)
        return;
    d->is_clock_told = true;
    if (ahead > SKEW_SEC || ahead < -SKEW_SEC)
        findings_add(&d->findings, CHECK_CLOCK, host_of(h), FINDING_WARNING,
                     "Look at `date`; systemd-timesyncd can set the clock.",
                     "is %" PRId64 " s %s of the host's", ahead > 0 ? ahead : -ahead,
                     ahead > 0 ? "ahead" : "behind");
    else
        findings_add(&d->findings, CHECK_CLOCK, host_of(h), FINDING_OK, NULL, "agrees with the host's");
}

/* --- one host ---------------------------------------------------------------------------------------- */

static void tell_failure(struct diagnosis *d, const struct diagnose_host *h, enum http_failure failure)
{
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
        if (failures[i].failure == failure)
            findings_add(&d->findings, CHECK_HOST, host_of(h), FINDING_PROBLEM, failures[i].fix, "%s",
                         failures[i].text);
}

static void on_head(const struct http_reply *reply, void *userdata)
{
    struct diagnose_host *h = userdata;
    struct diagnosis *d = h->diagnosis;
    h->request = NULL;
    if (reply->failure == HTTP_OK || reply->failure == HTTP_E_TOO_LARGE) {
        findings_add(&d->findings, CHECK_HOST, host_of(h), FINDING_OK, NULL,
                     "is found, its certificate is good, and it answers");
        tell_skew(d, h, reply->date_sec);
    } else if (reply->failure == HTTP_E_TLS_TIME) {
        tell_time_of_certificate(d, h, reply->is_not_yet_valid);
    } else {
        tell_failure(d, h, reply->failure);
    }
    diagnosis_done(d, h->wait);
}

/* --- which ones -------------------------------------------------------------------------------------- */

static bool is_there(const struct diagnosis *d, const char *origin)
{
    for (size_t i = 0; i < d->n_hosts; i++)
        if (strcmp(d->hosts[i].origin, origin) == 0)
            return true;
    return false;
}

/* What is longer is no host. */
static void add_host(struct diagnosis *d, const char *url)
{
    struct diagnose_host *h = &d->hosts[d->n_hosts];
    size_t scheme = strlen("https://"), n = scheme + strcspn(url + scheme, "/");
    if (n >= sizeof(h->origin))
        return;
    char origin[sizeof(h->origin)];
    (void)snprintf(origin, sizeof(origin), "%.*s", (int)n, url);
    if (is_there(d, origin))
        return;
    memcpy(h->origin, origin, sizeof(origin));
    h->diagnosis = d;
    d->n_hosts++;
}

void diagnose_hosts(struct diagnosis *d)
{
    const struct config *c = d->broker->config;
    add_host(d, c->token_endpoint);
    add_host(d, c->codepair_endpoint);
    add_host(d, c->authorize_endpoint);
    add_host(d, c->tokeninfo_endpoint);
    add_host(d, c->profile_endpoint);
    add_host(d, c->api_base);
    for (size_t i = 0; i < d->n_hosts; i++)
        d->hosts[i].wait = diagnosis_wait(d, CHECK_HOST, host_of(&d->hosts[i]));
    for (size_t i = 0; i < d->n_hosts; i++) {
        struct diagnose_host *h = &d->hosts[i];
        if (http_head(d->broker->http, h->origin, on_head, h, &h->request) < 0)
            on_head(&(struct http_reply){.failure = HTTP_E_INTERNAL}, h);
    }
}

void diagnose_hosts_drop(struct diagnosis *d)
{
    for (size_t i = 0; i < d->n_hosts; i++)
        http_request_drop(d->hosts[i].request);
}
