/* Hashing in the client, in the library's own OpenSSL context. */
#pragma once

#include "api.h"
#include "hsm/crypto.h"
#include "protocol/bytes.h"
#include <openssl/evp.h>

#define DIGEST_MAX HSM_DIGEST_MAX

struct digest {
    EVP_MD_CTX *context; /* NULL: not begun */
};

/** STATUS_INVALID_ARGUMENT for HASH_NONE and unknown numbers; STATUS_NOT_SUPPORTED. */
status_code digest_begin(struct digest *digest, uint32_t hash);
status_code digest_update(struct digest *digest, struct slice data);
/** The digest so far; more may follow. */
status_code digest_value(const struct digest *digest, uint8_t value[DIGEST_MAX], size_t *value_len);
status_code digest_copy(const struct digest *from, struct digest *to);
void digest_release(struct digest *digest);

/** All at once. */
status_code digest_compute(uint32_t hash, struct slice data, uint8_t value[DIGEST_MAX], size_t *value_len);
