/* Keys out of keys: wrapping, unwrapping, derivation, encapsulation (hsm/crypto.h). */
#include "hsm/crypto.h"

#include "api_call.h"
#include "api_mechanism.h"
#include "protocol/catalog.h"

static status_code check_use(const hsm_mechanism *mechanism, uint32_t use, const char *what)
{
    CHECK(hsm_mechanism_uses(mechanism->type) & use, STATUS_MECHANISM_INVALID, "mechanism %s does not %s",
          hsm_mechanism_name(mechanism->type), what);
    return STATUS_OK;
}

static status_code check_nonce_out(const hsm_mechanism *mechanism)
{
    CHECK(mechanism->type != MECHANISM_AES_GCM || mechanism->nonce_len || mechanism->nonce_out,
          STATUS_MECHANISM_PARAM_INVALID,
          "the node makes the nonce, but nonce_out says nowhere to put it: nobody could unwrap");
    return STATUS_OK;
}

static status_code give_nonce(const struct call *call, const hsm_mechanism *mechanism)
{
    struct slice nonce = values_bytes(&call->request.answer, FIELD_NONCE);

    if (nonce.len == 0 || !mechanism->nonce_out)
        return STATUS_OK;
    CHECK(nonce.len == HSM_NONCE_MADE_LEN, STATUS_PROTOCOL_ERROR, "the node made a nonce of %zu bytes", nonce.len);
    memcpy(mechanism->nonce_out, nonce.data, nonce.len);
    return STATUS_OK;
}

static status_code wrap(hsm_session *session, const hsm_key *wrapping_key, const hsm_mechanism *mechanism,
                        const hsm_key *key, uint8_t *wrapped, size_t *wrapped_len)
{
    CLEANUP(call_release) struct call call;
    hsm_mechanism given;

    TRY(call_begin(&call, session, NULL, OP_WRAP));
    ARGUMENT(wrapped_len, "no place for the wrapped key's length");
    TRY(mechanism_read(mechanism, &given));
    TRY(check_use(&given, USE_WRAP, "wrap"));
    if (wrapped)
        TRY(check_nonce_out(&given));
    CALL_KEY(&call, wrapping_key);
    CALL_SECOND(&call, key);
    mechanism_put(&given, &call.fields);
    TRY(call_run(&call));
    TRY(call_give(&call, FIELD_OUTPUT, wrapped, wrapped_len));
    return wrapped ? give_nonce(&call, &given) : STATUS_OK;
}

hsm_status hsm_wrap(hsm_session *session, hsm_key wrapping_key, const hsm_mechanism *mechanism, hsm_key key,
                    uint8_t *wrapped, size_t *wrapped_len)
{
    return API(wrap(session, &wrapping_key, mechanism, &key, wrapped, wrapped_len));
}

static status_code unwrap(hsm_session *session, const hsm_key *unwrapping_key, const hsm_mechanism *mechanism,
                          struct slice wrapped, const hsm_attribute *attributes, size_t n, hsm_key *key)
{
    CLEANUP(call_release) struct call call;
    hsm_mechanism given;

    TRY(call_begin(&call, session, NULL, OP_UNWRAP));
    ARGUMENT(key, "no place for the key");
    TRY(mechanism_read(mechanism, &given));
    TRY(check_use(&given, USE_WRAP, "unwrap"));
    CALL_SECOND(&call, unwrapping_key);
    mechanism_put(&given, &call.fields);
    TRY(call_put_bytes(&call, FIELD_WRAPPED, wrapped.data, wrapped.len, "wrapped key"));
    TRY(call_put_new_object(&call, attributes, n));
    TRY(call_run(&call));
    return call_take_object(&call, key);
}

hsm_status hsm_unwrap(hsm_session *session, hsm_key unwrapping_key, const hsm_mechanism *mechanism,
                      const uint8_t *wrapped, size_t wrapped_len, const hsm_attribute *attributes, size_t n,
                      hsm_key *key)
{
    return API(unwrap(session, &unwrapping_key, mechanism, slice_of(wrapped, wrapped_len), attributes, n, key));
}

static status_code derive(hsm_session *session, const hsm_key *base_key, const hsm_mechanism *mechanism,
                          const hsm_attribute *attributes, size_t n, hsm_key *key)
{
    CLEANUP(call_release) struct call call;
    hsm_mechanism given;

    TRY(call_begin(&call, session, NULL, OP_DERIVE));
    ARGUMENT(key, "no place for the key");
    TRY(mechanism_read(mechanism, &given));
    TRY(check_use(&given, USE_DERIVE, "derive"));
    CALL_SECOND(&call, base_key);
    mechanism_put(&given, &call.fields);
    if (given.data_len)
        values_put_bytes(&call.fields, FIELD_DATA, slice_of(given.data, given.data_len));
    if (given.second_key)
        call_put_key(&call, given.second_key, FIELD_PUBLIC_ID, FIELD_PUBLIC_BLOB);
    TRY(call_put_new_object(&call, attributes, n));
    TRY(call_run(&call));
    return call_take_object(&call, key);
}

hsm_status hsm_derive(hsm_session *session, hsm_key base_key, const hsm_mechanism *mechanism,
                      const hsm_attribute *attributes, size_t n, hsm_key *key)
{
    return API(derive(session, &base_key, mechanism, attributes, n, key));
}

/* FIPS 203, table 3: ciphertexts have 768, 1088 and 1568 bytes. */
#define CIPHERTEXT_MAX 1568u

static status_code encapsulate(hsm_session *session, const hsm_key *public_key, const hsm_mechanism *mechanism,
                               const hsm_attribute *attributes, size_t n, uint8_t *ciphertext, size_t *ciphertext_len,
                               hsm_key *key)
{
    CLEANUP(call_release) struct call call;
    hsm_mechanism given;
    uint8_t made[CIPHERTEXT_MAX];
    size_t made_len = sizeof(made);
    int asked_only;

    TRY(call_begin(&call, session, NULL, OP_ENCAPSULATE));
    ARGUMENT(key, "no place for the key");
    TRY(mechanism_read(mechanism, &given));
    TRY(check_use(&given, USE_ENCAPSULATE, "encapsulate"));
    /* The room is settled before a key is made, so that no key is left behind without its ciphertext. */
    TRY(output_room(CIPHERTEXT_MAX, ciphertext, ciphertext_len, &asked_only));
    if (asked_only)
        return STATUS_OK;
    CALL_SECOND(&call, public_key);
    values_put_uint(&call.fields, FIELD_MECHANISM, given.type);
    TRY(call_put_new_object(&call, attributes, n));
    TRY(call_run(&call));
    TRY(call_give(&call, FIELD_OUTPUT, made, &made_len));
    TRY(call_take_object(&call, key));
    return output_give(made, made_len, ciphertext, ciphertext_len);
}

hsm_status hsm_encapsulate(hsm_session *session, hsm_key public_key, const hsm_mechanism *mechanism,
                           const hsm_attribute *attributes, size_t n, uint8_t *ciphertext, size_t *ciphertext_len,
                           hsm_key *key)
{
    return API(encapsulate(session, &public_key, mechanism, attributes, n, ciphertext, ciphertext_len, key));
}

static status_code decapsulate(hsm_session *session, const hsm_key *private_key, const hsm_mechanism *mechanism,
                               struct slice ciphertext, const hsm_attribute *attributes, size_t n, hsm_key *key)
{
    CLEANUP(call_release) struct call call;
    hsm_mechanism given;

    TRY(call_begin(&call, session, NULL, OP_DECAPSULATE));
    ARGUMENT(key, "no place for the key");
    TRY(mechanism_read(mechanism, &given));
    TRY(check_use(&given, USE_ENCAPSULATE, "decapsulate"));
    CALL_SECOND(&call, private_key);
    values_put_uint(&call.fields, FIELD_MECHANISM, given.type);
    TRY(call_put_bytes(&call, FIELD_DATA, ciphertext.data, ciphertext.len, "ciphertext"));
    TRY(call_put_new_object(&call, attributes, n));
    TRY(call_run(&call));
    return call_take_object(&call, key);
}

hsm_status hsm_decapsulate(hsm_session *session, hsm_key private_key, const hsm_mechanism *mechanism,
                           const uint8_t *ciphertext, size_t ciphertext_len, const hsm_attribute *attributes, size_t n,
                           hsm_key *key)
{
    return API(decapsulate(session, &private_key, mechanism, slice_of(ciphertext, ciphertext_len), attributes, n, key));
}
