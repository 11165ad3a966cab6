/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/identd-link.h"
#include "util/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* The test is lwa-identd at the other end of the pair. */

struct world {
    uv_loop_t loop;
    struct identd_link *link;
    int identd;
    unsigned n_lost;
};

struct question {
    struct identd_ask *ask;
    unsigned n_answers;
    struct identd_answer answer;
};

static void on_lost(void *userdata)
{
    struct world *world = userdata;
    world->n_lost++;
}

static void on_answer(const struct identd_answer *answer, void *userdata)
{
    struct question *q = userdata;
    q->ask = NULL;
    q->n_answers++;
    q->answer = *answer;
}

static int setup(void **state)
{
    static struct world world;
    int pair[2];
    memset(&world, 0, sizeof(world));
    assert_int_equal(uv_loop_init(&world.loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(identd_link_new(&world.loop, pair[0], on_lost, &world, &world.link), 0);
    world.identd = pair[1];
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    identd_link_free(world->link);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    close_fd(world->identd);
    return 0;
}

static void turn(struct world *world)
{
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

static void ask(struct world *world, struct question *q, uid_t uid)
{
    memset(q, 0, sizeof(*q));
    assert_int_equal(identd_ask(world->link, uid, 77, -1, 5, on_answer, q, &q->ask), 0);
    assert_non_null(q->ask);
}

/* The next request; -1 when there is none. The descriptor that came along is in *ret_fd. */
static int take(struct world *world, struct identd_request *ret, int *ret_fd)
{
    struct iovec part = {ret, sizeof(*ret)};
    char control[CMSG_SPACE(sizeof(int))];
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(world->identd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -1;
    assert_int_equal(n, sizeof(*ret));
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *ret_fd = -1;
    if (head)
        memcpy(ret_fd, CMSG_DATA(head), sizeof(*ret_fd));
    return 0;
}

static struct identd_request expect(struct world *world)
{
    struct identd_request request = {.id = 0};
    int fd = -1;
    assert_int_equal(take(world, &request, &fd), 0);
    assert_int_equal(fd, -1);
    return request;
}

static void say(struct world *world, const struct identd_answer *answer, size_t n)
{
    assert_int_equal(send(world->identd, answer, n, 0), n);
    turn(world);
}

static void test_answers_in_any_order(void **state)
{
    struct world *world = *state;
    struct question a, b;
    ask(world, &a, 1);
    ask(world, &b, 2);
    struct identd_request first = expect(world), second = expect(world);
    assert_int_equal(first.uid, 1);
    assert_int_equal(first.pid, 77);
    assert_int_equal(first.connected_usec, 5);
    assert_int_equal(first.has_pidfd, 0);
    assert_true(first.id != 0 && first.id != second.id);

    struct identd_answer answer = {
        .id = second.id, .is_pinned = 1, .flatpak = "org.example.Player", .exe = "/x"};
    say(world, &answer, sizeof(answer));
    assert_int_equal(a.n_answers, 0);
    assert_int_equal(b.n_answers, 1);
    assert_string_equal(b.answer.flatpak, "org.example.Player");
    assert_int_equal(b.answer.is_pinned, 1);

    answer =
        (struct identd_answer){.id = first.id, .status = IDENTD_GONE, .unit = "x.service", .is_pinned = 1};
    say(world, &answer, sizeof(answer));
    assert_int_equal(a.answer.status, IDENTD_GONE);
    assert_string_equal(a.answer.unit, ""); /* facts come with IDENTD_OK only */
    assert_int_equal(a.answer.is_pinned, 0);
}

static void test_answers_are_checked(void **state)
{
    static const struct identd_answer bad[] = {
        {.status = IDENTD_BUSY + 1},
        {.status = UINT32_MAX},
        {.is_foreign = 2},
        {.is_pinned = 2},
        {.flatpak = "player"},
        {.unit = "x"},
        {.unit = "../x.service"},
        {.exe = "player"},
        {.exe = "/x\n"},
        {.flatpak = "org.example.\x01"},
        {.exe = "/\xff"},
    };
    struct world *world = *state;
    struct question q;
    for (size_t i = 0; i <= ARRAY_SIZE(bad); i++) {
        ask(world, &q, 1);
        struct identd_answer answer = {.id = 0};
        if (i < ARRAY_SIZE(bad))
            answer = bad[i];
        else
            memset(answer.exe, '/', sizeof(answer.exe)); /* does not end */
        answer.id = expect(world).id;
        say(world, &answer, sizeof(answer));
        assert_int_equal(q.n_answers, 1);
        assert_int_equal(q.answer.status, IDENTD_UNREADABLE);
        assert_string_equal(q.answer.exe, "");
        assert_string_equal(q.answer.flatpak, "");
    }
}

static void test_dropped_is_forgotten(void **state)
{
    struct world *world = *state;
    struct question q;
    ask(world, &q, 1);
    struct identd_answer answer = {.id = expect(world).id};
    identd_ask_drop(q.ask);
    say(world, &answer, sizeof(answer));
    say(world, &answer, sizeof(answer)); /* and twice, and one that nobody asked for */
    answer.id = 12345;
    say(world, &answer, sizeof(answer));
    assert_int_equal(q.n_answers, 0);
    assert_int_equal(world->n_lost, 0);
}

static void test_pidfd_is_passed_on(void **state)
{
    struct world *world = *state;
    struct question q = {.n_answers = 0};
    struct identd_request request = {.id = 0};
    int pair[2], fd = -1;
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(identd_ask(world->link, 1, 2, pair[0], 0, on_answer, &q, &q.ask), 0);
    close_fd(pair[0]);
    assert_int_equal(take(world, &request, &fd), 0);
    assert_int_equal(request.has_pidfd, 1);
    assert_int_equal(write(pair[1], "x", 1), 1);
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
    close_fd(fd);
    close_fd(pair[1]);
    identd_ask_drop(q.ask);
}

/* More than the socket holds: nothing is lost, nothing is answered by the wrong one, and one that was dropped
 * before it was sent is not sent. */
static void test_many_wait_for_their_turn(void **state)
{
    enum { N = 2000 };
    static struct question questions[N];
    struct world *world = *state;
    for (unsigned i = 0; i < N; i++)
        ask(world, &questions[i], i);
    identd_ask_drop(questions[N - 1].ask);
    unsigned n_answered = 0;
    for (unsigned round = 0; n_answered < N - 1 && round < 10 * N; round++) {
        struct identd_request request;
        int fd;
        if (take(world, &request, &fd) == 0) {
            assert_int_equal(request.uid, n_answered);
            struct identd_answer answer = {.id = request.id, .status = IDENTD_OTHER_UID};
            assert_int_equal(send(world->identd, &answer, sizeof(answer), 0), sizeof(answer));
            n_answered++;
        }
        turn(world);
    }
    turn(world);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(questions[i].n_answers, i < N - 1);
}

static void assert_ends(struct world *world, struct question *q)
{
    for (unsigned i = 0; i < 10 && world->n_lost == 0; i++)
        turn(world);
    assert_int_equal(q->n_answers, 1);
    assert_int_equal(q->answer.status, IDENTD_LOST);
    assert_int_equal(world->n_lost, 1);
    struct identd_ask *slot = NULL;
    assert_int_equal(identd_ask(world->link, 1, 1, -1, 0, on_answer, q, &slot), -EPIPE);
    assert_null(slot);
    turn(world);
    assert_int_equal(world->n_lost, 1);
}

static void test_end_answers_all(void **state)
{
    struct world *world = *state;
    struct question q;
    ask(world, &q, 1);
    world->identd = close_fd(world->identd);
    assert_ends(world, &q);
}

static void test_nonsense_ends(void **state)
{
    struct world *world = *state;
    struct question q;
    ask(world, &q, 1);
    struct identd_answer answer = {.id = expect(world).id};
    say(world, &answer, sizeof(answer) - 1);
    assert_ends(world, &q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pidfd_is_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_wait_for_their_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_answers_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
