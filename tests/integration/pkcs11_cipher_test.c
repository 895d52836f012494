/* Encrypting and decrypting (PKCS#11 2.40, 5.8 and 5.9): what comes out, and what is refused. */
#include "pkcs11_fixture.h"

#include <openssl/rsa.h>

#define ROOM RESULT_ROOM

static CK_BYTE IV[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static CK_BYTE plain[48] = "forty-eight bytes: three whole blocks of sixteen";
static const CK_BYTE KEY[32] = "thirty-two bytes of key, known..";

/* The length of what came out. */
static CK_ULONG encrypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out)
{
    CK_ULONG out_len;

    FINE(encrypt_at_once(mechanism, key, data, len, out, &out_len));
    return out_len;
}

typedef CK_RV (*update)(CK_SESSION_HANDLE in, CK_BYTE *part, CK_ULONG part_len, CK_BYTE *out, CK_ULONG *out_len);
typedef CK_RV (*final)(CK_SESSION_HANDLE in, CK_BYTE *out, CK_ULONG *out_len);

/* In parts of `part` bytes, each asked for its length before. */
static CK_ULONG by_parts(update next, final last, const CK_BYTE *data, CK_ULONG len, CK_ULONG part, CK_BYTE *out)
{
    CK_ULONG total = 0, needed, n;

    for (CK_ULONG at = 0; at < len; at += part) {
        CK_ULONG part_len = len - at < part ? len - at : part;

        FINE(next(session, (CK_BYTE *)data + at, part_len, NULL, &needed));
        n = ROOM - total;
        FINE(next(session, (CK_BYTE *)data + at, part_len, out + total, &n));
        assert_true(n <= needed);
        total += n;
    }
    FINE(last(session, NULL, &needed));
    n = ROOM - total;
    FINE(last(session, out + total, &n));
    assert_true(n <= needed);
    return total + n;
}

/* OpenSSL's cipher of this name. */
static CK_ULONG openssl_encrypt(const char *name, bool padded, const CK_BYTE *key, const CK_BYTE *iv,
                                const CK_BYTE *data, CK_ULONG len, CK_BYTE *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n, rest;

    assert_true(EVP_EncryptInit_ex2(context, EVP_get_cipherbyname(name), key, iv, NULL));
    EVP_CIPHER_CTX_set_padding(context, padded);
    assert_true(EVP_EncryptUpdate(context, out, &n, data, (int)len));
    assert_true(EVP_EncryptFinal_ex(context, out + n, &rest));
    EVP_CIPHER_CTX_free(context);
    return (CK_ULONG)(n + rest);
}

/* --- AES in its modes --- */

static const struct mode {
    CK_MECHANISM_TYPE type;
    const char *openssl;
    bool padded, with_iv, blocks;
} MODES[] = {
    {CKM_AES_ECB, "AES-256-ECB", false, false, true},
    {CKM_AES_CBC, "AES-256-CBC", false, true, true},
    {CKM_AES_CBC_PAD, "AES-256-CBC", true, true, false},
};

static void aes_modes_are_those_of_openssl(void **state)
{
    CK_OBJECT_HANDLE key = secret_of(CKK_AES, KEY, 32);
    CK_BYTE out[ROOM], expected[ROOM], back[ROOM];
    CK_ULONG back_len;

    (void)state;
    for (size_t i = 0; i < sizeof(MODES) / sizeof(MODES[0]); i++) {
        const struct mode *mode = &MODES[i];
        CK_MECHANISM *mechanism = MECHANISM_OF(mode->type, mode->with_iv ? IV : NULL, mode->with_iv ? 16 : 0);

        for (CK_ULONG len = 0; len <= 48; len += mode->blocks ? 16 : 1) {
            CK_ULONG n = openssl_encrypt(mode->openssl, mode->padded, KEY, IV, plain, len, expected);

            if (len == 0 && !mode->padded)
                continue;
            assert_int_equal(encrypt(mechanism, key, plain, len, out), n);
            assert_memory_equal(out, expected, n);
            FINE(decrypt_at_once(mechanism, key, out, n, back, &back_len));
            assert_int_equal(back_len, len);
            assert_memory_equal(back, plain, len);
        }
    }
}

static void aes_modes_go_in_parts_of_any_size(void **state)
{
    CK_AES_CTR_PARAMS counter = {128, {0}};
    CK_OBJECT_HANDLE key = secret_of(CKK_AES, KEY, 32);
    CK_MECHANISM mechanisms[] = {{CKM_AES_ECB, NULL, 0},
                                 {CKM_AES_CBC, IV, 16},
                                 {CKM_AES_CBC_PAD, IV, 16},
                                 {CKM_AES_CTR, &counter, sizeof(counter)}};
    CK_BYTE whole[ROOM], out[ROOM], back[ROOM];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        CK_ULONG n = encrypt(&mechanisms[i], key, plain, 48, whole);

        for (CK_ULONG part = 1; part <= 48; part += part < 17 ? 5 : 15) {
            FINE(p11->C_EncryptInit(session, &mechanisms[i], key));
            assert_int_equal(by_parts(p11->C_EncryptUpdate, p11->C_EncryptFinal, plain, 48, part, out), n);
            assert_memory_equal(out, whole, n);
            FINE(p11->C_DecryptInit(session, &mechanisms[i], key));
            assert_int_equal(by_parts(p11->C_DecryptUpdate, p11->C_DecryptFinal, out, n, part, back), 48);
            assert_memory_equal(back, plain, 48);
        }
    }
}

static void wrong_lengths_of_blocks_are_refused(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_BYTE out[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
    RV(CKR_DATA_LEN_RANGE, p11->C_Encrypt(session, plain, 17, out, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Encrypt(session, plain, 16, out, &len));
    RV(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt_at_once(MECHANISM(CKM_AES_ECB), key, plain, 17, out, &len));
    RV(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt_at_once(MECHANISM_OF(CKM_AES_CBC_PAD, IV, 16), key, plain, 17, out, &len));
    FINE(p11->C_EncryptInit(session, MECHANISM_OF(CKM_AES_CBC, IV, 16), key));
    len = ROOM;
    FINE(p11->C_EncryptUpdate(session, plain, 20, out, &len));
    len = ROOM;
    RV(CKR_DATA_LEN_RANGE, p11->C_EncryptFinal(session, out, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &len));
}

static void wrong_padding_is_refused(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_BYTE out[ROOM], back[ROOM];
    CK_ULONG back_len;

    (void)state;
    CK_ULONG len = encrypt(MECHANISM_OF(CKM_AES_CBC, IV, 16), key, plain, 32, out); /* no padding within */
    CK_RV rv = decrypt_at_once(MECHANISM_OF(CKM_AES_CBC_PAD, IV, 16), key, out, len, back, &back_len);
    assert_true(rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE);
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Decrypt(session, out, len, back, &back_len));
}

static void parameters_of_ciphers_are_checked(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_AES_CTR_PARAMS counters[] = {{0, {0}}, {129, {0}}, {(CK_ULONG)-1, {0}}};
    CK_GCM_PARAMS_V3 gcms[] = {
        {NULL, 12, 96, NULL, 0, 128},         {IV, 0, 0, NULL, 0, 128},           {IV, 12, 96, NULL, 5, 128},
        {IV, 12, 96, NULL, 0, 129},           {IV, 12, 96, NULL, 0, 0},           {IV, 12, 96, NULL, 0, 7},
        {IV, (CK_ULONG)-1, 96, NULL, 0, 128}, {IV, 12, 96, IV, (CK_ULONG)-1, 128}};
    CK_CCM_PARAMS ccms[] = {{16, IV, 6, NULL, 0, 16}, {16, IV, 14, NULL, 0, 16}, {16, NULL, 12, NULL, 0, 16},
                            {16, IV, 12, NULL, 0, 3}, {16, IV, 12, NULL, 0, 18}, {16, IV, 12, NULL, 9, 16}};

    (void)state;
#define BAD(type, params, len)                                                                                         \
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptInit(session, MECHANISM_OF(type, params, len), key))
    BAD(CKM_AES_ECB, IV, 16);
    BAD(CKM_AES_CBC, NULL, 0);
    BAD(CKM_AES_CBC, IV, 15);
    BAD(CKM_AES_CBC, NULL, 16);
    BAD(CKM_AES_CBC_PAD, IV, 12);
    BAD(CKM_AES_CTR, IV, 16);
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        BAD(CKM_AES_CTR, &counters[i], sizeof(counters[i]));
    for (size_t i = 0; i < sizeof(gcms) / sizeof(gcms[0]); i++)
        BAD(CKM_AES_GCM, &gcms[i], sizeof(gcms[i]));
    BAD(CKM_AES_GCM, NULL, 0);
    BAD(CKM_AES_GCM, gcms, 7);
    for (size_t i = 0; i < sizeof(ccms) / sizeof(ccms[0]); i++)
        BAD(CKM_AES_CCM, &ccms[i], sizeof(ccms[i]));
#undef BAD
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key)); /* nothing was begun */
}

/* PKCS#11 3.0, AES-CTR: a counter must not come round. */
static void a_counter_does_not_overflow(void **state)
{
    CK_AES_CTR_PARAMS counter = {8, {[15] = 0xfe}}, wide = {128, {[15] = 0xfe}};
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_BYTE out[ROOM], other[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    assert_int_equal(encrypt(MECHANISM_WITH(CKM_AES_CTR, counter), key, plain, 32, out), 32); /* fe, ff */
    assert_int_equal(encrypt(MECHANISM_WITH(CKM_AES_CTR, wide), key, plain, 33, other), 33);
    assert_memory_equal(out, other, 32);
    FINE(p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_CTR, counter), key));
    RV(CKR_DATA_LEN_RANGE, p11->C_Encrypt(session, plain, 33, out, &len));
    FINE(p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_CTR, counter), key));
    len = ROOM;
    FINE(p11->C_EncryptUpdate(session, plain, 30, out, &len));
    len = ROOM;
    CK_RV rv = p11->C_EncryptUpdate(session, plain, 10, out, &len);
    if (rv == CKR_OK)
        rv = p11->C_EncryptFinal(session, out, &len);
    RV(CKR_DATA_LEN_RANGE, rv);
}

/* --- AEAD --- */

/* NIST's GCM specification (McGrew and Viega), test case 4. */
static void gcm_gives_the_known_answer(void **state)
{
    static const CK_BYTE K[] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
                                0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
    static CK_BYTE P[] = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26,
                          0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31,
                          0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49,
                          0xa6, 0xb5, 0x25, 0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
    static CK_BYTE A[] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
                          0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
    static CK_BYTE N[] = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
    static const CK_BYTE C[] = {0x42, 0x83, 0x1e, 0xc2}, T[] = {0x5b, 0xc9, 0x4f, 0xbc, 0x32, 0x21, 0xa5, 0xdb,
                                                                0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12, 0x1a, 0x47};
    CK_GCM_PARAMS_V3 params = {N, sizeof(N), 96, A, sizeof(A), 128};
    CK_NSS_GCM_PARAMS older = {N, sizeof(N), A, sizeof(A), 128};
    CK_OBJECT_HANDLE key = secret_of(CKK_AES, K, sizeof(K));
    CK_BYTE out[ROOM], back[ROOM];
    CK_ULONG len;

    (void)state;
    assert_int_equal(encrypt(MECHANISM_WITH(CKM_AES_GCM, params), key, P, sizeof(P), out), sizeof(P) + 16);
    assert_memory_equal(out, C, sizeof(C));
    assert_memory_equal(out + sizeof(P), T, 16);
    FINE(decrypt_at_once(MECHANISM_WITH(CKM_AES_GCM, older), key, out, sizeof(P) + 16, back, &len));
    assert_int_equal(len, sizeof(P));
    assert_memory_equal(back, P, sizeof(P));
    params.ulTagBits = 96;
    assert_int_equal(encrypt(MECHANISM_WITH(CKM_AES_GCM, params), key, P, sizeof(P), out), sizeof(P) + 12);
    assert_memory_equal(out + sizeof(P), T, 12);
}

static void gcm_in_parts_gives_no_plaintext_before_the_tag_was_right(void **state)
{
    CK_BYTE nonce[12] = "twelve bytes", out[ROOM], whole[ROOM], back[ROOM];
    CK_GCM_PARAMS_V3 params = {nonce, 12, 96, plain, 7, 128};
    CK_OBJECT_HANDLE key = aes_key_of(32);

    (void)state;
    CK_ULONG n = encrypt(MECHANISM_WITH(CKM_AES_GCM, params), key, plain, 48, whole), len;
    FINE(p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_GCM, params), key));
    assert_int_equal(by_parts(p11->C_EncryptUpdate, p11->C_EncryptFinal, plain, 48, 10, out), n);
    assert_memory_equal(out, whole, n);
    FINE(p11->C_DecryptInit(session, MECHANISM_WITH(CKM_AES_GCM, params), key));
    assert_int_equal(by_parts(p11->C_DecryptUpdate, p11->C_DecryptFinal, out, n, 9, back), 48);
    assert_memory_equal(back, plain, 48);
    out[n - 1] ^= 1;
    FINE(p11->C_DecryptInit(session, MECHANISM_WITH(CKM_AES_GCM, params), key));
    memset(back, 0, sizeof(back));
    len = ROOM;
    FINE(p11->C_DecryptUpdate(session, out, n, back, &len));
    assert_int_equal(len, 0);
    len = ROOM;
    RV(CKR_ENCRYPTED_DATA_INVALID, p11->C_DecryptFinal(session, back, &len));
    assert_memory_not_equal(back, plain, 16);
}

static void aead_refuses_what_was_changed(void **state)
{
    CK_BYTE nonce[12] = "twelve bytes", aad[3] = "aad", out[ROOM], back[ROOM];
    CK_GCM_PARAMS_V3 gcm = {nonce, 12, 96, aad, 3, 128};
    CK_CCM_PARAMS ccm = {48, nonce, 12, aad, 3, 16};
    CK_MECHANISM mechanisms[] = {{CKM_AES_GCM, &gcm, sizeof(gcm)}, {CKM_AES_CCM, &ccm, sizeof(ccm)}};
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_ULONG len;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CK_ULONG n = encrypt(&mechanisms[i], key, plain, 48, out);

        assert_int_equal(n, 64);
        FINE(decrypt_at_once(&mechanisms[i], key, out, n, back, &len));
        assert_int_equal(len, 48);
        assert_memory_equal(back, plain, 48);
        static const CK_ULONG AT[] = {0, 47, 48, 63};
        for (size_t k = 0; k < 4; k++) {
            out[AT[k]] ^= 0x80;
            RV(CKR_ENCRYPTED_DATA_INVALID, decrypt_at_once(&mechanisms[i], key, out, n, back, &len));
            out[AT[k]] ^= 0x80;
        }
        REFUSED(decrypt_at_once(&mechanisms[i], key, out, 15, back, &len)); /* shorter than the tag */
        REFUSED(decrypt_at_once(&mechanisms[i], key, out, 0, back, &len));
        aad[0] ^= 1;
        RV(CKR_ENCRYPTED_DATA_INVALID, decrypt_at_once(&mechanisms[i], key, out, n, back, &len));
        aad[0] ^= 1;
        ccm.ulDataLen = mechanisms[i].mechanism == CKM_AES_CCM ? 0 : 48;
        assert_int_equal(encrypt(&mechanisms[i], key, plain, 0, out), 16); /* nothing but a tag */
    }
}

/* SP 800-38C, example 1. */
static void ccm_gives_the_known_answer(void **state)
{
    static CK_BYTE K[16], N[7], A[8], P[4];
    static const CK_BYTE C[] = {0x71, 0x62, 0x01, 0x5b, 0x4d, 0xac, 0x25, 0x5d};
    CK_CCM_PARAMS params = {4, N, 7, A, 8, 4};
    CK_BYTE out[ROOM];

    (void)state;
    for (CK_BYTE i = 0; i < 16; i++) {
        K[i] = 0x40 + i;
        if (i < 7)
            N[i] = 0x10 + i;
        if (i < 8)
            A[i] = i;
        if (i < 4)
            P[i] = 0x20 + i;
    }
    assert_int_equal(encrypt(MECHANISM_WITH(CKM_AES_CCM, params), secret_of(CKK_AES, K, 16), P, 4, out), 8);
    assert_memory_equal(out, C, 8);
}

/* --- AWS CloudHSM's own --- */

static void cloudhsm_gcm_makes_the_nonce_and_puts_it_in_front(void **state)
{
    CK_BYTE nonce[12] = {0}, out[ROOM], again[ROOM], back[ROOM];
    CK_GCM_PARAMS_V3 params = {nonce, 12, 96, plain, 5, 128};
    CK_OBJECT_HANDLE key = aes_key_of(32);
    CK_ULONG len;

    (void)state;
    CK_ULONG n = encrypt(MECHANISM_WITH(CKM_CLOUDHSM_AES_GCM, params), key, plain, 48, out);
    assert_int_equal(n, 12 + 48 + 16);
    assert_memory_equal(out, nonce, 12);
    assert_memory_not_equal(nonce, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    FINE(decrypt_at_once(MECHANISM_WITH(CKM_CLOUDHSM_AES_GCM, params), key, out, n, back, &len));
    assert_int_equal(len, 48);
    assert_memory_equal(back, plain, 48);
    FINE(decrypt_at_once(MECHANISM_WITH(CKM_AES_GCM, params), key, out + 12, n - 12, back, &len)); /* it is GCM */
    assert_memory_equal(back, plain, 48);
    (void)encrypt(MECHANISM_WITH(CKM_CLOUDHSM_AES_GCM, params), key, plain, 48, again);
    assert_memory_not_equal(again, out, 12);
    CK_GCM_PARAMS_V3 nowhere = {NULL, 0, 0, plain, 5, 128};
    n = encrypt(MECHANISM_WITH(CKM_CLOUDHSM_AES_GCM, nowhere), key, plain, 48, out);
    FINE(decrypt_at_once(MECHANISM_WITH(CKM_CLOUDHSM_AES_GCM, nowhere), key, out, n, back, &len));
    out[3] ^= 1;
    RV(CKR_ENCRYPTED_DATA_INVALID,
       decrypt_at_once(MECHANISM_WITH(CKM_CLOUDHSM_AES_GCM, nowhere), key, out, n, back, &len));
    REFUSED(decrypt_at_once(MECHANISM_WITH(CKM_CLOUDHSM_AES_GCM, nowhere), key, out, 11, back, &len));
    REFUSED(decrypt_at_once(MECHANISM_WITH(CKM_CLOUDHSM_AES_GCM, nowhere), key, out, 27, back, &len));
}

static void gcm_with_a_nonce_of_zeros_gets_one_from_the_hsm(void **state)
{
    CK_BYTE nonce[12] = {0}, out[ROOM], back[ROOM];
    CK_GCM_PARAMS_V3 params = {nonce, 12, 96, NULL, 0, 128};
    CK_OBJECT_HANDLE key = aes_key_of(32);
    CK_ULONG len;

    (void)state;
    CK_ULONG n = encrypt(MECHANISM_WITH(CKM_AES_GCM, params), key, plain, 48, out);
    assert_int_equal(n, 64);
    assert_memory_not_equal(nonce, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    FINE(decrypt_at_once(MECHANISM_WITH(CKM_AES_GCM, params), key, out, n, back, &len));
    assert_memory_equal(back, plain, 48);
}

/* --- RSA --- */

static void rsa_encrypts_what_openssl_encrypts(void **state)
{
    CK_RSA_PKCS_OAEP_PARAMS oaeps[] = {
        {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0},
        {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0},
        {CKM_SHA512, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, plain, 9},
    };
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE out[ROOM], back[ROOM];
    CK_ULONG len;
    size_t n = ROOM;

    (void)state;
    rsa_pair(&public_key, &private_key);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(encrypt(MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaeps[i]), public_key, plain, 48, out), 256);
        FINE(decrypt_at_once(MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaeps[i]), private_key, out, 256, back, &len));
        assert_int_equal(len, 48);
        assert_memory_equal(back, plain, 48);
        out[9] ^= 1;
        REFUSED(decrypt_at_once(MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaeps[i]), private_key, out, 256, back, &len));
    }
    EVP_PKEY *key = openssl_key(public_key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_true(EVP_PKEY_encrypt_init(context) > 0);
    EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING);
    EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256());
    assert_true(EVP_PKEY_encrypt(context, out, &n, plain, 48) > 0);
    FINE(decrypt_at_once(MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaeps[0]), private_key, out, n, back, &len));
    assert_memory_equal(back, plain, 48);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    assert_int_equal(encrypt(MECHANISM(CKM_RSA_PKCS), public_key, plain, 48, out), 256);
    FINE(decrypt_at_once(MECHANISM(CKM_RSA_PKCS), private_key, out, 256, back, &len));
    assert_int_equal(len, 48);
    FINE(p11->C_EncryptInit(session, MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaeps[0]), public_key));
    len = ROOM;
    memset(out, 1, 250);
    RV(CKR_DATA_LEN_RANGE, p11->C_Encrypt(session, out, 250, back, &len));
}

static void rsa_decryption_tells_its_length_without_losing_the_result(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE out[ROOM], back[ROOM];
    CK_ULONG len = 0;

    (void)state;
    rsa_pair(&public_key, &private_key);
    CK_ULONG n = encrypt(MECHANISM(CKM_RSA_PKCS), public_key, plain, 48, out);
    FINE(p11->C_DecryptInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    FINE(p11->C_Decrypt(session, out, n, NULL, &len));
    assert_true(len >= 48);
    len = 47;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_Decrypt(session, out, n, back, &len));
    assert_true(len >= 48);
    len = 48; /* exactly as much as comes out is enough */
    FINE(p11->C_Decrypt(session, out, n, back, &len));
    assert_int_equal(len, 48);
    assert_memory_equal(back, plain, 48);
}

static void keys_that_may_not_encrypt_do_not(void **state)
{
    CK_OBJECT_HANDLE key, public_key, private_key;

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_FALSE(CKA_ENCRYPT), A_TRUE(CKA_DECRYPT)), &key));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
    FINE(p11->C_DecryptInit(session, MECHANISM(CKM_AES_ECB), key));
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), public_key));
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_EncryptInit(session, MECHANISM(CKM_RSA_PKCS), public_key));
    RV(CKR_MECHANISM_INVALID, p11->C_EncryptInit(session, MECHANISM(CKM_ECDSA), public_key));
    /* What the session sees changes with the key. */
    FINE(p11->C_SetAttributeValue(session, key, TEMPLATE(A_TRUE(CKA_ENCRYPT))));
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
}

static void allowed_mechanisms_are_the_only_ones(void **state)
{
    CK_MECHANISM_TYPE allowed[] = {CKM_AES_GCM, CKM_AES_CMAC};
    CK_BYTE nonce[12] = "twelve bytes", out[ROOM];
    CK_GCM_PARAMS_V3 gcm = {nonce, 12, 96, NULL, 0, 128};
    CK_OBJECT_HANDLE key;
    CK_ULONG len = ROOM;

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_TRUE(CKA_ENCRYPT),
                                     A_BYTES(CKA_ALLOWED_MECHANISMS, allowed, sizeof(allowed))),
                            &key));
    assert_int_equal(encrypt(MECHANISM_WITH(CKM_AES_GCM, gcm), key, plain, 48, out), 64);
    CK_RV rv = p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key);
    if (rv == CKR_OK)
        rv = p11->C_Encrypt(session, plain, 16, out, &len);
    assert_true(rv == CKR_MECHANISM_INVALID || rv == CKR_KEY_FUNCTION_NOT_PERMITTED);
}

/* Its nonce would be lost: nobody could decrypt. */
static void cloudhsm_gcm_does_not_go_in_parts(void **state)
{
    CK_GCM_PARAMS_V3 params = {NULL, 0, 0, NULL, 0, 128};
    CK_MECHANISM *gcm = MECHANISM_WITH(CKM_CLOUDHSM_AES_GCM, params);
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_BYTE out[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    FINE(p11->C_EncryptInit(session, gcm, key));
    RV(CKR_MECHANISM_INVALID, p11->C_EncryptUpdate(session, plain, 48, out, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &len));
    FINE(p11->C_EncryptInit(session, gcm, key));
    RV(CKR_MECHANISM_INVALID, p11->C_EncryptFinal(session, out, &len));
    FINE(p11->C_EncryptInit(session, gcm, key));
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    RV(CKR_MECHANISM_INVALID, p11->C_DigestEncryptUpdate(session, plain, 48, out, &len));
    FINE(p11->C_DecryptInit(session, gcm, key));
    RV(CKR_MECHANISM_INVALID, p11->C_DecryptDigestUpdate(session, plain, 48, out, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(aes_modes_are_those_of_openssl),
        user_test(aes_modes_go_in_parts_of_any_size),
        user_test(wrong_lengths_of_blocks_are_refused),
        user_test(wrong_padding_is_refused),
        user_test(parameters_of_ciphers_are_checked),
        user_test(a_counter_does_not_overflow),
        user_test(gcm_gives_the_known_answer),
        user_test(gcm_in_parts_gives_no_plaintext_before_the_tag_was_right),
        user_test(aead_refuses_what_was_changed),
        user_test(ccm_gives_the_known_answer),
        user_test(cloudhsm_gcm_makes_the_nonce_and_puts_it_in_front),
        user_test(gcm_with_a_nonce_of_zeros_gets_one_from_the_hsm),
        user_test(rsa_encrypts_what_openssl_encrypts),
        user_test(rsa_decryption_tells_its_length_without_losing_the_result),
        user_test(keys_that_may_not_encrypt_do_not),
        user_test(allowed_mechanisms_are_the_only_ones),
        user_test(cloudhsm_gcm_does_not_go_in_parts),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
