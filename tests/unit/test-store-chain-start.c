/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/trail.h"

#include "tests/unit/test-vfs.h"
#include "util/clock.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

/* What a start finds of the trail and of its key: what is lost, cut, put back, altered, or only behind. */

#define KEY_BLOCKS_BYTES (2 * 4096) /* of the key file; two heads follow */
#define N_RECORDS 24
#define EPOCHS 4

static int64_t add(struct fixture *f)
{
    int64_t sequence;
    assert_int_equal(audit(f, AUDIT_TOKEN_DISCLOSED, "user:a", &sequence), 0);
    return sequence;
}

/* So that nothing ends an epoch but end_epoch(). */
static void open_calm(struct fixture *f)
{
    f->epoch_usec = 3600 * USEC_PER_SEC;
    assert_int_equal(fixture_open(f), 0);
}

static void end_epoch(struct fixture *f)
{
    int64_t n = number(f, "SELECT count(*) FROM audit WHERE event = 'trail-sealed'");
    f->epoch_usec = USEC_PER_MSEC;
    assert_int_equal(fixture_open(f), 0);
    while (number(f, "SELECT count(*) FROM audit WHERE event = 'trail-sealed'") == n)
        (void)usleep(1000);
    fixture_close(f);
}

/* A closed store: records 1 to 24, of which 6, 12, 18 and 24 end epochs 1 to 4; the newest state is that of
 * the middle of epoch 5: 25 to 27. Older states lie beside it, as N.db and N.key after epoch N's first
 * records, and as N.ended after its end. */
static void make_trail(struct fixture *f, struct audit_chain_key *ret_first)
{
    char name[16];
    for (unsigned epoch = 1; epoch <= EPOCHS + 1; epoch++) {
        open_calm(f);
        while (add(f) % 6 != (epoch > EPOCHS ? 3 : 5))
            ;
        if (epoch == 1)
            trail_key(f, ret_first);
        fixture_close(f);
        (void)snprintf(name, sizeof(name), "%u.db", epoch);
        trail_copy(f, "store.db", name);
        (void)snprintf(name, sizeof(name), "%u.key", epoch);
        trail_copy(f, KEY_FILE, name);
        if (epoch > EPOCHS)
            break;
        end_epoch(f);
        (void)snprintf(name, sizeof(name), "%u.ended", epoch);
        trail_copy(f, "store.db", name);
    }
    assert_int_equal(number(f, "SELECT max(sequence) FROM audit"), N_RECORDS + 3);
    assert_int_equal(
        number(f, "SELECT count(*) FROM audit WHERE event = 'trail-sealed' AND sequence % 6 = 0"), EPOCHS);
}

static void sql(struct fixture *f, const char *text)
{
    (void)number(f, text);
}

/* --- what is done to it ------------------------------------------------------------------------------ */

static void nothing(struct fixture *f _unused_)
{
}

static void lose_key(struct fixture *f)
{
    assert_int_equal(unlink(fixture_path(f, KEY_FILE)), 0);
}

static void break_key(struct fixture *f)
{
    unsigned char bytes[4 * 4096];
    memset(bytes, 'x', sizeof(bytes));
    write_file(fixture_path(f, KEY_FILE), bytes, sizeof(bytes));
}

static void open_key_to_all(struct fixture *f)
{
    assert_int_equal(chmod(fixture_path(f, KEY_FILE), 0644), 0);
}

static void take_other_key(struct fixture *f)
{
    struct audit_chain_key key;
    struct audit_keyfile *file;
    assert_int_equal(audit_chain_key_new(2, &key), 0);
    assert_int_equal(audit_keyfile_make(fixture_path(f, KEY_FILE), &key, &file), 0);
    audit_keyfile_free(file);
    audit_chain_key_clear(&key);
}

static void cut_one(struct fixture *f)
{
    sql(f, "DELETE FROM audit WHERE sequence = 27");
}

static void cut_epoch(struct fixture *f)
{
    sql(f, "DELETE FROM audit WHERE sequence >= 20");
}

static void cut_all(struct fixture *f)
{
    sql(f, "DELETE FROM audit");
}

static void wipe_heads(struct fixture *f)
{
    _cleanup_free_ unsigned char *bytes = NULL;
    size_t n = read_file(fixture_path(f, KEY_FILE), &bytes);
    memset(bytes + KEY_BLOCKS_BYTES, 0, n - KEY_BLOCKS_BYTES);
    write_file(fixture_path(f, KEY_FILE), bytes, n);
}

static void cut_epoch_and_heads(struct fixture *f)
{
    cut_epoch(f);
    wipe_heads(f);
}

static void cut_end_of_epoch_and_heads(struct fixture *f)
{
    sql(f, "DELETE FROM audit WHERE sequence >= 24");
    wipe_heads(f);
}

static void roll_back(struct fixture *f)
{
    trail_copy(f, "3.db", "store.db");
}

static void roll_back_within_epoch(struct fixture *f)
{
    trail_copy(f, "4.ended", "store.db");
}

static void roll_back_both(struct fixture *f)
{
    trail_copy(f, "3.db", "store.db");
    trail_copy(f, "3.key", KEY_FILE);
}

static void alter_last(struct fixture *f)
{
    sql(f, "UPDATE audit SET app = 'user:b' WHERE sequence = 27");
}

static void alter_last_hash(struct fixture *f)
{
    sql(f, "UPDATE audit SET hash = zeroblob(32) WHERE sequence = 27");
}

static void alter_last_seal(struct fixture *f)
{
    sql(f, "UPDATE audit SET seal = zeroblob(16) WHERE sequence = 27");
}

static void alter_last_seal_without_head(struct fixture *f)
{
    alter_last_seal(f);
    wipe_heads(f);
}

static void alter_last_event(struct fixture *f)
{
    sql(f, "UPDATE audit SET event = 'token-disclosee' WHERE sequence = 27");
}

static void alter_last_epoch(struct fixture *f)
{
    sql(f, "UPDATE audit SET epoch = 1152921504606846976 WHERE sequence = 27");
}

static void alter_last_epoch_to_none(struct fixture *f)
{
    sql(f, "UPDATE audit SET epoch = -1 WHERE sequence = 27");
}

static void unchain_last(struct fixture *f)
{
    sql(f, "UPDATE audit SET hash = NULL, seal = NULL, epoch = 0 WHERE sequence = 27");
}

static void put_back_older_key(struct fixture *f)
{
    trail_copy(f, "2.key", KEY_FILE);
}

/* The head of that file is a record that is there, but no longer reads the same. */
static void alter_what_older_head_names(struct fixture *f)
{
    put_back_older_key(f);
    sql(f, "UPDATE audit SET hash = zeroblob(32) WHERE sequence = 11");
}

/* --- what is found ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*act)(struct fixture *f);
    const char *key;    /* how a new key begins; "first" for the one that the trail had */
    const char *damage; /* "" for none */
    int64_t next;       /* number of the first record after it */
} cases[] = {
    {"nothing", nothing, "first", "", 28},
    {"lost key", lose_key, "lost", "", 28},
    {"broken key", break_key, "lost", "", 28},
    {"key that others may read", open_key_to_all, "lost", "", 28},
    {"another trail's key", take_other_key, "lost", "", 28},
    {"one cut off", cut_one, "first", "truncated after 26", 28},
    {"epoch cut off", cut_epoch, "first", "truncated after 19", 28},
    {"all cut off", cut_all, "first", "truncated after 0", 28},
    {"epoch cut off, no head", cut_epoch_and_heads, "first", "truncated after 19", 21},
    {"end of epoch cut off, no head", cut_end_of_epoch_and_heads, "first", "truncated after 23", 25},
    {"rolled back", roll_back, "first", "truncated after 17", 28},
    {"rolled back to the last epoch", roll_back_within_epoch, "first", "truncated after 24", 28},
    /* Nothing here shows it: who keeps a head elsewhere sees it (`lwactl audit verify --head`). */
    {"both rolled back", roll_back_both, "first", "", 18},
    {"last altered", alter_last, "first", "altered at 27", 28},
    {"last hash altered", alter_last_hash, "first", "altered at 27", 28},
    {"last seal altered", alter_last_seal, "first", "altered at 27", 28},
    {"last seal altered, no head", alter_last_seal_without_head, "first", "altered at 27", 28},
    {"last event altered", alter_last_event, "first", "altered at 27", 28},
    {"last epoch altered", alter_last_epoch, "first", "altered at 27", 28},
    {"last epoch negative", alter_last_epoch_to_none, "first", "altered at 27", 28},
    {"last unchained", unchain_last, "first", "altered at 27", 28},
    {"older key", put_back_older_key, "first", "", 28},
    {"older head's record altered", alter_what_older_head_names, "first", "altered at 11", 28},
};

static int64_t count_damage(const struct fixture *f)
{
    return number(f, "SELECT count(*) FROM audit WHERE event = 'trail-damaged'");
}

static bool detail_is(const struct fixture *f, const char *event, const char *detail)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "SELECT (SELECT detail FROM audit WHERE event = '%s' ORDER BY sequence DESC LIMIT 1)"
                   " LIKE '%s%%'",
                   event, detail);
    return number(f, text) == 1;
}

static void check_case(struct fixture *f, size_t i)
{
    struct audit_chain_key now = {.key = NULL};
    cases[i].act(f);
    open_calm(f);
    (void)add(f); /* the store works */
    bool is_damaged = cases[i].damage[0] != '\0';
    if (cases[i].act != cut_all)
        assert_true(detail_is(f, "trail-key-created", cases[i].key));
    assert_true(!is_damaged || detail_is(f, "trail-damaged", cases[i].damage));
    assert_int_equal(count_damage(f), is_damaged ? 1 : 0);
    bool has_note = is_damaged || strcmp(cases[i].key, "lost") == 0;
    assert_int_equal(number(f, "SELECT max(sequence) FROM audit"), cases[i].next + (has_note ? 1 : 0));
    assert_true(is_damaged == (store_trail_health(f->store) != NULL));

    fixture_close(f); /* a second time there is nothing to be found */
    trail_key(f, &now);
    assert_int_equal(number(f, "SELECT epoch FROM audit ORDER BY sequence DESC LIMIT 1"), now.epoch);
    audit_chain_key_clear(&now);
    open_calm(f);
    (void)add(f);
    assert_int_equal(count_damage(f), is_damaged ? 1 : 0);
    assert_true(is_damaged == (store_trail_health(f->store) != NULL)); /* it is not forgotten */
    fixture_close(f);
}

static void all_is_found(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    make_trail(f, &first);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        print_message("%s\n", cases[i].name);
        trail_copy(f, "5.db", "store.db");
        trail_copy(f, "5.key", KEY_FILE);
        check_case(f, i);
    }
}

static void lost_key_begins_anew(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first, now;
    make_trail(f, &first);
    break_key(f);
    open_calm(f);
    trail_key(f, &now);
    assert_true(now.epoch == 6 && now.first_epoch == 6);
    assert_int_equal(number(f, "SELECT epoch FROM audit WHERE sequence = 28"), 6);
    fixture_close(f);
    assert_int_equal(access(fixture_path(f, KEY_FILE ".broken"), F_OK), 0);
}

/* Between the file's making and its first record. */
static void unrecorded_key_is_kept(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key made, now;
    struct audit_keyfile *file;
    assert_int_equal(audit_chain_key_new(1, &made), 0);
    assert_int_equal(audit_keyfile_make(fixture_path(f, KEY_FILE), &made, &file), 0);
    audit_keyfile_free(file);
    open_calm(f);
    (void)add(f);
    trail_key(f, &now);
    assert_true(secret_equal(made.key, now.key));
    assert_true(detail_is(f, "trail-key-created", "first"));
    assert_int_equal(count_damage(f), 0);
}

/* --- a crash between the steps of a key's moving on -------------------------------------------------- */

/* The states that audit-keyfile.h allows, each made of the file of before: begun, with the head, ended. */
static void move_file(struct fixture *f, unsigned steps)
{
    struct audit_keyfile *file;
    struct audit_chain_key key;
    assert_int_equal(audit_keyfile_open(fixture_path(f, KEY_FILE), &file), 0);
    assert_int_equal(audit_keyfile_read(file, &key), 0);
    assert_int_equal(audit_chain_key_evolve(&key), 0);
    if (steps >= 1)
        assert_int_equal(audit_keyfile_begin_epoch(file, &key), 0);
    if (steps >= 2) {
        struct audit_head head = {.sequence = 18};
        _cleanup_trail_ struct trail trail;
        trail_read(f->path, &trail);
        memcpy(head.hash, trail.records[17]->hash, sizeof(head.hash));
        assert_int_equal(audit_keyfile_set_head(file, &key, &head), 0);
    }
    if (steps >= 3)
        assert_int_equal(audit_keyfile_end_epochs(file), 0);
    audit_chain_key_clear(&key);
    audit_keyfile_free(file);
}

static void crash_between_steps_is_no_loss(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first, third;
    make_trail(f, &first);
    assert_int_equal(audit_chain_key_copy(&first, &third), 0);
    while (third.epoch < 3)
        assert_int_equal(audit_chain_key_evolve(&third), 0);
    for (unsigned steps = 0; steps <= 3; steps++) {
        _cleanup_trail_ struct trail trail;
        struct audit_chain_key now;
        trail_copy(f, "3.ended", "store.db");
        trail_copy(f, "3.key", KEY_FILE);
        move_file(f, steps);
        open_calm(f);
        (void)add(f);
        fixture_close(f);
        trail_key(f, &now);
        assert_int_equal(now.epoch, 4);
        audit_chain_key_clear(&now);
        assert_int_equal(count_damage(f), 0);
        trail_read(f->path, &trail);
        trail_assert_whole(&trail, &first);
        (void)unlink(fixture_path(f, "3.key")); /* the only place where the key of epoch 3 may be */
        (void)unlink(fixture_path(f, KEY_FILE ".broken"));
        assert_false(folder_holds(f, secret_bytes(third.key), AUDIT_CHAIN_KEY_BYTES));
        trail_copy(f, "2.key", "3.key"); /* from which that of 3 comes, too */
    }
}

/* A setup whose transaction is durable, and whose key is not in the file: nobody has its secret. */
static void crash_in_a_setup_begins_anew(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    _cleanup_result_ struct result result = {.done = false};
    make_trail(f, &first);
    open_calm(f);
    assert_int_equal(store_setup_audit(f->store, new_record(AUDIT_TRAIL_KEY_CREATED, "user:root"), on_reply,
                                       &result, NULL),
                     0);
    await(f, &result);
    fixture_close(f);
    trail_copy(f, "5.key", KEY_FILE);
    open_calm(f);
    (void)add(f);
    assert_true(detail_is(f, "trail-key-created", "lost"));
    assert_int_equal(count_damage(f), 0);
}

static void setup_ends_the_alarm(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    _cleanup_result_ struct result result = {.done = false};
    make_trail(f, &first);
    cut_one(f);
    open_calm(f);
    (void)add(f);
    assert_non_null(store_trail_health(f->store));
    assert_int_equal(store_setup_audit(f->store, new_record(AUDIT_TRAIL_KEY_CREATED, "user:root"), on_reply,
                                       &result, NULL),
                     0);
    await(f, &result);
    (void)add(f);
    assert_null(store_trail_health(f->store));
    reopen(f);
    (void)add(f);
    assert_null(store_trail_health(f->store));
}

/* A full disk at start: the records that belong before all others are there once there is room. */
static void start_without_room(void **state)
{
    struct fixture *f = *state;
    _cleanup_chain_key_ struct audit_chain_key first;
    _cleanup_result_ struct result result = {.done = false};
    make_trail(f, &first);
    lose_key(f);
    assert_int_equal(fixture_open(f), 0);
    fixture_close(f);
    cut_one(f);
    sql(f, "DELETE FROM audit WHERE sequence > 20");
    f->epoch_usec = 0;
    test_vfs_fail_at(1, SQLITE_FULL, true);
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(store_audit(f->store, new_record(AUDIT_TOKEN_DISCLOSED, "a"), on_reply, &result, NULL),
                     0);
    await(f, &result);
    assert_int_equal(result.r, -ENOSPC);
    test_vfs_fail_at(0, 0, false);
    int64_t sequence = add(f);
    assert_int_equal(count_damage(f), 1);
    assert_int_equal(number(f, "SELECT max(sequence) FROM audit WHERE event = 'trail-damaged'"),
                     sequence - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_is_found),
        TEST(lost_key_begins_anew),
        TEST(unrecorded_key_is_kept),
        TEST(crash_between_steps_is_no_loss),
        TEST(crash_in_a_setup_begins_anew),
        TEST(setup_ends_the_alarm),
        TEST(start_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
