/* Signatures that carry their data: what comes out of one that was changed, or whose padding is not exact, must not be
 * taken for what was signed. */
#include "pkcs11_negative.h"

#include <openssl/rsa.h>

#define TEST "recovered_data_is_that_which_openssl_signed"
#define N    256 /* bytes of the modulus */

static const struct row ROWS[] = {
    ROW(CKM_RSA_PKCS, RECOVERS, KEY_RSA, TEST),
    ROW(CKM_RSA_X_509, RECOVERS, KEY_RSA, TEST),
};
static const int PADDINGS[] = {RSA_PKCS1_PADDING, RSA_NO_PADDING};
static const CK_ULONG MOST[] = {N - 11, N};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static void openssl_signs(int padding, const CK_BYTE *data, size_t len, CK_BYTE *signature)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(openssl_pair(KEY_RSA), NULL);
    size_t signature_len = N;

    assert_true(EVP_PKEY_sign_init(context) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, padding) > 0);
    assert_true(EVP_PKEY_sign(context, signature, &signature_len, data, len) > 0);
    EVP_PKEY_CTX_free(context);
}

static CK_RV recover(const struct row *row, CK_OBJECT_HANDLE key, const CK_BYTE *signature, CK_ULONG len, CK_BYTE *out,
                     CK_ULONG *out_len)
{
    CK_RV rv = p11->C_VerifyRecoverInit(session, MECHANISM(row->type), key);

    *out_len = ROOM;
    return rv == CKR_OK ? p11->C_VerifyRecover(session, (CK_BYTE *)signature, len, out, out_len) : rv;
}

static CK_RV sign_recover(const struct row *row, CK_OBJECT_HANDLE key, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out)
{
    CK_ULONG out_len = ROOM;
    CK_RV rv = p11->C_SignRecoverInit(session, MECHANISM(row->type), key);

    return rv == CKR_OK ? p11->C_SignRecover(session, (CK_BYTE *)data, len, out, &out_len) : rv;
}

static void recovered_data_is_that_which_openssl_signed(void **state)
{
    CK_OBJECT_HANDLE public_key = key_for(KEY_RSA, CKF_VERIFY_RECOVER),
                     private_key = key_for(KEY_RSA, CKF_SIGN_RECOVER);
    CK_BYTE data[N] = {0}, theirs[N], ours[ROOM], out[ROOM];
    CK_ULONG len;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        memset(data + 1, 0x33, MOST[i] - 1);
        openssl_signs(PADDINGS[i], data, MOST[i], theirs);
        ROW_RV(&ROWS[i], CKR_OK, recover(&ROWS[i], public_key, theirs, N, out, &len));
        assert_int_equal(len, MOST[i]);
        assert_memory_equal(out, data, len);
        ROW_RV(&ROWS[i], CKR_OK, sign_recover(&ROWS[i], private_key, data, MOST[i], ours));
        assert_memory_equal(ours, theirs, N); /* neither padding is random */
    }
}

static void lengths_that_no_signature_has_are_refused(void **state)
{
    static const CK_ULONG LENGTHS[] = {0, 1, N / 2, N - 1, N + 1, 2 * N};
    CK_OBJECT_HANDLE public_key = key_for(KEY_RSA, CKF_VERIFY_RECOVER),
                     private_key = key_for(KEY_RSA, CKF_SIGN_RECOVER);
    CK_BYTE data[2 * N] = {0}, out[ROOM];
    CK_ULONG len;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        for (size_t k = 0; k < sizeof(LENGTHS) / sizeof(LENGTHS[0]); k++)
            ROW_RV(&ROWS[i], CKR_SIGNATURE_LEN_RANGE, recover(&ROWS[i], public_key, data, LENGTHS[k], out, &len));
        ROW_RV(&ROWS[i], CKR_DATA_LEN_RANGE, sign_recover(&ROWS[i], private_key, data, MOST[i] + 1, out));
        ROW_RV(&ROWS[i], CKR_DATA_LEN_RANGE, sign_recover(&ROWS[i], private_key, data, 2 * N, out));
    }
    memset(data, 0xff, N); /* numbers from the modulus on */
    RV(CKR_DATA_INVALID, sign_recover(&ROWS[1], private_key, data, N, out));
    for (size_t i = 0; i < N_ROWS; i++)
        ROW_RV(&ROWS[i], CKR_SIGNATURE_INVALID, recover(&ROWS[i], public_key, data, N, out, &len));
}

/* RFC 8017, 9.2: 00 01, at least eight bytes of ff, 00. */
static void nothing_comes_out_of_a_padding_that_is_not_exact(void **state)
{
    static const struct {
        CK_BYTE head[2], fill;
        int zero_at; /* -1: nowhere */
    } WRONG[] = {{{0, 1}, 0xff, -1},  {{0, 1}, 0xff, 9},   {{0, 1}, 0xff, 2},
                 {{0, 2}, 0x55, 200}, {{0, 0}, 0x00, 200}, {{0, 1}, 0xfe, 200},
                 {{1, 1}, 0xff, 200}, {{0, 0}, 0xff, 200}, {{0, 0xff}, 0xff, 200}};
    CK_OBJECT_HANDLE key = key_for(KEY_RSA, CKF_VERIFY_RECOVER);
    CK_BYTE block[N], signature[N], out[ROOM];
    CK_ULONG len;

    (void)state;
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        memset(block, WRONG[i].fill, N);
        memcpy(block, WRONG[i].head, 2);
        if (WRONG[i].zero_at > 0)
            block[WRONG[i].zero_at] = 0;
        openssl_signs(RSA_NO_PADDING, block, N, signature);
        memset(out, 0xee, sizeof(out));
        RV(CKR_SIGNATURE_INVALID, recover(&ROWS[0], key, signature, N, out, &len));
        assert_int_equal(out[0], 0xee);
    }
    memset(block, 0xff, N);
    memcpy(block, "\0\1", 2);
    block[200] = 0;
    openssl_signs(RSA_NO_PADDING, block, N, signature);
    FINE(recover(&ROWS[0], key, signature, N, out, &len));
    assert_int_equal(len, N - 201);
    for (size_t i = 0; i < N; i += 51) {
        signature[i] ^= 1;
        RV(CKR_SIGNATURE_INVALID, recover(&ROWS[0], key, signature, N, out, &len));
        signature[i] ^= 1;
    }
}

static const struct CMUnitTest TESTS[] = {
    user_test(recovered_data_is_that_which_openssl_signed),
    user_test(lengths_that_no_signature_has_are_refused),
    user_test(nothing_comes_out_of_a_padding_that_is_not_exact),
};

const struct family RECOVER_FAMILY = FAMILY("recover", ROWS, TESTS, NULL);
