/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/trail.h"

#include "tests/unit/test-vfs.h"
#include "util/clock.h"

#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* The process dies, the power goes, the disk fails, at any step of a commit and of a key's moving on: the
 * chain is whole, no damage is claimed, and what was reported as done is there. Epochs last a millisecond, so
 * that most of the time one is ending. */

#define EPOCH_USEC USEC_PER_MSEC

static int64_t add(struct fixture *f)
{
    int64_t sequence;
    assert_int_equal(audit(f, AUDIT_TOKEN_DISCLOSED, "user:a", &sequence), 0);
    return sequence;
}

static void begin_trail(struct fixture *f, struct audit_chain_key *ret_first)
{
    assert_int_equal(fixture_open(f), 0);
    trail_key(f, ret_first);
    fixture_close(f);
    f->epoch_usec = EPOCH_USEC;
}

/* Of a store that was opened again: nothing is missing up to `done`, and the key in the file goes on. */
static void assert_survived(struct fixture *f, const char *path, int64_t done,
                            const struct audit_chain_key *first)
{
    _cleanup_trail_ struct trail trail;
    assert_true(add(f) > done);
    assert_null(store_trail_health(f->store));
    fixture_close(f);
    trail_read(path, &trail);
    trail_assert_whole(&trail, first);
    assert_int_equal(trail_count(&trail, AUDIT_TRAIL_DAMAGED), 0);
    assert_int_equal(trail_count(&trail, AUDIT_TRAIL_KEY_CREATED), 1);
}

/* No key of an epoch that is over is left in the folder. */
static void assert_forgotten(struct fixture *f, const struct audit_chain_key *first)
{
    _cleanup_chain_key_ struct audit_chain_key key, now;
    trail_key(f, &now);
    assert_int_equal(audit_chain_key_copy(first, &key), 0);
    while (key.epoch < now.epoch) {
        assert_false(folder_holds(f, secret_bytes(key.key), AUDIT_CHAIN_KEY_BYTES));
        assert_int_equal(audit_chain_key_evolve(&key), 0);
    }
    assert_true(secret_equal(key.key, now.key));
}

/* --- the process ------------------------------------------------------------------------------------- */

/* Tells the parent of each record that is durable. */
_Noreturn static void write_for_ever(struct fixture *f, int out)
{
    int64_t sequence = 0;
    if (uv_loop_init(&f->loop) < 0 || fixture_open(f) < 0)
        _exit(1);
    while (audit(f, AUDIT_TOKEN_DISCLOSED, "user:a", &sequence) == 0)
        if (write(out, &sequence, sizeof(sequence)) != sizeof(sequence))
            break;
    _exit(1);
}

static int64_t read_last(int in)
{
    int64_t sequence = 0;
    while (read(in, &sequence, sizeof(sequence)) == sizeof(sequence))
        ;
    return sequence;
}

static int64_t let_live(struct fixture *f, unsigned usec)
{
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        write_for_ever(f, pipes[1]);
    (void)close(pipes[1]);
    (void)usleep(usec);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* it had not given up by itself */
    int64_t last = read_last(pipes[0]);
    (void)close(pipes[0]);
    return last;
}

static void killed_at_any_instant(void **state)
{
    enum { KILLS = 80 };
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    int64_t last = 0;
    unsigned n_between = 0;
    begin_trail(f, &first);
    for (unsigned i = 0; i < KILLS; i++) {
        int64_t done = let_live(f, 5000 + 217 * (i * 37 % KILLS));
        last = done > last ? done : last;
        struct audit_chain_key now;
        trail_key(f, &now);
        uint64_t before = now.epoch;
        audit_chain_key_clear(&now);
        assert_int_equal(fixture_open(f), 0);
        trail_key(f, &now);
        n_between += now.epoch > before ? 1 : 0;
        audit_chain_key_clear(&now);
        assert_survived(f, f->path, last, &first);
        assert_forgotten(f, &first);
    }
    print_message("%u of %d kills came between an epoch's end and its key's\n", n_between, KILLS);
    assert_true(last > KILLS);
}

/* --- the power --------------------------------------------------------------------------------------- */

/* Runs what was cut off, in the place of the store that runs. */
static void assert_cut_survives(struct fixture *f, int64_t done, const struct audit_chain_key *first)
{
    struct store *running = TAKE_PTR(f->store);
    const char *cut = cut_power(f);
    char path[160];
    (void)snprintf(path, sizeof(path), "%s", cut);
    assert_int_equal(fixture_open_at(f, path), 0);
    assert_survived(f, path, done, first);
    (void)unlink(fixture_path(f, "cut.db-audit.key"));
    f->store = running;
}

static void power_cut_at_any_instant(void **state)
{
    enum { CUTS = 60 };
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    begin_trail(f, &first);
    assert_int_equal(fixture_open(f), 0);
    int64_t last = 0;
    for (unsigned i = 0; i < CUTS; i++) {
        for (unsigned n = 0; n < 3 + i % 5; n++)
            last = add(f);
        for (unsigned n = 0; n < 5; n++) /* the worker is at them while the power goes */
            assert_int_equal(store_audit(f->store, new_record(AUDIT_TOKEN_DENIED, "b"), NULL, NULL, NULL), 0);
        (void)usleep(i * 53 % 1000);
        assert_cut_survives(f, last, &first);
    }
}

/* The disk refuses from the n-th write or sync on, and then the power goes. */
static void power_cut_at_each_write(void **state)
{
    enum { WRITES = 40 };
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    begin_trail(f, &first);
    int64_t done = 0;
    for (unsigned n = 1; n <= WRITES; n++) {
        assert_int_equal(fixture_open(f), 0);
        test_vfs_fail_at(n, n % 2 ? SQLITE_IOERR_WRITE : SQLITE_IOERR_FSYNC, true);
        for (unsigned i = 0; i < 12; i++) {
            int64_t sequence;
            if (audit(f, AUDIT_TOKEN_DISCLOSED, "user:a", &sequence) != 0)
                break;
            done = sequence;
            (void)usleep(EPOCH_USEC / 3);
        }
        test_vfs_fail_at(0, 0, false);
        assert_cut_survives(f, done, &first);
        fixture_close(f);
        assert_int_equal(fixture_open(f), 0);
        assert_survived(f, f->path, done, &first);
        assert_forgotten(f, &first);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(killed_at_any_instant),
        TEST(power_cut_at_any_instant),
        TEST(power_cut_at_each_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
