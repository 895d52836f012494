/* Certificates in PEM, for TLS of libhsm and of NNG. Their keys are worked on by a context of OpenSSL's that is not the
 * process's own: what a program's configuration loads there may send every key to a PKCS#11 module, to that of this
 * very cluster among them, which would have to be connected before it can connect. */
#pragma once

#include <openssl/pem.h>
#include <openssl/x509.h>

/** The next certificate of `bio`, or NULL. What is encrypted is none: nobody is asked for a password. */
static inline X509 *pem_read_certificate(BIO *bio, OSSL_LIB_CTX *library)
{
    X509 *certificate = X509_new_ex(library, NULL);

    if (certificate && bio && PEM_read_bio_X509(bio, &certificate, NULL, (void *)""))
        return certificate;
    X509_free(certificate);
    return NULL;
}
