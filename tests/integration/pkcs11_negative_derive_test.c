/* Derivation: peers that are no points of the curve or of a small subgroup, and lengths that a function does not have.
 */
#include "pkcs11_negative.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>

#define TEST "derived_keys_are_those_of_openssl"
#define LEN  32

/* The base point of P-256 (SEC 2, 2.4.2) as the peer: the secret is the x coordinate of one's own public key. */
static CK_BYTE base_point[65] = {0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5,
                                 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4,
                                 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a,
                                 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33,
                                 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};
static CK_BYTE salt[5] = "salt.", info[4] = "info", data[LEN] = "data of thirty-two bytes, known.", iv[LEN] = {1, 2};
static const CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, sizeof(base_point), base_point};
static const CK_HKDF_PARAMS hkdf = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_DATA, salt, 5, 0, info, 4};
static CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 32};
static CK_PRF_DATA_PARAM counter_parts[] = {{CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof(counter)},
                                            {CK_SP800_108_BYTE_ARRAY, info, sizeof(info)}};
static CK_PRF_DATA_PARAM feedback_parts[] = {{CK_SP800_108_ITERATION_VARIABLE, NULL, 0},
                                             {CK_SP800_108_OPTIONAL_COUNTER, &counter, sizeof(counter)},
                                             {CK_SP800_108_BYTE_ARRAY, info, sizeof(info)}};
static const CK_SP800_108_KDF_PARAMS counter_kdf = {CKM_SHA256_HMAC, 2, counter_parts, 0, NULL};
static const CK_SP800_108_KDF_PARAMS double_pipeline_kdf = {CKM_SHA256_HMAC, 3, feedback_parts, 0, NULL};
static const CK_SP800_108_FEEDBACK_KDF_PARAMS feedback_kdf = {CKM_SHA256_HMAC, 3, feedback_parts, LEN, iv, 0, NULL};
static const CK_KEY_DERIVATION_STRING_DATA string = {data, LEN};
static CK_OBJECT_HANDLE second;

/* --- what must come out: LEN bytes --- */

static void x_of_the_public_key(CK_BYTE *out)
{
    BIGNUM *x = NULL;

    assert_true(EVP_PKEY_get_bn_param(openssl_pair(KEY_EC), OSSL_PKEY_PARAM_EC_PUB_X, &x));
    BN_bn2binpad(x, out, LEN);
    BN_free(x);
}

static void openssl_hkdf(CK_BYTE *out)
{
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)SECRET_VALUE, 32),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof(salt)),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info)),
                           OSSL_PARAM_construct_end()};
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);

    assert_true(EVP_KDF_derive(context, out, LEN, params) > 0);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

static void hmac_of(const CK_BYTE *head, size_t head_len, CK_BYTE *out)
{
    CK_BYTE input[64] = {0};

    memcpy(input, head, head_len);
    memcpy(input + head_len, "\0\0\0\x01info", 8);
    assert_non_null(
        EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, SECRET_VALUE, 32, input, head_len + 8, out, 32, NULL));
}

static void one_block_of_counter_mode(CK_BYTE *out)
{
    hmac_of(iv, 0, out);
}

static void one_block_of_feedback_mode(CK_BYTE *out)
{
    hmac_of(iv, sizeof(iv), out);
}

static void one_block_of_the_double_pipeline(CK_BYTE *out)
{
    CK_BYTE running[32];

    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, SECRET_VALUE, 32, info, 4, running, 32, NULL));
    hmac_of(running, sizeof(running), out);
}

static void the_base_key(CK_BYTE *out)
{
    memcpy(out, SECRET_VALUE, LEN);
}

static void the_data(CK_BYTE *out)
{
    memcpy(out, data, LEN);
}

static void both_combined(CK_BYTE *out)
{
    for (size_t i = 0; i < LEN; i++)
        out[i] = data[i] ^ SECRET_VALUE[i];
}

struct derive_row {
    struct row row;
    void (*expected)(CK_BYTE *out);
    CK_ULONG max; /* bytes at most */
};

#define NODE_MAX 4096 /* of what nodes derive */

static const struct derive_row ROWS[] = {
    {ROW_WITH(CKM_ECDH1_DERIVE, CKF_DERIVE, KEY_EC, TEST, ecdh), x_of_the_public_key, 32},
    {ROW_WITH(CKM_ECDH1_COFACTOR_DERIVE, CKF_DERIVE, KEY_EC, TEST, ecdh), x_of_the_public_key, 32},
    {ROW_WITH(CKM_HKDF_DERIVE, CKF_DERIVE, KEY_SECRET, TEST, hkdf), openssl_hkdf, NODE_MAX},
    {ROW_WITH(CKM_SP800_108_COUNTER_KDF, CKF_DERIVE, KEY_SECRET, TEST, counter_kdf), one_block_of_counter_mode,
     NODE_MAX},
    {ROW_WITH(CKM_CLOUDHSM_SP800_108_COUNTER_KDF, CKF_DERIVE, KEY_SECRET, TEST, counter_kdf), one_block_of_counter_mode,
     NODE_MAX},
    {ROW_WITH(CKM_SP800_108_FEEDBACK_KDF, CKF_DERIVE, KEY_SECRET, TEST, feedback_kdf), one_block_of_feedback_mode,
     NODE_MAX},
    {ROW_WITH(CKM_SP800_108_DOUBLE_PIPELINE_KDF, CKF_DERIVE, KEY_SECRET, TEST, double_pipeline_kdf),
     one_block_of_the_double_pipeline, NODE_MAX},
    {ROW_WITH(CKM_CONCATENATE_BASE_AND_KEY, CKF_DERIVE, KEY_SECRET, TEST, second), the_base_key, 64},
    {ROW_WITH(CKM_CONCATENATE_BASE_AND_DATA, CKF_DERIVE, KEY_SECRET, TEST, string), the_base_key, 64},
    {ROW_WITH(CKM_CONCATENATE_DATA_AND_BASE, CKF_DERIVE, KEY_SECRET, TEST, string), the_data, 64},
    {ROW_WITH(CKM_XOR_BASE_AND_DATA, CKF_DERIVE, KEY_SECRET, TEST, string), both_combined, 32},
};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static void make_second(void)
{
    second = import_secret(CKK_GENERIC_SECRET, data, LEN, CKF_DERIVE);
}

static CK_RV derive(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ULONG len, CK_OBJECT_HANDLE *made)
{
    return p11->C_DeriveKey(session, mechanism, base,
                            TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                                     A_NUMBER(CKA_VALUE_LEN, len), A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE)),
                            made);
}

static void derived_keys_are_those_of_openssl(void **state)
{
    CK_BYTE expected[LEN], value[ROOM];
    CK_OBJECT_HANDLE made;

    (void)state;
    make_second();
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &ROWS[i].row;
        CK_OBJECT_HANDLE base = key_for(row->key, CKF_DERIVE);

        ROWS[i].expected(expected);
        ROW_RV(row, CKR_OK, derive(MECHANISM_OF_ROW(row), base, LEN, &made));
        assert_int_equal(value_of(made, CKA_VALUE, value, sizeof(value)), LEN);
        assert_memory_equal(value, expected, LEN);
        ROW_RV(row, CKR_OK, derive(MECHANISM_OF_ROW(row), base, ROWS[i].max, &made));
    }
}

static void lengths_that_cannot_be_derived_are_refused(void **state)
{
    CK_OBJECT_HANDLE made = NO_HANDLE;

    (void)state;
    make_second();
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &ROWS[i].row;
        CK_OBJECT_HANDLE base = key_for(row->key, CKF_DERIVE);
        CK_ULONG lengths[] = {ROWS[i].max + 1,   1UL << 20,         1UL << 32,
                              (1UL << 32) + LEN, (1UL << 61) + LEN, (CK_ULONG)-1};

        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++)
            ROW_RV(row, lengths[k] <= NUMBER_MAX ? CKR_KEY_SIZE_RANGE : CKR_ATTRIBUTE_VALUE_INVALID,
                   derive(MECHANISM_OF_ROW(row), base, lengths[k], &made));
        ROW_RV(row, CKR_KEY_SIZE_RANGE, derive(MECHANISM_OF_ROW(row), base, 0, &made));
        ROW_RV(row, CKR_ATTRIBUTE_VALUE_INVALID,
               p11->C_DeriveKey(session, MECHANISM_OF_ROW(row), base,
                                TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES),
                                         A_NUMBER(CKA_VALUE_LEN, 17)),
                                &made));
        ROW_RV(row, CKR_TEMPLATE_INCONSISTENT,
               p11->C_DeriveKey(session, MECHANISM_OF_ROW(row), base,
                                TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC)), &made));
        ROW_RV(row, CKR_ATTRIBUTE_READ_ONLY,
               p11->C_DeriveKey(session, MECHANISM_OF_ROW(row), base,
                                TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_BYTES(CKA_VALUE, data, LEN)), &made));
        assert_int_equal(made, NO_HANDLE);
    }
}

/* --- agreement --- */

static CK_RV agree(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE base, CK_EC_KDF_TYPE kdf, const CK_BYTE *point,
                   CK_ULONG len)
{
    CK_ECDH1_DERIVE_PARAMS params = {kdf, 0, NULL, len, (CK_BYTE *)point};
    CK_OBJECT_HANDLE made;

    return derive(MECHANISM_WITH(type, params), base, LEN, &made);
}

static void peers_that_are_no_points_of_the_curve_are_refused(void **state)
{
    static const CK_MECHANISM_TYPE TYPES[] = {CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE};
    static const CK_EC_KDF_TYPE KDFS[] = {CKD_NULL, CKD_SHA256_KDF};
    /* x of a point of no curve: x^3 + ax + b has no root there. The prime of the field. */
    static const CK_BYTE NO_ROOT[33] = {0x02, [32] = 0x01};
    static const CK_BYTE PRIME[] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    1,    0,    0,    0,
                                    0,    0,    0,    0,    0,    0,    0,    0,    0,    0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    CK_OBJECT_HANDLE base = key_for(KEY_EC, CKF_DERIVE);
    CK_BYTE point[133];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
#define REFUSES(len) RV(CKR_MECHANISM_PARAM_INVALID, agree(TYPES[i / 2], base, KDFS[i % 2], point, len))
        memcpy(point, base_point, sizeof(base_point));
        RV(CKR_OK, agree(TYPES[i / 2], base, KDFS[i % 2], point, 65));
        for (size_t at = 1; at < 65; at += 9) { /* off the curve, as for an attack with another one */
            point[at] ^= 1;
            REFUSES(65);
            point[at] ^= 1;
        }
        for (CK_ULONG len = 0; len < 70; len += len == 32 ? 2 : 1) /* all but 33 and 65 */
            if (len != 65)
                REFUSES(len);
        for (unsigned head = 0; head < 256; head += 1) { /* no form of a point of that length */
            point[0] = (CK_BYTE)head;
            if (head != 0x04 && head != 0x06u + (base_point[64] & 1))
                REFUSES(65);
        }
        memset(point, 0, sizeof(point)); /* the point at infinity, in one byte and padded */
        REFUSES(1);
        REFUSES(65);
        point[0] = 0x04;
        REFUSES(65);
        memcpy(point, NO_ROOT, sizeof(NO_ROOT));
        REFUSES(33);
        memcpy(point + 1, PRIME, sizeof(PRIME)); /* coordinates from the prime on */
        REFUSES(33);
        memset(point + 1, 0xff, 32);
        REFUSES(33);
        point[0] = 0x04;
        memset(point + 1, 0xff, 64);
        REFUSES(65);
#undef REFUSES
    }
}

static void peers_of_another_curve_are_refused(void **state)
{
    static const char *const OTHERS[] = {"P-224", "P-384", "P-521", "secp256k1", "brainpoolP256r1"};
    CK_OBJECT_HANDLE base = key_for(KEY_EC, CKF_DERIVE);

    (void)state;
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        EVP_PKEY *other = EVP_EC_gen(OTHERS[i]);
        CK_BYTE point[256] = {0}, *whole = NULL;
        size_t len;

        assert_true(EVP_PKEY_get_octet_string_param(other, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len));
        RV(CKR_MECHANISM_PARAM_INVALID, agree(CKM_ECDH1_DERIVE, base, CKD_NULL, point, len));
        int whole_len = i2d_PUBKEY(other, &whole);
        RV(CKR_MECHANISM_PARAM_INVALID, agree(CKM_ECDH1_DERIVE, base, CKD_NULL, whole, (CK_ULONG)whole_len));
        OPENSSL_free(whole);
        EVP_PKEY_free(other);
    }
}

/* RFC 7748, 6.1: a result of zeros is refused; these points give it (the orders 1, 2, 4 and 8 on the curve and its
 * twist, and the numbers that are the same modulo the prime). */
static void points_of_small_order_are_refused(void **state)
{
    static const CK_BYTE ORDER_8[2][32] = {
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
         0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
         0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57}};
    CK_OBJECT_HANDLE base = key_for(KEY_MONTGOMERY, CKF_DERIVE);
    CK_BYTE point[33] = {9};

    (void)state;
    RV(CKR_OK, agree(CKM_ECDH1_DERIVE, base, CKD_NULL, point, 32));
    for (CK_ULONG len = 0; len <= 33; len++)
        if (len != 32)
            RV(CKR_MECHANISM_PARAM_INVALID, agree(CKM_ECDH1_DERIVE, base, CKD_NULL, point, len));
    for (unsigned high = 0; high < 2; high++) { /* the highest bit does not count (RFC 7748, section 5) */
#define REFUSES()                                                                                                      \
    point[31] |= high ? 0x80 : 0;                                                                                      \
    RV(CKR_MECHANISM_PARAM_INVALID, agree(CKM_ECDH1_DERIVE, base, CKD_NULL, point, 32));                               \
    RV(CKR_MECHANISM_PARAM_INVALID, agree(CKM_ECDH1_DERIVE, base, CKD_SHA256_KDF, point, 32))
        for (CK_BYTE x = 0; x < 2; x++) {
            memset(point, 0, 32);
            point[0] = x;
            REFUSES();
        }
        for (CK_BYTE low = 0xec; low <= 0xee; low++) { /* p - 1, p, p + 1 */
            memset(point, 0xff, 32);
            point[0] = low;
            point[31] = 0x7f;
            REFUSES();
        }
        for (size_t i = 0; i < 2; i++) {
            memcpy(point, ORDER_8[i], 32);
            REFUSES();
        }
#undef REFUSES
    }
}

static void second_keys_that_cannot_be_joined_are_refused(void **state)
{
    CK_OBJECT_HANDLE base = key_for(KEY_SECRET, CKF_DERIVE), made;
    CK_OBJECT_HANDLE none = 0, nowhere = NO_HANDLE, forbidden = key_without(KEY_SECRET, CKF_DERIVE);
    CK_OBJECT_HANDLE private_key = key_for(KEY_EC, CKF_DERIVE);

    (void)state;
#define JOINED(key) derive(MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, key), base, LEN, &made)
    RV(CKR_KEY_HANDLE_INVALID, JOINED(none));
    RV(CKR_KEY_HANDLE_INVALID, JOINED(nowhere));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED, JOINED(forbidden));
    RV(CKR_KEY_TYPE_INCONSISTENT, JOINED(private_key));
#undef JOINED
}

static const struct CMUnitTest TESTS[] = {
    user_test(derived_keys_are_those_of_openssl),
    user_test(lengths_that_cannot_be_derived_are_refused),
    user_test(peers_that_are_no_points_of_the_curve_are_refused),
    user_test(peers_of_another_curve_are_refused),
    user_test(points_of_small_order_are_refused),
    user_test(second_keys_that_cannot_be_joined_are_refused),
};

const struct family DERIVE_FAMILY = FAMILY("derive", ROWS, TESTS, make_second);
