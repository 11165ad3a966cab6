/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Method calls of hostile callers against the broker's real handlers: the store's calls, polkit's client, the
 * LWA client and everything above them are the real ones, and the input says what comes of all that they wait
 * for (fakes.h; the worker of the store is played here). The input is a sequence of steps, each a call, an
 * outcome, a timer or a caller that leaves.
 *
 * Whatever the sequence: a sandboxed caller has no answer but errors of what is closed to sandboxes, unless
 * polkit has let it in, and an unknown sandbox none at all; every call is answered once, by an error of the
 * contract or by what its interface says; who is denied by the table or the owner holds no token; another
 * user's token reaches nobody (I8); no refresh token is on the bus (I2) or at another address than its own;
 * and when all callers have left, nothing of them is left. */

#include "broker/account.h"
#include "broker/broker.h"
#include "broker/consent.h"
#include "broker/handlers.h"
#include "broker/login.h"
#include "broker/peer.h"
#include "broker/policy-files.h"
#include "broker/server.h"
#include "broker/store-internal.h"
#include "broker/token.h"
#include "tests/fuzz/arguments.h"
#include "tests/fuzz/fakes.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/decide.h"
#include "util/clock.h"
#include "util/log.h"

#include <fcntl.h>
#include <sodium.h>

#define STEPS_MAX 24
#define CALLS_MAX 64
#define ACCESS "Atza|an access token of "
#define REFRESH "Atzr|a refresh token of "

static const char config_text[] =
    "[provider]\nclient_id = amzn1.application-oa2-client.1\n[limits]\napp_rate = 100000\n"
    "app_burst = 1000000\nuid_rate = 100000\nuid_burst = 1000000\n";
static const char catalogue_text[] = "[a]\ndescription = a\nimplies = b\n[b]\ndescription = b\n"
                                     "[c]\ndescription = c\n[d]\ndescription = d\n";
static const char table_text[] = "[user:alice]\nallow = a\nask = c\n[user:bob]\nallow = b\ndeny = d\n"
                                 "[flatpak:org.example.Player]\nallow = a c\n";

static const struct caller {
    const char *name, *app, *user, *flatpak;
    uid_t uid;
    bool is_foreign;
    bool is_known;
} callers[] = {
    {":1.1", "user:alice", "alice", "", 1000, false, true},
    {":1.2", "user:bob", "bob", "", 1002, false, true},
    {":1.3", "flatpak:org.example.Player", "alice", "org.example.Player", 1000, true, true},
    {":1.4", "user:root", "root", "", 0, false, true},
    {":1.5", "", "", "", 0, false, false},
    {":1.6", "unknown", "alice", "", 1000, true, true},
    {":1.7", "flatpak:org.example.Rooted", "root", "org.example.Rooted", 0, true, true},
};
#define N_COMMON 5 /* the others are chosen now and then */

/* How often polkit said that a sandboxed caller may go on, less the answers that came of it. */
static unsigned n_let_in[ARRAY_SIZE(callers)];

static struct broker broker;
static uv_loop_t loop;
static struct input in;
static int64_t last_row;

/* --- calls and their answers ------------------------------------------------------------------------- */

static struct open_call {
    dbus_uint32_t serial;
    const struct caller *caller;
    bool is_get_token;
    bool is_outside; /* of an interface that is closed to sandboxes */
} calls[CALLS_MAX];
static size_t n_calls;
static dbus_uint32_t last_serial;

static struct open_call take_call(DBusMessage *reply)
{
    for (size_t i = 0; i < n_calls; i++) {
        struct open_call found = calls[i];
        if (found.serial != dbus_message_get_reply_serial(reply))
            continue;
        calls[i] = calls[--n_calls];
        require(strcmp(dbus_message_get_destination(reply), found.caller->name) == 0);
        return found;
    }
    require(!"an answer to an open call");
    return calls[0];
}

static void check_error(DBusMessage *reply)
{
    const char *name = dbus_message_get_error_name(reply), *sentence;
    require(strncmp(name, "org.lwabroker.Error.", 20) == 0 ||
            strncmp(name, "org.freedesktop.DBus.Error.", 27) == 0);
    require(dbus_message_get_args(reply, NULL, DBUS_TYPE_STRING, &sentence, DBUS_TYPE_INVALID));
    require(sentence[0]);
    require_printable(sentence, 1024);
    require(strcmp(name, DBUS_ERROR_NO_MEMORY) != 0);
}

/* The scopes of the token that the caller got. */
static void check_scopes(DBusMessageIter *info, const struct caller *caller)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    struct verdicts verdicts;
    const char *id;
    require(reader_find(info, "scopes", DBUS_TYPE_ARRAY, &names) == 0 && names.n > 0);
    require(reader_find(info, "account", DBUS_TYPE_STRING, &id) == 0);
    const struct account *account = account_find(&broker, caller->uid, id);
    decide_for(broker.table, broker.catalogue, caller->app, VERDICT_ASK, &verdicts);
    for (size_t i = 0; i < names.n; i++) {
        struct scope_set set = SCOPE_SET_EMPTY;
        scope_set_add(&set, catalogue_find(broker.catalogue, names.items[i]));
        require(verdicts_least(&verdicts, catalogue_expand(broker.catalogue, set)) != VERDICT_DENY);
        const struct consent *c =
            consents_find(account, caller->app, catalogue_find(broker.catalogue, names.items[i]), wall_sec());
        require(!c || !c->denies);
    }
}

/* Of whom the token is stands in it. */
static void check_token(DBusMessage *reply, const struct caller *caller)
{
    DBusMessageIter args;
    int fd = -1;
    char text[LWA_TOKEN_BYTES_MAX + 1] = "";
    require(dbus_message_has_signature(reply, "ha{sv}") && dbus_message_iter_init(reply, &args));
    dbus_message_iter_get_basic(&args, &fd);
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    (void)close(fd);
    require(n > 0 && strncmp(text, ACCESS, strlen(ACCESS)) == 0);
    const char *whose = text + strlen(ACCESS);
    require(strcmp(whose, "device") == 0 || strcmp(whose, caller->user) == 0 || strcmp(whose, "new") == 0);
    (void)dbus_message_iter_next(&args);
    check_scopes(&args, caller);
}

static void require_no_secret(DBusMessage *message)
{
    static dbus_uint32_t serial = 1;
    char *bytes;
    int n;
    if (dbus_message_contains_unix_fds(message))
        return; /* such a message cannot be written out; its strings are in the others */
    if (dbus_message_get_serial(message) == 0)
        dbus_message_set_serial(message, serial++);
    require(dbus_message_marshal(message, &bytes, &n));
    require(!memmem(bytes, (size_t)n, REFRESH, strlen(REFRESH)) &&
            !memmem(bytes, (size_t)n, ACCESS, strlen(ACCESS)) &&
            !memmem(bytes, (size_t)n, "a device code", strlen("a device code")));
    dbus_free(bytes);
}

/* The state of an authorization-code login, which its creator reads from the address to open. */
static void learn_state(DBusMessage *signal)
{
    char *bytes;
    int n;
    if (!dbus_message_has_member(signal, "PropertiesChanged") || !dbus_message_marshal(signal, &bytes, &n))
        return;
    const char *found = memmem(bytes, (size_t)n, "state=", 6);
    if (found)
        (void)snprintf(arguments_word, sizeof(arguments_word), "%.*s", (int)strcspn(found + 6, "&"),
                       found + 6);
    dbus_free(bytes);
}

/* Who may have an answer that is no error. */
static void require_let_in(const struct open_call *call)
{
    const struct caller *c = call->caller;
    require(!c->is_foreign || c->flatpak[0]);
    if (!call->is_outside)
        return;
    require(c->is_known && (!c->is_foreign || c->uid != 0));
    if (c->is_foreign)
        require(n_let_in[c - callers]-- > 0);
}

static void on_message(DBusMessage *message)
{
    require_no_secret(message);
    const char *destination = dbus_message_get_destination(message);
    require(destination && destination[0] == ':'); /* nothing is broadcast */
    int type = dbus_message_get_type(message);
    if (type == DBUS_MESSAGE_TYPE_SIGNAL) {
        require(peer_find(&broker, destination));
        learn_state(message);
        return;
    }
    struct open_call call = take_call(message);
    if (type == DBUS_MESSAGE_TYPE_ERROR) {
        check_error(message);
        return;
    }
    require_let_in(&call);
    if (call.is_get_token)
        check_token(message, call.caller);
}

/* A refresh token goes to the provider it came from. */
static void on_request(const char *url, const struct http_field *fields, size_t n_fields)
{
    require(strncmp(url, "https://", 8) == 0);
    for (size_t i = 0; i < n_fields; i++) {
        require(fields[i].value);
        if (strstr(fields[i].value, REFRESH))
            require(strcmp(url, broker.config->token_endpoint) == 0);
    }
}

/* --- what the broker waits for ----------------------------------------------------------------------- */

static void settle_identity(struct fake *f)
{
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        const struct caller *c = &callers[i];
        if (strcmp(c->name, f->text) != 0)
            continue;
        struct identity id = {.uid = c->uid, .is_foreign = c->is_foreign};
        (void)snprintf(id.user, sizeof(id.user), "%s", c->user);
        (void)snprintf(id.flatpak, sizeof(id.flatpak), "%s", c->flatpak);
        identity_name(&id, broker.table);
        require(strcmp(id.app, c->app) == 0 || !c->is_known);
        const struct identity blamed = {.uid = c->uid, .app = "unknown", .kind = SUBJECT_UNKNOWN};
        if (c->is_known)
            fake_answer_identity(f, &id, NULL);
        else
            fake_answer_identity(f, input_byte(&in) & 1 ? &blamed : NULL, "nobody knows");
        return;
    }
    require(!"a known connection");
}

/* polkit says yes: perhaps to a sandboxed app that calls what is closed to such. */
static void note_yes(DBusMessage *check)
{
    DBusMessageIter args, subject;
    const char *name, *action;
    require(dbus_message_iter_init(check, &args));
    dbus_message_iter_recurse(&args, &subject);
    require(dbus_message_iter_next(&subject) && reader_find(&subject, "name", DBUS_TYPE_STRING, &name) == 0);
    require(dbus_message_iter_next(&args));
    dbus_message_iter_get_basic(&args, &action);
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++)
        if (strcmp(callers[i].name, name) == 0 && strcmp(action, "org.lwabroker.sandbox.allow") == 0)
            n_let_in[i]++;
}

static DBusMessage *new_decision(DBusMessage *call, bool is_authorized, bool is_challenge)
{
    struct writer w;
    DBusMessage *reply = dbus_message_new_method_return(call);
    require(reply);
    writer_begin(&w, reply);
    writer_open(&w, DBUS_TYPE_STRUCT, NULL);
    writer_bool(&w, is_authorized);
    writer_bool(&w, is_challenge);
    writer_open(&w, DBUS_TYPE_ARRAY, "{ss}");
    uint8_t detail = input_byte(&in) % 4;
    if (detail == 3)
        writer_pair(&w, "polkit.temporary_authorization_id", "tmpauthz1");
    else if (detail == 2 && !is_authorized)
        writer_pair(&w, "polkit.dismissed", "true");
    writer_close(&w);
    writer_close(&w);
    require(writer_end(&w) == 0);
    return reply;
}

static void settle_bus_call(struct fake *f)
{
    DBusMessage *reply;
    DBusMessageIter args;
    uint8_t choice = input_byte(&in) % 12;
    bool is_check = dbus_message_has_member(f->message, "CheckAuthorization");
    if (is_check && choice < 7)
        note_yes(f->message);
    if (is_check && choice < 9) {
        reply = new_decision(f->message, choice < 7, choice == 7);
    } else if (choice == 9) {
        reply = dbus_message_new_method_return(f->message);
        require(reply);
        dbus_message_iter_init_append(reply, &args);
        append_anything(&in, &args, 0);
    } else {
        reply = dbus_message_new_error(f->message, DBUS_ERROR_FAILED, "no");
    }
    fake_answer_call(f, reply);
}

static char *new_body(const struct fake *f)
{
    char *body = NULL;
    const char *whose = strncmp(f->text, REFRESH, strlen(REFRESH)) == 0 ? f->text + strlen(REFRESH) : "new";
    int n;
    if (strcmp(f->url, broker.config->codepair_endpoint) == 0)
        n = asprintf(&body, "{\"user_code\":\"ABC-DEF\",\"device_code\":\"a device code\",\"expires_in\":600,"
                            "\"verification_uri\":\"https://amazon.com/us/code\",\"interval\":5}");
    else if (strcmp(f->url, broker.config->token_endpoint) == 0)
        n = asprintf(&body,
                     "{\"access_token\":\"" ACCESS "%s\",\"refresh_token\":\"" REFRESH "%s\","
                     "\"token_type\":\"bearer\",\"expires_in\":3600}",
                     whose, whose);
    else
        n = asprintf(&body, "{\"user_id\":\"amzn1.account.%c\",\"aud\":\"%s\"}", 'A' + input_byte(&in) % 3,
                     broker.config->client_id);
    require(n > 0);
    return body;
}

static void settle_http(struct fake *f)
{
    static const char *const errors[] = {"invalid_grant", "invalid_client", "authorization_pending",
                                         "slow_down",     "access_denied",  "invalid_scope",
                                         "expired_token", "invalid_token"};
    struct http_reply reply = {
        .sent = true, .retry_after_sec = -1, .is_json = true, .sent_usec = boottime_usec()};
    _cleanup_free_ char *body = NULL;
    uint8_t choice = input_byte(&in);
    if (choice < 160) {
        reply.status = 200;
        body = new_body(f);
    } else if (choice < 200) {
        reply.status = 400;
        require(asprintf(&body, "{\"error\":\"%s\"}", errors[choice % ARRAY_SIZE(errors)]) > 0);
    } else if (choice < 220) {
        reply.status = choice < 210 ? 200 : 503;
        reply.retry_after_sec = input_byte(&in);
        body = input_text(&in, input_byte(&in));
    } else {
        reply.failure = (enum http_failure)(HTTP_E_RESOLVE + choice % HTTP_E_INTERNAL);
        reply.sent = choice & 1;
    }
    reply.body = body ? body : "";
    reply.n = strlen(reply.body);
    fake_answer_http(f, &reply);
}

/* Whose the grant is: the rows of set_up(), and what logins of this input have added. */
static const char *owner_of(int64_t row)
{
    static const char *const owners[] = {"alice", "alice", "device", "bob", "alice"};
    return row >= 1 && row <= (int64_t)ARRAY_SIZE(owners) ? owners[row - 1] : "new";
}

/* The worker of the store: nothing is written, and the input says whether it could be. */
static void settle_store(void)
{
    static const int outcomes[] = {-ENOSPC, -EIO, STORE_E_GONE, -EEXIST, -EPERM};
    struct store *s = broker.store;
    struct store_op *op = LIST_ENTRY(s->queue.next, struct store_op, link);
    list_remove(&op->link);
    uint8_t choice = input_byte(&in);
    op->reply.r = choice < 216 ? 0 : outcomes[choice % ARRAY_SIZE(outcomes)];
    op->reply.row = ++last_row;
    op->reply.generation = op->generation + (op->token || op->generation == 0 ? 1 : 0);
    if (op->reply.r == 0 && op->run == store_rows_refresh_begin) {
        char token[64];
        (void)snprintf(token, sizeof(token), REFRESH "%s", owner_of(op->row));
        require(secret_new(token, strlen(token), &op->reply.token) == 0);
    }
    list_append(&s->done, &op->link);
    s->async.async_cb(&s->async);
}

static bool settle_one(void)
{
    struct fake *f = fakes_first();
    if (f && f->kind == FAKE_IDENTITY)
        settle_identity(f);
    else if (f && f->kind == FAKE_HTTP)
        settle_http(f);
    else if (f)
        settle_bus_call(f);
    else if (!list_is_empty(&broker.store->queue))
        settle_store();
    else if (!list_is_empty(&broker.store->queries) ||
             broker.diagnosis) /* which waits for its look at files */
        (void)uv_run(&loop, UV_RUN_ONCE);
    else
        return false;
    return true;
}

static void settle_all(void)
{
    unsigned n = 0;
    while (settle_one())
        require(++n < 10000);
}

/* --- making calls ------------------------------------------------------------------------------------ */

static const struct method properties_methods[] = {
    {DBUS_INTERFACE_PROPERTIES, "Get", "ss", NULL},  {DBUS_INTERFACE_PROPERTIES, "GetAll", "s", NULL},
    {DBUS_INTERFACE_PROPERTIES, "Set", "ssv", NULL}, {DBUS_INTERFACE_INTROSPECTABLE, "Introspect", "", NULL},
    {DBUS_INTERFACE_PEER, "Ping", "", NULL},         {NULL, NULL, NULL, NULL},
};

static const struct method *const tables[] = {
    broker1_methods, login1_methods,  login1_request_methods, accounts1_methods, audit1_methods,
    policy1_methods, status1_methods, properties_methods,     keys1_methods,
};

static const struct method *choose_method(void)
{
    const struct method *m = tables[input_byte(&in) % ARRAY_SIZE(tables)];
    size_t n = 0, k = input_byte(&in);
    while (m[n].interface)
        n++;
    require(n > 0);
    return &m[k % n];
}

static const char *choose_path(const struct method *m, char *buffer, size_t size)
{
    static const char *const others[] = {"/", "/org", "/org/lwabroker/Broker1/login", "/x"};
    uint8_t choice = input_byte(&in);
    if (choice >= 240)
        return others[choice % ARRAY_SIZE(others)];
    bool wants_login = strcmp(m->interface, LWA_INTERFACE_LOGIN_REQUEST) == 0 || (choice & 1);
    if (!wants_login)
        return LWA_OBJECT_PATH;
    unsigned back = choice >> 1 & 3;
    (void)snprintf(buffer, size, LWA_LOGIN_PATH_PREFIX "%llu",
                   (unsigned long long)(broker.last_login > back ? broker.last_login - back : 0));
    return buffer;
}

static bool is_outside(const struct method *m)
{
    return strcmp(m->interface, LWA_INTERFACE_LOGIN) == 0 ||
           strcmp(m->interface, LWA_INTERFACE_ACCOUNTS) == 0 ||
           strcmp(m->interface, LWA_INTERFACE_AUDIT) == 0 || strcmp(m->interface, LWA_INTERFACE_KEYS) == 0 ||
           strcmp(m->interface, LWA_INTERFACE_POLICY) == 0 || strcmp(m->interface, LWA_INTERFACE_STATUS) == 0;
}

static void make_call(void)
{
    char path[64];
    DBusMessageIter args;
    uint8_t flags = input_byte(&in);
    uint8_t choice = input_byte(&in);
    const struct caller *caller =
        &callers[choice < 250 ? choice % N_COMMON : N_COMMON + choice % (ARRAY_SIZE(callers) - N_COMMON)];
    const struct method *m = choose_method();
    DBusMessage *message = dbus_message_new_method_call(LWA_BUS_NAME, choose_path(m, path, sizeof(path)),
                                                        m->interface, m->member);
    require(message && dbus_message_set_sender(message, caller->name));
    dbus_message_iter_init_append(message, &args);
    append_arguments(&in, &args, m->signature);
    dbus_message_set_serial(message, ++last_serial);
    dbus_message_set_no_reply(message, (flags & 15) == 15);
    dbus_message_set_allow_interactive_authorization(message, flags & 16);
    if (!dbus_message_get_no_reply(message))
        calls[n_calls++] = (struct open_call){
            .serial = last_serial,
            .caller = caller,
            .is_get_token = strcmp(m->member, "GetToken") == 0,
            .is_outside = is_outside(m),
        };
    server_handle(&broker, message);
    dbus_message_unref(message);
    if (flags & 32)
        settle_all();
}

/* --- the world --------------------------------------------------------------------------------------- */

static void on_polkit_changed(void *userdata _unused_)
{
}

static char folder[] = "/dev/shm/lwa-fuzz-XXXXXX";
static char config_path[sizeof(folder) + 16];

static void load_files(void)
{
    struct config_problem problem = {.file = NULL};
    struct ini_problem found;
    (void)snprintf(config_path, sizeof(config_path), "%s/broker.conf", folder);
    {
        _cleanup_close_ int fd = open(config_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        require(fd >= 0 && write(fd, config_text, strlen(config_text)) == (ssize_t)strlen(config_text));
    }
    int r = config_load(config_path, &broker.config, &problem);
    (void)unlink(config_path);
    require(r == 0 && catalogue_new(NULL, &broker.catalogue) == 0);
    require(catalogue_add_text(broker.catalogue, catalogue_text, strlen(catalogue_text), true, &found) == 0);
    require(catalogue_seal(broker.catalogue, &found) == 0 && table_new(&broker.table) == 0);
    require(table_add_file(broker.table, broker.catalogue, "t", table_text, strlen(table_text)) == 0);
}

/* A real one, whose thread is that of fakes.c and does nothing: what is asked of it stays in its queue. */
static void open_store(void)
{
    static const char *const names[] = {"db", "key", "db-wal", "db-shm"};
    char paths[ARRAY_SIZE(names)][sizeof(folder) + 16];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, names[i]);
    const struct store_options options = {.path = paths[0], .key_source = {.file = paths[1]}};
    require(store_open(&loop, &options, &broker.store) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)unlink(paths[i]);
}

static void prepare(void)
{
    if (broker.config)
        return;
    log_set_level((enum log_level)0); /* nothing */
    require(sodium_init() >= 0 && uv_loop_init(&loop) == 0);
    broker_init(&broker, &loop);
    broker.options.state_dir = "/nonexistent";
    broker.options.config_path = config_path; /* gone by the time that a reload reads it */
    require(mkdtemp(folder));
    load_files();
    open_store();
    require(rmdir(folder) == 0);
    require(polkit_new(&loop, NULL, on_polkit_changed, NULL, &broker.polkit) == 0);
    fakes_on_message = on_message;
    fakes_on_request = on_request;
    settle_all();
}

static struct account *add_account(int64_t row, const char *id, const struct owner *owner)
{
    static const unsigned char customer[STORE_CUSTOMER_BYTES];
    const struct store_account stored = {
        .row = row, .id = id, .label = id, .owner = *owner, .is_default = true, .customer = customer};
    struct account *account;
    require(account_new(&broker, &stored, &account) == 0);
    return account;
}

static void add_grant(struct account *account, int64_t row, const char *scopes, bool has_token)
{
    const struct store_grant stored = {
        .row = row,
        .account = account->row,
        .owner = account->owner,
        .target = "",
        .label = "",
        .endpoint = broker.config->token_endpoint,
        .client_id = broker.config->client_id,
        .may_carry = scopes,
        .carries = scopes,
        .generation = 1,
    };
    struct grant *grant;
    struct token *token;
    struct secret *access;
    char text[64];
    require(grant_new(&broker, &stored, &grant) == 0);
    grant_join(grant, account);
    if (!has_token)
        return;
    (void)snprintf(text, sizeof(text), ACCESS "%s", owner_of(row));
    require(secret_new(text, strlen(text), &access) == 0);
    require(token_new(grant, access, boottime_usec(), 3600, grant->carries, grant->may_carry, &token) == 0);
    secret_free(access);
}

static void set_up(void)
{
    static const struct owner alice = {.uid = 1000, .name = "alice"}, bob = {.uid = 1002, .name = "bob"};
    static const struct owner device = {.device = true, .uid = (uid_t)-1};
    quotas_init(&broker.quotas,
                &broker.config->limits);     /* full buckets: none is refused, and left unanswered */
    prompt_turns_init(&broker.prompt_turns); /* nobody is paused for what an input before did */
    struct account *account = add_account(1, "main", &alice);
    add_grant(account, 1, "a", true);
    add_grant(account, 2, "c d", false);
    add_grant(add_account(2, "device", &device), 3, "b", true);
    add_grant(add_account(3, "main", &bob), 4, "a c d", false);
    add_grant(add_account(4, "alices", &alice), 5, "b", true);
    last_row = 100;
}

static void leave(const struct caller *caller)
{
    peer_vanished(&broker, caller->name);
    size_t kept = 0;
    for (size_t i = 0; i < n_calls; i++)
        if (calls[i].caller != caller)
            calls[kept++] = calls[i];
    n_calls = kept;
}

static int lowest_free_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    require(fd >= 0 && close(fd) == 0);
    return fd;
}

/* Whatever is still open is answered once the world goes on; then nothing is left of anybody. */
static void tear_down(void)
{
    settle_all();
    for (unsigned n = 0; quotas_count(&broker.quotas, QUOTA_CALLS) > 0; n++) {
        require(n < 100 && fakes_first_timer());
        fake_fire(fakes_first_timer());
        settle_all();
    }
    require(n_calls == 0);
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++)
        leave(&callers[i]);
    memset(n_let_in, 0, sizeof(n_let_in));
    settle_all();
    require(list_is_empty(&broker.prompt_turns.taken));
    require(!broker.peers && quotas_count(&broker.quotas, QUOTA_CONNECTIONS) == 0);
    unsigned n_unproven = 0;
    struct grant *grant;
    LIST_FOREACH (grant, &broker.unproven, node)
        n_unproven++;
    require(quotas_count(&broker.quotas, QUOTA_LOGINS) == n_unproven); /* who left them pays for them still */
    accounts_free(&broker);
    require(quotas_count(&broker.quotas, QUOTA_LOGINS) == 0);
    tokens_free(&broker);
    quotas_free(&broker.quotas);
    settle_all();
    require(list_is_empty(&broker.accounts) && list_is_empty(&broker.unproven) &&
            list_is_empty(&broker.tokens));
    require(!fakes_first_timer());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    prepare();
    /* libFuzzer sees what is compared with what, and knows the secrets, which the caller does not. */
    if (n > 0 && (memmem(data, n, "Atza|", 5) || memmem(data, n, "Atzr|", 5) || memmem(data, n, "a dev", 5)))
        return 0;
    in = (struct input){data, n};
    int descriptor = lowest_free_descriptor();
    set_up();
    for (unsigned step = 0; in.n > 0 && step < STEPS_MAX; step++) {
        uint8_t kind = input_byte(&in) % 8;
        if (kind < 5)
            make_call();
        else if (kind == 5)
            (void)settle_one();
        else if (kind == 6 && fakes_first_timer())
            fake_fire(fakes_first_timer());
        else if (kind == 7)
            leave(&callers[input_byte(&in) % ARRAY_SIZE(callers)]);
    }
    tear_down();
    require(lowest_free_descriptor() == descriptor);
    return 0;
}
