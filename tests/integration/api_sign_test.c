/* Signatures, MACs, digests and random bytes through hsm/crypto.h against a real node, checked with OpenSSL. */
#include "api_fixture.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static hsm_session *session_of(void **state)
{
    return ((struct world *)*state)->user;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_verify_here_and_in_openssl),
        cmocka_unit_test(macs_of_any_length_are_those_of_openssl),
        cmocka_unit_test(random_and_digests_of_any_length),
        cmocka_unit_test(copies_of_an_operation_go_separate_ways),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
