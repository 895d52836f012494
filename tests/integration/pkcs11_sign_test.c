/* Signing, verifying, digests, and the rules of operations that they share with the others (PKCS#11 2.40, 5.2, 5.10 to
 * 5.12). What is signed here is verified by OpenSSL, and the other way round. */
#include "pkcs11_fixture.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#define ROOM RESULT_ROOM

static CK_BYTE message[] = "what is signed";
#define MESSAGE message, sizeof(message) - 1

/* All the ways of one mechanism: signed at once and in parts, verified at once and in parts, and refused when a bit is
 * wrong. */
static void goes_all_ways(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE signer, CK_OBJECT_HANDLE verifier)
{
    CK_BYTE first[ROOM], second[ROOM];
    CK_ULONG len = sign_at_once(mechanism, signer, MESSAGE, first), len_parts = 0;

    FINE(verify_at_once(mechanism, verifier, MESSAGE, first, len));
    FINE(p11->C_SignInit(session, mechanism, signer));
    FINE(p11->C_SignUpdate(session, message, 4));
    FINE(p11->C_SignUpdate(session, message, 0));
    FINE(p11->C_SignUpdate(session, message + 4, sizeof(message) - 1 - 4));
    FINE(p11->C_SignFinal(session, NULL, &len_parts));
    assert_int_equal(len_parts, len);
    len_parts = 1;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_SignFinal(session, second, &len_parts));
    assert_int_equal(len_parts, len);
    FINE(p11->C_SignFinal(session, second, &len_parts));
    assert_int_equal(len_parts, len);
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignFinal(session, second, &len_parts));
    FINE(verify_at_once(mechanism, verifier, MESSAGE, second, len));
    FINE(p11->C_VerifyInit(session, mechanism, verifier));
    FINE(p11->C_VerifyUpdate(session, message, 1));
    FINE(p11->C_VerifyUpdate(session, message + 1, sizeof(message) - 2));
    FINE(p11->C_VerifyFinal(session, second, len));
    first[len / 2] ^= 1;
    RV(CKR_SIGNATURE_INVALID, verify_at_once(mechanism, verifier, MESSAGE, first, len));
    RV(CKR_SIGNATURE_LEN_RANGE, verify_at_once(mechanism, verifier, MESSAGE, second, len - 1));
    FINE(p11->C_VerifyInit(session, mechanism, verifier));
    FINE(p11->C_VerifyUpdate(session, message, 1));
    RV(CKR_SIGNATURE_INVALID, p11->C_VerifyFinal(session, second, len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyFinal(session, second, len));
}

static const struct hash {
    const char *name;
    CK_MECHANISM_TYPE digest, rsa, pss, ecdsa, hmac, hmac_general;
    CK_RSA_PKCS_MGF_TYPE mgf;
} HASHES[] = {
#define HASH(name, bits)                                                                                               \
    {                                                                                                                  \
        name, CKM_SHA##bits, CKM_SHA##bits##_RSA_PKCS, CKM_SHA##bits##_RSA_PKCS_PSS, CKM_ECDSA_SHA##bits,              \
            CKM_SHA##bits##_HMAC, CKM_SHA##bits##_HMAC_GENERAL, CKG_MGF1_SHA##bits                                     \
    }
    HASH("SHA224", 224),     HASH("SHA256", 256),     HASH("SHA384", 384),     HASH("SHA512", 512),
    HASH("SHA3-224", 3_224), HASH("SHA3-256", 3_256), HASH("SHA3-384", 3_384), HASH("SHA3-512", 3_512),
};
#define N_HASHES (sizeof(HASHES) / sizeof(HASHES[0]))

static CK_ULONG hash_len(const struct hash *hash)
{
    return (CK_ULONG)EVP_MD_get_size(EVP_get_digestbyname(hash->name));
}

/* --- RSA --- */

static bool openssl_verifies(EVP_PKEY *key, const char *md, int padding, const CK_BYTE *signature, CK_ULONG len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;

    assert_int_equal(EVP_DigestVerifyInit_ex(context, &parameters, md, NULL, NULL, key, NULL), 1);
    if (padding)
        assert_true(EVP_PKEY_CTX_set_rsa_padding(parameters, padding) > 0);
    bool good = EVP_DigestVerify(context, signature, len, MESSAGE) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static void rsa_signs_with_every_hash_as_openssl_verifies(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE signature[ROOM];

    (void)state;
    rsa_pair(&public_key, &private_key);
    EVP_PKEY *key = openssl_key(public_key);
    for (size_t i = 0; i < N_HASHES; i++) {
        CK_RSA_PKCS_PSS_PARAMS pss = {HASHES[i].digest, HASHES[i].mgf, hash_len(&HASHES[i])};

        CK_ULONG len = sign_at_once(MECHANISM(HASHES[i].rsa), private_key, MESSAGE, signature);
        assert_int_equal(len, 256);
        assert_true(openssl_verifies(key, HASHES[i].name, RSA_PKCS1_PADDING, signature, len));
        goes_all_ways(MECHANISM(HASHES[i].rsa), private_key, public_key);
        len = sign_at_once(MECHANISM_WITH(HASHES[i].pss, pss), private_key, MESSAGE, signature);
        assert_true(openssl_verifies(key, HASHES[i].name, RSA_PKCS1_PSS_PADDING, signature, len));
        goes_all_ways(MECHANISM_WITH(HASHES[i].pss, pss), private_key, public_key);
    }
    EVP_PKEY_free(key);
}

static void rsa_signs_a_digest_as_it_is(void **state)
{
    static const CK_BYTE INFO[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                   0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE info[sizeof(INFO) + 32], *digest = info + sizeof(INFO), signature[ROOM], long_data[300] = {1};
    CK_ULONG len = ROOM;

    (void)state;
    rsa_pair(&public_key, &private_key);
    EVP_PKEY *key = openssl_key(public_key);
    memcpy(info, INFO, sizeof(INFO));
    assert_true(EVP_Q_digest(NULL, "SHA256", NULL, MESSAGE, digest, NULL));
    len = sign_at_once(MECHANISM(CKM_RSA_PKCS), private_key, info, sizeof(info), signature);
    assert_true(openssl_verifies(key, "SHA256", RSA_PKCS1_PADDING, signature, len));
    FINE(verify_at_once(MECHANISM(CKM_RSA_PKCS), public_key, info, sizeof(info), signature, len));
    len = sign_at_once(MECHANISM_WITH(CKM_RSA_PKCS_PSS, pss), private_key, digest, 32, signature);
    assert_true(openssl_verifies(key, "SHA256", RSA_PKCS1_PSS_PADDING, signature, len));
    FINE(verify_at_once(MECHANISM_WITH(CKM_RSA_PKCS_PSS, pss), public_key, digest, 32, signature, len));
    FINE(p11->C_SignInit(session, MECHANISM_WITH(CKM_RSA_PKCS_PSS, pss), private_key));
    RV(CKR_DATA_LEN_RANGE, p11->C_Sign(session, digest, 31, signature, &len));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    len = ROOM;
    RV(CKR_DATA_LEN_RANGE, p11->C_Sign(session, long_data, sizeof(long_data), signature, &len));
    EVP_PKEY_free(key);
}

static void pss_parameters_are_checked(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_RSA_PKCS_PSS_PARAMS wrong[] = {{CKM_SHA384, CKG_MGF1_SHA256, 32},
                                      {CKM_AES_GCM, CKG_MGF1_SHA256, 32},
                                      {CKM_SHA256, 0, 32},
                                      {CKM_SHA256, 999, 32},
                                      {CKM_SHA256, CKG_MGF1_SHA256, 100000},
                                      {CKM_SHA256, CKG_MGF1_SHA256, (CK_ULONG)-1}};

    (void)state;
    rsa_pair(&public_key, &private_key);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        RV(CKR_MECHANISM_PARAM_INVALID,
           p11->C_SignInit(session, MECHANISM_WITH(CKM_SHA256_RSA_PKCS_PSS, wrong[i]), private_key));
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS_PSS), private_key));
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_SignInit(session, MECHANISM_OF(CKM_SHA256_RSA_PKCS_PSS, NULL, sizeof(wrong[0])), private_key));
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_SignInit(session, MECHANISM_OF(CKM_SHA256_RSA_PKCS_PSS, wrong, 3), private_key));
}

static void new_signatures_with_sha1_are_not_made(void **state)
{
    /* RFC 8017, 9.2, note 1 */
    static CK_BYTE digest_info[35] = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e,
                                      0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 20};
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE signature[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    rsa_pair(&public_key, &private_key);
    RV(CKR_MECHANISM_INVALID, p11->C_SignInit(session, MECHANISM(CKM_SHA1_RSA_PKCS), private_key));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    RV(CKR_MECHANISM_INVALID, p11->C_Sign(session, digest_info, sizeof(digest_info), signature, &len));
}

/* As programs look before they sign: what is refused is not offered, what remains is. */
static void mechanisms_say_what_the_cluster_refuses(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE mechanism;
        CK_FLAGS offered, refused;
    } EXPECTED[] = {
        {CKM_SHA1_RSA_PKCS, CKF_VERIFY, CKF_SIGN},    {CKM_SHA1_RSA_PKCS_PSS, CKF_VERIFY, CKF_SIGN},
        {CKM_ECDSA_SHA1, CKF_VERIFY, CKF_SIGN},       {CKM_SHA256_RSA_PKCS, CKF_SIGN | CKF_VERIFY, 0},
        {CKM_SHA_1_HMAC, CKF_SIGN | CKF_VERIFY, 0},   {CKM_DES3_CBC_PAD, CKF_DECRYPT, CKF_ENCRYPT},
        {CKM_AES_CBC_PAD, CKF_ENCRYPT | CKF_WRAP, 0},
    };
    CK_MECHANISM_INFO info;

    (void)state;
    for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++) {
        FINE(p11->C_GetMechanismInfo(0, EXPECTED[i].mechanism, &info));
        assert_int_equal(info.flags & EXPECTED[i].offered, EXPECTED[i].offered);
        assert_int_equal(info.flags & EXPECTED[i].refused, 0);
    }
}

/* --- elliptic curves --- */

/* DER, as OpenSSL takes it, of r || s. */
static CK_ULONG to_der(const CK_BYTE *raw, CK_ULONG len, CK_BYTE *der)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();

    ECDSA_SIG_set0(signature, BN_bin2bn(raw, (int)len / 2, NULL), BN_bin2bn(raw + len / 2, (int)len / 2, NULL));
    int der_len = i2d_ECDSA_SIG(signature, &der);
    ECDSA_SIG_free(signature);
    return (CK_ULONG)der_len;
}

static void ecdsa_signs_on_every_curve_as_openssl_verifies(void **state)
{
    static const struct {
        const char *oid;
        size_t oid_len;
        CK_ULONG len;
    } CURVES[] = {{P256, sizeof(P256) - 1, 64},
                  {P384, sizeof(P384) - 1, 96},
                  {P521, sizeof(P521) - 1, 132},
                  {"\x06\x05\x2b\x81\x04\x00\x21", 7, 56},
                  {"\x06\x05\x2b\x81\x04\x00\x0a", 7, 64}};
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE signature[ROOM], der[ROOM];

    (void)state;
    for (size_t i = 0; i < sizeof(CURVES) / sizeof(CURVES[0]); i++) {
        ec_pair(CURVES[i].oid, CURVES[i].oid_len, &public_key, &private_key);
        EVP_PKEY *key = openssl_key(public_key);
        for (size_t k = 0; k < N_HASHES; k++) {
            CK_ULONG len = sign_at_once(MECHANISM(HASHES[k].ecdsa), private_key, MESSAGE, signature);

            assert_int_equal(len, CURVES[i].len);
            assert_true(openssl_verifies(key, HASHES[k].name, 0, der, to_der(signature, len, der)));
            if (i == 0)
                goes_all_ways(MECHANISM(HASHES[k].ecdsa), private_key, public_key);
        }
        EVP_PKEY_free(key);
    }
}

static void ecdsa_signs_a_digest_as_it_is(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE digest[64], signature[ROOM], der[ROOM];

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    EVP_PKEY *key = openssl_key(public_key);
    assert_true(EVP_Q_digest(NULL, "SHA256", NULL, MESSAGE, digest, NULL));
    CK_ULONG len = sign_at_once(MECHANISM(CKM_ECDSA), private_key, digest, 32, signature);
    assert_true(openssl_verifies(key, "SHA256", 0, der, to_der(signature, len, der)));
    FINE(verify_at_once(MECHANISM(CKM_ECDSA), public_key, digest, 32, signature, len));
    /* PKCS#11 2.40, 2.3.6: longer input is cut to the length of the order, as FIPS 186 has it. */
    assert_true(EVP_Q_digest(NULL, "SHA512", NULL, MESSAGE, digest, NULL));
    len = sign_at_once(MECHANISM(CKM_ECDSA), private_key, digest, 64, signature);
    assert_true(openssl_verifies(key, "SHA512", 0, der, to_der(signature, len, der)));
    len = sign_at_once(MECHANISM(CKM_ECDSA), private_key, digest, 20, signature);
    FINE(verify_at_once(MECHANISM(CKM_ECDSA), public_key, digest, 20, signature, len));
    EVP_PKEY_free(key);
}

/* A digest has one part. */
static void raw_signatures_have_no_parts(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE digest[32] = {1}, signature[ROOM];

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA), private_key));
    REFUSED(p11->C_SignUpdate(session, digest, sizeof(digest)));
    CK_ULONG len = sign_at_once(MECHANISM(CKM_ECDSA), private_key, digest, 32, signature);
    FINE(verify_at_once(MECHANISM(CKM_ECDSA), public_key, digest, 32, signature, len));
}

static void eddsa_signs_as_openssl_verifies(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE signature[ROOM];
    CK_EDDSA_PARAMS prehash = {CK_TRUE, 0, NULL}, plain = {CK_FALSE, 0, NULL};

    (void)state;
    ec_pair(ED25519, sizeof(ED25519) - 1, &public_key, &private_key);
    EVP_PKEY *key = openssl_key(public_key);
    CK_ULONG len = sign_at_once(MECHANISM(CKM_EDDSA), private_key, MESSAGE, signature);
    assert_int_equal(len, 64);
    assert_true(openssl_verifies(key, NULL, 0, signature, len));
    FINE(verify_at_once(MECHANISM(CKM_EDDSA), public_key, MESSAGE, signature, len));
    FINE(verify_at_once(MECHANISM_WITH(CKM_EDDSA, plain), public_key, MESSAGE, signature, len));
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(session, MECHANISM_WITH(CKM_EDDSA, prehash), private_key));
    signature[3] ^= 4;
    RV(CKR_SIGNATURE_INVALID, verify_at_once(MECHANISM(CKM_EDDSA), public_key, MESSAGE, signature, len));
    EVP_PKEY_free(key);
}

/* --- MACs --- */

static void hmac_is_that_of_openssl_with_every_hash(void **state)
{
    static const CK_BYTE KEY[40] = "a key of forty bytes, neither more.....";
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, sizeof(KEY));
    CK_BYTE mac[ROOM], expected[64];
    size_t expected_len;

    (void)state;
    for (size_t i = 0; i < N_HASHES; i++) {
        CK_MAC_GENERAL_PARAMS cut = 12, none = 0, more = 65;

        assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, HASHES[i].name, NULL, KEY, sizeof(KEY), MESSAGE, expected,
                                  sizeof(expected), &expected_len));
        assert_int_equal(sign_at_once(MECHANISM(HASHES[i].hmac), key, MESSAGE, mac), expected_len);
        assert_memory_equal(mac, expected, expected_len);
        goes_all_ways(MECHANISM(HASHES[i].hmac), key, key);
        assert_int_equal(sign_at_once(MECHANISM_WITH(HASHES[i].hmac_general, cut), key, MESSAGE, mac), 12);
        assert_memory_equal(mac, expected, 12);
        FINE(verify_at_once(MECHANISM_WITH(HASHES[i].hmac_general, cut), key, MESSAGE, mac, 12));
        RV(CKR_SIGNATURE_LEN_RANGE, verify_at_once(MECHANISM_WITH(HASHES[i].hmac_general, cut), key, MESSAGE, mac, 11));
        RV(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(session, MECHANISM_WITH(HASHES[i].hmac_general, none), key));
        RV(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(session, MECHANISM_WITH(HASHES[i].hmac_general, more), key));
    }
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA1", NULL, KEY, sizeof(KEY), MESSAGE, expected, sizeof(expected),
                              &expected_len));
    assert_int_equal(sign_at_once(MECHANISM(CKM_SHA_1_HMAC), key, MESSAGE, mac), 20);
    assert_memory_equal(mac, expected, 20);
}

/* RFC 4493, section 4, examples 1 and 2. */
static void cmac_gives_the_known_answers(void **state)
{
    static const CK_BYTE KEY[] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                  0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
    static const CK_BYTE BLOCK[] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                                    0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a};
    static const CK_BYTE OF_BLOCK[] = {0x07, 0x0a, 0x16, 0xb4, 0x6b, 0x4d, 0x41, 0x44,
                                       0xf7, 0x9b, 0xdd, 0x9d, 0xd0, 0x4a, 0x28, 0x7c};
    static const CK_BYTE OF_NOTHING[] = {0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28,
                                         0x7f, 0xa3, 0x7d, 0x12, 0x9b, 0x75, 0x67, 0x46};
    CK_OBJECT_HANDLE key = secret_of(CKK_AES, KEY, sizeof(KEY));
    CK_BYTE mac[ROOM];
    CK_ULONG len = ROOM;
    CK_MAC_GENERAL_PARAMS cut = 8;

    (void)state;
    assert_int_equal(sign_at_once(MECHANISM(CKM_AES_CMAC), key, BLOCK, 16, mac), 16);
    assert_memory_equal(mac, OF_BLOCK, 16);
    assert_int_equal(sign_at_once(MECHANISM(CKM_AES_CMAC), key, NULL, 0, mac), 16);
    assert_memory_equal(mac, OF_NOTHING, 16);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), key));
    FINE(p11->C_SignFinal(session, mac, &len)); /* of an empty message, without a part */
    assert_memory_equal(mac, OF_NOTHING, 16);
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_AES_CMAC), key));
    FINE(p11->C_VerifyFinal(session, mac, 16));
    assert_int_equal(sign_at_once(MECHANISM_WITH(CKM_AES_CMAC_GENERAL, cut), key, BLOCK, 16, mac), 8);
    assert_memory_equal(mac, OF_BLOCK, 8);
    goes_all_ways(MECHANISM(CKM_AES_CMAC), key, key);
}

static void gmac_is_gcm_without_plaintext(void **state)
{
    CK_BYTE nonce[12] = "twelve bytes", mac[ROOM], tag[16], none[1];
    CK_OBJECT_HANDLE key = aes_key_of(32);
    CK_GCM_PARAMS_V3 gcm = {nonce, 12, 96, message, sizeof(message) - 1, 128};
    CK_ULONG len = sizeof(tag);

    (void)state;
    assert_int_equal(sign_at_once(MECHANISM_OF(CKM_AES_GMAC, nonce, 12), key, MESSAGE, mac), 16);
    FINE(p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_GCM, gcm), key));
    FINE(p11->C_Encrypt(session, none, 0, tag, &len));
    assert_int_equal(len, 16);
    assert_memory_equal(mac, tag, 16);
    FINE(verify_at_once(MECHANISM_OF(CKM_AES_GMAC, nonce, 12), key, MESSAGE, mac, 16));
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(session, MECHANISM(CKM_AES_GMAC), key));
}

/* --- digests --- */

static void digests_are_those_of_openssl(void **state)
{
    CK_BYTE digest[64], expected[64];
    CK_ULONG len;

    (void)state;
    CK_SESSION_HANDLE public_session = session; /* needs no login */
    FINE(p11->C_Logout(session));
    for (size_t i = 0; i < N_HASHES; i++) {
        assert_true(EVP_Q_digest(NULL, HASHES[i].name, NULL, MESSAGE, expected, NULL));
        FINE(p11->C_DigestInit(public_session, MECHANISM(HASHES[i].digest)));
        FINE(p11->C_Digest(public_session, MESSAGE, NULL, &len));
        assert_int_equal(len, hash_len(&HASHES[i]));
        len--;
        RV(CKR_BUFFER_TOO_SMALL, p11->C_Digest(public_session, MESSAGE, digest, &len));
        FINE(p11->C_Digest(public_session, MESSAGE, digest, &len));
        assert_memory_equal(digest, expected, len);
        FINE(p11->C_DigestInit(public_session, MECHANISM(HASHES[i].digest)));
        FINE(p11->C_DigestUpdate(public_session, message, 3));
        RV(CKR_OPERATION_ACTIVE, p11->C_Digest(public_session, MESSAGE, digest, &len));
        FINE(p11->C_DigestUpdate(public_session, message + 3, sizeof(message) - 4));
        len = 64;
        memset(digest, 0, sizeof(digest));
        FINE(p11->C_DigestFinal(public_session, digest, &len));
        assert_int_equal(len, hash_len(&HASHES[i]));
        assert_memory_equal(digest, expected, len);
    }
    RV(CKR_MECHANISM_INVALID, p11->C_DigestInit(public_session, MECHANISM(CKM_MD5)));
    RV(CKR_MECHANISM_INVALID, p11->C_DigestInit(public_session, MECHANISM(CKM_AES_GCM)));
    FINE(p11->C_DigestInit(public_session, MECHANISM(CKM_SHA256)));
    len = 64;
    FINE(p11->C_DigestFinal(public_session, digest, &len)); /* of nothing */
    assert_true(EVP_Q_digest(NULL, "SHA256", NULL, "", 0, expected, NULL));
    assert_memory_equal(digest, expected, 32);
}

static void keys_are_digested_when_their_value_may_be_seen(void **state)
{
    static const CK_BYTE KEY[16] = "sixteen bytes..";
    CK_OBJECT_HANDLE open_key = secret_of(CKK_GENERIC_SECRET, KEY, 16), closed_key = aes_key_of(16);
    CK_BYTE digest[32], expected[32], all[64];
    CK_ULONG len = sizeof(digest);

    (void)state;
    memcpy(all, "<<", 2);
    memcpy(all + 2, KEY, 16);
    memcpy(all + 18, ">>", 2);
    assert_true(EVP_Q_digest(NULL, "SHA256", NULL, all, 20, expected, NULL));
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    FINE(p11->C_DigestUpdate(session, all, 2));
    FINE(p11->C_DigestKey(session, open_key));
    FINE(p11->C_DigestUpdate(session, all + 18, 2));
    FINE(p11->C_DigestFinal(session, digest, &len));
    assert_memory_equal(digest, expected, 32);
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    RV(CKR_KEY_INDIGESTIBLE, p11->C_DigestKey(session, closed_key));
    (void)p11->C_SessionCancel(session, CKF_DIGEST);
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    RV(CKR_KEY_HANDLE_INVALID, p11->C_DigestKey(session, NO_HANDLE));
}

static void long_messages_are_signed_in_parts(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE signature[ROOM], der[ROOM];
    CK_ULONG len = ROOM;
    enum { LEN = 3000000, PART = 70001 };
    CK_BYTE *data = malloc(LEN);

    (void)state;
    for (size_t i = 0; i < LEN; i++)
        data[i] = (CK_BYTE)(i * 31 + i / 256);
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), private_key));
    for (CK_ULONG at = 0; at < LEN; at += PART)
        FINE(p11->C_SignUpdate(session, data + at, LEN - at < PART ? LEN - at : PART));
    FINE(p11->C_SignFinal(session, signature, &len));
    EVP_PKEY *key = openssl_key(public_key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(context, der, to_der(signature, len, der), data, LEN), 1);
    FINE(verify_at_once(MECHANISM(CKM_ECDSA_SHA256), public_key, data, LEN, signature, len)); /* and whole */
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(rsa_signs_with_every_hash_as_openssl_verifies),
        user_test(rsa_signs_a_digest_as_it_is),
        user_test(pss_parameters_are_checked),
        user_test(new_signatures_with_sha1_are_not_made),
        user_test(mechanisms_say_what_the_cluster_refuses),
        user_test(ecdsa_signs_on_every_curve_as_openssl_verifies),
        user_test(ecdsa_signs_a_digest_as_it_is),
        user_test(raw_signatures_have_no_parts),
        user_test(eddsa_signs_as_openssl_verifies),
        user_test(hmac_is_that_of_openssl_with_every_hash),
        user_test(cmac_gives_the_known_answers),
        user_test(gmac_is_gcm_without_plaintext),
        user_test(digests_are_those_of_openssl),
        user_test(keys_are_digested_when_their_value_may_be_seen),
        user_test(long_messages_are_signed_in_parts),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
