/* Keys out of keys through hsm/crypto.h against a real node: wrapping, derivation, encapsulation. */
#include "api_fixture.h"

static hsm_session *session_of(void **state)
{
    return ((struct world *)*state)->user;
}

/* --- keys out of keys --- */

static void keys_wrap_and_unwrap(void **state)
{
    static const uint32_t mechanisms[] = {HSM_MECHANISM_AES_KEY_WRAP, HSM_MECHANISM_AES_KEY_WRAP_PAD,
                                          HSM_MECHANISM_AES_GCM};
    uint64_t class = HSM_CLASS_SECRET_KEY, type = HSM_KEY_TYPE_AES, value_len = 32;
    hsm_session *session = session_of(state);
    hsm_key wrapping = aes_key(session), key, back;
    uint8_t wrapped[256], nonce[HSM_NONCE_MADE_LEN];

    hsm_attribute template[] = {hsm_attribute_uint(HSM_ATTR_VALUE_LEN, &value_len),
                                hsm_attribute_bool(HSM_ATTR_EXTRACTABLE, 1), hsm_attribute_bool(HSM_ATTR_ENCRYPT, 1)};
    hsm_attribute unwrapped[] = {hsm_attribute_uint(HSM_ATTR_CLASS, &class),
                                 hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &type), hsm_attribute_bool(HSM_ATTR_DECRYPT, 1)};
    OK(hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, template, 3, &key));
    for (size_t i = 0; i < 3; i++) {
        hsm_mechanism mechanism = HSM_MECHANISM_INIT(mechanisms[i]), ecb = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_ECB);
        size_t wrapped_len = sizeof(wrapped), len = 16, back_len = 16;
        uint8_t cipher[16], plain[16];

        mechanism.nonce_out = nonce;
        OK(hsm_wrap(session, wrapping, &mechanism, key, wrapped, &wrapped_len));
        if (mechanisms[i] == HSM_MECHANISM_AES_GCM) {
            mechanism.nonce = nonce;
            mechanism.nonce_len = sizeof(nonce);
        }
        OK(hsm_unwrap(session, wrapping, &mechanism, wrapped, wrapped_len, unwrapped, 3, &back));
        OK(hsm_encrypt(session, key, &ecb, "sixteen bytes...", 16, cipher, &len));
        OK(hsm_decrypt(session, back, &ecb, cipher, 16, plain, &back_len));
        assert_memory_equal(plain, "sixteen bytes...", 16);
        wrapped[3] ^= 1;
        FAILS(HSM_WRAPPED_KEY_INVALID,
              hsm_unwrap(session, wrapping, &mechanism, wrapped, wrapped_len, unwrapped, 3, &back));
    }
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_KEY_WRAP);
    size_t wrapped_len = sizeof(wrapped);
    FAILS(HSM_KEY_UNEXTRACTABLE, hsm_wrap(session, wrapping, &mechanism, wrapping, wrapped, &wrapped_len));
}

static void both_sides_of_ecdh_derive_the_same(void **state)
{
    uint64_t class = HSM_CLASS_SECRET_KEY, type = HSM_KEY_TYPE_GENERIC_SECRET, len = 32;
    hsm_session *session = session_of(state);
    hsm_key publics[2], privates[2], derived[2], expanded;
    uint8_t macs[2][32];

    hsm_attribute template[] = {hsm_attribute_uint(HSM_ATTR_CLASS, &class),
                                hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &type),
                                hsm_attribute_uint(HSM_ATTR_VALUE_LEN, &len), hsm_attribute_bool(HSM_ATTR_SIGN, 1),
                                hsm_attribute_bool(HSM_ATTR_DERIVE, 1)};
    for (int i = 0; i < 2; i++)
        OK(hsm_key_pair_generate_ec(session, "ecdh", HSM_CURVE_P256, &publics[i], &privates[i]));
    for (int i = 0; i < 2; i++) {
        hsm_mechanism ecdh = HSM_MECHANISM_INIT(HSM_MECHANISM_ECDH), hmac = HSM_MECHANISM_INIT(HSM_MECHANISM_HMAC);
        uint8_t peer[256];
        size_t peer_len = sizeof(peer), mac_len = 32;

        OK(hsm_key_export_public(session, publics[1 - i], peer, &peer_len));
        ecdh.peer_public = peer;
        ecdh.peer_public_len = peer_len;
        ecdh.kdf = HSM_KDF_X963;
        ecdh.hash = hmac.hash = HSM_HASH_SHA256;
        OK(hsm_derive(session, privates[i], &ecdh, template, 5, &derived[i]));
        OK(hsm_sign(session, derived[i], &hmac, "x", 1, macs[i], &mac_len));
    }
    assert_memory_equal(macs[0], macs[1], 32);
    hsm_mechanism hkdf = HSM_MECHANISM_INIT(HSM_MECHANISM_HKDF), join = HSM_MECHANISM_INIT(HSM_MECHANISM_CONCATENATE);
    hkdf.hash = HSM_HASH_SHA256;
    OK(hsm_derive(session, derived[0], &hkdf, template, 5, &expanded));
    join.second_key = &derived[1];
    OK(hsm_derive(session, derived[0], &join, template, 5, &expanded));
}

static void encapsulation_gives_both_sides_one_secret_or_is_refused(void **state)
{
    uint64_t set = 768, class = HSM_CLASS_SECRET_KEY, type = HSM_KEY_TYPE_GENERIC_SECRET;
    hsm_session *session = session_of(state);
    hsm_key public_key, private_key, ours, theirs;
    uint8_t ciphertext[1568], macs[2][32];
    size_t len = sizeof(ciphertext), mac_len = 32;

    hsm_attribute public_template[] = {hsm_attribute_uint(HSM_ATTR_PARAMETER_SET, &set),
                                       hsm_attribute_bool(HSM_ATTR_ENCAPSULATE, 1)};
    hsm_attribute private_template[] = {hsm_attribute_bool(HSM_ATTR_DECAPSULATE, 1)};
    hsm_attribute secret[] = {hsm_attribute_uint(HSM_ATTR_CLASS, &class), hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &type),
                              hsm_attribute_bool(HSM_ATTR_SIGN, 1)};
    hsm_mechanism kem = HSM_MECHANISM_INIT(HSM_MECHANISM_ML_KEM), hmac = HSM_MECHANISM_INIT(HSM_MECHANISM_HMAC);
    hsm_status status = hsm_key_pair_generate(session, HSM_MECHANISM_ML_KEM_KEY_PAIR_GEN, public_template, 2,
                                              private_template, 1, &public_key, &private_key);
    if (status != HSM_OK) { /* OpenSSL before 3.5 */
        assert_int_equal(status, HSM_NOT_SUPPORTED);
        OK(hsm_key_generate_aes(session, "no kem", 256, &public_key));
        assert_int_not_equal(hsm_encapsulate(session, public_key, &kem, secret, 3, ciphertext, &len, &ours), HSM_OK);
        assert_int_not_equal(hsm_decapsulate(session, public_key, &kem, ciphertext, 1088, secret, 3, &theirs), HSM_OK);
        return;
    }
    OK(hsm_encapsulate(session, public_key, &kem, secret, 3, ciphertext, &len, &ours));
    OK(hsm_decapsulate(session, private_key, &kem, ciphertext, len, secret, 3, &theirs));
    hmac.hash = HSM_HASH_SHA256;
    OK(hsm_sign(session, ours, &hmac, "x", 1, macs[0], &mac_len));
    OK(hsm_sign(session, theirs, &hmac, "x", 1, macs[1], &mac_len));
    assert_memory_equal(macs[0], macs[1], 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_wrap_and_unwrap),
        cmocka_unit_test(both_sides_of_ecdh_derive_the_same),
        cmocka_unit_test(encapsulation_gives_both_sides_one_secret_or_is_refused),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
