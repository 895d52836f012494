/* ENCRYPT and DECRYPT. An empty plaintext is a result too, so OUTPUT is answered in any case. */
#include "operation/handlers.h"

status_code op_encrypt(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    struct mechanism mechanism;
    struct key *key;

    TRY(call_mechanism(call, &mechanism));
    TRY(call_object(call, FIELD_OBJECT_ID, FIELD_BLOB, &object));
    TRY(object_use(object, &call->caller, ATTRIBUTE_ENCRYPT, &mechanism, &key));

    struct bytes *ciphertext = call_buffer(call), *nonce = call_buffer(call);
    TRY(crypto_encrypt(key, call->worker, &mechanism, call_bytes(call, FIELD_DATA), ciphertext, nonce));
    values_put_bytes(call->answer, FIELD_OUTPUT, bytes_slice(ciphertext));
    call_answer(call, FIELD_NONCE, nonce);
    return STATUS_OK;
}

status_code op_decrypt(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    struct mechanism mechanism;
    struct key *key;

    TRY(call_mechanism(call, &mechanism));
    TRY(call_object(call, FIELD_OBJECT_ID, FIELD_BLOB, &object));
    TRY(object_use(object, &call->caller, ATTRIBUTE_DECRYPT, &mechanism, &key));

    struct bytes *plaintext = call_buffer(call);
    TRY(crypto_decrypt(key, call->worker, &mechanism, call_bytes(call, FIELD_DATA), plaintext));
    values_put_bytes(call->answer, FIELD_OUTPUT, bytes_slice(plaintext));
    return STATUS_OK;
}
