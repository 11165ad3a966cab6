/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lwa-sim: Login with Amazon and a small Amazon Music, simulated on 127.0.0.1, for tests and demonstrations.
 *
 * The HTTPS port serves what the provider serves, pages for people included; the control port, in plain
 * HTTP, sets behaviour and faults and tells what happened. SIGTERM and SIGINT are taken by this thread only,
 * which does nothing else than wait for them. */

#include "tests/sim/control.h"
#include "tests/sim/memory.h"
#include "tests/sim/provider.h"
#include "tests/sim/server.h"

#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>

#define PEM_BYTES_MAX 65536

struct options {
    const char *cert;
    const char *key;
    const char *port;
    const char *control_port;
    const char *ports_file;
    const char *public_base;
    const char *client_id;
    const char *web_client_id;
    const char *client_secret;
    const char *security_profile_id;
};

static const struct options defaults = {
    .port = "0",
    .control_port = "0",
    .client_id = "amzn1.application-oa2-client.00000000000000000000000000d01ce0",
    .web_client_id = "amzn1.application-oa2-client.0000000000000000000000000000eb00",
    .client_secret = "simulated-secret",
    .security_profile_id = "amzn1.application.000000000000000000000000005ec0f0",
};

static const struct {
    const char *name;
    const char *value;
    const char *text;
    size_t offset;
} rows[] = {
    {"cert", "FILE", "certificate chain (PEM); needed", offsetof(struct options, cert)},
    {"key", "FILE", "its private key (PEM); needed", offsetof(struct options, key)},
    {"port", "N", "HTTPS port, 0 for any (0)", offsetof(struct options, port)},
    {"control-port", "N", "control port, 0 for any (0)", offsetof(struct options, control_port)},
    {"ports-file", "FILE", "write both ports there once listening", offsetof(struct options, ports_file)},
    {"public-base", "URL", "how people reach the HTTPS port (https://localhost:PORT)",
     offsetof(struct options, public_base)},
    {"client-id", "ID", "client of a device", offsetof(struct options, client_id)},
    {"web-client-id", "ID", "client that needs a secret", offsetof(struct options, web_client_id)},
    {"client-secret", "TEXT", "that secret", offsetof(struct options, client_secret)},
    {"security-profile-id", "ID", "what x-api-key must be", offsetof(struct options, security_profile_id)},
};

static void print_help(FILE *out)
{
    (void)fprintf(out, "Usage: lwa-sim --cert FILE --key FILE [OPTION...]\n\n"
                       "Simulates Login with Amazon and Amazon Music on 127.0.0.1.\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char option[48];
        (void)snprintf(option, sizeof(option), "--%s %s", rows[i].name, rows[i].value);
        (void)fprintf(out, "  %-28s %s\n", option, rows[i].text);
    }
    (void)fprintf(out, "  %-28s this text\n", "--help");
}

/* 0 to go on; else the exit status + 1. */
static int parse_arguments(int argc, char **argv, struct options *options)
{
    struct option long_options[ARRAY_SIZE(rows) + 2] = {{NULL, 0, NULL, 0}};
    int option, index;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        long_options[i] = (struct option){rows[i].name, required_argument, NULL, 'o'};
    long_options[ARRAY_SIZE(rows)] = (struct option){"help", no_argument, NULL, 'h'};

    while ((option = getopt_long(argc, argv, "", long_options, &index)) >= 0) {
        if (option == 'h') {
            print_help(stdout);
            return EXIT_SUCCESS + 1;
        }
        if (option != 'o')
            return EXIT_FAILURE + 1;
        memcpy((char *)options + rows[index].offset, &optarg, sizeof(optarg));
    }
    if (optind < argc || !options->cert || !options->key) {
        print_help(stderr);
        return EXIT_FAILURE + 1;
    }
    return 0;
}

static int read_pem(const char *path, char **ret_text)
{
    _cleanup_fclose_ FILE *in = fopen(path, "re");
    _cleanup_free_ char *text = must(malloc(PEM_BYTES_MAX + 1));
    size_t n = in ? fread(text, 1, PEM_BYTES_MAX, in) : 0;

    if (n == 0) {
        (void)fprintf(stderr, "lwa-sim: %s: cannot be read, or is empty\n", path);
        return -EINVAL;
    }
    text[n] = '\0';
    *ret_text = TAKE_PTR(text);
    return 0;
}

static int start_server(struct sim *sim, const char *port, const char *cert, const char *key,
                        server_dispatch dispatch, struct server **ret)
{
    uint32_t number;
    int r = -EINVAL;

    if (number_parse(port, UINT16_MAX, &number)) {
        struct server_options options = {.port = (uint16_t)number, .cert = cert, .key = key};
        r = server_start(sim, &options, dispatch, ret);
    }
    if (r < 0)
        (void)fprintf(stderr, "lwa-sim: cannot serve on port %s: %s%s\n", port, strerror(-r),
                      cert && r == -EINVAL ? " (or certificate and key do not fit)" : "");
    return r;
}

/* Requests that come at once wait for the lock, and so for the address of the pages to be known. */
static int start_provider(struct sim *sim, const struct options *options, const char *cert, const char *key,
                          struct server **ret)
{
    sim_lock(sim);
    int r = start_server(sim, options->port, cert, key, provider_dispatch, ret);
    if (r == 0 && options->public_base)
        sim->public_base = must(strdup(options->public_base));
    else if (r == 0 && asprintf(&sim->public_base, "https://localhost:%u", server_port(*ret)) < 0)
        abort();
    sim_unlock(sim);
    return r;
}

/* Written under another name and renamed, so that who waits for the file finds it whole. */
static int write_ports(const char *path, unsigned https, unsigned control)
{
    _cleanup_free_ char *temporary = NULL;
    _cleanup_fclose_ FILE *out = NULL;

    if (asprintf(&temporary, "%s.tmp", path) < 0)
        abort();
    out = fopen(temporary, "we");
    if (!out || fprintf(out, "https %u\ncontrol %u\n", https, control) < 0 || fflush(out) != 0 ||
        rename(temporary, path) < 0) {
        (void)fprintf(stderr, "lwa-sim: %s: %s\n", path, strerror(errno));
        return -errno;
    }
    return 0;
}

static int serve(struct sim *sim, const struct options *options, const char *cert, const char *key,
                 const sigset_t *signals)
{
    _cleanup_(server_freep) struct server *control = NULL;
    _cleanup_(server_freep) struct server *https = NULL;
    int signal;
    int r;

    r = start_provider(sim, options, cert, key, &https);
    if (r < 0)
        return r;
    r = start_server(sim, options->control_port, NULL, NULL, control_dispatch, &control);
    if (r < 0)
        return r;
    if (options->ports_file)
        r = write_ports(options->ports_file, server_port(https), server_port(control));
    if (r < 0)
        return r;
    (void)fprintf(stderr, "lwa-sim: type codes at %s/code, control at http://127.0.0.1:%u/state\n",
                  sim->public_base, server_port(control));
    (void)sigwait(signals, &signal);
    sim_stop(sim);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = defaults;
    _cleanup_free_ char *cert = NULL;
    _cleanup_free_ char *key = NULL;
    struct sim sim;
    sigset_t signals;

    int r = parse_arguments(argc, argv, &options);
    if (r > 0)
        return r - 1;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (sodium_init() < 0 || read_pem(options.cert, &cert) < 0 || read_pem(options.key, &key) < 0)
        return EXIT_FAILURE;

    sim_init(&sim);
    sim.device_client = (struct client){.id = options.client_id};
    sim.web_client = (struct client){.id = options.web_client_id, .secret = options.client_secret};
    sim.security_profile_id = options.security_profile_id;
    r = serve(&sim, &options, cert, key, &signals);
    sim_deinit(&sim);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
