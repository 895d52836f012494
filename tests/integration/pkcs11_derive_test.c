/* Keys out of keys: agreement, HKDF, SP 800-108, and the simple derivations (PKCS#11 2.40, 5.13.5). What comes out is
 * compared with OpenSSL or with known answers. */
#include "pkcs11_fixture.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>

#define ROOM 256

/* A derived key whose value can be compared. */
#define OPEN_SECRET(len)                                                                                               \
    TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET),                          \
             A_NUMBER(CKA_VALUE_LEN, len), A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE))

#define WITHOUT_LEN                                                                                                    \
    TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET), A_FALSE(CKA_SENSITIVE),  \
             A_TRUE(CKA_EXTRACTABLE))

/* --- key agreement --- */

static size_t openssl_agrees(EVP_PKEY *ours, EVP_PKEY *theirs, CK_BYTE *secret)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(ours, NULL);
    size_t len = ROOM;

    assert_true(EVP_PKEY_derive_init(context) > 0);
    assert_true(EVP_PKEY_derive_set_peer(context, theirs) > 0);
    assert_true(EVP_PKEY_derive(context, secret, &len) > 0);
    EVP_PKEY_CTX_free(context);
    return len;
}

static void ecdh_agrees_with_openssl_in_every_form_of_the_point(void **state)
{
    static const struct {
        const char *oid;
        size_t oid_len;
        const char *name;
    } CURVES[] = {
        {P256, sizeof(P256) - 1, "P-256"}, {P384, sizeof(P384) - 1, "P-384"}, {P521, sizeof(P521) - 1, "P-521"}};
    CK_OBJECT_HANDLE public_key, private_key, derived;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        CK_BYTE secret[ROOM], point[ROOM] = {0x04}, wrapped[ROOM + 4];
        size_t point_len = 0;

        ec_pair(CURVES[i].oid, CURVES[i].oid_len, &public_key, &private_key);
        EVP_PKEY *peer = EVP_EC_gen(CURVES[i].name), *its = openssl_key(public_key);
        assert_true(EVP_PKEY_get_octet_string_param(peer, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &point_len));
        size_t len = openssl_agrees(peer, its, secret);
        CK_ECDH1_DERIVE_PARAMS params = {CKD_NULL, 0, NULL, point_len, point};
        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, params), private_key, OPEN_SECRET(len),
                              &derived));
        assert_value(derived, secret, len);
        /* As the DER that CKA_EC_POINT has, too (PKCS#11 2.40, 2.3.6). */
        size_t header = point_len < 128 ? 2 : 3;
        wrapped[0] = 0x04;
        wrapped[1] = header == 2 ? (CK_BYTE)point_len : 0x81;
        wrapped[2] = (CK_BYTE)point_len;
        memcpy(wrapped + header, point, point_len);
        params.pPublicData = wrapped;
        params.ulPublicDataLen = header + point_len;
        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_COFACTOR_DERIVE, params), private_key, OPEN_SECRET(len),
                              &derived));
        assert_value(derived, secret, len);
        /* PKCS#11 2.40, 2.3.12: truncation removes bytes from the leading end of the secret. */
        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, params), private_key,
                              TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES),
                                       A_NUMBER(CKA_VALUE_LEN, 16), A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE)),
                              &derived));
        assert_value(derived, secret + len - 16, 16);
        REFUSED(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, params), private_key, OPEN_SECRET(len + 1),
                                 &derived));
        EVP_PKEY_free(peer);
        EVP_PKEY_free(its);
    }
}

static void x963_expands_the_shared_secret(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key, derived;
    CK_BYTE secret[ROOM], point[ROOM], input[ROOM], expected[64], info[] = "shared info";
    size_t point_len;

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    EVP_PKEY *peer = EVP_EC_gen("P-256"), *its = openssl_key(public_key);
    assert_true(EVP_PKEY_get_octet_string_param(peer, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &point_len));
    size_t len = openssl_agrees(peer, its, secret);
    /* ANSI X9.63: hash of secret || counter || shared info. */
    memcpy(input, secret, len);
    for (CK_BYTE i = 1; i <= 2; i++) {
        memcpy(input + len, (CK_BYTE[]){0, 0, 0, i}, 4);
        memcpy(input + len + 4, info, sizeof(info) - 1);
        assert_true(
            EVP_Q_digest(NULL, "SHA256", NULL, input, len + 4 + sizeof(info) - 1, expected + 32 * (i - 1), NULL));
    }
    CK_ECDH1_DERIVE_PARAMS params = {CKD_SHA256_KDF, sizeof(info) - 1, info, point_len, point};
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, params), private_key, OPEN_SECRET(50), &derived));
    assert_value(derived, expected, 50);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(its);
}

static void x25519_agrees_with_openssl(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key, derived;
    CK_BYTE secret[ROOM], point[32];
    size_t point_len = sizeof(point);

    (void)state;
    ec_pair(X25519, sizeof(X25519) - 1, &public_key, &private_key);
    EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), *its = openssl_key(public_key);
    assert_true(EVP_PKEY_get_raw_public_key(peer, point, &point_len));
    size_t len = openssl_agrees(peer, its, secret);
    CK_ECDH1_DERIVE_PARAMS params = {CKD_NULL, 0, NULL, point_len, point};
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, params), private_key, OPEN_SECRET(len), &derived));
    assert_value(derived, secret, len);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(its);
}

static void bad_peers_and_parameters_of_agreement_are_refused(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key, derived, aes = aes_key_of(16);
    CK_BYTE off_curve[65] = {0x04, 1, 2, 3}, info[4] = {0};
    CK_ECDH1_DERIVE_PARAMS wrong[] = {{CKD_NULL, 0, NULL, 65, off_curve},
                                      {CKD_NULL, 0, NULL, 64, off_curve},
                                      {CKD_NULL, 0, NULL, 0, NULL},
                                      {CKD_NULL, 0, NULL, 65, NULL},
                                      {CKD_NULL, 4, info, 65, off_curve},
                                      {999, 0, NULL, 65, off_curve},
                                      {CKD_SHA256_KDF, 4, NULL, 65, off_curve},
                                      {CKD_NULL, 0, NULL, (CK_ULONG)-1, off_curve}};

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        RV(CKR_MECHANISM_PARAM_INVALID, p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, wrong[i]),
                                                         private_key, OPEN_SECRET(32), &derived));
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_DeriveKey(session, MECHANISM(CKM_ECDH1_DERIVE), private_key, OPEN_SECRET(32), &derived));
    REFUSED(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, wrong[0]), aes, OPEN_SECRET(32), &derived));
    REFUSED(
        p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, wrong[0]), public_key, OPEN_SECRET(32), &derived));
    RV(CKR_KEY_HANDLE_INVALID,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, wrong[0]), NO_HANDLE, OPEN_SECRET(32), &derived));
    RV(CKR_MECHANISM_INVALID, p11->C_DeriveKey(session, MECHANISM(CKM_AES_ECB), aes, OPEN_SECRET(32), &derived));
}

/* --- HKDF --- */

/* RFC 5869, A.1. */
static void hkdf_gives_the_known_answer_in_one_step_and_two(void **state)
{
    static const CK_BYTE PRK[] = {0x07, 0x77, 0x09, 0x36, 0x2c, 0x2e, 0x32, 0xdf, 0x0d, 0xdc, 0x3f,
                                  0x0d, 0xc4, 0x7b, 0xba, 0x63, 0x90, 0xb6, 0xc7, 0x3b, 0xb5, 0x0f,
                                  0x9c, 0x31, 0x22, 0xec, 0x84, 0x4a, 0xd7, 0xc2, 0xb3, 0xe5};
    static const CK_BYTE OKM[] = {0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36,
                                  0x2f, 0x2a, 0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c, 0x5d, 0xb0, 0x2d, 0x56,
                                  0xec, 0xc4, 0xc5, 0xbf, 0x34, 0x00, 0x72, 0x08, 0xd5, 0xb8, 0x87, 0x18, 0x58, 0x65};
    CK_BYTE ikm[22], salt[13], info[10];
    CK_OBJECT_HANDLE key, derived, prk;

    (void)state;
    memset(ikm, 0x0b, sizeof(ikm));
    for (CK_BYTE i = 0; i < 13; i++)
        salt[i] = i;
    for (CK_BYTE i = 0; i < 10; i++)
        info[i] = 0xf0 + i;
    key = secret_of(CKK_GENERIC_SECRET, ikm, sizeof(ikm));
    CK_HKDF_PARAMS both = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_DATA, salt, 13, 0, info, 10};
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, both), key, OPEN_SECRET(42), &derived));
    assert_value(derived, OKM, 42);
    CK_HKDF_PARAMS extract = {CK_TRUE, CK_FALSE, CKM_SHA256, CKF_HKDF_SALT_DATA, salt, 13, 0, NULL, 0};
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, extract), key, WITHOUT_LEN, &prk));
    assert_value(prk, PRK, 32);
    prk = secret_of(CKK_GENERIC_SECRET, PRK, 32);
    CK_HKDF_PARAMS expand = {CK_FALSE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, info, 10};
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, expand), prk, OPEN_SECRET(42), &derived));
    assert_value(derived, OKM, 42);
}

static void hkdf_refuses_parameters_that_say_nothing(void **state)
{
    static const CK_BYTE KEY[16] = {1};
    CK_HKDF_PARAMS wrong[] = {
        {CK_FALSE, CK_FALSE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 0},
        {CK_TRUE, CK_TRUE, CKM_AES_GCM, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 0},
        {CK_TRUE, CK_TRUE, CKM_SHA256, 99, NULL, 0, 0, NULL, 0},
        {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_DATA, NULL, 5, 0, NULL, 0},
        {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 5},
        {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, (CK_BYTE *)"", (CK_ULONG)-1}};
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 16), derived;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        RV(CKR_MECHANISM_PARAM_INVALID,
           p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, wrong[i]), key, OPEN_SECRET(32), &derived));
}

/* --- SP 800-108 --- */

#define LABEL   "label"
#define CONTEXT "and context"

/* One block of counter mode with HMAC-SHA-256: [1] || label || 0 || context || [bits]. */
static void counter_mode(const CK_BYTE *key, CK_ULONG key_len, CK_ULONG bits, CK_BYTE *out)
{
    static const char HEAD[] = "\0\0\0\x01" LABEL "\0" CONTEXT;
    CK_BYTE input[64];
    CK_ULONG len = sizeof(HEAD) - 1;

    memcpy(input, HEAD, len);
    memcpy(input + len, (CK_BYTE[]){0, 0, (CK_BYTE)(bits >> 8), (CK_BYTE)bits}, 4);
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_len, input, len + 4, out, 32, NULL));
}

static void sp800_108_counter_mode_is_what_the_standard_says(void **state)
{
    static const CK_BYTE KEY[32] = "a base key of thirty-two bytes.";
    CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 32};
    CK_SP800_108_DKM_LENGTH_FORMAT length = {CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32};
    CK_PRF_DATA_PARAM parts[] = {{CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof(counter)},
                                 {CK_SP800_108_BYTE_ARRAY, LABEL, sizeof(LABEL) - 1},
                                 {CK_SP800_108_BYTE_ARRAY, "", 1},
                                 {CK_SP800_108_BYTE_ARRAY, CONTEXT, sizeof(CONTEXT) - 1},
                                 {CK_SP800_108_DKM_LENGTH, &length, sizeof(length)}};
    CK_SP800_108_KDF_PARAMS params = {CKM_SHA256_HMAC, 5, parts, 0, NULL};
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    CK_BYTE expected[32];

    (void)state;
    for (CK_ULONG len = 16; len <= 32; len += 8) {
        counter_mode(KEY, 32, 8 * len, expected);
        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, params), key, OPEN_SECRET(len),
                              &derived));
        assert_value(derived, expected, len);
    }
    CK_SP800_108_KDF_PARAMS wrong[] = {{CKM_SHA256, 5, parts, 0, NULL},
                                       {CKM_SHA256_HMAC, 0, parts, 0, NULL},
                                       {CKM_SHA256_HMAC, (CK_ULONG)-1, parts, 0, NULL},
                                       {CKM_SHA256_HMAC, 5, NULL, 0, NULL},
                                       {CKM_SHA256_HMAC, 4, parts + 1, 0, NULL}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        RV(CKR_MECHANISM_PARAM_INVALID, p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, wrong[i]),
                                                         key, OPEN_SECRET(32), &derived));
    parts[3].ulValueLen = (CK_ULONG)-1;
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, params), key, OPEN_SECRET(32), &derived));
}

/* AWS CloudHSM's numbers and structures. */
static void cloudhsms_counter_mode_is_the_same(void **state)
{
    static const CK_BYTE KEY[32] = "a base key of thirty-two bytes.";
    struct {
        CK_ULONG width;
    } counter = {32};
    struct {
        CK_ULONG method, width;
    } length = {1, 32};
    CK_PRF_DATA_PARAM parts[] = {{4, &counter, sizeof(counter)},
                                 {5, LABEL, sizeof(LABEL) - 1},
                                 {6, CONTEXT, sizeof(CONTEXT) - 1},
                                 {7, &length, sizeof(length)}};
    struct {
        CK_MECHANISM_TYPE prf;
        CK_ULONG n;
        CK_PRF_DATA_PARAM *parts;
    } params = {CKM_SHA256_HMAC, 4, parts};
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    CK_BYTE expected[32];

    (void)state;
    counter_mode(KEY, 32, 256, expected);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CLOUDHSM_SP800_108_COUNTER_KDF, params), key, OPEN_SECRET(32),
                          &derived));
    assert_value(derived, expected, 32);
}

static void feedback_mode_begins_with_the_iv(void **state)
{
    static const CK_BYTE KEY[32] = "a base key of thirty-two bytes.";
    static CK_BYTE iv[32] = {9, 8, 7};
    CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 32};
    CK_PRF_DATA_PARAM parts[] = {{CK_SP800_108_ITERATION_VARIABLE, NULL, 0},
                                 {CK_SP800_108_OPTIONAL_COUNTER, &counter, sizeof(counter)},
                                 {CK_SP800_108_BYTE_ARRAY, LABEL, sizeof(LABEL) - 1}};
    CK_SP800_108_FEEDBACK_KDF_PARAMS params = {CKM_SHA256_HMAC, 3, parts, 32, iv, 0, NULL};
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    CK_BYTE input[64], expected[32];

    (void)state;
    memcpy(input, iv, 32);
    memcpy(input + 32, "\0\0\0\x01" LABEL, 4 + sizeof(LABEL) - 1);
    assert_non_null(
        EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, KEY, 32, input, 36 + sizeof(LABEL) - 1, expected, 32, NULL));
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_FEEDBACK_KDF, params), key, OPEN_SECRET(32), &derived));
    assert_value(derived, expected, 32);
}

/* --- putting together --- */

static void keys_and_data_are_put_together(void **state)
{
    CK_OBJECT_HANDLE base = secret_of(CKK_GENERIC_SECRET, "base-key", 8),
                     other = secret_of(CKK_GENERIC_SECRET, "other", 5);
    CK_KEY_DERIVATION_STRING_DATA data = {(CK_BYTE *)"data", 4}, none = {NULL, 4},
                                  huge = {(CK_BYTE *)"data", (CK_ULONG)-1};
    CK_OBJECT_HANDLE derived, nowhere = NO_HANDLE;

    (void)state;
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, other), base, WITHOUT_LEN, &derived));
    assert_value(derived, "base-keyother", 13);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, data), base, WITHOUT_LEN, &derived));
    assert_value(derived, "base-keydata", 12);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_DATA_AND_BASE, data), base, WITHOUT_LEN, &derived));
    assert_value(derived, "database-key", 12);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_DATA_AND_BASE, data), base, OPEN_SECRET(10),
                          &derived));
    assert_value(derived, "database-k", 10);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_XOR_BASE_AND_DATA, data), base, WITHOUT_LEN, &derived));
    assert_value(derived, (CK_BYTE[]){'b' ^ 'd', 'a' ^ 'a', 's' ^ 't', 'e' ^ 'a'}, 4);
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, none), base, WITHOUT_LEN, &derived));
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, huge), base, WITHOUT_LEN, &derived));
    REFUSED(
        p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_KEY, nowhere), base, WITHOUT_LEN, &derived));
}

/* PKCS#11 mechanisms, 2.42: what the base was stays with what is made of it. */
static void what_is_made_of_a_sensitive_key_is_sensitive(void **state)
{
    CK_KEY_DERIVATION_STRING_DATA data = {(CK_BYTE *)"data", 4};
    CK_OBJECT_HANDLE base, derived;
    CK_BYTE value[ROOM];
    CK_ATTRIBUTE wanted = {CKA_VALUE, value, sizeof(value)};

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_GENERIC_SECRET_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32), A_TRUE(CKA_DERIVE)), &base));
    RV(CKR_TEMPLATE_INCONSISTENT,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, data), base, WITHOUT_LEN, &derived));
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_CONCATENATE_BASE_AND_DATA, data), base,
                          TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET)),
                          &derived));
    assert_true(flag_of(derived, CKA_SENSITIVE));
    assert_false(flag_of(derived, CKA_EXTRACTABLE));
    assert_true(flag_of(derived, CKA_ALWAYS_SENSITIVE));
    RV(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(session, derived, &wanted, 1));
}

static void keys_that_may_not_derive_do_not(void **state)
{
    CK_HKDF_PARAMS hkdf = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 0};
    CK_OBJECT_HANDLE base, derived;

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_GENERIC_SECRET_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32), A_FALSE(CKA_DERIVE), A_TRUE(CKA_SIGN)), &base));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, hkdf), base, OPEN_SECRET(32), &derived));
}

static void derive_templates_rule_what_is_derived(void **state)
{
    CK_ATTRIBUTE inner[] = {A_TRUE(CKA_SENSITIVE), A_FALSE(CKA_EXTRACTABLE)};
    CK_HKDF_PARAMS hkdf = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 0};
    CK_OBJECT_HANDLE base, derived;

    (void)state;
    FINE(p11->C_GenerateKey(
        session, MECHANISM(CKM_GENERIC_SECRET_KEY_GEN),
        TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32), A_TRUE(CKA_DERIVE), A_BYTES(CKA_DERIVE_TEMPLATE, inner, sizeof(inner))),
        &base));
    RV(CKR_TEMPLATE_INCONSISTENT,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, hkdf), base, OPEN_SECRET(32), &derived));
    FINE(p11->C_DeriveKey(
        session, MECHANISM_WITH(CKM_HKDF_DERIVE, hkdf), base,
        TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES), A_NUMBER(CKA_VALUE_LEN, 32)),
        &derived));
    assert_true(flag_of(derived, CKA_SENSITIVE));
    assert_false(flag_of(derived, CKA_EXTRACTABLE));

    /* Also those of a key that is only the salt. */
    CK_HKDF_PARAMS salted = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_KEY, NULL, 0, base, NULL, 0};
    CK_OBJECT_HANDLE known = secret_of(CKK_GENERIC_SECRET, "a base that everybody may know..", 32);
    RV(CKR_TEMPLATE_INCONSISTENT,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, salted), known, OPEN_SECRET(32), &derived));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(ecdh_agrees_with_openssl_in_every_form_of_the_point),
        user_test(x963_expands_the_shared_secret),
        user_test(x25519_agrees_with_openssl),
        user_test(bad_peers_and_parameters_of_agreement_are_refused),
        user_test(hkdf_gives_the_known_answer_in_one_step_and_two),
        user_test(hkdf_refuses_parameters_that_say_nothing),
        user_test(sp800_108_counter_mode_is_what_the_standard_says),
        user_test(cloudhsms_counter_mode_is_the_same),
        user_test(feedback_mode_begins_with_the_iv),
        user_test(keys_and_data_are_put_together),
        user_test(what_is_made_of_a_sensitive_key_is_sensitive),
        user_test(keys_that_may_not_derive_do_not),
        user_test(derive_templates_rule_what_is_derived),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
