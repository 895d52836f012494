/* The TLS context of the node's listeners: TLS 1.3 only, clients must show a certificate of the cluster's CA.
 *
 * Certificate and key are looked up at each handshake, so that a renewed certificate (SIGHUP) serves the next
 * connection while every listener keeps its one context. Session tickets are sealed under keys of this process alone.
 */
#include "identity/identity.h"

#include <openssl/err.h>
#include "crypto/key.h"
#include "identity/identity_private.h"

static int give_certificate(SSL *ssl, void *context)
{
    struct identity *identity = context;
    pthread_mutex_lock(&identity->lock);
    int good = SSL_use_certificate(ssl, identity->certificate) == 1 && SSL_use_PrivateKey(ssl, identity->key) == 1;
    pthread_mutex_unlock(&identity->lock);
    return good;
}

/** Before anything else is done for a connection: who may be its client, and which sessions it may resume. */
static int give_trust(SSL *ssl, int *alert, void *context)
{
    struct identity *identity = context;
    pthread_mutex_lock(&identity->lock);
    bool good = true;
    if (identity->trust) {
        STACK_OF(X509_NAME) *names = SSL_dup_CA_list(identity->trust_names);
        good = names && SSL_set1_verify_cert_store(ssl, identity->trust) == 1 &&
               SSL_set_session_id_context(ssl, identity->trust_id, sizeof identity->trust_id) == 1;
        SSL_set0_CA_list(ssl, names);
    }
    pthread_mutex_unlock(&identity->lock);
    *alert = SSL_AD_INTERNAL_ERROR;
    return good ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

/** Post-quantum hybrid first where this OpenSSL has it (3.5, FIPS 203 with X25519). */
static bool set_groups(SSL_CTX *context)
{
    bool set = SSL_CTX_set1_groups_list(context, "X25519MLKEM768:X25519:P-256:P-384") == 1 ||
               SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1 ||
               SSL_CTX_set1_groups_list(context, "P-256:P-384") == 1; /* the FIPS provider */
    ERR_clear_error();
    return set;
}

static bool set_trust(SSL_CTX *context, X509 *ca)
{
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(context, 4);
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) == 1 && SSL_CTX_add_client_CA(context, ca) == 1;
}

static status_code make_context(struct identity *identity, SSL_CTX **made)
{
    char reason[160];
    SSL_CTX *context = SSL_CTX_new_ex(crypto_context(), NULL, TLS_server_method());
    CHECK(context, STATUS_TLS_ERROR, "no TLS context: %s", failure_openssl_reason(reason, sizeof reason));

    /* Resumed sessions are kept apart from those of other clusters (SSL_CTX_set_session_id_context(3)). */
    bool good = SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 && set_groups(context) &&
                set_trust(context, identity->ca) &&
                SSL_CTX_set_session_id_context(context, identity->vault.cluster_id, ID_LEN) == 1;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_cert_cb(context, give_certificate, identity);
    SSL_CTX_set_client_hello_cb(context, give_trust, identity);
    if (!good) {
        SSL_CTX_free(context);
        FAIL(STATUS_TLS_ERROR, "the TLS context cannot be set up: %s", failure_openssl_reason(reason, sizeof reason));
    }
    *made = context;
    return STATUS_OK;
}

struct trust {
    X509_STORE *store;
    STACK_OF(X509_NAME) * names;
    uint8_t id[32];
};

static void trust_release(struct trust *trust)
{
    X509_STORE_free(trust->store);
    sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
}

static status_code trust_one(struct trust *trust, X509 *ca)
{
    uint8_t hash[CERTIFICATE_HASH_LEN];
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(ca));
    bool named = name && sk_X509_NAME_push(trust->names, name) > 0;
    if (!named)
        X509_NAME_free(name);
    CHECK(named && X509_STORE_add_cert(trust->store, ca) == 1, STATUS_OUT_OF_MEMORY, "no memory for a trust anchor");
    TRY(certificate_hash(ca, hash));
    for (unsigned i = 0; i < sizeof hash; i++) /* in whatever order */
        trust->id[i] ^= hash[i];
    return STATUS_OK;
}

static status_code make_trust(X509 *ca, X509 *const *anchors, unsigned n, struct trust *trust)
{
    trust->store = X509_STORE_new();
    trust->names = sk_X509_NAME_new_null();
    CHECK(trust->store && trust->names && X509_STORE_set_flags(trust->store, X509_V_FLAG_PARTIAL_CHAIN) == 1,
          STATUS_OUT_OF_MEMORY, "no memory for trust anchors");
    TRY(trust_one(trust, ca));
    for (unsigned i = 0; i < n; i++)
        TRY(trust_one(trust, anchors[i]));
    return STATUS_OK;
}

status_code identity_trust(struct identity *identity, X509 *const *anchors, unsigned n)
{
    CLEANUP(trust_release) struct trust trust = {NULL, NULL, {0}};
    CHECK(identity_state(identity) == IDENTITY_MEMBER, STATUS_CLUSTER_STATE, "this node has no certificate yet");
    TRY(make_trust(identity->ca, anchors, n, &trust));

    pthread_mutex_lock(&identity->lock);
    struct trust before = {identity->trust, identity->trust_names, {0}};
    identity->trust = trust.store;
    identity->trust_names = trust.names;
    memcpy(identity->trust_id, trust.id, sizeof trust.id);
    pthread_mutex_unlock(&identity->lock);
    trust = before;
    return STATUS_OK;
}

status_code identity_tls_context(struct identity *identity, SSL_CTX **context)
{
    CHECK(identity_state(identity) == IDENTITY_MEMBER, STATUS_CLUSTER_STATE, "this node has no certificate yet");
    status_code code = STATUS_OK;
    pthread_mutex_lock(&identity->lock);
    if (!identity->tls)
        code = make_context(identity, &identity->tls);
    if (code == STATUS_OK) {
        SSL_CTX_up_ref(identity->tls);
        *context = identity->tls;
    }
    pthread_mutex_unlock(&identity->lock);
    return code;
}
