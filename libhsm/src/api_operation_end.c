/* Ending operations in parts (hsm/crypto.h): the signature, MAC or digest, or the last of a text. As long as final has
 * not succeeded nothing is changed, so that it can be repeated. */
#include "hsm/crypto.h"

#include "api_key_facts.h"
#include "api_operation_internal.h"

status_code operation_note_failure(hsm_operation *operation, status_code status)
{
    static const status_code repeatable[] = {STATUS_OK,           STATUS_BUFFER_TOO_SMALL, STATUS_UNAVAILABLE,
                                             STATUS_BUSY,         STATUS_TICKET_EXPIRED,   STATUS_NOT_LOGGED_IN,
                                             STATUS_TLS_ERROR,    STATUS_OUT_OF_MEMORY,    STATUS_INVALID_ARGUMENT,
                                             STATUS_STORE_LOCKED, STATUS_LOGIN_FAILED,     STATUS_IO_ERROR};

    for (size_t i = 0; i < sizeof(repeatable) / sizeof(*repeatable); i++) {
        if (status == repeatable[i])
            return status;
    }
    operation->ended = true;
    return status;
}

static const struct slice NO_TAG = {NULL, 0};

/* Signature, MAC or digest. */
static status_code end_sign(hsm_operation *operation, struct slice tag, struct bytes *out)
{
    struct progress progress = operation->progress;
    uint8_t digest[DIGEST_MAX];
    size_t digest_len;

    if (!operation->digest.context) {
        if (progress.state_len)
            return parts_end_sealed(&operation->parts, &progress, bytes_slice(&operation->pending), tag, out);
        return parts_whole(&operation->parts, &progress, bytes_slice(&operation->pending), tag, out);
    }
    TRY(digest_value(&operation->digest, digest, &digest_len));
    if (operation->parts.kind != HSM_OPERATION_DIGEST)
        return parts_whole(&operation->parts, &progress, slice_of(digest, digest_len), tag, out);
    bytes_append(out, digest, digest_len);
    return bytes_ok(out);
}

static status_code end_blocks(const hsm_operation *operation, struct bytes *out)
{
    const struct parts *parts = &operation->parts;
    struct slice rest = bytes_slice(&operation->pending);

    if (!parts->rule.padded) {
        CHECK(rest.len == 0, STATUS_DATA_LENGTH, "%s takes whole blocks; %zu bytes are left over",
              hsm_mechanism_name(operation->mechanism.type), rest.len);
        return STATUS_OK;
    }
    CHECK(parts->kind == HSM_OPERATION_ENCRYPT || rest.len == parts->rule.block_len, STATUS_DATA_LENGTH,
          "the ciphertext is not of whole blocks");
    return parts_end_padded(parts, &operation->progress, rest, out);
}

static status_code end_aead(hsm_operation *operation, struct slice tag, struct bytes *out)
{
    struct progress progress = operation->progress;
    struct slice rest = bytes_slice(&operation->pending);

    if (operation->parts.kind == HSM_OPERATION_DECRYPT && tag.len == 0) {
        CHECK(rest.len == mechanism_tag_len(&operation->mechanism), STATUS_DATA_LENGTH,
              "the ciphertext is shorter than its tag");
        tag = rest;
        rest = slice_of(NULL, 0);
    }
    bytes_append(out, operation->held.data, operation->held.len);
    TRY(parts_end_sealed(&operation->parts, &progress, rest, tag, out));
    parts_give_nonce(&operation->parts, &progress);
    return STATUS_OK;
}

static status_code end_whole(hsm_operation *operation, struct slice tag, struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes joined = BYTES_SECRET;
    struct progress progress = operation->progress;

    bytes_append(&joined, operation->pending.data, operation->pending.len);
    bytes_append(&joined, tag.data, tag.len);
    TRY(bytes_ok(&joined));
    TRY(parts_whole(&operation->parts, &progress, bytes_slice(&joined), NO_TAG, out));
    parts_give_nonce(&operation->parts, &progress);
    return STATUS_OK;
}

static status_code end(hsm_operation *operation, struct slice tag, struct bytes *out)
{
    if (!is_crypt(operation))
        return end_sign(operation, tag, out);
    switch (operation->parts.rule.form) {
    case FORM_WHOLE:
        return end_whole(operation, tag, out);
    case FORM_SEALED:
        return end_aead(operation, tag, out);
    case FORM_COUNTER:
        return STATUS_OK;
    default:
        return end_blocks(operation, out);
    }
}

/* The room that final needs, or an upper bound. */
static status_code final_room(const hsm_operation *operation, struct slice tag, size_t *room)
{
    const struct parts *parts = &operation->parts;
    size_t pending = operation->pending.len;

    if (parts->kind == HSM_OPERATION_DIGEST) {
        uint8_t digest[DIGEST_MAX];

        return digest_value(&operation->digest, digest, room);
    }
    if (parts->kind == HSM_OPERATION_SIGN)
        return signature_room(parts->session, parts->key, &operation->mechanism, room);
    if (parts->rule.form == FORM_WHOLE)
        return crypt_room(parts, pending + tag.len, room);
    if (parts->rule.form == FORM_SEALED)
        *room = parts->kind == HSM_OPERATION_ENCRYPT ? mechanism_tag_len(&operation->mechanism)
                                                     : operation->held.len + (tag.len ? pending : 0);
    if (parts->rule.form != FORM_SEALED)
        *room = parts->rule.padded ? parts->rule.block_len : 0;
    return STATUS_OK;
}

static status_code finish(hsm_operation *operation, struct slice tag, uint8_t *out, size_t *out_len)
{
    CLEANUP(bytes_release) struct bytes produced = BYTES_SECRET;
    size_t room;

    if (!out && out_len) {
        TRY(final_room(operation, tag, &room));
        *out_len = room;
        return STATUS_OK;
    }
    produced.limit = SIZE_MAX / 4;
    TRY(end(operation, tag, &produced));
    if (produced.len || out_len)
        TRY(output_give(produced.data, produced.len, out, out_len));
    operation->ended = true;
    return STATUS_OK;
}

status_code operation_final(hsm_operation *operation, uint8_t *out, size_t *out_len)
{
    ARGUMENT(operation, "no operation");
    CHECK(!operation->ended, STATUS_OPERATION_NOT_ACTIVE, "the operation has ended: begin another");
    CHECK(operation->parts.kind != HSM_OPERATION_VERIFY, STATUS_INVALID_ARGUMENT,
          "verification ends with hsm_operation_final_verify");
    return operation_note_failure(operation, finish(operation, NO_TAG, out, out_len));
}

hsm_status hsm_operation_final(hsm_operation *operation, uint8_t *out, size_t *out_len)
{
    return API(operation_final(operation, out, out_len));
}

status_code operation_final_verify(hsm_operation *operation, struct slice signature)
{
    CLEANUP(bytes_release) struct bytes nothing = BYTES_INIT;

    ARGUMENT(operation && (signature.data || signature.len == 0), "no operation or no signature");
    CHECK(!operation->ended, STATUS_OPERATION_NOT_ACTIVE, "the operation has ended: begin another");
    CHECK(operation->parts.kind == HSM_OPERATION_VERIFY, STATUS_INVALID_ARGUMENT, "the operation does not verify");
    TRY(check_signature(signature));
    TRY(operation_note_failure(operation, end_sign(operation, signature, &nothing)));
    operation->ended = true;
    return STATUS_OK;
}

hsm_status hsm_operation_final_verify(hsm_operation *operation, const uint8_t *signature, size_t signature_len)
{
    return API(operation_final_verify(operation, slice_of(signature, signature_len)));
}

static status_code final_tag(hsm_operation *operation, struct slice tag, uint8_t *out, size_t *out_len)
{
    ARGUMENT(operation && tag.data && tag.len, "no operation or no tag");
    CHECK(!operation->ended, STATUS_OPERATION_NOT_ACTIVE, "the operation has ended: begin another");
    CHECK(operation->parts.kind == HSM_OPERATION_DECRYPT && operation->mechanism.type == MECHANISM_AES_GCM,
          STATUS_MECHANISM_INVALID, "only AES_GCM decryption takes its tag apart");
    return operation_note_failure(operation, finish(operation, tag, out, out_len));
}

hsm_status hsm_operation_final_tag(hsm_operation *operation, const uint8_t *tag, size_t tag_len, uint8_t *out,
                                   size_t *out_len)
{
    return API(final_tag(operation, slice_of(tag, tag_len), out, out_len));
}
