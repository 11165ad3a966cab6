/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/audit-line.h"

#include <string.h>

/* Its hostile cases are in tests/integration/test_audit_offline.py: here is what each member becomes. */

#define HEX16 "000102030405060708090a0b0c0d0e0f"
#define HEX32 HEX16 "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"

static const char full[] = "{\"sequence\":7,\"time\":8,\"event\":\"token-disclosed\",\"uid\":0,\"owner_uid\":"
                           "1001,\"app\":\"a\",\"kind\":\"b\","
                           "\"strength\":\"c\",\"unit\":\"d\",\"program\":\"e\",\"account\":\"f\",\"owner\":"
                           "\"g\",\"asked\":\"h\",\"carried\":\"i\","
                           "\"verdict\":\"j\",\"decided_by\":\"k\",\"chain\":\"l\",\"detail\":\"m\\u0009\","
                           "\"request\":\"n\",\"grant\":9,"
                           "\"expires_at\":10,\"token\":\"" HEX16 "\",\"boot_time\":11,\"boot_id\":\"" HEX16
                           "\",\"epoch\":12,\"hash\":\"" HEX32 "\",\"seal\":\"" HEX16
                           "\",\"repeats\":13,\"repeats_epoch\":14,\"repeats_seal\":\"" HEX16 "\"}";

static const char empty[] = "{\"sequence\":1,\"time\":0,\"event\":\"broker-started\",\"app\":\"\",\"kind\":"
                            "\"\",\"strength\":\"\",\"unit\":\"\","
                            "\"program\":\"\",\"account\":\"\",\"owner\":\"\",\"asked\":\"\",\"carried\":"
                            "\"\",\"verdict\":\"\",\"decided_by\":\"\","
                            "\"chain\":\"\",\"detail\":\"\",\"request\":\"\",\"grant\":0,\"expires_at\":0,"
                            "\"token\":\"\",\"boot_time\":0,"
                            "\"boot_id\":\"\",\"epoch\":0,\"hash\":\"\",\"seal\":\"\",\"repeats\":0,"
                            "\"repeats_epoch\":0,\"repeats_seal\":\"\"}";

static int parse(const char *line, struct audit_record **ret)
{
    return audit_line_parse(line, strlen(line), ret);
}

static void reads_every_member(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = NULL;
    assert_int_equal(parse(full, &r), 0);
    assert_int_equal(r->sequence, 7);
    assert_int_equal(r->time_sec, 8);
    assert_int_equal(r->event, AUDIT_TOKEN_DISCLOSED);
    assert_int_equal(r->uid, 0);
    assert_int_equal(r->owner_uid, 1001);
    const char *const texts[] = {r->app,   r->kind,  r->strength, r->unit,    r->program,    r->account,
                                 r->owner, r->asked, r->carried,  r->verdict, r->decided_by, r->chain};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_true(texts[i][0] == (char)('a' + i) && texts[i][1] == '\0');
    assert_string_equal(r->detail, "m\t");
    assert_string_equal(r->request, "n");
    assert_int_equal(r->grant, 9);
    assert_int_equal(r->expires_sec, 10);
    assert_int_equal(r->boot_usec, 11);
    assert_int_equal(r->epoch, 12);
    assert_int_equal(r->repeats, 13);
    assert_int_equal(r->repeats_epoch, 14);
    assert_true(r->has_fingerprint && r->has_hash);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(r->fingerprint[i], i);
        assert_int_equal(r->boot_id[i], i);
        assert_int_equal(r->seal[i], i);
        assert_int_equal(r->repeats_seal[i], i);
        assert_int_equal(r->hash[i], i);
        assert_int_equal(r->hash[16 + i], 0xf0 + i);
    }
}

static void reads_what_is_not_there(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = NULL;
    assert_int_equal(parse(empty, &r), 0);
    assert_true(r->uid == (uid_t)-1 && r->owner_uid == (uid_t)-1);
    assert_false(r->has_fingerprint || r->has_hash);
    assert_int_equal(r->repeats_epoch, 0);
}

/* Each member is needed, but for the two that say nobody. */
static void wants_every_member(void **state _unused_)
{
    static const char *const lines[] = {full, empty};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        for (const char *at = strchr(lines[i], '"'); at; at = strstr(at + 1, ",\"")) {
            char without[sizeof(full)];
            const char *name = at + (*at == ',');
            const char *end = strstr(at + 1, ",\"");
            size_t n = end ? (size_t)(end + (at == strchr(lines[i], '"')) - at) : strlen(at) - 1;
            (void)snprintf(without, sizeof(without), "%.*s%s", (int)(at - lines[i]), lines[i], at + n);
            struct audit_record *r = NULL;
            bool is_optional = strncmp(name, "\"uid\"", 5) == 0 || strncmp(name, "\"owner_uid\"", 11) == 0;
            assert_int_equal(parse(without, &r), is_optional ? 0 : AUDIT_LINE_E_MALFORMED);
            audit_record_free(r);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_member),
        cmocka_unit_test(reads_what_is_not_there),
        cmocka_unit_test(wants_every_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
