/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include "broker/records.h"

/* Who is told of what is durable. */

struct listening {
    struct record_listener listener;
    struct records *records;
    struct listening *removes, *adds; /* in its callback */
    int64_t seen[8];
    unsigned n;
};

static void on_record(const struct audit_record *record, void *userdata)
{
    struct listening *l = userdata;
    assert_true(l->n < ARRAY_SIZE(l->seen));
    l->seen[l->n++] = record->sequence;
    if (l->removes)
        records_remove(&l->removes->listener);
    if (l->adds)
        records_add(l->records, &l->adds->listener, on_record, l->adds);
    l->removes = l->adds = NULL;
}

static void add_listener(struct records *records, struct listening *l)
{
    *l = (struct listening){.records = records};
    records_add(records, &l->listener, on_record, l);
}

static void add(struct fixture *f)
{
    int64_t sequence;
    assert_int_equal(audit(f, AUDIT_LOGIN_BEGUN, "user:alice", &sequence), 0);
}

static void all_are_told_in_order(void **state)
{
    struct fixture *f = *state;
    struct records records;
    struct listening a, b;
    assert_int_equal(fixture_open(f), 0);
    add(f); /* and the store's own first record is told to nobody */
    records_init(&records);
    records_follow(&records, f->store);
    add_listener(&records, &a);
    add_listener(&records, &b);
    add(f);
    add(f);
    records_remove(&a.listener);
    records_remove(&a.listener);
    add(f);
    assert_true(a.n == 2 && b.n == 3);
    assert_true(a.seen[0] > 0 && a.seen[0] < a.seen[1] && a.seen[0] == b.seen[0] && a.seen[1] == b.seen[1]);
    assert_true(b.seen[1] < b.seen[2]);
}

/* What one of them does to the list changes nothing for the others. */
static void the_list_may_change_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct records records;
    struct listening a, b, c, late;
    assert_int_equal(fixture_open(f), 0);
    add(f); /* and the store's own first record is told to nobody */
    records_init(&records);
    records_follow(&records, f->store);
    add_listener(&records, &a);
    add_listener(&records, &b);
    add_listener(&records, &c);
    late = (struct listening){.records = &records};
    a.removes = &b; /* the next one */
    a.adds = &late;
    c.removes = &c;
    add(f);
    assert_true(a.n == 1 && b.n == 0 && c.n == 1 && late.n == 0);
    add(f);
    assert_true(a.n == 2 && b.n == 0 && c.n == 1 && late.n == 1);
    records_remove(&a.listener);
    records_remove(&late.listener);
    add(f);
    assert_true(a.n == 2 && late.n == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_are_told_in_order),
        TEST(the_list_may_change_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
