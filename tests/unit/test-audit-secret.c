/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/audit-secret.h"

#include <string.h>

#define SEVENS "0707070707070707070707070707070707070707070707070707070707070707"
#define ID "0dd76de26a9d28fa" /* as test-audit-chain.c has it */
#define GOOD "lwa-audit:9:" SEVENS ":" ID

static int parse(const char *text, struct audit_chain_key *ret)
{
    return audit_secret_parse(text, strlen(text), ret);
}

static void has_the_text_it_always_had(void **state _unused_)
{
    struct audit_chain_key key = {.key = NULL};
    unsigned char sevens[AUDIT_CHAIN_KEY_BYTES];
    char text[AUDIT_SECRET_TEXT_SIZE];
    memset(sevens, 7, sizeof(sevens));
    assert_int_equal(parse(GOOD, &key), 0);
    assert_int_equal(key.epoch, 9);
    assert_int_equal(key.first_epoch, 9);
    assert_memory_equal(secret_bytes(key.key), sevens, sizeof(sevens));
    audit_secret_format(&key, text);
    assert_string_equal(text, GOOD);
    audit_chain_key_clear(&key);
}

static void comes_back_as_it_was(void **state _unused_)
{
    static const uint64_t epochs[] = {1, 2, 10, 4294967296, INT64_MAX - 9};
    for (size_t i = 0; i < ARRAY_SIZE(epochs); i++) {
        struct audit_chain_key key, back;
        char text[AUDIT_SECRET_TEXT_SIZE];
        assert_int_equal(audit_chain_key_new(epochs[i], &key), 0);
        audit_secret_format(&key, text);
        assert_int_equal(parse(text, &back), 0);
        assert_int_equal(back.epoch, epochs[i]);
        assert_true(secret_equal(key.key, back.key));
        audit_chain_key_clear(&key);
        audit_chain_key_clear(&back);
    }
}

static void takes_nothing_else(void **state _unused_)
{
    static const char *const wrong[] = {
        "",
        "lwa-audit:",
        " " GOOD,
        GOOD " ",
        GOOD "\n",
        GOOD "0",
        "LWA-AUDIT:9:" SEVENS ":" ID,
        "lwa-audit:0:" SEVENS ":" ID,
        "lwa-audit:09:" SEVENS ":" ID,
        "lwa-audit:+9:" SEVENS ":" ID,
        "lwa-audit: 9:" SEVENS ":" ID,
        "lwa-audit:-9:" SEVENS ":" ID,
        "lwa-audit::" SEVENS ":" ID,
        "lwa-audit:9223372036854775808:" SEVENS ":" ID,
        "lwa-audit:18446744073709551625:" SEVENS ":" ID,
        "lwa-audit:9:" SEVENS "07:" ID,
        "lwa-audit:9:" SEVENS,
        "lwa-audit:9:" SEVENS ":",
        "lwa-audit:9:" SEVENS ":0DD76DE26A9D28FA",
        "lwa-audit:9:" SEVENS ":0dd76de26a9d28fb",
        "lwa-audit:9;" SEVENS ":" ID,
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct audit_chain_key key = {.key = NULL};
        if (parse(wrong[i], &key) != AUDIT_SECRET_E_MALFORMED)
            fail_msg("taken: %s", wrong[i]);
        assert_null(key.key);
    }
}

/* But for the epoch's digit each character is checked: by the form, or by the id. */
static void knows_typing_errors(void **state _unused_)
{
    char text[] = GOOD;
    for (size_t i = 0; i < strlen(text); i++) {
        for (int c = 0; c < 256; c++) {
            struct audit_chain_key key = {.key = NULL};
            char before = text[i];
            text[i] = (char)c;
            int r = audit_secret_parse(text, sizeof(text) - 1, &key);
            bool is_epoch = i == strlen("lwa-audit:") && c >= '1' && c <= '9';
            assert_int_equal(r, c == before || is_epoch ? 0 : AUDIT_SECRET_E_MALFORMED);
            audit_chain_key_clear(&key);
            text[i] = before;
        }
        struct audit_chain_key key = {.key = NULL};
        assert_int_equal(audit_secret_parse(text, i, &key), AUDIT_SECRET_E_MALFORMED); /* cut off */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_text_it_always_had),
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(takes_nothing_else),
        cmocka_unit_test(knows_typing_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
