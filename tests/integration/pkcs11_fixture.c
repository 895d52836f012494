/* See pkcs11_fixture.h. HSM_PKCS11_MODULE names the module; the environment variable of that name overrides it. */
#include "pkcs11_fixture.h"

#include <dlfcn.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/wait.h>

struct world *world;
CK_FUNCTION_LIST_3_0 *p11;
CK_SESSION_HANDLE session;
static void *module;

/* --- results --- */

#define NAME(name)                                                                                                     \
    {                                                                                                                  \
        CKR_##name, "CKR_" #name                                                                                       \
    }

static const struct {
    CK_RV rv;
    const char *name;
} NAMES[] = {
    NAME(OK),
    NAME(CANCEL),
    NAME(HOST_MEMORY),
    NAME(SLOT_ID_INVALID),
    NAME(GENERAL_ERROR),
    NAME(FUNCTION_FAILED),
    NAME(ARGUMENTS_BAD),
    NAME(NO_EVENT),
    NAME(NEED_TO_CREATE_THREADS),
    NAME(CANT_LOCK),
    NAME(ATTRIBUTE_READ_ONLY),
    NAME(ATTRIBUTE_SENSITIVE),
    NAME(ATTRIBUTE_TYPE_INVALID),
    NAME(ATTRIBUTE_VALUE_INVALID),
    NAME(ACTION_PROHIBITED),
    NAME(DATA_INVALID),
    NAME(DATA_LEN_RANGE),
    NAME(DEVICE_ERROR),
    NAME(DEVICE_MEMORY),
    NAME(DEVICE_REMOVED),
    NAME(ENCRYPTED_DATA_INVALID),
    NAME(ENCRYPTED_DATA_LEN_RANGE),
    NAME(FUNCTION_CANCELED),
    NAME(FUNCTION_NOT_PARALLEL),
    NAME(FUNCTION_NOT_SUPPORTED),
    NAME(KEY_HANDLE_INVALID),
    NAME(KEY_SIZE_RANGE),
    NAME(KEY_TYPE_INCONSISTENT),
    NAME(KEY_NOT_NEEDED),
    NAME(KEY_CHANGED),
    NAME(KEY_NEEDED),
    NAME(KEY_INDIGESTIBLE),
    NAME(KEY_FUNCTION_NOT_PERMITTED),
    NAME(KEY_NOT_WRAPPABLE),
    NAME(KEY_UNEXTRACTABLE),
    NAME(MECHANISM_INVALID),
    NAME(MECHANISM_PARAM_INVALID),
    NAME(OBJECT_HANDLE_INVALID),
    NAME(OPERATION_ACTIVE),
    NAME(OPERATION_NOT_INITIALIZED),
    NAME(PIN_INCORRECT),
    NAME(PIN_INVALID),
    NAME(PIN_LEN_RANGE),
    NAME(PIN_EXPIRED),
    NAME(PIN_LOCKED),
    NAME(SESSION_CLOSED),
    NAME(SESSION_COUNT),
    NAME(SESSION_HANDLE_INVALID),
    NAME(SESSION_PARALLEL_NOT_SUPPORTED),
    NAME(SESSION_READ_ONLY),
    NAME(SESSION_EXISTS),
    NAME(SESSION_READ_ONLY_EXISTS),
    NAME(SESSION_READ_WRITE_SO_EXISTS),
    NAME(SIGNATURE_INVALID),
    NAME(SIGNATURE_LEN_RANGE),
    NAME(TEMPLATE_INCOMPLETE),
    NAME(TEMPLATE_INCONSISTENT),
    NAME(TOKEN_NOT_PRESENT),
    NAME(TOKEN_NOT_RECOGNIZED),
    NAME(TOKEN_WRITE_PROTECTED),
    NAME(UNWRAPPING_KEY_HANDLE_INVALID),
    NAME(UNWRAPPING_KEY_SIZE_RANGE),
    NAME(UNWRAPPING_KEY_TYPE_INCONSISTENT),
    NAME(USER_ALREADY_LOGGED_IN),
    NAME(USER_NOT_LOGGED_IN),
    NAME(USER_PIN_NOT_INITIALIZED),
    NAME(USER_TYPE_INVALID),
    NAME(USER_ANOTHER_ALREADY_LOGGED_IN),
    NAME(USER_TOO_MANY_TYPES),
    NAME(WRAPPED_KEY_INVALID),
    NAME(WRAPPED_KEY_LEN_RANGE),
    NAME(WRAPPING_KEY_HANDLE_INVALID),
    NAME(WRAPPING_KEY_SIZE_RANGE),
    NAME(WRAPPING_KEY_TYPE_INCONSISTENT),
    NAME(RANDOM_SEED_NOT_SUPPORTED),
    NAME(RANDOM_NO_RNG),
    NAME(DOMAIN_PARAMS_INVALID),
    NAME(CURVE_NOT_SUPPORTED),
    NAME(BUFFER_TOO_SMALL),
    NAME(SAVED_STATE_INVALID),
    NAME(INFORMATION_SENSITIVE),
    NAME(STATE_UNSAVEABLE),
    NAME(CRYPTOKI_NOT_INITIALIZED),
    NAME(CRYPTOKI_ALREADY_INITIALIZED),
    NAME(MUTEX_BAD),
    NAME(MUTEX_NOT_LOCKED),
    NAME(NEW_PIN_MODE),
    NAME(NEXT_OTP),
    NAME(EXCEEDED_MAX_ITERATIONS),
    NAME(FIPS_SELF_TEST_FAILED),
    NAME(LIBRARY_LOAD_FAILED),
    NAME(PIN_TOO_WEAK),
    NAME(PUBLIC_KEY_INVALID),
    NAME(FUNCTION_REJECTED),
    NAME(TOKEN_RESOURCE_EXCEEDED),
    NAME(OPERATION_CANCEL_FAILED),
};

const char *rv_name(CK_RV rv)
{
    static char number[32];

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (NAMES[i].rv == rv)
            return NAMES[i].name;
    snprintf(number, sizeof(number), "0x%lx", rv);
    return number;
}

void expect_rv(CK_RV expected, CK_RV rv, const char *call, const char *file, int line)
{
    if (rv == expected)
        return;
    print_error("%s:%d: %s\n  gave %s, not ", file, line, call, rv_name(rv));
    print_error("%s\n", rv_name(expected));
    _fail(file, line);
}

void expect_refusal(CK_RV rv, const char *call, const char *file, int line)
{
    if (rv != CKR_OK)
        return;
    print_error("%s:%d: %s\n  gave CKR_OK\n", file, line, call);
    _fail(file, line);
}

/* --- the module --- */

static void put_setting(FILE *file, const char *name)
{
    char value[512];
    size_t len = sizeof(value);

    if (hsm_config_get(world->config, name, value, &len) == HSM_OK && len > 0)
        fprintf(file, "%s: \"%s\"\n", name, value);
}

static void write_config(void)
{
    static const char *const SETTINGS[] = {"nodes", "ca-file", "certificate-file", "key-file", "transport"};
    char path[300];

    snprintf(path, sizeof(path), "%s/hsm.yaml", world->folder);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    for (size_t i = 0; i < sizeof(SETTINGS) / sizeof(SETTINGS[0]); i++)
        put_setting(file, SETTINGS[i]);
    fclose(file);
    setenv("HSM_CONFIG", path, 1);
}

static const char *module_path(void)
{
    return getenv("HSM_PKCS11_MODULE") ? getenv("HSM_PKCS11_MODULE") : HSM_PKCS11_MODULE;
}

void reload_module(void)
{
    CK_VERSION version = {3, 0};
    CK_INTERFACE *interface;

    module = dlopen(module_path(), RTLD_NOW | RTLD_LOCAL);
    if (!module)
        fail_msg("%s", dlerror());
    CK_C_GetInterface get = (CK_C_GetInterface)dlsym(module, "C_GetInterface");

    assert_non_null(get);
    FINE(get((CK_UTF8CHAR *)"PKCS 11", &version, &interface, 0));
    p11 = interface->pFunctionList;
}

void unload_module(void)
{
    dlclose(module);
    p11 = NULL;
    assert_null(dlopen(module_path(), RTLD_NOW | RTLD_NOLOAD));
}

int pkcs11_begin(void **state)
{
    static const char *const FOREIGN[] = {"HSM_USER", "HSM_PASSWORD", "HSM_PASSWORD_FILE", "HSM_PASSWORD_FD",
                                          "HSM_PKCS11_CLUSTERS"};

    for (size_t i = 0; i < sizeof(FOREIGN) / sizeof(FOREIGN[0]); i++)
        unsetenv(FOREIGN[i]);
    world_begin(state);
    world = (struct world *)*state;
    write_config();
    reload_module();
    return 0;
}

int pkcs11_end(void **state)
{
    dlclose(module);
    return world_end(state);
}

int initialized_begin(void **state)
{
    (void)state;
    FINE(p11->C_Initialize(NULL));
    return 0;
}

int initialized_end(void **state)
{
    (void)state;
    (void)p11->C_Finalize(NULL); /* a test may have done so itself */
    return 0;
}

int user_begin(void **state)
{
    initialized_begin(state);
    session = open_session(CKF_RW_SESSION);
    FINE(log_in(session, CKU_USER, USER_PIN));
    return 0;
}

/* --- sessions --- */

CK_SESSION_HANDLE open_session(CK_FLAGS flags)
{
    CK_SESSION_HANDLE opened = CK_INVALID_HANDLE;

    FINE(p11->C_OpenSession(0, CKF_SERIAL_SESSION | flags, NULL, NULL, &opened));
    assert_int_not_equal(opened, CK_INVALID_HANDLE);
    return opened;
}

CK_RV log_in(CK_SESSION_HANDLE of, CK_USER_TYPE type, const char *pin)
{
    return p11->C_Login(of, type, (CK_UTF8CHAR *)pin, strlen(pin));
}

CK_STATE state_of(CK_SESSION_HANDLE of)
{
    CK_SESSION_INFO info;

    FINE(p11->C_GetSessionInfo(of, &info));
    return info.state;
}

/* --- keys --- */

CK_OBJECT_HANDLE aes_key_of(CK_ULONG len)
{
    CK_OBJECT_HANDLE key;

    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, len), A_TRUE(CKA_ENCRYPT), A_TRUE(CKA_DECRYPT),
                                     A_TRUE(CKA_WRAP), A_TRUE(CKA_UNWRAP), A_TRUE(CKA_SIGN), A_TRUE(CKA_VERIFY),
                                     A_TRUE(CKA_EXTRACTABLE)),
                            &key));
    return key;
}

CK_OBJECT_HANDLE secret_of(CK_KEY_TYPE type, const void *value, CK_ULONG len)
{
    CK_OBJECT_HANDLE key;

    FINE(p11->C_CreateObject(session,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, type),
                                      A_BYTES(CKA_VALUE, value, len), A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE),
                                      A_TRUE(CKA_ENCRYPT), A_TRUE(CKA_DECRYPT), A_TRUE(CKA_SIGN), A_TRUE(CKA_VERIFY),
                                      A_TRUE(CKA_WRAP), A_TRUE(CKA_UNWRAP), A_TRUE(CKA_DERIVE)),
                             &key));
    return key;
}

void ec_pair(const char *oid, size_t oid_len, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    CK_MECHANISM_TYPE type = CKM_EC_KEY_PAIR_GEN;

    if (oid_len == sizeof(ED25519) - 1 && memcmp(oid, ED25519, oid_len) == 0)
        type = CKM_EC_EDWARDS_KEY_PAIR_GEN;
    if (oid_len == sizeof(X25519) - 1 && memcmp(oid, X25519, oid_len) == 0)
        type = CKM_EC_MONTGOMERY_KEY_PAIR_GEN;
    bool agrees_only = type == CKM_EC_MONTGOMERY_KEY_PAIR_GEN, signs_only = type == CKM_EC_EDWARDS_KEY_PAIR_GEN;

    FINE(p11->C_GenerateKeyPair(
        session, MECHANISM(type),
        TEMPLATE(A_BYTES(CKA_EC_PARAMS, oid, oid_len), A_BYTES(CKA_VERIFY, &(CK_BBOOL){!agrees_only}, 1)),
        TEMPLATE(A_BYTES(CKA_SIGN, &(CK_BBOOL){!agrees_only}, 1), A_BYTES(CKA_DERIVE, &(CK_BBOOL){!signs_only}, 1),
                 A_TRUE(CKA_EXTRACTABLE)),
        public_key, private_key));
}

void rsa_pair(CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    FINE(p11->C_GenerateKeyPair(session, MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN),
                                TEMPLATE(A_NUMBER(CKA_MODULUS_BITS, 2048), A_TEXT(CKA_PUBLIC_EXPONENT, "\x01\x00\x01"),
                                         A_TRUE(CKA_VERIFY), A_TRUE(CKA_ENCRYPT), A_TRUE(CKA_WRAP)),
                                TEMPLATE(A_TRUE(CKA_SIGN), A_TRUE(CKA_DECRYPT), A_TRUE(CKA_UNWRAP)), public_key,
                                private_key));
}

CK_ULONG value_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *value, CK_ULONG room)
{
    CK_ATTRIBUTE wanted = {type, value, room};

    FINE(p11->C_GetAttributeValue(session, object, &wanted, 1));
    return wanted.ulValueLen;
}

CK_ULONG number_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG number = 0;

    assert_int_equal(value_of(object, type, &number, sizeof(number)), sizeof(number));
    return number;
}

bool flag_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL flag = 0xff;

    assert_int_equal(value_of(object, type, &flag, sizeof(flag)), sizeof(flag));
    assert_true(flag == CK_TRUE || flag == CK_FALSE);
    return flag;
}

EVP_PKEY *openssl_key(CK_OBJECT_HANDLE public_key)
{
    uint8_t info[2048];
    const uint8_t *at = info;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)value_of(public_key, CKA_PUBLIC_KEY_INFO, info, sizeof(info)));

    assert_non_null(key);
    return key;
}

CK_ULONG search(CK_SESSION_HANDLE in, CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *found, CK_ULONG room)
{
    CK_OBJECT_HANDLE page[16];
    CK_ULONG total = 0, n_page;

    FINE(p11->C_FindObjectsInit(in, template, n));
    do {
        FINE(p11->C_FindObjects(in, page, 16, &n_page));
        assert_true(n_page <= 16);
        for (CK_ULONG i = 0; i < n_page; i++, total++)
            if (total < room)
                found[total] = page[i];
    } while (n_page > 0);
    FINE(p11->C_FindObjectsFinal(in));
    return total;
}

CK_OBJECT_HANDLE data_object(CK_SESSION_HANDLE in, bool token, bool secret)
{
    CK_OBJECT_HANDLE object;

    FINE(p11->C_CreateObject(in,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA), A_TEXT(CKA_LABEL, "session test"),
                                      A_BYTES(CKA_TOKEN, &(CK_BBOOL){token}, 1),
                                      A_BYTES(CKA_PRIVATE, &(CK_BBOOL){secret}, 1), A_TEXT(CKA_VALUE, "data")),
                             &object));
    return object;
}

CK_RV look_at(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE object)
{
    CK_BBOOL token;
    CK_ATTRIBUTE wanted = {CKA_TOKEN, &token, sizeof(token)};

    return p11->C_GetAttributeValue(in, object, &wanted, 1);
}

CK_RV mac(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE key)
{
    CK_BYTE out[16];
    CK_ULONG len = sizeof(out);
    CK_RV rv = p11->C_SignInit(in, MECHANISM(CKM_AES_CMAC), key);

    return rv == CKR_OK ? p11->C_Sign(in, TEXT("message"), out, &len) : rv;
}

void expect_child(pid_t child)
{
    int status = -1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

CK_OBJECT_HANDLE labelled_data(CK_BBOOL token, const char *label)
{
    CK_OBJECT_HANDLE object;

    FINE(p11->C_CreateObject(session,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA), A_BYTES(CKA_TOKEN, &token, 1),
                                      A_BYTES(CKA_LABEL, label, strlen(label)), A_TEXT(CKA_VALUE, "some data"),
                                      A_TEXT(CKA_APPLICATION, "test")),
                             &object));
    return object;
}

CK_RV ask_for(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BYTE value[RESULT_ROOM];
    CK_ATTRIBUTE wanted = {type, value, sizeof(value)};
    CK_RV rv = p11->C_GetAttributeValue(session, object, &wanted, 1);

    /* A call that never came to the attributes leaves them as they were. */
    assert_true(rv == CKR_OK || rv == CKR_OBJECT_HANDLE_INVALID || wanted.ulValueLen == CK_UNAVAILABLE_INFORMATION);
    return rv;
}

void assert_value(CK_OBJECT_HANDLE key, const void *expected, CK_ULONG len)
{
    CK_BYTE value[RESULT_ROOM];

    assert_int_equal(value_of(key, CKA_VALUE, value, sizeof(value)), len);
    assert_memory_equal(value, expected, len);
}

/* --- operations in one part --- */

CK_ULONG sign_at_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG len, CK_BYTE *signature)
{
    CK_ULONG signature_len = RESULT_ROOM;

    FINE(p11->C_SignInit(session, mechanism, key));
    FINE(p11->C_Sign(session, (CK_BYTE *)data, len, signature, &signature_len));
    return signature_len;
}

CK_RV verify_at_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG len,
                     const CK_BYTE *signature, CK_ULONG signature_len)
{
    CK_RV rv = p11->C_VerifyInit(session, mechanism, key);

    return rv == CKR_OK ? p11->C_Verify(session, (CK_BYTE *)data, len, (CK_BYTE *)signature, signature_len) : rv;
}

CK_RV encrypt_at_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG len, CK_BYTE *out,
                      CK_ULONG *out_len)
{
    CK_RV rv = p11->C_EncryptInit(session, mechanism, key);

    *out_len = RESULT_ROOM;
    return rv == CKR_OK ? p11->C_Encrypt(session, (CK_BYTE *)data, len, out, out_len) : rv;
}

CK_RV decrypt_at_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG len, CK_BYTE *out,
                      CK_ULONG *out_len)
{
    CK_RV rv = p11->C_DecryptInit(session, mechanism, key);

    *out_len = RESULT_ROOM;
    return rv == CKR_OK ? p11->C_Decrypt(session, (CK_BYTE *)data, len, out, out_len) : rv;
}
