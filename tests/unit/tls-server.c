/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/tls-server.h"

#include "broker/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define CONNECTIONS_MAX 512
#define REQUEST_BYTES_MAX 32768

struct connection {
    struct tls_server *server;
    pthread_t thread;
    int fd;
    gnutls_session_t session;
};

struct tls_server {
    enum tls_manner manner;
    gnutls_certificate_credentials_t credentials;
    int listener;
    int port;
    pthread_t thread;
    pthread_mutex_t lock;
    unsigned n_requests;
    unsigned n_connections;
    struct connection *connections[CONNECTIONS_MAX];
    char reply[16384];
    char last[REQUEST_BYTES_MAX];
};

/* --- certificates --------------------------------------------------------------------------------------- */

static gnutls_x509_privkey_t key; /* one key serves for everything */
static gnutls_x509_crt_t authority;
static char ca_path[64];

static void ok(int r)
{
    if (r < 0) {
        (void)fprintf(stderr, "tls-server: %s\n", gnutls_strerror(r));
        abort();
    }
}

static gnutls_x509_crt_t make_certificate(const char *name, time_t from, time_t to, gnutls_x509_crt_t issuer)
{
    static unsigned char serial;
    gnutls_x509_crt_t c;
    serial++;
    ok(gnutls_x509_crt_init(&c));
    ok(gnutls_x509_crt_set_version(c, 3));
    ok(gnutls_x509_crt_set_serial(c, &serial, 1));
    ok(gnutls_x509_crt_set_activation_time(c, from));
    ok(gnutls_x509_crt_set_expiration_time(c, to));
    ok(gnutls_x509_crt_set_dn_by_oid(c, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name)));
    ok(gnutls_x509_crt_set_basic_constraints(c, issuer ? 0 : 1, -1));
    ok(gnutls_x509_crt_set_key_usage(c, issuer ? GNUTLS_KEY_DIGITAL_SIGNATURE : GNUTLS_KEY_KEY_CERT_SIGN));
    if (issuer)
        ok(gnutls_x509_crt_set_subject_alt_name(c, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), 0));
    ok(gnutls_x509_crt_set_key(c, key));
    ok(gnutls_x509_crt_sign2(c, issuer ? issuer : c, key, GNUTLS_DIG_SHA256, 0));
    return c;
}

static void make_authority(void)
{
    if (authority)
        return;
    time_t now = time(NULL);
    ok(gnutls_x509_privkey_init(&key));
    ok(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
                                    0));
    authority = make_certificate("test authority", now - 1000000, now + 1000000, NULL);

    gnutls_datum_t pem;
    ok(gnutls_x509_crt_export2(authority, GNUTLS_X509_FMT_PEM, &pem));
    (void)snprintf(ca_path, sizeof(ca_path), "/tmp/lwa-test-ca-XXXXXX");
    int fd = mkstemp(ca_path);
    assert(fd >= 0 && write(fd, pem.data, pem.size) == (ssize_t)pem.size);
    (void)close(fd);
    gnutls_free(pem.data);
}

const char *tls_server_ca_file(void)
{
    make_authority();
    return ca_path;
}

void tls_server_forget_ca(void)
{
    if (!authority)
        return;
    (void)unlink(ca_path);
    gnutls_x509_crt_deinit(TAKE_PTR(authority));
    gnutls_x509_privkey_deinit(TAKE_PTR(key));
}

static gnutls_certificate_credentials_t make_credentials(enum tls_certificate certificate)
{
    make_authority();
    time_t now = time(NULL);
    time_t from = certificate == TLS_FUTURE ? now + 100000 : now - 100000;
    time_t to = certificate == TLS_EXPIRED ? now - 50000 : now + 200000;
    gnutls_x509_crt_t other = NULL;
    if (certificate == TLS_UNTRUSTED)
        other = make_certificate("another authority", now - 1000, now + 1000, NULL);
    gnutls_x509_crt_t c = make_certificate(certificate == TLS_OTHER_HOST ? "other.test" : "localhost", from,
                                           to, other ? other : authority);

    gnutls_certificate_credentials_t credentials;
    ok(gnutls_certificate_allocate_credentials(&credentials));
    ok(gnutls_certificate_set_x509_key(credentials, &c, 1, key));
    gnutls_x509_crt_deinit(c);
    if (other)
        gnutls_x509_crt_deinit(other);
    return credentials;
}

/* --- a connection --------------------------------------------------------------------------------------- */

static void set_reset(int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

static bool send_bytes(struct connection *c, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t sent = gnutls_record_send(c->session, p, n);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool send_text(struct connection *c, const char *text)
{
    return send_bytes(c, text, strlen(text));
}

static void wait_for_end(int fd)
{
    char byte[512];
    while (recv(fd, byte, sizeof(byte), 0) > 0)
        ;
}

static bool send_large(struct connection *c, const char *head, size_t n, const char *tail)
{
    if (!send_text(c, head))
        return false;
    char block[1000];
    memset(block, 'x', sizeof(block));
    for (size_t left = n; left > 0;) {
        size_t part = left < sizeof(block) ? left : sizeof(block);
        if (!send_bytes(c, block, part))
            return false;
        left -= part;
    }
    return send_text(c, tail);
}

/* Does what the path says; false ends the connection. */
static bool answer(struct connection *c, const char *path)
{
    if (strcmp(path, "/slow") == 0)
        (void)poll(NULL, 0, 30);
    if (strcmp(path, "/ok") == 0 || strcmp(path, "/slow") == 0)
        return send_text(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset UTF-8\r\n"
                            "x-amzn-RequestId: 0a1B-22\r\nContent-Length: 11\r\n\r\n{\"a\":\"ok\"}\n");
    if (strcmp(path, "/scripted") == 0)
        return send_text(c, c->server->reply);
    if (strcmp(path, "/redirect") == 0)
        return send_text(c, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
    if (strcmp(path, "/big") == 0)
        return send_large(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n",
                          TLS_SERVER_BIG_BYTES, "\r\n0\r\n\r\n");
    if (strcmp(path, "/largest") == 0)
        return send_large(c, "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", HTTP_BODY_BYTES_MAX, "");
    if (strcmp(path, "/once") == 0)
        (void)send_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    if (strcmp(path, "/hang") == 0)
        wait_for_end(c->fd);
    if (strcmp(path, "/cut") == 0)
        (void)send_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    if (strcmp(path, "/cut") == 0 || strcmp(path, "/reset") == 0)
        set_reset(c->fd);
    if (strcmp(path, "/die") == 0)
        (void)gnutls_bye(c->session, GNUTLS_SHUT_WR);
    return false;
}

static bool is_complete(const char *request, size_t n)
{
    const char *end = strstr(request, "\r\n\r\n");
    const char *length = strcasestr(request, "\r\nContent-Length:");
    if (!end)
        return false;
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return n >= (size_t)(end + 4 - request) + body;
}

static void remember(struct tls_server *s, const char *request)
{
    (void)pthread_mutex_lock(&s->lock);
    s->n_requests++;
    (void)snprintf(s->last, sizeof(s->last), "%s", request);
    (void)pthread_mutex_unlock(&s->lock);
}

static bool serve_one(struct connection *c)
{
    char request[REQUEST_BYTES_MAX];
    size_t n = 0;
    request[0] = '\0';
    while (!is_complete(request, n)) {
        ssize_t got = gnutls_record_recv(c->session, request + n, sizeof(request) - 1 - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        request[n] = '\0';
    }
    remember(c->server, request);

    char path[64] = "";
    (void)sscanf(request, "%*s %63s", path);
    return answer(c, path);
}

/* --- just enough HTTP/2 --------------------------------------------------------------------------------- */

static bool recv_bytes(struct connection *c, unsigned char *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = gnutls_record_recv(c->session, bytes + done, n - done);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static bool send_frame(struct connection *c, unsigned char type, unsigned char flags, unsigned stream,
                       const char *payload, size_t n)
{
    unsigned char head[9] = {0, (unsigned char)(n >> 8),      (unsigned char)n,     type, flags, 0,
                             0, (unsigned char)(stream >> 8), (unsigned char)stream};
    return send_bytes(c, head, sizeof(head)) && send_bytes(c, payload, n);
}

enum { H2_DATA = 0, H2_HEADERS = 1, H2_RESET = 3, H2_SETTINGS = 4, H2_END_STREAM = 1, H2_END_HEADERS = 4 };

/* The form tells what to do, since the path is compressed: "do=die", "do=refuse". */
static bool answer_http2(struct connection *c, unsigned stream, const char *form)
{
    remember(c->server, form);
    if (strstr(form, "do=die"))
        return false;
    if (strstr(form, "do=refuse"))
        return send_frame(c, H2_RESET, 0, stream, "\0\0\0\7", 4);
    return send_frame(c, H2_HEADERS, H2_END_HEADERS, stream, "\x88",
                      1) && /* :status 200, of the static table */
           send_frame(c, H2_DATA, H2_END_STREAM, stream, "http2", 5);
}

static void serve_http2(struct connection *c)
{
    unsigned char head[24], payload[REQUEST_BYTES_MAX];
    if (!recv_bytes(c, head, 24) || !send_frame(c, H2_SETTINGS, 0, 0, "", 0))
        return;
    while (recv_bytes(c, head, 9)) {
        size_t n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (n >= sizeof(payload) || !recv_bytes(c, payload, n))
            return;
        payload[n] = '\0';
        unsigned stream = (unsigned)head[7] << 8 | head[8];
        if (head[3] == H2_SETTINGS && !(head[4] & 1) && !send_frame(c, H2_SETTINGS, 1, 0, "", 0))
            return;
        bool is_end = (head[3] == H2_DATA || head[3] == H2_HEADERS) && (head[4] & H2_END_STREAM);
        if (is_end && !answer_http2(c, stream, head[3] == H2_DATA ? (char *)payload : ""))
            return;
    }
}

/* --- threads -------------------------------------------------------------------------------------------- */

static bool answer_connect(int fd)
{
    char request[2048] = "";
    for (size_t n = 0; !strstr(request, "\r\n\r\n");) {
        ssize_t got = recv(fd, request + n, sizeof(request) - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        request[n] = '\0';
    }
    static const char reply[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    return strncmp(request, "CONNECT ", 8) == 0 && send(fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL) > 0;
}

static void converse(struct connection *c)
{
    struct tls_server *s = c->server;
    if (s->manner == TLS_RESET_AT_ONCE)
        set_reset(c->fd);
    else if (s->manner == TLS_STALL)
        wait_for_end(c->fd);
    if (s->manner == TLS_RESET_AT_ONCE || s->manner == TLS_STALL)
        return;
    if (s->manner == TLS_PROXY && !answer_connect(c->fd))
        return;

    ok(gnutls_init(&c->session, GNUTLS_SERVER | GNUTLS_NO_SIGNAL));
    ok(gnutls_set_default_priority(c->session));
    ok(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, s->credentials));
    const gnutls_datum_t http2 = {(unsigned char *)(uintptr_t) "h2", 2};
    if (s->manner == TLS_HTTP2)
        ok(gnutls_alpn_set_protocols(c->session, &http2, 1, 0));
    gnutls_transport_set_int(c->session, c->fd);
    gnutls_handshake_set_timeout(c->session, 20000);

    if (gnutls_handshake(c->session) < 0)
        return;
    if (s->manner == TLS_RESET_AFTER_HANDSHAKE)
        set_reset(c->fd);
    else if (s->manner == TLS_HTTP2)
        serve_http2(c);
    else
        while (serve_one(c))
            ;
}

static void *run_connection(void *userdata)
{
    struct connection *c = userdata;
    converse(c);
    if (c->session)
        gnutls_deinit(c->session);
    (void)pthread_mutex_lock(&c->server->lock);
    c->fd = close_fd(c->fd);
    (void)pthread_mutex_unlock(&c->server->lock);
    return NULL;
}

static void *run_server(void *userdata)
{
    struct tls_server *s = userdata;
    for (;;) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EMFILE) {
            (void)poll(NULL, 0, 1); /* a test has taken them away for a while */
            continue;
        }
        if (fd < 0)
            return NULL;
        (void)pthread_mutex_lock(&s->lock);
        assert(s->n_connections < CONNECTIONS_MAX);
        struct connection *c = calloc(1, sizeof(*c));
        *c = (struct connection){.server = s, .fd = fd};
        s->connections[s->n_connections++] = c;
        (void)pthread_create(&c->thread, NULL, run_connection, c);
        (void)pthread_mutex_unlock(&s->lock);
    }
}

struct tls_server *tls_server_start(enum tls_certificate certificate, enum tls_manner manner)
{
    struct tls_server *s = calloc(1, sizeof(*s));
    s->manner = manner;
    s->credentials = make_credentials(certificate);
    (void)pthread_mutex_init(&s->lock, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(address);
    int r = bind(s->listener, (struct sockaddr *)&address, n);
    assert(r == 0 && listen(s->listener, 256) == 0);
    r = getsockname(s->listener, (struct sockaddr *)&address, &n);
    assert(r == 0);
    s->port = ntohs(address.sin_port);
    (void)pthread_create(&s->thread, NULL, run_server, s);
    return s;
}

void tls_server_stop(struct tls_server *s)
{
    (void)shutdown(s->listener, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->listener);
    for (unsigned i = 0; i < s->n_connections; i++) {
        (void)pthread_mutex_lock(&s->lock);
        if (s->connections[i]->fd >= 0)
            (void)shutdown(s->connections[i]->fd, SHUT_RDWR);
        (void)pthread_mutex_unlock(&s->lock);
        (void)pthread_join(s->connections[i]->thread, NULL);
        free(s->connections[i]);
    }
    gnutls_certificate_free_credentials(s->credentials);
    (void)pthread_mutex_destroy(&s->lock);
    explicit_bzero(s, sizeof(*s)); /* the last request, for tests that look for what is left of it */
    free(s);
}

/* --- what tests ask ------------------------------------------------------------------------------------- */

int tls_server_port(const struct tls_server *s)
{
    return s->port;
}

void tls_server_set_reply(struct tls_server *s, const char *bytes)
{
    (void)snprintf(s->reply, sizeof(s->reply), "%s", bytes);
}

static unsigned read_counter(struct tls_server *s, const unsigned *counter)
{
    (void)pthread_mutex_lock(&s->lock);
    unsigned n = *counter;
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

unsigned tls_server_count_requests(struct tls_server *s)
{
    return read_counter(s, &s->n_requests);
}

unsigned tls_server_count_connections(struct tls_server *s)
{
    return read_counter(s, &s->n_connections);
}

const char *tls_server_last_request(struct tls_server *s)
{
    return s->last;
}
