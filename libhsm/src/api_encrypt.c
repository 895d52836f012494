/* Encrypting and decrypting in one call (hsm/crypto.h). */
#include "hsm/crypto.h"

#include "api_key_facts.h"
#include "api_operation.h"
#include "api_parts.h"
#include "protocol/secret.h"

/* More than one message holds: in parts, straight into the caller's memory, which is wiped if the end is bad. A
 * plaintext that a tag protects is held back until the tag is verified. */
static status_code crypt_long(const struct parts *parts, struct slice data, uint8_t *out, size_t *out_len)
{
    CLEANUP(operation_release) hsm_operation *operation = NULL;
    size_t first = *out_len, rest;

    TRY(operation_begin(parts->session, parts->kind, parts->key, parts->mechanism, HSM_OPERATION_HOLD_PLAINTEXT,
                        &operation));
    TRY(operation_update(operation, data, out, &first));
    rest = *out_len - first;
    status_code status = operation_final(operation, out + first, &rest);
    if (status == STATUS_OK)
        *out_len = first + rest;
    if (status == STATUS_BUFFER_TOO_SMALL)
        *out_len = first + rest;
    if (status != STATUS_OK)
        secret_wipe(out, first);
    return status;
}

static status_code crypt(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism, uint32_t kind,
                         struct slice data, uint8_t *out, size_t *out_len)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_SECRET;
    hsm_mechanism given;
    struct parts parts;
    struct progress progress;
    size_t room;
    int asked_only;

    ARGUMENT(session && out_len && (data.data || data.len == 0), "no session, no data or no place for the length");
    TRY(mechanism_read(mechanism, &given));
    TRY(parts_begin(session, key, &given, kind, &parts, &progress));
    if (!out || kind == HSM_OPERATION_ENCRYPT) {
        /* RSA's length is asked of the node only when the caller asks for it. */
        room = 0;
        if (!out || hsm_mechanism_key_type(given.type) != HSM_KEY_TYPE_RSA)
            TRY(crypt_room(&parts, data.len, &room));
        TRY(output_room(room, out, out_len, &asked_only));
        if (asked_only)
            return STATUS_OK;
    }
    if (data.len > DATA_MAX && parts.rule.form != FORM_WHOLE)
        return crypt_long(&parts, data, out, out_len);
    TRY(parts_whole(&parts, &progress, data, slice_of(NULL, 0), &made));
    TRY(output_give(made.data, made.len, out, out_len));
    parts_give_nonce(&parts, &progress);
    return STATUS_OK;
}

hsm_status hsm_encrypt(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                       size_t data_len, uint8_t *out, size_t *out_len)
{
    return API(crypt(session, &key, mechanism, HSM_OPERATION_ENCRYPT, slice_of(data, data_len), out, out_len));
}

hsm_status hsm_decrypt(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                       size_t data_len, uint8_t *out, size_t *out_len)
{
    return API(crypt(session, &key, mechanism, HSM_OPERATION_DECRYPT, slice_of(data, data_len), out, out_len));
}
