/* Block ciphers without authentication: lengths that do not fit, and paddings that are wrong in each way that has been
 * mistaken for a right one. What comes out for a wrong padding must not tell which way it was. */
#include "pkcs11_negative.h"

#define TEST "ciphers_give_the_known_answers_and_openssls"

static CK_BYTE iv[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static CK_BYTE iv8[8] = {0, 1, 2, 3, 4, 5, 6, 7};
static const CK_AES_CTR_PARAMS counter = {
    128, {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff}};

struct cipher_row {
    struct row row;
    const char *openssl; /* with 32 or 24 bytes of key */
    CK_ULONG block;      /* the data comes in whole ones; 1 for others */
    bool padded;
    const char *answer; /* the first bytes of SP 800-38A's example with AES-128; NULL: none */
};

/* SP 800-38A, F.1.1, F.2.1, F.5.1. */
static const struct cipher_row ROWS[] = {
    {ROW(CKM_AES_ECB, ENCRYPTS, KEY_AES, TEST), "AES-256-ECB", 16, false, "\x3a\xd7\x7b\xb4\x0d\x7a\x36\x60"},
    {ROW_WITH(CKM_AES_CBC, ENCRYPTS, KEY_AES, TEST, iv), "AES-256-CBC", 16, false, "\x76\x49\xab\xac\x81\x19\xb2\x46"},
    {ROW_WITH(CKM_AES_CBC_PAD, ENCRYPTS, KEY_AES, TEST, iv), "AES-256-CBC", 16, true,
     "\x76\x49\xab\xac\x81\x19\xb2\x46"},
    {ROW_WITH(CKM_AES_CTR, ENCRYPTS, KEY_AES, TEST, counter), "AES-256-CTR", 1, false,
     "\x87\x4d\x61\x91\xb6\x20\xe3\x26"},
    {ROW(CKM_DES3_ECB, ENCRYPTS, KEY_DES3, TEST), "DES-EDE3", 8, false, NULL},
    {ROW_WITH(CKM_DES3_CBC, ENCRYPTS, KEY_DES3, TEST, iv8), "DES-EDE3-CBC", 8, false, NULL},
    {ROW_WITH(CKM_DES3_CBC_PAD, ENCRYPTS, KEY_DES3, TEST, iv8), "DES-EDE3-CBC", 8, true, NULL},
};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static const CK_BYTE *iv_of(const struct cipher_row *row)
{
    return row->row.params == &counter ? counter.cb : row->row.params;
}

static CK_ULONG openssl_encrypt(const struct cipher_row *row, bool padded, const CK_BYTE *data, CK_ULONG len,
                                CK_BYTE *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n, rest;

    assert_true(EVP_EncryptInit_ex2(context, EVP_get_cipherbyname(row->openssl), SECRET_VALUE, iv_of(row), NULL));
    EVP_CIPHER_CTX_set_padding(context, padded);
    assert_true(EVP_EncryptUpdate(context, out, &n, data, (int)len));
    assert_true(EVP_EncryptFinal_ex(context, out + n, &rest));
    EVP_CIPHER_CTX_free(context);
    return (CK_ULONG)(n + rest);
}

static void known_answer(const struct cipher_row *row)
{
    static const CK_BYTE KEY[] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                  0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
    static const CK_BYTE BLOCK[] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                                    0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a};
    CK_BYTE out[ROOM];
    CK_ULONG len;

    if (!row->answer)
        return;
    CK_OBJECT_HANDLE key = import_secret(CKK_AES, KEY, sizeof(KEY), ENCRYPTS);
    ROW_RV(&row->row, CKR_OK, encrypt_at_once(MECHANISM_OF_ROW(&row->row), key, BLOCK, sizeof(BLOCK), out, &len));
    assert_memory_equal(out, row->answer, 8);
}

static void ciphers_give_the_known_answers_and_openssls(void **state)
{
    CK_BYTE data[64], out[ROOM], expected[ROOM], back[ROOM];
    CK_ULONG len;

    (void)state;
    memset(data, 0x5a, sizeof(data));
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct cipher_row *row = &ROWS[i];
        CK_OBJECT_HANDLE key = key_for(row->row.key, ENCRYPTS);

        known_answer(row);
        for (CK_ULONG n = row->block; n <= sizeof(data); n += row->padded ? 1 : row->block) {
            CK_ULONG expected_len = openssl_encrypt(row, row->padded, data, n, expected);

            ROW_RV(&row->row, CKR_OK, encrypt_at_once(MECHANISM_OF_ROW(&row->row), key, data, n, out, &len));
            assert_int_equal(len, expected_len);
            assert_memory_equal(out, expected, len);
            ROW_RV(&row->row, CKR_OK, decrypt_at_once(MECHANISM_OF_ROW(&row->row), key, out, len, back, &len));
            assert_int_equal(len, n);
            assert_memory_equal(back, data, n);
        }
    }
}

/* --- lengths --- */

static CK_RV two_steps(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, bool decrypting, const CK_BYTE *data,
                       CK_ULONG len)
{
    CK_BYTE out[ROOM];
    CK_ULONG n = ROOM, rest = ROOM;
    CK_RV rv;

    FINE(decrypting ? p11->C_DecryptInit(session, mechanism, key) : p11->C_EncryptInit(session, mechanism, key));
    rv = decrypting ? p11->C_DecryptUpdate(session, (CK_BYTE *)data, len, out, &n)
                    : p11->C_EncryptUpdate(session, (CK_BYTE *)data, len, out, &n);
    if (rv != CKR_OK)
        return rv;
    return decrypting ? p11->C_DecryptFinal(session, out, &rest) : p11->C_EncryptFinal(session, out, &rest);
}

static void lengths_that_are_no_whole_blocks_are_refused(void **state)
{
    CK_BYTE data[64] = {0}, out[ROOM];
    CK_ULONG n;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct cipher_row *row = &ROWS[i];
        CK_MECHANISM *mechanism = MECHANISM_OF_ROW(&row->row);
        CK_OBJECT_HANDLE key = key_for(row->row.key, ENCRYPTS);

        for (CK_ULONG len = 1; len < 40; len++) {
            if (len % row->block == 0)
                continue;
            if (!row->padded) {
                ROW_RV(&row->row, CKR_DATA_LEN_RANGE, encrypt_at_once(mechanism, key, data, len, out, &n));
                ROW_RV(&row->row, CKR_DATA_LEN_RANGE, two_steps(mechanism, key, false, data, len));
            }
            ROW_RV(&row->row, CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt_at_once(mechanism, key, data, len, out, &n));
            ROW_RV(&row->row, CKR_ENCRYPTED_DATA_LEN_RANGE, two_steps(mechanism, key, true, data, len));
        }
        /* A padding is at least one byte: nothing is no ciphertext. */
        if (row->padded)
            ROW_RV(&row->row, CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt_at_once(mechanism, key, data, 0, out, &n));
    }
}

/* --- paddings --- */

/* How the last block of 8 or 16 bytes ends. */
static void write_padding(CK_BYTE *last, CK_ULONG block, unsigned way)
{
    CK_BYTE full = (CK_BYTE)block;

    memset(last, 4, block);
    switch (way) {
    case 0: /* no byte of padding */
        last[block - 1] = 0;
        break;
    case 1: /* more than a block */
        memset(last, full + 1, block);
        break;
    case 2: /* as a signed number it is small */
        last[block - 1] = 0xff;
        break;
    case 3: /* only the last byte is right */
        last[block - 2] = 3;
        break;
    case 4: /* the first byte of the padding is wrong */
        last[block - 4] = 5;
        break;
    case 5: /* a whole block, but its first byte */
        memset(last, full, block);
        last[0] = 1;
        break;
    case 6: /* ANSI X9.23: zeros but for the length */
        memset(last + block - 4, 0, 3);
        break;
    case 7: /* ISO/IEC 7816-4: 0x80 and zeros */
        memset(last + block - 4, 0, 4);
        last[block - 4] = 0x80;
        break;
    default: /* two blocks of padding */
        memset(last, 2 * full, block);
        break;
    }
}

static void every_wrong_padding_gets_the_same_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct cipher_row *row = &ROWS[i];
        CK_MECHANISM *mechanism = MECHANISM_OF_ROW(&row->row);

        if (!row->padded)
            continue;
        CK_OBJECT_HANDLE key = key_for(row->row.key, ENCRYPTS);
        for (unsigned way = 0; way <= 8; way++) {
            CK_BYTE data[32], wrong[ROOM], out[ROOM];
            CK_ULONG len;

            memset(data, (int)(2 * row->block), sizeof(data));
            write_padding(data + 32 - row->block, row->block, way);
            assert_int_equal(openssl_encrypt(row, false, data, sizeof(data), wrong), sizeof(data));
            memset(out, 0xee, sizeof(out));
            ROW_RV(&row->row, CKR_ENCRYPTED_DATA_INVALID, decrypt_at_once(mechanism, key, wrong, 32, out, &len));
            assert_int_equal(out[0], 0xee); /* nothing of what did not check */
            ROW_RV(&row->row, CKR_OPERATION_NOT_INITIALIZED, p11->C_Decrypt(session, wrong, 32, out, &len));
            ROW_RV(&row->row, CKR_ENCRYPTED_DATA_INVALID, two_steps(mechanism, key, true, wrong, 32));
        }
    }
}

static void paddings_of_every_length_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct cipher_row *row = &ROWS[i];

        if (!row->padded)
            continue;
        CK_OBJECT_HANDLE key = key_for(row->row.key, ENCRYPTS);
        for (CK_ULONG n = 1; n <= row->block; n++) {
            CK_BYTE data[32] = {0}, sealed[ROOM], out[ROOM];
            CK_ULONG len;

            memset(data + 32 - n, (int)n, n);
            openssl_encrypt(row, false, data, sizeof(data), sealed);
            ROW_RV(&row->row, CKR_OK, decrypt_at_once(MECHANISM_OF_ROW(&row->row), key, sealed, 32, out, &len));
            assert_int_equal(len, 32 - n);
        }
    }
}

/* --- counters --- */

static void counters_of_no_or_too_many_bits_are_refused(void **state)
{
    static const CK_ULONG BITS[] = {0, 129, 256, 1UL << 32, (CK_ULONG)-1};
    CK_OBJECT_HANDLE key = key_for(KEY_AES, ENCRYPTS);
    CK_BYTE data[64] = {0}, out[ROOM];
    CK_ULONG len;

    (void)state;
    for (size_t i = 0; i < sizeof(BITS) / sizeof(BITS[0]); i++) {
        CK_AES_CTR_PARAMS wrong = {BITS[i], {0}};

        RV(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_CTR, wrong), key));
        RV(CKR_MECHANISM_PARAM_INVALID, p11->C_DecryptInit(session, MECHANISM_WITH(CKM_AES_CTR, wrong), key));
    }
    /* The last block of a counter of n bits is the last that may be used; in all 128 bits it comes round. */
    for (CK_ULONG bits = 1; bits < 128; bits += 21) {
        CK_AES_CTR_PARAMS last = {bits, {0}};

        memset(last.cb, 0xff, sizeof(last.cb));
        RV(CKR_OK, encrypt_at_once(MECHANISM_WITH(CKM_AES_CTR, last), key, data, 16, out, &len));
        RV(CKR_DATA_LEN_RANGE, encrypt_at_once(MECHANISM_WITH(CKM_AES_CTR, last), key, data, 17, out, &len));
        RV(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt_at_once(MECHANISM_WITH(CKM_AES_CTR, last), key, data, 17, out, &len));
    }
}

static const struct CMUnitTest TESTS[] = {
    user_test(ciphers_give_the_known_answers_and_openssls), user_test(lengths_that_are_no_whole_blocks_are_refused),
    user_test(every_wrong_padding_gets_the_same_answer),    user_test(paddings_of_every_length_are_taken),
    user_test(counters_of_no_or_too_many_bits_are_refused),
};

const struct family CIPHER_FAMILY = FAMILY("cipher", ROWS, TESTS, NULL);
