/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/flatpak-info.h"
#include "policy/app-name.h"

#include <string.h>

#define NAME "org.example.Player"
#define HEAD "[Application]\nname=" NAME "\n"

struct text {
    const char *text;
    size_t n;
};

#define TEXT(literal)                                                                                        \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

static void test_good(void **state _unused_)
{
    static const struct text texts[] = {
        TEXT(HEAD),
        TEXT("[Application]\nname=" NAME),
        TEXT("[Application]\nname = " NAME "\n"),
        TEXT("# made by hand\n\n" HEAD "# more\n"),
        TEXT(HEAD "runtime=runtime/org.gnome.Platform/x86_64/45\n\n[Instance]\nname=org.example.Other\n"
                  "app-path=/var/lib/flatpak/app\nbranch=stable\n\n[Session Bus Policy]\n"
                  "org.example.*=talk\n[Environment]\nX=a=b\nTITLE=\xc3\xa4\\n\n"),
        TEXT("[Instance]\ninstance-id=1\n[Application]\nruntime=x\nname=" NAME
             "\nname[de]=org.example.Other\n"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char id[FLATPAK_ID_SIZE] = "x";
        if (flatpak_info_parse(texts[i].text, texts[i].n, id) != 0)
            fail_msg("refused: %s", texts[i].text);
        assert_string_equal(id, NAME);
    }
}

static void test_bad(void **state _unused_)
{
    static const struct text texts[] = {
        TEXT(""),
        TEXT("\n"),
        TEXT("name=" NAME "\n"),
        TEXT("[Runtime]\nname=" NAME "\n"),
        TEXT("[Application]\n"),
        TEXT("[Application]\nname=\n"),
        TEXT("[Application]\nNAME=" NAME "\n"),
        TEXT("[application]\nname=" NAME "\n"),
        TEXT("[Application ]\nname=" NAME "\n"),
        TEXT("[Application]\n[Instance]\nname=" NAME "\n"),
        /* A second app. */
        TEXT(HEAD "name=org.example.Other\n"),
        TEXT(HEAD "name=" NAME "\n"),
        TEXT(HEAD "name =org.example.Other\n"),
        TEXT(HEAD HEAD),
        TEXT(HEAD "[Application]\nruntime=x\n"),
        /* What one reader would take for one thing, another for another. */
        TEXT(HEAD "junk\n"),
        TEXT(HEAD "=x\n"),
        TEXT(HEAD " [Instance]\n"),
        TEXT(HEAD " name=org.example.Other\n"),
        TEXT(HEAD "[Instance\n"),
        TEXT(HEAD "[Instance] x\n"),
        TEXT(HEAD "[]\n"),
        TEXT(HEAD "[a]b]\n"),
        TEXT(HEAD "[a[b]\n"),
        TEXT("[Application]\r\nname=" NAME "\r\n"),
        TEXT("\xef\xbb\xbf" HEAD),
        TEXT("[Application]\nname=" NAME "\0\n"),
        TEXT("[Application]\nname=" NAME "\0.Other\n"),
        TEXT(HEAD "\0"),
        TEXT(HEAD "x=\xff\n"),
        TEXT(HEAD "x=\x1b\n"),
        TEXT(HEAD "x=\x7f\n"),
        TEXT("\x7f"
             "ELF\2\1\1\0\0\0"),
        /* Not an id. */
        TEXT("[Application]\nname=" NAME " \n"),
        TEXT("[Application]\nname=\"" NAME "\"\n"),
        TEXT("[Application]\nname=org.example\n"),
        TEXT("[Application]\nname=org.example.Player\\n\n"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char id[FLATPAK_ID_SIZE] = "x";
        if (flatpak_info_parse(texts[i].text, texts[i].n, id) != FLATPAK_INFO_E_MALFORMED)
            fail_msg("taken: %s", texts[i].text);
        assert_string_equal(id, "x");
    }
}

static void test_ids(void **state _unused_)
{
    static const char *const good[] = {
        "a.b.c",    "org.example.Player",         "_._._", "org.example.a-b", "org.example.-",
        "a1.b2.c3", "org.example.Player.Plugin-2"};
    static const char *const bad[] = {
        "",        "a",       "a.b",      ".a.b.c",  "a.b.c.",
        "a..b.c",  "a.b.1c",  "1a.b.c",   "a-b.c.d", "a.b-c.d",
        "a.b.c d", "a.b.c/d", "a.b.../x", "a.b.c\n", "a.b.\xc3\xa4",
        "..",      "...",     "a.b.c:d",  "a.b.c\\", "org.example.Player;name=x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (!app_flatpak_is_valid(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (app_flatpak_is_valid(bad[i]))
            fail_msg("taken: %s", bad[i]);
}

static void test_length(void **state _unused_)
{
    char text[1024], id[FLATPAK_ID_SIZE];
    for (size_t n = 254; n <= 257; n++) {
        char long_id[300] = "a.b.";
        memset(long_id + 4, 'c', n - 4);
        long_id[n] = '\0';
        assert_int_equal(app_flatpak_is_valid(long_id), n <= 255);
        int size = snprintf(text, sizeof(text), "[Application]\nname=%s\n", long_id);
        assert_int_equal(flatpak_info_parse(text, (size_t)size, id), n <= 255 ? 0 : FLATPAK_INFO_E_MALFORMED);
        if (n <= 255)
            assert_string_equal(id, long_id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
