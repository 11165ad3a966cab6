/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "client/library/error.h"
#include "dbus/errors.h"
#include "dbus/names.h"
#include "util/utf8.h"

#include <limits.h>
#include <string.h>

#define OWN "org.lwabroker.Client.Error."
#define BUS "org.freedesktop.DBus.Error."

/* As lwa-client.h says. */
static const struct {
    const char *name;
    int code;
} codes[] = {
    {LWA_ERROR_PREFIX "AccessDenied", -EACCES},
    {LWA_ERROR_PREFIX "ConsentRequired", -EPERM},
    {LWA_ERROR_PREFIX "LoginRequired", -ENOKEY},
    {LWA_ERROR_PREFIX "NarrowerLoginRequired", -EKEYREJECTED},
    {LWA_ERROR_PREFIX "InvalidScope", -EINVAL},
    {LWA_ERROR_PREFIX "InvalidArgument", -EINVAL},
    {LWA_ERROR_PREFIX "NoSuchAccount", -ENOENT},
    {LWA_ERROR_PREFIX "ProviderUnavailable", -EAGAIN},
    {LWA_ERROR_PREFIX "ProviderMisconfigured", -EPROTO},
    {LWA_ERROR_PREFIX "RateLimited", -EBUSY},
    {LWA_ERROR_PREFIX "AuditUnavailable", -EIO},
    {LWA_ERROR_PREFIX "StoreUnavailable", -EIO},
    {LWA_ERROR_PREFIX "Cancelled", -ECANCELED},
    {LWA_ERROR_PREFIX "NotSupported", -EOPNOTSUPP},
    /* Of a newer broker. */
    {LWA_ERROR_PREFIX "MoonPhase", -EBADMSG},
    {BUS "AccessDenied", -EACCES},
    {BUS "LimitsExceeded", -EBUSY},
    {BUS "UnknownMethod", -EOPNOTSUPP},
    {BUS "UnknownInterface", -EOPNOTSUPP},
    {BUS "UnknownObject", -EOPNOTSUPP},
    {"com.example.Anything", -EBADMSG},
};

static void test_names_and_codes(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        struct lwa_error error;
        assert_int_equal(error_set_from_bus(&error, codes[i].name, NULL), codes[i].code);
        assert_int_equal(lwa_error_get_errno(&error), codes[i].code);
        assert_string_equal(lwa_error_get_name(&error), codes[i].name);
    }
}

/* The contract's table is whole: a name that is added to it needs a number and a sentence here. */
static void test_every_error_of_the_broker(void **state _unused_)
{
    for (int i = BUS_OK + 1; i < BUS_ERROR_COUNT; i++) {
        struct lwa_error error;
        int r = error_set_from_bus(&error, bus_error_name((enum bus_error)i), NULL);
        assert_true(r < 0 && r != -EBADMSG);
        assert_int_equal(error.message[strlen(error.message) - 1], '.');
        assert_non_null(error.hint);
    }
}

static const struct {
    const char *of_bus;
    const char *own;
    int code;
} translated[] = {
    {BUS "ServiceUnknown", OWN "NoBroker", -EHOSTUNREACH},
    {BUS "NameHasNoOwner", OWN "NoBroker", -EHOSTUNREACH},
    {BUS "Spawn.ChildExited", OWN "NoBroker", -EHOSTUNREACH},
    {BUS "Spawn.Failed", OWN "NoBroker", -EHOSTUNREACH},
    {BUS "NoReply", OWN "NoReply", -ETIMEDOUT},
    {BUS "Timeout", OWN "NoReply", -ETIMEDOUT},
    {BUS "Disconnected", OWN "NoBus", -ENOTCONN},
    {BUS "NoMemory", OWN "NoMemory", -ENOMEM},
};

static void test_errors_of_the_bus(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(translated); i++) {
        struct lwa_error error;
        assert_int_equal(error_set_from_bus(&error, translated[i].of_bus, "The name :1.5 was not provided"),
                         translated[i].code);
        assert_string_equal(lwa_error_get_name(&error), translated[i].own);
        assert_null(strstr(lwa_error_get_message(&error), ":1.5"));
    }
}

static void test_own_errors(void **state _unused_)
{
    static const char *const names[OWN_ERROR_COUNT] = {
        [OWN_NO_BUS] = OWN "NoBus",
        [OWN_NO_BROKER] = OWN "NoBroker",
        [OWN_NO_REPLY] = OWN "NoReply",
        [OWN_BAD_ANSWER] = OWN "BadAnswer",
        [OWN_FORKED] = OWN "Forked",
        [OWN_NO_MEMORY] = OWN "NoMemory",
        [OWN_BAD_ARGUMENT] = OWN "BadArgument",
        [OWN_TOKEN_REJECTED] = OWN "TokenRejected",
    };
    for (int i = 0; i < OWN_ERROR_COUNT; i++) {
        struct lwa_error error;
        assert_true(error_set_own(&error, (enum own_error)i, NULL) < 0);
        assert_string_equal(lwa_error_get_name(&error), names[i]);
        assert_true(strlen(lwa_error_get_message(&error)) > 0);
        assert_true(error_set_own(&error, (enum own_error)i, "Another sentence.") < 0);
        assert_string_equal(lwa_error_get_message(&error), "Another sentence.");
    }
}

/* --- texts of others ----------------------------------------------------------------------------------- */

static const char *message_of(struct lwa_error *error, const char *text)
{
    (void)error_set_from_bus(error, LWA_ERROR_PREFIX "RateLimited", text);
    return lwa_error_get_message(error);
}

static void test_texts_that_a_terminal_obeys(void **state _unused_)
{
    static const struct {
        const char *text;
        const char *kept;
    } hostile[] = {
        {"", "Too many calls."},
        {"\x1b[2J", "?[2J"},
        {"one\ntwo\t", "one?two?"},
        {"\x7f", "?"},
        {"\xc2\x9b"
         "31m",
         "??31m"}, /* U+009B */
        {"\xe2\x80\xae"
         "txt",
         "???txt"},                  /* right to left from here on */
        {"\xe2\x80\xa8", "???"},     /* a line's end */
        {"a\xe2\x80\x8b", "a???"},   /* no width */
        {"a\xe2\x81\xa6z", "a???z"}, /* isolate */
        {"broken \xc3", "broken "},
        {"broken \xe2\x80", "broken "},
        {"broken \xff\xfe", "broken ?"},
    };
    struct lwa_error error;
    for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
        assert_string_equal(message_of(&error, hostile[i].text), hostile[i].kept);
    assert_string_equal(
        message_of(&error, "Gr\xc3\xb6\xc3\x9f\x65 \xe2\x82\xac \xe2\x80\x93 \xf0\x9f\x8e\xb5"),
        "Gr\xc3\xb6\xc3\x9f\x65 \xe2\x82\xac \xe2\x80\x93 \xf0\x9f\x8e\xb5");
}

/* What is too long ends with a whole character. */
static void test_long_texts(void **state _unused_)
{
    struct lwa_error error;
    for (size_t start = 0; start < 4; start++) {
        char text[2 * ERROR_TEXT_BYTES_MAX + 1];
        memset(text, 'x', sizeof(text));
        for (size_t i = start; i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        text[start + (sizeof(text) - start - 1) / 3 * 3] = '\0';
        const char *kept = message_of(&error, text);
        assert_in_range(strlen(kept), ERROR_TEXT_BYTES_MAX - 4, ERROR_TEXT_BYTES_MAX - 1);
        assert_true(utf8_is_valid(kept, strlen(kept)));
    }
    char name[1024];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void)error_set_from_bus(&error, name, NULL);
    assert_int_equal(strlen(lwa_error_get_name(&error)), sizeof(error.name) - 1);
}

static const struct {
    const char *text;
    unsigned sec;
} waits[] = {
    {"This app calls too often; try again in 5 s.", 5},
    {"Amazon cannot be reached; the next try is due in 300 s.", 300},
    {"try again in 0 s.", 0},
    {"try again in 4294967297 s.", INT_MAX},
    {"try again in 99999999999999999999999999 s.", INT_MAX},
    {"try again in -5 s.", 0},
    {"try again in  s.", 0},
    {"try again in 5 s", 0},
    {"try again in 5 min.", 0},
    {"try again within5 s.", 0},
    {"5 s.", 0},
    {" in 7 s.", 7},
    {" s.", 0},
    {".", 0},
};

static void test_when_to_try_again(void **state _unused_)
{
    struct lwa_error error;
    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        (void)error_set_from_bus(&error, LWA_ERROR_PREFIX "RateLimited", waits[i].text);
        assert_int_equal(lwa_error_get_retry_after(&error), waits[i].sec);
        (void)error_set_from_bus(&error, LWA_ERROR_PREFIX "ProviderUnavailable", waits[i].text);
        assert_int_equal(lwa_error_get_retry_after(&error), waits[i].sec);
        /* To no other error does it belong. */
        (void)error_set_from_bus(&error, LWA_ERROR_PREFIX "AccessDenied", waits[i].text);
        assert_int_equal(lwa_error_get_retry_after(&error), 0);
    }
}

/* --- getters ------------------------------------------------------------------------------------------- */

static void test_is(void **state _unused_)
{
    struct lwa_error error;
    (void)error_set_from_bus(&error, LWA_ERROR_PREFIX "LoginRequired", NULL);
    assert_true(lwa_error_is(&error, "LoginRequired"));
    assert_true(lwa_error_is(&error, LWA_ERROR_PREFIX "LoginRequired"));
    assert_false(lwa_error_is(&error, "Required"));
    assert_false(lwa_error_is(&error, ".LoginRequired"));
    assert_false(lwa_error_is(&error, "NarrowerLoginRequired"));
    assert_false(lwa_error_is(&error, ""));
    assert_false(lwa_error_is(&error, NULL));
    assert_false(lwa_error_is(NULL, "LoginRequired"));
}

static void test_nothing(void **state _unused_)
{
    assert_int_equal(lwa_error_get_errno(NULL), 0);
    assert_string_equal(lwa_error_get_name(NULL), "");
    assert_string_equal(lwa_error_get_message(NULL), "");
    assert_string_equal(lwa_error_get_hint(NULL), "");
    assert_int_equal(lwa_error_get_retry_after(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_codes),
        cmocka_unit_test(test_every_error_of_the_broker),
        cmocka_unit_test(test_errors_of_the_bus),
        cmocka_unit_test(test_own_errors),
        cmocka_unit_test(test_texts_that_a_terminal_obeys),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_when_to_try_again),
        cmocka_unit_test(test_is),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
