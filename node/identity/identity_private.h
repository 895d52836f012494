/* What identity.c, lifecycle.c and tls.c share of an identity. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "identity/certificate.h"
#include "identity/vault.h"

#define CERTIFICATE_FILE     "node.pem"
#define CA_FILE              "ca.pem"
#define CERTIFICATE_FILE_MAX 65536u
#define HOSTS_MAX            20u

struct identity {
    int folder; /* holds the lock of the state folder */
    char name[65];
    char hosts[HOSTS_MAX][256]; /* for the certificate request */
    unsigned n_hosts;
    _Atomic(enum identity_state) state; /* set after what it promises is in place */
    uint8_t node_id[ID_LEN];            /* constant after identity_open */
    uint8_t cluster_id[ID_LEN];         /* constant once `state` is not EMPTY, as is the name */
    uint8_t seal_id[ID_LEN];
    char cluster_name[129];

    pthread_mutex_t lock; /* guards all below */
    struct vault vault;
    EVP_PKEY *key;
    X509 *certificate; /* NULL until MEMBER */
    X509 *ca;
    SSL_CTX *tls;                      /* made on first use */
    X509_STORE *trust;                 /* who may be a client; NULL: the CA alone */
    STACK_OF(X509_NAME) * trust_names; /* of these CAs, for clients to choose by */
    uint8_t trust_id[32];              /* changes with the set: a session of another set is not resumed */
};

/** Publishes what the vault says: ids first, then the state. */
void identity_publish(struct identity *identity);

/** STATUS_TLS_ERROR unless the certificate is for our key and our node id. */
status_code identity_check_own(struct identity *identity, X509 *certificate);
