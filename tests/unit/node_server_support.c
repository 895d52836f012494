/* See node_server_support.h. */
#include "node_server_support.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "protocol/sp.h"

#define PASSWORD   "password"
#define PATIENCE_S 20

/* --- certificates --- */

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *begin_certificate(EVP_PKEY *key, const char *name, X509 *ca)
{
    X509 *made = X509_new();

    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1 + random());
    X509_gmtime_adj(X509_getm_notBefore(made), -60);
    X509_gmtime_adj(X509_getm_notAfter(made), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(made, X509_get_subject_name(ca ? ca : made));
    X509_set_pubkey(made, key);
    return made;
}

X509 *served_issue(const struct served *served, EVP_PKEY *key, const char *name, const char *usage)
{
    X509 *made = begin_certificate(key, name, served ? served->ca : NULL);

    add_extension(made, NID_ext_key_usage, usage);
    assert_true(X509_sign(made, served ? served->ca_key : key, EVP_sha256()) > 0);
    return made;
}

static void make_client(struct served *served)
{
    served->ca_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    served->ca = begin_certificate(served->ca_key, "test CA", NULL);
    add_extension(served->ca, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(served->ca, served->ca_key, EVP_sha256()) > 0);
    served->client_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    served->client = served_issue(served, served->client_key, "client", "clientAuth");
    served->client_context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_use_certificate(served->client_context, served->client), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(served->client_context, served->client_key), 1);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(served->client_context), served->ca);
    SSL_CTX_set_verify(served->client_context, SSL_VERIFY_PEER, NULL);
}

static FILE *open_file(const struct served *served, const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", served->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    return file;
}

void served_write_client_files(const struct served *served)
{
    FILE *file = open_file(served, "ca.test");
    PEM_write_X509(file, served->ca);
    fclose(file);
    file = open_file(served, "client.test");
    PEM_write_X509(file, served->client);
    fclose(file);
    file = open_file(served, "client.key");
    PEM_write_PrivateKey(file, served->client_key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

static void pem_of(X509 *certificate, struct bytes *pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;

    PEM_write_bio_X509(bio, certificate);
    long len = BIO_get_mem_data(bio, &text);
    bytes_append(pem, text, (size_t)len);
    BIO_free(bio);
}

/* What the owner's CA does with a node's request. */
static X509 *sign_request(const struct served *served, struct slice csr)
{
    BIO *bio = BIO_new_mem_buf(csr.data, (int)csr.len);
    X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);

    assert_non_null(request);
    X509 *made = begin_certificate(X509_REQ_get0_pubkey(request), "node", served->ca);
    X509_set_subject_name(made, X509_REQ_get_subject_name(request));
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++)
        X509_add_ext(made, sk_X509_EXTENSION_value(extensions, i), -1);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    assert_true(X509_sign(made, served->ca_key, EVP_sha256()) > 0);
    X509_REQ_free(request);
    BIO_free(bio);
    return made;
}

/* --- the node --- */

static void make_member(struct served *served)
{
    struct identity *identity = served->node->identity;
    struct bytes csr = BYTES_INIT, certificate = BYTES_INIT, ca = BYTES_INIT;

    assert_int_equal(identity_create_cluster(identity, slice_text("test")), STATUS_OK);
    assert_int_equal(identity_csr(identity, &csr), STATUS_OK);
    X509 *signed_certificate = sign_request(served, bytes_slice(&csr));
    pem_of(signed_certificate, &certificate);
    pem_of(served->ca, &ca);
    X509_free(signed_certificate);
    assert_int_equal(identity_initialize(identity, bytes_slice(&certificate), bytes_slice(&ca)), STATUS_OK);
    assert_int_equal(node_become_member(served->node), STATUS_OK);
    bytes_release(&csr);
    bytes_release(&certificate);
    bytes_release(&ca);
}

struct served *served_start(const char *const *settings)
{
    struct served *served = calloc(1, sizeof(*served));
    static struct node_config config;
    char folder[128];
    const char *overrides[32] = {folder,           "listen=tls+tcp://127.0.0.1:0",
                                 "metrics=off",    "password-iterations=1000",
                                 "slow-workers=2", "workers=2"};
    size_t n = 6;

    signal(SIGPIPE, SIG_IGN);
    while (settings && *settings)
        overrides[n++] = *settings++;
    snprintf(served->folder, sizeof(served->folder), "/tmp/hsmd-server-XXXXXX");
    assert_non_null(mkdtemp(served->folder));
    snprintf(folder, sizeof(folder), "state-folder=%s/state", served->folder);
    make_client(served);
    assert_int_equal(node_config_load_with(NULL, overrides, n, &config), STATUS_OK);
    struct log_settings quiet = {LOG_LEVEL_ERROR, false, getenv("TEST_LOG") ? NULL : "/dev/null"};
    if (getenv("TEST_LOG"))
        quiet.level = LOG_LEVEL_DEBUG;
    assert_int_equal(log_open(&quiet), STATUS_OK);
    assert_int_equal(crypto_start(false, &config.policy), STATUS_OK);
    assert_int_equal(node_start(&config, &served->node), STATUS_OK);
    make_member(served);
    status_code started = server_start(served->node, &served->server);
    if (started != STATUS_OK)
        fail_msg("%s", failure_detail());
    return served;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

void served_stop(struct served *served)
{
    server_stop(served->server);
    node_stop(served->node);
    crypto_stop();
    log_close();
    SSL_CTX_free(served->client_context);
    X509_free(served->client);
    X509_free(served->ca);
    EVP_PKEY_free(served->client_key);
    EVP_PKEY_free(served->ca_key);
    nftw(served->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(served);
}

const char *served_url(const struct served *served, unsigned i)
{
    assert_true(i < served->node->n_bound_urls);
    return served->node->bound_urls[i];
}

const char *served_socket(const struct served *served)
{
    static char url[160];

    snprintf(url, sizeof(url), "ipc://%s/state/node.sock", served->folder);
    return url;
}

/* --- the client --- */

static int connect_tcp(const char *host_and_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *colon = strrchr(host_and_port, ':');
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    assert_non_null(colon);
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : -1;
}

static int connect_ipc(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : -1;
}

struct wire wire_connect(const char *url, SSL_CTX *context)
{
    struct wire wire = {.ipc = strncmp(url, "ipc://", 6) == 0};
    struct timeval patience = {PATIENCE_S, 0};

    wire.fd = wire.ipc ? connect_ipc(url + 6) : connect_tcp(url);
    if (wire.fd < 0)
        fail_msg("cannot connect to %s", url);
    setsockopt(wire.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(wire.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (!context)
        return wire;
    wire.tls = SSL_new(context);
    SSL_set_fd(wire.tls, wire.fd);
    return wire;
}

struct wire wire_open(const struct served *served, const char *url)
{
    bool tls = strncmp(url, "tls+", 4) == 0;
    struct wire wire = wire_connect(url, tls ? served->client_context : NULL);
    uint8_t handshake[SP_HANDSHAKE_LEN];

    if (tls)
        assert_int_equal(SSL_connect(wire.tls), 1);
    sp_handshake_encode(SP_PROTOCOL_REQ, handshake);
    wire_send(&wire, handshake, sizeof(handshake));
    assert_true(wire_receive(&wire, handshake, sizeof(handshake)));
    assert_int_equal(sp_handshake_check(handshake, SP_PROTOCOL_REP), STATUS_OK);
    return wire;
}

void wire_close(struct wire *wire)
{
    SSL_free(wire->tls);
    close(wire->fd);
    wire->tls = NULL;
    wire->fd = -1;
}

void wire_send(struct wire *wire, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len) {
        ssize_t n = wire->tls ? SSL_write(wire->tls, at, (int)(len > 65536 ? 65536 : len))
                              : send(wire->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the node ended the connection: what is received next tells */
        at += n;
        len -= (size_t)n;
    }
}

bool wire_receive(struct wire *wire, void *data, size_t len)
{
    uint8_t *at = data;

    while (len) {
        ssize_t n = wire->tls ? SSL_read(wire->tls, at, (int)len) : recv(wire->fd, at, len, 0);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

void wire_send_message(struct wire *wire, uint32_t id, struct slice message)
{
    struct bytes frame = BYTES_INIT;
    uint8_t header[SP_IPC_HEADER_LEN], encoded_id[SP_ID_LEN];

    sp_id_encode(id | 0x80000000u, encoded_id);
    bytes_append(&frame, header, sp_header_encode(wire->ipc, SP_ID_LEN + message.len, header));
    bytes_append(&frame, encoded_id, sizeof(encoded_id));
    bytes_append(&frame, message.data, message.len);
    wire_send(wire, frame.data, frame.len);
    bytes_release(&frame);
}

bool wire_receive_message(struct wire *wire, uint32_t *id, struct bytes *message)
{
    uint8_t header[SP_IPC_HEADER_LEN], encoded_id[SP_ID_LEN];
    uint64_t len;

    if (!wire_receive(wire, header, wire->ipc ? SP_IPC_HEADER_LEN : SP_TCP_HEADER_LEN))
        return false;
    assert_int_equal(sp_header_decode(wire->ipc, header, MESSAGE_MAX + SP_ID_LEN, &len), STATUS_OK);
    assert_true(len >= SP_ID_LEN);
    if (!wire_receive(wire, encoded_id, sizeof(encoded_id)))
        return false;
    *id = sp_id_decode(encoded_id) & 0x7fffffffu;
    bytes_clear(message);
    uint8_t *to = bytes_reserve(message, (size_t)len - SP_ID_LEN);
    assert_non_null(to);
    if (!wire_receive(wire, to, (size_t)len - SP_ID_LEN))
        return false;
    message->len = (size_t)len - SP_ID_LEN;
    return true;
}

bool wire_ends(struct wire *wire, unsigned seconds)
{
    uint8_t scrap[4096];
    time_t end = time(NULL) + seconds + 1;

    while (time(NULL) < end) {
        struct pollfd poll_one = {.fd = wire->fd, .events = POLLIN};

        if (poll(&poll_one, 1, 100) == 1 && recv(wire->fd, scrap, sizeof(scrap), 0) <= 0)
            return true;
    }
    return false;
}

void build_message(struct bytes *message, const struct values *header, enum operation operation,
                   const struct values *fields, uint32_t n)
{
    message_begin(message, PROTOCOL_VERSION, header, n);
    for (uint32_t i = 0; i < n; i++)
        message_append_request(message, operation, fields);
    assert_int_equal(bytes_ok(message), STATUS_OK);
}

void build_ping(struct bytes *message, uint32_t n)
{
    struct values header, fields;

    values_init(&header);
    values_init(&fields);
    values_put_bytes(&fields, FIELD_DATA, slice_text("are you there? are you there? are you there? are you there?"));
    build_message(message, &header, OP_PING, &fields, n);
}

status_code wire_call(struct wire *wire, struct slice ticket, enum operation operation, const struct values *fields,
                      struct bytes *reply, struct values *answer)
{
    struct bytes message = BYTES_INIT;
    struct message opened;
    struct values header;
    status_code status;
    uint32_t id;

    values_init(&header);
    if (ticket.len)
        values_put_bytes(&header, FIELD_TICKET, ticket);
    build_message(&message, &header, operation, fields, 1);
    wire_send_message(wire, 7, bytes_slice(&message));
    bytes_release(&message);
    assert_true(wire_receive_message(wire, &id, reply));
    assert_int_equal(id, 7);
    assert_int_equal(message_open(bytes_slice(reply), &opened), STATUS_OK);
    if (opened.n == 0)
        return (status_code)values_uint(&opened.header, FIELD_STATUS, STATUS_INTERNAL);
    assert_int_equal(message_next_answer(&opened, &status, answer), STATUS_OK);
    assert_int_equal(message_close(&opened), STATUS_OK);
    return status;
}

static void put_user(struct values *fields, const char *name)
{
    values_init(fields);
    values_put_bytes(fields, FIELD_USER_NAME, slice_text(name));
    values_put_bytes(fields, FIELD_PASSWORD, slice_text(PASSWORD));
}

void served_login(const struct served *served, const char *name, struct bytes *ticket)
{
    struct wire wire = wire_open(served, served_socket(served));
    struct bytes reply = BYTES_INIT;
    struct values fields, answer;

    put_user(&fields, name);
    assert_int_equal(wire_call(&wire, (struct slice){NULL, 0}, OP_LOGIN, &fields, &reply, &answer), STATUS_OK);
    assert_int_equal(bytes_assign(ticket, values_bytes(&answer, FIELD_TICKET)), STATUS_OK);
    bytes_release(&reply);
    wire_close(&wire);
}

void served_add_users(const struct served *served)
{
    struct wire wire = wire_open(served, served_socket(served));
    struct bytes reply = BYTES_INIT, ticket = BYTES_INIT;
    struct values fields, answer;

    put_user(&fields, "admin");
    assert_int_equal(wire_call(&wire, (struct slice){NULL, 0}, OP_CLUSTER_ACTIVATE, &fields, &reply, &answer),
                     STATUS_OK);
    served_login(served, "admin", &ticket);
    put_user(&fields, "user");
    values_put_uint(&fields, FIELD_USER_ROLE, ROLE_USER);
    values_put_bytes(&fields, FIELD_REQUEST_ID, slice_of("0123456789abcdef", ID_LEN));
    assert_int_equal(wire_call(&wire, bytes_slice(&ticket), OP_USER_CREATE, &fields, &reply, &answer), STATUS_OK);
    bytes_release(&ticket);
    bytes_release(&reply);
    wire_close(&wire);
}

void sleep_ms(unsigned ms)
{
    const struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

void assert_ping(struct wire *wire)
{
    struct bytes reply = BYTES_INIT;
    struct values fields, answer;

    values_init(&fields);
    values_put_bytes(&fields, FIELD_DATA, slice_text("echo"));
    assert_int_equal(wire_call(wire, (struct slice){NULL, 0}, OP_PING, &fields, &reply, &answer), STATUS_OK);
    assert_true(slice_equal(values_bytes(&answer, FIELD_DATA), slice_text("echo")));
    bytes_release(&reply);
}

void assert_well(struct served *served)
{
    const char *urls[] = {served_url(served, LISTEN_TLS), served_url(served, LISTEN_TCP), served_socket(served)};

    for (unsigned i = 0; i < 3; i++) {
        struct wire wire = wire_open(served, urls[i]);
        assert_ping(&wire);
        wire_close(&wire);
    }
}

uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void wait_for_connections(int64_t n)
{
    uint64_t end = now_ms() + 5000;

    for (unsigned seen = 0; seen < 20 && now_ms() < end; sleep_ms(5))
        seen = metric_value(METRIC_CONNECTIONS) == n ? seen + 1 : 0;
    assert_int_equal(metric_value(METRIC_CONNECTIONS), n);
}

uint64_t cpu_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}
