/* ENCAPSULATE and DECAPSULATE (FIPS 203). The ciphertext of an encapsulation is kept with a token object, because a
 * resend could not make the same one again. */
#include "operation/handlers.h"

static status_code begin(struct call *call, uint32_t usage, struct object_new *new, struct mechanism *mechanism,
                         struct object **object, struct key **key, bool *done)
{
    TRY(call_mechanism(call, mechanism));
    TRY(call_answer_created(call, new, done));
    if (*done)
        return STATUS_OK;
    TRY(call_object(call, FIELD_SECOND_ID, FIELD_SECOND_BLOB, object));
    return object_use(*object, &call->caller, usage, mechanism, key);
}

static status_code finish(struct call *call, struct object_new *new, const struct bytes *secret,
                          const struct mechanism *mechanism)
{
    CLEANUP(call_key_release) struct key *made = NULL;
    struct values template;

    new->class = CLASS_SECRET_KEY;
    new->mechanism = mechanism->type;
    TRY(object_template(new, &template));
    new->key_type = (enum key_type)values_uint(&template, ATTRIBUTE_KEY_TYPE, KEY_GENERIC_SECRET);
    TRY(object_check_template(new));
    TRY(key_open(CLASS_SECRET_KEY, new->key_type, bytes_slice(secret), false, &made));
    new->key = made;
    return call_create(call, new);
}

status_code op_encapsulate(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    struct object_new new = call_new(call, ORIGIN_DERIVED);
    struct mechanism mechanism;
    struct key *key;
    bool done = false;

    TRY(begin(call, ATTRIBUTE_ENCAPSULATE, &new, &mechanism, &object, &key, &done));
    if (done)
        return STATUS_OK;
    struct bytes *ciphertext = call_buffer(call), *secret = call_buffer(call);
    TRY(crypto_encapsulate(key, &mechanism, ciphertext, secret));
    new.parent = object;
    new.answer = bytes_slice(ciphertext);
    return finish(call, &new, secret, &mechanism);
}

status_code op_decapsulate(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    struct object_new new = call_new(call, ORIGIN_DERIVED);
    struct mechanism mechanism;
    struct key *key;
    bool done = false;

    TRY(begin(call, ATTRIBUTE_DECAPSULATE, &new, &mechanism, &object, &key, &done));
    if (done)
        return STATUS_OK;
    struct bytes *secret = call_buffer(call);
    TRY(crypto_decapsulate(key, &mechanism, call_bytes(call, FIELD_DATA), secret));
    new.parent = object;
    return finish(call, &new, secret, &mechanism);
}
