/* Keys for the negative cases: pairs that OpenSSL made, so that both halves are known, and secrets that are constant.
 */
#include "pkcs11_negative.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#define PARTS_MAX 8

EVP_PKEY *openssl_pair(enum key_kind kind)
{
    static EVP_PKEY *pairs[KEY_SECRET + 1];

    if (pairs[kind])
        return pairs[kind];
    switch (kind) {
    case KEY_RSA:
        pairs[kind] = EVP_RSA_gen(2048);
        break;
    case KEY_EC:
        pairs[kind] = EVP_EC_gen("P-256");
        break;
    case KEY_EDWARDS:
        pairs[kind] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        break;
    case KEY_MONTGOMERY:
        pairs[kind] = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
        break;
    default:
        break;
    }
    assert_non_null(pairs[kind]);
    return pairs[kind];
}

static const struct {
    CK_KEY_TYPE type;
    CK_ULONG len; /* of secrets */
    const char *curve;
    CK_ULONG curve_len;
} KINDS[] = {
    [KEY_RSA] = {CKK_RSA, 0, NULL, 0},
    [KEY_EC] = {CKK_EC, 0, P256, sizeof(P256) - 1},
    [KEY_EDWARDS] = {CKK_EC_EDWARDS, 0, ED25519, sizeof(ED25519) - 1},
    [KEY_MONTGOMERY] = {CKK_EC_MONTGOMERY, 0, X25519, sizeof(X25519) - 1},
    [KEY_ML_DSA] = {CKK_ML_DSA, 0, NULL, 0},
    [KEY_ML_KEM] = {CKK_ML_KEM, 0, NULL, 0},
    [KEY_AES] = {CKK_AES, 32, NULL, 0},
    [KEY_DES3] = {CKK_DES3, 24, NULL, 0},
    [KEY_SECRET] = {CKK_GENERIC_SECRET, 32, NULL, 0},
};

CK_ULONG secret_len(enum key_kind kind)
{
    return KINDS[kind].len;
}

/* --- templates --- */

struct template
{
    CK_ATTRIBUTE attributes[32];
    CK_ULONG n;
    CK_ULONG numbers[4], n_numbers;
    CK_BYTE bytes[PARTS_MAX][1024];
    CK_ULONG n_bytes;
};

static void put(struct template *template, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len)
{
    template->attributes[template->n++] = (CK_ATTRIBUTE){type, (void *)value, len};
}

static void put_number(struct template *template, CK_ATTRIBUTE_TYPE type, CK_ULONG number)
{
    CK_ULONG *at = &template->numbers[template->n_numbers++];

    *at = number;
    put(template, type, at, sizeof(*at));
}

static void put_uses(struct template *template, CK_FLAGS uses, CK_FLAGS possible)
{
    static const struct {
        CK_FLAGS use;
        CK_ATTRIBUTE_TYPE attribute;
    } USES[] = {{CKF_SIGN, CKA_SIGN},
                {CKF_VERIFY, CKA_VERIFY},
                {CKF_ENCRYPT, CKA_ENCRYPT},
                {CKF_DECRYPT, CKA_DECRYPT},
                {CKF_WRAP, CKA_WRAP},
                {CKF_UNWRAP, CKA_UNWRAP},
                {CKF_DERIVE, CKA_DERIVE},
                {CKF_SIGN_RECOVER, CKA_SIGN_RECOVER},
                {CKF_VERIFY_RECOVER, CKA_VERIFY_RECOVER},
                {CKF_ENCAPSULATE, CKA_ENCAPSULATE},
                {CKF_DECAPSULATE, CKA_DECAPSULATE}};
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

    for (size_t i = 0; i < sizeof(USES) / sizeof(USES[0]); i++)
        if (USES[i].use & possible)
            put(template, USES[i].attribute, USES[i].use & uses ? &yes : &no, sizeof(yes));
}

static CK_OBJECT_HANDLE create(const struct template *template)
{
    CK_OBJECT_HANDLE key;

    FINE(p11->C_CreateObject(session, (CK_ATTRIBUTE *)template->attributes, template->n, &key));
    return key;
}

static void put_bn(struct template *template, EVP_PKEY *pair, const char *name, CK_ATTRIBUTE_TYPE type)
{
    CK_BYTE *at = template->bytes[template->n_bytes++];
    BIGNUM *number = NULL;

    assert_true(EVP_PKEY_get_bn_param(pair, name, &number));
    put(template, type, at, (CK_ULONG)BN_bn2bin(number, at));
    BN_clear_free(number);
}

static void put_octets(struct template *template, EVP_PKEY *pair, const char *name, CK_ATTRIBUTE_TYPE type)
{
    CK_BYTE *at = template->bytes[template->n_bytes++];
    size_t len;

    assert_true(EVP_PKEY_get_octet_string_param(pair, name, at, sizeof(template->bytes[0]), &len));
    put(template, type, at, len);
}

/* --- importing --- */

CK_OBJECT_HANDLE import_public(enum key_kind kind, EVP_PKEY *pair, CK_FLAGS uses)
{
    struct template template = {.n = 0};

    put_number(&template, CKA_CLASS, CKO_PUBLIC_KEY);
    put_number(&template, CKA_KEY_TYPE, KINDS[kind].type);
    put_uses(&template, uses, CKF_VERIFY | CKF_ENCRYPT | CKF_WRAP | (kind == KEY_RSA ? CKF_VERIFY_RECOVER : 0));
    if (kind == KEY_RSA) {
        put_bn(&template, pair, OSSL_PKEY_PARAM_RSA_N, CKA_MODULUS);
        put_bn(&template, pair, OSSL_PKEY_PARAM_RSA_E, CKA_PUBLIC_EXPONENT);
    } else {
        put(&template, CKA_EC_PARAMS, KINDS[kind].curve, KINDS[kind].curve_len);
        put_octets(&template, pair, OSSL_PKEY_PARAM_PUB_KEY, CKA_EC_POINT);
    }
    return create(&template);
}

CK_OBJECT_HANDLE import_private(enum key_kind kind, EVP_PKEY *pair, CK_FLAGS uses)
{
    static const struct {
        const char *name;
        CK_ATTRIBUTE_TYPE type;
    } RSA_PARTS[] = {{OSSL_PKEY_PARAM_RSA_N, CKA_MODULUS},
                     {OSSL_PKEY_PARAM_RSA_E, CKA_PUBLIC_EXPONENT},
                     {OSSL_PKEY_PARAM_RSA_D, CKA_PRIVATE_EXPONENT},
                     {OSSL_PKEY_PARAM_RSA_FACTOR1, CKA_PRIME_1},
                     {OSSL_PKEY_PARAM_RSA_FACTOR2, CKA_PRIME_2},
                     {OSSL_PKEY_PARAM_RSA_EXPONENT1, CKA_EXPONENT_1},
                     {OSSL_PKEY_PARAM_RSA_EXPONENT2, CKA_EXPONENT_2},
                     {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, CKA_COEFFICIENT}};
    struct template template = {.n = 0};

    put_number(&template, CKA_CLASS, CKO_PRIVATE_KEY);
    put_number(&template, CKA_KEY_TYPE, KINDS[kind].type);
    put_uses(&template, uses,
             CKF_SIGN | CKF_DECRYPT | CKF_UNWRAP | CKF_DERIVE | (kind == KEY_RSA ? CKF_SIGN_RECOVER : 0));
    if (kind == KEY_RSA) {
        for (size_t i = 0; i < sizeof(RSA_PARTS) / sizeof(RSA_PARTS[0]); i++)
            put_bn(&template, pair, RSA_PARTS[i].name, RSA_PARTS[i].type);
    } else {
        put(&template, CKA_EC_PARAMS, KINDS[kind].curve, KINDS[kind].curve_len);
        if (kind == KEY_EC)
            put_bn(&template, pair, OSSL_PKEY_PARAM_PRIV_KEY, CKA_VALUE);
        else
            put_octets(&template, pair, OSSL_PKEY_PARAM_PRIV_KEY, CKA_VALUE);
    }
    return create(&template);
}

CK_OBJECT_HANDLE import_secret(CK_KEY_TYPE type, const void *value, CK_ULONG len, CK_FLAGS uses)
{
    struct template template = {.n = 0};
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, type);
    put(&template, CKA_VALUE, value, len);
    put(&template, CKA_EXTRACTABLE, &yes, sizeof(yes));
    put(&template, CKA_SENSITIVE, &no, sizeof(no));
    put_uses(&template, uses, ~(CK_FLAGS)(RECOVERS | KEMS));
    return create(&template);
}

/* Those of OpenSSL before 3.5 do not exist: the node makes it. */
static CK_OBJECT_HANDLE lattice_key(enum key_kind kind, bool public_half, CK_FLAGS uses)
{
    CK_MECHANISM_TYPE type = kind == KEY_ML_DSA ? CKM_ML_DSA_KEY_PAIR_GEN : CKM_ML_KEM_KEY_PAIR_GEN;
    struct template publics = {.n = 0}, privates = {.n = 0};
    CK_OBJECT_HANDLE public_key, private_key;

    put_number(&publics, CKA_PARAMETER_SET, 1);
    put_uses(&publics, uses, kind == KEY_ML_DSA ? CKF_VERIFY : CKF_ENCAPSULATE);
    put_uses(&privates, uses, kind == KEY_ML_DSA ? CKF_SIGN : CKF_DECAPSULATE);
    FINE(p11->C_GenerateKeyPair(session, MECHANISM(type), publics.attributes, publics.n, privates.attributes,
                                privates.n, &public_key, &private_key));
    return public_half ? public_key : private_key;
}

static CK_OBJECT_HANDLE make(enum key_kind kind, CK_FLAGS half, CK_FLAGS uses)
{
    bool public_half = half & (CKF_VERIFY | CKF_ENCRYPT | CKF_WRAP | CKF_VERIFY_RECOVER | CKF_ENCAPSULATE);

    if (kind == KEY_ML_DSA || kind == KEY_ML_KEM)
        return lattice_key(kind, public_half, uses);
    if (KINDS[kind].len)
        return import_secret(KINDS[kind].type, SECRET_VALUE, KINDS[kind].len, uses);
    return public_half ? import_public(kind, openssl_pair(kind), uses) : import_private(kind, openssl_pair(kind), uses);
}

CK_OBJECT_HANDLE key_for(enum key_kind kind, CK_FLAGS uses)
{
    return make(kind, uses, uses);
}

CK_OBJECT_HANDLE key_without(enum key_kind kind, CK_FLAGS use)
{
    return make(kind, use, 0);
}
