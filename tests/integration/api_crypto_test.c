/* hsm/crypto.h and hsm/async.h against a real node. Results are checked with OpenSSL where a public key allows it, else
 * by the inverse operation and by doing the same in parts of odd sizes. */
#include "api_fixture.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define LONG_LEN ((size_t)5 << 19) /* 2.5 MiB: three messages */

static uint8_t *pattern(size_t len)
{
    assert_in_range(len, 0, 1 << 30);
    uint8_t *data = (uint8_t *)malloc(len % (1 << 30) + 1);

    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 31 + i / 251);
    return data;
}

static hsm_session *session_of(void **state)
{
    return ((struct world *)*state)->user;
}

static hsm_key aes_key(hsm_session *session)
{
    hsm_key key;

    OK(hsm_key_generate_aes(session, "aes", 256, &key));
    return key;
}

static EVP_PKEY *public_key_of(hsm_session *session, hsm_key key)
{
    uint8_t der[8192];
    const uint8_t *at = der;
    size_t len = 0;

    OK(hsm_key_export_public(session, key, NULL, &len));
    assert_in_range(len, 1, sizeof(der));
    OK(hsm_key_export_public(session, key, der, &len));
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)len);
    assert_non_null(pkey);
    return pkey;
}

/* --- encryption: one call and parts agree, whatever the size --- */

static size_t in_parts(hsm_session *session, uint32_t kind, hsm_key key, const hsm_mechanism *mechanism,
                       const uint8_t *data, size_t len, size_t part, uint32_t flags, uint8_t *out, size_t room)
{
    hsm_operation *operation = NULL;
    size_t total = 0;

    OK(hsm_operation_begin(session, kind, &key, mechanism, flags, &operation));
    for (size_t at = 0; at < len; at += part) {
        size_t n = len - at < part ? len - at : part, got = room - total;

        OK(hsm_operation_update(operation, data + at, n, out + total, &got));
        total += got;
    }
    size_t last = room - total;
    OK(hsm_operation_final(operation, out + total, &last));
    FAILS(HSM_OPERATION_NOT_ACTIVE, hsm_operation_final(operation, out + total, &last));
    hsm_operation_free(operation);
    return total + last;
}

static void check_cipher(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, size_t len, size_t part)
{
    uint8_t *data = pattern(len), *back = (uint8_t *)malloc(len + 64);
    size_t room = len + 64, cipher_len = 0, back_len = room;

    OK(hsm_encrypt(session, key, mechanism, data, len, NULL, &cipher_len));
    uint8_t *cipher = (uint8_t *)malloc(cipher_len + 64), *parts = (uint8_t *)malloc(cipher_len + 64);
    size_t needed = cipher_len;
    OK(hsm_encrypt(session, key, mechanism, data, len, cipher, &cipher_len));
    assert_int_equal(cipher_len, needed);
    size_t short_len = cipher_len - 1;
    FAILS(HSM_BUFFER_TOO_SMALL, hsm_encrypt(session, key, mechanism, data, len, parts, &short_len));
    assert_int_equal(short_len, cipher_len);

    assert_int_equal(
        in_parts(session, HSM_OPERATION_ENCRYPT, key, mechanism, data, len, part, 0, parts, cipher_len + 64),
        cipher_len);
    assert_memory_equal(parts, cipher, cipher_len);
    OK(hsm_decrypt(session, key, mechanism, cipher, cipher_len, back, &back_len));
    assert_int_equal(back_len, len);
    assert_memory_equal(back, data, len);
    memset(back, 0, len);
    assert_int_equal(in_parts(session, HSM_OPERATION_DECRYPT, key, mechanism, cipher, cipher_len, part, 0, back, room),
                     len);
    assert_memory_equal(back, data, len);
    free(data), free(back), free(cipher), free(parts);
}

static void ciphers_agree_in_one_call_and_in_parts(void **state)
{
    static const uint8_t nonce[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 255, 255, 255, 255, 255, 250};
    static const struct {
        uint32_t type;
        size_t nonce_len;
        bool any_length;
    } rows[] = {
        {HSM_MECHANISM_AES_ECB, 0, false}, {HSM_MECHANISM_AES_CBC, 16, false}, {HSM_MECHANISM_AES_CBC_PAD, 16, true},
        {HSM_MECHANISM_AES_CTR, 16, true}, {HSM_MECHANISM_AES_GCM, 12, true},
    };
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session);

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        hsm_mechanism mechanism = HSM_MECHANISM_INIT(rows[i].type);

        mechanism.nonce = rows[i].nonce_len ? nonce : NULL;
        mechanism.nonce_len = rows[i].nonce_len;
        check_cipher(session, key, &mechanism, 64, 7);
        check_cipher(session, key, &mechanism, LONG_LEN + (rows[i].any_length ? 5 : 0), 700001);
        check_cipher(session, key, &mechanism, LONG_LEN + (rows[i].any_length ? 16 : 32), LONG_LEN * 2);
    }
    OK(hsm_object_delete(session, key));
}

static void ciphertexts_are_those_of_openssl(void **state)
{
    static const uint8_t value[16] = "0123456789abcdef", nonce[16] = "fedcba987654321";
    static const uint32_t mechanisms[] = {HSM_MECHANISM_AES_CTR, HSM_MECHANISM_AES_CBC_PAD};
    const EVP_CIPHER *const ciphers[] = {EVP_aes_128_ctr(), EVP_aes_128_cbc()};
    uint64_t class = HSM_CLASS_SECRET_KEY, type = HSM_KEY_TYPE_AES;
    hsm_session *session = session_of(state);
    hsm_key key;
    uint8_t *data = pattern(LONG_LEN), *ours = pattern(LONG_LEN + 16), *theirs = pattern(LONG_LEN + 32);

    hsm_attribute template[] = {
        hsm_attribute_uint(HSM_ATTR_CLASS, &class),  hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &type),
        hsm_attribute_of(HSM_ATTR_VALUE, value, 16), hsm_attribute_bool(HSM_ATTR_ENCRYPT, 1),
        hsm_attribute_bool(HSM_ATTR_TOKEN, 0),
    };
    OK(hsm_object_create(session, template, 5, &key));
    for (size_t i = 0; i < 2; i++) {
        hsm_mechanism mechanism = HSM_MECHANISM_INIT(mechanisms[i]);
        size_t ours_len = LONG_LEN + 16;
        int len = 0, last = 0;

        mechanism.nonce = nonce;
        mechanism.nonce_len = 16;
        OK(hsm_encrypt(session, key, &mechanism, data, LONG_LEN, ours, &ours_len));
        EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        EVP_EncryptInit_ex(context, ciphers[i], NULL, value, nonce);
        EVP_EncryptUpdate(context, theirs, &len, data, (int)LONG_LEN);
        EVP_EncryptFinal_ex(context, theirs + len, &last);
        EVP_CIPHER_CTX_free(context);
        assert_int_equal(ours_len, len + last);
        assert_memory_equal(ours, theirs, ours_len);
    }
    OK(hsm_object_delete(session, key));
    free(data), free(ours), free(theirs);
}

static void gcm_with_a_nonce_of_the_node(void **state)
{
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session);
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_GCM);
    static const size_t lengths[] = {100, LONG_LEN};

    for (size_t i = 0; i < 2; i++) {
        size_t len = lengths[i], cipher_len = len + 16, back_len = len;
        uint8_t *data = pattern(len), *cipher = pattern(cipher_len), *back = pattern(len);
        uint8_t nonce[HSM_NONCE_MADE_LEN] = {0}, zero[HSM_NONCE_MADE_LEN] = {0};

        mechanism.nonce = mechanism.nonce_out = NULL;
        mechanism.nonce_len = 0;
        mechanism.aad = (const uint8_t *)"header";
        mechanism.aad_len = 6;
        FAILS(HSM_MECHANISM_PARAM_INVALID, hsm_encrypt(session, key, &mechanism, data, len, cipher, &cipher_len));
        mechanism.nonce_out = nonce;
        OK(hsm_encrypt(session, key, &mechanism, data, len, cipher, &cipher_len));
        assert_memory_not_equal(nonce, zero, sizeof(nonce));
        mechanism.nonce = nonce;
        mechanism.nonce_len = sizeof(nonce);
        OK(hsm_decrypt(session, key, &mechanism, cipher, cipher_len, back, &back_len));
        assert_memory_equal(back, data, len);

        /* Nothing of a forged text comes out. */
        cipher[len / 2] ^= 1;
        memset(back, 0xaa, len);
        FAILS(HSM_CIPHERTEXT_INVALID, hsm_decrypt(session, key, &mechanism, cipher, cipher_len, back, &back_len));
        assert_memory_not_equal(back, data, 16);
        free(data), free(cipher), free(back);
    }
    OK(hsm_object_delete(session, key));
}

static void gcm_holds_plaintext_and_takes_the_tag_apart(void **state)
{
    static const uint8_t nonce[12] = "nonce";
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session);
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_GCM);
    hsm_operation *operation = NULL;
    uint8_t *data = pattern(LONG_LEN), *cipher = pattern(LONG_LEN + 16), *back = pattern(LONG_LEN);
    size_t cipher_len = LONG_LEN + 16, back_len = 0;

    mechanism.nonce = nonce;
    mechanism.nonce_len = sizeof(nonce);
    OK(hsm_encrypt(session, key, &mechanism, data, LONG_LEN, cipher, &cipher_len));
    OK(hsm_operation_begin(session, HSM_OPERATION_DECRYPT, &key, &mechanism, HSM_OPERATION_HOLD_PLAINTEXT, &operation));
    OK(hsm_operation_update(operation, cipher, LONG_LEN, NULL, NULL));
    OK(hsm_operation_final_tag(operation, cipher + LONG_LEN, 16, NULL, &back_len));
    assert_int_equal(back_len, LONG_LEN);
    memset(back, 0, back_len);
    OK(hsm_operation_final_tag(operation, cipher + LONG_LEN, 16, back, &back_len));
    assert_int_equal(back_len, LONG_LEN);
    assert_memory_equal(back, data, LONG_LEN);
    hsm_operation_free(operation);
    OK(hsm_object_delete(session, key));
    free(data), free(cipher), free(back);
}

static void ccm_and_rsa_go_in_one_piece(void **state)
{
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session), public_key, private_key;
    hsm_mechanism ccm = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CCM),
                  oaep = HSM_MECHANISM_INIT(HSM_MECHANISM_RSA_PKCS_OAEP);
    uint8_t nonce[HSM_NONCE_MADE_LEN], cipher[512], back[512], *large = pattern(HSM_MESSAGE_MAX + 1);
    size_t cipher_len = sizeof(cipher), back_len = sizeof(back);

    ccm.nonce_out = nonce;
    OK(hsm_encrypt(session, key, &ccm, "ccm", 3, cipher, &cipher_len));
    assert_int_equal(cipher_len, 3 + 16);
    ccm.nonce = nonce;
    ccm.nonce_len = sizeof(nonce);
    OK(hsm_decrypt(session, key, &ccm, cipher, cipher_len, back, &back_len));
    assert_memory_equal(back, "ccm", 3);
    size_t room = HSM_MESSAGE_MAX + 17;
    uint8_t *out = pattern(room);
    FAILS(HSM_TOO_LARGE, hsm_encrypt(session, key, &ccm, large, HSM_MESSAGE_MAX + 1, out, &room));

    OK(hsm_key_pair_generate_rsa(session, "oaep", 2048, &public_key, &private_key));
    oaep.hash = HSM_HASH_SHA256;
    OK(hsm_encrypt(session, public_key, &oaep, "secret", 6, NULL, &cipher_len));
    assert_int_equal(cipher_len, 256);
    OK(hsm_encrypt(session, public_key, &oaep, "secret", 6, cipher, &cipher_len));
    back_len = sizeof(back);
    OK(hsm_decrypt(session, private_key, &oaep, cipher, cipher_len, back, &back_len));
    assert_int_equal(back_len, 6);
    OK(hsm_object_delete(session, private_key));
    OK(hsm_object_delete(session, public_key));
    OK(hsm_object_delete(session, key));
    free(large), free(out);
}

/* --- signatures --- */

static void check_with_openssl(hsm_session *session, hsm_key public_key, const hsm_mechanism *mechanism,
                               const uint8_t *data, size_t len, const uint8_t *signature, size_t signature_len)
{
    EVP_PKEY *pkey = public_key_of(session, public_key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;

    assert_int_equal(EVP_DigestVerifyInit(context, &parameters,
                                          mechanism->hash == HSM_HASH_SHA256 ? EVP_sha256() : NULL, NULL, pkey),
                     1);
    if (mechanism->type == HSM_MECHANISM_RSA_PKCS_PSS)
        EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
    assert_int_equal(EVP_DigestVerify(context, signature, signature_len, data, len), 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
}

static void check_signature(hsm_session *session, hsm_key public_key, hsm_key private_key,
                            const hsm_mechanism *mechanism, bool by_openssl, size_t len)
{
    uint8_t *data = pattern(len), signature[1024], digest[HSM_DIGEST_MAX];
    size_t needed = 0, signature_len = sizeof(signature), digest_len = sizeof(digest), parts_len = sizeof(signature);

    OK(hsm_sign(session, private_key, mechanism, data, len, NULL, &needed));
    OK(hsm_sign(session, private_key, mechanism, data, len, signature, &signature_len));
    assert_int_equal(signature_len, needed);
    OK(hsm_verify(session, public_key, mechanism, data, len, signature, signature_len));
    if (by_openssl)
        check_with_openssl(session, public_key, mechanism, data, len, signature, signature_len);
    signature[signature_len / 2] ^= 1;
    FAILS(HSM_SIGNATURE_INVALID, hsm_verify(session, public_key, mechanism, data, len, signature, signature_len));
    FAILS(HSM_SIGNATURE_INVALID, hsm_verify(session, public_key, mechanism, data, len, signature, 0));

    parts_len =
        in_parts(session, HSM_OPERATION_SIGN, private_key, mechanism, data, len, 1000, 0, signature, sizeof(signature));
    hsm_operation *operation = NULL;
    OK(hsm_operation_begin(session, HSM_OPERATION_VERIFY, &public_key, mechanism, 0, &operation));
    OK(hsm_operation_update(operation, data, len, NULL, NULL));
    OK(hsm_operation_final_verify(operation, signature, parts_len));
    hsm_operation_free(operation);

    if (mechanism->hash && hsm_mechanism_key_type(mechanism->type) != HSM_KEY_TYPE_GENERIC_SECRET) {
        OK(hsm_digest(mechanism->hash, data, len, digest, &digest_len));
        OK(hsm_verify_digest(session, public_key, mechanism, digest, digest_len, signature, parts_len));
        signature_len = sizeof(signature);
        OK(hsm_sign_digest(session, private_key, mechanism, digest, digest_len, signature, &signature_len));
        OK(hsm_verify(session, public_key, mechanism, data, len, signature, signature_len));
        FAILS(HSM_DATA_LENGTH,
              hsm_sign_digest(session, private_key, mechanism, digest, digest_len - 1, signature, &needed));
    }
    free(data);
}

static void signatures_verify_here_and_in_openssl(void **state)
{
    hsm_session *session = session_of(state);
    hsm_mechanism pkcs = HSM_MECHANISM_INIT(HSM_MECHANISM_RSA_PKCS),
                  pss = HSM_MECHANISM_INIT(HSM_MECHANISM_RSA_PKCS_PSS);
    hsm_mechanism ecdsa = HSM_MECHANISM_INIT(HSM_MECHANISM_ECDSA), eddsa = HSM_MECHANISM_INIT(HSM_MECHANISM_EDDSA);
    hsm_key public_key, private_key;

    pkcs.hash = pss.hash = ecdsa.hash = HSM_HASH_SHA256;
    OK(hsm_key_pair_generate_rsa(session, "rsa", 2048, &public_key, &private_key));
    check_signature(session, public_key, private_key, &pkcs, true, 3000000);
    check_signature(session, public_key, private_key, &pss, true, 10);
    OK(hsm_key_pair_generate_ec(session, "p256", HSM_CURVE_P256, &public_key, &private_key));
    check_signature(session, public_key, private_key, &ecdsa, false, 3000000);
    OK(hsm_key_pair_generate_ec(session, "ed25519", HSM_CURVE_ED25519, &public_key, &private_key));
    check_signature(session, public_key, private_key, &eddsa, true, 5000);
}

static void macs_of_any_length_are_those_of_openssl(void **state)
{
    static const uint8_t value[32] = "a key for HMAC of 32 bytes size";
    uint64_t class = HSM_CLASS_SECRET_KEY, type = HSM_KEY_TYPE_GENERIC_SECRET;
    hsm_session *session = session_of(state);
    hsm_key hmac_key, cmac_key = aes_key(session);
    hsm_mechanism hmac = HSM_MECHANISM_INIT(HSM_MECHANISM_HMAC), cmac = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CMAC);
    uint8_t *data = pattern(LONG_LEN), ours[64], theirs[64];
    size_t ours_len = sizeof(ours);
    unsigned theirs_len = 0;

    hsm_attribute template[] = {
        hsm_attribute_uint(HSM_ATTR_CLASS, &class),  hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &type),
        hsm_attribute_of(HSM_ATTR_VALUE, value, 32), hsm_attribute_bool(HSM_ATTR_SIGN, 1),
        hsm_attribute_bool(HSM_ATTR_VERIFY, 1),      hsm_attribute_bool(HSM_ATTR_TOKEN, 1),
    };
    OK(hsm_object_create(session, template, 6, &hmac_key));
    hmac.hash = HSM_HASH_SHA384;
    OK(hsm_sign(session, hmac_key, &hmac, data, LONG_LEN, ours, &ours_len));
    assert_non_null(HMAC(EVP_sha384(), value, 32, data, LONG_LEN, theirs, &theirs_len));
    assert_int_equal(ours_len, theirs_len);
    assert_memory_equal(ours, theirs, ours_len);
    check_signature(session, hmac_key, hmac_key, &hmac, false, 300);
    check_signature(session, hmac_key, hmac_key, &hmac, false, LONG_LEN);
    check_signature(session, cmac_key, cmac_key, &cmac, false, LONG_LEN);
    free(data);
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

/* --- without keys --- */

static void random_and_digests_of_any_length(void **state)
{
    uint8_t *bytes = (uint8_t *)calloc(1, LONG_LEN), digest[64], copied[64];
    size_t n_zero = 0, len = sizeof(digest), copied_len = sizeof(copied);
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(0);
    hsm_operation *operation = NULL, *copy = NULL;

    OK(hsm_random(session_of(state), bytes, LONG_LEN));
    for (size_t i = 0; i < LONG_LEN; i++)
        n_zero += bytes[i] == 0;
    assert_in_range(n_zero, LONG_LEN / 300, LONG_LEN / 200);

    OK(hsm_digest(HSM_HASH_SHA3_512, "abc", 3, digest, &len));
    assert_int_equal(len, 64);
    mechanism.hash = HSM_HASH_SHA3_512;
    OK(hsm_operation_begin(NULL, HSM_OPERATION_DIGEST, NULL, &mechanism, 0, &operation));
    OK(hsm_operation_update(operation, "ab", 2, NULL, NULL));
    OK(hsm_operation_copy(operation, &copy));
    OK(hsm_operation_update(operation, "zz", 2, NULL, NULL));
    OK(hsm_operation_update(copy, "c", 1, NULL, NULL));
    OK(hsm_operation_final(copy, copied, &copied_len));
    assert_memory_equal(copied, digest, 64);
    hsm_operation_free(operation);
    hsm_operation_free(copy);
    free(bytes);
}

static void copies_of_an_operation_go_separate_ways(void **state)
{
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session);
    hsm_mechanism cmac = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CMAC);
    hsm_operation *operation = NULL, *copy = NULL;
    uint8_t *data = pattern(LONG_LEN), macs[2][16];
    size_t len = 16;

    OK(hsm_operation_begin(session, HSM_OPERATION_SIGN, &key, &cmac, 0, &operation));
    OK(hsm_operation_update(operation, data, LONG_LEN, NULL, NULL));
    OK(hsm_operation_copy(operation, &copy));
    OK(hsm_operation_final(operation, macs[0], &len));
    OK(hsm_operation_final(copy, macs[1], &len));
    assert_memory_equal(macs[0], macs[1], 16);
    OK(hsm_verify(session, key, &cmac, data, LONG_LEN, macs[0], 16));
    hsm_operation_free(operation);
    hsm_operation_free(copy);
    free(data);
}

/* --- queues --- */

static void take(hsm_queue *queue, hsm_completion *completion)
{
    struct pollfd poll_fd = {hsm_queue_fd(queue), POLLIN, 0};
    hsm_status status;

    completion->size = sizeof(*completion);
    while ((status = hsm_queue_next(queue, 0, completion)) == HSM_PENDING)
        assert_int_equal(poll(&poll_fd, 1, 10000), 1);
    OK(status);
}

static void a_queue_keeps_hundreds_in_flight(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_mechanism ecdsa = HSM_MECHANISM_INIT(HSM_MECHANISM_ECDSA);
    hsm_completion completion = HSM_COMPLETION_INIT;
    hsm_key public_key, private_key;
    hsm_queue *queue = NULL;
    uintptr_t sum = 0;

    ecdsa.hash = HSM_HASH_SHA256;
    OK(hsm_key_pair_generate_ec(world->user, "async", HSM_CURVE_P256, &public_key, &private_key));
    OK(hsm_queue_open(world->cluster, &queue));
    FAILS(HSM_OPERATION_NOT_ACTIVE, hsm_queue_next(queue, 0, &completion));
    for (uintptr_t i = 1; i <= 500; i++)
        OK(hsm_submit_sign(queue, world->user, private_key, &ecdsa, &i, sizeof(i), (void *)i));
    OK(hsm_queue_flush(queue));
    for (int i = 0; i < 500; i++) {
        take(queue, &completion);
        OK(completion.status);
        uintptr_t message = (uintptr_t)completion.user_data;
        sum += message;
        OK(hsm_verify(world->user, public_key, &ecdsa, &message, sizeof(message), completion.output,
                      completion.output_len));
        hsm_completion_release(&completion);
    }
    assert_int_equal(sum, 500 * 501 / 2);
    assert_int_equal(hsm_queue_outstanding(queue), 0);
    OK(hsm_submit_ping(queue, NULL)); /* closed before it completes */
    hsm_queue_close(queue);
}

static void every_kind_of_submission_completes(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_session *session = world->user;
    hsm_mechanism ecdsa = HSM_MECHANISM_INIT(HSM_MECHANISM_ECDSA), gcm = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_GCM);
    hsm_completion completion = HSM_COMPLETION_INIT;
    hsm_key public_key, private_key, key = aes_key(session);
    hsm_queue *queue = NULL;
    uint8_t digest[32], signature[64], cipher[64], nonce[16];
    size_t len = 32;

    ecdsa.hash = HSM_HASH_SHA256;
    OK(hsm_key_pair_generate_ec(session, "async", HSM_CURVE_P256, &public_key, &private_key));
    OK(hsm_digest(HSM_HASH_SHA256, "data", 4, digest, &len));
    OK(hsm_queue_open(world->cluster, &queue));

    OK(hsm_submit_ping(queue, NULL));
    take(queue, &completion);
    OK(completion.status);
    hsm_completion_release(&completion);
    OK(hsm_submit_random(queue, session, 32, NULL));
    take(queue, &completion);
    assert_int_equal(completion.output_len, 32);
    hsm_completion_release(&completion);
    OK(hsm_submit_sign_digest(queue, session, private_key, &ecdsa, digest, 32, NULL));
    take(queue, &completion);
    assert_int_equal(completion.output_len, 64);
    memcpy(signature, completion.output, 64);
    hsm_completion_release(&completion);
    OK(hsm_submit_verify(queue, session, public_key, &ecdsa, "data", 4, signature, 64, NULL));
    take(queue, &completion);
    OK(completion.status);
    hsm_completion_release(&completion);
    signature[0] ^= 1;
    OK(hsm_submit_verify_digest(queue, session, public_key, &ecdsa, digest, 32, signature, 64, NULL));
    take(queue, &completion);
    assert_int_equal(completion.status, HSM_SIGNATURE_INVALID);
    hsm_completion_release(&completion);
    OK(hsm_submit_encrypt(queue, session, key, &gcm, "data", 4, NULL));
    take(queue, &completion);
    assert_int_equal(completion.output_len, 20);
    assert_int_equal(completion.nonce_len, HSM_NONCE_MADE_LEN);
    memcpy(cipher, completion.output, 20);
    memcpy(nonce, completion.nonce, completion.nonce_len);
    hsm_completion_release(&completion);
    gcm.nonce = nonce;
    gcm.nonce_len = HSM_NONCE_MADE_LEN;
    OK(hsm_submit_decrypt(queue, session, key, &gcm, cipher, 20, NULL));
    take(queue, &completion);
    assert_memory_equal(completion.output, "data", 4);
    hsm_completion_release(&completion);
    hsm_queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ciphers_agree_in_one_call_and_in_parts),
        cmocka_unit_test(ciphertexts_are_those_of_openssl),
        cmocka_unit_test(gcm_with_a_nonce_of_the_node),
        cmocka_unit_test(gcm_holds_plaintext_and_takes_the_tag_apart),
        cmocka_unit_test(ccm_and_rsa_go_in_one_piece),
        cmocka_unit_test(signatures_verify_here_and_in_openssl),
        cmocka_unit_test(macs_of_any_length_are_those_of_openssl),
        cmocka_unit_test(keys_wrap_and_unwrap),
        cmocka_unit_test(both_sides_of_ecdh_derive_the_same),
        cmocka_unit_test(encapsulation_gives_both_sides_one_secret_or_is_refused),
        cmocka_unit_test(random_and_digests_of_any_length),
        cmocka_unit_test(copies_of_an_operation_go_separate_ways),
        cmocka_unit_test(a_queue_keeps_hundreds_in_flight),
        cmocka_unit_test(every_kind_of_submission_completes),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
