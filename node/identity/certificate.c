/* Parsing, checking and requesting certificates (certificate.h). Called by the identity, the handover and members. */
#include "identity/certificate.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include "crypto/key.h"

#define URN "urn:hsm:node:"

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static void free_request(X509_REQ **request)
{
    X509_REQ_free(*request);
}

static void free_extensions(STACK_OF(X509_EXTENSION) * *extensions)
{
    sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
}

static void free_store(X509_STORE **store)
{
    X509_STORE_free(*store);
}

static void free_store_context(X509_STORE_CTX **context)
{
    X509_STORE_CTX_free(*context);
}

void certificate_free(X509 **certificate)
{
    X509_free(*certificate);
}

static status_code openssl_failure(status_code code, const char *what)
{
    char reason[160];
    return failure_set(code, "%s: %s", what, failure_openssl_reason(reason, sizeof reason));
}

status_code certificate_parse(struct slice pem, const char *what, X509 **certificate)
{
    CHECK(pem.len > 0 && pem.len <= 65536, STATUS_INVALID_ARGUMENT, "%s: expected a certificate as PEM", what);
    CLEANUP(free_bio) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    CLEANUP(certificate_free) X509 *parsed = X509_new_ex(crypto_context(), NULL);
    CHECK(bio && parsed, STATUS_OUT_OF_MEMORY, "no memory for a certificate");

    if (!PEM_read_bio_X509(bio, &parsed, NULL, (void *)"")) {
        ERR_clear_error();
        FAIL(STATUS_INVALID_ARGUMENT, "%s is not a PEM certificate (-----BEGIN CERTIFICATE-----)", what);
    }
    *certificate = parsed;
    parsed = NULL;
    return STATUS_OK;
}

status_code certificate_parse_der(struct slice der, const char *what, X509 **certificate)
{
    const unsigned char *at = der.data;
    CLEANUP(certificate_free) X509 *parsed = X509_new_ex(crypto_context(), NULL);
    CHECK(parsed, STATUS_OUT_OF_MEMORY, "no memory for a certificate");
    if (der.len == 0 || !d2i_X509(&parsed, &at, (long)der.len) || at != der.data + der.len) {
        ERR_clear_error();
        FAIL(STATUS_INVALID_ARGUMENT, "%s is not a certificate", what);
    }
    *certificate = parsed;
    parsed = NULL;
    return STATUS_OK;
}

status_code certificate_encode_der(X509 *certificate, struct bytes *der)
{
    int len = i2d_X509(certificate, NULL);
    CHECK(len > 0, STATUS_INTERNAL, "a certificate cannot be encoded");
    unsigned char *at = bytes_reserve(der, (size_t)len);
    CHECK(at, STATUS_TOO_LARGE, "the certificate is too large (%d bytes)", len);
    i2d_X509(certificate, &at);
    der->len += (size_t)len;
    return STATUS_OK;
}

static status_code take_bio(BIO *bio, struct bytes *out)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    CHECK(len > 0 && bytes_append(out, text, (size_t)len), STATUS_OUT_OF_MEMORY, "no memory for a PEM text");
    return STATUS_OK;
}

status_code certificate_encode_pem(X509 *certificate, struct bytes *pem)
{
    CLEANUP(free_bio) BIO *bio = BIO_new(BIO_s_mem());
    CHECK(bio && PEM_write_bio_X509(bio, certificate), STATUS_OUT_OF_MEMORY, "no memory for a certificate");
    return take_bio(bio, pem);
}

status_code certificate_hash(X509 *certificate, uint8_t hash[CERTIFICATE_HASH_LEN])
{
    unsigned len = 0;
    if (!X509_digest(certificate, EVP_sha256(), hash, &len) || len != CERTIFICATE_HASH_LEN)
        return openssl_failure(STATUS_INTERNAL, "hashing a certificate");
    return STATUS_OK;
}

status_code certificate_hash_pem(struct slice pem, uint8_t hash[CERTIFICATE_HASH_LEN])
{
    CLEANUP(certificate_free) X509 *certificate = NULL;
    TRY(certificate_parse(pem, "the certificate", &certificate));
    return certificate_hash(certificate, hash);
}

status_code certificate_check_ca(X509 *ca)
{
    CHECK(X509_check_ca(ca) == 1, STATUS_TLS_ERROR,
          "the CA certificate is not that of a CA: it lacks basicConstraints CA:TRUE, or keyUsage keyCertSign");
    CHECK(X509_cmp_current_time(X509_get0_notBefore(ca)) < 0, STATUS_TLS_ERROR,
          "the CA certificate is not valid yet: check this machine's clock");
    CHECK(X509_cmp_current_time(X509_get0_notAfter(ca)) > 0, STATUS_TLS_ERROR, "the CA certificate has expired");
    return STATUS_OK;
}

static status_code verify(X509 *certificate, X509 *ca, int purpose, const char *use, unsigned long flags)
{
    CLEANUP(free_store) X509_STORE *store = X509_STORE_new();
    CLEANUP(free_store_context) X509_STORE_CTX *context = X509_STORE_CTX_new_ex(crypto_context(), NULL);
    CHECK(store && context && X509_STORE_add_cert(store, ca) &&
              X509_STORE_CTX_init(context, store, certificate, NULL) && X509_STORE_CTX_set_purpose(context, purpose),
          STATUS_OUT_OF_MEMORY, "no memory to check a certificate");
    /* The owner's CA may be an intermediate one: what was given is the anchor. */
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN | flags);
    bool good = X509_verify_cert(context) == 1;
    int error = X509_STORE_CTX_get_error(context);
    ERR_clear_error();
    CHECK(good, STATUS_TLS_ERROR,
          "the certificate is refused for TLS %ss: %s (signed by another CA, expired, or the "
          "clock is wrong?)",
          use, X509_verify_cert_error_string(error));
    return STATUS_OK;
}

status_code certificate_check(X509 *certificate, X509 *ca)
{
    TRY(verify(certificate, ca, X509_PURPOSE_SSL_SERVER, "server", 0));
    return verify(certificate, ca, X509_PURPOSE_SSL_CLIENT, "client", 0);
}

status_code certificate_check_signature(X509 *certificate, X509 *ca)
{
    return verify(certificate, ca, X509_PURPOSE_SSL_SERVER, "server", X509_V_FLAG_NO_CHECK_TIME);
}

status_code certificate_node_id(X509 *certificate, uint8_t node_id[ID_LEN])
{
    CLEANUP(free_names) GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    unsigned n_found = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        const char *text = (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
        size_t len = (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier);
        if (len != sizeof URN - 1 + 2 * ID_LEN || memcmp(text, URN, sizeof URN - 1) != 0)
            continue;
        char digits[2 * ID_LEN + 1] = {0};
        memcpy(digits, text + sizeof URN - 1, 2 * ID_LEN);
        n_found += hex_decode(digits, node_id, ID_LEN);
    }
    ERR_clear_error();
    CHECK(n_found == 1, STATUS_TLS_ERROR,
          "the certificate is not that of a node: it must have one subjectAltName " URN "ID, as the request asked for");
    return STATUS_OK;
}

void certificate_common_name(X509 *certificate, char *name, size_t size)
{
    int len = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, (int)size);
    if (len < 0)
        name[0] = 0;
    for (char *at = name; *at; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
            *at = '?';
}

/* The request. */

static bool is_address(const char *host)
{
    unsigned char raw[16];
    return inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1;
}

/** Only what can stand in a DNS name: nothing of the host's text may act as syntax of the extension. */
static bool is_dns_name(const char *host)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    return *host && strlen(host) < 254 && strspn(host, letters) == strlen(host);
}

static bool add_extension(STACK_OF(X509_EXTENSION) * extensions, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    if (extension && sk_X509_EXTENSION_push(extensions, extension) > 0)
        return true;
    X509_EXTENSION_free(extension);
    return false;
}

static status_code add_extensions(X509_REQ *request, const uint8_t node_id[ID_LEN], const char *const *hosts)
{
    char names[4096], id[2 * ID_LEN + 1];
    hex_encode(slice_of(node_id, ID_LEN), id);
    size_t len = (size_t)snprintf(names, sizeof names, "URI:" URN "%s", id);
    for (; *hosts && len < sizeof names - 300; hosts++)
        if (is_address(*hosts) || is_dns_name(*hosts))
            len +=
                (size_t)snprintf(names + len, sizeof names - len, ",%s:%s", is_address(*hosts) ? "IP" : "DNS", *hosts);

    CLEANUP(free_extensions) STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    bool made = extensions && add_extension(extensions, NID_subject_alt_name, names) &&
                add_extension(extensions, NID_basic_constraints, "critical,CA:FALSE") &&
                add_extension(extensions, NID_key_usage, "critical,digitalSignature,keyAgreement") &&
                add_extension(extensions, NID_ext_key_usage, "serverAuth,clientAuth") &&
                X509_REQ_add_extensions(request, extensions);
    if (!made)
        return openssl_failure(STATUS_INTERNAL, "making a certificate request");
    return STATUS_OK;
}

status_code certificate_request(EVP_PKEY *key, const char *name, const uint8_t node_id[ID_LEN],
                                const char *const *hosts, struct bytes *csr)
{
    CLEANUP(free_request) X509_REQ *request = X509_REQ_new_ex(crypto_context(), NULL);
    CLEANUP(free_bio) BIO *bio = BIO_new(BIO_s_mem());
    CHECK(request && bio, STATUS_OUT_OF_MEMORY, "no memory for a certificate request");

    TRY(add_extensions(request, node_id, hosts));
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    bool made = X509_REQ_set_version(request, X509_REQ_VERSION_1) &&
                X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"libhsm", -1, -1, 0) &&
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) &&
                X509_REQ_set_pubkey(request, key) && X509_REQ_sign(request, key, EVP_sha256()) > 0 &&
                PEM_write_bio_X509_REQ(bio, request);
    if (!made)
        return openssl_failure(STATUS_INTERNAL, "making a certificate request");
    return take_bio(bio, csr);
}

status_code certificate_key_sign(EVP_PKEY *key, struct slice data, struct bytes *signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char reason[160];
    size_t len = 512;
    uint8_t *at = bytes_reserve(signature, len);
    bool done = context && at &&
                EVP_DigestSignInit_ex(context, NULL, "SHA256", crypto_context(), NULL, key, NULL) == 1 &&
                EVP_DigestSign(context, at, &len, data.data, data.len) == 1;

    EVP_MD_CTX_free(context);
    CHECK(done, STATUS_INTERNAL, "signing with the node's key: %s", failure_openssl_reason(reason, sizeof reason));
    signature->len += len;
    return STATUS_OK;
}
