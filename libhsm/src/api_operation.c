/* Operations in parts (hsm/crypto.h). What has been taken but not sent, what the parts so far left behind and a running
 * digest are all here, so that any node may do the next part. A failed part changes nothing: it can be repeated. */
#include "hsm/crypto.h"

#include <stdlib.h>
#include "api_operation_internal.h"
#include "protocol/secret.h"

/* MACs are gathered up to this much before a part travels: most end as one plain request. */
#define GATHER_MAX ((size_t)256 << 10)

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
    made->parts.tag_apart = (made->flags & HSM_OPERATION_TAG_APART) != 0;
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
    CHECK((flags & ~(uint32_t)(HSM_OPERATION_HOLD_PLAINTEXT | HSM_OPERATION_TAG_APART)) == 0, STATUS_INVALID_ARGUMENT,
          "unknown flags %x", flags);
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
    if (progress.nonce_made_len)
        operation->mechanism.nonce_out = NULL; /* written once: the caller may have other use for the place */
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

status_code operation_update(hsm_operation *operation, struct slice data, uint8_t *out, size_t *out_len)
{
    ARGUMENT(operation && (data.data || data.len == 0), "no operation or no data");
    CHECK(!operation->ended, STATUS_OPERATION_NOT_ACTIVE, "the operation has ended: begin another");
    if (gives_output(operation))
        return operation_note_failure(operation, update_crypt(operation, data, out, out_len));
    if (is_crypt(operation) && !out && out_len) { /* only the room is asked for: nothing is taken */
        *out_len = 0;
        return STATUS_OK;
    }
    TRY(operation_note_failure(operation, take(operation, data)));
    if (out_len)
        *out_len = 0;
    return STATUS_OK;
}

hsm_status hsm_operation_update(hsm_operation *operation, const void *data, size_t data_len, uint8_t *out,
                                size_t *out_len)
{
    return API(operation_update(operation, slice_of(data, data_len), out, out_len));
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
