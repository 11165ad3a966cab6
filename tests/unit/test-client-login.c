/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What liblwa-client takes of a login's messages, and how it keeps the token of an import. */

#include "tests/unit/unit.h"

#include "client/library/login.h"
#include "dbus/writer.h"

#include <fcntl.h>
#include <string.h>

/* --- properties --------------------------------------------------------------------------------------- */

/* NULL and 0 are left out. */
struct properties {
    const char *state;
    const char *code;
    uint64_t expires_at;
};

static int take(struct login_values *values, dbus_uint32_t serial, struct properties properties)
{
    _cleanup_message_ DBusMessage *m = dbus_message_new_signal("/a", "a.b", "C");
    struct writer w;
    DBusMessageIter dict;
    writer_begin(&w, m);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(&w, "Unheard", "of");
    writer_entry_uint64(&w, "Notice", 7); /* of another type than the contract's */
    if (properties.state)
        writer_entry_string(&w, "State", properties.state);
    if (properties.code)
        writer_entry_string(&w, "UserCode", properties.code);
    if (properties.expires_at)
        writer_entry_uint64(&w, "ExpiresAt", properties.expires_at);
    writer_close(&w);
    assert_int_equal(writer_end(&w), 0);
    assert_true(dbus_message_iter_init(m, &dict));
    return login_values_take_properties(values, &dict, serial);
}

static void test_newer_wins(void **state)
{
    struct login_values values = {.expires_at_sec = 0};
    (void)state;
    assert_int_equal(take(&values, 10, (struct properties){"starting", NULL, 0}), 1);
    assert_int_equal(take(&values, 12, (struct properties){"waiting", NULL, 99}), 1);
    /* An older one: of what the newer has said nothing new, of the rest all. */
    assert_int_equal(take(&values, 11, (struct properties){"starting", "CODE", 55}), 1);
    assert_string_equal(login_values_get(&values, LOGIN_TEXT_STATE), "waiting");
    assert_string_equal(login_values_get(&values, LOGIN_TEXT_USER_CODE), "CODE");
    assert_int_equal(values.expires_at_sec, 99);
    /* The same again is no change. */
    assert_int_equal(take(&values, 13, (struct properties){"waiting", "CODE", 99}), 0);
    assert_int_equal(take(&values, 12, (struct properties){"done", NULL, 1}), 0);
    assert_string_equal(login_values_get(&values, LOGIN_TEXT_NOTICE), "");
    login_values_clear(&values);
    assert_string_equal(login_values_get(&values, LOGIN_TEXT_STATE), "");
}

static void test_serials_begin_anew(void **state)
{
    struct login_values values = {.expires_at_sec = 0};
    (void)state;
    assert_int_equal(take(&values, UINT32_MAX - 1, (struct properties){"starting", NULL, 0}), 1);
    assert_int_equal(take(&values, 3, (struct properties){"waiting", NULL, 0}), 1);
    assert_int_equal(take(&values, UINT32_MAX, (struct properties){"starting", NULL, 0}), 0);
    assert_string_equal(login_values_get(&values, LOGIN_TEXT_STATE), "waiting");
    login_values_clear(&values);
}

/* --- the outcome -------------------------------------------------------------------------------------- */

static void test_finished(void **state)
{
    struct login_values values = {.expires_at_sec = 0};
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    _cleanup_message_ DBusMessage *m = dbus_message_new_signal("/a", "a.b", "C");
    struct writer w;
    (void)state;
    assert_int_equal(strv_split(&scopes, "a b", " "), 0);
    writer_begin(&w, m);
    writer_string(&w, "failed");
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(&w, "account", "main");
    writer_entry_strv(&w, "scopes", &scopes);
    writer_entry_string(&w, "refused", "of another type");
    writer_entry_string(&w, "reason", "code");
    writer_entry_string(&w, "error", "org.lwabroker.Error.AccessDenied");
    writer_close(&w);
    assert_int_equal(writer_end(&w), 0);
    assert_int_equal(login_values_take_finished(&values, m), 0);
    static const struct {
        enum login_text text;
        const char *value;
    } cases[] = {
        {LOGIN_TEXT_OUTCOME, "failed"},
        {LOGIN_TEXT_ACCOUNT, "main"},
        {LOGIN_TEXT_SCOPE, "a b"},
        {LOGIN_TEXT_REFUSED_SCOPE, ""},
        {LOGIN_TEXT_REASON, "code"},
        {LOGIN_TEXT_MESSAGE, ""},
        {LOGIN_TEXT_ERROR_NAME, "org.lwabroker.Error.AccessDenied"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(login_values_get(&values, cases[i].text), cases[i].value);
    login_values_clear(&values);
}

/* --- the token of an import --------------------------------------------------------------------------- */

static void test_token_is_valid(void **state)
{
    char longest[LOGIN_TOKEN_BYTES_MAX + 1];
    (void)state;
    memset(longest, 'x', sizeof(longest));
    static const struct {
        const char *bytes;
        size_t n_bytes;
        bool is_valid;
    } cases[] = {
        {"Atzr|a~!", 8, true}, {"", 0, false},     {NULL, 4, false},   {"a b", 3, false},
        {"a\n", 2, false},     {"a\0b", 3, false}, {"\x7f", 1, false}, {"\xc3\xa9", 2, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(login_token_is_valid(cases[i].bytes, cases[i].n_bytes), cases[i].is_valid);
    assert_true(login_token_is_valid(longest, LOGIN_TOKEN_BYTES_MAX));
    assert_false(login_token_is_valid(longest, LOGIN_TOKEN_BYTES_MAX + 1));
}

static void test_token_is_sealed(void **state)
{
    _cleanup_close_ int fd = -1;
    char bytes[16];
    (void)state;
    assert_int_equal(login_token_seal("Atzr|secret", 11, &fd), 0);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), 11);
    assert_memory_equal(bytes, "Atzr|secret", 11);
    assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newer_wins),      cmocka_unit_test(test_serials_begin_anew),
        cmocka_unit_test(test_finished),        cmocka_unit_test(test_token_is_valid),
        cmocka_unit_test(test_token_is_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
