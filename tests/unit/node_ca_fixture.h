/* A CA such as an owner has, and the signing of a node's request. */
#pragma once

#include <openssl/x509.h>
#include "identity/identity.h"

struct ca {
    EVP_PKEY *key;
    X509 *certificate;
    char pem[8192];
};

void make_ca(struct ca *ca, const char *name, bool is_ca);
void free_ca(struct ca *ca);

/** The node's request, signed: valid from and to so many seconds from now. */
void sign_request(const struct ca *ca, struct identity *identity, long from_s, long to_s, char *pem, size_t size);

/** A certificate with a request's extensions (or without a request), by a key that may be another than the CA's. */
X509 *ca_issue(X509_REQ *request, X509_NAME *subject, EVP_PKEY *public_key, const struct ca *ca, EVP_PKEY *signer,
               bool is_ca, long from_s, long to_s);
void certificate_to_pem(X509 *certificate, char *pem, size_t size);
