#include "node_ca_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

X509 *ca_issue(X509_REQ *request, X509_NAME *subject, EVP_PKEY *public_key, const struct ca *ca, EVP_PKEY *signer,
               bool is_ca, long from_s, long to_s)
{
    X509 *made = X509_new();
    X509V3_CTX context;
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1 + random());
    X509_gmtime_adj(X509_getm_notBefore(made), from_s);
    X509_gmtime_adj(X509_getm_notAfter(made), to_s);
    X509_set_subject_name(made, subject);
    X509_set_issuer_name(made, ca->certificate ? X509_get_subject_name(ca->certificate) : subject);
    X509_set_pubkey(made, public_key);
    X509V3_set_ctx(&context, made, made, NULL, NULL, 0);
    if (is_ca) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, "critical,CA:TRUE");
        X509_add_ext(made, extension, -1);
        X509_EXTENSION_free(extension);
    }
    if (request) {
        STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
        for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++)
            X509_add_ext(made, sk_X509_EXTENSION_value(extensions, i), -1);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    }
    assert_true(X509_sign(made, signer, EVP_sha256()) > 0);
    return made;
}

void certificate_to_pem(X509 *certificate, char *pem, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    int len = BIO_read(bio, pem, (int)size - 1);
    assert_true(len > 0);
    pem[len] = 0;
    BIO_free(bio);
}

void make_ca(struct ca *ca, const char *name, bool is_ca)
{
    X509_NAME *subject = X509_NAME_new();
    *ca = (struct ca){0};
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    ca->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    ca->certificate = ca_issue(NULL, subject, ca->key, ca, ca->key, is_ca, -60, 86400);
    X509_NAME_free(subject);
    certificate_to_pem(ca->certificate, ca->pem, sizeof ca->pem);
}

void free_ca(struct ca *ca)
{
    EVP_PKEY_free(ca->key);
    X509_free(ca->certificate);
}

void sign_request(const struct ca *ca, struct identity *identity, long from_s, long to_s, char *pem, size_t size)
{
    struct bytes csr = BYTES_INIT;
    assert_int_equal(identity_csr(identity, &csr), STATUS_OK);
    BIO *bio = BIO_new_mem_buf(csr.data, (int)csr.len);
    X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    assert_non_null(request);
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    assert_int_equal(X509_REQ_verify(request, key), 1);
    X509 *certificate = ca_issue(request, X509_REQ_get_subject_name(request), key, ca, ca->key, false, from_s, to_s);
    certificate_to_pem(certificate, pem, size);
    X509_free(certificate);
    X509_REQ_free(request);
    BIO_free(bio);
    bytes_release(&csr);
}
