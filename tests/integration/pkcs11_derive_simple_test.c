/* The simple derivations of PKCS#11 3.0: a part of a key, its digest, data encrypted with it (2.15, 2.43), and HKDF
 * into a data object (2.62); and the truncated forms of SHA-512. What comes out is compared with OpenSSL or with known
 * answers. */
#include "pkcs11_fixture.h"

#define ROOM 256

#define OPEN_SECRET(len)                                                                                               \
    TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET),                          \
             A_NUMBER(CKA_VALUE_LEN, len), A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE))

#define OPEN TEMPLATE(A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE))

static CK_OBJECT_HANDLE sensitive_base(CK_ULONG len)
{
    CK_OBJECT_HANDLE base;

    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_GENERIC_SECRET_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, len), A_TRUE(CKA_DERIVE)), &base));
    return base;
}

/* --- a part of a key --- */

/* The example of PKCS#11 3.0, 2.43.11: the bits wrap around. */
static void a_part_of_a_key_begins_at_any_bit(void **state)
{
    static const CK_BYTE BASE[] = {0x32, 0x9f, 0x84, 0xa9};
    CK_OBJECT_HANDLE base = secret_of(CKK_GENERIC_SECRET, BASE, sizeof(BASE)), derived;
    CK_EXTRACT_PARAMS first = 21;

    (void)state;
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, first), base, OPEN_SECRET(2), &derived));
    assert_value(derived, "\x95\x26", 2);
    first = 0;
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, first), base, OPEN, &derived));
    assert_value(derived, BASE, sizeof(BASE));
    first = 24;
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, first), base, OPEN_SECRET(3), &derived));
    assert_value(derived, "\xa9\x32\x9f", 3);
    RV(CKR_KEY_SIZE_RANGE,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, first), base, OPEN_SECRET(5), &derived));
    static const CK_EXTRACT_PARAMS BEYOND[] = {32, UINT32_MAX, (CK_ULONG)UINT32_MAX + 1, (CK_ULONG)-1};
    for (size_t i = 0; i < sizeof(BEYOND) / sizeof(BEYOND[0]); i++)
        RV(CKR_MECHANISM_PARAM_INVALID, p11->C_DeriveKey(session, MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, BEYOND[i]),
                                                         base, OPEN_SECRET(2), &derived));
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_DeriveKey(session, MECHANISM(CKM_EXTRACT_KEY_FROM_KEY), base, OPEN_SECRET(2), &derived));
}

/* Nobody finds out a sensitive key by trying one small part of it after the other. */
static void parts_of_a_sensitive_key_are_sensitive_and_not_small(void **state)
{
    CK_OBJECT_HANDLE base = sensitive_base(32), derived;
    CK_EXTRACT_PARAMS first = 64;
    CK_ATTRIBUTE closed[] = {A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES),
                             A_NUMBER(CKA_VALUE_LEN, 16)},
                 small[] = {A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET), A_NUMBER(CKA_VALUE_LEN, 15)};

    (void)state;
    RV(CKR_TEMPLATE_INCONSISTENT,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, first), base, OPEN_SECRET(16), &derived));
    RV(CKR_KEY_SIZE_RANGE,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, first), base, small, 2, &derived));
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_EXTRACT_KEY_FROM_KEY, first), base, closed, 3, &derived));
    assert_true(flag_of(derived, CKA_SENSITIVE));
    assert_true(flag_of(derived, CKA_ALWAYS_SENSITIVE));
    assert_true(flag_of(derived, CKA_NEVER_EXTRACTABLE));
}

/* --- its digest --- */

static const struct {
    CK_MECHANISM_TYPE derivation, digest, hmac, hmac_general, generation;
    CK_KEY_TYPE key_type;
    const char *name;
} HASHES[] = {
    {CKM_SHA1_KEY_DERIVATION, CKM_SHA_1, CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL, CKM_SHA_1_KEY_GEN, CKK_SHA_1_HMAC,
     "SHA1"},
    {CKM_SHA224_KEY_DERIVATION, CKM_SHA224, CKM_SHA224_HMAC, CKM_SHA224_HMAC_GENERAL, CKM_SHA224_KEY_GEN,
     CKK_SHA224_HMAC, "SHA224"},
    {CKM_SHA256_KEY_DERIVATION, CKM_SHA256, CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, CKM_SHA256_KEY_GEN,
     CKK_SHA256_HMAC, "SHA256"},
    {CKM_SHA384_KEY_DERIVATION, CKM_SHA384, CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL, CKM_SHA384_KEY_GEN,
     CKK_SHA384_HMAC, "SHA384"},
    {CKM_SHA512_KEY_DERIVATION, CKM_SHA512, CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL, CKM_SHA512_KEY_GEN,
     CKK_SHA512_HMAC, "SHA512"},
    {CKM_SHA512_224_KEY_DERIVATION, CKM_SHA512_224, CKM_SHA512_224_HMAC, CKM_SHA512_224_HMAC_GENERAL,
     CKM_SHA512_224_KEY_GEN, CKK_SHA512_224_HMAC, "SHA512-224"},
    {CKM_SHA512_256_KEY_DERIVATION, CKM_SHA512_256, CKM_SHA512_256_HMAC, CKM_SHA512_256_HMAC_GENERAL,
     CKM_SHA512_256_KEY_GEN, CKK_SHA512_256_HMAC, "SHA512-256"},
    {CKM_SHA3_224_KEY_DERIVATION, CKM_SHA3_224, CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL, CKM_SHA3_224_KEY_GEN,
     CKK_SHA3_224_HMAC, "SHA3-224"},
    {CKM_SHA3_256_KEY_DERIVATION, CKM_SHA3_256, CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL, CKM_SHA3_256_KEY_GEN,
     CKK_SHA3_256_HMAC, "SHA3-256"},
    {CKM_SHA3_384_KEY_DERIVATION, CKM_SHA3_384, CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL, CKM_SHA3_384_KEY_GEN,
     CKK_SHA3_384_HMAC, "SHA3-384"},
    {CKM_SHA3_512_KEY_DERIVATION, CKM_SHA3_512, CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL, CKM_SHA3_512_KEY_GEN,
     CKK_SHA3_512_HMAC, "SHA3-512"},
};

#define N_HASHES (sizeof(HASHES) / sizeof(HASHES[0]))

static void the_digest_of_a_key_is_a_key(void **state)
{
    CK_OBJECT_HANDLE base = secret_of(CKK_GENERIC_SECRET, "a base key", 10), derived;

    (void)state;
    for (size_t i = 0; i < N_HASHES; i++) {
        CK_BYTE digest[64];
        size_t len;

        assert_true(EVP_Q_digest(NULL, HASHES[i].name, NULL, "a base key", 10, digest, &len));
        FINE(p11->C_DeriveKey(session, MECHANISM(HASHES[i].derivation), base, OPEN, &derived));
        assert_value(derived, digest, len);
        assert_int_equal(number_of(derived, CKA_KEY_TYPE), CKK_GENERIC_SECRET);
        FINE(p11->C_DeriveKey(session, MECHANISM(HASHES[i].derivation), base,
                              TEMPLATE(A_NUMBER(CKA_KEY_TYPE, CKK_AES), A_NUMBER(CKA_VALUE_LEN, 16),
                                       A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE)),
                              &derived));
        assert_value(derived, digest, 16);
        RV(CKR_KEY_SIZE_RANGE,
           p11->C_DeriveKey(session, MECHANISM(HASHES[i].derivation), base, OPEN_SECRET(len + 1), &derived));
        RV(CKR_MECHANISM_PARAM_INVALID,
           p11->C_DeriveKey(session, MECHANISM_OF(HASHES[i].derivation, "x", 1), base, OPEN, &derived));
    }
}

/* --- the truncated forms of SHA-512 --- */

/* FIPS 180-4, 5.3.6; the digests of "abc" are NIST's example values. */
static void truncated_sha512_gives_the_known_answers(void **state)
{
    static const CK_BYTE ABC_224[] = {0x46, 0x34, 0x27, 0x0f, 0x70, 0x7b, 0x6a, 0x54, 0xda, 0xae,
                                      0x75, 0x30, 0x46, 0x08, 0x42, 0xe2, 0x0e, 0x37, 0xed, 0x26,
                                      0x5c, 0xee, 0xe9, 0xa4, 0x3e, 0x89, 0x24, 0xaa};
    static const CK_BYTE ABC_256[] = {0x53, 0x04, 0x8e, 0x26, 0x81, 0x94, 0x1e, 0xf9, 0x9b, 0x2e, 0x29,
                                      0xb7, 0x6b, 0x4c, 0x7d, 0xab, 0xe4, 0xc2, 0xd0, 0xc6, 0x34, 0xfc,
                                      0x6d, 0x46, 0xe0, 0xe2, 0xf1, 0x31, 0x07, 0xe7, 0xaf, 0x23};
    CK_BYTE digest[64];
    CK_ULONG len = sizeof(digest);

    (void)state;
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA512_224)));
    FINE(p11->C_Digest(session, TEXT("abc"), digest, &len));
    assert_int_equal(len, sizeof(ABC_224));
    assert_memory_equal(digest, ABC_224, sizeof(ABC_224));
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA512_256)));
    FINE(p11->C_DigestUpdate(session, TEXT("a")));
    FINE(p11->C_DigestUpdate(session, TEXT("bc")));
    len = sizeof(digest);
    FINE(p11->C_DigestFinal(session, digest, &len));
    assert_int_equal(len, sizeof(ABC_256));
    assert_memory_equal(digest, ABC_256, sizeof(ABC_256));
}

static void sign_in_parts(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *data, CK_ULONG len, CK_BYTE *mac,
                          CK_ULONG *mac_len)
{
    FINE(p11->C_SignInit(session, mechanism, key));
    for (CK_ULONG at = 0; at < len; at += 100)
        FINE(p11->C_SignUpdate(session, data + at, len - at < 100 ? len - at : 100));
    FINE(p11->C_SignFinal(session, mac, mac_len));
}

/* In one part and in several, whole and shortened. */
static void hmac_of_every_hash_is_that_of_openssl(void **state)
{
    CK_BYTE data[1000], expected[64], mac[64];

    (void)state;
    memset(data, 'd', sizeof(data));
    for (size_t i = 0; i < N_HASHES; i++) {
        CK_OBJECT_HANDLE key = secret_of(HASHES[i].key_type, "the key of a MAC", 16);
        CK_MAC_GENERAL_PARAMS shortened = 10;
        CK_ULONG len = sizeof(mac);
        size_t whole;

        assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, HASHES[i].name, NULL, "the key of a MAC", 16, data, sizeof(data),
                                  expected, sizeof(expected), &whole));
        FINE(p11->C_SignInit(session, MECHANISM(HASHES[i].hmac), key));
        FINE(p11->C_Sign(session, data, sizeof(data), mac, &len));
        assert_int_equal(len, whole);
        assert_memory_equal(mac, expected, whole);
        len = sizeof(mac);
        sign_in_parts(MECHANISM(HASHES[i].hmac), key, data, sizeof(data), mac, &len);
        assert_int_equal(len, whole);
        assert_memory_equal(mac, expected, whole);
        FINE(p11->C_VerifyInit(session, MECHANISM_WITH(HASHES[i].hmac_general, shortened), key));
        FINE(p11->C_Verify(session, data, sizeof(data), expected, 10));
        expected[9] ^= 1;
        FINE(p11->C_VerifyInit(session, MECHANISM_WITH(HASHES[i].hmac_general, shortened), key));
        RV(CKR_SIGNATURE_INVALID, p11->C_Verify(session, data, sizeof(data), expected, 10));
        FINE(p11->C_GenerateKey(session, MECHANISM(HASHES[i].generation), TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32)), &key));
    }
}

/* --- data encrypted with it --- */

static const CK_BYTE AES_KEY[] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                  0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
static CK_BYTE plaintext[] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e,
                              0x11, 0x73, 0x93, 0x17, 0x2a, 0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03,
                              0xac, 0x9c, 0x9e, 0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51};

/* SP 800-38A, F.1.1 and F.2.1. */
static void data_encrypted_with_aes_is_a_key(void **state)
{
    static const CK_BYTE ECB[] = {0x3a, 0xd7, 0x7b, 0xb4, 0x0d, 0x7a, 0x36, 0x60, 0xa8, 0x9e, 0xca,
                                  0xf3, 0x24, 0x66, 0xef, 0x97, 0xf5, 0xd3, 0xd5, 0x85, 0x03, 0xb9,
                                  0x69, 0x9d, 0xe7, 0x85, 0x89, 0x5a, 0x96, 0xfd, 0xba, 0xaf};
    static const CK_BYTE CBC[] = {0x76, 0x49, 0xab, 0xac, 0x81, 0x19, 0xb2, 0x46, 0xce, 0xe9, 0x8e,
                                  0x9b, 0x12, 0xe9, 0x19, 0x7d, 0x50, 0x86, 0xcb, 0x9b, 0x50, 0x72,
                                  0x19, 0xee, 0x95, 0xdb, 0x11, 0x3a, 0x91, 0x76, 0x78, 0xb2};
    CK_OBJECT_HANDLE key = secret_of(CKK_AES, AES_KEY, 16), derived;
    CK_KEY_DERIVATION_STRING_DATA ecb = {plaintext, 32};
    CK_AES_CBC_ENCRYPT_DATA_PARAMS cbc = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, plaintext, 32};

    (void)state;
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_AES_ECB_ENCRYPT_DATA, ecb), key, OPEN, &derived));
    assert_value(derived, ECB, 32);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_AES_CBC_ENCRYPT_DATA, cbc), key, OPEN_SECRET(32), &derived));
    assert_value(derived, CBC, 32);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_AES_CBC_ENCRYPT_DATA, cbc), key, OPEN_SECRET(20), &derived));
    assert_value(derived, CBC, 20);
    RV(CKR_KEY_SIZE_RANGE,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_AES_CBC_ENCRYPT_DATA, cbc), key, OPEN_SECRET(33), &derived));
}

static void data_to_be_encrypted_comes_in_whole_blocks(void **state)
{
    CK_OBJECT_HANDLE key = secret_of(CKK_AES, AES_KEY, 16), generic = secret_of(CKK_GENERIC_SECRET, AES_KEY, 16),
                     derived;
    CK_KEY_DERIVATION_STRING_DATA ecb[] = {
        {plaintext, 0}, {plaintext, 15}, {plaintext, 17}, {NULL, 16}, {plaintext, (CK_ULONG)-16}};
    CK_AES_CBC_ENCRYPT_DATA_PARAMS cbc[] = {
        {{0}, plaintext, 0}, {{0}, plaintext, 31}, {{0}, NULL, 16}, {{0}, plaintext, (CK_ULONG)-16}};

    (void)state;
    for (size_t i = 0; i < sizeof(ecb) / sizeof(ecb[0]); i++)
        RV(CKR_MECHANISM_PARAM_INVALID,
           p11->C_DeriveKey(session, MECHANISM_WITH(CKM_AES_ECB_ENCRYPT_DATA, ecb[i]), key, OPEN, &derived));
    for (size_t i = 0; i < sizeof(cbc) / sizeof(cbc[0]); i++)
        RV(CKR_MECHANISM_PARAM_INVALID,
           p11->C_DeriveKey(session, MECHANISM_WITH(CKM_AES_CBC_ENCRYPT_DATA, cbc[i]), key, OPEN, &derived));
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_DeriveKey(session, MECHANISM(CKM_AES_ECB_ENCRYPT_DATA), key, OPEN, &derived));
    ecb[0].ulLen = 16;
    RV(CKR_KEY_TYPE_INCONSISTENT,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_AES_ECB_ENCRYPT_DATA, ecb[0]), generic, OPEN, &derived));
}

/* A key that serves this derivation alone does not encrypt by the same cipher, which would give away what it derives.
 */
static void a_key_for_this_derivation_alone_does_not_encrypt(void **state)
{
    static const CK_MECHANISM_TYPE ALLOWED[] = {CKM_AES_ECB_ENCRYPT_DATA};
    CK_KEY_DERIVATION_STRING_DATA ecb = {plaintext, 16};
    CK_OBJECT_HANDLE key, derived;
    CK_BYTE out[32];

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32), A_TRUE(CKA_DERIVE), A_TRUE(CKA_ENCRYPT),
                                     A_BYTES(CKA_ALLOWED_MECHANISMS, ALLOWED, sizeof(ALLOWED))),
                            &key));
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_AES_ECB_ENCRYPT_DATA, ecb), key, OPEN, &derived));
    CK_RV rv = p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key);
    if (rv == CKR_OK)
        rv = p11->C_Encrypt(session, plaintext, 16, out, &(CK_ULONG){sizeof(out)});
    RV(CKR_MECHANISM_INVALID, rv);
}

static void openssl_encrypts(const char *cipher_name, const CK_BYTE *key, const CK_BYTE *iv, CK_BYTE out[32])
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, cipher_name, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int len;

    assert_true(EVP_EncryptInit_ex2(context, cipher, key, iv, NULL) && EVP_CIPHER_CTX_set_padding(context, 0));
    assert_true(EVP_EncryptUpdate(context, out, &len, plaintext, 32));
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
}

static void data_encrypted_with_triple_des_is_a_key(void **state)
{
    static const CK_BYTE KEY[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x23, 0x45, 0x67, 0x89,
                                  0xab, 0xcd, 0xef, 0x01, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23};
    CK_OBJECT_HANDLE key = secret_of(CKK_DES3, KEY, 24), derived;
    CK_KEY_DERIVATION_STRING_DATA ecb = {plaintext, 32};
    CK_DES_CBC_ENCRYPT_DATA_PARAMS cbc = {{1, 2, 3, 4, 5, 6, 7, 8}, plaintext, 32};
    CK_BYTE expected[32];

    (void)state;
    openssl_encrypts("DES-EDE3-ECB", KEY, NULL, expected);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_DES3_ECB_ENCRYPT_DATA, ecb), key, OPEN, &derived));
    assert_value(derived, expected, 32);
    openssl_encrypts("DES-EDE3-CBC", KEY, cbc.iv, expected);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_DES3_CBC_ENCRYPT_DATA, cbc), key, OPEN, &derived));
    assert_value(derived, expected, 32);
    cbc.length = 20;
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_DES3_CBC_ENCRYPT_DATA, cbc), key, OPEN, &derived));
}

/* --- HKDF into data --- */

/* RFC 5869, A.1. */
static void hkdf_makes_a_data_object(void **state)
{
    static const CK_BYTE OKM[] = {0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36,
                                  0x2f, 0x2a, 0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c, 0x5d, 0xb0, 0x2d, 0x56,
                                  0xec, 0xc4, 0xc5, 0xbf, 0x34, 0x00, 0x72, 0x08, 0xd5, 0xb8, 0x87, 0x18, 0x58, 0x65};
    CK_BYTE ikm[22], salt[13], info[10], value[ROOM];
    CK_OBJECT_HANDLE key, data, found;

    (void)state;
    memset(ikm, 0x0b, sizeof(ikm));
    for (CK_BYTE i = 0; i < 13; i++)
        salt[i] = i;
    for (CK_BYTE i = 0; i < 10; i++)
        info[i] = 0xf0 + i;
    key = secret_of(CKK_HKDF, ikm, sizeof(ikm));
    CK_HKDF_PARAMS params = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_DATA, salt, 13, 0, info, 10};
    CK_ATTRIBUTE template[] = {A_TRUE(CKA_TOKEN), A_NUMBER(CKA_CLASS, CKO_DATA), A_TEXT(CKA_LABEL, "derived data"),
                               A_TEXT(CKA_APPLICATION, "test"), A_NUMBER(CKA_VALUE_LEN, 42)};
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DATA, params), key, template, 5, &data));
    assert_int_equal(number_of(data, CKA_CLASS), CKO_DATA);
    assert_int_equal(value_of(data, CKA_VALUE, value, sizeof(value)), 42);
    assert_memory_equal(value, OKM, 42);
    assert_int_equal(search(session, template, 4, &found, 1), 1);
    assert_int_equal(found, data);
    FINE(p11->C_DestroyObject(session, data));
    /* Without CKA_TOKEN it is the session's, without CKA_VALUE_LEN as long as the hash. */
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DATA, params), key, NULL, 0, &data));
    assert_int_equal(value_of(data, CKA_VALUE, value, sizeof(value)), 32);
    assert_memory_equal(value, OKM, 32);
    assert_false(flag_of(data, CKA_TOKEN));
}

static void hkdf_makes_data_and_keys_each_by_its_own_mechanism(void **state)
{
    static const CK_BYTE KEY[32] = {1};
    CK_HKDF_PARAMS hkdf = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 0};
    CK_KEY_DERIVATION_STRING_DATA data = {(CK_BYTE *)"data", 4};
    CK_ATTRIBUTE as_data[] = {A_NUMBER(CKA_CLASS, CKO_DATA)},
                 as_key[] = {A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_VALUE_LEN, 32)},
                 typed[] = {A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET)}, huge[] = {A_NUMBER(CKA_VALUE_LEN, 100000)};
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), made;

    (void)state;
    RV(CKR_TEMPLATE_INCONSISTENT,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, hkdf), key, as_data, 1, &made));
    RV(CKR_TEMPLATE_INCONSISTENT,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, data), key, as_data, 1, &made));
    RV(CKR_TEMPLATE_INCONSISTENT,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DATA, hkdf), key, as_key, 2, &made));
    RV(CKR_TEMPLATE_INCONSISTENT, p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DATA, hkdf), key, typed, 1, &made));
    REFUSED(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DATA, hkdf), key, huge, 1, &made));
}

/* What the owner of a key ruled about keys that are made of it is not evaded by making data of it. */
static void a_derive_template_is_not_evaded_by_data(void **state)
{
    CK_ATTRIBUTE inner[] = {A_TRUE(CKA_SENSITIVE), A_FALSE(CKA_EXTRACTABLE)};
    CK_HKDF_PARAMS hkdf = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 0};
    CK_OBJECT_HANDLE base, made;

    (void)state;
    FINE(p11->C_GenerateKey(
        session, MECHANISM(CKM_HKDF_KEY_GEN),
        TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32), A_TRUE(CKA_DERIVE), A_BYTES(CKA_DERIVE_TEMPLATE, inner, sizeof(inner))),
        &base));
    REFUSED(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DATA, hkdf), base, NULL, 0, &made));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(a_part_of_a_key_begins_at_any_bit),
        user_test(parts_of_a_sensitive_key_are_sensitive_and_not_small),
        user_test(the_digest_of_a_key_is_a_key),
        user_test(truncated_sha512_gives_the_known_answers),
        user_test(hmac_of_every_hash_is_that_of_openssl),
        user_test(data_encrypted_with_aes_is_a_key),
        user_test(data_to_be_encrypted_comes_in_whole_blocks),
        user_test(a_key_for_this_derivation_alone_does_not_encrypt),
        user_test(data_encrypted_with_triple_des_is_a_key),
        user_test(hkdf_makes_a_data_object),
        user_test(hkdf_makes_data_and_keys_each_by_its_own_mechanism),
        user_test(a_derive_template_is_not_evaded_by_data),
    };
    world_settings = "\"allow-des3-encrypt\": true,";
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
