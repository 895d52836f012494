/* Operations in parts (hsm/crypto.h). What has been taken but not sent, what the parts so far left behind and a running
 * digest are all here, so that any node may do the next part. A failed part changes nothing: it can be repeated. */
#include "hsm/crypto.h"

#include <stdlib.h>
#include "api_digest.h"
#include "api_key_facts.h"
#include "api_operation.h"
#include "protocol/secret.h"

/* MACs are gathered up to this much before a part travels: most end as one plain request. */
#define GATHER_MAX ((size_t)256 << 10)

struct hsm_operation {
    hsm_key key;
    hsm_mechanism mechanism;
    struct bytes parameters; /* what mechanism points to */
    uint32_t flags;
    struct parts parts;
    struct progress progress;
    struct digest digest; /* begun: everything goes into it, and final sends the digest */
    struct bytes pending; /* secret: taken and not sent */
    struct bytes held;    /* secret: plaintext not given out yet */
    bool ended;
};

static bool is_crypt(const hsm_operation *operation)
{
    return operation->parts.kind == HSM_OPERATION_ENCRYPT || operation->parts.kind == HSM_OPERATION_DECRYPT;
}

static bool holds_plaintext(const hsm_operation *operation)
{
    return operation->parts.kind == HSM_OPERATION_DECRYPT && operation->parts.rule.form == FORM_SEALED &&
           (operation->flags & HSM_OPERATION_HOLD_PLAINTEXT);
}

void hsm_operation_free(hsm_operation *operation)
{
    if (!operation)
        return;
    digest_release(&operation->digest);
    bytes_release(&operation->parameters);
    bytes_release(&operation->pending);
    bytes_release(&operation->held);
    secret_wipe(operation, sizeof(*operation));
    free(operation);
}

static hsm_operation *operation_new(void)
{
    hsm_operation *made = (hsm_operation *)calloc(1, sizeof(*made));

    if (!made) {
        failure_set(STATUS_OUT_OF_MEMORY, "no memory for an operation");
        return NULL;
    }
    made->parameters.secret = made->pending.secret = made->held.secret = true;
    made->held.limit = SIZE_MAX / 4;
    return made;
}

static status_code begin_keyed(hsm_operation *made, hsm_session *session, uint32_t kind, const hsm_key *key)
{
    ARGUMENT(session && key, "no session or no key");
    made->key = *key;
    TRY(parts_begin(session, &made->key, &made->mechanism, kind, &made->parts, &made->progress));
    if (made->parts.rule.form == FORM_DIGEST && made->mechanism.hash)
        return digest_begin(&made->digest, made->mechanism.hash);
    return STATUS_OK;
}

static status_code operation_fill(hsm_operation *made, hsm_session *session, uint32_t kind, const hsm_key *key,
                                  const hsm_mechanism *mechanism)
{
    hsm_mechanism given;

    if (kind == HSM_OPERATION_DIGEST) {
        ARGUMENT(mechanism && mechanism->size >= offsetof(hsm_mechanism, mgf_hash), "no mechanism that names the hash");
        made->parts.kind = kind;
        return digest_begin(&made->digest, mechanism->hash);
    }
    TRY(mechanism_read(mechanism, &given));
    TRY(mechanism_own(&given, &made->parameters, &made->mechanism));
    return begin_keyed(made, session, kind, key);
}

status_code operation_begin(hsm_session *session, uint32_t kind, const hsm_key *key, const hsm_mechanism *mechanism,
                            uint32_t flags, hsm_operation **operation)
{
    ARGUMENT(operation, "no place for the operation");
    CHECK(kind >= HSM_OPERATION_SIGN && kind <= HSM_OPERATION_DIGEST, STATUS_INVALID_ARGUMENT,
          "there is no kind of operation %u", kind);
    CHECK((flags & ~(uint32_t)HSM_OPERATION_HOLD_PLAINTEXT) == 0, STATUS_INVALID_ARGUMENT, "unknown flags %x", flags);
    hsm_operation *made = operation_new();
    if (!made)
        return STATUS_OUT_OF_MEMORY;
    made->flags = flags;
    status_code status = operation_fill(made, session, kind, key, mechanism);
    if (status != STATUS_OK) {
        hsm_operation_free(made);
        return status;
    }
    *operation = made;
    return STATUS_OK;
}

hsm_status hsm_operation_begin(hsm_session *session, uint32_t kind, const hsm_key *key, const hsm_mechanism *mechanism,
                               uint32_t flags, hsm_operation **operation)
{
    return API(operation_begin(session, kind, key, mechanism, flags, operation));
}

/* Taking data. */

/* The next at most PART_MAX of the bytes that are pending and then of `data`, from `at` on. */
static status_code part_at(const struct bytes *pending, struct slice data, size_t at, size_t len, struct bytes *joined,
                           struct slice *part)
{
    size_t from_pending = at < pending->len ? pending->len - at : 0;

    if (from_pending > len)
        from_pending = len;
    if (from_pending == 0) {
        *part = slice_of(data.data + (at - pending->len), len);
        return STATUS_OK;
    }
    bytes_clear(joined);
    bytes_append(joined, pending->data + at, from_pending);
    if (len > from_pending)
        bytes_append(joined, data.data, len - from_pending);
    *part = bytes_slice(joined);
    return bytes_ok(joined);
}

/* Sends the first `ready` bytes of pending || data. */
static status_code send_ready(const hsm_operation *operation, struct progress *progress, struct slice data,
                              size_t ready, struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes joined = BYTES_SECRET;
    struct slice part;

    for (size_t at = 0; at < ready; at += part.len) {
        size_t len = ready - at < PART_MAX ? ready - at : PART_MAX;

        TRY(part_at(&operation->pending, data, at, len, &joined, &part));
        TRY(parts_send(&operation->parts, progress, part, out));
    }
    return STATUS_OK;
}

/* What of pending || data was not sent becomes pending. */
static status_code keep_rest(const hsm_operation *operation, struct slice data, size_t sent, struct bytes *rest)
{
    size_t pending = operation->pending.len;

    if (sent < pending)
        bytes_append(rest, operation->pending.data + sent, pending - sent);
    size_t from_data = sent > pending ? sent - pending : 0;
    if (from_data < data.len)
        bytes_append(rest, data.data + from_data, data.len - from_data);
    return bytes_ok(rest);
}

static void swap_bytes(struct bytes *a, struct bytes *b)
{
    struct bytes c = *a;

    *a = *b;
    *b = c;
}

/* Sends what can be sent; nothing of the operation changes before all has succeeded. */
static status_code advance(hsm_operation *operation, struct slice data, size_t ready, struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes rest = BYTES_SECRET;
    struct progress progress = operation->progress;

    if (ready == 0) {
        bytes_append(&operation->pending, data.data, data.len);
        return bytes_ok(&operation->pending);
    }
    TRY(keep_rest(operation, data, ready, &rest));
    TRY(send_ready(operation, &progress, data, ready, out));
    parts_give_nonce(&operation->parts, &progress);
    operation->progress = progress;
    swap_bytes(&operation->pending, &rest);
    return STATUS_OK;
}

static status_code update_whole(hsm_operation *operation, struct slice data)
{
    CHECK(operation->pending.len + data.len <= DATA_MAX, STATUS_TOO_LARGE,
          "%s takes one message of at most %u bytes: it cannot be streamed",
          hsm_mechanism_name(operation->mechanism.type), DATA_MAX);
    return advance(operation, data, 0, NULL);
}

/* MACs: no output until the end. */
static status_code update_mac(hsm_operation *operation, struct slice data)
{
    CLEANUP(bytes_release) struct bytes nothing = BYTES_INIT;
    size_t total = operation->pending.len + data.len;

    return advance(operation, data, total > GATHER_MAX ? total : 0, &nothing);
}

static status_code update_crypt(hsm_operation *operation, struct slice data, uint8_t *out, size_t *out_len)
{
    CLEANUP(bytes_release) struct bytes produced = BYTES_SECRET;
    size_t ready = parts_ready(&operation->parts, operation->pending.len + data.len);
    int asked_only;

    TRY(output_room(ready, out, out_len, &asked_only));
    if (asked_only)
        return STATUS_OK;
    produced.limit = ready + 1;
    TRY(advance(operation, data, ready, &produced));
    return output_give(produced.data, produced.len, out, out_len);
}

/* What decrypts stays here until the tag is verified; what a failure left behind is taken back. */
static status_code update_held(hsm_operation *operation, struct slice data)
{
    size_t before = operation->held.len;
    size_t ready = parts_ready(&operation->parts, operation->pending.len + data.len);
    status_code status = advance(operation, data, ready, &operation->held);

    if (status != STATUS_OK)
        operation->held.len = before;
    return status;
}

/* Takes data where nothing comes out before the end. */
static status_code take(hsm_operation *operation, struct slice data)
{
    if (operation->digest.context)
        return digest_update(&operation->digest, data);
    if (operation->parts.rule.form == FORM_WHOLE || operation->parts.rule.form == FORM_DIGEST)
        return update_whole(operation, data);
    return is_crypt(operation) ? update_held(operation, data) : update_mac(operation, data);
}

static bool gives_output(const hsm_operation *operation)
{
    return is_crypt(operation) && operation->parts.rule.form != FORM_WHOLE && !holds_plaintext(operation);
}

/* After these a call can be repeated; after any other failure the operation is over. */
static status_code note_failure(hsm_operation *operation, status_code status)
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

status_code operation_update(hsm_operation *operation, struct slice data, uint8_t *out, size_t *out_len)
{
    ARGUMENT(operation && (data.data || data.len == 0), "no operation or no data");
    CHECK(!operation->ended, STATUS_OPERATION_NOT_ACTIVE, "the operation has ended: begin another");
    if (gives_output(operation))
        return note_failure(operation, update_crypt(operation, data, out, out_len));
    TRY(note_failure(operation, take(operation, data)));
    if (out_len)
        *out_len = 0;
    return STATUS_OK;
}

hsm_status hsm_operation_update(hsm_operation *operation, const void *data, size_t data_len, uint8_t *out,
                                size_t *out_len)
{
    return API(operation_update(operation, slice_of(data, data_len), out, out_len));
}

/* Ending. */

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
        CHECK(rest.len == mechanism_tag_len(&operation->mechanism), STATUS_CIPHERTEXT_INVALID,
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
    return note_failure(operation, finish(operation, NO_TAG, out, out_len));
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
    TRY(note_failure(operation, end_sign(operation, signature, &nothing)));
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
    return note_failure(operation, finish(operation, tag, out, out_len));
}

hsm_status hsm_operation_final_tag(hsm_operation *operation, const uint8_t *tag, size_t tag_len, uint8_t *out,
                                   size_t *out_len)
{
    return API(final_tag(operation, slice_of(tag, tag_len), out, out_len));
}

/* Copying. */

static status_code copy_into(const hsm_operation *from, hsm_operation *made)
{
    made->key = from->key;
    made->flags = from->flags;
    made->parts = from->parts;
    made->progress = from->progress;
    made->ended = from->ended;
    TRY(mechanism_own(&from->mechanism, &made->parameters, &made->mechanism));
    made->parts.key = &made->key;
    made->parts.mechanism = &made->mechanism;
    TRY(bytes_assign(&made->pending, bytes_slice(&from->pending)));
    TRY(bytes_assign(&made->held, bytes_slice(&from->held)));
    return from->digest.context ? digest_copy(&from->digest, &made->digest) : STATUS_OK;
}

static status_code operation_copy(const hsm_operation *operation, hsm_operation **copy)
{
    ARGUMENT(operation && copy, "no operation, or no place for the copy");
    hsm_operation *made = operation_new();
    if (!made)
        return STATUS_OUT_OF_MEMORY;
    status_code status = copy_into(operation, made);
    if (status != STATUS_OK) {
        hsm_operation_free(made);
        return status;
    }
    *copy = made;
    return STATUS_OK;
}

hsm_status hsm_operation_copy(const hsm_operation *operation, hsm_operation **copy)
{
    return API(operation_copy(operation, copy));
}
