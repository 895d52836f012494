/* Derivations without a function of their own: digests, parts and encryptions of the key, and data made by HKDF. What
 * else can be wrong with them pkcs11_derive_simple_test.c has. */
#include "pkcs11_negative.h"

#include <openssl/kdf.h>

#define TEST "simple_derivations_are_those_of_openssl"
#define LEN  32

static CK_BYTE data[LEN] = "data of thirty-two bytes, known.";
static const CK_KEY_DERIVATION_STRING_DATA string = {data, LEN};
static const CK_AES_CBC_ENCRYPT_DATA_PARAMS aes_cbc = {{7}, data, LEN};
static const CK_DES_CBC_ENCRYPT_DATA_PARAMS des3_cbc = {{7}, data, LEN};
static const CK_EXTRACT_PARAMS first_bit = 64;
static const CK_HKDF_PARAMS expand = {CK_FALSE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 0};

struct simple_row {
    struct row row;
    const char *name; /* OpenSSL's, of the hash or cipher */
    CK_ULONG len;     /* of the whole result */
};

#define DIGEST(type, md, len)                                                                                          \
    {                                                                                                                  \
        ROW_AS(type, #type, CKF_DERIVE, KEY_SECRET, TEST), md, len                                                     \
    }

static const struct simple_row ROWS[] = {
    DIGEST(CKM_SHA1_KEY_DERIVATION, "SHA1", 20),
    DIGEST(CKM_SHA224_KEY_DERIVATION, "SHA224", 28),
    DIGEST(CKM_SHA256_KEY_DERIVATION, "SHA256", 32),
    DIGEST(CKM_SHA384_KEY_DERIVATION, "SHA384", 48),
    DIGEST(CKM_SHA512_KEY_DERIVATION, "SHA512", 64),
    DIGEST(CKM_SHA512_224_KEY_DERIVATION, "SHA512-224", 28),
    DIGEST(CKM_SHA512_256_KEY_DERIVATION, "SHA512-256", 32),
    DIGEST(CKM_SHA3_224_KEY_DERIVATION, "SHA3-224", 28),
    DIGEST(CKM_SHA3_256_KEY_DERIVATION, "SHA3-256", 32),
    DIGEST(CKM_SHA3_384_KEY_DERIVATION, "SHA3-384", 48),
    DIGEST(CKM_SHA3_512_KEY_DERIVATION, "SHA3-512", 64),
    {ROW_WITH(CKM_AES_ECB_ENCRYPT_DATA, CKF_DERIVE, KEY_AES, TEST, string), "AES-256-ECB", LEN},
    {ROW_WITH(CKM_AES_CBC_ENCRYPT_DATA, CKF_DERIVE, KEY_AES, TEST, aes_cbc), "AES-256-CBC", LEN},
    {ROW_WITH(CKM_DES3_ECB_ENCRYPT_DATA, CKF_DERIVE, KEY_DES3, TEST, string), "DES-EDE3-ECB", LEN},
    {ROW_WITH(CKM_DES3_CBC_ENCRYPT_DATA, CKF_DERIVE, KEY_DES3, TEST, des3_cbc), "DES-EDE3-CBC", LEN},
    {ROW_WITH(CKM_EXTRACT_KEY_FROM_KEY, CKF_DERIVE, KEY_SECRET, TEST, first_bit), NULL, LEN},
    {ROW_WITH(CKM_HKDF_DATA, CKF_DERIVE, KEY_SECRET, TEST, expand), NULL, LEN},
};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static void encrypt_data(const char *cipher, CK_BYTE *out)
{
    static const CK_BYTE iv[16] = {7};
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_CIPHER *fetched = EVP_CIPHER_fetch(NULL, cipher, NULL);
    int len;

    assert_true(EVP_EncryptInit_ex2(context, fetched, SECRET_VALUE, iv, NULL));
    EVP_CIPHER_CTX_set_padding(context, 0);
    assert_true(EVP_EncryptUpdate(context, out, &len, data, LEN));
    EVP_CIPHER_free(fetched);
    EVP_CIPHER_CTX_free(context);
}

/* RFC 5869, 2.3: HMAC(key, 1), when there is no info and one block is enough. */
static void expand_by_hand(CK_BYTE *out)
{
    assert_non_null(
        EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, SECRET_VALUE, 32, (const CK_BYTE *)"\1", 1, out, 32, NULL));
}

static void expect(const struct simple_row *row, CK_BYTE *out)
{
    if (row->row.key != KEY_SECRET)
        encrypt_data(row->name, out);
    else if (row->name)
        assert_true(EVP_Q_digest(NULL, row->name, NULL, SECRET_VALUE, 32, out, NULL));
    else if (row->row.type == CKM_HKDF_DATA)
        expand_by_hand(out);
    else /* PKCS#11 2.40, 2.31.8: what lies behind the end comes from the beginning */
        for (size_t i = 0; i < LEN; i++)
            out[i] = SECRET_VALUE[(i + first_bit / 8) % 32];
}

static CK_RV derive(const struct simple_row *row, CK_ULONG len, CK_OBJECT_HANDLE *made)
{
    CK_ATTRIBUTE key[] = {A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_VALUE_LEN, len),
                          A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET), A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE)};
    CK_ATTRIBUTE object[] = {A_NUMBER(CKA_CLASS, CKO_DATA), A_NUMBER(CKA_VALUE_LEN, len)};
    bool is_data = row->row.type == CKM_HKDF_DATA;

    return p11->C_DeriveKey(session, MECHANISM_OF_ROW(&row->row), key_for(row->row.key, CKF_DERIVE),
                            is_data ? object : key, is_data ? 2 : 5, made);
}

static void simple_derivations_are_those_of_openssl(void **state)
{
    CK_BYTE expected[64], value[ROOM];
    CK_OBJECT_HANDLE made;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct simple_row *row = &ROWS[i];

        expect(row, expected);
        for (CK_ULONG len = 16; len <= row->len; len += row->len - 16) {
            ROW_RV(&row->row, CKR_OK, derive(row, len, &made));
            assert_int_equal(value_of(made, CKA_VALUE, value, sizeof(value)), len);
            assert_memory_equal(value, expected, len);
        }
    }
}

static void lengths_beyond_the_result_are_refused(void **state)
{
    static const CK_ULONG LENGTHS[] = {4097, 1UL << 20, 1UL << 32, (1UL << 32) + LEN, (CK_ULONG)-1};
    CK_OBJECT_HANDLE made = NO_HANDLE;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (ROWS[i].row.type != CKM_HKDF_DATA)
            ROW_RV(&ROWS[i].row, CKR_KEY_SIZE_RANGE, derive(&ROWS[i], ROWS[i].len + 1, &made));
        for (size_t k = 0; k < sizeof(LENGTHS) / sizeof(LENGTHS[0]); k++)
            REFUSED(derive(&ROWS[i], LENGTHS[k], &made));
    }
    assert_int_equal(made, NO_HANDLE);
}

static const struct CMUnitTest TESTS[] = {
    user_test(simple_derivations_are_those_of_openssl),
    user_test(lengths_beyond_the_result_are_refused),
};

const struct family DERIVE_SIMPLE_FAMILY = FAMILY("derive_simple", ROWS, TESTS, NULL);
