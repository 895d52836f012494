/* RSA encryption: whatever is wrong with a ciphertext, its padding or its label, the answer is the same one
 * (Bleichenbacher 1998, Manger 2001). Blocks with wrong paddings are encrypted by OpenSSL without a padding of its own.
 */
#include "pkcs11_negative.h"

#include <openssl/rsa.h>

#define TEST "rsa_ciphertexts_go_both_ways_with_openssl"
#define N    256 /* bytes of the modulus */

static CK_BYTE label[5] = "label", plain[48] = "forty-eight bytes that RSA encrypts for somebody";
static const CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, label, sizeof(label)};

static const struct row ROWS[] = {
    ROW(CKM_RSA_PKCS, ENCRYPTS, KEY_RSA, TEST),
    ROW_WITH(CKM_RSA_PKCS_OAEP, ENCRYPTS, KEY_RSA, TEST, oaep),
    ROW(CKM_RSA_X_509, ENCRYPTS, KEY_RSA, TEST),
};

static const int PADDINGS[] = {RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING, RSA_NO_PADDING};
static const CK_ULONG OVERHEAD[] = {11, 66, 0};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static EVP_PKEY_CTX *openssl_context(int padding, bool encrypts)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(openssl_pair(KEY_RSA), NULL);

    assert_true((encrypts ? EVP_PKEY_encrypt_init(context) : EVP_PKEY_decrypt_init(context)) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, padding) > 0);
    if (padding != RSA_PKCS1_OAEP_PADDING)
        return context;
    assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) > 0);
    assert_true(EVP_PKEY_CTX_set0_rsa_oaep_label(context, OPENSSL_memdup(label, sizeof(label)), sizeof(label)) > 0);
    return context;
}

static void openssl_encrypts(int padding, const CK_BYTE *data, size_t len, CK_BYTE *out)
{
    EVP_PKEY_CTX *context = openssl_context(padding, true);
    size_t out_len = N;

    assert_true(EVP_PKEY_encrypt(context, out, &out_len, data, len) > 0);
    EVP_PKEY_CTX_free(context);
}

static void openssl_decrypts(int padding, const CK_BYTE *data, const CK_BYTE *expected, size_t expected_len)
{
    EVP_PKEY_CTX *context = openssl_context(padding, false);
    CK_BYTE out[N];
    size_t len = N;

    assert_true(EVP_PKEY_decrypt(context, out, &len, data, N) > 0);
    EVP_PKEY_CTX_free(context);
    assert_int_equal(len, expected_len);
    assert_memory_equal(out, expected, len);
}

static void rsa_ciphertexts_go_both_ways_with_openssl(void **state)
{
    CK_OBJECT_HANDLE public_key = key_for(KEY_RSA, CKF_ENCRYPT), private_key = key_for(KEY_RSA, CKF_DECRYPT);
    CK_BYTE data[N] = {0}, theirs[N], ours[ROOM], back[ROOM];
    CK_ULONG len;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        CK_ULONG data_len = PADDINGS[i] == RSA_NO_PADDING ? N : sizeof(plain);

        memcpy(data + data_len - sizeof(plain), plain, sizeof(plain));
        openssl_encrypts(PADDINGS[i], data, data_len, theirs);
        ROW_RV(&ROWS[i], CKR_OK, decrypt_at_once(MECHANISM_OF_ROW(&ROWS[i]), private_key, theirs, N, back, &len));
        assert_int_equal(len, data_len);
        assert_memory_equal(back, data, len);
        ROW_RV(&ROWS[i], CKR_OK, encrypt_at_once(MECHANISM_OF_ROW(&ROWS[i]), public_key, data, data_len, ours, &len));
        openssl_decrypts(PADDINGS[i], ours, data, data_len);
    }
}

static void lengths_that_the_modulus_does_not_allow_are_refused(void **state)
{
    CK_OBJECT_HANDLE public_key = key_for(KEY_RSA, CKF_ENCRYPT), private_key = key_for(KEY_RSA, CKF_DECRYPT);
    CK_BYTE data[N + 16] = {0}, out[ROOM];
    CK_ULONG len;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &ROWS[i];
        static const CK_ULONG LENGTHS[] = {0, 1, N / 2, N - 1, N + 1, N + 16};

        ROW_RV(row, CKR_OK, encrypt_at_once(MECHANISM_OF_ROW(row), public_key, data, N - OVERHEAD[i], out, &len));
        ROW_RV(row, CKR_DATA_LEN_RANGE,
               encrypt_at_once(MECHANISM_OF_ROW(row), public_key, data, N - OVERHEAD[i] + 1, out, &len));
        ROW_RV(row, CKR_DATA_LEN_RANGE, encrypt_at_once(MECHANISM_OF_ROW(row), public_key, data, N + 16, out, &len));
        for (size_t k = 0; k < sizeof(LENGTHS) / sizeof(LENGTHS[0]); k++)
            ROW_RV(row, CKR_ENCRYPTED_DATA_LEN_RANGE,
                   decrypt_at_once(MECHANISM_OF_ROW(row), private_key, data, LENGTHS[k], out, &len));
    }
}

/* From 3.2 on OpenSSL, the node's as this program's, answers a wrong padding of PKCS#1 v1.5 with a text that it makes
 * of the ciphertext and the key (implicit rejection); before, it tells that the padding is wrong, as OAEP does still.
 */
static CK_RV expected_answer(const struct row *row)
{
    return row->type == CKM_RSA_PKCS && OpenSSL_version_num() >= 0x30200000L ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID;
}

/* The answer to a block with a wrong padding: when it is a text, then the same each time and nothing of the block. */
static void check_answer(const struct row *row, CK_OBJECT_HANDLE key, const CK_BYTE *block, size_t from)
{
    CK_BYTE sealed[N], out[ROOM] = {0}, again[ROOM] = {0};
    CK_ULONG len = 0, again_len = 0;

    openssl_encrypts(RSA_NO_PADDING, block, N, sealed);
    ROW_RV(row, expected_answer(row), decrypt_at_once(MECHANISM_OF_ROW(row), key, sealed, N, out, &len));
    if (expected_answer(row) != CKR_OK)
        return;
    ROW_RV(row, CKR_OK, decrypt_at_once(MECHANISM_OF_ROW(row), key, sealed, N, again, &again_len));
    assert_int_equal(again_len, len);
    assert_memory_equal(again, out, len);
    assert_true(len != N - from || memcmp(out, block + from, len) != 0);
}

static void every_wrong_padding_of_rsa_gets_the_same_answer(void **state)
{
    CK_OBJECT_HANDLE key = key_for(KEY_RSA, CKF_DECRYPT);
    CK_BYTE block[N];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct row *row = &ROWS[i];
        static const struct {
            CK_BYTE head[2], fill;
            int zero_at; /* -1: nowhere */
        } WRONG[] = {{{0, 2}, 0x55, -1},   {{0, 2}, 0x55, 2},   {{0, 2}, 0x55, 9},   {{0, 1}, 0xff, 200},
                     {{0, 1}, 0x55, 200},  {{0, 0}, 0x55, 200}, {{1, 2}, 0x55, 200}, {{0, 0x82}, 1, 200},
                     {{0, 3}, 0x55, 200},  {{0, 0}, 0x00, -1},  {{2, 0}, 0x55, 200}, {{0, 0}, 0x01, 33},
                     {{0, 0xff}, 0xff, -1}};

        memset(block, 0, N);
        block[1] = 2;
        check_answer(row, key, block, 3);
        for (size_t k = 0; k < sizeof(WRONG) / sizeof(WRONG[0]); k++) {
            memset(block, WRONG[k].fill, N);
            memcpy(block, WRONG[k].head, 2);
            if (WRONG[k].zero_at > 0)
                block[WRONG[k].zero_at] = 0;
            check_answer(row, key, block, WRONG[k].zero_at > 0 ? (size_t)WRONG[k].zero_at + 1 : 2);
        }
    }
}

static void numbers_that_are_no_rsa_ciphertexts_are_refused(void **state)
{
    CK_OBJECT_HANDLE key = key_for(KEY_RSA, CKF_DECRYPT), public_key = key_for(KEY_RSA, CKF_ENCRYPT);
    CK_BYTE bytes[N], out[ROOM];
    BIGNUM *modulus = NULL;
    CK_ULONG len;

    (void)state;
    assert_true(EVP_PKEY_get_bn_param(openssl_pair(KEY_RSA), "n", &modulus));
    for (size_t i = 0; i < N_ROWS; i++) { /* RFC 8017, 5.1.2: from n on */
        BN_bn2binpad(modulus, bytes, N);
        ROW_RV(&ROWS[i], CKR_ENCRYPTED_DATA_INVALID,
               decrypt_at_once(MECHANISM_OF_ROW(&ROWS[i]), key, bytes, N, out, &len));
        memset(bytes, 0xff, N);
        ROW_RV(&ROWS[i], CKR_ENCRYPTED_DATA_INVALID,
               decrypt_at_once(MECHANISM_OF_ROW(&ROWS[i]), key, bytes, N, out, &len));
    }
    BN_bn2binpad(modulus, bytes, N);
    RV(CKR_DATA_INVALID, encrypt_at_once(MECHANISM(CKM_RSA_X_509), public_key, bytes, N, out, &len));
    memset(bytes, 0xff, N);
    RV(CKR_DATA_INVALID, encrypt_at_once(MECHANISM(CKM_RSA_X_509), public_key, bytes, N, out, &len));
    BN_free(modulus);
}

/* PKCS#11 3.0, 2.1.12: what is shorter than the modulus gets zeros in front. */
static void raw_rsa_takes_numbers_without_their_zeros(void **state)
{
    CK_OBJECT_HANDLE public_key = key_for(KEY_RSA, CKF_ENCRYPT), private_key = key_for(KEY_RSA, CKF_SIGN),
                     verifying = key_for(KEY_RSA, CKF_VERIFY);
    CK_BYTE data[N] = {0}, out[ROOM], expected[N], signature[ROOM];
    CK_ULONG len;

    (void)state;
    memcpy(data + N - sizeof(plain), plain, sizeof(plain));
    openssl_encrypts(RSA_NO_PADDING, data, N, expected);
    FINE(encrypt_at_once(MECHANISM(CKM_RSA_X_509), public_key, plain, sizeof(plain), out, &len));
    assert_int_equal(len, N);
    assert_memory_equal(out, expected, N);
    assert_int_equal(sign_at_once(MECHANISM(CKM_RSA_X_509), private_key, plain, sizeof(plain), signature), N);
    FINE(verify_at_once(MECHANISM(CKM_RSA_X_509), verifying, data, N, signature, N));
    FINE(verify_at_once(MECHANISM(CKM_RSA_X_509), verifying, plain, sizeof(plain), signature, N));
    RV(CKR_SIGNATURE_INVALID,
       verify_at_once(MECHANISM(CKM_RSA_X_509), verifying, plain, sizeof(plain) - 1, signature, N));
}

/* --- OAEP --- */

static void oaep_with_other_parameters_is_refused(void **state)
{
    static CK_RSA_PKCS_OAEP_PARAMS others[] = {{CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0},
                                               {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, label, 4},
                                               {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, plain, 5},
                                               {CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, label, 5},
                                               {CKM_SHA3_256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, label, 5},
                                               {CKM_SHA_1, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, label, 5},
                                               {CKM_SHA512, CKG_MGF1_SHA512, CKZ_DATA_SPECIFIED, label, 5}};
    static CK_RSA_PKCS_OAEP_PARAMS invalid[] = {{CKM_SHA256_HMAC, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0},
                                                {CKM_RSA_PKCS_OAEP, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0},
                                                {CKM_SHA256, 0, CKZ_DATA_SPECIFIED, NULL, 0},
                                                {CKM_SHA256, 99, CKZ_DATA_SPECIFIED, NULL, 0},
                                                {CKM_SHA256, CKG_MGF1_SHA256, 0, label, 5},
                                                {CKM_SHA256, CKG_MGF1_SHA256, 2, NULL, 0},
                                                {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 5},
                                                {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, label, (CK_ULONG)-1}};
    CK_OBJECT_HANDLE key = key_for(KEY_RSA, CKF_DECRYPT);
    CK_BYTE sealed[N], out[ROOM];
    CK_ULONG len;

    (void)state;
    openssl_encrypts(RSA_PKCS1_OAEP_PADDING, plain, sizeof(plain), sealed);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        RV(CKR_ENCRYPTED_DATA_INVALID,
           decrypt_at_once(MECHANISM_WITH(CKM_RSA_PKCS_OAEP, others[i]), key, sealed, N, out, &len));
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
        RV(CKR_MECHANISM_PARAM_INVALID,
           p11->C_DecryptInit(session, MECHANISM_WITH(CKM_RSA_PKCS_OAEP, invalid[i]), key));
    for (size_t i = 0; i < N; i += 51) {
        sealed[i] ^= 1;
        RV(CKR_ENCRYPTED_DATA_INVALID,
           decrypt_at_once(MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaep), key, sealed, N, out, &len));
        sealed[i] ^= 1;
    }
}

static const struct CMUnitTest TESTS[] = {
    user_test(rsa_ciphertexts_go_both_ways_with_openssl),
    user_test(lengths_that_the_modulus_does_not_allow_are_refused),
    user_test(every_wrong_padding_of_rsa_gets_the_same_answer),
    user_test(numbers_that_are_no_rsa_ciphertexts_are_refused),
    user_test(raw_rsa_takes_numbers_without_their_zeros),
    user_test(oaep_with_other_parameters_is_refused),
};

const struct family RSA_CIPHER_FAMILY = FAMILY("rsa_cipher", ROWS, TESTS, NULL);
