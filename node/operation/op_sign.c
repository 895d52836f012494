/* SIGN, VERIFY and VERIFY_RECOVER. The hot path: no allocation here. */
#include "operation/handlers.h"

/** SIGN_RECOVER and VERIFY_RECOVER permit what recovers its data, if the plain use is not permitted anyway. */
static uint32_t usage_of(const struct object *object, const struct mechanism *mechanism, uint32_t usage,
                         uint32_t recover_usage)
{
    bool recovers = mechanism->type == MECHANISM_RSA_X_509 ||
                    (mechanism->type == MECHANISM_RSA_PKCS && mechanism->hash == HASH_NONE);
    return recovers && !values_bool(&object->attributes, usage, false) ? recover_usage : usage;
}

status_code op_sign(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    struct mechanism mechanism;
    struct key *key;

    TRY(call_mechanism(call, &mechanism));
    TRY(call_object(call, FIELD_OBJECT_ID, FIELD_BLOB, &object));
    uint32_t usage = usage_of(object, &mechanism, ATTRIBUTE_SIGN, ATTRIBUTE_SIGN_RECOVER);
    TRY(object_use(object, &call->caller, usage, &mechanism, &key));

    struct bytes *signature = call_buffer(call);
    TRY(crypto_sign(key, call->worker, &mechanism, call_bytes(call, FIELD_DATA), signature));
    call_answer(call, FIELD_OUTPUT, signature);
    return STATUS_OK;
}

status_code op_verify(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    struct mechanism mechanism;
    struct key *key;

    TRY(call_mechanism(call, &mechanism));
    TRY(call_object(call, FIELD_OBJECT_ID, FIELD_BLOB, &object));
    uint32_t usage = usage_of(object, &mechanism, ATTRIBUTE_VERIFY, ATTRIBUTE_VERIFY_RECOVER);
    TRY(object_use(object, &call->caller, usage, &mechanism, &key));
    return crypto_verify(key, call->worker, &mechanism, call_bytes(call, FIELD_DATA),
                         call_bytes(call, FIELD_SIGNATURE));
}

status_code op_verify_recover(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    struct mechanism mechanism;
    struct key *key;

    TRY(call_mechanism(call, &mechanism));
    TRY(call_object(call, FIELD_OBJECT_ID, FIELD_BLOB, &object));
    TRY(object_use(object, &call->caller, ATTRIBUTE_VERIFY_RECOVER, &mechanism, &key));

    struct bytes *data = call_buffer(call);
    TRY(crypto_verify_recover(key, &mechanism, call_bytes(call, FIELD_SIGNATURE), data));
    values_put_bytes(call->answer, FIELD_OUTPUT, bytes_slice(data)); /* it may be empty */
    return STATUS_OK;
}
