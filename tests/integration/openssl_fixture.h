/* A cluster of two nodes, and OpenSSL with the provider beside its default one, as openssl.cnf would have it: for tests
 * in C. */
#pragma once

#include "api_fixture.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

/** With both providers; programs that name none get OpenSSL's. */
extern OSSL_LIB_CTX *library;

/** The user that the provider logs in as. */
extern hsm_session *session;

#define OURS   "provider=hsm"
#define THEIRS "provider=default"

/** For cmocka's groups: `*state` is the world. */
int openssl_begin(void **state);
int openssl_end(void **state);

/** One more library context, with a further setting in the provider's section of openssl.cnf. */
OSSL_LIB_CTX *library_with(const struct world *world, const char *setting);

/** All that the user may see. */
size_t n_objects(void);

/** A token object with this value, for every use that fits an AES key (HSM_KEY_TYPE_...) or a generic secret. */
hsm_key secret_of(uint64_t type, const char *label, const uint8_t *value, size_t len);

/** The parameters that name a key. Two alike, so that the caller can set what follows. */
#define NAMED(uri)                                                                                                     \
    (OSSL_PARAM[])                                                                                                     \
    {                                                                                                                  \
        OSSL_PARAM_construct_utf8_string("hsm-key", (char *)(uintptr_t)(uri), 0), OSSL_PARAM_construct_end(),          \
            OSSL_PARAM_construct_end()                                                                                 \
    }

/** Fails the test unless the call has failed, and OpenSSL's errors, which are taken away, say this. */
void expect_refusal(int result, const char *says, const char *call, const char *file, int line);
#define REFUSED(says, call) expect_refusal(call, says, #call, __FILE__, __LINE__)

/** Fails the test, with OpenSSL's errors, unless the call has succeeded. */
void expect_success(int result, const char *call, const char *file, int line);
#define WORKS(call) expect_success(call, #call, __FILE__, __LINE__)
