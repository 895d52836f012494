/* Runs one family of negative cases, named by the argument; `complete` is the run that fails when the token offers what
 * no family has a row for, `facts` prints what docs/pkcs11.md is made of. See pkcs11_negative.h. */
#include "pkcs11_negative.h"

#include <stdio.h>
#include "pkcs11_list_3_2.h"

static const struct family *const FAMILIES[] = {
    &SIGNATURE_FAMILY, &MAC_FAMILY,           &CIPHER_FAMILY,     &AEAD_FAMILY,   &WRAP_FAMILY,
    &DERIVE_FAMILY,    &DERIVE_SIMPLE_FAMILY, &RSA_CIPHER_FAMILY, &DIGEST_FAMILY, &GENERATE_FAMILY,
    &FORGERY_FAMILY,   &RECOVER_FAMILY,       &ENCAPSULATE_FAMILY};
#define N_FAMILIES (sizeof(FAMILIES) / sizeof(FAMILIES[0]))

static const struct family *current;

static const struct row *row_at(const struct family *family, size_t i)
{
    return (const struct row *)((const char *)family->rows + i * family->row_size);
}

void expect_row(CK_RV expected, CK_RV rv, const char *what, const struct row *row, const char *file, int line)
{
    if (rv != expected)
        print_error("%s:\n", row->name);
    expect_rv(expected, rv, what, file, line);
}

bool is_offered(const struct row *row)
{
    CK_MECHANISM_INFO info;
    CK_RV rv = p11->C_GetMechanismInfo(0, row->type, &info);

    if (row->max == 0)
        ROW_RV(row, CKR_OK, rv);
    return rv == CKR_OK;
}

/* --- uses --- */

CK_RV unwrap(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE under, const CK_BYTE *wrapped, CK_ULONG len)
{
    CK_OBJECT_HANDLE made;

    return p11->C_UnwrapKey(session, mechanism, under, (CK_BYTE *)wrapped, len,
                            TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET)),
                            &made);
}

/* --- what is the same for every mechanism --- */

static CK_RV try_wrap(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_BYTE out[ROOM];
    CK_ULONG len = sizeof(out);

    return p11->C_WrapKey(in, mechanism, key, secret_of(CKK_AES, SECRET_VALUE, 32), out, &len);
}

static CK_RV try_unwrap(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    static const CK_BYTE wrapped[320];

    (void)in;
    return unwrap(mechanism, key, wrapped, sizeof(wrapped));
}

static CK_RV try_derive(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_OBJECT_HANDLE made;

    CK_OBJECT_CLASS object_class = mechanism->mechanism == CKM_HKDF_DATA ? CKO_DATA : CKO_SECRET_KEY;

    return p11->C_DeriveKey(in, mechanism, key, TEMPLATE(A_NUMBER(CKA_CLASS, object_class)), &made);
}

static CK_RV try_encapsulate(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_BYTE ciphertext[ROOM];
    CK_ULONG len = sizeof(ciphertext);
    CK_OBJECT_HANDLE made;

    return list_3_2()->encapsulate(in, mechanism, key, NULL, 0, ciphertext, &len, &made);
}

static CK_RV try_decapsulate(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_BYTE ciphertext[768] = {0};
    CK_OBJECT_HANDLE made;

    return list_3_2()->decapsulate(in, mechanism, key, NULL, 0, ciphertext, sizeof(ciphertext), &made);
}

static CK_RV try_digest(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    (void)key;
    return p11->C_DigestInit(in, mechanism);
}

static CK_RV try_generate(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_ULONG len = mechanism->mechanism == CKM_DES3_KEY_GEN ? 24 : 32;

    return p11->C_GenerateKey(in, mechanism, TEMPLATE(A_NUMBER(CKA_VALUE_LEN, len)), &key);
}

static CK_RV try_generate_pair(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_OBJECT_HANDLE other;

    return p11->C_GenerateKeyPair(in, mechanism, NULL, 0, NULL, 0, &key, &other);
}

typedef CK_RV (*attempt)(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);

static struct {
    CK_FLAGS use;
    attempt try;
    CK_RV wrong_type, no_handle;
} uses[] = {
    {CKF_SIGN, NULL, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_HANDLE_INVALID},
    {CKF_VERIFY, NULL, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_HANDLE_INVALID},
    {CKF_ENCRYPT, NULL, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_HANDLE_INVALID},
    {CKF_DECRYPT, NULL, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_HANDLE_INVALID},
    {CKF_SIGN_RECOVER, NULL, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_HANDLE_INVALID},
    {CKF_VERIFY_RECOVER, NULL, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_HANDLE_INVALID},
    {CKF_WRAP, try_wrap, CKR_WRAPPING_KEY_TYPE_INCONSISTENT, CKR_WRAPPING_KEY_HANDLE_INVALID},
    {CKF_UNWRAP, try_unwrap, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, CKR_UNWRAPPING_KEY_HANDLE_INVALID},
    {CKF_DERIVE, try_derive, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_HANDLE_INVALID},
    {CKF_ENCAPSULATE, try_encapsulate, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_HANDLE_INVALID},
    {CKF_DECAPSULATE, try_decapsulate, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, CKR_UNWRAPPING_KEY_HANDLE_INVALID},
    {CKF_DIGEST, try_digest, 0, 0},
    {CKF_GENERATE, try_generate, 0, 0},
    {CKF_GENERATE_KEY_PAIR, try_generate_pair, 0, 0},
};
#define N_USES (sizeof(uses) / sizeof(uses[0]))

static CK_RV try(size_t use, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_RV rv = uses[use].try(session, mechanism, key);

    (void)p11->C_SessionCancel(session, (CK_FLAGS)-1);
    return rv;
}

typedef void (*check)(const struct row *row, size_t use);

/* The functions are known once the module is loaded. */
static void for_each_use(check one)
{
    uses[0].try = p11->C_SignInit, uses[1].try = p11->C_VerifyInit;
    uses[2].try = p11->C_EncryptInit, uses[3].try = p11->C_DecryptInit;
    uses[4].try = p11->C_SignRecoverInit, uses[5].try = p11->C_VerifyRecoverInit;
    if (current->prepare)
        current->prepare();
    for (size_t i = 0; i < current->n_rows; i++)
        for (size_t use = 0; use < N_USES && is_offered(row_at(current, i)); use++)
            one(row_at(current, i), use);
}

static void check_parameters(const struct row *row, size_t use)
{
    CK_MECHANISM good = {row->type, (void *)row->params, row->params_len};
    static CK_BYTE longer[1024];

    if (!(row->uses & uses[use].use))
        return;
    CK_OBJECT_HANDLE key = row->key ? key_for(row->key, uses[use].use) : CK_INVALID_HANDLE;
    if (row->params_len) {
        memcpy(longer, row->params, row->params_len);
        for (CK_ULONG len = row->optional ? 1 : 0; len <= row->params_len + 1; len++)
            if (len != row->params_len && (len < 5 || len + 2 > row->params_len))
                ROW_RV(row, CKR_MECHANISM_PARAM_INVALID, try(use, MECHANISM_OF(row->type, longer, len), key));
        ROW_RV(row, CKR_MECHANISM_PARAM_INVALID, try(use, MECHANISM_OF(row->type, NULL, row->params_len), key));
    } else {
        ROW_RV(row, CKR_MECHANISM_PARAM_INVALID, try(use, MECHANISM_OF(row->type, longer, 5), key));
    }
    ROW_RV(row, CKR_MECHANISM_PARAM_INVALID, try(use, MECHANISM_OF(row->type, longer, (CK_ULONG)-1), key));
    if (uses[use].use & (SIGNS | RECOVERS | ENCRYPTS | KEMS | CKF_WRAP | CKF_DERIVE | CKF_DIGEST | CKF_GENERATE))
        ROW_RV(row, CKR_OK, try(use, &good, key));
}

static void parameters_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    for_each_use(check_parameters);
}

static void check_keys(const struct row *row, size_t use)
{
    CK_FLAGS flag = uses[use].use;

    if (!(row->uses & flag) || !row->key)
        return;
    for (enum key_kind kind = KEY_RSA; kind <= KEY_SECRET; kind++) {
        bool secrets = row->key == KEY_SECRET && (flag & CKF_DERIVE); /* any will do */
        bool agrees = row->key == KEY_EC && (flag & CKF_DERIVE) && kind == KEY_MONTGOMERY;

        if (kind == row->key || kind == KEY_ML_DSA || kind == KEY_ML_KEM || agrees || (secrets && secret_len(kind)))
            continue;
        /* Keys that can agree at all say so first. */
        CK_FLAGS may = secret_len(kind) ? flag : flag & (kind == KEY_MONTGOMERY ? CKF_DERIVE : flag);
        if (kind == KEY_EDWARDS && (flag & ~SIGNS))
            continue;
        if (kind == KEY_MONTGOMERY && (flag & ~CKF_DERIVE))
            continue;
        ROW_RV(row, uses[use].wrong_type, try(use, MECHANISM_OF_ROW(row), key_for(kind, may)));
    }
    ROW_RV(row, CKR_KEY_FUNCTION_NOT_PERMITTED, try(use, MECHANISM_OF_ROW(row), key_without(row->key, flag)));
    ROW_RV(row, uses[use].no_handle, try(use, MECHANISM_OF_ROW(row), NO_HANDLE));
}

static void keys_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    for_each_use(check_keys);
}

static void check_other_uses(const struct row *row, size_t use)
{
    CK_MECHANISM_INFO info;

    FINE(p11->C_GetMechanismInfo(0, row->type, &info));
    assert_true((info.flags & row->uses) == row->uses);
    if (!(info.flags & uses[use].use))
        ROW_RV(row, CKR_MECHANISM_INVALID, try(use, MECHANISM_OF_ROW(row), secret_of(CKK_AES, SECRET_VALUE, 32)));
}

static void uses_that_a_mechanism_does_not_have_are_refused(void **state)
{
    (void)state;
    for_each_use(check_other_uses);
}

/* --- whether everything has a row --- */

static const struct row *row_for(CK_MECHANISM_TYPE type, CK_FLAGS use, const struct family **of)
{
    for (size_t k = 0; k < N_FAMILIES; k++)
        for (size_t i = 0; i < FAMILIES[k]->n_rows; i++) {
            const struct row *row = row_at(FAMILIES[k], i);

            if (row->type != type || (use && !(row->uses & use)))
                continue;
            if (of)
                *of = FAMILIES[k];
            return row;
        }
    return NULL;
}

static CK_ULONG offered(CK_MECHANISM_TYPE types[512])
{
    CK_ULONG n = 512;

    FINE(p11->C_GetMechanismList(0, types, &n));
    assert_true(n > 100);
    return n;
}

static void every_use_of_every_mechanism_has_negative_cases(void **state)
{
    CK_MECHANISM_TYPE types[512];
    CK_ULONG missing = 0;

    (void)state;
    for (CK_ULONG n = offered(types), i = 0; i < n; i++) {
        CK_MECHANISM_INFO info;

        FINE(p11->C_GetMechanismInfo(0, types[i], &info));
        for (size_t k = 0; k < N_USES; k++) {
            if (!(info.flags & uses[k].use) || row_for(types[i], uses[k].use, NULL))
                continue;
            print_error("mechanism 0x%lx, use 0x%lx: no row in any family\n", types[i], uses[k].use);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

static bool has_test(const struct family *family, const char *name)
{
    for (size_t i = 0; i < family->n_tests; i++)
        if (strcmp(family->tests[i].name, name) == 0)
            return true;
    return false;
}

static void every_row_names_a_test_of_its_family(void **state)
{
    CK_MECHANISM_INFO info;

    (void)state;
    for (size_t k = 0; k < N_FAMILIES; k++)
        for (size_t i = 0; i < FAMILIES[k]->n_rows; i++) {
            const struct row *row = row_at(FAMILIES[k], i);

            assert_memory_equal(row->name, "CKM_", 4);
            if (!has_test(FAMILIES[k], row->test))
                fail_msg("%s: %s has no test %s", row->name, FAMILIES[k]->name, row->test);
            if (row->max == 0 || p11->C_GetMechanismInfo(0, row->type, &info) != CKR_OK)
                continue;
            assert_int_equal(info.ulMinKeySize, row->min);
            assert_int_equal(info.ulMaxKeySize, row->max);
        }
}

/* --- facts for the manual --- */

static void print_mechanism(CK_MECHANISM_TYPE type, const CK_MECHANISM_INFO *info)
{
    const struct family *family = NULL;
    const struct row *row = row_for(type, 0, &family);

    if (row)
        printf("mechanism %s %lu %lu %lx pkcs11_negative_%s_test.c %s%s\n", row->name, info->ulMinKeySize,
               info->ulMaxKeySize, info->flags, family->name, row->test, row->max ? " later" : "");
    else
        printf("mechanism 0x%lx %lu %lu %lx - -\n", type, info->ulMinKeySize, info->ulMaxKeySize, info->flags);
}

static void print_later(const struct family *family)
{
    for (size_t i = 0; i < family->n_rows; i++) {
        const struct row *row = row_at(family, i);

        if (row->max && !is_offered(row))
            print_mechanism(row->type, &(CK_MECHANISM_INFO){row->min, row->max, row->uses});
    }
}

static void facts_are_printed(void **state)
{
    CK_MECHANISM_TYPE types[512];

    (void)state;
#define CK_PKCS11_3_0                 1
#define CK_PKCS11_FUNCTION_INFO(name) printf("function %s\n", #name);
#include <pkcs11f.h>
    for (CK_ULONG n = offered(types), i = 0; i < n; i++) {
        CK_MECHANISM_INFO info;

        FINE(p11->C_GetMechanismInfo(0, types[i], &info));
        print_mechanism(types[i], &info);
    }
    for (size_t k = 0; k < N_FAMILIES; k++)
        print_later(FAMILIES[k]);
}

/* --- running --- */

static int run_family(const struct family *family)
{
    static const struct CMUnitTest common[] = {
        user_test(parameters_that_do_not_fit_are_refused),
        user_test(keys_that_do_not_fit_are_refused),
        user_test(uses_that_a_mechanism_does_not_have_are_refused),
    };
    struct CMUnitTest tests[32];
    size_t n_common = family->n_rows ? sizeof(common) / sizeof(common[0]) : 0;

    if (family->n_tests + n_common > sizeof(tests) / sizeof(tests[0]))
        return 2;
    current = family;
    memcpy(tests, family->tests, family->n_tests * sizeof(tests[0]));
    memcpy(tests + family->n_tests, common, n_common * sizeof(common[0]));
    return _cmocka_run_group_tests(family->name, tests, family->n_tests + n_common, pkcs11_begin, pkcs11_end);
}

static int run_complete(void)
{
    const struct CMUnitTest tests[] = {
        initialized_test(every_use_of_every_mechanism_has_negative_cases),
        initialized_test(every_row_names_a_test_of_its_family),
    };

    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}

static int print_facts(void)
{
    const struct CMUnitTest tests[] = {initialized_test(facts_are_printed)};

    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";

    world_settings = "\"allow-sha1-sign\": true, \"allow-raw-rsa\": true, \"allow-des3-encrypt\": true,";
    for (size_t i = 0; i < N_FAMILIES; i++)
        if (strcmp(FAMILIES[i]->name, what) == 0)
            return run_family(FAMILIES[i]);
    if (strcmp(what, "complete") == 0)
        return run_complete();
    if (strcmp(what, "facts") == 0)
        return print_facts();
    fprintf(stderr, "usage: %s complete|facts|FAMILY\n", argv[0]);
    return 2;
}
