/* Key wrapping, and the same mechanisms with data: integrity blocks that are damaged, lengths that no wrapped key has,
 * and paddings and lengths inside that are wrong under a right integrity block. */
#include "pkcs11_negative.h"

#include <openssl/rsa.h>

#define TEST    "keys_come_back_and_not_from_anything_that_was_changed"
#define KEY_LEN 32 /* of what is wrapped */

static CK_BYTE iv[16] = {7}, nonce[12] = "twelve bytes";
static const CK_BYTE IV3394[8] = {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6};
static const CK_BYTE IV5649[4] = {0xa6, 0x59, 0x59, 0xa6};
static CK_GCM_PARAMS_V3 gcm = {nonce, 12, 96, NULL, 0, 128}, vendor_gcm = {NULL, 0, 0, NULL, 0, 128};
static CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
static CK_RSA_AES_KEY_WRAP_PARAMS rsa_aes = {256, &oaep};

struct wrap_row {
    struct row row;
    CK_ULONG len;         /* of a wrapped key of KEY_LEN bytes */
    CK_ULONG step;        /* lengths are multiples of it */
    bool unauthenticated; /* a change may give another key */
};

#define AES_WRAP(type, iv, len)                                                                                        \
    {                                                                                                                  \
        {type, #type, WRAPS | ENCRYPTS, KEY_AES, TEST, iv, sizeof(iv), true, 0, 0}, len, 8, false                      \
    }

static const struct wrap_row ROWS[] = {
    AES_WRAP(CKM_AES_KEY_WRAP, IV3394, 40),
    AES_WRAP(CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD, IV3394, 40),
    AES_WRAP(CKM_AES_KEY_WRAP_KWP, IV5649, 40),
    AES_WRAP(CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, IV5649, 40),
    AES_WRAP(CKM_AES_KEY_WRAP_PAD, IV3394, 48),
    AES_WRAP(CKM_AES_KEY_WRAP_PKCS7, IV3394, 48),
    AES_WRAP(CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, IV3394, 48),
    {ROW(CKM_CLOUDHSM_DES3_NIST_WRAP, WRAPS, KEY_DES3, TEST), KEY_LEN + 4, 4, false},
    {ROW_WITH(CKM_AES_CBC_PAD, WRAPS, KEY_AES, TEST, iv), 48, 16, true},
    {ROW_WITH(CKM_AES_GCM, WRAPS, KEY_AES, TEST, gcm), KEY_LEN + 16, 1, false},
    {ROW_WITH(CKM_CLOUDHSM_AES_GCM, WRAPS, KEY_AES, TEST, vendor_gcm), 12 + KEY_LEN + 16, 1, false},
    {ROW(CKM_RSA_PKCS, WRAPS, KEY_RSA, TEST), 256, 256, true},
    {ROW_WITH(CKM_RSA_PKCS_OAEP, WRAPS, KEY_RSA, TEST, oaep), 256, 256, false},
    {ROW_WITH(CKM_RSA_AES_KEY_WRAP, WRAPS, KEY_RSA, TEST, rsa_aes), 256 + 40, 8, false},
};
#define N_ROWS   (sizeof(ROWS) / sizeof(ROWS[0]))
#define N_CIPHER 7 /* that encrypt, too */

static void check_comes_back(const struct wrap_row *row, CK_OBJECT_HANDLE under, const CK_BYTE *wrapped, CK_ULONG len)
{
    CK_OBJECT_HANDLE back;
    CK_BYTE value[ROOM];

    ROW_RV(&row->row, CKR_OK,
           p11->C_UnwrapKey(session, MECHANISM_OF_ROW(&row->row), under, (CK_BYTE *)wrapped, len,
                            TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                                     A_TRUE(CKA_EXTRACTABLE), A_FALSE(CKA_SENSITIVE)),
                            &back));
    assert_int_equal(value_of(back, CKA_VALUE, value, sizeof(value)), KEY_LEN);
    assert_memory_equal(value, SECRET_VALUE, KEY_LEN);
}

static void check_changes(const struct wrap_row *row, CK_OBJECT_HANDLE under, CK_BYTE *wrapped)
{
    CK_MECHANISM *mechanism = MECHANISM_OF_ROW(&row->row);

    for (CK_ULONG i = 0; i < row->len && !row->unauthenticated; i += row->len > 100 ? 37 : 1) {
        wrapped[i] ^= (CK_BYTE)(1 << (i % 8));
        ROW_RV(&row->row, CKR_WRAPPED_KEY_INVALID, unwrap(mechanism, under, wrapped, row->len));
        wrapped[i] ^= (CK_BYTE)(1 << (i % 8));
    }
    for (CK_ULONG len = 0; len<row->len + 20; len += len + 20> row->len || len < 20 ? 1 : 13) {
        if (len == row->len)
            continue;
        CK_RV rv = unwrap(mechanism, under, wrapped, len);
        bool by_length = len == 0 || len % row->step != 0 || len < row->step || (row->step == 256);

        if (by_length)
            ROW_RV(&row->row, CKR_WRAPPED_KEY_LEN_RANGE, rv);
        else if (!row->unauthenticated)
            assert_true(rv == CKR_WRAPPED_KEY_INVALID || rv == CKR_WRAPPED_KEY_LEN_RANGE);
    }
}

static void keys_come_back_and_not_from_anything_that_was_changed(void **state)
{
    CK_BYTE wrapped[ROOM] = {0};

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct wrap_row *row = &ROWS[i];
        CK_OBJECT_HANDLE wrapping = key_for(row->row.key, CKF_WRAP), unwrapping = key_for(row->row.key, CKF_UNWRAP);
        CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, SECRET_VALUE, KEY_LEN);
        CK_ULONG len = sizeof(wrapped);

        ROW_RV(&row->row, CKR_OK, p11->C_WrapKey(session, MECHANISM_OF_ROW(&row->row), wrapping, key, wrapped, &len));
        assert_int_equal(len, row->len);
        check_comes_back(row, unwrapping, wrapped, len);
        check_changes(row, unwrapping, wrapped);
    }
}

/* --- with data --- */

/* RFC 3394's function with any initial value: what RFC 5649 is built on. */
static CK_ULONG openssl_wraps(const CK_BYTE *its_iv, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n, rest;

    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_true(EVP_EncryptInit_ex2(context, EVP_get_cipherbyname("id-aes256-wrap"), SECRET_VALUE, its_iv, NULL));
    assert_true(EVP_EncryptUpdate(context, out, &n, data, (int)len));
    assert_true(EVP_EncryptFinal_ex(context, out + n, &rest));
    EVP_CIPHER_CTX_free(context);
    return (CK_ULONG)(n + rest);
}

static void data_is_wrapped_as_openssl_wraps_it(void **state)
{
    CK_OBJECT_HANDLE key = key_for(KEY_AES, ENCRYPTS);
    CK_BYTE data[48], expected[ROOM], out[ROOM], back[ROOM];
    CK_ULONG len, back_len;

    (void)state;
    for (size_t i = 0; i < N_CIPHER; i++) {
        const struct row *row = &ROWS[i].row;
        bool padded = ROWS[i].len == 48, kwp = row->params == IV5649;
        CK_BYTE its_iv[8] = {0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 24};

        memset(data, 'd', sizeof(data));
        memset(data + 24, padded ? 8 : 0, 8);
        CK_ULONG expected_len = openssl_wraps(kwp ? its_iv : NULL, data, padded ? 32 : 24, expected);
        ROW_RV(row, CKR_OK, encrypt_at_once(MECHANISM_OF_ROW(row), key, data, 24, out, &len));
        assert_int_equal(len, expected_len);
        assert_memory_equal(out, expected, len);
        ROW_RV(row, CKR_OK, decrypt_at_once(MECHANISM_OF_ROW(row), key, out, len, back, &back_len));
        assert_int_equal(back_len, 24);
        assert_memory_equal(back, data, 24);
        out[len / 2] ^= 0x20;
        memset(back, 0xee, sizeof(back));
        ROW_RV(row, CKR_ENCRYPTED_DATA_INVALID, decrypt_at_once(MECHANISM_OF_ROW(row), key, out, len, back, &back_len));
        assert_int_equal(back[0], 0xee);
        for (CK_ULONG n = 0; n < 48; n++)
            if (n % 8 || n < 16)
                ROW_RV(row, CKR_ENCRYPTED_DATA_LEN_RANGE,
                       decrypt_at_once(MECHANISM_OF_ROW(row), key, out, n, back, &back_len));
        for (CK_ULONG n = 0; n < 24 && !padded && !kwp; n++)
            if (n != 16)
                ROW_RV(row, CKR_DATA_LEN_RANGE, encrypt_at_once(MECHANISM_OF_ROW(row), key, data, n, out, &len));
        if (kwp)
            ROW_RV(row, CKR_DATA_LEN_RANGE, encrypt_at_once(MECHANISM_OF_ROW(row), key, data, 0, out, &len));
    }
}

/* RFC 5649, section 3: the length must leave less than eight bytes of padding, and they are zero. */
static void wrong_lengths_and_paddings_under_a_right_integrity_block_are_refused(void **state)
{
    static const struct {
        CK_BYTE iv[8], pad_at, pad;
        bool good;
    } KWP[] = {{{0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 20}, 0, 0, true},
               {{0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 20}, 20, 1, false},
               {{0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 20}, 23, 9, false},
               {{0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 16}, 0, 0, false},
               {{0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 25}, 0, 0, false},
               {{0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 0}, 0, 0, false},
               {{0xa6, 0x59, 0x59, 0xa6, 0, 0, 1, 20}, 0, 0, false},
               {{0xa6, 0x59, 0x59, 0xa6, 0x80, 0, 0, 20}, 0, 0, false},
               {{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}, 0, 0, false},
               {{0xa6, 0x59, 0x59, 0xa7, 0, 0, 0, 20}, 0, 0, false}};
    CK_OBJECT_HANDLE key = key_for(KEY_AES, CKF_DECRYPT), unwrapping = key_for(KEY_AES, CKF_UNWRAP);
    CK_BYTE data[24], wrapped[ROOM], out[ROOM];
    CK_ULONG n;

    (void)state;
    for (size_t i = 0; i < sizeof(KWP) / sizeof(KWP[0]); i++) {
        memset(data, 'd', 16);
        memset(data + 16, 0, 8);
        if (KWP[i].pad_at)
            data[KWP[i].pad_at] = KWP[i].pad;
        CK_ULONG len = openssl_wraps(KWP[i].iv, data, sizeof(data), wrapped);
        RV(KWP[i].good ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID,
           decrypt_at_once(MECHANISM(CKM_AES_KEY_WRAP_KWP), key, wrapped, len, out, &n));
        RV(KWP[i].good ? CKR_OK : CKR_WRAPPED_KEY_INVALID,
           unwrap(MECHANISM(CKM_AES_KEY_WRAP_KWP), unwrapping, wrapped, len));
    }
    for (CK_BYTE pad = 0; pad < 12; pad++) { /* PKCS#7 in blocks of eight: only what ends in as many as it says */
        memset(data, 'd', 16);
        memset(data + 16, pad, 8);
        if (pad && pad < 8)
            data[23 - pad + 1] ^= 0x40;
        CK_ULONG len = openssl_wraps(NULL, data, sizeof(data), wrapped);
        RV(pad == 8 ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID,
           decrypt_at_once(MECHANISM(CKM_AES_KEY_WRAP_PKCS7), key, wrapped, len, out, &n));
        RV(pad == 8 ? CKR_OK : CKR_WRAPPED_KEY_INVALID,
           unwrap(MECHANISM(CKM_AES_KEY_WRAP_PKCS7), unwrapping, wrapped, len));
    }
}

/* What opens must also be a key of the type that was asked for. */
static void keys_that_cannot_be_are_not_unwrapped(void **state)
{
    CK_OBJECT_HANDLE wrapping = key_for(KEY_AES, CKF_WRAP), unwrapping = key_for(KEY_AES, CKF_UNWRAP), made;
    CK_MECHANISM *kwp = MECHANISM(CKM_AES_KEY_WRAP_KWP);
    CK_BYTE wrapped[ROOM];

    (void)state;
    for (CK_ULONG len = 1; len < 40; len++) {
        CK_ULONG n = sizeof(wrapped);
        bool good = len == 16 || len == 24 || len == 32;

        FINE(p11->C_WrapKey(session, kwp, wrapping,
                            secret_of(CKK_GENERIC_SECRET, "0123456789012345678901234567890123456789", len), wrapped,
                            &n));
        RV(good ? CKR_OK : CKR_WRAPPED_KEY_INVALID,
           p11->C_UnwrapKey(session, kwp, unwrapping, wrapped, n,
                            TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES)), &made));
        RV(CKR_WRAPPED_KEY_INVALID,
           p11->C_UnwrapKey(session, kwp, unwrapping, wrapped, n,
                            TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC)), &made));
    }
}

static void parameters_of_rsa_aes_wrapping_are_checked(void **state)
{
    static const CK_ULONG BITS[] = {0, 1, 64, 255, 257, 512, (CK_ULONG)-1};
    CK_RSA_PKCS_OAEP_PARAMS bad = {CKM_AES_GCM, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_RSA_AES_KEY_WRAP_PARAMS with_bad = {256, &bad}, with_none = {256, NULL};
    CK_OBJECT_HANDLE wrapping = key_for(KEY_RSA, CKF_WRAP), key = secret_of(CKK_AES, SECRET_VALUE, 32);
    CK_BYTE out[ROOM];

    (void)state;
#define BAD(params)                                                                                                    \
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_WrapKey(session, MECHANISM_WITH(CKM_RSA_AES_KEY_WRAP, params), wrapping,    \
                                                   key, out, &(CK_ULONG){sizeof(out)}))
    BAD(with_bad);
    BAD(with_none);
    for (size_t i = 0; i < sizeof(BITS) / sizeof(BITS[0]); i++) {
        CK_RSA_AES_KEY_WRAP_PARAMS with_bits = {BITS[i], &oaep};

        BAD(with_bits);
    }
#undef BAD
}

static const struct CMUnitTest TESTS[] = {
    user_test(keys_come_back_and_not_from_anything_that_was_changed),
    user_test(data_is_wrapped_as_openssl_wraps_it),
    user_test(wrong_lengths_and_paddings_under_a_right_integrity_block_are_refused),
    user_test(keys_that_cannot_be_are_not_unwrapped),
    user_test(parameters_of_rsa_aes_wrapping_are_checked),
};

const struct family WRAP_FAMILY = FAMILY("wrap", ROWS, TESTS, NULL);
