/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose the other end of a connection is, by both ways to find out. */

#include "tests/unit/unit.h"

#include "client/lwactl/peer-uid.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static bool has_netlink;

/* In place of the C library's: a kernel that cannot be asked. */
int socket(int domain, int type, int protocol)
{
    if (domain == AF_NETLINK && !has_netlink) {
        errno = EPROTONOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

struct pair {
    int listener, ours, theirs;
};

static void connect_pair(struct pair *p)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(address);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p->theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(p->listener, 1), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&address, &n), 0);
    assert_int_equal(connect(p->theirs, (struct sockaddr *)&address, n), 0);
    p->ours = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(p->ours >= 0);
}

static void close_pair(struct pair *p)
{
    close_fd(p->listener);
    close_fd(p->ours);
    close_fd(p->theirs);
}

static void test_owner(void **state)
{
    const struct peer_uids own = {{geteuid()}, 1}, other = {{geteuid() + 1}, 1}, none = {.n = 0};
    struct pair p;
    (void)state;
    connect_pair(&p);
    assert_true(peer_uid_is_allowed(p.ours, &own));
    assert_false(peer_uid_is_allowed(p.ours, &other));
    assert_false(peer_uid_is_allowed(p.ours, &none));
    assert_false(peer_uid_is_allowed(p.listener, &own));
    assert_false(peer_uid_is_allowed(-1, &own));
    close_pair(&p);
}

/* What it has sent is there still, but it is nobody's any more; the kernel says root's. */
static void test_owner_that_left(void **state)
{
    const struct peer_uids everyone = {{0, geteuid()}, 2};
    struct pair p;
    (void)state;
    connect_pair(&p);
    assert_int_equal(send(p.theirs, "x", 1, 0), 1);
    p.theirs = close_fd(p.theirs);
    assert_false(peer_uid_is_allowed(p.ours, &everyone));
    close_pair(&p);
}

static int with_netlink(void **state)
{
    (void)state;
    has_netlink = true;
    return 0;
}

static int without_netlink(void **state)
{
    (void)state;
    has_netlink = false;
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_owner, with_netlink),
        cmocka_unit_test_setup(test_owner, without_netlink),
        cmocka_unit_test_setup(test_owner_that_left, with_netlink),
        cmocka_unit_test_setup(test_owner_that_left, without_netlink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
