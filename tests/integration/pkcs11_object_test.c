/* Objects: made, copied, looked at, changed, destroyed (PKCS#11 2.40, 4 and 5.7). */
#include "pkcs11_fixture.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/x509.h>
#include <stdio.h>

#define ROOM 4096

static void assert_bytes(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, const void *expected, CK_ULONG len)
{
    CK_BYTE value[ROOM];

    assert_int_equal(value_of(object, type, value, sizeof(value)), len);
    assert_memory_equal(value, expected, len);
}

/* --- making --- */

static void data_comes_back_as_it_was_given(void **state)
{
    CK_OBJECT_HANDLE object = labelled_data(CK_TRUE, "data comes back");
    CK_ULONG size = 0;

    (void)state;
    assert_int_equal(number_of(object, CKA_CLASS), CKO_DATA);
    assert_bytes(object, CKA_LABEL, "data comes back", 15);
    assert_bytes(object, CKA_VALUE, "some data", 9);
    assert_bytes(object, CKA_APPLICATION, "test", 4);
    assert_bytes(object, CKA_OBJECT_ID, "", 0);
    assert_true(flag_of(object, CKA_TOKEN));
    assert_true(flag_of(object, CKA_MODIFIABLE));
    assert_true(flag_of(object, CKA_DESTROYABLE));
    assert_true(flag_of(object, CKA_COPYABLE));
    FINE(p11->C_GetObjectSize(session, object, &size));
    assert_true(size > 0);
    FINE(p11->C_DestroyObject(session, object));
    RV(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(session, object));
    RV(CKR_OBJECT_HANDLE_INVALID, p11->C_GetObjectSize(session, object, &size));
}

static int make_certificate(CK_BYTE *der, EVP_PKEY *key, CK_BYTE *subject, int *subject_len)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_NAME_new();

    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"a certificate", -1, -1, 0);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 4711);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_subject_name(certificate, name);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()));
    int len = i2d_X509(certificate, &der);
    *subject_len = i2d_X509_NAME(name, &subject);
    X509_NAME_free(name);
    X509_free(certificate);
    return len;
}

static void certificates_are_kept_and_found_by_their_names(void **state)
{
    CK_BYTE der[ROOM], subject[256];
    CK_OBJECT_HANDLE object, found;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    int subject_len, len = make_certificate(der, key, subject, &subject_len);

    (void)state;
    FINE(p11->C_CreateObject(session,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_CERTIFICATE), A_NUMBER(CKA_CERTIFICATE_TYPE, CKC_X_509),
                                      A_TRUE(CKA_TOKEN), A_TEXT(CKA_LABEL, "certificate"), A_TEXT(CKA_ID, "\x01\x02"),
                                      A_BYTES(CKA_SUBJECT, subject, subject_len), A_BYTES(CKA_VALUE, der, len)),
                             &object));
    EVP_PKEY_free(key);
    assert_bytes(object, CKA_VALUE, der, (CK_ULONG)len);
    assert_bytes(object, CKA_SUBJECT, subject, (CK_ULONG)subject_len);
    assert_bytes(object, CKA_ISSUER, subject, (CK_ULONG)subject_len);
    assert_bytes(object, CKA_SERIAL_NUMBER, "\x02\x02\x12\x67", 4);
    assert_int_equal(number_of(object, CKA_CERTIFICATE_TYPE), CKC_X_509);
    assert_false(flag_of(object, CKA_TRUSTED));
    assert_int_equal(search(session, TEMPLATE(A_BYTES(CKA_SUBJECT, subject, subject_len)), &found, 1), 1);
    assert_int_equal(found, object);
    assert_int_equal(
        search(session, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_CERTIFICATE), A_BYTES(CKA_VALUE, der, len)), &found, 1), 1);
    assert_int_equal(found, object);
    FINE(p11->C_DestroyObject(session, object));
    der[4] ^= 0x55;
    REFUSED(p11->C_CreateObject(session,
                                TEMPLATE(A_NUMBER(CKA_CLASS, CKO_CERTIFICATE),
                                         A_NUMBER(CKA_CERTIFICATE_TYPE, CKC_X_509), A_BYTES(CKA_VALUE, der, len)),
                                &object));
}

/* --- keys by their components --- */

static CK_ULONG number_bytes(EVP_PKEY *key, const char *name, CK_BYTE *bytes)
{
    BIGNUM *number = NULL;

    assert_true(EVP_PKEY_get_bn_param(key, name, &number));
    int len = BN_bn2bin(number, bytes);
    BN_clear_free(number);
    return (CK_ULONG)len;
}

static void sign_here_verify_there(CK_OBJECT_HANDLE private_key, CK_MECHANISM_TYPE type, EVP_PKEY *key)
{
    CK_BYTE signature[512], der[512], *at = der;
    CK_ULONG len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    FINE(p11->C_SignInit(session, MECHANISM(type), private_key));
    FINE(p11->C_Sign(session, TEXT("signed"), signature, &len));
    if (type == CKM_ECDSA_SHA256) {
        ECDSA_SIG *pair = ECDSA_SIG_new();

        ECDSA_SIG_set0(pair, BN_bin2bn(signature, (int)len / 2, NULL),
                       BN_bin2bn(signature + len / 2, (int)len / 2, NULL));
        len = (CK_ULONG)i2d_ECDSA_SIG(pair, &at);
        memcpy(signature, der, len);
        ECDSA_SIG_free(pair);
    }
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(context, signature, len, (const CK_BYTE *)"signed", 6), 1);
    EVP_MD_CTX_free(context);
}

static void ec_private_key_is_imported_by_its_scalar(void **state)
{
    static const struct {
        const char *oid;
        size_t oid_len;
        const char *name;
    } CURVES[] = {
        {P256, sizeof(P256) - 1, "P-256"}, {P384, sizeof(P384) - 1, "P-384"}, {P521, sizeof(P521) - 1, "P-521"}};
    CK_BYTE scalar[128], back[ROOM];
    CK_OBJECT_HANDLE object;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = EVP_EC_gen(CURVES[i].name);
        CK_ULONG len = number_bytes(key, OSSL_PKEY_PARAM_PRIV_KEY, scalar);

        FINE(p11->C_CreateObject(session,
                                 TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC),
                                          A_TRUE(CKA_SIGN), A_BYTES(CKA_EC_PARAMS, CURVES[i].oid, CURVES[i].oid_len),
                                          A_BYTES(CKA_VALUE, scalar, len), A_FALSE(CKA_SENSITIVE),
                                          A_TRUE(CKA_EXTRACTABLE)),
                                 &object));
        sign_here_verify_there(object, CKM_ECDSA_SHA256, key);
        CK_ULONG back_len = value_of(object, CKA_VALUE, back, sizeof(back));
        CK_ULONG zeros = 0;
        while (zeros < back_len && back[zeros] == 0)
            zeros++;
        assert_int_equal(back_len - zeros, len);
        assert_memory_equal(back + zeros, scalar, len);
        assert_bytes(object, CKA_EC_PARAMS, CURVES[i].oid, CURVES[i].oid_len);
        assert_false(flag_of(object, CKA_LOCAL));
        EVP_PKEY_free(key);
    }
    REFUSED(p11->C_CreateObject(session,
                                TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC),
                                         A_TEXT(CKA_EC_PARAMS, P256), A_BYTES(CKA_VALUE, scalar, 66)),
                                &object)); /* longer than the order */
    memset(scalar, 0, sizeof(scalar));
    REFUSED(p11->C_CreateObject(session,
                                TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC),
                                         A_TEXT(CKA_EC_PARAMS, P256), A_BYTES(CKA_VALUE, scalar, 32)),
                                &object)); /* zero */
}

static void ec_public_key_is_imported_by_its_point(void **state)
{
    CK_BYTE point[ROOM], wrapped[ROOM] = {0x04, 65}, signature[64];
    size_t len;
    CK_OBJECT_HANDLE object, public_key, private_key;
    CK_ULONG signature_len = 64;

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    EVP_PKEY *key = openssl_key(public_key);
    assert_true(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len));
    EVP_PKEY_free(key);
    assert_int_equal(len, 65);
    memcpy(wrapped + 2, point, len);
    assert_bytes(public_key, CKA_EC_POINT, wrapped, 67);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), private_key));
    FINE(p11->C_Sign(session, TEXT("signed"), signature, &signature_len));
    for (int bare = 0; bare < 2; bare++) { /* the DER of the standard, and what programs give */
        FINE(p11->C_CreateObject(session,
                                 TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PUBLIC_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC),
                                          A_TRUE(CKA_VERIFY), A_TEXT(CKA_EC_PARAMS, P256),
                                          A_BYTES(CKA_EC_POINT, bare ? point : wrapped, bare ? 65 : 67)),
                                 &object));
        FINE(p11->C_VerifyInit(session, MECHANISM(CKM_ECDSA_SHA256), object));
        FINE(p11->C_Verify(session, TEXT("signed"), signature, signature_len));
        assert_bytes(object, CKA_EC_POINT, wrapped, 67);
    }
    wrapped[20] ^= 1;
    REFUSED(p11->C_CreateObject(session,
                                TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PUBLIC_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC),
                                         A_TEXT(CKA_EC_PARAMS, P256), A_BYTES(CKA_EC_POINT, wrapped, 67)),
                                &object)); /* not on the curve */
    RV(CKR_CURVE_NOT_SUPPORTED,
       p11->C_CreateObject(session,
                           TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PUBLIC_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC),
                                    A_TEXT(CKA_EC_PARAMS, "\x06\x03\x2a\x03\x04"), A_BYTES(CKA_EC_POINT, wrapped, 67)),
                           &object));
}

static void rsa_keys_are_imported_by_their_components(void **state)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } PARTS[] = {{CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
                 {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
                 {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
                 {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
                 {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
                 {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
                 {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
                 {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
    enum { N = sizeof(PARTS) / sizeof(PARTS[0]) };
    static CK_BYTE bytes[N][512];
    CK_ATTRIBUTE template[N + 5] = {A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_RSA),
                                    A_TRUE(CKA_SIGN), A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE)};
    EVP_PKEY *key = EVP_RSA_gen(2048);
    CK_OBJECT_HANDLE object;
    CK_BYTE signature[256];
    CK_ULONG len = sizeof(signature);

    (void)state;
    for (size_t i = 0; i < N; i++)
        template[5 + i] = (CK_ATTRIBUTE){PARTS[i].type, bytes[i], number_bytes(key, PARTS[i].name, bytes[i])};
    FINE(p11->C_CreateObject(session, template, N + 5, &object));
    sign_here_verify_there(object, CKM_SHA256_RSA_PKCS, key);
    for (size_t i = 0; i < N; i++)
        assert_bytes(object, PARTS[i].type, bytes[i], template[5 + i].ulValueLen);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), object));
    FINE(p11->C_Sign(session, TEXT("signed"), signature, &len));
    CK_OBJECT_HANDLE public_key;
    FINE(p11->C_CreateObject(session,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PUBLIC_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_RSA),
                                      A_TRUE(CKA_VERIFY), template[5], template[6]),
                             &public_key));
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), public_key));
    FINE(p11->C_Verify(session, TEXT("signed"), signature, len));
    assert_int_equal(number_of(public_key, CKA_MODULUS_BITS), 2048);
    bytes[3][9] ^= 1; /* a prime that is none */
    REFUSED(p11->C_CreateObject(session, template, N + 5, &object));
    RV(CKR_TEMPLATE_INCOMPLETE, p11->C_CreateObject(session, template, 6, &object));
    EVP_PKEY_free(key);
}

static void secret_keys_are_imported_and_told_apart(void **state)
{
    static const CK_BYTE VALUE[16] = "0123456789abcde";
    CK_OBJECT_HANDLE key = secret_of(CKK_AES, VALUE, 16), generic = secret_of(CKK_GENERIC_SECRET, VALUE, 11);
    CK_BYTE zeros[16] = {0}, out[16], kcv[3];
    CK_ULONG len = sizeof(out);

    (void)state;
    assert_bytes(key, CKA_VALUE, VALUE, 16);
    assert_int_equal(number_of(key, CKA_VALUE_LEN), 16);
    assert_int_equal(number_of(key, CKA_KEY_TYPE), CKK_AES);
    assert_int_equal(number_of(generic, CKA_KEY_TYPE), CKK_GENERIC_SECRET);
    assert_int_equal(number_of(generic, CKA_VALUE_LEN), 11);
    assert_int_equal(number_of(key, CKA_KEY_GEN_MECHANISM), CK_UNAVAILABLE_INFORMATION);
    /* PKCS#11 2.40, 4.10.2: the first three bytes of a block of zeros that was encrypted. */
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
    FINE(p11->C_Encrypt(session, zeros, 16, out, &len));
    assert_int_equal(value_of(key, CKA_CHECK_VALUE, kcv, sizeof(kcv)), 3);
    assert_memory_equal(kcv, out, 3);
    CK_OBJECT_HANDLE object;
    REFUSED(p11->C_CreateObject(
        session,
        TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES), A_BYTES(CKA_VALUE, VALUE, 15)),
        &object));
    /* A check value that is not the key's: PKCS#11 2.40, 4.10.2 */
    REFUSED(p11->C_CreateObject(session,
                                TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES),
                                         A_BYTES(CKA_VALUE, VALUE, 16), A_TEXT(CKA_CHECK_VALUE, "abc")),
                                &object));
    FINE(p11->C_CreateObject(session,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES),
                                      A_BYTES(CKA_VALUE, VALUE, 16), A_BYTES(CKA_CHECK_VALUE, kcv, 3)),
                             &object));
}

static void generated_keys_tell_where_they_come_from(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key, key;

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN), TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32)), &key));
    assert_true(flag_of(key, CKA_LOCAL));
    assert_true(flag_of(key, CKA_SENSITIVE));
    assert_true(flag_of(key, CKA_ALWAYS_SENSITIVE));
    assert_true(flag_of(key, CKA_NEVER_EXTRACTABLE));
    assert_false(flag_of(key, CKA_EXTRACTABLE));
    assert_false(flag_of(key, CKA_TOKEN));
    assert_true(flag_of(key, CKA_PRIVATE));
    assert_int_equal(number_of(key, CKA_CLASS), CKO_SECRET_KEY);
    assert_int_equal(number_of(key, CKA_KEY_GEN_MECHANISM), CKM_AES_KEY_GEN);
    RV(CKR_ATTRIBUTE_SENSITIVE, ask_for(key, CKA_VALUE));
    RV(CKR_ATTRIBUTE_TYPE_INVALID, ask_for(key, CKA_MODULUS));
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    assert_int_equal(number_of(private_key, CKA_KEY_GEN_MECHANISM), CKM_EC_KEY_PAIR_GEN);
    RV(CKR_ATTRIBUTE_SENSITIVE, ask_for(private_key, CKA_VALUE));
    RV(CKR_ATTRIBUTE_TYPE_INVALID, ask_for(public_key, CKA_SENSITIVE));
    rsa_pair(&public_key, &private_key);
    RV(CKR_ATTRIBUTE_SENSITIVE, ask_for(private_key, CKA_PRIVATE_EXPONENT));
    RV(CKR_ATTRIBUTE_SENSITIVE, ask_for(private_key, CKA_PRIME_1));
    FINE(ask_for(private_key, CKA_MODULUS));
    FINE(ask_for(private_key, CKA_PUBLIC_EXPONENT));
    CK_BYTE id[64], other[64];
    CK_ULONG len = value_of(public_key, CKA_UNIQUE_ID, id, sizeof(id));
    assert_true(len > 0);
    assert_int_equal(value_of(private_key, CKA_UNIQUE_ID, other, sizeof(other)), len);
    assert_memory_not_equal(id, other, len);
}

/* --- templates --- */

static CK_RV create(CK_ATTRIBUTE *template, CK_ULONG n)
{
    CK_OBJECT_HANDLE object = 4711;
    CK_RV rv = p11->C_CreateObject(session, template, n, &object);

    assert_true(rv == CKR_OK || object == 4711 || object == CK_INVALID_HANDLE);
    return rv;
}

static CK_RV generate(CK_ATTRIBUTE *template, CK_ULONG n)
{
    CK_OBJECT_HANDLE object;

    return p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN), template, n, &object);
}

#define DATA A_NUMBER(CKA_CLASS, CKO_DATA)

static void templates_that_are_wrong_are_refused_by_name(void **state)
{
    static const CK_BYTE VALUE[16] = {0};
    CK_BBOOL neither = 2;

    (void)state;
    RV(CKR_TEMPLATE_INCOMPLETE, create(TEMPLATE(A_TEXT(CKA_VALUE, "no class"))));
    RV(CKR_TEMPLATE_INCOMPLETE, create(TEMPLATE(A_TEXT(CKA_LABEL, "no class"))));
    RV(CKR_TEMPLATE_INCONSISTENT, create(TEMPLATE(DATA, A_TEXT(CKA_LABEL, "a"), A_TEXT(CKA_LABEL, "b"))));
    RV(CKR_ATTRIBUTE_TYPE_INVALID, create(TEMPLATE(DATA, A_TEXT(0x12345678, "unknown"))));
    RV(CKR_ATTRIBUTE_VALUE_INVALID, create(TEMPLATE(A_NUMBER(CKA_CLASS, 0x7777), A_TEXT(CKA_LABEL, "a"))));
    RV(CKR_ATTRIBUTE_VALUE_INVALID, create(TEMPLATE(A_BYTES(CKA_CLASS, VALUE, 3))));
    RV(CKR_ATTRIBUTE_VALUE_INVALID, create(TEMPLATE(DATA, A_BYTES(CKA_TOKEN, VALUE, 0))));
    RV(CKR_ATTRIBUTE_VALUE_INVALID, create(TEMPLATE(DATA, A_BYTES(CKA_TOKEN, VALUE, 4))));
    (void)create(TEMPLATE(DATA, A_BYTES(CKA_TOKEN, &neither, 1))); /* C's truth or refused */
    RV(CKR_ATTRIBUTE_TYPE_INVALID, create(TEMPLATE(DATA, A_TRUE(CKA_ENCRYPT))));
    RV(CKR_TEMPLATE_INCOMPLETE, create(TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_BYTES(CKA_VALUE, VALUE, 16))));
    RV(CKR_TEMPLATE_INCOMPLETE, create(TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES))));
    RV(CKR_ATTRIBUTE_VALUE_INVALID, create(TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, 0x7777),
                                                    A_BYTES(CKA_VALUE, VALUE, 16))));
    RV(CKR_ATTRIBUTE_READ_ONLY, create(TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES),
                                                A_BYTES(CKA_VALUE, VALUE, 16), A_TRUE(CKA_LOCAL))));
    RV(CKR_ATTRIBUTE_READ_ONLY,
       create(TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES),
                       A_BYTES(CKA_VALUE, VALUE, 16), A_TRUE(CKA_TRUSTED)))); /* only the officer */
    RV(CKR_TEMPLATE_INCOMPLETE, generate(NULL, 0));
    RV(CKR_TEMPLATE_INCONSISTENT, generate(TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_NUMBER(CKA_CLASS, CKO_PUBLIC_KEY))));
    RV(CKR_TEMPLATE_INCONSISTENT, generate(TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_NUMBER(CKA_KEY_TYPE, CKK_DES3))));
    REFUSED(generate(TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 17))));
    REFUSED(generate(TEMPLATE(A_NUMBER(CKA_VALUE_LEN, (CK_ULONG)-1))));
    REFUSED(generate(TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_BYTES(CKA_VALUE, VALUE, 16))));
    REFUSED(generate(TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_TRUE(CKA_LOCAL))));
    FINE(generate(
        TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES))));
}

static void templates_within_templates_come_back(void **state)
{
    CK_ATTRIBUTE inner[] = {A_TRUE(CKA_SENSITIVE), A_TEXT(CKA_LABEL, "inner"), A_NUMBER(CKA_KEY_TYPE, CKK_AES)};
    CK_MECHANISM_TYPE allowed[] = {CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP}, back[8];
    CK_OBJECT_HANDLE key;
    CK_BBOOL flag = CK_FALSE;
    CK_BYTE label[16];
    CK_ULONG type = 0;

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_TRUE(CKA_UNWRAP),
                                     A_BYTES(CKA_UNWRAP_TEMPLATE, inner, sizeof(inner)),
                                     A_BYTES(CKA_ALLOWED_MECHANISMS, allowed, sizeof(allowed))),
                            &key));
    assert_int_equal(value_of(key, CKA_ALLOWED_MECHANISMS, back, sizeof(back)), sizeof(allowed));
    assert_true((back[0] == allowed[0] && back[1] == allowed[1]) || (back[0] == allowed[1] && back[1] == allowed[0]));
    CK_ATTRIBUTE wanted = {CKA_UNWRAP_TEMPLATE, NULL, 0};
    FINE(p11->C_GetAttributeValue(session, key, &wanted, 1));
    assert_int_equal(wanted.ulValueLen, 3 * sizeof(CK_ATTRIBUTE));
    CK_ATTRIBUTE room[3] = {{0}};
    wanted.pValue = room;
    FINE(p11->C_GetAttributeValue(session, key, &wanted, 1)); /* PKCS#11 2.40, 5.7.5: the lengths within first */
    for (int i = 0; i < 3; i++) {
        if (room[i].type == CKA_SENSITIVE)
            room[i].pValue = &flag;
        else if (room[i].type == CKA_LABEL)
            room[i].pValue = label;
        else
            room[i].pValue = &type;
        assert_true(room[i].ulValueLen == (room[i].type == CKA_SENSITIVE ? 1 : room[i].type == CKA_LABEL ? 5 : 8));
    }
    FINE(p11->C_GetAttributeValue(session, key, &wanted, 1));
    assert_int_equal(flag, CK_TRUE);
    assert_memory_equal(label, "inner", 5);
    assert_int_equal(type, CKK_AES);
}

/* --- looking --- */

static void each_attribute_is_answered_for_itself(void **state)
{
    CK_OBJECT_HANDLE key;
    CK_BYTE label[4], value[64], id[64];
    CK_BBOOL token = 7;

    (void)state;
    FINE(p11->C_GenerateKey(
        session, MECHANISM(CKM_AES_KEY_GEN),
        TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_TEXT(CKA_LABEL, "a long label"), A_TEXT(CKA_ID, "id")), &key));
    CK_ATTRIBUTE wanted[] = {{CKA_LABEL, label, sizeof(label)},
                             {CKA_VALUE, value, sizeof(value)},
                             {CKA_TOKEN, &token, 1},
                             {CKA_MODULUS, value, sizeof(value)},
                             {CKA_ID, id, sizeof(id)},
                             {0x12345678, value, sizeof(value)},
                             {CKA_LABEL, NULL, 0}};
    CK_RV rv = p11->C_GetAttributeValue(session, key, wanted, 7);
    assert_true(rv == CKR_BUFFER_TOO_SMALL || rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID);
    assert_int_equal(wanted[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(wanted[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(wanted[2].ulValueLen, 1);
    assert_int_equal(token, CK_FALSE);
    assert_int_equal(wanted[3].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(wanted[4].ulValueLen, 2);
    assert_memory_equal(id, "id", 2);
    assert_int_equal(wanted[5].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(wanted[6].ulValueLen, 12);
    CK_ATTRIBUTE small = {CKA_LABEL, label, 4}, sensitive = {CKA_VALUE, NULL, 0}, none = {CKA_MODULUS, NULL, 0};
    RV(CKR_BUFFER_TOO_SMALL, p11->C_GetAttributeValue(session, key, &small, 1));
    RV(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(session, key, &sensitive, 1));
    RV(CKR_ATTRIBUTE_TYPE_INVALID, p11->C_GetAttributeValue(session, key, &none, 1));
}

/* --- changing --- */

static void attributes_change_as_the_standard_lets_them(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16), fixed;

    (void)state;
    FINE(p11->C_SetAttributeValue(session, key, TEMPLATE(A_TEXT(CKA_LABEL, "changed"), A_FALSE(CKA_DECRYPT))));
    assert_bytes(key, CKA_LABEL, "changed", 7);
    assert_false(flag_of(key, CKA_DECRYPT));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_DecryptInit(session, MECHANISM(CKM_AES_ECB), key));
    FINE(p11->C_SetAttributeValue(session, key, TEMPLATE(A_FALSE(CKA_EXTRACTABLE))));
    RV(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, TEMPLATE(A_TRUE(CKA_EXTRACTABLE))));
    RV(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, TEMPLATE(A_FALSE(CKA_SENSITIVE))));
    RV(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA))));
    RV(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, TEMPLATE(A_NUMBER(CKA_KEY_TYPE, CKK_DES3))));
    RV(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, TEMPLATE(A_FALSE(CKA_LOCAL))));
    RV(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, TEMPLATE(A_TRUE(CKA_TRUSTED))));
    REFUSED(p11->C_SetAttributeValue(session, key, TEMPLATE(A_TEXT(CKA_VALUE, "0123456789abcdef"))));
    REFUSED(p11->C_SetAttributeValue(session, key, TEMPLATE(A_TEXT(0x12345678, "?"))));
    RV(CKR_TEMPLATE_INCONSISTENT,
       p11->C_SetAttributeValue(session, key, TEMPLATE(A_TEXT(CKA_LABEL, "a"), A_TEXT(CKA_LABEL, "b"))));
    assert_bytes(key, CKA_LABEL, "changed", 7);
    /* All or nothing. */
    REFUSED(p11->C_SetAttributeValue(session, key, TEMPLATE(A_TEXT(CKA_LABEL, "half"), A_FALSE(CKA_SENSITIVE))));
    assert_bytes(key, CKA_LABEL, "changed", 7);
    FINE(p11->C_GenerateKey(
        session, MECHANISM(CKM_AES_KEY_GEN),
        TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_FALSE(CKA_MODIFIABLE), A_FALSE(CKA_DESTROYABLE), A_FALSE(CKA_COPYABLE)),
        &fixed));
    RV(CKR_ACTION_PROHIBITED, p11->C_SetAttributeValue(session, fixed, TEMPLATE(A_TEXT(CKA_LABEL, "x"))));
    RV(CKR_ACTION_PROHIBITED, p11->C_DestroyObject(session, fixed));
    CK_OBJECT_HANDLE copy;
    RV(CKR_ACTION_PROHIBITED, p11->C_CopyObject(session, fixed, NULL, 0, &copy));
}

static void copies_have_what_the_original_has_but_what_was_asked_for(void **state)
{
    CK_OBJECT_HANDLE original = aes_key_of(32), copy, token;

    (void)state;
    FINE(p11->C_SetAttributeValue(session, original, TEMPLATE(A_TEXT(CKA_LABEL, "original"), A_TEXT(CKA_ID, "7"))));
    FINE(p11->C_CopyObject(session, original, TEMPLATE(A_TEXT(CKA_LABEL, "copy")), &copy));
    assert_int_not_equal(copy, original);
    assert_bytes(copy, CKA_LABEL, "copy", 4);
    assert_bytes(copy, CKA_ID, "7", 1);
    assert_int_equal(number_of(copy, CKA_VALUE_LEN), 32);
    assert_bytes(original, CKA_LABEL, "original", 8);
    FINE(p11->C_CopyObject(session, original, TEMPLATE(A_TRUE(CKA_TOKEN), A_FALSE(CKA_EXTRACTABLE)), &token));
    assert_true(flag_of(token, CKA_TOKEN));
    assert_false(flag_of(token, CKA_EXTRACTABLE));
    RV(CKR_ATTRIBUTE_READ_ONLY, p11->C_CopyObject(session, token, TEMPLATE(A_TRUE(CKA_EXTRACTABLE)), &copy));
    REFUSED(p11->C_CopyObject(session, original, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA)), &copy));
    CK_BYTE in[16] = {1}, out[16], back[16];
    CK_ULONG len = 16;
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), original));
    FINE(p11->C_Encrypt(session, in, 16, out, &len));
    FINE(p11->C_DecryptInit(session, MECHANISM(CKM_AES_ECB), token));
    FINE(p11->C_Decrypt(session, out, 16, back, &len));
    assert_memory_equal(back, in, 16);
    FINE(p11->C_DestroyObject(session, token));
    FINE(ask_for(original, CKA_LABEL)); /* each on its own */
}

static void read_only_sessions_leave_token_objects_alone(void **state)
{
    CK_OBJECT_HANDLE token = labelled_data(CK_TRUE, "read-only"), own = labelled_data(CK_FALSE, "read-only"), made,
                     other;
    CK_SESSION_HANDLE read_only = open_session(0);

    (void)state;
    RV(CKR_SESSION_READ_ONLY, p11->C_DestroyObject(read_only, token));
    RV(CKR_SESSION_READ_ONLY, p11->C_SetAttributeValue(read_only, token, TEMPLATE(A_TEXT(CKA_LABEL, "x"))));
    RV(CKR_SESSION_READ_ONLY, p11->C_CreateObject(read_only, TEMPLATE(DATA, A_TRUE(CKA_TOKEN)), &made));
    RV(CKR_SESSION_READ_ONLY, p11->C_CopyObject(read_only, token, NULL, 0, &made));
    RV(CKR_SESSION_READ_ONLY, p11->C_CopyObject(read_only, own, TEMPLATE(A_TRUE(CKA_TOKEN)), &made));
    RV(CKR_SESSION_READ_ONLY, p11->C_GenerateKey(read_only, MECHANISM(CKM_AES_KEY_GEN),
                                                 TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_TRUE(CKA_TOKEN)), &made));
    RV(CKR_SESSION_READ_ONLY,
       p11->C_GenerateKeyPair(read_only, MECHANISM(CKM_EC_KEY_PAIR_GEN), TEMPLATE(A_TEXT(CKA_EC_PARAMS, P256)),
                              TEMPLATE(A_TRUE(CKA_TOKEN)), &made, &other));
    FINE(p11->C_CopyObject(read_only, token, TEMPLATE(A_FALSE(CKA_TOKEN)), &made));
    FINE(p11->C_SetAttributeValue(read_only, own, TEMPLATE(A_TEXT(CKA_LABEL, "y"))));
    FINE(p11->C_DestroyObject(read_only, own));
    FINE(p11->C_DestroyObject(session, token));
}

static void dates_and_subjects_are_kept(void **state)
{
    CK_DATE start = {{'2', '0', '2', '4'}, {'0', '2'}, {'2', '9'}},
            end = {{'2', '9', '9', '9'}, {'1', '2'}, {'3', '1'}};
    CK_DATE wrong = {{'2', '0', '2', '4'}, {'1', '3'}, {'0', '1'}};
    CK_OBJECT_HANDLE key, plain = aes_key_of(16);

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_BYTES(CKA_START_DATE, &start, sizeof(start)),
                                     A_BYTES(CKA_END_DATE, &end, sizeof(end))),
                            &key));
    assert_bytes(key, CKA_START_DATE, &start, sizeof(start));
    assert_bytes(key, CKA_END_DATE, &end, sizeof(end));
    assert_bytes(plain, CKA_START_DATE, "", 0);
    RV(CKR_ATTRIBUTE_VALUE_INVALID,
       generate(TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_BYTES(CKA_START_DATE, &wrong, sizeof(wrong)))));
    RV(CKR_ATTRIBUTE_VALUE_INVALID,
       generate(TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_BYTES(CKA_START_DATE, &wrong, 3))));
    FINE(generate(TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_BYTES(CKA_START_DATE, NULL, 0))));
}

/* A handle is never given to another object. */
static void handles_of_destroyed_objects_are_never_given_again(void **state)
{
    CK_OBJECT_HANDLE seen[50];

    (void)state;
    for (int i = 0; i < 50; i++) {
        seen[i] = labelled_data(CK_FALSE, "handle");
        for (int k = 0; k < i; k++)
            assert_int_not_equal(seen[k], seen[i]);
        FINE(p11->C_DestroyObject(session, seen[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(data_comes_back_as_it_was_given),
        user_test(certificates_are_kept_and_found_by_their_names),
        user_test(ec_private_key_is_imported_by_its_scalar),
        user_test(ec_public_key_is_imported_by_its_point),
        user_test(rsa_keys_are_imported_by_their_components),
        user_test(secret_keys_are_imported_and_told_apart),
        user_test(generated_keys_tell_where_they_come_from),
        user_test(templates_that_are_wrong_are_refused_by_name),
        user_test(templates_within_templates_come_back),
        user_test(each_attribute_is_answered_for_itself),
        user_test(attributes_change_as_the_standard_lets_them),
        user_test(copies_have_what_the_original_has_but_what_was_asked_for),
        user_test(read_only_sessions_leave_token_objects_alone),
        user_test(dates_and_subjects_are_kept),
        user_test(handles_of_destroyed_objects_are_never_given_again),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
