/* Signatures: what OpenSSL signed is verified, and the other way round; changed, cut, stretched, of another key, hash
 * or padding, nothing verifies. Signatures that are put together by hand stand in pkcs11_negative_forgery_test.c. */
#include "pkcs11_negative.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#define TEST "signatures_go_both_ways_with_openssl_and_nothing_else_verifies"

struct signature_row {
    struct row row;
    const char *md;    /* the message is hashed with it */
    const char *input; /* the digest to be signed is made with it; NULL: the message itself is signed */
    int padding;
};

static const CK_RSA_PKCS_PSS_PARAMS pss_sha1 = {CKM_SHA_1, CKG_MGF1_SHA1, 20};
static const CK_EDDSA_PARAMS pure = {CK_FALSE, 0, NULL};
static const struct {
    CK_ULONG hedge;
    CK_BYTE_PTR context;
    CK_ULONG context_len;
} hedged = {0, NULL, 0};

#define PSS(bits, len) static const CK_RSA_PKCS_PSS_PARAMS pss_##bits = {CKM_SHA##bits, CKG_MGF1_SHA##bits, len}
PSS(224, 28);
PSS(256, 32);
PSS(384, 48);
PSS(512, 64);
PSS(3_224, 28);
PSS(3_256, 32);
PSS(3_384, 48);
PSS(3_512, 64);

#define HASHED(bits, md)                                                                                               \
    {ROW_AS(CKM_SHA##bits##_RSA_PKCS, "CKM_SHA" #bits "_RSA_PKCS", SIGNS, KEY_RSA, TEST), md, NULL,                    \
     RSA_PKCS1_PADDING},                                                                                               \
        {ROW_WITH_AS(CKM_SHA##bits##_RSA_PKCS_PSS, "CKM_SHA" #bits "_RSA_PKCS_PSS", SIGNS, KEY_RSA, TEST, pss_##bits), \
         md, NULL, RSA_PKCS1_PSS_PADDING},                                                                             \
    {                                                                                                                  \
        ROW_AS(CKM_ECDSA_SHA##bits, "CKM_ECDSA_SHA" #bits, SIGNS, KEY_EC, TEST), md, NULL, 0                           \
    }

static const struct signature_row ROWS[] = {
    {ROW(CKM_SHA1_RSA_PKCS, SIGNS, KEY_RSA, TEST), "SHA1", NULL, RSA_PKCS1_PADDING},
    {ROW_WITH(CKM_SHA1_RSA_PKCS_PSS, SIGNS, KEY_RSA, TEST, pss_sha1), "SHA1", NULL, RSA_PKCS1_PSS_PADDING},
    {ROW(CKM_ECDSA_SHA1, SIGNS, KEY_EC, TEST), "SHA1", NULL, 0},
    HASHED(224, "SHA224"),
    HASHED(256, "SHA256"),
    HASHED(384, "SHA384"),
    HASHED(512, "SHA512"),
    HASHED(3_224, "SHA3-224"),
    HASHED(3_256, "SHA3-256"),
    HASHED(3_384, "SHA3-384"),
    HASHED(3_512, "SHA3-512"),
    {ROW(CKM_RSA_PKCS, SIGNS, KEY_RSA, TEST), NULL, "SHA256", RSA_PKCS1_PADDING},
    {ROW_WITH(CKM_RSA_PKCS_PSS, SIGNS, KEY_RSA, TEST, pss_256), "SHA256", "SHA256", RSA_PKCS1_PSS_PADDING},
    {ROW(CKM_RSA_X_509, SIGNS, KEY_RSA, TEST), NULL, "SHA256", RSA_NO_PADDING},
    {ROW(CKM_ECDSA, SIGNS, KEY_EC, TEST), NULL, "SHA256", 0},
    {{CKM_EDDSA, "CKM_EDDSA", SIGNS, KEY_EDWARDS, TEST, &pure, sizeof(pure), true, 0, 0}, NULL, NULL, 0},
    {{CKM_ML_DSA, "CKM_ML_DSA", SIGNS, KEY_ML_DSA, "ml_dsa_refuses_every_change", &hedged, sizeof(hedged), true, 1312,
      2592},
     NULL,
     NULL,
     0},
};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

struct data {
    CK_BYTE bytes[256];
    CK_ULONG len;
};

/* What is given to the mechanism: the message, or its digest; raw RSA takes a number below the modulus. */
static struct data data_of(const struct signature_row *row, const char *text)
{
    struct data data = {.len = strlen(text)};

    if (!row->input) {
        memcpy(data.bytes, text, data.len);
        return data;
    }
    data.len = row->padding == RSA_NO_PADDING ? 256 : (CK_ULONG)EVP_MD_get_size(EVP_get_digestbyname(row->input));
    assert_true(EVP_Q_digest(NULL, row->input, NULL, text, strlen(text), data.bytes + (data.len == 256), NULL));
    return data;
}

/* --- OpenSSL's side: signatures of ECDSA as r || s --- */

#define HALF 32

static CK_ULONG from_der(const CK_BYTE *der, size_t len, CK_BYTE *raw)
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)len);

    BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, HALF);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + HALF, HALF);
    ECDSA_SIG_free(signature);
    return 2 * HALF;
}

static CK_ULONG to_der(const CK_BYTE *raw, CK_BYTE *der)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();

    ECDSA_SIG_set0(signature, BN_bin2bn(raw, HALF, NULL), BN_bin2bn(raw + HALF, HALF, NULL));
    int len = i2d_ECDSA_SIG(signature, &der);
    ECDSA_SIG_free(signature);
    return (CK_ULONG)len;
}

static void set_padding(const struct signature_row *row, EVP_PKEY_CTX *context)
{
    if (row->padding)
        assert_true(EVP_PKEY_CTX_set_rsa_padding(context, row->padding) > 0);
    if (row->padding == RSA_PKCS1_PSS_PADDING)
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0);
}

static EVP_PKEY_CTX *digest_context(const struct signature_row *row, bool signs)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(openssl_pair(row->row.key), NULL);

    assert_true((signs ? EVP_PKEY_sign_init(context) : EVP_PKEY_verify_init(context)) > 0);
    if (row->md)
        assert_true(EVP_PKEY_CTX_set_signature_md(context, EVP_get_digestbyname(row->md)) > 0);
    set_padding(row, context);
    return context;
}

static CK_ULONG openssl_signs(const struct signature_row *row, const struct data *data, CK_BYTE *signature)
{
    CK_BYTE made[ROOM];
    size_t len = sizeof(made);

    if (row->input) {
        EVP_PKEY_CTX *context = digest_context(row, true);

        assert_true(EVP_PKEY_sign(context, made, &len, data->bytes, data->len) > 0);
        EVP_PKEY_CTX_free(context);
    } else {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_PKEY_CTX *parameters;

        assert_int_equal(
            EVP_DigestSignInit_ex(context, &parameters, row->md, NULL, NULL, openssl_pair(row->row.key), NULL), 1);
        set_padding(row, parameters);
        assert_int_equal(EVP_DigestSign(context, made, &len, data->bytes, data->len), 1);
        EVP_MD_CTX_free(context);
    }
    if (row->row.key == KEY_EC)
        return from_der(made, len, signature);
    memcpy(signature, made, len);
    return len;
}

static bool openssl_verifies(const struct signature_row *row, const struct data *data, const CK_BYTE *signature,
                             CK_ULONG len)
{
    CK_BYTE der[ROOM];
    bool good;

    if (row->row.key == KEY_EC) {
        len = to_der(signature, der);
        signature = der;
    }
    if (row->input) {
        EVP_PKEY_CTX *context = digest_context(row, false);

        good = EVP_PKEY_verify(context, signature, len, data->bytes, data->len) > 0;
        EVP_PKEY_CTX_free(context);
        return good;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;

    assert_int_equal(
        EVP_DigestVerifyInit_ex(context, &parameters, row->md, NULL, NULL, openssl_pair(row->row.key), NULL), 1);
    set_padding(row, parameters);
    good = EVP_DigestVerify(context, signature, len, data->bytes, data->len) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

/* --- the cases --- */

static void refuses(const struct signature_row *row, CK_OBJECT_HANDLE key, CK_RV expected, const struct data *data,
                    const CK_BYTE *signature, CK_ULONG len)
{
    ROW_RV(&row->row, expected,
           verify_at_once(MECHANISM_OF_ROW(&row->row), key, data->bytes, data->len, signature, len));
}

static void changed_signatures_are_refused(const struct signature_row *row, CK_OBJECT_HANDLE key,
                                           const struct data *data, const CK_BYTE *good, CK_ULONG len)
{
    CK_BYTE signature[ROOM] = {0};
    CK_ULONG at[] = {0, 1, len / 2 - 1, len / 2, len - 1};

    refuses(row, key, CKR_SIGNATURE_INVALID, data, signature, len);
    memset(signature, 0xff, len);
    refuses(row, key, CKR_SIGNATURE_INVALID, data, signature, len);
    memcpy(signature, good, len);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        signature[at[i]] ^= 1;
        refuses(row, key, CKR_SIGNATURE_INVALID, data, signature, len);
        signature[at[i]] ^= 1;
    }
    signature[len] = 0;
    static const int MORE[] = {-2, -1, 1, 2};
    for (size_t i = 0; i < sizeof(MORE) / sizeof(MORE[0]); i++)
        refuses(row, key, CKR_SIGNATURE_LEN_RANGE, data, signature, (CK_ULONG)((int)len + MORE[i]));
    refuses(row, key, CKR_SIGNATURE_LEN_RANGE, data, signature, 0);
    refuses(row, key, CKR_SIGNATURE_LEN_RANGE, data, signature, len / 2);
    refuses(row, key, CKR_ARGUMENTS_BAD, data, signature, (CK_ULONG)-1);
    memmove(signature + 1, good, len); /* zeros in front leave the numbers as they are */
    signature[0] = 0;
    refuses(row, key, CKR_SIGNATURE_LEN_RANGE, data, signature, len + 1);
    if (row->row.key == KEY_EC)
        refuses(row, key, CKR_SIGNATURE_LEN_RANGE, data, signature, to_der(good, signature));
}

/* Every other mechanism for the same key must refuse the signature, whatever it would hash. */
static void other_mechanisms_refuse(const struct signature_row *row, CK_OBJECT_HANDLE key, const CK_BYTE *signature,
                                    CK_ULONG len)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct signature_row *other = &ROWS[i];

        if (other == row || other->row.key != row->row.key)
            continue;
        struct data data = data_of(other, "message");
        bool same_hash = row->md && other->md && strcmp(row->md, other->md) == 0;

        if (row->row.key == KEY_EC && (!row->md || !other->md) &&
            strcmp(row->md ? row->md : row->input, other->md ? other->md : other->input) == 0)
            continue; /* the same signature by another name */
        if (same_hash && row->padding == other->padding)
            continue;
        refuses(other, key, CKR_SIGNATURE_INVALID, &data, signature, len);
    }
}

static void signatures_go_both_ways_with_openssl_and_nothing_else_verifies(void **state)
{
    CK_BYTE theirs[ROOM], ours[ROOM];

    (void)state;
    for (enum key_kind kind = KEY_RSA; kind <= KEY_EDWARDS; kind++) {
        CK_OBJECT_HANDLE private_key = key_for(kind, CKF_SIGN), public_key = key_for(kind, CKF_VERIFY);

        for (size_t i = 0; i < N_ROWS; i++) {
            const struct signature_row *row = &ROWS[i];

            if (row->row.key != kind)
                continue;
            struct data data = data_of(row, "message"), other = data_of(row, "massage");
            CK_ULONG len = openssl_signs(row, &data, theirs);

            refuses(row, public_key, CKR_OK, &data, theirs, len);
            assert_int_equal(sign_at_once(MECHANISM_OF_ROW(&row->row), private_key, data.bytes, data.len, ours), len);
            assert_true(openssl_verifies(row, &data, ours, len));
            refuses(row, public_key, CKR_SIGNATURE_INVALID, &other, theirs, len);
            changed_signatures_are_refused(row, public_key, &data, theirs, len);
            other_mechanisms_refuse(row, public_key, theirs, len);
        }
    }
}

static void ml_dsa_refuses_every_change(void **state)
{
    static const CK_ULONG LENGTHS[] = {2420, 3309, 4627}; /* FIPS 204, table 2, by the numbers of PKCS#11 from 1 on */
    const struct signature_row *row = &ROWS[N_ROWS - 1];
    CK_OBJECT_HANDLE public_key, private_key, others = CK_INVALID_HANDLE;
    CK_BYTE signature[ROOM];

    (void)state;
    for (CK_ULONG set = 1; set <= sizeof(LENGTHS) / sizeof(LENGTHS[0]); set++) {
        CK_RV made = p11->C_GenerateKeyPair(session, MECHANISM(CKM_ML_DSA_KEY_PAIR_GEN),
                                            TEMPLATE(A_NUMBER(CKA_PARAMETER_SET, set), A_TRUE(CKA_VERIFY)),
                                            TEMPLATE(A_TRUE(CKA_SIGN)), &public_key, &private_key);

        ROW_RV(&row->row, is_offered(&row->row) ? CKR_OK : CKR_MECHANISM_INVALID, made);
        if (made != CKR_OK)
            return;
        struct data data = data_of(row, "message"), other = data_of(row, "massage");
        CK_ULONG len = sign_at_once(MECHANISM_OF_ROW(&row->row), private_key, data.bytes, data.len, signature);
        assert_int_equal(len, LENGTHS[set - 1]);
        refuses(row, public_key, CKR_OK, &data, signature, len);
        refuses(row, public_key, CKR_SIGNATURE_INVALID, &other, signature, len);
        if (others != CK_INVALID_HANDLE) /* of another parameter set, whose signatures are shorter */
            refuses(row, others, CKR_SIGNATURE_LEN_RANGE, &data, signature, len);
        changed_signatures_are_refused(row, public_key, &data, signature, len);
        others = public_key;
    }
}

/* RSA PSS: PKCS#11 3.0, 2.1.10; the salt is at most as long as the modulus leaves room for (RFC 8017, 9.1.1). */
static void pss_with_other_parameters_is_refused(void **state)
{
    static CK_RSA_PKCS_PSS_PARAMS invalid[] = {{CKM_SHA384, CKG_MGF1_SHA256, 32},
                                               {CKM_SHA3_256, CKG_MGF1_SHA256, 32},
                                               {CKM_SHA256_HMAC, CKG_MGF1_SHA256, 32},
                                               {CKM_RSA_PKCS, CKG_MGF1_SHA256, 32},
                                               {0, CKG_MGF1_SHA256, 32},
                                               {CKM_SHA256, 0, 32},
                                               {CKM_SHA256, 0x80000001, 32},
                                               {CKM_SHA256, CKG_MGF1_SHA256, 1UL << 31},
                                               {CKM_SHA256, CKG_MGF1_SHA256, 1UL << 32},
                                               {CKM_SHA256, CKG_MGF1_SHA256, (CK_ULONG)-2}};
    static CK_RSA_PKCS_PSS_PARAMS others[] = {{CKM_SHA256, CKG_MGF1_SHA1, 32},   {CKM_SHA256, CKG_MGF1_SHA3_256, 32},
                                              {CKM_SHA256, CKG_MGF1_SHA256, 0},  {CKM_SHA256, CKG_MGF1_SHA256, 31},
                                              {CKM_SHA256, CKG_MGF1_SHA256, 33}, {CKM_SHA256, CKG_MGF1_SHA256, 222}};
    CK_OBJECT_HANDLE private_key = key_for(KEY_RSA, CKF_SIGN), public_key = key_for(KEY_RSA, CKF_VERIFY);
    CK_BYTE signature[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        CK_MECHANISM *mechanism = MECHANISM_WITH(CKM_SHA256_RSA_PKCS_PSS, invalid[i]);

        RV(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(session, mechanism, private_key));
        RV(CKR_MECHANISM_PARAM_INVALID, p11->C_VerifyInit(session, mechanism, public_key));
    }
    CK_RSA_PKCS_PSS_PARAMS good = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_ULONG good_len =
        sign_at_once(MECHANISM_WITH(CKM_SHA256_RSA_PKCS_PSS, good), private_key, TEXT("message"), signature);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        RV(CKR_SIGNATURE_INVALID, verify_at_once(MECHANISM_WITH(CKM_SHA256_RSA_PKCS_PSS, others[i]), public_key,
                                                 "message", 7, signature, good_len));
    good.sLen = 223; /* 256 - 32 - 2 = 222 is the most */
    FINE(p11->C_SignInit(session, MECHANISM_WITH(CKM_SHA256_RSA_PKCS_PSS, good), private_key));
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_Sign(session, TEXT("message"), signature, &len));
}

static const struct CMUnitTest TESTS[] = {
    user_test(signatures_go_both_ways_with_openssl_and_nothing_else_verifies),
    user_test(ml_dsa_refuses_every_change),
    user_test(pss_with_other_parameters_is_refused),
};

const struct family SIGNATURE_FAMILY = FAMILY("signature", ROWS, TESTS, NULL);
