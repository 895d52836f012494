/* NNG's TLS engine interface on OpenSSL. OpenSSL's input and output go through a BIO of ours to NNG's underlying
 * stream, which may say "not now". NNG calls the functions of a connection one at a time.
 *
 * Between NNG 1.5 and 1.10 the interface grew by the names of the peer and by TLS-PSK. */
#include "protocol/nng_tls.h"

#include <limits.h>
#include <nng/nng.h>
#include <nng/supplemental/tls/engine.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>
#include "protocol/pem.h"

#define HAS_PEER_NAMES_AND_PSK (NNG_MAJOR_VERSION > 1 || NNG_MINOR_VERSION >= 10)

/* For server configurations: certificate, key and trust of the node, as its direct listener has them, and who is let
 * in. */
struct server_side {
    SSL_CTX *context;
    nng_tls_peer_check check;
    void *check_context;
};

struct nng_tls_engine_config {
    SSL_CTX *context;
    OSSL_LIB_CTX *library;
    struct server_side side; /* whose context is the one above */
    nng_tls_mode mode;
    char server[256];
};

struct nng_tls_engine_conn {
    SSL *tls;
    bool server;
    nng_tls_peer_check check;
    void *check_context;
};

/* What the configurations made next are given. The lock guards both, and the making of stream_method. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct server_side server_side;
static OSSL_LIB_CTX *client_library;

/* --- the BIO between OpenSSL and NNG's stream --- */

static int stream_write(BIO *bio, const char *data, int len)
{
    size_t n = (size_t)len;

    BIO_clear_retry_flags(bio);
    int code = nng_tls_engine_send(BIO_get_data(bio), (const uint8_t *)data, &n);
    if (code == 0)
        return (int)n;
    if (code == NNG_EAGAIN)
        BIO_set_retry_write(bio);
    return -1;
}

static int stream_read(BIO *bio, char *data, int len)
{
    size_t n = (size_t)len;

    BIO_clear_retry_flags(bio);
    int code = nng_tls_engine_recv(BIO_get_data(bio), (uint8_t *)data, &n);
    if (code == 0)
        return (int)n;
    if (code == NNG_EAGAIN)
        BIO_set_retry_read(bio);
    return code == NNG_ECLOSED ? 0 : -1;
}

static long stream_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *stream_method; /* made once at registration, kept: NNG never unregisters an engine */

static BIO *stream_bio(void *stream)
{
    BIO *bio = BIO_new(stream_method);

    if (bio) {
        BIO_set_data(bio, stream);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* --- connections --- */

static int conn_init(nng_tls_engine_conn *conn, void *stream, nng_tls_engine_config *config)
{
    BIO *bio = stream_bio(stream);

    conn->server = config->mode == NNG_TLS_MODE_SERVER;
    conn->check = config->side.check;
    conn->check_context = config->side.check_context;
    conn->tls = bio ? SSL_new(config->context) : NULL;
    if (!conn->tls) {
        BIO_free(bio);
        return NNG_ENOMEM;
    }
    SSL_set_bio(conn->tls, bio, bio);
    SSL_set_mode(conn->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (conn->server)
        SSL_set_accept_state(conn->tls);
    else
        SSL_set_connect_state(conn->tls);
    SSL_set_options(conn->tls, SSL_OP_CLEANSE_PLAINTEXT);
    if (!conn->server && config->server[0] &&
        (!SSL_set_tlsext_host_name(conn->tls, config->server) || !SSL_set1_host(conn->tls, config->server)))
        return NNG_ENOMEM;
    return 0;
}

static void conn_fini(nng_tls_engine_conn *conn)
{
    SSL_free(conn->tls);
    conn->tls = NULL;
}

static void conn_close(nng_tls_engine_conn *conn)
{
    if (SSL_is_init_finished(conn->tls))
        SSL_shutdown(conn->tls);
    ERR_clear_error();
}

static int code_of(nng_tls_engine_conn *conn, int result)
{
    int error = SSL_get_error(conn->tls, result);
    bool verified = SSL_get_verify_result(conn->tls) == X509_V_OK;

    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return NNG_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return NNG_ECLOSED;
    case SSL_ERROR_SSL:
        return verified ? NNG_ECRYPTO : NNG_EPEERAUTH;
    default:
        return NNG_ECONNRESET;
    }
}

static int check_client(nng_tls_engine_conn *conn)
{
    X509 *certificate = SSL_get1_peer_certificate(conn->tls);
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len;
    bool ok = certificate && X509_digest(certificate, EVP_sha256(), hash, &len) &&
              conn->check(conn->check_context, hash) == STATUS_OK;

    X509_free(certificate);
    return ok ? 0 : NNG_EPEERAUTH;
}

static int conn_handshake(nng_tls_engine_conn *conn)
{
    ERR_clear_error(); /* by which OpenSSL tells what became of a call */
    int result = SSL_do_handshake(conn->tls);

    if (result != 1)
        return code_of(conn, result);
    return conn->server ? check_client(conn) : 0;
}

static int conn_recv(nng_tls_engine_conn *conn, uint8_t *data, size_t *len)
{
    size_t n = 0;

    ERR_clear_error();
    if (!SSL_read_ex(conn->tls, data, *len, &n))
        return code_of(conn, 0);
    *len = n;
    return 0;
}

static int conn_send(nng_tls_engine_conn *conn, const uint8_t *data, size_t *len)
{
    size_t n = 0;

    ERR_clear_error();
    if (!SSL_write_ex(conn->tls, data, *len, &n))
        return code_of(conn, 0);
    *len = n;
    return 0;
}

static bool conn_verified(nng_tls_engine_conn *conn)
{
    X509 *certificate = SSL_get1_peer_certificate(conn->tls);

    X509_free(certificate);
    return certificate && SSL_get_verify_result(conn->tls) == X509_V_OK;
}

#if HAS_PEER_NAMES_AND_PSK
static char *conn_peer_cn(nng_tls_engine_conn *conn)
{
    X509 *certificate = SSL_get1_peer_certificate(conn->tls);
    char name[256] = "";

    if (certificate)
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
    X509_free(certificate);
    return name[0] ? nng_strdup(name) : NULL;
}

/* None are told: nobody here asks. */
static char **conn_peer_alt_names(nng_tls_engine_conn *conn)
{
    (void)conn;
    return NULL;
}

static int config_psk(nng_tls_engine_config *config, const char *identity, const uint8_t *key, size_t len)
{
    (void)config;
    (void)identity;
    (void)key;
    (void)len;
    return NNG_ENOTSUP; /* clients of a node have certificates */
}
#endif

/* --- configurations --- */

static int config_init_server(nng_tls_engine_config *config)
{
    pthread_mutex_lock(&lock);
    bool ok = server_side.context && SSL_CTX_up_ref(server_side.context);
    if (ok)
        config->side = server_side;
    pthread_mutex_unlock(&lock);
    config->context = config->side.context;
    return ok ? 0 : NNG_ENOTSUP; /* a client's process does not listen */
}

static int config_init_client(nng_tls_engine_config *config)
{
    pthread_mutex_lock(&lock);
    config->library = client_library;
    pthread_mutex_unlock(&lock);
    config->context = SSL_CTX_new_ex(config->library, NULL, TLS_client_method());
    if (!config->context)
        return NNG_ENOMEM;
    SSL_CTX_set_min_proto_version(config->context, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(config->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(config->context, SSL_VERIFY_PEER, NULL); /* unless told otherwise */
    /* As with the direct transport, the CA may be an intermediate one. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(config->context), X509_V_FLAG_PARTIAL_CHAIN);
    return 0;
}

static int config_init(nng_tls_engine_config *config, nng_tls_mode mode)
{
    config->mode = mode;
    return mode == NNG_TLS_MODE_SERVER ? config_init_server(config) : config_init_client(config);
}

static void config_fini(nng_tls_engine_config *config)
{
    SSL_CTX_free(config->context);
}

static int config_server(nng_tls_engine_config *config, const char *name)
{
    if (strlen(name) >= sizeof(config->server))
        return NNG_EINVAL;
    memcpy(config->server, name, strlen(name) + 1);
    return 0;
}

static int config_auth(nng_tls_engine_config *config, nng_tls_auth_mode mode)
{
    if (config->mode == NNG_TLS_MODE_SERVER)
        return 0; /* mutual, always: it stands in the node's context */
    SSL_CTX_set_verify(config->context,
                       mode == NNG_TLS_AUTH_MODE_NONE       ? SSL_VERIFY_NONE
                       : mode == NNG_TLS_AUTH_MODE_OPTIONAL ? SSL_VERIFY_PEER
                                                            : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       NULL);
    return 0;
}

static int config_ca_chain(nng_tls_engine_config *config, const char *certificates, const char *crl)
{
    BIO *bio = BIO_new_mem_buf(certificates, -1);
    X509_STORE *store = SSL_CTX_get_cert_store(config->context);
    X509 *certificate;
    unsigned n = 0;

    if (crl)
        return NNG_ENOTSUP;
    while ((certificate = pem_read_certificate(bio, config->library))) {
        n += X509_STORE_add_cert(store, certificate) == 1;
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    return n ? 0 : NNG_ECRYPTO;
}

static int config_own_cert(nng_tls_engine_config *config, const char *certificate_pem, const char *key_pem,
                           const char *password)
{
    BIO *certificate_bio = BIO_new_mem_buf(certificate_pem, -1), *key_bio = BIO_new_mem_buf(key_pem, -1);
    X509 *certificate = pem_read_certificate(certificate_bio, config->library);
    EVP_PKEY *key =
        key_bio ? PEM_read_bio_PrivateKey_ex(key_bio, NULL, NULL, (void *)password, config->library, NULL) : NULL;
    bool ok = certificate && key && SSL_CTX_use_certificate(config->context, certificate) == 1 &&
              SSL_CTX_use_PrivateKey(config->context, key) == 1;

    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    ERR_clear_error();
    return ok ? 0 : NNG_ECRYPTO;
}

static int config_version(nng_tls_engine_config *config, nng_tls_version min, nng_tls_version max)
{
    (void)config;
    (void)min;
    return max >= NNG_TLS_1_3 ? 0 : NNG_ENOTSUP; /* this engine speaks TLS 1.3 only */
}

static nng_tls_engine_config_ops config_operations = {
    .size = sizeof(struct nng_tls_engine_config),
    .init = config_init,
    .fini = config_fini,
    .server = config_server,
    .auth = config_auth,
    .ca_chain = config_ca_chain,
    .own_cert = config_own_cert,
    .version = config_version,
#if HAS_PEER_NAMES_AND_PSK
    .psk = config_psk,
#endif
};

static nng_tls_engine_conn_ops conn_operations = {
    .size = sizeof(struct nng_tls_engine_conn),
    .init = conn_init,
    .fini = conn_fini,
    .close = conn_close,
    .handshake = conn_handshake,
    .recv = conn_recv,
    .send = conn_send,
    .verified = conn_verified,
#if HAS_PEER_NAMES_AND_PSK
    .peer_cn = conn_peer_cn,
    .peer_alt_names = conn_peer_alt_names,
#endif
};

static const nng_tls_engine engine = {
    .version = NNG_TLS_ENGINE_VERSION,
    .config_ops = &config_operations,
    .conn_ops = &conn_operations,
    .name = "OpenSSL",
    .description = "OpenSSL, TLS 1.3",
    .fips_mode = false,
};

/* --- registration --- */

/* Under the lock. Again each time, since another part of the process may have registered its own since. */
static status_code register_engine(void)
{
    if (!stream_method) {
        BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "NNG stream");

        CHECK(made && BIO_meth_set_write(made, stream_write) && BIO_meth_set_read(made, stream_read) &&
                  BIO_meth_set_ctrl(made, stream_ctrl),
              STATUS_OUT_OF_MEMORY, "no memory for a TLS engine");
        stream_method = made;
    }
    int code = nng_tls_engine_register(&engine);

    CHECK(code == 0, STATUS_NOT_SUPPORTED, "NNG does not take a TLS engine: %s", nng_strerror(code));
    return STATUS_OK;
}

status_code nng_tls_use_for_server(SSL_CTX *context, nng_tls_peer_check check, void *check_context)
{
    SSL_CTX_up_ref(context);
    pthread_mutex_lock(&lock);
    SSL_CTX_free(server_side.context);
    server_side = (struct server_side){context, check, check_context};
    status_code status = register_engine();
    pthread_mutex_unlock(&lock);
    return status;
}

status_code nng_tls_use_for_client(OSSL_LIB_CTX *library)
{
    pthread_mutex_lock(&lock);
    client_library = library;
    status_code status = register_engine();
    pthread_mutex_unlock(&lock);
    return status;
}
