/* AES-GCM, AES-CCM and AWS CloudHSM's GCM: anything changed in ciphertext, tag, nonce or associated data, or moved from
 * one to the other, must give nothing but CKR_ENCRYPTED_DATA_INVALID. */
#include "pkcs11_negative.h"

#define TEST     "aeads_are_those_of_openssl_and_refuse_every_change"
#define TEXT_LEN 35

static CK_BYTE nonce[13] = "thirteen byte", aad[20] = "associated with this";
static CK_BYTE plain[TEXT_LEN] = "thirty-five bytes, no whole blocks.";
static CK_GCM_PARAMS_V3 gcm = {nonce, 12, 96, aad, sizeof(aad), 128};
static CK_GCM_PARAMS_V3 vendor_gcm = {NULL, 0, 0, aad, sizeof(aad), 128};
static CK_CCM_PARAMS ccm = {TEXT_LEN, nonce, 12, aad, sizeof(aad), 16};

struct aead_row {
    struct row row;
    const char *openssl;
    CK_ULONG front; /* bytes of nonce before the ciphertext */
};

static const struct aead_row ROWS[] = {
    {ROW_WITH(CKM_AES_GCM, ENCRYPTS, KEY_AES, TEST, gcm), "AES-256-GCM", 0},
    {ROW_WITH(CKM_CLOUDHSM_AES_GCM, ENCRYPTS, KEY_AES, TEST, vendor_gcm), "AES-256-GCM", 12},
    {ROW_WITH(CKM_AES_CCM, ENCRYPTS, KEY_AES, TEST, ccm), "AES-256-CCM", 0},
};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static void openssl_seals(const struct aead_row *row, const CK_BYTE *its_nonce, CK_BYTE *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool is_ccm = row->row.type == CKM_AES_CCM;
    int n;

    assert_true(EVP_EncryptInit_ex2(context, EVP_get_cipherbyname(row->openssl), NULL, NULL, NULL));
    assert_true(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) > 0);
    if (is_ccm)
        assert_true(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, NULL) > 0);
    assert_true(EVP_EncryptInit_ex2(context, NULL, SECRET_VALUE, its_nonce, NULL));
    if (is_ccm)
        assert_true(EVP_EncryptUpdate(context, NULL, &n, NULL, TEXT_LEN));
    assert_true(EVP_EncryptUpdate(context, NULL, &n, aad, sizeof(aad)));
    assert_true(EVP_EncryptUpdate(context, out, &n, plain, TEXT_LEN));
    assert_true(EVP_EncryptFinal_ex(context, out + n, &n));
    assert_true(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, out + TEXT_LEN) > 0);
    EVP_CIPHER_CTX_free(context);
}

static void refuses(const struct aead_row *row, CK_OBJECT_HANDLE key, CK_RV expected, const CK_BYTE *sealed,
                    CK_ULONG len)
{
    CK_BYTE out[ROOM];
    CK_ULONG out_len;

    memset(out, 0xee, sizeof(out));
    ROW_RV(&row->row, expected, decrypt_at_once(MECHANISM_OF_ROW(&row->row), key, sealed, len, out, &out_len));
    for (size_t i = 0; i < TEXT_LEN; i++)
        assert_int_equal(out[i], 0xee); /* nothing of what was not verified */
    ROW_RV(&row->row, CKR_OPERATION_NOT_INITIALIZED, p11->C_Decrypt(session, (CK_BYTE *)sealed, len, out, &out_len));
}

static void changed_ciphertexts_are_refused(const struct aead_row *row, CK_OBJECT_HANDLE key, CK_BYTE *sealed,
                                            CK_ULONG len)
{
    CK_BYTE other[ROOM] = {0};

    for (CK_ULONG i = 0; i < len; i++) {
        sealed[i] ^= (CK_BYTE)(1 << (i % 8));
        refuses(row, key, CKR_ENCRYPTED_DATA_INVALID, sealed, len);
        sealed[i] ^= (CK_BYTE)(1 << (i % 8));
    }
    memcpy(other, sealed, len);
    memset(other + len - 16, 0, 16);
    refuses(row, key, CKR_ENCRYPTED_DATA_INVALID, other, len);
    memset(other + len - 16, 0xff, 16);
    refuses(row, key, CKR_ENCRYPTED_DATA_INVALID, other, len);
    memcpy(other, sealed, len);
}

/* What is too short for a tag can be seen by its length alone (PKCS#11 3.0, 5.1.6). CCM knows the length of the text.
 */
static void other_lengths_are_refused(const struct aead_row *row, CK_OBJECT_HANDLE key, const CK_BYTE *sealed,
                                      CK_ULONG len)
{
    CK_BYTE other[ROOM] = {0};
    CK_RV by_length = row->row.type == CKM_AES_CCM ? CKR_ENCRYPTED_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_INVALID;

    memcpy(other, sealed, len);
    for (CK_ULONG n = 0; n < row->front + 16; n++)
        refuses(row, key, CKR_ENCRYPTED_DATA_LEN_RANGE, other, n);
    refuses(row, key, by_length, other, len - 1);
    refuses(row, key, by_length, other, len + 1);
    refuses(row, key, by_length, other, row->front + 16);
    memcpy(other + row->front + TEXT_LEN, sealed + len - 15, 15); /* a tag without its first byte */
    refuses(row, key, by_length, other, len - 1);
}

static void aeads_are_those_of_openssl_and_refuse_every_change(void **state)
{
    CK_OBJECT_HANDLE key = key_for(KEY_AES, ENCRYPTS);
    CK_BYTE sealed[ROOM], expected[ROOM], back[ROOM];
    CK_ULONG len, back_len;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct aead_row *row = &ROWS[i];
        CK_MECHANISM *mechanism = MECHANISM_OF_ROW(&row->row);

        ROW_RV(&row->row, CKR_OK, encrypt_at_once(mechanism, key, plain, TEXT_LEN, sealed, &len));
        assert_int_equal(len, row->front + TEXT_LEN + 16);
        openssl_seals(row, row->front ? sealed : nonce, expected);
        assert_memory_equal(sealed + row->front, expected, TEXT_LEN + 16);
        ROW_RV(&row->row, CKR_OK, decrypt_at_once(mechanism, key, sealed, len, back, &back_len));
        assert_int_equal(back_len, TEXT_LEN);
        assert_memory_equal(back, plain, TEXT_LEN);
        changed_ciphertexts_are_refused(row, key, sealed, len);
        other_lengths_are_refused(row, key, sealed, len);
    }
}

/* --- associated data and nonces --- */

static CK_MECHANISM *with(const struct row *row, CK_BYTE *its_nonce, CK_ULONG nonce_len, CK_BYTE *its_aad,
                          CK_ULONG aad_len, CK_ULONG tag_len)
{
    static CK_GCM_PARAMS_V3 as_gcm;
    static CK_CCM_PARAMS as_ccm;
    static CK_MECHANISM mechanism;
    bool is_ccm = row->type == CKM_AES_CCM;

    as_gcm = (CK_GCM_PARAMS_V3){its_nonce, nonce_len, 8 * nonce_len, its_aad, aad_len, 8 * tag_len};
    as_ccm = (CK_CCM_PARAMS){TEXT_LEN, its_nonce, nonce_len, its_aad, aad_len, tag_len};
    mechanism = (CK_MECHANISM){row->type, is_ccm ? (void *)&as_ccm : &as_gcm, is_ccm ? sizeof(as_ccm) : sizeof(as_gcm)};
    return &mechanism;
}

static void other_associated_data_or_nonces_are_refused(void **state)
{
    CK_OBJECT_HANDLE key = key_for(KEY_AES, ENCRYPTS);
    CK_BYTE sealed[ROOM], out[ROOM], changed[32];
    CK_ULONG len, n;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &ROWS[i].row;

        ROW_RV(row, CKR_OK, encrypt_at_once(MECHANISM_OF_ROW(row), key, plain, TEXT_LEN, sealed, &len));
#define REFUSES(...)                                                                                                   \
    ROW_RV(row, CKR_ENCRYPTED_DATA_INVALID, decrypt_at_once(with(row, __VA_ARGS__), key, sealed, len, out, &n))
        REFUSES(nonce, 12, NULL, 0, 16);
        REFUSES(nonce, 12, aad, sizeof(aad) - 1, 16);
        memcpy(changed, aad, sizeof(aad));
        changed[sizeof(aad)] = 0;
        REFUSES(nonce, 12, changed, sizeof(aad) + 1, 16);
        changed[7] ^= 1;
        REFUSES(nonce, 12, changed, sizeof(aad), 16);
        if (ROWS[i].front) /* which takes the nonce from the ciphertext */
            continue;
        memcpy(changed, nonce, sizeof(nonce));
        REFUSES(changed, 13, aad, sizeof(aad), 16);
        REFUSES(changed, 11, aad, sizeof(aad), 16);
        changed[11] ^= 1;
        REFUSES(changed, 12, aad, sizeof(aad), 16);
#undef REFUSES
        /* Associated data that became ciphertext, or the other way round. */
        memcpy(out, aad + sizeof(aad) - 1, 1);
        memcpy(out + 1, sealed, len);
        CK_RV rv = decrypt_at_once(with(row, nonce, 12, aad, sizeof(aad) - 1, 16), key, out, len + 1, out, &n);
        assert_true(rv == CKR_ENCRYPTED_DATA_INVALID ||
                    (row->type == CKM_AES_CCM && rv == CKR_ENCRYPTED_DATA_LEN_RANGE));
    }
}

/* SP 800-38D, 5.2.1.2, and SP 800-38C, A.1: other lengths of tags make forging a matter of guessing a few bits. */
static void tags_of_other_lengths_are_refused(void **state)
{
    static const CK_ULONG GCM_LENGTHS[] = {4, 8, 12, 13, 14, 15, 16}, CCM_LENGTHS[] = {4, 6, 8, 10, 12, 14, 16};
    CK_OBJECT_HANDLE key = key_for(KEY_AES, ENCRYPTS);
    CK_BYTE sealed[ROOM], out[ROOM];
    CK_ULONG len, n;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &ROWS[i].row;
        const CK_ULONG *good = row->type == CKM_AES_CCM ? CCM_LENGTHS : GCM_LENGTHS;

        for (CK_ULONG tag_len = 0, next = 0; tag_len <= 33; tag_len++) {
            CK_MECHANISM *mechanism = with(row, nonce, 12, aad, sizeof(aad), tag_len);
            bool is_good = next < 7 && good[next] == tag_len;
            CK_RV expected = is_good ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;

            ROW_RV(row, expected, p11->C_DecryptInit(session, mechanism, key));
            FINE(p11->C_SessionCancel(session, CKF_DECRYPT));
            ROW_RV(row, expected, encrypt_at_once(mechanism, key, plain, TEXT_LEN, sealed, &len));
            if (!is_good)
                continue;
            next++;
            ROW_RV(row, CKR_OK, decrypt_at_once(mechanism, key, sealed, len, out, &n));
            sealed[len - 1] ^= 1;
            ROW_RV(row, CKR_ENCRYPTED_DATA_INVALID, decrypt_at_once(mechanism, key, sealed, len, out, &n));
        }
    }
    gcm.ulTagBits = 100;
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_DecryptInit(session, MECHANISM_WITH(CKM_AES_GCM, gcm), key));
    gcm.ulTagBits = 128;
}

static void nonces_of_other_lengths_are_refused(void **state)
{
    static CK_BYTE bytes[300] = {1};
    CK_OBJECT_HANDLE key = key_for(KEY_AES, ENCRYPTS);

    (void)state;
    for (CK_ULONG len = 0; len <= sizeof(bytes); len += len < 20 ? 1 : 36) {
        bool gcm_takes = len >= 1 && len <= 128, ccm_takes = len >= 7 && len <= 13;

        RV(gcm_takes ? CKR_OK : CKR_MECHANISM_PARAM_INVALID,
           p11->C_DecryptInit(session, with(&ROWS[0].row, bytes, len, aad, sizeof(aad), 16), key));
        FINE(p11->C_SessionCancel(session, CKF_DECRYPT));
        RV(ccm_takes ? CKR_OK : CKR_MECHANISM_PARAM_INVALID,
           p11->C_DecryptInit(session, with(&ROWS[2].row, bytes, len, aad, sizeof(aad), 16), key));
        FINE(p11->C_SessionCancel(session, CKF_DECRYPT));
    }
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &ROWS[i].row;

        ROW_RV(row, CKR_MECHANISM_PARAM_INVALID, p11->C_DecryptInit(session, with(row, nonce, 12, NULL, 5, 16), key));
        ROW_RV(row, CKR_MECHANISM_PARAM_INVALID,
               p11->C_DecryptInit(session, with(row, nonce, 12, aad, (CK_ULONG)-1, 16), key));
        if (!ROWS[i].front)
            ROW_RV(row, CKR_MECHANISM_PARAM_INVALID,
                   p11->C_DecryptInit(session, with(row, NULL, 12, aad, sizeof(aad), 16), key));
    }
}

/* PKCS#11 3.0, 2.13.3: ulDataLen is the length of the text, which CCM must know before. */
static void ccm_of_another_length_than_announced_is_refused(void **state)
{
    static const CK_ULONG WRONG[] = {0, TEXT_LEN - 1, TEXT_LEN + 1, TEXT_LEN + 16, (CK_ULONG)-1};
    CK_OBJECT_HANDLE key = key_for(KEY_AES, ENCRYPTS);
    CK_BYTE sealed[ROOM], out[ROOM];
    CK_ULONG len, n;

    (void)state;
    FINE(encrypt_at_once(MECHANISM_WITH(CKM_AES_CCM, ccm), key, plain, TEXT_LEN, sealed, &len));
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        CK_CCM_PARAMS wrong = ccm;

        wrong.ulDataLen = WRONG[i];
        RV(CKR_DATA_LEN_RANGE, encrypt_at_once(MECHANISM_WITH(CKM_AES_CCM, wrong), key, plain, TEXT_LEN, out, &n));
        RV(CKR_ENCRYPTED_DATA_LEN_RANGE,
           decrypt_at_once(MECHANISM_WITH(CKM_AES_CCM, wrong), key, sealed, len, out, &n));
    }
}

static const struct CMUnitTest TESTS[] = {
    user_test(aeads_are_those_of_openssl_and_refuse_every_change),
    user_test(other_associated_data_or_nonces_are_refused),
    user_test(tags_of_other_lengths_are_refused),
    user_test(nonces_of_other_lengths_are_refused),
    user_test(ccm_of_another_length_than_announced_is_refused),
};

const struct family AEAD_FAMILY = FAMILY("aead", ROWS, TESTS, NULL);
