/* One request per part; see api_parts.h. */
#include "api_parts.h"

#include "protocol/secret.h"

static bool ciphers(uint32_t kind)
{
    return kind == HSM_OPERATION_ENCRYPT || kind == HSM_OPERATION_DECRYPT;
}

static status_code check_nonce(const hsm_mechanism *mechanism, const struct data_rule *rule, uint32_t kind)
{
    if (rule->form == FORM_CHAINED || rule->form == FORM_COUNTER)
        CHECK(mechanism->nonce_len == rule->block_len, STATUS_MECHANISM_PARAM_INVALID,
              "%s needs a nonce of %u bytes, not %zu", hsm_mechanism_name(mechanism->type), rule->block_len,
              mechanism->nonce_len);
    if (mechanism->type != MECHANISM_AES_GCM && mechanism->type != MECHANISM_AES_CCM)
        return STATUS_OK;
    CHECK(kind != HSM_OPERATION_ENCRYPT || mechanism->nonce_len || mechanism->nonce_out, STATUS_MECHANISM_PARAM_INVALID,
          "the node makes the nonce, but nonce_out says nowhere to put it: nobody could decrypt");
    CHECK(kind != HSM_OPERATION_DECRYPT || mechanism->nonce_len, STATUS_MECHANISM_PARAM_INVALID,
          "decryption needs the nonce that encryption used");
    return STATUS_OK;
}

status_code parts_begin(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism, uint32_t kind,
                        struct parts *parts, struct progress *progress)
{
    *parts = (struct parts){session, key, mechanism, {FORM_WHOLE, 0, false, 0}, kind, false};
    progress->offset = progress->state_len = progress->nonce_made_len = 0;
    TRY(mechanism_rule(mechanism->type, ciphers(kind) ? USE_ENCRYPT : USE_SIGN, &parts->rule));
    TRY(check_nonce(mechanism, &parts->rule, kind));
    if (parts->rule.form == FORM_CHAINED || parts->rule.form == FORM_COUNTER)
        memcpy(progress->chain, mechanism->nonce, mechanism->nonce_len);
    /* In parts, a node takes nonces of 12 bytes alone: whatever uses another length goes in one piece. */
    if (parts->rule.form == FORM_SEALED && mechanism->nonce_len && mechanism->nonce_len != HSM_NONCE_MADE_LEN)
        parts->rule.form = FORM_WHOLE;
    return STATUS_OK;
}

size_t parts_ready(const struct parts *parts, size_t total)
{
    size_t ready, tag_len;

    switch (parts->rule.form) {
    case FORM_COUNTER:
        return total;
    case FORM_SEALED:
        tag_len = parts->kind == HSM_OPERATION_DECRYPT && !parts->tag_apart ? mechanism_tag_len(parts->mechanism) : 0;
        return total > tag_len ? total - tag_len : 0;
    case FORM_BLOCKS:
    case FORM_CHAINED:
        ready = total - total % parts->rule.block_len;
        if (parts->rule.padded && parts->kind == HSM_OPERATION_DECRYPT && ready == total && ready)
            ready -= parts->rule.block_len;
        return ready;
    default:
        return 0;
    }
}

static enum operation operation_of(uint32_t kind)
{
    static const enum operation operations[] = {
        [HSM_OPERATION_SIGN] = OP_SIGN,
        [HSM_OPERATION_VERIFY] = OP_VERIFY,
        [HSM_OPERATION_ENCRYPT] = OP_ENCRYPT,
        [HSM_OPERATION_DECRYPT] = OP_DECRYPT,
    };
    return operations[kind];
}

static struct slice kind_text(uint32_t kind)
{
    static const char *const texts[] = {
        [HSM_OPERATION_SIGN] = "sign",
        [HSM_OPERATION_VERIFY] = "verify",
        [HSM_OPERATION_ENCRYPT] = "encrypt",
        [HSM_OPERATION_DECRYPT] = "decrypt",
    };
    return slice_text(texts[kind]);
}

static status_code begin_request(const struct parts *parts, enum operation operation, struct slice data,
                                 struct call *call)
{
    TRY(call_begin(call, parts->session, NULL, operation));
    CALL_KEY(call, parts->key);
    mechanism_put(parts->mechanism, &call->fields);
    values_put_bytes(&call->fields, FIELD_DATA, data);
    return STATUS_OK;
}

static status_code keep_nonce(const struct call *call, struct progress *progress)
{
    struct slice nonce = values_bytes(&call->request.answer, FIELD_NONCE);

    if (nonce.len == 0)
        return STATUS_OK;
    CHECK(nonce.len == sizeof(progress->nonce_made), STATUS_PROTOCOL_ERROR, "the node made a nonce of %zu bytes",
          nonce.len);
    memcpy(progress->nonce_made, nonce.data, nonce.len);
    progress->nonce_made_len = nonce.len;
    return STATUS_OK;
}

void parts_give_nonce(const struct parts *parts, const struct progress *progress)
{
    if (progress->nonce_made_len && parts->mechanism->nonce_out)
        memcpy(parts->mechanism->nonce_out, progress->nonce_made, progress->nonce_made_len);
}

static status_code append(struct bytes *out, struct slice from)
{
    bytes_append(out, from.data, from.len);
    return bytes_ok(out);
}

/* A part of a mechanism whose blocks are chained here: all of it comes back, transformed. */
static status_code send_blocks(const struct parts *parts, const uint8_t *nonce, struct slice data, struct call *call,
                               struct slice *output)
{
    TRY(begin_request(parts, operation_of(parts->kind), data, call));
    values_put_uint(&call->fields, FIELD_MECHANISM, parts->rule.unpadded);
    if (nonce)
        values_put_bytes(&call->fields, FIELD_NONCE, slice_of(nonce, parts->rule.block_len));
    TRY(call_run(call));
    *output = values_bytes(&call->request.answer, FIELD_OUTPUT);
    CHECK(output->len == data.len, STATUS_PROTOCOL_ERROR, "%zu bytes came back for a part of %zu", output->len,
          data.len);
    return STATUS_OK;
}

static status_code send_chained(const struct parts *parts, struct progress *progress, struct slice data,
                                struct bytes *out)
{
    CLEANUP(call_release) struct call call;
    struct slice output;
    size_t block_len = parts->rule.block_len;

    TRY(send_blocks(parts, progress->chain, data, &call, &output));
    TRY(append(out, output));
    struct slice ciphertext = parts->kind == HSM_OPERATION_ENCRYPT ? output : data;
    memcpy(progress->chain, ciphertext.data + ciphertext.len - block_len, block_len);
    return STATUS_OK;
}

/* The counter is one big-endian number of the whole block, as mechanisms.def says. */
static void advance(struct progress *progress, size_t len)
{
    size_t used = progress->offset + len;
    uint64_t carry = used / BLOCK_MAX;

    progress->offset = used % BLOCK_MAX;
    for (int i = BLOCK_MAX - 1; i >= 0 && carry; i--) {
        carry += progress->chain[i];
        progress->chain[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static status_code send_counted(const struct parts *parts, struct progress *progress, struct slice data,
                                struct bytes *out)
{
    CLEANUP(call_release) struct call call;
    CLEANUP(bytes_release) struct bytes shifted = BYTES_SECRET;
    static const uint8_t zeros[BLOCK_MAX];
    struct slice output, whole = data;

    if (progress->offset) {
        bytes_append(&shifted, zeros, progress->offset);
        bytes_append(&shifted, data.data, data.len);
        whole = bytes_slice(&shifted);
    }
    status_code room = bytes_ok(&shifted);
    TRY(send_blocks(parts, progress->chain, whole, &call, &output));
    TRY(room);
    TRY(append(out, slice_of(output.data + progress->offset, data.len)));
    advance(progress, data.len);
    return STATUS_OK;
}

static status_code send_sealed(const struct parts *parts, struct progress *progress, struct slice data, bool final,
                               struct slice tag, struct bytes *out)
{
    CLEANUP(call_release) struct call call;

    TRY(begin_request(parts, OP_MULTIPART, data, &call));
    values_put_bool(&call.fields, FIELD_FINAL, final);
    values_put_bytes(&call.fields, FIELD_OPERATION, kind_text(parts->kind));
    if (progress->state_len) {
        values_put_bytes(&call.fields, FIELD_STATE, slice_of(progress->state, progress->state_len));
        values_remove(&call.fields, FIELD_AAD); /* it is in the state */
    }
    if (tag.len)
        values_put_bytes(&call.fields, FIELD_SIGNATURE, tag);
    TRY(call_run(&call));
    TRY(append(out, values_bytes(&call.request.answer, FIELD_OUTPUT)));
    TRY(keep_nonce(&call, progress));
    struct slice state = values_bytes(&call.request.answer, FIELD_STATE);
    CHECK(final || (state.len && state.len <= STATE_MAX), STATUS_PROTOCOL_ERROR, "a part left a state of %zu bytes",
          state.len);
    if (state.len)
        memcpy(progress->state, state.data, state.len);
    progress->state_len = state.len;
    return STATUS_OK;
}

static status_code send_independent(const struct parts *parts, struct slice data, struct bytes *out)
{
    CLEANUP(call_release) struct call call;
    struct slice output;

    TRY(send_blocks(parts, NULL, data, &call, &output));
    return append(out, output);
}

status_code parts_send(const struct parts *parts, struct progress *progress, struct slice data, struct bytes *out)
{
    if (data.len == 0)
        return STATUS_OK;
    switch (parts->rule.form) {
    case FORM_BLOCKS:
        return send_independent(parts, data, out);
    case FORM_CHAINED:
        return send_chained(parts, progress, data, out);
    case FORM_COUNTER:
        return send_counted(parts, progress, data, out);
    case FORM_SEALED:
        return send_sealed(parts, progress, data, false, slice_of(NULL, 0), out);
    default:
        FAIL(STATUS_INTERNAL, "%s does not go in parts", hsm_mechanism_name(parts->mechanism->type));
    }
}

status_code parts_end_sealed(const struct parts *parts, struct progress *progress, struct slice data, struct slice tag,
                             struct bytes *out)
{
    return send_sealed(parts, progress, data, true, tag, out);
}

status_code parts_end_padded(const struct parts *parts, const struct progress *progress, struct slice data,
                             struct bytes *out)
{
    CLEANUP(call_release) struct call call;

    TRY(begin_request(parts, operation_of(parts->kind), data, &call));
    values_put_bytes(&call.fields, FIELD_NONCE, slice_of(progress->chain, parts->rule.block_len));
    TRY(call_run(&call));
    return append(out, values_bytes(&call.request.answer, FIELD_OUTPUT));
}

status_code parts_whole(const struct parts *parts, struct progress *progress, struct slice data, struct slice tag,
                        struct bytes *out)
{
    CHECK(data.len <= DATA_MAX, STATUS_TOO_LARGE, "%s takes at most %u bytes at once, not %zu",
          hsm_mechanism_name(parts->mechanism->type), DATA_MAX, data.len);
    CLEANUP(call_release) struct call call;
    TRY(begin_request(parts, operation_of(parts->kind), data, &call));
    if (parts->kind == HSM_OPERATION_VERIFY)
        values_put_bytes(&call.fields, FIELD_SIGNATURE, tag);
    TRY(call_run(&call));
    TRY(keep_nonce(&call, progress));
    return append(out, values_bytes(&call.request.answer, FIELD_OUTPUT));
}

status_code check_signature(struct slice signature)
{
    CHECK(signature.len > 0 && signature.len <= FIELD_SCHEMA.entries[FIELD_SIGNATURE].max, STATUS_SIGNATURE_INVALID,
          "%zu bytes are no signature", signature.len);
    return STATUS_OK;
}
