/* What stands before a fake node so that it speaks TLS, and a CA that makes certificates for both sides. */
#pragma once

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
};

struct pem_files {
    char folder[64], ca[96], certificate[96], key[96];
};

void authority_make(struct authority *authority);
void authority_free(struct authority *authority);
/** Writes the CA's certificate, and one for `usage` (serverAuth, clientAuth) with its key, into a folder of their own.
 */
void authority_issue(const struct authority *authority, const char *usage, struct pem_files *files);
void pem_files_remove(const struct pem_files *files);

struct tls_front {
    char url[64];
    char behind[64]; /* tcp:// URL */
    int listener;
    SSL_CTX *context;
    unsigned long thread;
    atomic_bool stopping;
};

/** Accepts TLS up to `max_version` with these files, asks for a client's certificate, and relays to `behind`. */
void tls_front_start(struct tls_front *front, const struct pem_files *files, int max_version, const char *behind);
void tls_front_stop(struct tls_front *front);
