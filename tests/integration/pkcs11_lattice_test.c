/* ML-KEM and ML-DSA (FIPS 203, FIPS 204) and the functions of PKCS#11 3.2: where the node's OpenSSL has them, compared
 * with that which the test runs with; where it does not (before 3.5), that they are refused. */
#include "cryptoki_later.h"
#include "pkcs11_list_3_2.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#define ROOM 8192

static const struct {
    CK_ULONG set;
    const char *name;
    CK_ULONG public_len, private_len, ciphertext_len;
} KEMS[] = {{1, "ML-KEM-512", 800, 1632, 768},
            {2, "ML-KEM-768", 1184, 2400, 1088},
            {3, "ML-KEM-1024", 1568, 3168, 1568}},
  DSAS[] = {{1, "ML-DSA-44", 1312, 2560, 0}, {2, "ML-DSA-65", 1952, 4032, 0}, {3, "ML-DSA-87", 2592, 4896, 0}};

static bool are_offered(void)
{
    CK_MECHANISM_INFO info;
    CK_RV rv = p11->C_GetMechanismInfo(0, CKM_ML_KEM, &info);

    assert_true(rv == CKR_OK || rv == CKR_MECHANISM_INVALID);
    return rv == CKR_OK;
}

/* --- the list of functions --- */

static void the_list_of_3_2_has_all_of_3_0_in_front(void **state)
{
    const struct list_3_2 *list = list_3_2();
    void *const *ours = (void *const *)&list->until_3_0.C_Initialize, *const *theirs =
                                                                          (void *const *)&p11->C_Initialize;
    void *const *last = (void *const *)&list->unwrap_authenticated;

    (void)state;
    assert_int_equal(list->until_3_0.version.major, 3);
    assert_int_equal(list->until_3_0.version.minor, 2);
    assert_int_equal(sizeof(*list), sizeof(CK_FUNCTION_LIST_3_0) + 12 * sizeof(void *));
    for (; theirs <= (void *const *)&p11->C_MessageVerifyFinal; ours++, theirs++) {
        if (theirs != (void *const *)&p11->C_GetInfo) /* each list tells its own version */
            assert_ptr_equal(*ours, *theirs);
    }
    for (; ours <= last; ours++)
        assert_non_null(*ours);
}

static void what_3_2_adds_is_there_or_says_that_it_is_not(void **state)
{
    const struct list_3_2 *list = list_3_2();
    CK_FLAGS flags = 1;
    CK_ULONG len = 0;
    CK_BYTE byte = 0;
    CK_OBJECT_HANDLE key;

    (void)state;
    FINE(list->validation_flags(session, 1, &flags));
    assert_int_equal(flags, 0);
    RV(CKR_ARGUMENTS_BAD, list->validation_flags(session, 1, NULL));
    RV(CKR_ARGUMENTS_BAD, list->validation_flags(session, 99, &flags));
    RV(CKR_FUNCTION_NOT_SUPPORTED, list->verify_signature_init(session, MECHANISM(CKM_ECDSA), 1, &byte, 1));
    RV(CKR_FUNCTION_NOT_SUPPORTED, list->verify_signature(session, &byte, 1));
    RV(CKR_FUNCTION_NOT_SUPPORTED, list->verify_signature_update(session, &byte, 1));
    RV(CKR_FUNCTION_NOT_SUPPORTED, list->verify_signature_final(session));
    RV(CKR_FUNCTION_NOT_SUPPORTED,
       list->wrap_authenticated(session, MECHANISM(CKM_AES_GCM), 1, 1, NULL, 0, &byte, &len));
    RV(CKR_FUNCTION_NOT_SUPPORTED,
       list->unwrap_authenticated(session, MECHANISM(CKM_AES_GCM), 1, &byte, 1, NULL, 0, NULL, 0, &key));
    RV(CKR_SESSION_ASYNC_NOT_SUPPORTED, list->async_complete(session, (CK_CHAR *)"C_Sign", NULL));
    RV(CKR_SESSION_ASYNC_NOT_SUPPORTED, list->async_get_id(session, (CK_CHAR *)"C_Sign", &len));
    RV(CKR_SESSION_ASYNC_NOT_SUPPORTED, list->async_join(session, (CK_CHAR *)"C_Sign", 1, NULL, 0));
    RV(CKR_SESSION_HANDLE_INVALID, list->async_complete(NO_HANDLE, (CK_CHAR *)"C_Sign", NULL));
    RV(CKR_SESSION_HANDLE_INVALID, list->verify_signature_final(NO_HANDLE));
    RV(CKR_SESSION_HANDLE_INVALID, list->encapsulate(NO_HANDLE, MECHANISM(CKM_ML_KEM), 1, NULL, 0, &byte, &len, &key));
}

static void nothing_of_3_2_works_before_initialize(void **state)
{
    const struct list_3_2 *list = list_3_2();
    CK_ULONG len = 0;
    CK_BYTE byte = 0;
    CK_OBJECT_HANDLE key;

    (void)state;
    FINE(p11->C_Finalize(NULL));
    RV(CKR_CRYPTOKI_NOT_INITIALIZED, list->encapsulate(1, MECHANISM(CKM_ML_KEM), 1, NULL, 0, &byte, &len, &key));
    RV(CKR_CRYPTOKI_NOT_INITIALIZED, list->decapsulate(1, MECHANISM(CKM_ML_KEM), 1, NULL, 0, &byte, 1, &key));
    RV(CKR_CRYPTOKI_NOT_INITIALIZED, list->validation_flags(1, 1, NULL));
    RV(CKR_CRYPTOKI_NOT_INITIALIZED, list->async_get_id(1, NULL, NULL));
    FINE(p11->C_Initialize(NULL));
}

/* --- keys --- */

/* With 3.0 the node has neither: all of it is refused, and nothing crashes. */
static void refuse_lattices(void)
{
    const struct list_3_2 *list = list_3_2();
    CK_BYTE ciphertext[1568], seed[64] = {1};
    CK_ULONG len = sizeof(ciphertext);
    CK_OBJECT_HANDLE key;

    RV(CKR_MECHANISM_INVALID,
       list->encapsulate(session, MECHANISM(CKM_ML_KEM), aes_key_of(16), NULL, 0, ciphertext, &len, &key));
    RV(CKR_MECHANISM_INVALID,
       list->decapsulate(session, MECHANISM(CKM_ML_KEM), aes_key_of(16), NULL, 0, ciphertext, 768, &key));
    REFUSED(p11->C_CreateObject(session,
                                TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_ML_KEM),
                                         A_NUMBER(CKA_PARAMETER_SET, 1), A_BYTES(CKA_SEED, seed, 64)),
                                &key));
}

static EVP_PKEY *openssl_pair(const char *name, CK_BYTE *seed, size_t seed_len)
{
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string("seed", seed, seed_len), OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, name, NULL);
    EVP_PKEY *pair = NULL;

    assert_true(context && EVP_PKEY_fromdata_init(context) > 0);
    assert_true(EVP_PKEY_fromdata(context, &pair, EVP_PKEY_KEYPAIR, parameters) > 0);
    EVP_PKEY_CTX_free(context);
    return pair;
}

static size_t part_of(const EVP_PKEY *pair, const char *name, CK_BYTE part[ROOM])
{
    size_t len = 0;

    assert_true(EVP_PKEY_get_octet_string_param(pair, name, part, ROOM, &len));
    return len;
}

/* One in the form of `parts`, whose first one is CKA_VALUE or CKA_SEED. */
static CK_OBJECT_HANDLE import(CK_OBJECT_CLASS class, CK_KEY_TYPE type, CK_ULONG set, const CK_ATTRIBUTE *parts,
                               CK_ULONG n)
{
    CK_ATTRIBUTE template[] = {A_NUMBER(CKA_CLASS, class),
                               A_NUMBER(CKA_KEY_TYPE, type),
                               A_NUMBER(CKA_PARAMETER_SET, set),
                               parts[0],
                               parts[n - 1],
                               A_FALSE(CKA_SENSITIVE),
                               A_TRUE(CKA_EXTRACTABLE)};
    CK_OBJECT_HANDLE key;

    if (n == 1)
        memmove(&template[4], &template[5], 2 * sizeof(template[0]));
    FINE(p11->C_CreateObject(session, template, 3 + n + (class == CKO_PRIVATE_KEY ? 2 : 0), &key));
    return key;
}

#define OPEN_SECRET                                                                                                    \
    TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET), A_FALSE(CKA_SENSITIVE),  \
             A_TRUE(CKA_EXTRACTABLE))

static void kem_pair(CK_ULONG set, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    FINE(p11->C_GenerateKeyPair(session, MECHANISM(CKM_ML_KEM_KEY_PAIR_GEN),
                                TEMPLATE(A_NUMBER(CKA_PARAMETER_SET, set), A_TRUE(CKA_ENCAPSULATE)),
                                TEMPLATE(A_TRUE(CKA_DECAPSULATE)), public_key, private_key));
}

static void assert_same_value(CK_OBJECT_HANDLE one, CK_OBJECT_HANDLE other)
{
    CK_BYTE values[2][ROOM];

    assert_int_equal(value_of(one, CKA_VALUE, values[0], ROOM), 32);
    assert_int_equal(value_of(other, CKA_VALUE, values[1], ROOM), 32);
    assert_memory_equal(values[0], values[1], 32);
}

/* --- ML-KEM --- */

static void both_sides_of_an_encapsulation_have_one_secret(void **state)
{
    const struct list_3_2 *list = list_3_2();
    CK_OBJECT_HANDLE public_key, private_key, ours, theirs;
    CK_MECHANISM *kem = MECHANISM(CKM_ML_KEM);

    (void)state;
    if (!are_offered()) {
        refuse_lattices();
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        CK_BYTE ciphertext[2000];
        CK_ULONG len = 0;

        kem_pair(KEMS[i].set, &public_key, &private_key);
        FINE(list->encapsulate(session, kem, public_key, OPEN_SECRET, NULL, &len, NULL));
        assert_int_equal(len, KEMS[i].ciphertext_len);
        len--;
        RV(CKR_BUFFER_TOO_SMALL, list->encapsulate(session, kem, public_key, OPEN_SECRET, ciphertext, &len, &ours));
        assert_int_equal(len, KEMS[i].ciphertext_len);
        FINE(list->encapsulate(session, kem, public_key, OPEN_SECRET, ciphertext, &len, &ours));
        FINE(list->decapsulate(session, kem, private_key, OPEN_SECRET, ciphertext, len, &theirs));
        assert_same_value(ours, theirs);
        assert_false(flag_of(ours, CKA_LOCAL));
        assert_false(flag_of(ours, CKA_ALWAYS_SENSITIVE));
        /* FIPS 203, 6.3: a wrong ciphertext gives another secret. */
        ciphertext[0] ^= 1;
        FINE(list->decapsulate(session, kem, private_key, OPEN_SECRET, ciphertext, len, &theirs));
        RV(CKR_WRAPPED_KEY_LEN_RANGE,
           list->decapsulate(session, kem, private_key, OPEN_SECRET, ciphertext, len - 1, &theirs));
        RV(CKR_WRAPPED_KEY_LEN_RANGE,
           list->decapsulate(session, kem, private_key, OPEN_SECRET, ciphertext, (CK_ULONG)-1, &theirs));
    }
}

static void what_may_not_encapsulate_does_not(void **state)
{
    const struct list_3_2 *list = list_3_2();
    CK_OBJECT_HANDLE public_key, private_key, made, aes = aes_key_of(16);
    CK_MECHANISM *kem = MECHANISM(CKM_ML_KEM);
    CK_BYTE ciphertext[1568] = {0};
    CK_ULONG len = sizeof(ciphertext);

    (void)state;
    if (!are_offered()) {
        refuse_lattices();
        return;
    }
    kem_pair(2, &public_key, &private_key);
    RV(CKR_KEY_TYPE_INCONSISTENT, list->encapsulate(session, kem, private_key, OPEN_SECRET, ciphertext, &len, &made));
    RV(CKR_KEY_TYPE_INCONSISTENT, list->encapsulate(session, kem, aes, OPEN_SECRET, ciphertext, &len, &made));
    RV(CKR_KEY_HANDLE_INVALID, list->encapsulate(session, kem, NO_HANDLE, OPEN_SECRET, ciphertext, &len, &made));
    RV(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
       list->decapsulate(session, kem, public_key, OPEN_SECRET, ciphertext, 1088, &made));
    RV(CKR_UNWRAPPING_KEY_HANDLE_INVALID,
       list->decapsulate(session, kem, NO_HANDLE, OPEN_SECRET, ciphertext, 1088, &made));
    RV(CKR_MECHANISM_INVALID,
       list->encapsulate(session, MECHANISM(CKM_AES_ECB), public_key, OPEN_SECRET, ciphertext, &len, &made));
    RV(CKR_MECHANISM_PARAM_INVALID,
       list->encapsulate(session, MECHANISM_OF(CKM_ML_KEM, "x", 1), public_key, OPEN_SECRET, ciphertext, &len, &made));
    RV(CKR_ARGUMENTS_BAD, list->encapsulate(session, NULL, public_key, OPEN_SECRET, ciphertext, &len, &made));
    RV(CKR_ARGUMENTS_BAD, list->encapsulate(session, kem, public_key, OPEN_SECRET, ciphertext, NULL, &made));
    RV(CKR_ARGUMENTS_BAD, list->encapsulate(session, kem, public_key, OPEN_SECRET, ciphertext, &len, NULL));
    RV(CKR_ARGUMENTS_BAD, list->decapsulate(session, kem, private_key, OPEN_SECRET, NULL, 1088, &made));
    RV(CKR_TEMPLATE_INCONSISTENT,
       list->encapsulate(session, kem, public_key, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA)), ciphertext, &len, &made));
    REFUSED(
        list->encapsulate(session, kem, public_key, TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 33)), ciphertext, &len, &made));
    FINE(p11->C_GenerateKeyPair(session, MECHANISM(CKM_ML_KEM_KEY_PAIR_GEN),
                                TEMPLATE(A_NUMBER(CKA_PARAMETER_SET, 2), A_FALSE(CKA_ENCAPSULATE)),
                                TEMPLATE(A_FALSE(CKA_DECAPSULATE)), &public_key, &private_key));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED,
       list->encapsulate(session, kem, public_key, OPEN_SECRET, ciphertext, &len, &made));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED,
       list->decapsulate(session, kem, private_key, OPEN_SECRET, ciphertext, 1088, &made));
}

static void openssl_encapsulates(EVP_PKEY *pair, CK_BYTE *ciphertext, size_t *len, CK_BYTE secret[32])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pair, NULL);
    size_t secret_len = 32;

    assert_true(EVP_PKEY_encapsulate_init(context, NULL) > 0);
    assert_true(EVP_PKEY_encapsulate(context, ciphertext, len, secret, &secret_len) > 0);
    EVP_PKEY_CTX_free(context);
}

static void assert_decapsulates(CK_OBJECT_HANDLE key, CK_BYTE *ciphertext, CK_ULONG len, const CK_BYTE secret[32])
{
    CK_OBJECT_HANDLE made;
    CK_BYTE value[ROOM];

    FINE(list_3_2()->decapsulate(session, MECHANISM(CKM_ML_KEM), key, OPEN_SECRET, ciphertext, len, &made));
    assert_int_equal(value_of(made, CKA_VALUE, value, sizeof(value)), 32);
    assert_memory_equal(value, secret, 32);
}

static void assert_part(CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type, const CK_BYTE *expected, CK_ULONG len)
{
    CK_BYTE value[ROOM];

    assert_int_equal(value_of(key, type, value, sizeof(value)), len);
    assert_memory_equal(value, expected, len);
}

/* PKCS#11 3.2: the seed, the expanded key, or both. */
static void kem_keys_come_in_every_form(void **state)
{
    CK_BYTE seed[64], public[ROOM], private[ROOM], ciphertext[2000], secret[32];

    (void)state;
    if (!are_offered()) {
        refuse_lattices();
        return;
    }
    for (CK_BYTE i = 0; i < 64; i++)
        seed[i] = i;
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *pair = openssl_pair(KEMS[i].name, seed, 64);
        size_t len = sizeof(ciphertext);

        assert_int_equal(part_of(pair, "pub", public), KEMS[i].public_len);
        assert_int_equal(part_of(pair, "priv", private), KEMS[i].private_len);
        openssl_encapsulates(pair, ciphertext, &len, secret);
        CK_ATTRIBUTE forms[] = {A_BYTES(CKA_SEED, seed, 64), A_BYTES(CKA_VALUE, private, KEMS[i].private_len)};
        CK_OBJECT_HANDLE by_seed = import(CKO_PRIVATE_KEY, CKK_ML_KEM, KEMS[i].set, &forms[0], 1),
                         by_value = import(CKO_PRIVATE_KEY, CKK_ML_KEM, KEMS[i].set, &forms[1], 1),
                         by_both = import(CKO_PRIVATE_KEY, CKK_ML_KEM, KEMS[i].set, forms, 2), ours;
        assert_decapsulates(by_seed, ciphertext, len, secret);
        assert_decapsulates(by_value, ciphertext, len, secret);
        assert_decapsulates(by_both, ciphertext, len, secret);
        assert_part(by_seed, CKA_SEED, seed, 64);
        assert_part(by_seed, CKA_VALUE, private, KEMS[i].private_len);
        assert_part(by_both, CKA_SEED, seed, 64);
        assert_part(by_value, CKA_SEED, seed, 0);
        assert_int_equal(number_of(by_value, CKA_PARAMETER_SET), KEMS[i].set);

        CK_ATTRIBUTE value = A_BYTES(CKA_VALUE, public, KEMS[i].public_len);
        CK_ULONG room = sizeof(ciphertext);
        CK_OBJECT_HANDLE public_key = import(CKO_PUBLIC_KEY, CKK_ML_KEM, KEMS[i].set, &value, 1);
        assert_part(public_key, CKA_VALUE, public, KEMS[i].public_len);
        FINE(
            list_3_2()->encapsulate(session, MECHANISM(CKM_ML_KEM), public_key, OPEN_SECRET, ciphertext, &room, &ours));
        assert_int_equal(value_of(ours, CKA_VALUE, secret, 32), 32);
        assert_decapsulates(by_value, ciphertext, room, secret);
        EVP_PKEY_free(pair);
    }
}

static void keys_in_no_form_are_refused(void **state)
{
    CK_BYTE bytes[ROOM] = {0};
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE no_set[] = {A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_ML_KEM),
                             A_BYTES(CKA_SEED, bytes, 64)},
                 no_value[] = {A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_ML_KEM),
                               A_NUMBER(CKA_PARAMETER_SET, 1)},
                 no_public[] = {A_NUMBER(CKA_CLASS, CKO_PUBLIC_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_ML_DSA),
                                A_NUMBER(CKA_PARAMETER_SET, 1)},
                 wrong_set[] = {A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_ML_KEM),
                                A_NUMBER(CKA_PARAMETER_SET, 4), A_BYTES(CKA_SEED, bytes, 64)},
                 wrong[] = {A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_ML_KEM),
                            A_NUMBER(CKA_PARAMETER_SET, 1), A_BYTES(CKA_SEED, bytes, 63)};

    (void)state;
    RV(CKR_TEMPLATE_INCOMPLETE, p11->C_CreateObject(session, no_set, 3, &key));
    RV(CKR_TEMPLATE_INCOMPLETE, p11->C_CreateObject(session, no_value, 3, &key));
    RV(CKR_TEMPLATE_INCOMPLETE, p11->C_CreateObject(session, no_public, 3, &key));
    static const CK_ULONG SETS[] = {0, 4, 44, 512, (CK_ULONG)-1}; /* those of FIPS 203 and 204 are none of PKCS#11 */
    for (size_t i = 0; i < sizeof(SETS) / sizeof(SETS[0]); i++) {
        wrong_set[2] = (CK_ATTRIBUTE)A_NUMBER(CKA_PARAMETER_SET, SETS[i]);
        RV(CKR_ATTRIBUTE_VALUE_INVALID, p11->C_CreateObject(session, wrong_set, 4, &key));
    }
    static const CK_ULONG LENS[] = {0, 1, 63, 65, 5000, ROOM, (CK_ULONG)-1};
    for (size_t i = 0; i < sizeof(LENS) / sizeof(LENS[0]); i++) {
        wrong[3].ulValueLen = LENS[i];
        REFUSED(p11->C_CreateObject(session, wrong, 4, &key));
    }
    wrong[3] = (CK_ATTRIBUTE)A_BYTES(CKA_VALUE, bytes, 2400); /* of ML-KEM-768 */
    REFUSED(p11->C_CreateObject(session, wrong, 4, &key));
    wrong[0] = (CK_ATTRIBUTE)A_NUMBER(CKA_CLASS, CKO_PUBLIC_KEY);
    wrong[3].ulValueLen = 801;
    REFUSED(p11->C_CreateObject(session, wrong, 4, &key));
    wrong[3] = (CK_ATTRIBUTE)A_BYTES(CKA_SEED, bytes, 64);
    RV(CKR_ATTRIBUTE_TYPE_INVALID, p11->C_CreateObject(session, wrong, 4, &key));
}

/* --- ML-DSA --- */

static bool openssl_verifies(EVP_PKEY *pair, const char *name, const CK_BYTE *signature, size_t len)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pair, NULL);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool verified = EVP_DigestVerifyInit_ex(digest, NULL, NULL, NULL, NULL, pair, NULL) > 0 &&
                    EVP_DigestVerify(digest, signature, len, (const CK_BYTE *)name, strlen(name)) > 0;

    EVP_MD_CTX_free(digest);
    EVP_PKEY_CTX_free(context);
    return verified;
}

static void dsa_keys_come_in_every_form(void **state)
{
    CK_BYTE seed[32], public[ROOM], private[ROOM], signature[ROOM];

    (void)state;
    if (!are_offered()) {
        refuse_lattices();
        return;
    }
    for (CK_BYTE i = 0; i < 32; i++)
        seed[i] = 7 * i;
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *pair = openssl_pair(DSAS[i].name, seed, 32);

        assert_int_equal(part_of(pair, "pub", public), DSAS[i].public_len);
        assert_int_equal(part_of(pair, "priv", private), DSAS[i].private_len);
        CK_ATTRIBUTE forms[] = {A_BYTES(CKA_SEED, seed, 32), A_BYTES(CKA_VALUE, private, DSAS[i].private_len)},
                     value = A_BYTES(CKA_VALUE, public, DSAS[i].public_len);
        CK_OBJECT_HANDLE keys[] = {import(CKO_PRIVATE_KEY, CKK_ML_DSA, DSAS[i].set, &forms[0], 1),
                                   import(CKO_PRIVATE_KEY, CKK_ML_DSA, DSAS[i].set, &forms[1], 1),
                                   import(CKO_PRIVATE_KEY, CKK_ML_DSA, DSAS[i].set, forms, 2)},
                         public_key = import(CKO_PUBLIC_KEY, CKK_ML_DSA, DSAS[i].set, &value, 1);
        for (size_t k = 0; k < 3; k++) {
            CK_ULONG len = sizeof(signature);

            FINE(p11->C_SignInit(session, MECHANISM(CKM_ML_DSA), keys[k]));
            FINE(p11->C_Sign(session, (CK_BYTE *)DSAS[i].name, strlen(DSAS[i].name), signature, &len));
            assert_true(openssl_verifies(pair, DSAS[i].name, signature, len));
            FINE(p11->C_VerifyInit(session, MECHANISM(CKM_ML_DSA), public_key));
            FINE(p11->C_Verify(session, (CK_BYTE *)DSAS[i].name, strlen(DSAS[i].name), signature, len));
        }
        assert_part(keys[0], CKA_SEED, seed, 32);
        assert_part(keys[1], CKA_VALUE, private, DSAS[i].private_len);
        EVP_PKEY_free(pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(the_list_of_3_2_has_all_of_3_0_in_front),
        user_test(what_3_2_adds_is_there_or_says_that_it_is_not),
        initialized_test(nothing_of_3_2_works_before_initialize),
        user_test(both_sides_of_an_encapsulation_have_one_secret),
        user_test(what_may_not_encapsulate_does_not),
        user_test(kem_keys_come_in_every_form),
        user_test(keys_in_no_form_are_refused),
        user_test(dsa_keys_come_in_every_form),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
