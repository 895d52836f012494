/* The core's own OpenSSL context and TLS settings: TLS 1.3 with the cluster's CA, this client's certificate, and
 * nothing from OpenSSL's configuration. */
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include "core_internal.h"
#include "protocol/pem.h"
#include "protocol/secret.h"

#define PEM_MAX 65536

/* --- files --- */

static status_code read_pem(const char *path, const char *setting, char **text)
{
    FILE *file = path ? fopen(path, "re") : NULL;
    char *buffer = file ? calloc(1, PEM_MAX) : NULL;

    if (!path)
        return STATUS_OK;
    if (!buffer) {
        int error = errno;

        if (file)
            fclose(file);
        FAIL(STATUS_CONFIG_INVALID, "%s: %s: %s", setting, path, strerror(error));
    }
    size_t n = fread(buffer, 1, PEM_MAX - 1, file);

    fclose(file);
    *text = buffer;
    CHECK(n > 0 && n < PEM_MAX - 1, STATUS_CONFIG_INVALID, "%s: %s is empty or too large", setting, path);
    return STATUS_OK;
}

status_code tls_read_files(struct core *core)
{
    TRY(read_pem(core->config->ca_file, "ca-file", &core->ca_pem));
    TRY(read_pem(core->config->certificate_file, "certificate-file", &core->certificate_pem));
    return read_pem(core->config->key_file, "key-file", &core->key_pem);
}

/* --- settings --- */

static status_code trust(OSSL_LIB_CTX *library, SSL_CTX *tls, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate;
    unsigned n = 0;

    while ((certificate = pem_read_certificate(bio, library))) {
        n += X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), certificate) == 1;
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    CHECK(n > 0, STATUS_CONFIG_INVALID, "ca-file holds no certificate");
    return STATUS_OK;
}

static status_code identify(OSSL_LIB_CTX *library, SSL_CTX *tls, const char *certificate_pem, const char *key_pem)
{
    char reason[128];
    BIO *certificate_bio = BIO_new_mem_buf(certificate_pem, -1), *key_bio = BIO_new_mem_buf(key_pem, -1);
    X509 *certificate = pem_read_certificate(certificate_bio, library);
    EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey_ex(key_bio, NULL, NULL, NULL, library, NULL) : NULL;
    bool ok =
        certificate && key && SSL_CTX_use_certificate(tls, certificate) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1;

    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    CHECK(ok, STATUS_CONFIG_INVALID, "certificate-file and key-file: %s",
          failure_openssl_reason(reason, sizeof(reason)));
    return STATUS_OK;
}

static status_code make_tls(struct core *core)
{
    if (!core->ca_pem)
        return STATUS_OK; /* endpoints without TLS only: told when one with TLS is opened */
    CHECK(core->certificate_pem && core->key_pem, STATUS_CONFIG_INVALID,
          "with ca-file, certificate-file and key-file are needed too");
    OSSL_LIB_CTX *library = crypto_context_use(core->context);

    core->tls = SSL_CTX_new_ex(library, NULL, TLS_client_method());
    CHECK(core->tls, STATUS_OUT_OF_MEMORY, "no TLS context");
    SSL_CTX_set_min_proto_version(core->tls, TLS1_3_VERSION);
    SSL_CTX_set_verify(core->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(core->tls, SSL_SESS_CACHE_OFF);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(core->tls), X509_V_FLAG_PARTIAL_CHAIN);
    TRY(trust(library, core->tls, core->ca_pem));
    return identify(library, core->tls, core->certificate_pem, core->key_pem);
}

status_code tls_set_up(struct core *core)
{
    /* The core's own rather than the library's: a child of fork takes another and leaves its parent's alone. */
    core->context = crypto_context_take();
    CHECK(core->context, STATUS_OUT_OF_MEMORY, "OpenSSL's default provider cannot be loaded");
    return make_tls(core);
}

static void free_pem(char *pem)
{
    if (pem)
        secret_wipe(pem, strlen(pem));
    free(pem);
}

void tls_tear_down(struct core *core, bool forget)
{
    if (core->context && !forget) {
        (void)crypto_context_use(core->context);
        SSL_CTX_free(core->tls);
        crypto_context_give_back(core->context);
    }
    free_pem(core->ca_pem);
    free_pem(core->certificate_pem);
    free_pem(core->key_pem);
}
