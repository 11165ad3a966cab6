/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/sink-format.h"
#include "util/utf8.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

/* What collectors get, read back by parsers of their own. */

#define FIELDS_MAX 40
#define VALUE_SIZE 4096

struct field {
    char name[32];
    char value[VALUE_SIZE];
};

struct parsed {
    struct field fields[FIELDS_MAX];
    size_t n;
};

/* --- parsers ----------------------------------------------------------------------------------------- */

static uint64_t get_length(const char *bytes)
{
    uint64_t n = 0;
    for (size_t i = 0; i < 8; i++)
        n |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return n;
}

/* As journald reads it; every byte has to be accounted for. */
static void parse_journal(const struct sink_buffer *b, struct parsed *ret)
{
    const char *at = b->bytes, *end = b->bytes + b->n;
    ret->n = 0;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(line);
        const char *equals = memchr(at, '=', (size_t)(line - at));
        const char *name_end = equals ? equals : line, *value = equals ? equals + 1 : line + 9;
        size_t n = equals ? (size_t)(line - value) : (size_t)get_length(line + 1);
        assert_true(ret->n < FIELDS_MAX && name_end > at && value <= end);
        struct field *field = &ret->fields[ret->n++];
        assert_true((size_t)(name_end - at) < sizeof(field->name) && n < sizeof(field->value));
        assert_true(n < (size_t)(end - value) && value[n] == '\n');
        (void)snprintf(field->name, sizeof(field->name), "%.*s", (int)(name_end - at), at);
        memcpy(field->value, value, n);
        field->value[n] = '\0';
        assert_int_equal(strlen(field->value), n);
        assert_int_equal(strspn(field->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(field->name));
        assert_true(field->name[0] != '_');
        at = value + n + 1;
    }
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The end of a quoted value, which is unquoted into ret. */
static const char *unquote(const char *at, char ret[VALUE_SIZE])
{
    size_t n = 0;
    while (*at && *at != '"') {
        assert_true(n + 1 < VALUE_SIZE);
        if (at[0] == '\\' && at[1] == 'x') {
            ret[n++] = (char)(16 * hex(at[2]) + hex(at[3]));
            at += 4;
        } else {
            at += *at == '\\' ? 1 : 0;
            ret[n++] = *at++;
        }
    }
    ret[n] = '\0';
    assert_int_equal(*at, '"');
    return at + 1;
}

/* The fields at the end of a line, whose sentence is skipped. */
static void parse_syslog(const char *line, struct parsed *ret)
{
    const char *at = strstr(line, " sequence=\"");
    ret->n = 0;
    while (at && *at) {
        assert_int_equal(*at++, ' ');
        size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
        assert_true(ret->n < FIELDS_MAX);
        struct field *field = &ret->fields[ret->n++];
        assert_true(n > 0 && n < sizeof(field->name));
        (void)snprintf(field->name, sizeof(field->name), "%.*s", (int)n, at);
        assert_memory_equal(at + n, "=\"", 2);
        at = unquote(at + n + 2, field->value);
    }
}

static const char *value_of(const struct parsed *p, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->fields[i].name, name) == 0) {
            assert_null(value); /* once */
            value = p->fields[i].value;
        }
    return value;
}

static void expect(const struct parsed *p, const char *name, const char *value)
{
    const char *found = value_of(p, name);
    if (value)
        assert_string_equal(found ? found : "(none)", value);
    else
        assert_null(found);
}

/* --- records ----------------------------------------------------------------------------------------- */

static char *copy(const char *text)
{
    char *s = strdup(text);
    assert_non_null(s);
    return s;
}

static struct audit_record *full_record(void)
{
    struct audit_record *r = audit_record_new(AUDIT_TOKEN_DISCLOSED);
    assert_non_null(r);
    r->sequence = 42;
    r->time_sec = 1700000000;
    r->boot_usec = 5;
    r->uid = 0;
    r->owner_uid = 1000;
    r->app = copy("user:musicd");
    r->kind = copy("user");
    r->strength = copy("uid");
    r->unit = copy("musicd.service");
    r->program = copy("/usr/bin/musicd");
    r->account = copy("main");
    r->owner = copy("alice");
    r->asked = copy("music::library");
    r->carried = copy("music::library profile");
    r->verdict = copy("allow");
    r->decided_by = copy("table");
    r->chain = copy("table allow; polkit yes; grant 3");
    r->detail = copy("");
    r->request = copy("0123abcd-1");
    r->grant = 3;
    r->expires_sec = 1700003600;
    r->epoch = 7;
    r->has_fingerprint = r->has_hash = true;
    memset(r->fingerprint, 0xab, sizeof(r->fingerprint));
    memset(r->hash, 0x01, sizeof(r->hash));
    memset(r->seal, 0x02, sizeof(r->seal));
    return r;
}

static void journal_fields(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = full_record();
    struct sink_buffer b = {NULL};
    struct parsed p;
    sink_journal_format(r, &b);
    parse_journal(&b, &p);
    sink_buffer_clear(&b);
    expect(&p, "MESSAGE",
           "A token was given to an app: user:musicd, account main of alice, allow by table,"
           " music::library profile");
    expect(&p, "PRIORITY", "6");
    expect(&p, "SYSLOG_IDENTIFIER", "lwa-brokerd");
    expect(&p, "LWA_SEQUENCE", "42");
    expect(&p, "LWA_TIME", "1700000000");
    expect(&p, "LWA_EVENT", "token-disclosed");
    expect(&p, "LWA_UID", "0");
    expect(&p, "LWA_OWNER_UID", "1000");
    expect(&p, "LWA_SCOPES_ASKED", "music::library");
    expect(&p, "LWA_SCOPES_CARRIED", "music::library profile");
    expect(&p, "LWA_CHAIN", "table allow; polkit yes; grant 3");
    expect(&p, "LWA_DETAIL", NULL); /* empty ones are left out */
    expect(&p, "LWA_REQUEST", "0123abcd-1");
    expect(&p, "LWA_TOKEN", "abababababababababababababababab");
    expect(&p, "LWA_EXPIRES_AT", "1700003600");
    expect(&p, "LWA_EPOCH", "7");
    expect(&p, "LWA_HASH", "0101010101010101010101010101010101010101010101010101010101010101");
}

static void empty_record(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = audit_record_new(AUDIT_BROKER_CRASHED);
    struct sink_buffer b = {NULL};
    struct parsed p;
    sink_journal_format(r, &b);
    parse_journal(&b, &p);
    sink_buffer_clear(&b);
    expect(&p, "MESSAGE", "The broker had ended without having been stopped");
    expect(&p, "PRIORITY", "4");
    expect(&p, "LWA_UID", NULL);
    expect(&p, "LWA_TOKEN", NULL);
    expect(&p, "LWA_HASH", NULL);
    expect(&p, "LWA_APP", NULL);
}

/* Each text with everything that could end a field, a line or a screen. */
#define HOSTILE "x\nLWA_EVENT=token-denied\n\nMESSAGE=no\n\x1b[2J\"\\\xe2\x80\xae\x07\x80 \xff=y"

static struct audit_record *hostile_record(void)
{
    struct audit_record *r = full_record();
    char **const texts[] = {&r->app, &r->unit, &r->program, &r->owner, &r->account, &r->chain, &r->detail};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        free(*texts[i]);
        *texts[i] = copy(HOSTILE);
    }
    return r;
}

static void assert_is_safe_line(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_true(bytes[i] >= 0x20 && bytes[i] <= 0x7e);
}

static void hostile_in_journal(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = hostile_record();
    struct sink_buffer b = {NULL};
    struct parsed p;
    sink_journal_format(r, &b);
    parse_journal(&b, &p);
    sink_buffer_clear(&b);
    const char *message = value_of(&p, "MESSAGE");
    assert_is_safe_line(message, strlen(message));
    assert_null(strchr(message, '"'));
    expect(&p, "LWA_EVENT", "token-disclosed");
    expect(&p, "LWA_APP", HOSTILE); /* as it is, in its own field */
    expect(&p, "LWA_DETAIL", HOSTILE);
}

static void hostile_in_syslog(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = hostile_record();
    struct sink_buffer b = {NULL};
    struct parsed p;
    sink_syslog_format(r, &b);
    assert_is_safe_line(b.bytes, b.n);
    sink_buffer_add(&b, "", 1);
    parse_syslog(b.bytes, &p);
    sink_buffer_clear(&b);
    expect(&p, "event", "token-disclosed");
    expect(&p, "app", HOSTILE);
    expect(&p, "chain", HOSTILE);
    expect(&p, "hash", "0101010101010101010101010101010101010101010101010101010101010101");
}

static void syslog_line(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = full_record();
    struct sink_buffer b = {NULL};
    char expected[256];
    (void)setenv("TZ", "UTC", 1);
    tzset();
    sink_syslog_format(r, &b);
    (void)snprintf(
        expected, sizeof(expected),
        "<86>Nov 14 22:13:20 lwa-brokerd[%d]: A token was given to an app: user:musicd, account main"
        " of alice, allow by table, music::library profile sequence=\"42\" time=\"1700000000\" ",
        (int)getpid());
    assert_true(b.n > strlen(expected));
    assert_memory_equal(b.bytes, expected, strlen(expected));
    sink_buffer_clear(&b);
}

/* A line that syslog daemons would cut is cut where a field ends. */
static void long_in_syslog(void **state _unused_)
{
    _cleanup_(audit_record_freep) struct audit_record *r = full_record();
    struct sink_buffer b = {NULL};
    free(r->chain);
    r->chain = calloc(1, 10001);
    assert_non_null(r->chain);
    memset(r->chain, 'c', 10000);
    sink_syslog_format(r, &b);
    assert_true(b.n < 8000);
    sink_buffer_add(&b, "", 1);
    assert_non_null(strstr(b.bytes, " ..."));
    assert_null(strstr(b.bytes, "ccc"));
    assert_non_null(strstr(b.bytes, " hash=\"0101"));
    sink_buffer_clear(&b);
}

/* --- at random --------------------------------------------------------------------------------------- */

static char *random_text(void)
{
    static const char some[] = "\n=\"\\ \x1b\x01\x80\xff\xe2\x80\xae"
                               "aZ0:_.";
    size_t n = randombytes_uniform(200);
    char *text = calloc(1, n + 1);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = some[randombytes_uniform(sizeof(some) - 1)];
    return text;
}

static void random_fields(void **state _unused_)
{
    assert_true(sodium_init() >= 0);
    for (int i = 0; i < 3000; i++) {
        struct audit_record r = {.event = (enum audit_event)randombytes_uniform(AUDIT_EVENT_COUNT),
                                 .sequence = 1 + randombytes_uniform(1000),
                                 .uid = (uid_t)-1,
                                 .owner_uid = (uid_t)-1};
        const struct {
            char **text;
            const char *journal, *syslog;
        } texts[] = {
            {&r.app, "LWA_APP", "app"},
            {&r.account, "LWA_ACCOUNT", "account"},
            {&r.owner, "LWA_OWNER", "owner"},
            {&r.detail, "LWA_DETAIL", "detail"},
            {&r.program, "LWA_PROGRAM", "program"},
            {&r.chain, "LWA_CHAIN", "chain"},
        };
        for (size_t k = 0; k < ARRAY_SIZE(texts); k++)
            *texts[k].text = random_text();
        struct sink_buffer journal = {NULL}, syslog = {NULL};
        struct parsed in_journal, in_syslog;
        sink_journal_format(&r, &journal);
        sink_syslog_format(&r, &syslog);
        assert_is_safe_line(syslog.bytes, syslog.n);
        sink_buffer_add(&syslog, "", 1);
        parse_journal(&journal, &in_journal);
        parse_syslog(syslog.bytes, &in_syslog);
        expect(&in_journal, "LWA_EVENT", audit_event_name(r.event));
        expect(&in_syslog, "event", audit_event_name(r.event));
        for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
            const char *text = *texts[k].text;
            expect(&in_journal, texts[k].journal, text[0] ? text : NULL);
            expect(&in_syslog, texts[k].syslog, text[0] ? text : NULL);
            free(*texts[k].text);
        }
        sink_buffer_clear(&journal);
        sink_buffer_clear(&syslog);
    }
}

/* Every event has words and a weight. */
static void sentences(void **state _unused_)
{
    for (int i = 0; i < AUDIT_EVENT_COUNT; i++) {
        char sentence[SINK_SENTENCE_SIZE];
        _cleanup_(audit_record_freep) struct audit_record *r = audit_record_new((enum audit_event)i);
        assert_non_null(r);
        sink_sentence(r, sentence);
        assert_true(strlen(sentence) > 10 && sentence[0] >= 'A' && sentence[0] <= 'Z');
        assert_in_range(sink_priority(r->event), 2, 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journal_fields),     cmocka_unit_test(empty_record),
        cmocka_unit_test(hostile_in_journal), cmocka_unit_test(hostile_in_syslog),
        cmocka_unit_test(syslog_line),        cmocka_unit_test(long_in_syslog),
        cmocka_unit_test(random_fields),      cmocka_unit_test(sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
