/* MACs: one bit or byte more, less or other in the tag or the message, and tags of another length, hash or key. */
#include "pkcs11_negative.h"

#define TEST  "macs_are_those_of_openssl_and_nothing_else_verifies"
#define SHORT 12

static CK_BYTE message[] = "what do ya want for nothing?"; /* of RFC 4231, test case 2 */
#define MESSAGE     message, sizeof(message) - 1
#define MESSAGE_LEN (sizeof(message) - 1)

static CK_BYTE nonce[12] = "twelve bytes";
static const CK_MAC_GENERAL_PARAMS twelve = SHORT;

struct mac_row {
    struct row row;
    const char *md;          /* NULL: CMAC or GMAC */
    CK_MECHANISM_TYPE other; /* one that takes the same keys */
    CK_ULONG len, full;
};

#define HMAC(type, md, full, other)                                                                                    \
    {ROW_AS(type, #type, SIGNS, KEY_SECRET, TEST), md, other, full, full},                                             \
    {                                                                                                                  \
        ROW_WITH_AS(type##_GENERAL, #type "_GENERAL", SIGNS, KEY_SECRET, TEST, twelve), md, other##_GENERAL, SHORT,    \
            full                                                                                                       \
    }

static const struct mac_row ROWS[] = {
    HMAC(CKM_SHA_1_HMAC, "SHA1", 20, CKM_SHA256_HMAC),
    HMAC(CKM_SHA224_HMAC, "SHA224", 28, CKM_SHA3_224_HMAC),
    HMAC(CKM_SHA256_HMAC, "SHA256", 32, CKM_SHA3_256_HMAC),
    HMAC(CKM_SHA384_HMAC, "SHA384", 48, CKM_SHA3_384_HMAC),
    HMAC(CKM_SHA512_HMAC, "SHA512", 64, CKM_SHA3_512_HMAC),
    HMAC(CKM_SHA3_224_HMAC, "SHA3-224", 28, CKM_SHA224_HMAC),
    HMAC(CKM_SHA3_256_HMAC, "SHA3-256", 32, CKM_SHA256_HMAC),
    HMAC(CKM_SHA3_384_HMAC, "SHA3-384", 48, CKM_SHA384_HMAC),
    HMAC(CKM_SHA3_512_HMAC, "SHA3-512", 64, CKM_SHA512_HMAC),
    HMAC(CKM_SHA512_224_HMAC, "SHA512-224", 28, CKM_SHA224_HMAC),
    HMAC(CKM_SHA512_256_HMAC, "SHA512-256", 32, CKM_SHA256_HMAC),
    {ROW(CKM_AES_CMAC, SIGNS, KEY_AES, TEST), NULL, CKM_AES_CMAC, 16, 16},
    {ROW_WITH(CKM_AES_CMAC_GENERAL, SIGNS, KEY_AES, TEST, twelve), NULL, CKM_AES_CMAC_GENERAL, SHORT, 16},
    {ROW_WITH(CKM_AES_GMAC, SIGNS, KEY_AES, TEST, nonce), NULL, CKM_AES_GMAC, 16, 16},
};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static void openssl_mac(const struct mac_row *row, const CK_BYTE *data, CK_ULONG len, CK_BYTE *mac)
{
    OSSL_PARAM gcm[] = {OSSL_PARAM_construct_utf8_string("cipher", (char *)"AES-256-GCM", 0),
                        OSSL_PARAM_construct_octet_string("iv", nonce, sizeof(nonce)), OSSL_PARAM_construct_end()},
               cbc[] = {OSSL_PARAM_construct_utf8_string("cipher", (char *)"AES-256-CBC", 0),
                        OSSL_PARAM_construct_end()};
    const char *name = row->md ? "HMAC" : row->row.type == CKM_AES_GMAC ? "GMAC" : "CMAC";
    OSSL_PARAM *params = row->md ? NULL : row->row.type == CKM_AES_GMAC ? gcm : cbc;

    assert_non_null(EVP_Q_mac(NULL, name, NULL, row->md, params, SECRET_VALUE, 32, data, len, mac, 64, NULL));
}

static void verify_refuses(const struct mac_row *row, CK_OBJECT_HANDLE key, CK_RV expected, const CK_BYTE *mac,
                           CK_ULONG len)
{
    ROW_RV(&row->row, expected, verify_at_once(MECHANISM_OF_ROW(&row->row), key, MESSAGE, mac, len));
    ROW_RV(&row->row, CKR_OK, p11->C_VerifyInit(session, MECHANISM_OF_ROW(&row->row), key));
    ROW_RV(&row->row, CKR_OK, p11->C_VerifyUpdate(session, MESSAGE));
    ROW_RV(&row->row, expected, p11->C_VerifyFinal(session, (CK_BYTE *)mac, len));
}

static void changed_macs_are_refused(const struct mac_row *row, CK_OBJECT_HANDLE key, const CK_BYTE *good)
{
    CK_BYTE mac[80] = {0};

    verify_refuses(row, key, CKR_SIGNATURE_INVALID, mac, row->len);
    memset(mac, 0xff, sizeof(mac));
    verify_refuses(row, key, CKR_SIGNATURE_INVALID, mac, row->len);
    memcpy(mac, good, row->full);
    for (CK_ULONG i = 0; i < row->len; i += row->len - 1 - i < 5 && i + 1 < row->len ? row->len - 1 - i : 5) {
        mac[i] ^= (CK_BYTE)(1 << (i % 8));
        verify_refuses(row, key, CKR_SIGNATURE_INVALID, mac, row->len);
        mac[i] ^= (CK_BYTE)(1 << (i % 8));
    }
    static const int MORE[] = {-8, -1, 1, 4};
    for (size_t i = 0; i < sizeof(MORE) / sizeof(MORE[0]); i++)
        verify_refuses(row, key, CKR_SIGNATURE_LEN_RANGE, mac, (CK_ULONG)((int)row->len + MORE[i]));
    verify_refuses(row, key, CKR_SIGNATURE_LEN_RANGE, mac, 0);
    verify_refuses(row, key, CKR_ARGUMENTS_BAD, mac, (CK_ULONG)-1);
}

static void changed_messages_are_refused(const struct mac_row *row, CK_OBJECT_HANDLE key, const CK_BYTE *mac)
{
    CK_BYTE other[sizeof(message) + 16] = {0};
    CK_MECHANISM *mechanism = MECHANISM_OF_ROW(&row->row);

    memcpy(other, message, sizeof(message));
    ROW_RV(&row->row, CKR_SIGNATURE_INVALID, verify_at_once(mechanism, key, other, MESSAGE_LEN + 1, mac, row->len));
    ROW_RV(&row->row, CKR_SIGNATURE_INVALID, verify_at_once(mechanism, key, other, MESSAGE_LEN - 1, mac, row->len));
    ROW_RV(&row->row, CKR_SIGNATURE_INVALID, verify_at_once(mechanism, key, other, 0, mac, row->len));
    for (size_t i = 0; i < MESSAGE_LEN; i += 9) {
        other[i] ^= 0x80;
        ROW_RV(&row->row, CKR_SIGNATURE_INVALID, verify_at_once(mechanism, key, other, MESSAGE_LEN, mac, row->len));
        other[i] ^= 0x80;
    }
}

static void macs_of_others_are_refused(const struct mac_row *row, CK_OBJECT_HANDLE key, const CK_BYTE *good)
{
    static CK_BYTE value[32], other_nonce[12] = "other twelve";
    CK_BYTE mac[ROOM];
    const struct row *its = &row->row;

    memcpy(value, SECRET_VALUE, 32);
    value[31] ^= 1;
    CK_OBJECT_HANDLE other = import_secret(row->md ? CKK_GENERIC_SECRET : CKK_AES, value, 32, SIGNS);
    ROW_RV(its, CKR_SIGNATURE_INVALID, verify_at_once(MECHANISM_OF_ROW(its), other, MESSAGE, good, row->len));
    if (row->md) {
        CK_MECHANISM mechanism = {row->other, (void *)its->params, its->params_len};

        (void)sign_at_once(&mechanism, key, MESSAGE, mac);
        CK_RV rv = verify_at_once(MECHANISM_OF_ROW(its), key, MESSAGE, mac, row->len);
        ROW_RV(its, CKR_SIGNATURE_INVALID, rv);
    }
    if (its->type == CKM_AES_GMAC)
        ROW_RV(its, CKR_SIGNATURE_INVALID,
               verify_at_once(MECHANISM_WITH(CKM_AES_GMAC, other_nonce), key, MESSAGE, good, row->len));
}

static void macs_are_those_of_openssl_and_nothing_else_verifies(void **state)
{
    CK_BYTE expected[64], mac[ROOM];

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct mac_row *row = &ROWS[i];
        CK_OBJECT_HANDLE key = key_for(row->row.key, SIGNS);

        openssl_mac(row, MESSAGE, expected);
        assert_int_equal(sign_at_once(MECHANISM_OF_ROW(&row->row), key, MESSAGE, mac), row->len);
        assert_memory_equal(mac, expected, row->len);
        ROW_RV(&row->row, CKR_OK, verify_at_once(MECHANISM_OF_ROW(&row->row), key, MESSAGE, expected, row->len));
        changed_macs_are_refused(row, key, expected);
        changed_messages_are_refused(row, key, expected);
        macs_of_others_are_refused(row, key, expected);
    }
}

/* RFC 2202, test case 2, and RFC 4231, test case 2. */
static void hmac_gives_the_known_answers_with_a_short_key(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        const char *mac;
    } ANSWERS[] = {
        {CKM_SHA_1_HMAC, "\xef\xfc\xdf\x6a\xe5\xeb\x2f\xa2"},  {CKM_SHA224_HMAC, "\xa3\x0e\x01\x09\x8b\xc6\xdb\xbf"},
        {CKM_SHA256_HMAC, "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e"}, {CKM_SHA384_HMAC, "\xaf\x45\xd2\xe3\x76\x48\x40\x31"},
        {CKM_SHA512_HMAC, "\x16\x4b\x7a\x7b\xfc\xf8\x19\xe2"},
    };
    CK_OBJECT_HANDLE key = import_secret(CKK_GENERIC_SECRET, "Jefe", 4, SIGNS);
    CK_BYTE mac[ROOM];

    (void)state;
    for (size_t i = 0; i < sizeof(ANSWERS) / sizeof(ANSWERS[0]); i++) {
        (void)sign_at_once(MECHANISM(ANSWERS[i].type), key, MESSAGE, mac);
        assert_memory_equal(mac, ANSWERS[i].mac, 8);
    }
}

/* Nodes make no tags of fewer than four bytes: one of them is a guess in 256. */
static void general_lengths_out_of_range_are_refused(void **state)
{
    CK_BYTE expected[64], mac[ROOM];

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct mac_row *row = &ROWS[i];

        if (row->row.params != &twelve)
            continue;
        CK_MAC_GENERAL_PARAMS bad[] = {0, 1, 3, row->full + 1, 256, 256 + SHORT, (1UL << 32) + SHORT, (CK_ULONG)-1};
        CK_OBJECT_HANDLE key = key_for(row->row.key, SIGNS);
        for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
            CK_MECHANISM *mechanism = MECHANISM_WITH(row->row.type, bad[k]);

            ROW_RV(&row->row, CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(session, mechanism, key));
            ROW_RV(&row->row, CKR_MECHANISM_PARAM_INVALID, p11->C_VerifyInit(session, mechanism, key));
        }
        openssl_mac(row, MESSAGE, expected);
        for (CK_MAC_GENERAL_PARAMS len = 4; len <= row->full; len++) {
            CK_MECHANISM *mechanism = MECHANISM_WITH(row->row.type, len);

            assert_int_equal(sign_at_once(mechanism, key, MESSAGE, mac), len);
            assert_memory_equal(mac, expected, len);
            expected[len - 1] ^= 1;
            ROW_RV(&row->row, CKR_SIGNATURE_INVALID, verify_at_once(mechanism, key, MESSAGE, expected, len));
            expected[len - 1] ^= 1;
        }
    }
}

static void gmac_nonces_of_other_lengths_are_refused(void **state)
{
    CK_OBJECT_HANDLE key = key_for(KEY_AES, SIGNS);
    static CK_BYTE bytes[32];

    (void)state;
    for (CK_ULONG len = 0; len <= sizeof(bytes); len++) {
        CK_RV rv = p11->C_SignInit(session, MECHANISM_OF(CKM_AES_GMAC, bytes, len), key);

        RV(len == 12 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID, rv);
        FINE(p11->C_SessionCancel(session, CKF_SIGN));
    }
}

static const struct CMUnitTest TESTS[] = {
    user_test(macs_are_those_of_openssl_and_nothing_else_verifies),
    user_test(hmac_gives_the_known_answers_with_a_short_key),
    user_test(general_lengths_out_of_range_are_refused),
    user_test(gmac_nonces_of_other_lengths_are_refused),
};

const struct family MAC_FAMILY = FAMILY("mac", ROWS, TESTS, NULL);
