/* The PKCS#11 module for tests in C: loaded as programs load it, with a configuration that leads it to the world's
 * node. Every test begins with C_Initialize and ends with C_Finalize, so that no handle outlives it. */
#pragma once

#include "api_fixture.h"
#include <pkcs11.h>
#include <openssl/evp.h>
#include "cloudhsm_pkcs11_vendor_defs.h"

#ifndef CKM_AES_GMAC
#define CKM_AES_GMAC 0x0000108EUL
#endif
#ifndef CKA_UNIQUE_ID
#define CKA_UNIQUE_ID 0x00000004UL
#endif

#define USER_PIN  USER ":" USER_PASSWORD
#define ADMIN_PIN ADMIN ":" ADMIN_PASSWORD
#define NO_HANDLE 0xdeadbeefUL /* one that the module never gave out */

extern struct world *world;
extern CK_FUNCTION_LIST_3_0 *p11;
extern CK_SESSION_HANDLE session; /* of the test: read-write, the user logged in; see user_begin */

/** For cmocka's groups: the world, and the module loaded. */
int pkcs11_begin(void **state);
int pkcs11_end(void **state);

/** For cmocka's tests: initialized; and with `session`. */
int initialized_begin(void **state);
int initialized_end(void **state);
int user_begin(void **state);
#define user_end initialized_end

#define initialized_test(name) cmocka_unit_test_setup_teardown(name, initialized_begin, initialized_end)
#define user_test(name)        cmocka_unit_test_setup_teardown(name, user_begin, user_end)

/** Takes it out of the process, whatever is open; and loads it again. */
void unload_module(void);
void reload_module(void);

/** Fails the test unless `rv` is `expected`. */
void expect_rv(CK_RV expected, CK_RV rv, const char *call, const char *file, int line);
#define RV(expected, call) expect_rv(expected, call, #call, __FILE__, __LINE__)
#define FINE(call)         RV(CKR_OK, call)
#define REFUSED(call)      expect_refusal(call, #call, __FILE__, __LINE__)
void expect_refusal(CK_RV rv, const char *call, const char *file, int line);
const char *rv_name(CK_RV rv);

/* --- templates and mechanisms --- */

#define A_TRUE(type)                                                                                                   \
    {                                                                                                                  \
        (type), &(CK_BBOOL){CK_TRUE}, sizeof(CK_BBOOL)                                                                 \
    }
#define A_FALSE(type)                                                                                                  \
    {                                                                                                                  \
        (type), &(CK_BBOOL){CK_FALSE}, sizeof(CK_BBOOL)                                                                \
    }
#define A_NUMBER(type, number)                                                                                         \
    {                                                                                                                  \
        (type), &(CK_ULONG){(number)}, sizeof(CK_ULONG)                                                                \
    }
#define A_TEXT(type, text)                                                                                             \
    {                                                                                                                  \
        (type), (void *)(text), sizeof(text) - 1                                                                       \
    }
#define A_BYTES(type, bytes, len)                                                                                      \
    {                                                                                                                  \
        (type), (void *)(bytes), (len)                                                                                 \
    }

/** Two arguments: the array and how many. */
#define TEMPLATE(...) (CK_ATTRIBUTE[]){__VA_ARGS__}, sizeof((CK_ATTRIBUTE[]){__VA_ARGS__}) / sizeof(CK_ATTRIBUTE)

#define MECHANISM(type)                 (&(CK_MECHANISM){(type), NULL, 0})
#define MECHANISM_OF(type, params, len) (&(CK_MECHANISM){(type), (void *)(params), (len)})
#define MECHANISM_WITH(type, params)    MECHANISM_OF(type, &(params), sizeof(params))

#define TEXT(text) (CK_BYTE *)(text), sizeof(text) - 1

/* --- sessions and keys; without a session of their own they use `session` --- */

CK_SESSION_HANDLE open_session(CK_FLAGS flags);
CK_RV log_in(CK_SESSION_HANDLE of, CK_USER_TYPE type, const char *pin);
CK_STATE state_of(CK_SESSION_HANDLE of);

/** Session keys. */
CK_OBJECT_HANDLE aes_key_of(CK_ULONG len);
CK_OBJECT_HANDLE secret_of(CK_KEY_TYPE type, const void *value, CK_ULONG len); /* neither sensitive nor unextractable */
void ec_pair(const char *oid, size_t oid_len, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key);
void rsa_pair(CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key);

#define P256    "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define P384    "\x06\x05\x2b\x81\x04\x00\x22"
#define P521    "\x06\x05\x2b\x81\x04\x00\x23"
#define ED25519 "\x06\x03\x2b\x65\x70"
#define X25519  "\x06\x03\x2b\x65\x6e"

/** A data object, and whether it is there: C_GetAttributeValue's result. */
CK_OBJECT_HANDLE data_object(CK_SESSION_HANDLE in, bool token, bool secret);
CK_RV look_at(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE object);

/** A use of an AES key: what C_SignInit or C_Sign gives. */
CK_RV mac(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE key);

/** Waits for a child of fork, which cannot fail the test: its exit code does. */
void expect_child(pid_t child);

/** A generic secret's or AES key's value: what C_GetAttributeValue gives, in `room` bytes at most. */
CK_ULONG value_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *value, CK_ULONG room);
CK_ULONG number_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
bool flag_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

#define RESULT_ROOM 8192

/** A data object of this name. */
CK_OBJECT_HANDLE labelled_data(CK_BBOOL token, const char *label);

/** What C_GetAttributeValue says of one attribute. */
CK_RV ask_for(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

/** Fails the test unless it is the value. */
void assert_value(CK_OBJECT_HANDLE key, const void *expected, CK_ULONG len);

/* --- operations in one part: results have room for RESULT_ROOM bytes --- */

/** The length of what came out. */
CK_ULONG sign_at_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG len,
                      CK_BYTE *signature);
CK_RV verify_at_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG len,
                     const CK_BYTE *signature, CK_ULONG signature_len);
CK_RV encrypt_at_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG len, CK_BYTE *out,
                      CK_ULONG *out_len);
CK_RV decrypt_at_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG len, CK_BYTE *out,
                      CK_ULONG *out_len);

/** A public key for OpenSSL, by CKA_PUBLIC_KEY_INFO. */
EVP_PKEY *openssl_key(CK_OBJECT_HANDLE public_key);

/** How many objects a search finds; the first `room` of them into `found`. */
CK_ULONG search(CK_SESSION_HANDLE in, CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *found, CK_ULONG room);
