/* A fingerprint of a sequence of records, by which two stores are compared: SHA-256 over kind, id, version, tokens and
 * value of each, in order. */
#pragma once

#include <openssl/evp.h>
#include "store/store.h"

struct fingerprint {
    EVP_MD_CTX *context;
    uint64_t n;
};

status_code fingerprint_begin(struct fingerprint *fingerprint);
status_code fingerprint_add(struct fingerprint *fingerprint, const struct store_write *record);
status_code fingerprint_end(struct fingerprint *fingerprint, uint8_t digest[32]);
void fingerprint_release(struct fingerprint *fingerprint);
