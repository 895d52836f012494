/* WRAP and UNWRAP: keys that leave and enter the cluster encrypted. */
#include "operation/handlers.h"

status_code op_wrap(struct call *call)
{
    CLEANUP(object_release) struct object *wrapping = NULL, *payload = NULL;
    struct mechanism mechanism;
    struct key *key, *wrapped;

    TRY(call_mechanism(call, &mechanism));
    TRY(call_object(call, FIELD_OBJECT_ID, FIELD_BLOB, &wrapping));
    TRY(object_use(wrapping, &call->caller, ATTRIBUTE_WRAP, &mechanism, &key));
    TRY(call_object(call, FIELD_SECOND_ID, FIELD_SECOND_BLOB, &payload));
    TRY(object_may_wrap(payload, &call->caller, wrapping));
    TRY(object_key(payload, &wrapped));

    struct bytes *material = call_buffer(call), *output = call_buffer(call), *nonce = call_buffer(call);
    TRY(key_material(wrapped, material));
    TRY(crypto_wrap(key, call->worker, &mechanism, bytes_slice(material), output, nonce));
    call_answer(call, FIELD_OUTPUT, output);
    call_answer(call, FIELD_NONCE, nonce);
    return STATUS_OK;
}

/** What the unwrapped bytes are to be: the caller must say, or the unwrapping key's UNWRAP_TEMPLATE. */
static status_code unwrapped_kind(const struct object_new *new, enum object_class *class, enum key_type *type)
{
    struct values template;
    TRY(object_check_template(new));
    TRY(object_template(new, &template));
    *class = (enum object_class)values_uint(&template, ATTRIBUTE_CLASS, 0);
    *type = (enum key_type)values_uint(&template, ATTRIBUTE_KEY_TYPE, 0);
    CHECK(*class == CLASS_SECRET_KEY || *class == CLASS_PRIVATE_KEY, STATUS_TEMPLATE_INCONSISTENT,
          "secret and private keys are unwrapped, nothing else");
    return STATUS_OK;
}

status_code op_unwrap(struct call *call)
{
    CLEANUP(object_release) struct object *unwrapping = NULL;
    CLEANUP(call_key_release) struct key *made = NULL;
    struct object_new new = call_new(call, ORIGIN_UNWRAPPED);
    struct mechanism mechanism;
    enum object_class class;
    enum key_type type;
    struct key *key;
    bool done = false;

    TRY(call_mechanism(call, &mechanism));
    TRY(call_answer_created(call, &new, &done));
    if (done)
        return STATUS_OK;
    TRY(call_object(call, FIELD_SECOND_ID, FIELD_SECOND_BLOB, &unwrapping));
    TRY(object_use(unwrapping, &call->caller, ATTRIBUTE_UNWRAP, &mechanism, &key));
    new.parent = unwrapping;
    new.mechanism = mechanism.type;
    TRY(unwrapped_kind(&new, &class, &type));

    struct bytes *material = call_buffer(call);
    TRY(crypto_unwrap(key, call->worker, &mechanism, call_bytes(call, FIELD_WRAPPED), material));
    status_code code = key_open(class, type, bytes_slice(material), false, &made);
    CHECK(code != STATUS_ATTRIBUTE_VALUE_INVALID, STATUS_WRAPPED_KEY_INVALID,
          "what was unwrapped is no key of this CLASS and KEY_TYPE");
    TRY(code);
    new.key = made;
    return call_create(call, &new);
}
