/* X.509 as the cluster uses it: a node's certificate carries its id as URI urn:hsm:node:ID and is signed by the
 * cluster's CA; nothing else of a certificate is trusted. */
#pragma once

#include <openssl/x509.h>
#include "protocol/bytes.h"
#include "protocol/limits.h"

#define CERTIFICATE_HASH_LEN 32u

/** The first certificate of a PEM text. `what` names it in error texts. STATUS_INVALID_ARGUMENT. */
status_code certificate_parse(struct slice pem, const char *what, X509 **certificate);

/** The certificate from exactly this DER. */
status_code certificate_parse_der(struct slice der, const char *what, X509 **certificate);

status_code certificate_encode_der(X509 *certificate, struct bytes *der);
status_code certificate_encode_pem(X509 *certificate, struct bytes *pem);

/** SHA-256 of the DER. */
status_code certificate_hash(X509 *certificate, uint8_t hash[CERTIFICATE_HASH_LEN]);

/** The same, of the first certificate in a PEM text. */
status_code certificate_hash_pem(struct slice pem, uint8_t hash[CERTIFICATE_HASH_LEN]);

/** STATUS_TLS_ERROR when it is no certificate of a CA, or outside its validity. */
status_code certificate_check_ca(X509 *ca);

/** Signature by the CA, validity, and fit for both ends of TLS. STATUS_TLS_ERROR says which failed. */
status_code certificate_check(X509 *certificate, X509 *ca);

/** Signature by the CA alone, whenever it was valid. */
status_code certificate_check_signature(X509 *certificate, X509 *ca);

/** The id in urn:hsm:node:ID. STATUS_TLS_ERROR when there is none, or more than one. */
status_code certificate_node_id(X509 *certificate, uint8_t node_id[ID_LEN]);

/** CN of the subject, "" without; cut to `size`. */
void certificate_common_name(X509 *certificate, char *name, size_t size);

/** A PEM request for a node's certificate: CN=name, its id and `hosts` (NULL-ended; names and addresses) as alternative
 * names, for server and client authentication. */
status_code certificate_request(EVP_PKEY *key, const char *name, const uint8_t node_id[ID_LEN],
                                const char *const *hosts, struct bytes *csr);

/** SHA-256 with ECDSA (DER), by a node's key. */
status_code certificate_key_sign(EVP_PKEY *key, struct slice data, struct bytes *signature);

/* For CLEANUP. */
void certificate_free(X509 **certificate);
