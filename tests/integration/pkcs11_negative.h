/* Cases in which implementations of a mechanism go wrong, for every mechanism that the token offers.
 *
 * A family of mechanisms is a file, pkcs11_negative_NAME_test.c, with a table of rows: one for each mechanism, saying
 * for which uses a test goes over it. Such a test first shows that the mechanism works (a known answer, or OpenSSL on
 * the other side), and then changes what it was given in the ways that are known to go through by mistake. What is the
 * same for all of them, keys and parameters that do not fit, pkcs11_negative.c tries on each row.
 *
 * A mechanism with a use that no row has fails the run `complete`; the same rows name the tests in docs/pkcs11.md. */
#pragma once

#include "cryptoki_later.h"
#include "pkcs11_fixture.h"

#define SIGNS    (CKF_SIGN | CKF_VERIFY)
#define RECOVERS (CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER)
#define ENCRYPTS (CKF_ENCRYPT | CKF_DECRYPT)
#define WRAPS    (CKF_WRAP | CKF_UNWRAP)
#define KEMS     (CKF_ENCAPSULATE | CKF_DECAPSULATE)

enum key_kind {
    KEY_NONE,
    KEY_RSA,
    KEY_EC,
    KEY_EDWARDS,
    KEY_MONTGOMERY,
    KEY_ML_DSA,
    KEY_ML_KEM,
    KEY_AES,
    KEY_DES3,
    KEY_SECRET
};

/* The first member of the rows of every family. */
struct row {
    CK_MECHANISM_TYPE type;
    const char *name;
    CK_FLAGS uses;      /* that the test goes over */
    enum key_kind key;  /* that it takes */
    const char *test;   /* the function that shows that it works */
    const void *params; /* good ones */
    CK_ULONG params_len;
    bool optional; /* it works without */
    /* Of mechanisms that not every OpenSSL has: what C_GetMechanismInfo says of their keys where they are offered. */
    CK_ULONG min, max;
};

#define ROW(type, uses, key, test)              ROW_AS(type, #type, uses, key, test)
#define ROW_WITH(type, uses, key, test, params) ROW_WITH_AS(type, #type, uses, key, test, params)

/* Within another macro, which must make the name itself. */
#define ROW_AS(type, name, uses, key, test)                                                                            \
    {                                                                                                                  \
        type, name, uses, key, test, NULL, 0, false, 0, 0                                                              \
    }
#define ROW_WITH_AS(type, name, uses, key, test, params)                                                               \
    {                                                                                                                  \
        type, name, uses, key, test, &(params), sizeof(params), false, 0, 0                                            \
    }

struct family {
    const char *name; /* of the file between pkcs11_negative_ and _test.c */
    const void *rows;
    size_t n_rows, row_size;
    const struct CMUnitTest *tests;
    size_t n_tests;
    void (*prepare)(void); /* what the rows' parameters name is made in it, once logged in; NULL */
};

#define FAMILY(name, rows, tests, prepare)                                                                             \
    {                                                                                                                  \
        name, rows, sizeof(rows) / sizeof((rows)[0]), sizeof((rows)[0]), tests, sizeof(tests) / sizeof((tests)[0]),    \
            prepare                                                                                                    \
    }

extern const struct family SIGNATURE_FAMILY, MAC_FAMILY, CIPHER_FAMILY, AEAD_FAMILY, RSA_CIPHER_FAMILY, WRAP_FAMILY,
    DERIVE_FAMILY, DERIVE_SIMPLE_FAMILY, DIGEST_FAMILY, GENERATE_FAMILY, FORGERY_FAMILY, RECOVER_FAMILY,
    ENCAPSULATE_FAMILY;

/** Whether the token offers it: what depends on the node's OpenSSL may be missing. */
bool is_offered(const struct row *row);

/** The mechanism with its good parameters. */
#define MECHANISM_OF_ROW(row) (&(CK_MECHANISM){(row)->type, (void *)(row)->params, (row)->params_len})

/* --- keys (pkcs11_negative_keys.c) --- */

/** A key pair of OpenSSL's, made once. */
EVP_PKEY *openssl_pair(enum key_kind kind);

/** A session key that may do the `uses` and nothing else. Of a pair it is the half that the uses need. Its value is
 * openssl_pair's, or for secret keys SECRET_VALUE, as many bytes of it as the kind has. */
CK_OBJECT_HANDLE key_for(enum key_kind kind, CK_FLAGS uses);
/** And the same key without leave to do it. */
CK_OBJECT_HANDLE key_without(enum key_kind kind, CK_FLAGS use);
#define SECRET_VALUE ((const CK_BYTE *)"a secret of thirty-two bytes ...")
CK_ULONG secret_len(enum key_kind kind);

/** Imports what OpenSSL made. */
CK_OBJECT_HANDLE import_public(enum key_kind kind, EVP_PKEY *pair, CK_FLAGS uses);
CK_OBJECT_HANDLE import_private(enum key_kind kind, EVP_PKEY *pair, CK_FLAGS uses);
CK_OBJECT_HANDLE import_secret(CK_KEY_TYPE type, const void *value, CK_ULONG len, CK_FLAGS uses);

/** No key is longer than that, in whatever unit: greater numbers are CKR_ATTRIBUTE_VALUE_INVALID, smaller ones that a
 * mechanism does not have CKR_KEY_SIZE_RANGE. */
#define NUMBER_MAX 65536

/* --- uses, each at once --- */

#define ROOM RESULT_ROOM

CK_RV unwrap(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE under, const CK_BYTE *wrapped, CK_ULONG len);

/** Fails the test unless the call gave what was expected, and says which row it was. */
void expect_row(CK_RV expected, CK_RV rv, const char *what, const struct row *row, const char *file, int line);
#define ROW_RV(row, expected, call) expect_row(expected, call, #call, row, __FILE__, __LINE__)
