/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The look-up of an identity between its three sources, which are played here: what a bus says that is newer
 * than the one of the integration tests, or broken, and in which order the answers come. */

#include "tests/unit/unit.h"

#include "broker/broker.h"
#include "broker/identity-user.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* --- the three sources --------------------------------------------------------------------------------- */

static struct {
    bus_reply_callback callback;
    void *userdata;
} asked_bus;

static struct {
    uid_t uid;
    user_callback callback;
    void *userdata;
    int error;
} asked_user;

static struct {
    uid_t uid;
    pid_t pid;
    ino_t pidfd; /* of the descriptor; 0 without one */
    uint64_t connected_usec;
    identd_callback callback;
    void *userdata;
    int error;
} asked_identd;

int bus_call(struct bus *b _unused_, DBusMessage *message, int timeout_ms _unused_,
             bus_reply_callback callback, void *userdata, struct bus_call **ret)
{
    const char *name;
    assert_true(dbus_message_is_method_call(message, DBUS_INTERFACE_DBUS, "GetConnectionCredentials"));
    assert_true(dbus_message_get_args(message, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID));
    assert_string_equal(name, ":1.7");
    asked_bus.callback = callback;
    asked_bus.userdata = userdata;
    *ret = (struct bus_call *)&asked_bus;
    return 0;
}

void bus_call_drop(struct bus_call *c)
{
    if (c)
        asked_bus.callback = NULL;
}

int user_look_up(struct broker *broker _unused_, uid_t uid, user_callback callback, void *userdata,
                 struct user_lookup **ret)
{
    if (asked_user.error)
        return asked_user.error;
    asked_user.uid = uid;
    asked_user.callback = callback;
    asked_user.userdata = userdata;
    *ret = (struct user_lookup *)&asked_user;
    return 0;
}

void user_lookup_drop(struct user_lookup *l)
{
    if (l)
        asked_user.callback = NULL;
}

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

int identd_ask(struct identd_link *link _unused_, uid_t uid, pid_t pid, int pidfd, uint64_t connected_usec,
               identd_callback callback, void *userdata, struct identd_ask **ret)
{
    if (asked_identd.error)
        return asked_identd.error;
    asked_identd.uid = uid;
    asked_identd.pid = pid;
    asked_identd.pidfd = pidfd >= 0 ? inode_of(pidfd) : 0;
    asked_identd.connected_usec = connected_usec;
    asked_identd.callback = callback;
    asked_identd.userdata = userdata;
    *ret = (struct identd_ask *)&asked_identd;
    return 0;
}

void identd_ask_drop(struct identd_ask *ask)
{
    if (ask)
        asked_identd.callback = NULL;
}

/* --- what they say ---------------------------------------------------------------------------------------
 */

static void append_variant(DBusMessageIter *dict, const char *key, int type, const void *value)
{
    DBusMessageIter entry, variant;
    const char signature[] = {(char)type, '\0'};
    assert_true(dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry));
    assert_true(dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key));
    assert_true(dbus_message_iter_open_container(&entry, DBUS_TYPE_VARIANT, signature, &variant));
    assert_true(dbus_message_iter_append_basic(&variant, type, value));
    assert_true(dbus_message_iter_close_container(&entry, &variant));
    assert_true(dbus_message_iter_close_container(dict, &entry));
}

static void append_number(DBusMessageIter *dict, const char *key, dbus_uint32_t number)
{
    append_variant(dict, key, DBUS_TYPE_UINT32, &number);
}

static void append_label(DBusMessageIter *dict, const char *label)
{
    DBusMessageIter entry, variant, array;
    const char *key = "LinuxSecurityLabel";
    assert_true(dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry));
    assert_true(dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key));
    assert_true(dbus_message_iter_open_container(&entry, DBUS_TYPE_VARIANT, "ay", &variant));
    assert_true(dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, "y", &array));
    assert_true(dbus_message_iter_append_fixed_array(&array, DBUS_TYPE_BYTE, &label, (int)strlen(label) + 1));
    assert_true(dbus_message_iter_close_container(&variant, &array));
    assert_true(dbus_message_iter_close_container(&entry, &variant));
    assert_true(dbus_message_iter_close_container(dict, &entry));
}

struct credentials {
    bool without_uid, without_pid, is_error, has_text_uid, has_text_label, has_number_fd;
    dbus_uint32_t uid, pid;
    const char *label;
    int pidfd; /* 0: none */
};

static DBusMessage *new_reply(const struct credentials *c)
{
    DBusMessageIter args, dict;
    const char *text = "text";
    DBusMessage *m =
        dbus_message_new(c->is_error ? DBUS_MESSAGE_TYPE_ERROR : DBUS_MESSAGE_TYPE_METHOD_RETURN);
    assert_non_null(m);
    dbus_message_iter_init_append(m, &args);
    assert_true(dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "{sv}", &dict));
    if (c->has_text_uid)
        append_variant(&dict, "UnixUserID", DBUS_TYPE_STRING, &text);
    else if (!c->without_uid)
        append_number(&dict, "UnixUserID", c->uid);
    if (!c->without_pid)
        append_number(&dict, "ProcessID", c->pid);
    if (c->has_text_label)
        append_variant(&dict, "LinuxSecurityLabel", DBUS_TYPE_STRING, &text);
    else if (c->label)
        append_label(&dict, c->label);
    if (c->pidfd)
        append_variant(&dict, "ProcessFD", DBUS_TYPE_UNIX_FD, &c->pidfd);
    if (c->has_number_fd)
        append_number(&dict, "ProcessFD", 3);
    append_variant(&dict, "SomethingNew", DBUS_TYPE_STRING, &text);
    assert_true(dbus_message_iter_close_container(&args, &dict));
    return m;
}

static const struct credentials good = {.uid = 1000, .pid = 42};

static void say_credentials(const struct credentials *c)
{
    bus_reply_callback callback = asked_bus.callback;
    DBusMessage *reply = new_reply(c);
    assert_non_null(callback);
    asked_bus.callback = NULL;
    callback(reply, asked_bus.userdata);
    dbus_message_unref(reply);
}

static void say_name(const char *name)
{
    user_callback callback = asked_user.callback;
    assert_non_null(callback);
    asked_user.callback = NULL;
    callback(name, asked_user.userdata);
}

static void say_process(const struct identd_answer *answer)
{
    identd_callback callback = asked_identd.callback;
    assert_non_null(callback);
    asked_identd.callback = NULL;
    callback(answer, asked_identd.userdata);
}

static const struct identd_answer flatpak = {.status = IDENTD_OK,
                                             .is_foreign = 1,
                                             .is_pinned = 1,
                                             .flatpak = "org.example.Player",
                                             .unit = "x.service"};

/* --- the look-up ------------------------------------------------------------------------------------------
 */

static struct broker broker;
static struct {
    unsigned n;
    bool is_known;
    struct identity identity;
    char why[256];
} found;

static void on_identity(const struct identity *identity, const char *why, void *userdata)
{
    assert_ptr_equal(userdata, &found);
    found.n++;
    found.is_known = !why;
    if (identity)
        found.identity = *identity;
    if (why)
        (void)snprintf(found.why, sizeof(found.why), "%s", why);
}

static struct identity_lookup *look_up(void)
{
    struct identity_lookup *lookup;
    memset(&found, 0, sizeof(found));
    assert_int_equal(identity_look_up(&broker, ":1.7", on_identity, &found, &lookup), 0);
    assert_int_equal(found.n, 0);
    return lookup;
}

/* Nobody is asked any more, by whom it was dropped. */
static void assert_refused(const char *why)
{
    assert_int_equal(found.n, 1);
    assert_false(found.is_known);
    assert_non_null(strstr(found.why, why));
    assert_null(asked_bus.callback);
    assert_null(asked_user.callback);
    assert_null(asked_identd.callback);
}

static void all_sources_make_an_identity(void **state _unused_)
{
    for (int user_first = 0; user_first < 2; user_first++) {
        (void)look_up();
        say_credentials(&good);
        assert_int_equal(asked_user.uid, 1000);
        assert_int_equal(asked_identd.uid, 1000);
        assert_int_equal(asked_identd.pid, 42);
        assert_int_equal(asked_identd.pidfd, 0);
        if (user_first)
            say_name("alice");
        else
            say_process(&flatpak);
        assert_int_equal(found.n, 0);
        if (user_first)
            say_process(&flatpak);
        else
            say_name("alice");
        assert_int_equal(found.n, 1);
        assert_true(found.is_known);
        assert_string_equal(found.identity.app, "flatpak:org.example.Player");
        assert_string_equal(found.identity.user, "alice");
        assert_string_equal(found.identity.unit, "x.service");
        assert_int_equal(found.identity.uid, 1000);
        assert_int_equal(found.identity.pid, 42);
        assert_true(found.identity.is_pinned);
        assert_true(found.identity.is_foreign);
    }
}

static void label_names_the_app(void **state _unused_)
{
    static const struct {
        const char *label, *app;
    } cases[] = {
        {"snap.player.app (enforce)", "snap:player.app"},
        {"snap.player.app (complain)", "unknown"},
        {"unconfined", "flatpak:org.example.Player"},
        {"", "unknown"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct credentials c = good;
        c.label = cases[i].label;
        (void)look_up();
        say_credentials(&c);
        say_process(&flatpak);
        say_name("alice");
        assert_string_equal(found.identity.app, cases[i].app);
    }
}

static unsigned count_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return n;
}

/* The bus's own pidfd is handed on, as it is, and closed. */
static void process_descriptor_is_handed_on(void **state _unused_)
{
    struct credentials c = good;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    c.pidfd = ends[0];
    unsigned n_before = count_descriptors();
    (void)look_up();
    say_credentials(&c);
    assert_int_equal(asked_identd.pidfd, inode_of(ends[0]));
    say_name("alice");
    say_process(&flatpak);
    assert_true(found.is_known);
    assert_int_equal(count_descriptors(), n_before);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void age_of_the_connection_is_handed_on(void **state _unused_)
{
    struct identity_lookup *lookup = look_up();
    say_credentials(&good);
    assert_int_equal(asked_identd.connected_usec, 0);
    identity_lookup_drop(lookup);
    appeared_add(&broker.appeared, ":1.7", 1234567);
    lookup = look_up();
    say_credentials(&good);
    assert_int_equal(asked_identd.connected_usec, 1234567);
    identity_lookup_drop(lookup);
    appeared_clear(&broker.appeared);
}

static void what_the_bus_does_not_tell(void **state _unused_)
{
    static const struct credentials cases[] = {
        {.uid = 1000, .pid = 42, .is_error = true},
        {.pid = 42, .without_uid = true},
        {.pid = 42, .has_text_uid = true},
        {.uid = (uid_t)-1, .pid = 42},
        {.uid = 1000, .without_pid = true},
        {.uid = 1000, .pid = 0},
        {.uid = 1000, .pid = 0x80000000},
        {.uid = 1000, .pid = 42, .has_text_label = true},
        {.uid = 1000, .pid = 42, .has_number_fd = true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        (void)look_up();
        say_credentials(&cases[i]);
        assert_refused("the message bus does not tell");
    }
}

static void what_cannot_be_found_out(void **state _unused_)
{
    (void)look_up();
    say_credentials(&good);
    say_name(NULL);
    assert_refused("the name of its user cannot be read");

    for (int status = IDENTD_GONE; status <= IDENTD_BUSY; status++) {
        struct identd_answer answer = {.status = (uint32_t)status};
        (void)look_up();
        say_credentials(&good);
        say_process(&answer);
        assert_refused("; "); /* what is missing; and what to do */
        assert_int_equal(found.identity.uid, 1000);
        assert_string_equal(found.identity.app, "unknown");
    }

    /* Where lwa-identd says nothing, no process is to blame. */
    static const enum identd_status silences[] = {IDENTD_SILENT, IDENTD_LOST};
    for (size_t i = 0; i < ARRAY_SIZE(silences); i++) {
        struct identd_answer answer = {.status = (uint32_t)silences[i]};
        (void)look_up();
        say_credentials(&good);
        say_process(&answer);
        assert_refused("lwa-identd");
        assert_string_equal(found.identity.app, "");
    }

    static const int errors[] = {-ENOMEM, -EPIPE, -EMFILE};
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        asked_identd.error = errors[i];
        (void)look_up();
        say_credentials(&good);
        assert_refused("try again later");
    }
    asked_identd.error = 0;
    asked_user.error = -ENOMEM;
    (void)look_up();
    say_credentials(&good);
    assert_refused("out of memory");
    asked_user.error = 0;
}

/* A daemon without its helper is none in which everybody is outside of a sandbox. */
static void without_identd_nobody_is_known(void **state _unused_)
{
    struct identd_link *link = broker.identd;
    broker.identd = NULL;
    (void)look_up();
    say_credentials(&good);
    assert_refused("lwa-identd");
    broker.identd = link;
}

static void dropped_at_any_time(void **state _unused_)
{
    for (int n = 0; n < 4; n++) {
        struct identity_lookup *lookup = look_up();
        if (n > 0)
            say_credentials(&good);
        if (n == 2)
            say_name("alice");
        if (n == 3)
            say_process(&flatpak);
        identity_lookup_drop(lookup);
        assert_int_equal(found.n, 0);
        assert_null(asked_bus.callback);
        assert_null(asked_user.callback);
        assert_null(asked_identd.callback);
    }
    identity_lookup_drop(NULL);
}

static int set_up(void **state _unused_)
{
    static int link;
    memset(&broker, 0, sizeof(broker));
    broker.identd = (struct identd_link *)&link;
    return table_new(&broker.table);
}

static int tear_down(void **state _unused_)
{
    table_free(broker.table);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sources_make_an_identity),
        cmocka_unit_test(label_names_the_app),
        cmocka_unit_test(process_descriptor_is_handed_on),
        cmocka_unit_test(age_of_the_connection_is_handed_on),
        cmocka_unit_test(what_the_bus_does_not_tell),
        cmocka_unit_test(what_cannot_be_found_out),
        cmocka_unit_test(without_identd_nobody_is_known),
        cmocka_unit_test(dropped_at_any_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
