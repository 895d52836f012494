/* Steps that many handlers share: reading a mechanism, an object or a new object out of the request, and answering
 * with what was made. */
#include "operation/handlers.h"

static status_code read_hash(const struct values *request, enum field field, enum hash otherwise, enum hash *hash)
{
    uint64_t number = values_uint(request, field, otherwise);
    CHECK(hash_info(number), STATUS_MECHANISM_PARAM_INVALID, "there is no hash %llu", (unsigned long long)number);
    *hash = (enum hash)number;
    return STATUS_OK;
}

static status_code read_kdf(const struct values *request, enum kdf *kdf)
{
    uint64_t number = values_uint(request, FIELD_KDF, KDF_NULL);
    CHECK(number == KDF_NULL || number == KDF_X963 || number == KDF_SP800_56A, STATUS_MECHANISM_PARAM_INVALID,
          "there is no key derivation function %llu", (unsigned long long)number);
    *kdf = (enum kdf)number;
    return STATUS_OK;
}

status_code call_mechanism(const struct call *call, struct mechanism *mechanism)
{
    const struct values *request = call->request;
    uint64_t type = values_uint(request, FIELD_MECHANISM, 0);

    CHECK(mechanism_info(type), STATUS_MECHANISM_INVALID, "there is no mechanism %llu", (unsigned long long)type);
    *mechanism = (struct mechanism){
        .type = (enum mechanism_type)type,
        .has_salt_len = values_has(request, FIELD_SALT_LEN),
        .salt_len = values_uint(request, FIELD_SALT_LEN, 0),
        .has_nonce = values_has(request, FIELD_NONCE),
        .nonce = values_bytes(request, FIELD_NONCE),
        .aad = values_bytes(request, FIELD_AAD),
        .has_tag_len = values_has(request, FIELD_TAG_LEN),
        .tag_len = values_uint(request, FIELD_TAG_LEN, 0),
        .shared_info = values_bytes(request, FIELD_SHARED_INFO),
        .peer_public = values_bytes(request, FIELD_PEER_PUBLIC),
        .salt = values_bytes(request, FIELD_SALT),
        .flags = (uint32_t)values_uint(request, FIELD_FLAGS, 0),
        .has_output_len = values_has(request, FIELD_OUTPUT_LEN),
        .output_len = values_uint(request, FIELD_OUTPUT_LEN, 0),
    };
    TRY(read_hash(request, FIELD_HASH, HASH_NONE, &mechanism->hash));
    TRY(read_hash(request, FIELD_MGF_HASH, mechanism->hash, &mechanism->mgf_hash));
    return read_kdf(request, &mechanism->kdf);
}

status_code call_object(const struct call *call, enum field id, enum field blob, struct object **object)
{
    return object_get(call->node->objects, &call->caller, call_bytes(call, id), call_bytes(call, blob), object);
}

struct object_new call_new(const struct call *call, enum object_origin origin)
{
    return (struct object_new){.id = call_bytes(call, FIELD_OBJECT_ID),
                               .request_id = call_bytes(call, FIELD_REQUEST_ID),
                               .attributes = call_bytes(call, FIELD_ATTRIBUTES),
                               .origin = origin};
}

void call_key_release(struct key **key)
{
    key_release(*key);
    *key = NULL;
}

/* Answers outlive the handler, so they move into the call's buffers. */

static status_code answer_copy(struct call *call, enum field field, const struct bytes *from)
{
    if (from->len == 0)
        return STATUS_OK;
    struct bytes *buffer = call_buffer(call);
    bytes_append(buffer, from->data, from->len);
    TRY(bytes_ok(buffer));
    call_answer(call, field, buffer);
    return STATUS_OK;
}

status_code call_answer_made(struct call *call, const struct object_made *made, enum field id, enum field attributes,
                             enum field blob)
{
    values_put_bytes(call->answer, id, call_bytes(call, id));
    TRY(answer_copy(call, attributes, &made->attributes));
    return answer_copy(call, blob, &made->blob);
}

static status_code answer_one(struct call *call, const struct object_made *made)
{
    TRY(call_answer_made(call, made, FIELD_OBJECT_ID, FIELD_ATTRIBUTES, FIELD_BLOB));
    return answer_copy(call, FIELD_OUTPUT, &made->answer);
}

status_code call_answer_created(struct call *call, const struct object_new *new, bool *done)
{
    CLEANUP(object_made_release) struct object_made made = {.attributes = BYTES_INIT};
    TRY(objects_created(call->node->objects, &call->caller, new, 1, done, &made));
    return *done ? answer_one(call, &made) : STATUS_OK;
}

status_code call_create(struct call *call, const struct object_new *new)
{
    CLEANUP(object_made_release) struct object_made made = {.attributes = BYTES_INIT};
    TRY(objects_create(call->node->objects, &call->caller, new, 1, &made));
    return answer_one(call, &made);
}
