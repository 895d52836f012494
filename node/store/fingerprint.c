/* See fingerprint.h. Lengths go in before what has them, so that no two sequences look alike. */
#include "store/fingerprint.h"

status_code fingerprint_begin(struct fingerprint *fingerprint)
{
    fingerprint->n = 0;
    fingerprint->context = EVP_MD_CTX_new();
    CHECK(fingerprint->context && EVP_DigestInit_ex2(fingerprint->context, EVP_sha256(), NULL) == 1,
          STATUS_OUT_OF_MEMORY, "no memory for a digest");
    return STATUS_OK;
}

status_code fingerprint_add(struct fingerprint *fingerprint, const struct store_write *record)
{
    const uint64_t numbers[] = {(uint64_t)record->kind, record->expected_version, record->n_tokens, record->value.len};
    EVP_MD_CTX *context = fingerprint->context;

    fingerprint->n++;
    CHECK(EVP_DigestUpdate(context, numbers, sizeof(numbers)) == 1 &&
              EVP_DigestUpdate(context, record->id, ID_LEN) == 1 &&
              EVP_DigestUpdate(context, record->tokens, record->n_tokens * TOKEN_LEN) == 1 &&
              EVP_DigestUpdate(context, record->value.data, record->value.len) == 1,
          STATUS_INTERNAL, "a digest failed");
    return STATUS_OK;
}

status_code fingerprint_end(struct fingerprint *fingerprint, uint8_t digest[32])
{
    CHECK(EVP_DigestFinal_ex(fingerprint->context, digest, NULL) == 1, STATUS_INTERNAL, "a digest failed");
    return STATUS_OK;
}

void fingerprint_release(struct fingerprint *fingerprint)
{
    EVP_MD_CTX_free(fingerprint->context);
    fingerprint->context = NULL;
}
