/* Signing and verifying in one call (hsm/crypto.h). */
#include "hsm/crypto.h"

#include "api_digest.h"
#include "api_key_facts.h"
#include "api_operation.h"
#include "api_sign.h"

status_code sign_prepare(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism, uint32_t kind,
                         struct slice data, bool is_digest, struct signing *signing)
{
    struct parts *parts = &signing->parts;

    ARGUMENT(session && (data.data || data.len == 0), "no session or no data");
    TRY(mechanism_read(mechanism, &signing->mechanism));
    TRY(parts_begin(session, key, &signing->mechanism, kind, parts, &signing->progress));
    signing->data = data;
    if (is_digest) {
        size_t len = hsm_hash_len(signing->mechanism.hash);

        CHECK(parts->rule.form == FORM_DIGEST, STATUS_MECHANISM_INVALID, "%s signs messages, not digests",
              hsm_mechanism_name(signing->mechanism.type));
        CHECK(len == 0 || len == data.len, STATUS_DATA_LENGTH, "a digest of %s has %zu bytes, not %zu",
              hsm_hash_name(signing->mechanism.hash), len, data.len);
        return STATUS_OK;
    }
    if (parts->rule.form != FORM_DIGEST || signing->mechanism.hash == HSM_HASH_NONE)
        return STATUS_OK;
    size_t digest_len;
    TRY(digest_compute(signing->mechanism.hash, data, signing->digest, &digest_len));
    signing->data = slice_of(signing->digest, digest_len);
    return STATUS_OK;
}

/* A MAC over more than one message holds. */
static status_code sign_long(const struct signing *signing, struct slice signature, uint8_t *out, size_t *out_len)
{
    CLEANUP(operation_release) hsm_operation *operation = NULL;
    const struct parts *parts = &signing->parts;

    TRY(operation_begin(parts->session, parts->kind, parts->key, &signing->mechanism, 0, &operation));
    TRY(operation_update(operation, signing->data, NULL, NULL));
    if (parts->kind == HSM_OPERATION_VERIFY)
        return operation_final_verify(operation, signature);
    return operation_final(operation, out, out_len);
}

static status_code sign(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism, struct slice data,
                        bool is_digest, uint8_t *signature, size_t *signature_len)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_INIT;
    struct signing signing;
    size_t room;

    ARGUMENT(signature_len, "no place for the signature's length");
    if (!signature) {
        TRY(mechanism_read(mechanism, &signing.mechanism));
        TRY(signature_room(session, key, &signing.mechanism, &room));
        *signature_len = room;
        return STATUS_OK;
    }
    TRY(sign_prepare(session, key, mechanism, HSM_OPERATION_SIGN, data, is_digest, &signing));
    if (signing.data.len > DATA_MAX && signing.parts.rule.form == FORM_SEALED)
        return sign_long(&signing, slice_of(NULL, 0), signature, signature_len);
    TRY(parts_whole(&signing.parts, &signing.progress, signing.data, slice_of(NULL, 0), &made));
    return output_give(made.data, made.len, signature, signature_len);
}

hsm_status hsm_sign(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                    size_t data_len, uint8_t *signature, size_t *signature_len)
{
    return API(sign(session, &key, mechanism, slice_of(data, data_len), false, signature, signature_len));
}

hsm_status hsm_sign_digest(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const uint8_t *digest,
                           size_t digest_len, uint8_t *signature, size_t *signature_len)
{
    return API(sign(session, &key, mechanism, slice_of(digest, digest_len), true, signature, signature_len));
}

static status_code verify(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism, struct slice data,
                          bool is_digest, struct slice signature)
{
    CLEANUP(bytes_release) struct bytes nothing = BYTES_INIT;
    struct signing signing;

    ARGUMENT(signature.data || signature.len == 0, "no signature");
    TRY(sign_prepare(session, key, mechanism, HSM_OPERATION_VERIFY, data, is_digest, &signing));
    TRY(check_signature(signature));
    if (signing.data.len > DATA_MAX && signing.parts.rule.form == FORM_SEALED)
        return sign_long(&signing, signature, NULL, NULL);
    return parts_whole(&signing.parts, &signing.progress, signing.data, signature, &nothing);
}

hsm_status hsm_verify(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                      size_t data_len, const uint8_t *signature, size_t signature_len)
{
    return API(verify(session, &key, mechanism, slice_of(data, data_len), false, slice_of(signature, signature_len)));
}

static status_code verify_recover(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism,
                                  struct slice signature, uint8_t *out, size_t *out_len)
{
    CLEANUP(call_release) struct call call;
    hsm_mechanism given;
    size_t room;

    TRY(call_begin(&call, session, NULL, OP_VERIFY_RECOVER));
    ARGUMENT(session && out_len, "no session, or no place for the data's length");
    TRY(mechanism_read(mechanism, &given));
    if (!out) {
        TRY(signature_room(session, key, &given, &room));
        *out_len = room;
        return STATUS_OK;
    }
    ARGUMENT(signature.data, "no signature");
    TRY(check_signature(signature));
    CALL_KEY(&call, key);
    mechanism_put(&given, &call.fields);
    values_put_bytes(&call.fields, FIELD_SIGNATURE, signature);
    TRY(call_run(&call));
    return call_give(&call, FIELD_OUTPUT, out, out_len);
}

hsm_status hsm_verify_recover(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *signature,
                              size_t signature_len, uint8_t *data, size_t *data_len)
{
    return API(verify_recover(session, &key, mechanism, slice_of(signature, signature_len), data, data_len));
}

hsm_status hsm_verify_digest(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const uint8_t *digest,
                             size_t digest_len, const uint8_t *signature, size_t signature_len)
{
    return API(
        verify(session, &key, mechanism, slice_of(digest, digest_len), true, slice_of(signature, signature_len)));
}
