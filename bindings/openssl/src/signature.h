/* A signature by the cluster, with the parameters that a context of OpenSSL's has taken. */
#pragma once

#include "key.h"

/* `parameters`: a verification context of the key's public part. Data that `is_digest` was hashed already, or, without
 * a digest in the parameters, is signed as it is. `out` has room for what the key signs. */
int signature_make(const struct key *key, EVP_PKEY_CTX *parameters, bool is_digest, const unsigned char *data,
                   size_t data_len, unsigned char *out, size_t *out_len);

/* Refuses what newer default providers take, and the cluster does not do: the signature would be another than was asked
 * for. */
int signature_allows(const struct key *key, const OSSL_PARAM params[]);

/* HSM_HASH_... of a digest's name; HSM_HASH_NONE when the cluster has no such. */
uint32_t hash_of_name(const char *name);
