/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An app of another user: a process of its own, because the broker looks at the process behind a connection.
 * It does what it is told over a socket, and measures that itself. */

#include "tests/bench/bench.h"

#include "dbus/names.h"

#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct app {
    pid_t pid;
    int fd;
};

struct answer {
    double usec;
    char name[APP_NAME_BYTES];
};

static DBusMessage *new_release(void)
{
    DBusMessage *message =
        dbus_message_new_method_call(LWA_BUS_NAME, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "ReleaseTokens");
    if (!message)
        die("no memory");
    return message;
}

static void act(const char *address, enum app_act what, DBusConnection **connection)
{
    switch (what) {
    case APP_CONNECT:
        *connection = connect_to(address);
        break;
    case APP_CALL:
        (void)timed_message(*connection, TARGET_BROKER, new_call(TARGET_BROKER));
        break;
    case APP_CALL_TWO_SCOPES:
        (void)timed_message(*connection, TARGET_BROKER, new_two_scopes_call());
        break;
    case APP_CHECK:
        (void)timed_message(*connection, TARGET_PING, new_check_call());
        break;
    case APP_RELEASE:
        (void)timed_message(*connection, TARGET_PING, new_release());
        break;
    case APP_LOOK_UP_USER:
        if (!getpwuid(getuid()))
            die("user %u has no name", (unsigned)getuid());
        break;
    case APP_DISCONNECT:
        disconnect(*connection);
        *connection = NULL;
        break;
    }
}

static void run(const char *address, uid_t uid, int fd)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
        die("uid %u cannot be taken on", (unsigned)uid);
    DBusConnection *connection = NULL;
    enum app_act what;
    while (read(fd, &what, sizeof(what)) == sizeof(what)) {
        struct answer answer = {.name = ""};
        double before = precise_usec();
        act(address, what, &connection);
        answer.usec = precise_usec() - before;
        if (connection)
            (void)snprintf(answer.name, sizeof(answer.name), "%s", dbus_bus_get_unique_name(connection));
        if (write(fd, &answer, sizeof(answer)) != sizeof(answer))
            break;
    }
    _exit(EXIT_SUCCESS);
}

struct app *app_start(const char *address, uid_t uid)
{
    int fds[2];
    struct app *app = calloc(1, sizeof(*app));
    if (!app || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        die("no app of uid %u", (unsigned)uid);
    app->pid = fork();
    if (app->pid < 0)
        die("fork failed");
    if (app->pid == 0) {
        (void)close_fd(fds[0]);
        run(address, uid, fds[1]);
    }
    (void)close_fd(fds[1]);
    app->fd = fds[0];
    return app;
}

double app_do_named(struct app *app, enum app_act what, char *ret_name)
{
    struct answer answer;
    if (write(app->fd, &what, sizeof(what)) != sizeof(what) ||
        read(app->fd, &answer, sizeof(answer)) != sizeof(answer))
        die("an app ended");
    if (ret_name)
        memcpy(ret_name, answer.name, sizeof(answer.name));
    return answer.usec;
}

double app_do(struct app *app, enum app_act what)
{
    return app_do_named(app, what, NULL);
}

void app_end(struct app *app)
{
    (void)shutdown(app->fd, SHUT_RDWR); /* apps that were started later have it too */
    (void)close_fd(app->fd);
    (void)waitpid(app->pid, NULL, 0);
    free(app);
}
