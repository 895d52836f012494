/* See request_hash.h. */
#include "user/request_hash.h"

#include <openssl/evp.h>
#include "crypto/key.h"

status_code request_hash(const struct caller *caller, uint8_t hash[REQUEST_HASH_LEN])
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_SECRET;
    struct values request = *caller->request;
    uint8_t operation = (uint8_t)caller->operation;

    values_remove(&request, FIELD_QUORUM_TOKEN);
    values_remove(&request, FIELD_USE_PROOF);
    bytes_append(&encoded, &operation, 1);
    values_encode(&FIELD_SCHEMA, &request, &encoded);
    TRY(bytes_ok(&encoded));
    CHECK(EVP_Q_digest(crypto_context(), "SHA256", NULL, encoded.data, encoded.len, hash, NULL) == 1, STATUS_INTERNAL,
          "hashing a request");
    return STATUS_OK;
}
