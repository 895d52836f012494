/* Signatures that carry their data (PKCS#11 2.40, 5.11 and 5.12), at a node that lets RSA be used raw. */
#include "pkcs11_fixture.h"

#define MODULUS_LEN 256

static CK_OBJECT_HANDLE public_key, private_key;

static void make_pair(void)
{
    FINE(p11->C_GenerateKeyPair(
        session, MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN),
        TEMPLATE(A_NUMBER(CKA_MODULUS_BITS, 2048), A_TRUE(CKA_VERIFY), A_TRUE(CKA_VERIFY_RECOVER)),
        TEMPLATE(A_TRUE(CKA_SIGN), A_TRUE(CKA_SIGN_RECOVER)), &public_key, &private_key));
}

static void sign(CK_MECHANISM_TYPE type, CK_BYTE *data, CK_ULONG data_len, CK_BYTE signature[MODULUS_LEN])
{
    CK_ULONG len = MODULUS_LEN;

    FINE(p11->C_SignRecoverInit(session, MECHANISM(type), private_key));
    FINE(p11->C_SignRecover(session, data, data_len, signature, &len));
    assert_int_equal(len, MODULUS_LEN);
}

static CK_RV recover(CK_MECHANISM_TYPE type, CK_BYTE *signature, CK_ULONG len, CK_BYTE *data, CK_ULONG *data_len)
{
    FINE(p11->C_VerifyRecoverInit(session, MECHANISM(type), public_key));
    return p11->C_VerifyRecover(session, signature, len, data, data_len);
}

static void what_was_signed_comes_back(void **state)
{
    CK_BYTE signature[MODULUS_LEN], data[MODULUS_LEN];
    CK_ULONG len = sizeof(data);

    (void)state;
    make_pair();
    sign(CKM_RSA_PKCS, TEXT("a message"), signature);
    FINE(recover(CKM_RSA_PKCS, signature, sizeof(signature), data, &len));
    assert_int_equal(len, 9);
    assert_memory_equal(data, "a message", 9);
}

/* RFC 8017, 9.2, note 1: the DigestInfo of SHA-256; FIPS 180-4's example of the hash of "abc". */
static void a_signature_with_a_hash_gives_its_digest_info(void **state)
{
    static const char info[] = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
                               "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23"
                               "\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad";
    CK_BYTE signature[MODULUS_LEN], data[MODULUS_LEN];
    CK_ULONG len = sizeof(signature), data_len = sizeof(data);

    (void)state;
    make_pair();
    FINE(p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), private_key));
    FINE(p11->C_Sign(session, TEXT("abc"), signature, &len));
    FINE(recover(CKM_RSA_PKCS, signature, len, data, &data_len));
    assert_int_equal(data_len, sizeof(info) - 1);
    assert_memory_equal(data, info, data_len);
}

static void openssl_recovers_it_too(void **state)
{
    CK_BYTE signature[MODULUS_LEN], data[MODULUS_LEN];
    size_t len = sizeof(data);

    (void)state;
    make_pair();
    sign(CKM_RSA_PKCS, TEXT("a message"), signature);
    EVP_PKEY *key = openssl_key(public_key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_verify_recover_init(context), 1);
    assert_int_equal(EVP_PKEY_verify_recover(context, data, &len, signature, sizeof(signature)), 1);
    assert_int_equal(len, 9);
    assert_memory_equal(data, "a message", 9);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
}

/* What is shorter than the modulus is a number, with zeros in front of it. */
static void raw_rsa_gives_the_whole_number(void **state)
{
    static const CK_BYTE zeros[MODULUS_LEN];
    CK_BYTE signature[MODULUS_LEN], data[MODULUS_LEN];
    CK_ULONG len = sizeof(data);

    (void)state;
    make_pair();
    sign(CKM_RSA_X_509, TEXT("a message"), signature);
    FINE(recover(CKM_RSA_X_509, signature, sizeof(signature), data, &len));
    assert_int_equal(len, MODULUS_LEN);
    assert_memory_equal(data, zeros, MODULUS_LEN - 9);
    assert_memory_equal(data + MODULUS_LEN - 9, "a message", 9);
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_RSA_X_509), public_key));
    FINE(p11->C_Verify(session, TEXT("a message"), signature, sizeof(signature)));
}

static void lengths_are_told_before_and_a_result_waits_for_room(void **state)
{
    CK_BYTE signature[MODULUS_LEN], data[MODULUS_LEN];
    CK_ULONG len = 0;

    (void)state;
    make_pair();
    FINE(p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    FINE(p11->C_SignRecover(session, TEXT("a message"), NULL, &len));
    assert_int_equal(len, MODULUS_LEN);
    len = 10;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_SignRecover(session, TEXT("a message"), signature, &len));
    assert_int_equal(len, MODULUS_LEN);
    FINE(p11->C_SignRecover(session, TEXT("a message"), signature, &len));
    FINE(p11->C_VerifyRecoverInit(session, MECHANISM(CKM_RSA_PKCS), public_key));
    FINE(p11->C_VerifyRecover(session, signature, sizeof(signature), NULL, &len));
    assert_in_range(len, 9, MODULUS_LEN);
    len = 8;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_VerifyRecover(session, signature, sizeof(signature), data, &len));
    assert_int_equal(len, 9);
    FINE(p11->C_VerifyRecover(session, signature, sizeof(signature), data, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyRecover(session, signature, sizeof(signature), data, &len));
}

static void what_is_no_signature_is_refused(void **state)
{
    CK_BYTE signature[MODULUS_LEN], data[MODULUS_LEN];
    CK_ULONG len = sizeof(data);

    (void)state;
    make_pair();
    sign(CKM_RSA_PKCS, TEXT("a message"), signature);
    signature[100] ^= 1;
    RV(CKR_SIGNATURE_INVALID, recover(CKM_RSA_PKCS, signature, sizeof(signature), data, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyRecover(session, signature, sizeof(signature), data, &len));
    memset(signature, 0xff, sizeof(signature)); /* larger than the modulus */
    RV(CKR_SIGNATURE_INVALID, recover(CKM_RSA_PKCS, signature, sizeof(signature), data, &len));
    RV(CKR_SIGNATURE_LEN_RANGE, recover(CKM_RSA_PKCS, signature, sizeof(signature) - 1, data, &len));
    RV(CKR_SIGNATURE_LEN_RANGE, recover(CKM_RSA_PKCS, signature, 0, data, &len));
    RV(CKR_ARGUMENTS_BAD, recover(CKM_RSA_PKCS, NULL, sizeof(signature), data, &len));
    RV(CKR_ARGUMENTS_BAD, recover(CKM_RSA_PKCS, signature, sizeof(signature), data, NULL));
    FINE(p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    len = sizeof(signature);
    RV(CKR_DATA_LEN_RANGE, p11->C_SignRecover(session, data, MODULUS_LEN - 10, signature, &len));
}

static void the_keys_must_permit_it(void **state)
{
    (void)state;
    rsa_pair(&public_key, &private_key);
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_VerifyRecoverInit(session, MECHANISM(CKM_RSA_PKCS), public_key));
    make_pair();
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS), public_key));
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_VerifyRecoverInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    RV(CKR_MECHANISM_INVALID, p11->C_VerifyRecoverInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), public_key));
    RV(CKR_MECHANISM_INVALID, p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS_PSS), private_key));
}

static void the_mechanisms_say_so(void **state)
{
    static const CK_FLAGS both = CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER;
    CK_MECHANISM_INFO info;

    (void)state;
    FINE(p11->C_GetMechanismInfo(0, CKM_RSA_PKCS, &info));
    assert_int_equal(info.flags & both, both);
    FINE(p11->C_GetMechanismInfo(0, CKM_RSA_X_509, &info));
    assert_int_equal(info.flags & both, both);
    FINE(p11->C_GetMechanismInfo(0, CKM_SHA256_RSA_PKCS, &info));
    assert_int_equal(info.flags & both, 0);
}

static void an_operation_of_this_kind_is_one_of_its_own(void **state)
{
    CK_BYTE signature[MODULUS_LEN];
    CK_ULONG len = sizeof(signature);

    (void)state;
    make_pair();
    FINE(p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    RV(CKR_OPERATION_ACTIVE, p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Sign(session, TEXT("x"), signature, &len));
    FINE(p11->C_SessionCancel(session, CKF_SIGN_RECOVER));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignRecover(session, TEXT("x"), signature, &len));
}

static void a_key_that_wants_the_user_gets_him(void **state)
{
    CK_BYTE signature[MODULUS_LEN];
    CK_ULONG len = sizeof(signature);

    (void)state;
    FINE(p11->C_GenerateKeyPair(
        session, MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN), TEMPLATE(A_NUMBER(CKA_MODULUS_BITS, 2048)),
        TEMPLATE(A_TRUE(CKA_SIGN_RECOVER), A_TRUE(CKA_ALWAYS_AUTHENTICATE)), &public_key, &private_key));
    FINE(p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_SignRecover(session, TEXT("x"), signature, &len));
    FINE(p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    FINE(log_in(session, CKU_CONTEXT_SPECIFIC, USER_PIN));
    FINE(p11->C_SignRecover(session, TEXT("x"), signature, &len));
}

static int raw_begin(void **state)
{
    world_settings = "\"allow-raw-rsa\": true,";
    return pkcs11_begin(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(what_was_signed_comes_back),
        user_test(a_signature_with_a_hash_gives_its_digest_info),
        user_test(openssl_recovers_it_too),
        user_test(raw_rsa_gives_the_whole_number),
        user_test(lengths_are_told_before_and_a_result_waits_for_room),
        user_test(what_is_no_signature_is_refused),
        user_test(the_keys_must_permit_it),
        user_test(the_mechanisms_say_so),
        user_test(an_operation_of_this_kind_is_one_of_its_own),
        user_test(a_key_that_wants_the_user_gets_him),
    };
    return cmocka_run_group_tests(tests, raw_begin, pkcs11_end);
}
