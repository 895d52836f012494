/* Signatures put together by hand: numbers out of range (ECDSA, EdDSA, RSA), and paddings of PKCS#1 that a lax parser
 * takes for good ones. OpenSSL's private key makes them, without its paddings. */
#include "pkcs11_negative.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#define N    256 /* bytes of the modulus */
#define HALF 32

static const CK_BYTE P256_ORDER[] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                     0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

/* --- RSA --- */

static void raw_rsa(const CK_BYTE *block, CK_BYTE *signature)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(openssl_pair(KEY_RSA), NULL);
    size_t len = N;

    assert_true(EVP_PKEY_sign_init(context) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) > 0);
    assert_true(EVP_PKEY_sign(context, signature, &len, block, N) > 0);
    EVP_PKEY_CTX_free(context);
}

/* RFC 8017, 9.2, note 1, for SHA-256. */
static const CK_BYTE INFO[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                               0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

/* 00 || type || fill ... || 00 || info || digest || rest zeros */
static void write_block(CK_BYTE *block, CK_BYTE type, CK_BYTE fill, const CK_BYTE *info, CK_ULONG info_len,
                        const CK_BYTE *digest, CK_ULONG digest_len, CK_ULONG rest)
{
    CK_ULONG tail = info_len + digest_len + rest;

    memset(block, fill, N);
    block[0] = 0;
    block[1] = type;
    block[N - tail - 1] = 0;
    memcpy(block + N - tail, info, info_len);
    memcpy(block + N - tail + info_len, digest, digest_len);
    memset(block + N - rest, 0, rest);
}

static void check_block(CK_OBJECT_HANDLE key, CK_RV expected, const CK_BYTE *block)
{
    CK_BYTE signature[N];

    raw_rsa(block, signature);
    RV(expected, verify_at_once(MECHANISM(CKM_SHA256_RSA_PKCS), key, TEXT("message"), signature, N));
}

static void paddings_of_pkcs1_that_are_not_exact_are_refused(void **state)
{
    /* Without the NULL of the algorithm; and with the lengths in BER's long form. */
    static const CK_BYTE WITHOUT_NULL[] = {0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
                                           0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20};
    static const CK_BYTE LONG_FORM[] = {0x30, 0x81, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
                                        0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    CK_OBJECT_HANDLE key = key_for(KEY_RSA, CKF_VERIFY);
    CK_BYTE digest[32], block[N], other_info[sizeof(INFO)];

    (void)state;
    assert_true(EVP_Q_digest(NULL, "SHA256", NULL, TEXT("message"), digest, NULL));
    write_block(block, 1, 0xff, INFO, sizeof(INFO), digest, 32, 0);
    check_block(key, CKR_OK, block);
    block[10] = 0xfe; /* a byte of padding that is not 0xff */
    check_block(key, CKR_SIGNATURE_INVALID, block);
    write_block(block, 2, 0xff, INFO, sizeof(INFO), digest, 32, 0); /* the type of encryption */
    check_block(key, CKR_SIGNATURE_INVALID, block);
    write_block(block, 0, 0x00, INFO, sizeof(INFO), digest, 32, 0);
    check_block(key, CKR_SIGNATURE_INVALID, block);
    write_block(block, 1, 0xff, INFO, sizeof(INFO), digest, 32, 1); /* something behind the digest */
    check_block(key, CKR_SIGNATURE_INVALID, block);
    /* Bleichenbacher, 2006: the shortest padding, and the rest behind. */
    write_block(block, 1, 0xff, INFO, sizeof(INFO), digest, 32, N - 3 - 8 - sizeof(INFO) - 32);
    check_block(key, CKR_SIGNATURE_INVALID, block);
    write_block(block, 1, 0xff, WITHOUT_NULL, sizeof(WITHOUT_NULL), digest, 32, 0);
    check_block(key, CKR_SIGNATURE_INVALID, block);
    write_block(block, 1, 0xff, LONG_FORM, sizeof(LONG_FORM), digest, 32, 0);
    check_block(key, CKR_SIGNATURE_INVALID, block);
    write_block(block, 1, 0xff, digest, 32, digest, 0, 0); /* the digest alone */
    check_block(key, CKR_SIGNATURE_INVALID, block);
    write_block(block, 1, 0xff, INFO, sizeof(INFO), digest, 31, 0); /* a byte of it missing */
    check_block(key, CKR_SIGNATURE_INVALID, block);
    memcpy(other_info, INFO, sizeof(INFO));
    other_info[14] = 8; /* the number of SHA3-256, whose digests are as long */
    write_block(block, 1, 0xff, other_info, sizeof(other_info), digest, 32, 0);
    check_block(key, CKR_SIGNATURE_INVALID, block);
}

/* RFC 8017, 8.1.2 and 8.2.2: a representative out of range is no signature, even where it is congruent to one. */
static void numbers_that_are_no_rsa_signatures_are_refused(void **state)
{
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_MECHANISM mechanisms[] = {{CKM_SHA256_RSA_PKCS, NULL, 0}, {CKM_SHA256_RSA_PKCS_PSS, &pss, sizeof(pss)}};
    CK_OBJECT_HANDLE key = key_for(KEY_RSA, CKF_VERIFY), private_key = key_for(KEY_RSA, CKF_SIGN);
    CK_BYTE bytes[ROOM];
    BIGNUM *modulus = NULL;

    (void)state;
    assert_true(EVP_PKEY_get_bn_param(openssl_pair(KEY_RSA), "n", &modulus));
    for (size_t i = 0; i < 2; i++) {
        for (int below = 1; below >= -1; below--) {
            BIGNUM *number = BN_dup(modulus);

            assert_true(below > 0 ? BN_sub_word(number, 1) : BN_add_word(number, (BN_ULONG)-below));
            BN_bn2binpad(number, bytes, N);
            RV(CKR_SIGNATURE_INVALID, verify_at_once(&mechanisms[i], key, TEXT("message"), bytes, N));
            BN_free(number);
        }
        memset(bytes, 0, N);
        for (bytes[N - 1] = 0; bytes[N - 1] <= 2; bytes[N - 1]++)
            RV(CKR_SIGNATURE_INVALID, verify_at_once(&mechanisms[i], key, TEXT("message"), bytes, N));
        /* A good one and the modulus, as far as it fits into as many bytes. */
        BIGNUM *sum;
        int tries = 0;

        do {
            CK_BYTE text[1] = {(CK_BYTE)tries};

            assert_int_equal(sign_at_once(&mechanisms[i], private_key, text, 1, bytes), N);
            sum = BN_bin2bn(bytes, N, NULL);
            assert_true(BN_add(sum, sum, modulus));
            if (BN_num_bytes(sum) == N)
                break;
            BN_free(sum);
            sum = NULL;
        } while (++tries < 40);
        if (sum) {
            BN_bn2binpad(sum, bytes, N);
            RV(CKR_SIGNATURE_INVALID, verify_at_once(&mechanisms[i], key, (CK_BYTE[]){(CK_BYTE)tries}, 1, bytes, N));
        }
        BN_free(sum);
    }
    BN_free(modulus);
}

/* --- ECDSA --- */

static void numbers_that_are_no_ecdsa_signatures_are_refused(void **state)
{
    CK_OBJECT_HANDLE key = key_for(KEY_EC, CKF_VERIFY), private_key = key_for(KEY_EC, CKF_SIGN);
    CK_BYTE good[ROOM], wrong[2 * HALF], edges[6][HALF] = {{0}};

    (void)state;
    assert_int_equal(sign_at_once(MECHANISM(CKM_ECDSA_SHA256), private_key, TEXT("message"), good), 2 * HALF);
    FINE(verify_at_once(MECHANISM(CKM_ECDSA_SHA256), key, TEXT("message"), good, 2 * HALF));
    edges[1][HALF - 1] = 1;
    memcpy(edges[2], P256_ORDER, HALF); /* n, n - 1, n + 1 */
    memcpy(edges[3], P256_ORDER, HALF);
    edges[3][HALF - 1]--;
    memcpy(edges[4], P256_ORDER, HALF);
    edges[4][HALF - 1]++;
    memset(edges[5], 0xff, HALF);
    for (size_t r = 0; r <= 6; r++)
        for (size_t s = 0; s <= 6; s++) {
            if (r == 6 && s == 6)
                continue;
            memcpy(wrong, r < 6 ? edges[r] : good, HALF);
            memcpy(wrong + HALF, s < 6 ? edges[s] : good + HALF, HALF);
            RV(CKR_SIGNATURE_INVALID,
               verify_at_once(MECHANISM(CKM_ECDSA_SHA256), key, TEXT("message"), wrong, 2 * HALF));
            /* A digest of zeros makes r the only thing that counts. */
            RV(CKR_SIGNATURE_INVALID, verify_at_once(MECHANISM(CKM_ECDSA), key, edges[0], HALF, wrong, 2 * HALF));
        }
    memcpy(wrong, good + HALF, HALF);
    memcpy(wrong + HALF, good, HALF);
    RV(CKR_SIGNATURE_INVALID, verify_at_once(MECHANISM(CKM_ECDSA_SHA256), key, TEXT("message"), wrong, 2 * HALF));
}

/* FIPS 186-5 has -s beside s; what makes it unique is no part of ECDSA. A digest of no bytes is none. */
static void the_other_s_of_ecdsa_verifies_and_an_empty_digest_does_not(void **state)
{
    CK_OBJECT_HANDLE key = key_for(KEY_EC, CKF_VERIFY), private_key = key_for(KEY_EC, CKF_SIGN);
    BIGNUM *order = BN_bin2bn(P256_ORDER, HALF, NULL);
    CK_BYTE signature[ROOM], out[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    (void)sign_at_once(MECHANISM(CKM_ECDSA_SHA256), private_key, TEXT("message"), signature);
    BIGNUM *s = BN_bin2bn(signature + HALF, HALF, NULL);
    assert_true(BN_sub(s, order, s));
    BN_bn2binpad(s, signature + HALF, HALF);
    FINE(verify_at_once(MECHANISM(CKM_ECDSA_SHA256), key, TEXT("message"), signature, 2 * HALF));
    BN_free(s);
    BN_free(order);
    RV(CKR_DATA_LEN_RANGE, verify_at_once(MECHANISM(CKM_ECDSA), key, NULL, 0, signature, 2 * HALF));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA), private_key));
    RV(CKR_DATA_LEN_RANGE, p11->C_Sign(session, NULL, 0, out, &len));
}

/* --- EdDSA --- */

/* RFC 8032, 5.1.7: S must be below L, or every signature has a second form; and the points must decode. */
static void eddsa_signatures_of_another_form_are_refused(void **state)
{
    static const CK_BYTE L[] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    CK_OBJECT_HANDLE key = key_for(KEY_EDWARDS, CKF_VERIFY), private_key = key_for(KEY_EDWARDS, CKF_SIGN);
    CK_MECHANISM *eddsa = MECHANISM(CKM_EDDSA);
    CK_BYTE good[ROOM], wrong[2 * HALF];

    (void)state;
    assert_int_equal(sign_at_once(eddsa, private_key, TEXT("message"), good), 2 * HALF);
    FINE(verify_at_once(eddsa, key, TEXT("message"), good, 2 * HALF));
    memcpy(wrong, good, sizeof(wrong));
    for (unsigned i = 0, carry = 0; i < HALF; i++) {
        carry += good[HALF + i] + L[i];
        wrong[HALF + i] = (CK_BYTE)carry;
        carry >>= 8;
    }
    RV(CKR_SIGNATURE_INVALID, verify_at_once(eddsa, key, TEXT("message"), wrong, 2 * HALF)); /* S + L */
    for (unsigned bit = 5; bit < 8; bit++) {
        memcpy(wrong, good, sizeof(wrong));
        wrong[2 * HALF - 1] |= (CK_BYTE)(1 << bit);
        RV(CKR_SIGNATURE_INVALID, verify_at_once(eddsa, key, TEXT("message"), wrong, 2 * HALF));
    }
    memcpy(wrong, good, sizeof(wrong));
    memcpy(wrong + HALF, L, HALF); /* zero, but written as L */
    RV(CKR_SIGNATURE_INVALID, verify_at_once(eddsa, key, TEXT("message"), wrong, 2 * HALF));
    memset(wrong, 0, sizeof(wrong));
    wrong[0] = 1; /* the neutral point, S = 0 */
    RV(CKR_SIGNATURE_INVALID, verify_at_once(eddsa, key, TEXT("message"), wrong, 2 * HALF));
    memcpy(wrong, good, sizeof(wrong));
    wrong[HALF - 1] ^= 0x80; /* the other x of R */
    RV(CKR_SIGNATURE_INVALID, verify_at_once(eddsa, key, TEXT("message"), wrong, 2 * HALF));
    memset(wrong, 0xff, HALF); /* y beyond the field */
    RV(CKR_SIGNATURE_INVALID, verify_at_once(eddsa, key, TEXT("message"), wrong, 2 * HALF));
}

static const struct CMUnitTest TESTS[] = {
    user_test(paddings_of_pkcs1_that_are_not_exact_are_refused),
    user_test(numbers_that_are_no_rsa_signatures_are_refused),
    user_test(numbers_that_are_no_ecdsa_signatures_are_refused),
    user_test(the_other_s_of_ecdsa_verifies_and_an_empty_digest_does_not),
    user_test(eddsa_signatures_of_another_form_are_refused),
};

/* Its mechanisms have their rows in the family of signatures. */
const struct family FORGERY_FAMILY = {"forgery", NULL, 0, 0, TESTS, sizeof(TESTS) / sizeof(TESTS[0]), NULL};
