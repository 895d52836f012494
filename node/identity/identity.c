/* Loading and making a node's identity, and what it tells of itself (identity.h). The steps of its life cycle are in
 * lifecycle.c, its TLS context in tls.c. Opened once by node_start; used from any thread. */
#include "identity/identity.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "identity/identity_private.h"
#include "identity/state_file.h"
#include "node.h"

static const uint8_t NO_ID[ID_LEN];

static void free_key_info(PKCS8_PRIV_KEY_INFO **info)
{
    PKCS8_PRIV_KEY_INFO_free(*info);
}

static status_code encode_key(EVP_PKEY *key, struct secret *der)
{
    CLEANUP(free_key_info) PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;
    CHECK(len > 0, STATUS_INTERNAL, "the node's key cannot be encoded");
    TRY(secret_allocate(der, (size_t)len));
    unsigned char *at = der->data;
    i2d_PKCS8_PRIV_KEY_INFO(info, &at);
    return STATUS_OK;
}

static status_code decode_key(const struct secret *der, EVP_PKEY **key)
{
    const unsigned char *at = der->data;
    *key = d2i_AutoPrivateKey_ex(NULL, &at, (long)der->len, crypto_context(), NULL);
    ERR_clear_error();
    CHECK(*key, STATUS_STORE_DAMAGED, "the key in the identity file cannot be read");
    return STATUS_OK;
}

/** Node id and TLS key of a fresh node. */
static status_code make_fresh(struct identity *identity)
{
    char reason[160], id[2 * ID_LEN + 1];
    CHECK(RAND_bytes_ex(crypto_context(), identity->vault.node_id, ID_LEN, 0) == 1, STATUS_RANDOM_FAILED,
          "no random node id");
    identity->key = EVP_PKEY_Q_keygen(crypto_context(), NULL, "EC", "P-256");
    CHECK(identity->key, STATUS_INTERNAL, "making the node's key: %s", failure_openssl_reason(reason, sizeof reason));
    TRY(encode_key(identity->key, &identity->vault.tls_key));
    TRY(vault_save(identity->folder, &identity->vault));
    memcpy(identity->node_id, identity->vault.node_id, ID_LEN);
    hex_encode(slice_of(identity->node_id, ID_LEN), id);
    log_event(LOG_LEVEL_INFO, "fresh node", "node", id, NULL);
    return STATUS_OK;
}

status_code identity_check_own(struct identity *identity, X509 *certificate)
{
    uint8_t node_id[ID_LEN];
    bool ours = X509_check_private_key(certificate, identity->key) == 1;
    ERR_clear_error();
    CHECK(ours, STATUS_TLS_ERROR, "the certificate is not for this node's key: sign the request of this node");
    TRY(certificate_node_id(certificate, node_id));
    CHECK(memcmp(node_id, identity->node_id, ID_LEN) == 0, STATUS_TLS_ERROR,
          "the certificate names another node's id: sign the request of this node");
    return STATUS_OK;
}

static status_code load_certificate(struct identity *identity, const char *file, X509 **certificate)
{
    CLEANUP(bytes_release) struct bytes pem = BYTES_INIT;
    TRY(state_file_read(identity->folder, file, CERTIFICATE_FILE_MAX, false, &pem));
    return certificate_parse(bytes_slice(&pem), file, certificate);
}

/** A member's certificates: plain files, but held to the key, the id and the CA that the vault names. */
static status_code load_certificates(struct identity *identity)
{
    uint8_t hash[CERTIFICATE_HASH_LEN];
    TRY(load_certificate(identity, CA_FILE, &identity->ca));
    TRY(certificate_hash(identity->ca, hash));
    CHECK(memcmp(hash, identity->vault.ca_hash, sizeof hash) == 0, STATUS_STORE_DAMAGED,
          CA_FILE " in the state folder is not the CA certificate that this node was made a member with: restore it");
    TRY(load_certificate(identity, CERTIFICATE_FILE, &identity->certificate));
    TRY(identity_check_own(identity, identity->certificate));
    /* A node whose certificate has expired must still start, so that its owner can get a request for a new one. */
    if (certificate_check(identity->certificate, identity->ca) != STATUS_OK)
        log_event(LOG_LEVEL_ERROR, "certificate refused", "detail", failure_detail(), "hint",
                  "clients will refuse this node until it has a new certificate", NULL);
    return STATUS_OK;
}

static void add_host(struct identity *identity, const char *url)
{
    const char *host = strstr(url, "://");
    if (!host || strncmp(url, "ipc", 3) == 0 || strncmp(url, "inproc", 6) == 0 || identity->n_hosts == HOSTS_MAX)
        return;
    host += 3;
    bool bracket = *host == '[';
    host += bracket;
    int len = (int)strcspn(host, bracket ? "]" : ":/");
    char *field = identity->hosts[identity->n_hosts];
    snprintf(field, sizeof identity->hosts[0], "%.*s", len, host);
    bool wildcard = !*field || strcmp(field, "0.0.0.0") == 0 || strcmp(field, "::") == 0 || strcmp(field, "*") == 0;
    identity->n_hosts += !wildcard;
}

static void collect_hosts(struct identity *identity, const struct node_config *config)
{
    snprintf(identity->name, sizeof identity->name, "%s", config->name);
    add_host(identity, config->advertise);
    for (unsigned i = 0; i < config->n_listen; i++)
        add_host(identity, config->listen[i]);
    for (unsigned i = 0; i < config->n_listen_nng; i++)
        add_host(identity, config->listen_nng[i]);
}

static status_code load_known(struct identity *identity, status_code loaded)
{
    TRY(loaded);
    memcpy(identity->node_id, identity->vault.node_id, ID_LEN);
    TRY(decode_key(&identity->vault.tls_key, &identity->key));
    return identity->vault.state == IDENTITY_MEMBER ? load_certificates(identity) : STATUS_OK;
}

void identity_publish(struct identity *identity)
{
    if (atomic_load(&identity->state) == IDENTITY_EMPTY && identity->vault.state != IDENTITY_EMPTY) {
        memcpy(identity->cluster_id, identity->vault.cluster_id, ID_LEN);
        memcpy(identity->seal_id, identity->vault.seal_id, ID_LEN);
        memcpy(identity->cluster_name, identity->vault.cluster_name, sizeof identity->cluster_name);
    }
    atomic_store(&identity->state, identity->vault.state);
}

static status_code load(struct identity *identity, const char *state_folder)
{
    TRY(state_folder_open(state_folder, &identity->folder));
    status_code code = vault_load(identity->folder, &identity->vault);
    if (code == STATUS_OBJECT_NOT_FOUND)
        TRY(make_fresh(identity));
    else
        TRY(load_known(identity, code));
    identity_publish(identity);
    return STATUS_OK;
}

status_code identity_open(struct node *node, const char *state_folder, struct identity **identity)
{
    struct identity *made = calloc(1, sizeof *made);
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for an identity");
    made->folder = -1;
    pthread_mutex_init(&made->lock, NULL);
    collect_hosts(made, &node->config);
    status_code code = load(made, state_folder);
    if (code != STATUS_OK) {
        identity_close(made);
        return code;
    }
    *identity = made;
    return STATUS_OK;
}

void identity_close(struct identity *identity)
{
    if (!identity)
        return;
    SSL_CTX_free(identity->tls);
    X509_STORE_free(identity->trust);
    sk_X509_NAME_pop_free(identity->trust_names, X509_NAME_free);
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
    X509_free(identity->ca);
    vault_release(&identity->vault);
    if (identity->folder >= 0)
        close(identity->folder);
    pthread_mutex_destroy(&identity->lock);
    free(identity);
}

enum identity_state identity_state(const struct identity *identity)
{
    return atomic_load(&identity->state);
}

const uint8_t *identity_node_id(const struct identity *identity)
{
    return identity->node_id;
}

const uint8_t *identity_cluster_id(const struct identity *identity)
{
    return identity_state(identity) == IDENTITY_EMPTY ? NO_ID : identity->cluster_id;
}

const uint8_t *identity_seal_id(const struct identity *identity)
{
    return identity_state(identity) == IDENTITY_EMPTY ? NO_ID : identity->seal_id;
}

const char *identity_cluster_name(const struct identity *identity)
{
    return identity_state(identity) == IDENTITY_EMPTY ? "" : identity->cluster_name;
}

int identity_folder(const struct identity *identity)
{
    return identity->folder;
}

status_code identity_masking_keys(struct identity *identity, struct secret *masking_keys)
{
    CHECK(identity_state(identity) != IDENTITY_EMPTY, STATUS_CLUSTER_STATE, "this node belongs to no cluster yet");
    pthread_mutex_lock(&identity->lock);
    status_code code = secret_copy(masking_keys, secret_slice(&identity->vault.masking_keys));
    pthread_mutex_unlock(&identity->lock);
    return code;
}

status_code identity_certificate(struct identity *identity, uint8_t hash[CERTIFICATE_HASH_LEN], struct bytes *pem)
{
    CHECK(identity_state(identity) == IDENTITY_MEMBER, STATUS_CLUSTER_STATE, "this node has no certificate yet");
    pthread_mutex_lock(&identity->lock);
    status_code code = certificate_hash(identity->certificate, hash);
    if (code == STATUS_OK)
        code = certificate_encode_pem(identity->certificate, pem);
    pthread_mutex_unlock(&identity->lock);
    return code;
}

status_code identity_sign(struct identity *identity, struct slice data, struct bytes *signature,
                          struct bytes *certificate_pem)
{
    CHECK(identity_state(identity) == IDENTITY_MEMBER, STATUS_CLUSTER_STATE, "this node has no certificate yet");
    pthread_mutex_lock(&identity->lock);
    status_code code = certificate_key_sign(identity->key, data, signature);
    if (code == STATUS_OK)
        code = certificate_encode_pem(identity->certificate, certificate_pem);
    pthread_mutex_unlock(&identity->lock);
    return code;
}

status_code identity_csr(struct identity *identity, struct bytes *csr)
{
    const char *hosts[HOSTS_MAX + 1] = {NULL};
    for (unsigned i = 0; i < identity->n_hosts; i++)
        hosts[i] = identity->hosts[i];
    return certificate_request(identity->key, identity->name, identity->node_id, hosts, csr);
}

static status_code check_renewed(struct identity *identity, X509 *certificate)
{
    TRY(identity_check_own(identity, certificate));
    return certificate_check(certificate, identity->ca);
}

/** Afterwards *certificate is the one before. */
static void swap_certificate(struct identity *identity, X509 **certificate)
{
    pthread_mutex_lock(&identity->lock);
    X509 *before = identity->certificate;
    identity->certificate = *certificate;
    *certificate = before;
    pthread_mutex_unlock(&identity->lock);
}

status_code identity_reload(struct identity *identity)
{
    CLEANUP(certificate_free) X509 *certificate = NULL;
    if (identity_state(identity) != IDENTITY_MEMBER)
        return STATUS_OK;
    TRY(load_certificate(identity, CERTIFICATE_FILE, &certificate));
    TRY(check_renewed(identity, certificate));
    swap_certificate(identity, &certificate);
    return STATUS_OK;
}

status_code identity_renew(struct identity *identity, struct slice certificate_pem)
{
    CLEANUP(certificate_free) X509 *certificate = NULL;
    CLEANUP(bytes_release) struct bytes pem = BYTES_INIT;
    CHECK(identity_state(identity) == IDENTITY_MEMBER, STATUS_CLUSTER_STATE, "this node has no certificate yet");
    TRY(certificate_parse(certificate_pem, "the new certificate", &certificate));
    TRY(check_renewed(identity, certificate));
    TRY(certificate_encode_pem(certificate, &pem));
    TRY(state_file_write(identity->folder, CERTIFICATE_FILE, bytes_slice(&pem)));
    swap_certificate(identity, &certificate);
    return STATUS_OK;
}
