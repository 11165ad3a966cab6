/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lwa-brokerd: the command line, and the order in which privileges are given up:
 *
 *   root (or lwa-broker, from its unit)
 *     1. starts lwa-identd, which keeps the two capabilities that it needs, and nothing else of ours; from
 *        our unit only connects to it, in a unit of its own: there is no capability in ours from the start
 *     2. the environment is cleared: nothing in it can steer a privileged process
 *     3. no core dumps, not dumpable, no new privileges
 *     4. becomes lwa-broker, without any capability
 *   lwa-broker
 *     5. loads the libraries that could not be loaded later, and gives up all system calls but those it needs
 *     6. reads the configuration and the key, opens the store, connects, takes the bus name, serves */

#include "autoconf.h"
#include "broker/broker.h"
#include "broker/check-main.h"
#include "broker/harden.h"
#include "broker/http-memory.h"
#include "broker/identd-spawn.h"
#include "broker/loop.h"
#include "broker/seccomp.h"
#include "util/log.h"

#include <getopt.h>
#include <malloc.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "lwa-brokerd [OPTION...]\n"
    "\n"
    "The credential broker for Login with Amazon; normally started by the system.\n"
    "\n"
    "  --config FILE          configuration (" CONFDIR "/broker.conf)\n"
    "  --state-dir DIR        database (" STATEDIR ")\n"
    "  --bus-address ADDRESS  message bus (the system bus)\n"
    "  --identd FILE          program or socket that finds out who calls (" LIBEXECDIR "/lwa-identd)\n"
    "  --user NAME            whom to become when started as root (lwa-broker)\n"
    "  --check                look around, say what is wrong, change nothing, end\n"
    "  --debug                log more\n"
    "  --print-config[=KEY]   print all keys, or those of a section, or one, with defaults\n"
    "  --help, --version\n";

enum {
    OPTION_CONFIG = 256,
    OPTION_STATE_DIR,
    OPTION_BUS_ADDRESS,
    OPTION_IDENTD,
    OPTION_USER,
    OPTION_CHECK,
    OPTION_DEBUG,
    OPTION_PRINT_CONFIG,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
    {"bus-address", required_argument, NULL, OPTION_BUS_ADDRESS},
    {"identd", required_argument, NULL, OPTION_IDENTD},
    {"user", required_argument, NULL, OPTION_USER},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"debug", no_argument, NULL, OPTION_DEBUG},
    {"print-config", optional_argument, NULL, OPTION_PRINT_CONFIG},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int print_config(const char *which)
{
    struct ini_problem problem;
    int r = config_print_defaults(stdout, which, &problem);
    if (r > 0)
        (void)fprintf(stderr, "lwa-brokerd: %s.\n", problem.reason);
    return r > 0 ? 2 : r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* -1: go on; else the exit code. */
static int read_command_line(int argc, char **argv, struct broker_options *ret, bool *ret_checks)
{
    for (int c = getopt_long(argc, argv, "", long_options, NULL); c >= 0;
         c = getopt_long(argc, argv, "", long_options, NULL)) {
        switch (c) {
        case OPTION_CONFIG:
            ret->config_path = optarg;
            break;
        case OPTION_STATE_DIR:
            ret->state_dir = optarg;
            break;
        case OPTION_BUS_ADDRESS:
            ret->bus_address = optarg;
            break;
        case OPTION_IDENTD:
            ret->identd_path = optarg;
            break;
        case OPTION_USER:
            ret->user = optarg;
            break;
        case OPTION_CHECK:
            *ret_checks = true;
            break;
        case OPTION_DEBUG:
            log_set_level(LOG_LEVEL_DEBUG);
            break;
        case OPTION_PRINT_CONFIG:
            return print_config(optarg);
        case OPTION_HELP:
            return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        case OPTION_VERSION:
            return puts("lwa-brokerd " PACKAGE_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        default:
            (void)fputs("Try lwa-brokerd --help.\n", stderr);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    (void)fputs("lwa-brokerd takes no arguments.\n", stderr);
    return 2;
}

static int give_up_privileges(const char *user)
{
    (void)umask(0077);
    int r = harden_environment();
    if (r == 0)
        r = harden_process();
    if (r == 0)
        r = harden_become(user);
    if (r == 0)
        r = harden_process(); /* changing the user made it dumpable or not as the system is configured */
    if (r == -ENOENT)
        log_error("there is no user %s: add one, or name another with --user", user);
    else if (r < 0)
        log_error("privileges could not be given up (user %s): %s", user, strerror(-r));
    return r;
}

/* The TLS library loads what the machine's openssl.cnf names, a FIPS module for instance, when it starts. */
static int confine(void)
{
    seccomp_preload_names();
    int r = http_memory_init();
    if (r == 0)
        r = seccomp_confine();
    if (r < 0)
        log_error("the system call filter cannot be set up: %s; the kernel must have CONFIG_SECCOMP_FILTER",
                  strerror(-r));
    return r;
}

/* Handles are closed by libuv in the rounds after they were given up; a few are enough. False when something
 * is still there: a worker that waits for the name service. */
static bool close_loop(uv_loop_t *loop)
{
    for (int i = 0; i < 100; i++) {
        if (uv_loop_close(loop) != UV_EBUSY)
            return true;
        (void)uv_run(loop, UV_RUN_NOWAIT);
    }
    return false;
}

static int serve(uv_loop_t *loop, const struct broker_options *options)
{
    struct broker broker;
    int code = EXIT_FAILURE;
    if (broker_start(&broker, loop, options) == 0)
        code = broker_run(&broker);
    broker_free(&broker);
    return code;
}

int main(int argc, char **argv)
{
    struct broker_options options = {
        .config_path = CONFDIR "/broker.conf",
        .state_dir = STATEDIR,
        .user = "lwa-broker",
        .identd_path = LIBEXECDIR "/lwa-identd",
        .identd_fd = -1,
    };
    bool checks = false;
    int code = read_command_line(argc, argv, &options, &checks);
    if (code >= 0)
        return code;
    if ((!checks && identd_get(options.identd_path, options.user, &options.identd_fd) < 0) ||
        give_up_privileges(options.user) < 0 || confine() < 0)
        return EXIT_FAILURE;
    options.credentials = getenv("CREDENTIALS_DIRECTORY");
    options.systemd.socket = getenv("NOTIFY_SOCKET");
    options.systemd.watchdog_usec = getenv("WATCHDOG_USEC");
    options.systemd.watchdog_pid = getenv("WATCHDOG_PID");
    if (sodium_init() < 0) {
        log_error("libsodium cannot be used on this machine");
        return EXIT_FAILURE;
    }
    /* One arena: a second one for the store's thread and the workers would cost memory and buy nothing. */
    (void)mallopt(M_ARENA_MAX, 1);

    uv_loop_t loop = {.data = NULL}; /* uv_loop_init() keeps it, and timer.c looks at it */
    if (uv_loop_init(&loop) < 0 || loop_prepare(&loop) < 0) {
        log_error("no event loop");
        return EXIT_FAILURE;
    }
    code = checks ? check_main(&loop, &options) : serve(&loop, &options);
    if (!close_loop(&loop))
        _exit(code); /* exit() would join libuv's workers, however long the name service takes */
    return code;
}
