/* MULTIPART: one part of a long operation whose state nobody but a node may see. The state travels sealed with the
 * client, bound to user, key, operation, mechanism and hash: any node can take the next part, and a state does not fit
 * anything else. Nonce and length of the tag are part of the state, so that the client need not say them again. */
#include "operation/handlers.h"

#include "protocol/writer.h"

static const struct part_kind {
    const char *name;
    enum multipart_direction direction;
    uint32_t usage;
} KINDS[] = {
    {"encrypt", MULTIPART_ENCRYPT, ATTRIBUTE_ENCRYPT},
    {"decrypt", MULTIPART_DECRYPT, ATTRIBUTE_DECRYPT},
    {"sign", MULTIPART_SIGN, ATTRIBUTE_SIGN},
    {"verify", MULTIPART_VERIFY, ATTRIBUTE_VERIFY},
};

static status_code find_kind(struct slice name, const struct part_kind **kind)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (!slice_equal(name, slice_text(KINDS[i].name)))
            continue;
        *kind = &KINDS[i];
        return STATUS_OK;
    }
    FAIL(STATUS_INVALID_ARGUMENT, "OPERATION must be encrypt, decrypt, sign or verify");
}

static status_code put_context(const struct call *call, const struct part_kind *kind, const struct mechanism *mechanism,
                               struct bytes *context)
{
    write_array(context, 5);
    write_bin(context, slice_of(call->caller.user_id, ID_LEN));
    write_bin(context, call_bytes(call, FIELD_OBJECT_ID));
    write_uint(context, kind->direction);
    write_uint(context, mechanism->type);
    write_uint(context, mechanism->hash);
    return bytes_ok(context);
}

static status_code open_state(const struct call *call, struct slice context, struct bytes *state)
{
    struct slice sealed = call_bytes(call, FIELD_STATE);
    if (sealed.len == 0)
        return STATUS_OK;
    status_code code = unseal(call->node->keyring, SEAL_MULTIPART, context, sealed, state);
    CHECK(code != STATUS_STORE_DAMAGED, STATUS_INVALID_ARGUMENT,
          "STATE does not belong to this operation of this user with this key");
    return code;
}

status_code op_multipart(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    const struct part_kind *kind;
    struct mechanism mechanism;
    struct key *key;
    bool final = values_bool(call->request, FIELD_FINAL, false);

    TRY(find_kind(call_bytes(call, FIELD_OPERATION), &kind));
    TRY(call_mechanism(call, &mechanism));
    TRY(call_object(call, FIELD_OBJECT_ID, FIELD_BLOB, &object));
    TRY(object_use(object, &call->caller, kind->usage, &mechanism, &key));

    struct bytes *context = call_buffer(call), *state = call_buffer(call), *output = call_buffer(call);
    struct bytes *nonce = call_buffer(call), *sealed = call_buffer(call);
    TRY(put_context(call, kind, &mechanism, context));
    TRY(open_state(call, bytes_slice(context), state));
    TRY(crypto_multipart(key, call->worker, &mechanism, kind->direction, state, call_bytes(call, FIELD_DATA), final,
                         call_bytes(call, FIELD_SIGNATURE), output, nonce));
    if (!final)
        TRY(seal(call->node->keyring, SEAL_NEWEST, SEAL_MULTIPART, bytes_slice(context), bytes_slice(state), sealed));
    call_answer(call, FIELD_OUTPUT, output);
    call_answer(call, FIELD_NONCE, nonce);
    call_answer(call, FIELD_STATE, sealed);
    return STATUS_OK;
}
