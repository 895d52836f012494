/* DERIVE: a secret key out of another key, or with HKDF a data object. */
#include "operation/handlers.h"

/** From what some mechanisms make, the base key can be computed back: sharees could carry it off that way. */
static status_code use_base(const struct call *call, struct object *object, const struct mechanism *mechanism,
                            struct key **key)
{
    TRY(object_use(object, &call->caller, ATTRIBUTE_DERIVE, mechanism, key));
    return derivation_is_reversible(mechanism->type)
               ? object_check_owner(object, &call->caller, "derive in a reversible way")
               : STATUS_OK;
}

/** A secret key unless said. */
static status_code read_class(struct object_new *new, const struct mechanism *mechanism, struct values *template)
{
    TRY(object_template(new, template));
    new->class = (enum object_class)values_uint(template, ATTRIBUTE_CLASS, CLASS_SECRET_KEY);
    CHECK(new->class == CLASS_SECRET_KEY || (new->class == CLASS_DATA && mechanism->type == MECHANISM_HKDF),
          STATUS_TEMPLATE_INCONSISTENT, "CLASS in the template contradicts the mechanism");
    return STATUS_OK;
}

/** KEY_TYPE is GENERIC_SECRET unless said; the length comes from VALUE_LEN, else from the mechanism. */
static status_code read_kind(struct object_new *new, struct mechanism *mechanism)
{
    struct values template;
    TRY(read_class(new, mechanism, &template));
    if (new->class == CLASS_DATA)
        return object_check_template(new);
    new->key_type = (enum key_type)values_uint(&template, ATTRIBUTE_KEY_TYPE, KEY_GENERIC_SECRET);
    TRY(object_check_template(new));
    uint64_t len = values_uint(&template, ATTRIBUTE_VALUE_LEN, new->key_type == KEY_DES3 ? 24 : 0);
    CHECK(len || !values_has(&template, ATTRIBUTE_VALUE_LEN), STATUS_KEY_SIZE_RANGE, "a key has at least one byte");
    if (len == 0)
        return STATUS_OK;
    CHECK(!mechanism->has_output_len || mechanism->output_len == len, STATUS_TEMPLATE_INCONSISTENT,
          "VALUE_LEN and OUTPUT_LEN differ");
    mechanism->has_output_len = true;
    mechanism->output_len = len;
    return STATUS_OK;
}

status_code op_derive(struct call *call)
{
    CLEANUP(object_release) struct object *base = NULL, *other = NULL;
    CLEANUP(call_key_release) struct key *made = NULL;
    struct object_new new = call_new(call, ORIGIN_DERIVED);
    struct mechanism mechanism;
    struct key *key, *second = NULL;
    bool done = false;

    TRY(call_mechanism(call, &mechanism));
    TRY(call_answer_created(call, &new, &done));
    if (done)
        return STATUS_OK;
    TRY(call_object(call, FIELD_SECOND_ID, FIELD_SECOND_BLOB, &base));
    TRY(use_base(call, base, &mechanism, &key));
    if (values_has(call->request, FIELD_PUBLIC_ID)) {
        TRY(call_object(call, FIELD_PUBLIC_ID, FIELD_PUBLIC_BLOB, &other));
        TRY(use_base(call, other, &mechanism, &second));
    }
    new.mechanism = mechanism.type;
    new.parent = base;
    new.second = other;
    TRY(read_kind(&new, &mechanism));

    struct bytes *secret = call_buffer(call);
    TRY(crypto_derive(key, call->worker, &mechanism, second, call_bytes(call, FIELD_DATA), secret));
    if (new.class == CLASS_DATA) {
        new.value = bytes_slice(secret);
        return call_create(call, &new);
    }
    TRY(key_open(CLASS_SECRET_KEY, new.key_type, bytes_slice(secret), false, &made));
    new.key = made;
    return call_create(call, &new);
}
