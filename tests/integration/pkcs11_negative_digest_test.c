/* Digests: where blocks end, and what happens to a digest that was asked for wrongly. */
#include "pkcs11_negative.h"

#define TEST "digests_are_those_of_the_standards_at_every_block_boundary"

struct digest_row {
    struct row row;
    const char *md;
    CK_ULONG block_len;
    const char *abc; /* the first bytes of the digest of "abc" */
};

/* FIPS 180-4 and FIPS 202: the examples with values that NIST publishes with them. */
static const struct digest_row ROWS[] = {
    {ROW(CKM_SHA_1, CKF_DIGEST, KEY_NONE, TEST), "SHA1", 64, "\xa9\x99\x3e\x36\x47\x06\x81\x6a"},
    {ROW(CKM_SHA224, CKF_DIGEST, KEY_NONE, TEST), "SHA224", 64, "\x23\x09\x7d\x22\x34\x05\xd8\x22"},
    {ROW(CKM_SHA256, CKF_DIGEST, KEY_NONE, TEST), "SHA256", 64, "\xba\x78\x16\xbf\x8f\x01\xcf\xea"},
    {ROW(CKM_SHA384, CKF_DIGEST, KEY_NONE, TEST), "SHA384", 128, "\xcb\x00\x75\x3f\x45\xa3\x5e\x8b"},
    {ROW(CKM_SHA512, CKF_DIGEST, KEY_NONE, TEST), "SHA512", 128, "\xdd\xaf\x35\xa1\x93\x61\x7a\xba"},
    {ROW(CKM_SHA512_224, CKF_DIGEST, KEY_NONE, TEST), "SHA512-224", 128, "\x46\x34\x27\x0f\x70\x7b\x6a\x54"},
    {ROW(CKM_SHA512_256, CKF_DIGEST, KEY_NONE, TEST), "SHA512-256", 128, "\x53\x04\x8e\x26\x81\x94\x1e\xf9"},
    {ROW(CKM_SHA3_224, CKF_DIGEST, KEY_NONE, TEST), "SHA3-224", 144, "\xe6\x42\x82\x4c\x3f\x8c\xf2\x4a"},
    {ROW(CKM_SHA3_256, CKF_DIGEST, KEY_NONE, TEST), "SHA3-256", 136, "\x3a\x98\x5d\xa7\x4f\xe2\x25\xb2"},
    {ROW(CKM_SHA3_384, CKF_DIGEST, KEY_NONE, TEST), "SHA3-384", 104, "\xec\x01\x49\x82\x88\x51\x6f\xc9"},
    {ROW(CKM_SHA3_512, CKF_DIGEST, KEY_NONE, TEST), "SHA3-512", 72, "\xb7\x51\x85\x0b\x1a\x57\x16\x8a"},
};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static CK_ULONG digest_in_parts(const struct row *row, const CK_BYTE *data, CK_ULONG len, CK_ULONG part, CK_BYTE *out)
{
    CK_ULONG out_len = ROOM;

    ROW_RV(row, CKR_OK, p11->C_DigestInit(session, MECHANISM(row->type)));
    for (CK_ULONG at = 0; at < len; at += part)
        ROW_RV(row, CKR_OK, p11->C_DigestUpdate(session, (CK_BYTE *)data + at, len - at < part ? len - at : part));
    ROW_RV(row, CKR_OK, p11->C_DigestFinal(session, out, &out_len));
    return out_len;
}

static void digests_are_those_of_the_standards_at_every_block_boundary(void **state)
{
    static CK_BYTE data[300];
    CK_BYTE out[ROOM], expected[64];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (CK_BYTE)(i * 5);
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &ROWS[i].row;
        CK_ULONG hash_len = (CK_ULONG)EVP_MD_get_size(EVP_get_digestbyname(ROWS[i].md)), len = ROOM;

        ROW_RV(row, CKR_OK, p11->C_DigestInit(session, MECHANISM(row->type)));
        ROW_RV(row, CKR_OK, p11->C_Digest(session, TEXT("abc"), out, &len));
        assert_int_equal(len, hash_len);
        assert_memory_equal(out, ROWS[i].abc, 8);
        /* SHA-2 appends up to 17 bytes, SHA-3 one: the lengths around a block are where that goes wrong. */
        for (CK_ULONG n = ROWS[i].block_len - 18; n <= ROWS[i].block_len + 1; n++) {
            assert_true(EVP_Q_digest(NULL, ROWS[i].md, NULL, data, n, expected, NULL));
            assert_int_equal(digest_in_parts(row, data, n, 7, out), hash_len);
            assert_memory_equal(out, expected, hash_len);
            assert_int_equal(digest_in_parts(row, data, n, ROWS[i].block_len, out), hash_len);
            assert_memory_equal(out, expected, hash_len);
        }
    }
}

static void a_digest_that_failed_is_neither_given_nor_gone_on_with(void **state)
{
    CK_BYTE out[ROOM] = {0};

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &ROWS[i].row;
        CK_ULONG needed = 0, len = 0;

        ROW_RV(row, CKR_OK, p11->C_DigestInit(session, MECHANISM(row->type)));
        ROW_RV(row, CKR_OPERATION_ACTIVE, p11->C_DigestInit(session, MECHANISM(row->type)));
        ROW_RV(row, CKR_OK, p11->C_Digest(session, TEXT("abc"), NULL, &needed));
        memset(out, 0, sizeof(out));
        for (len = 0; len<needed; len = needed - len> 1 ? needed - 1 : needed) {
            CK_ULONG room = len;

            ROW_RV(row, CKR_BUFFER_TOO_SMALL, p11->C_Digest(session, TEXT("abc"), out, &room));
            assert_int_equal(room, needed);
            assert_int_equal(out[0], 0);
        }
        ROW_RV(row, CKR_OK, p11->C_Digest(session, TEXT("abc"), out, &needed));
        assert_memory_equal(out, ROWS[i].abc, 8);
        ROW_RV(row, CKR_OPERATION_NOT_INITIALIZED, p11->C_Digest(session, TEXT("abc"), out, &needed));
        ROW_RV(row, CKR_OK, p11->C_DigestInit(session, MECHANISM(row->type)));
        ROW_RV(row, CKR_ARGUMENTS_BAD, p11->C_DigestUpdate(session, NULL, 1));
        ROW_RV(row, CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestFinal(session, out, &needed));
    }
}

static const struct CMUnitTest TESTS[] = {
    user_test(digests_are_those_of_the_standards_at_every_block_boundary),
    user_test(a_digest_that_failed_is_neither_given_nor_gone_on_with),
};

const struct family DIGEST_FAMILY = FAMILY("digest", ROWS, TESTS, NULL);
