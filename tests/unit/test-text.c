/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Safe text, widths, times in words, suggestions, tables, QR codes: what lwactl shows. */

#include "tests/unit/unit.h"

#include "client/lwactl/grid.h"
#include "client/lwactl/qr.h"
#include "client/lwactl/text.h"
#include "client/lwactl/values.h"

#include <locale.h>
#include <qrencode.h>
#include <string.h>

static int set_locale(const char *name)
{
    return setlocale(LC_CTYPE, name) ? 0 : -1;
}

static int setup_utf8(void **state)
{
    (void)state;
    return set_locale("C.UTF-8");
}

static void test_safe(void **state)
{
    static const struct {
        const char *text, *safe, *ascii;
    } cases[] = {
        {"", "", ""},
        {"plain ~!", "plain ~!", "plain ~!"},
        {"K\xc3\xbc"
         "che \xe6\x97\xa5",
         "K\xc3\xbc"
         "che \xe6\x97\xa5",
         "K?che ?"},
        {"\x1b[2J\a\n\t\r\x7f", "?[2J?????", "?[2J?????"},
        {"a\xc2\x9b"
         "31m",
         "a?31m", "a?31m"}, /* C1 CSI */
        {"a\xe2\x80\xae"
         "b\xe2\x80\x8b",
         "a?b?", "a?b?"},               /* right-to-left, zero width */
        {"\xef\xbb\xbf", "?", "?"},     /* byte order mark */
        {"\xf3\xa0\x81\x81", "?", "?"}, /* tag character */
        {"\xff\xc3", "??", "??"},       /* no UTF-8 at all; cut off */
        {"\xc0\x9b", "??", "??"},       /* overlong ESC */
        {"\xe0\x80\x9b", "???", "???"},
        {"\xed\xa0\x80", "???", "???"},       /* a surrogate */
        {"\xf4\x90\x80\x80", "????", "????"}, /* above U+10FFFF */
        {"\xe2\x82", "??", "??"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(set_locale("C.UTF-8"), 0);
        _cleanup_free_ char *safe = text_safe(cases[i].text);
        assert_string_equal(safe, cases[i].safe);
        assert_int_equal(set_locale("C"), 0);
        _cleanup_free_ char *ascii = text_safe(cases[i].text);
        assert_string_equal(ascii, cases[i].ascii);
    }
}

/* Whatever the bytes are: the end is found, no control comes through, and what comes out is its own safe
 * form. */
static void test_safe_of_all_pairs(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        char text[] = {(char)(pair >> 8), (char)pair, '\0', '\x1b'};
        _cleanup_free_ char *safe = text_safe(text);
        for (const char *p = safe; *p; p++)
            assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
        _cleanup_free_ char *again = text_safe(safe);
        assert_string_equal(again, safe);
        assert_true(strlen(safe) <= strlen(text));
    }
}

static void test_width_and_fit(void **state)
{
    static const struct {
        const char *text;
        size_t width, fit, bytes, columns;
    } cases[] = {
        {"", 0, 5, 0, 0},
        {"abc", 3, 2, 2, 2},
        {"abc", 3, 9, 3, 3},
        {"\xe6\x97\xa5\xe6\x9c\xac", 4, 3, 3, 2}, /* a wide character does not fit by half */
        {"e\xcc\x81x", 2, 1, 3, 1},               /* a combining mark stays with its letter */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t columns;
        assert_int_equal(text_width(cases[i].text), cases[i].width);
        assert_int_equal(text_fit(cases[i].text, cases[i].fit, &columns), cases[i].bytes);
        assert_int_equal(columns, cases[i].columns);
    }
}

static void test_relative_time(void **state)
{
    static const struct {
        int64_t when, now;
        const char *words;
    } cases[] = {
        {0, 1000, "-"},
        {-5, 1000, "-"},
        {1000, 1000, "now"},
        {1045, 1000, "in 45 s"},
        {1099, 1000, "in 99 s"},
        {1100, 1000, "in 1 min"},
        {1749, 1000, "in 12 min"},
        {1000 + 5999, 1000, "in 99 min"},
        {1000 + 6000, 1000, "in 1 h"},
        {1000 + 5 * 3600, 1000, "in 5 h"},
        {1000 + 3 * 86400, 1000, "in 3 days"},
        {880, 1000, "2 min ago"},
        {INT64_MAX, 1, "in 106751991167300 days"},
        {INT64_MAX, -5, "in 106751991167300 days"},
    };
    char buffer[TEXT_TIME_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(text_relative_time(cases[i].when, cases[i].now, buffer), cases[i].words);
}

static void test_time_and_countdown(void **state)
{
    char buffer[TEXT_TIME_SIZE];
    (void)state;
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    assert_string_equal(text_time(86400, buffer), "1970-01-02 00:00:00");
    assert_string_equal(text_time(0, buffer), "-");
    assert_string_equal(text_time(INT64_MIN, buffer), "-");
    assert_string_equal(text_time(INT64_MAX, buffer), "?");
    assert_string_equal(text_countdown(599, buffer), "9:59");
    assert_string_equal(text_countdown(5, buffer), "0:05");
    assert_string_equal(text_countdown(-5, buffer), "0:00");
    assert_string_equal(text_countdown(3600, buffer), "1:00:00");
    assert_string_equal(text_countdown(INT64_MAX, buffer), "2562047788015215:30:07");
}

static void test_nearest(void **state)
{
    static const char *const names[] = {"login", "accounts", "token", "status", NULL, "json"};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"statsu", "status"},
        {"tokn", "token"},
        {"acounts", "accounts"},
        {"acc", "accounts"},
        {"logni", "login"},
        {"jsno", "json"},
        {"zzzzzz", NULL},
        {"", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *nearest = text_nearest(cases[i].word, names, ARRAY_SIZE(names));
        if (cases[i].nearest)
            assert_string_equal(nearest, cases[i].nearest);
        else
            assert_null(nearest);
    }
}

static enum colour red(const char *cell)
{
    (void)cell;
    return COLOUR_RED;
}

static const struct grid_column columns[] = {{"ID", 0, NULL}, {"NAME", 4, red}, {"LONG", 4, NULL}};

/* Prints two rows; the text is to be freed. */
static char *print_grid(const struct terminal *t)
{
    _cleanup_grid_ struct grid grid = {.columns = columns, .n_columns = 3};
    static const char *const cells[] = {"a", "", "0123456789", "bb", "\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5",
                                        "x"};
    char *text = NULL;
    size_t n;
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
        grid_add(&grid, cells[i]);
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    assert_int_equal(grid_print(&grid, t, true, out), 0);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_grid(void **state)
{
    (void)state;
    _cleanup_free_ char *whole = print_grid(&(struct terminal){.width = 0});
    assert_string_equal(whole, "ID  NAME    LONG\n"
                               "a   -       0123456789\n"
                               "bb  \xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5  x\n");
    _cleanup_free_ char *cut = print_grid(&(struct terminal){.width = 16, .is_utf8 = true});
    assert_string_equal(cut, "ID  NAME   LONG\n"
                             "a   -      0123\xe2\x80\xa6\n"
                             "bb  \xe6\x97\xa5\xe6\x9c\xac\xe2\x80\xa6  x\n");
}

/* Whatever the width, no line is wider. */
static void test_grid_fits_every_width(void **state)
{
    (void)state;
    for (size_t width = 1; width < 40; width++) {
        _cleanup_free_ char *text = print_grid(&(struct terminal){.width = width, .is_utf8 = true});
        for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
            *end = '\0';
            assert_true(text_width(line) <= width);
        }
    }
}

/* Reads the drawing back into modules and compares them with the encoder's, quiet zone and all. */
static void test_qr_is_the_code(void **state)
{
    static const char address[] = "https://amazon.com/us/code";
    struct terminal t = {.is_terminal = true, .is_utf8 = true, .width = 80};
    char *text = NULL;
    size_t n;
    (void)state;

    FILE *out = open_memstream(&text, &n);
    assert_true(qr_print(&t, address, 0, out));
    assert_int_equal(fclose(out), 0);
    QRcode *code = QRcode_encodeString8bit(address, 0, QR_ECLEVEL_L);
    assert_non_null(code);

    const char *p = text;
    int side = code->width + 2 * QR_QUIET_ZONE;
    for (int y = 0; y < side; y += 2, p++) {
        for (int x = 0; x < side; x++) {
            uint32_t mark;
            p += text_next(p, &mark);
            bool upper_light = mark == 0x2588 || mark == 0x2580,
                 lower_light = mark == 0x2588 || mark == 0x2584;
            for (int half = 0; half < 2; half++) {
                int cx = x - QR_QUIET_ZONE, cy = y + half - QR_QUIET_ZONE;
                bool inside = cx >= 0 && cy >= 0 && cx < code->width && cy < code->width;
                bool dark = inside && code->data[cy * code->width + cx] & 1;
                assert_int_equal(half ? lower_light : upper_light, !dark);
            }
        }
        assert_int_equal(*p, '\n');
    }
    assert_int_equal(*p, '\0');
    QRcode_free(code);
    free(text);
}

static void test_qr_needs_room(void **state)
{
    static const struct {
        struct terminal terminal;
        bool shown;
    } cases[] = {
        {{.is_terminal = true, .is_utf8 = true, .width = 33}, true},
        {{.is_terminal = true, .is_utf8 = true, .width = 32}, false},
        {{.is_terminal = false, .is_utf8 = true, .width = 80}, false},
        {{.is_terminal = true, .has_colours = true, .width = 66}, true},
        {{.is_terminal = true, .has_colours = true, .width = 65}, false},
        {{.is_terminal = true, .width = 200}, false},
        {{.is_terminal = true, .is_utf8 = true, .width = 80, .height = 22}, true},
        {{.is_terminal = true, .is_utf8 = true, .width = 80, .height = 21}, false},
        {{.is_terminal = true, .has_colours = true, .width = 80, .height = 38}, true},
        {{.is_terminal = true, .has_colours = true, .width = 80, .height = 37}, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        FILE *out = open_memstream(&text, &n);
        assert_int_equal(qr_print(&cases[i].terminal, "https://amazon.com/us/code", 5, out), cases[i].shown);
        assert_int_equal(fclose(out), 0);
        assert_int_equal(n > 0, cases[i].shown);
    }
}

static void test_json_is_escaped(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"a/b \xc3\xbc", "\"a/b \xc3\xbc\"\n"},
        {"\x1b\x7f", "\"\\u001b\\u007f\"\n"},
        {"\xc2\x9b", "\"\\u009b\"\n"},
        {"\xe2\x80\xae", "\"\\u202e\"\n"},
        {"\xf3\xa0\x81\x81", "\"\\udb40\\udc41\"\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ struct json_object *value = json_object_new_string(cases[i].text);
        _cleanup_free_ char *text = NULL;
        size_t n;
        FILE *out = open_memstream(&text, &n);
        assert_int_equal(values_print(value, true, out), 0);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, cases[i].json);
    }
}

static void test_fields_of_another_type(void **state)
{
    (void)state;
    _cleanup_json_ struct json_object *o =
        json_tokener_parse("{\"s\": 1, \"n\": \"x\", \"b\": 1, \"l\": {}}");
    assert_string_equal(values_text(o, "s"), "");
    assert_string_equal(values_text(o, "missing"), "");
    assert_string_equal(values_text(NULL, "s"), "");
    assert_int_equal(values_number(o, "n"), 0);
    assert_false(values_flag(o, "b"));
    assert_int_equal(values_count(values_list(o, "l")), 0);
    assert_int_equal(values_count(NULL), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_safe, setup_utf8),
        cmocka_unit_test_setup(test_safe_of_all_pairs, setup_utf8),
        cmocka_unit_test_setup(test_width_and_fit, setup_utf8),
        cmocka_unit_test(test_relative_time),
        cmocka_unit_test(test_time_and_countdown),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test_setup(test_grid, setup_utf8),
        cmocka_unit_test_setup(test_grid_fits_every_width, setup_utf8),
        cmocka_unit_test_setup(test_qr_is_the_code, setup_utf8),
        cmocka_unit_test_setup(test_qr_needs_room, setup_utf8),
        cmocka_unit_test_setup(test_json_is_escaped, setup_utf8),
        cmocka_unit_test(test_fields_of_another_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
