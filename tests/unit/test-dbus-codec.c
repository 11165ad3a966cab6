/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dbus/: what a peer sent is read strictly, what is written never aborts, and the tables agree with the XML.
 */

#include "tests/unit/unit.h"

#include "dbus/errors.h"
#include "dbus/interfaces.h"
#include "dbus/names.h"
#include "dbus/reader.h"
#include "dbus/writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static DBusMessage *new_message(void)
{
    DBusMessage *m =
        dbus_message_new_method_call(LWA_BUS_NAME, LWA_OBJECT_PATH, LWA_INTERFACE_BROKER, "GetToken");
    assert_non_null(m);
    return m;
}

static int teardown(void **state)
{
    (void)state;
    dbus_shutdown(); /* so that a leak check sees only what we lost */
    return 0;
}

static size_t count_fds(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

/* --- options -------------------------------------------------------------------------------------------- */

typedef void (*write_options)(struct writer *w);

static void write_good(struct writer *w)
{
    struct strv list = STRV_EMPTY;
    assert_int_equal(strv_add(&list, "a"), 0);
    assert_int_equal(strv_add(&list, "b"), 0);
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "account", "main");
    writer_entry_uint32(w, "min_valid", 120);
    writer_entry_bool(w, "newest", true);
    writer_entry_uint64(w, "after", UINT64_MAX);
    writer_entry_int64(w, "time", INT64_MIN);
    writer_entry_strv(w, "list", &list);
    writer_close(w);
    strv_clear(&list);
}

static void write_none(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_close(w);
}

static void write_unknown(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "account", "main");
    writer_entry_string(w, "acount", "main");
    writer_close(w);
}

static void write_twice(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "account", "main");
    writer_entry_string(w, "account", "other");
    writer_close(w);
}

static void write_string_for_number(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_string(w, "min_valid", "120");
    writer_close(w);
}

static void write_wide_for_narrow(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_uint64(w, "min_valid", 120);
    writer_close(w);
}

static void write_number_for_string(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_uint32(w, "account", 1);
    writer_close(w);
}

static void write_list_of_numbers(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_array_open(w, "list", "au", "u");
    writer_uint32(w, 1);
    writer_entry_array_close(w);
    writer_close(w);
}

static void write_many(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_entry_array_open(w, "list", "as", "s");
    for (int i = 0; i < 257; i++)
        writer_string(w, "x");
    writer_entry_array_close(w);
    writer_close(w);
}

static void write_nested(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{sv}");
    writer_open(w, DBUS_TYPE_DICT_ENTRY, NULL);
    writer_string(w, "account");
    writer_open(w, DBUS_TYPE_VARIANT, "v");
    writer_open(w, DBUS_TYPE_VARIANT, "s");
    writer_string(w, "main");
    writer_close(w);
    writer_close(w);
    writer_close(w);
    writer_close(w);
}

static void write_plain_strings(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{ss}");
    writer_pair(w, "account", "main");
    writer_close(w);
}

static void write_other_dict(struct writer *w)
{
    writer_open(w, DBUS_TYPE_ARRAY, "{su}");
    writer_open(w, DBUS_TYPE_DICT_ENTRY, NULL);
    writer_string(w, "min_valid");
    writer_uint32(w, 5);
    writer_close(w);
    writer_close(w);
}

static void write_no_dict(struct writer *w)
{
    writer_string(w, "account");
}

static void write_nothing(struct writer *w)
{
    (void)w;
}

struct found {
    const char *account;
    dbus_uint32_t min_valid;
    dbus_bool_t newest;
    dbus_uint64_t after;
    dbus_int64_t time;
    struct strv list;
};

static int read_options(DBusMessage *m, struct found *found, const char **ret_name)
{
    struct reader_option options[] = {
        {"account", DBUS_TYPE_STRING, &found->account, false},
        {"min_valid", DBUS_TYPE_UINT32, &found->min_valid, false},
        {"newest", DBUS_TYPE_BOOLEAN, &found->newest, false},
        {"after", DBUS_TYPE_UINT64, &found->after, false},
        {"time", DBUS_TYPE_INT64, &found->time, false},
        {"list", DBUS_TYPE_ARRAY, &found->list, false},
    };
    DBusMessageIter iter;
    (void)dbus_message_iter_init(m, &iter);
    return reader_options(&iter, options, ARRAY_SIZE(options), ret_name);
}

static void test_options(void **state)
{
    static const struct {
        write_options write;
        int r;
        const char *name;
    } cases[] = {
        {write_good, 0, NULL},
        {write_none, 0, NULL},
        {write_unknown, READER_E_UNKNOWN, "acount"},
        {write_twice, READER_E_TWICE, "account"},
        {write_string_for_number, READER_E_TYPE, "min_valid"},
        {write_wide_for_narrow, READER_E_TYPE, "min_valid"},
        {write_number_for_string, READER_E_TYPE, "account"},
        {write_list_of_numbers, READER_E_TYPE, "list"},
        {write_many, READER_E_MANY, "list"},
        {write_nested, READER_E_TYPE, "account"},
        {write_plain_strings, 0, NULL},
        {write_other_dict, READER_E_TYPE, ""},
        {write_no_dict, READER_E_TYPE, ""},
        {write_nothing, READER_E_TYPE, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct found found = {.min_valid = 7};
        const char *name = NULL;
        DBusMessage *m = new_message();
        struct writer w;
        writer_begin(&w, m);
        cases[i].write(&w);
        assert_int_equal(writer_end(&w), 0);
        assert_int_equal(read_options(m, &found, &name), cases[i].r);
        if (cases[i].name)
            assert_string_equal(name, cases[i].name);
        else
            assert_null(name);
        if (cases[i].write == write_good) {
            assert_string_equal(found.account, "main");
            assert_int_equal(found.min_valid, 120);
            assert_int_equal(found.newest, TRUE);
            assert_true(found.after == UINT64_MAX);
            assert_true(found.time == INT64_MIN);
            assert_int_equal(found.list.n, 2);
            assert_string_equal(found.list.items[1], "b");
        }
        if (cases[i].write == write_none)
            assert_int_equal(found.min_valid, 7); /* what is not given is untouched */
        strv_clear(&found.list);
        dbus_message_unref(m);
    }
}

static void test_strv_is_bounded(void **state)
{
    (void)state;
    DBusMessage *m = new_message();
    struct strv list = STRV_EMPTY, found = STRV_EMPTY;
    struct writer w;
    for (int i = 0; i < 3; i++)
        assert_int_equal(strv_add(&list, "s"), 0);
    writer_begin(&w, m);
    writer_strv(&w, &list);
    assert_int_equal(writer_end(&w), 0);

    DBusMessageIter iter;
    assert_true(dbus_message_iter_init(m, &iter));
    assert_int_equal(reader_strv(&iter, 2, &found), READER_E_MANY);
    assert_int_equal(found.n, 0);
    assert_int_equal(reader_strv(&iter, 3, &found), 0);
    assert_int_equal(found.n, 3);
    strv_clear(&found);
    strv_clear(&list);
    dbus_message_unref(m);
}

static void test_find(void **state)
{
    (void)state;
    DBusMessage *m = new_message();
    struct writer w;
    const char *account = NULL;
    dbus_uint32_t number = 0;
    DBusMessageIter iter;
    writer_begin(&w, m);
    write_good(&w);
    assert_int_equal(writer_end(&w), 0);
    assert_true(dbus_message_iter_init(m, &iter));
    assert_int_equal(reader_find(&iter, "account", DBUS_TYPE_STRING, &account), 0);
    assert_string_equal(account, "main");
    assert_int_equal(reader_find(&iter, "account", DBUS_TYPE_UINT32, &number), READER_E_TYPE);
    assert_int_equal(reader_find(&iter, "nowhere", DBUS_TYPE_UINT32, &number), -ENOENT);
    const unsigned char *bytes;
    size_t n;
    assert_int_equal(reader_find_bytes(&iter, "account", &bytes, &n), READER_E_TYPE);
    assert_int_equal(reader_find_bytes(&iter, "nowhere", &bytes, &n), -ENOENT);
    dbus_message_unref(m);
}

static int find_all(write_options write, const char **ret_account, dbus_uint32_t *ret_min_valid,
                    bool *ret_seen)
{
    struct reader_option options[] = {
        {"account", DBUS_TYPE_STRING, ret_account, false},
        {"min_valid", DBUS_TYPE_UINT32, ret_min_valid, false},
        {"nowhere", DBUS_TYPE_UINT32, ret_min_valid, false},
    };
    DBusMessage *m = new_message();
    struct writer w;
    DBusMessageIter iter;
    writer_begin(&w, m);
    write(&w);
    assert_int_equal(writer_end(&w), 0);
    (void)dbus_message_iter_init(m, &iter);
    int r = reader_find_all(&iter, options, ARRAY_SIZE(options));
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        ret_seen[i] = options[i].seen;
    if (write == write_good)
        assert_string_equal(*ret_account, "main");
    dbus_message_unref(m);
    return r;
}

static void test_find_all(void **state)
{
    (void)state;
    const char *account = NULL;
    dbus_uint32_t number = 0;
    bool seen[3];
    assert_int_equal(find_all(write_good, &account, &number, seen), 0); /* and others besides */
    assert_int_equal(number, 120);
    assert_true(seen[0] && seen[1] && !seen[2]);
    assert_int_equal(find_all(write_none, &account, &number, seen), 0);
    assert_true(!seen[0] && !seen[1] && !seen[2]);
    assert_int_equal(find_all(write_unknown, &account, &number, seen), 0);
    assert_int_equal(find_all(write_string_for_number, &account, &number, seen), READER_E_TYPE);
    assert_int_equal(find_all(write_twice, &account, &number, seen), READER_E_TWICE);
    assert_int_equal(find_all(write_no_dict, &account, &number, seen), READER_E_TYPE);
}

static void append_bytes(DBusMessageIter *dict, const char *key, const unsigned char *bytes, int n)
{
    DBusMessageIter entry, variant, array;
    assert_true(dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry));
    assert_true(dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key));
    assert_true(dbus_message_iter_open_container(&entry, DBUS_TYPE_VARIANT, "ay", &variant));
    assert_true(dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, "y", &array));
    assert_true(dbus_message_iter_append_fixed_array(&array, DBUS_TYPE_BYTE, &bytes, n));
    assert_true(dbus_message_iter_close_container(&variant, &array));
    assert_true(dbus_message_iter_close_container(&entry, &variant));
    assert_true(dbus_message_iter_close_container(dict, &entry));
}

static void test_find_bytes(void **state)
{
    (void)state;
    static const unsigned char label[] = "unconfined";
    DBusMessage *m = new_message();
    DBusMessageIter args, dict;
    dbus_message_iter_init_append(m, &args);
    assert_true(dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "{sv}", &dict));
    append_bytes(&dict, "Empty", label, 0);
    append_bytes(&dict, "LinuxSecurityLabel", label, sizeof(label));
    assert_true(dbus_message_iter_close_container(&args, &dict));

    const unsigned char *bytes = NULL;
    size_t n = 0;
    assert_true(dbus_message_iter_init(m, &args));
    assert_int_equal(reader_find_bytes(&args, "LinuxSecurityLabel", &bytes, &n), 0);
    assert_int_equal(n, sizeof(label));
    assert_memory_equal(bytes, label, n);
    assert_int_equal(reader_find_bytes(&args, "Empty", &bytes, &n), 0);
    assert_int_equal(n, 0);
    dbus_message_unref(m);
}

/* --- descriptors ------------------------------------------------------------------------------------------
 */

static void write_fd_option(struct writer *w, const char *key, int fd)
{
    writer_open(w, DBUS_TYPE_DICT_ENTRY, NULL);
    writer_string(w, key);
    writer_open(w, DBUS_TYPE_VARIANT, "h");
    writer_fd(w, fd);
    writer_close(w);
    writer_close(w);
}

/* A descriptor option is a new descriptor that the caller owns, and nothing else is ever opened for good. */
static void test_descriptors(void **state)
{
    (void)state;
    size_t before = count_fds();
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    DBusMessage *m = new_message();
    struct writer w;
    writer_begin(&w, m);
    writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
    write_fd_option(&w, "token", fd);
    write_fd_option(&w, "unknown", fd);
    writer_close(&w);
    assert_int_equal(writer_end(&w), 0);
    (void)close(fd);

    int token = -1;
    const char *name = NULL;
    struct reader_option options[] = {{"token", DBUS_TYPE_UNIX_FD, &token, false}};
    DBusMessageIter iter;
    assert_true(dbus_message_iter_init(m, &iter));
    assert_int_equal(reader_options(&iter, options, 1, &name), READER_E_UNKNOWN);
    assert_string_equal(name, "unknown");
    assert_true(options[0].seen);

    struct stat st, null;
    assert_int_equal(fstat(token, &st), 0);
    assert_int_equal(stat("/dev/null", &null), 0);
    assert_int_equal(st.st_rdev, null.st_rdev);
    assert_true(fcntl(token, F_GETFD) & FD_CLOEXEC);
    dbus_message_unref(m);
    assert_int_equal(fstat(token, &st), 0); /* ours, not the message's */
    (void)close(token);
    assert_int_equal(count_fds(), before);
}

/* --- writer ------------------------------------------------------------------------------------------------
 */

/* libdbus aborts the process on such texts; the writer refuses them, and the first error sticks. */
static void test_bad_text_never_aborts(void **state)
{
    static const char *const texts[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        DBusMessage *m = new_message();
        struct writer w;
        writer_begin(&w, m);
        writer_open(&w, DBUS_TYPE_ARRAY, "{sv}");
        writer_entry_string(&w, "label", texts[i]);
        writer_entry_string(&w, "after", "fine");
        writer_close(&w);
        writer_uint64(&w, 1);
        assert_int_equal(writer_end(&w), -EILSEQ);
        dbus_message_unref(m);
    }
}

static void test_bad_paths_never_abort(void **state)
{
    static const char *const paths[] = {"", "relative", "/a//b", "/a/", "/\xff"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        DBusMessage *m = new_message();
        struct writer w;
        writer_begin(&w, m);
        writer_object_path(&w, paths[i]);
        assert_int_equal(writer_end(&w), -EINVAL);
        dbus_message_unref(m);
    }
}

static void test_null_is_empty(void **state)
{
    (void)state;
    DBusMessage *m = new_message();
    struct writer w;
    const char *s = NULL;
    writer_begin(&w, m);
    writer_string(&w, NULL);
    assert_int_equal(writer_end(&w), 0);
    assert_true(dbus_message_get_args(m, NULL, DBUS_TYPE_STRING, &s, DBUS_TYPE_INVALID));
    assert_string_equal(s, "");
    dbus_message_unref(m);
}

/* --- names ---------------------------------------------------------------------------------------------- */

static void test_errors(void **state)
{
    (void)state;
    assert_null(bus_error_name(BUS_OK));
    assert_string_equal(bus_error_short_name(BUS_OK), "ok");
    for (int i = BUS_OK + 1; i < BUS_ERROR_COUNT; i++) {
        const char *name = bus_error_name((enum bus_error)i);
        assert_non_null(name);
        assert_true(dbus_validate_error_name(name, NULL));
        assert_int_equal(bus_error_from_name(name), i);
        assert_string_equal(bus_error_short_name((enum bus_error)i), strrchr(name, '.') + 1);
    }
    assert_int_equal(bus_error_from_name("org.freedesktop.DBus.Error.AccessDenied"), BUS_OK);
    assert_int_equal(bus_error_from_name("AccessDenied"), BUS_OK);
    assert_int_equal(bus_error_from_name(""), BUS_OK);
}

static void test_plain(void **state)
{
    static const char sixty_four[] = "0123456789012345678901234567890123456789012345678901234567890123";
    (void)state;
    assert_true(reader_is_plain(""));
    assert_true(reader_is_plain("min_valid ~"));
    assert_true(reader_is_plain(sixty_four));
    assert_false(reader_is_plain("01234567890123456789012345678901234567890123456789012345678901234"));
    assert_false(reader_is_plain("a\nb"));
    assert_false(reader_is_plain("\x7f"));
    assert_false(reader_is_plain("\xc3\xbc"));
}

/* Every interface that names.h names has its XML, and no comment is left in it. */
static void test_interfaces(void **state)
{
    static const char *const names[] = {
        LWA_INTERFACE_BROKER, LWA_INTERFACE_LOGIN, LWA_INTERFACE_LOGIN_REQUEST, LWA_INTERFACE_ACCOUNTS,
        LWA_INTERFACE_AUDIT,  LWA_INTERFACE_KEYS,  LWA_INTERFACE_POLICY,        LWA_INTERFACE_STATUS};
    size_t n = 0;
    (void)state;
    for (const struct bus_interface *i = bus_interfaces; i->name; i++, n++) {
        char head[128];
        (void)snprintf(head, sizeof(head), "  <interface name=\"%s\">\n", i->name);
        assert_memory_equal(i->xml, head, strlen(head));
        assert_string_equal(i->xml + strlen(i->xml) - strlen("</interface>\n"), "</interface>\n");
        assert_null(strstr(i->xml, "<!--"));
        assert_null(strstr(i->xml, "-->"));
        bool known = false;
        for (size_t j = 0; j < ARRAY_SIZE(names); j++)
            known = known || strcmp(names[j], i->name) == 0;
        assert_true(known);
    }
    assert_int_equal(n, ARRAY_SIZE(names));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_strv_is_bounded),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_find_all),
        cmocka_unit_test(test_find_bytes),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_bad_text_never_aborts),
        cmocka_unit_test(test_bad_paths_never_abort),
        cmocka_unit_test(test_null_is_empty),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_interfaces),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
