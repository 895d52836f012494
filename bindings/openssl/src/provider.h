/* The provider: what OpenSSL gave it, and the cluster that it speaks to.
 *
 * It is loaded into every program of a machine whose configuration activates it. Therefore nothing is opened, read or
 * connected before a key of the cluster is asked for; and everything that needs no private key is done by OpenSSL's
 * default provider in a library context of our own, which has read no configuration and therefore never comes back to
 * us. */
#pragma once

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <hsm/hsm.h>
#include "guard.h"

#define PROVIDER_PROPERTIES "provider=hsm"

/* Reasons in OpenSSL's error queue: those of the library by their numbers (hsm_status), and these. */
enum {
    REASON_PARAMETER = 101, /* a parameter is not valid, or is missing */
    REASON_UNSUPPORTED,     /* this cannot be done with a key of the cluster */
    REASON_NO_PRIVATE_KEY,
    REASON_PRIVATE_KEY_STAYS, /* private keys are not given out */
    REASON_URI,
    REASON_OPENSSL, /* OpenSSL failed underneath */
    REASON_ASYNC,
    REASON_OUTAGE,
};

struct async_queue;

struct provider {
    const OSSL_CORE_HANDLE *core;
    OSSL_LIB_CTX *library;           /* for public keys, digests and parsing */
    OSSL_PROVIDER *default_provider; /* in it */
    char *config_path;               /* of openssl.cnf; NULL: what every program of the library takes */
    bool allow_import;
    const char *bad_setting; /* what is wrong with openssl.cnf; NULL: nothing */
    bool goes_last;          /* see precedence.c, as for the next two */
    pthread_key_t asking;
    _Atomic unsigned others_asked;
    uint32_t timeout_ms; /* of operations for which somebody waits */
    _Atomic(struct connection *) connection;
    _Atomic(struct async_queue *) async;
    OSSL_FUNC_core_new_error_fn *new_error;
    OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
    OSSL_FUNC_core_vset_error_fn *vset_error;
};

/* --- errors --- */

void error_raise(const struct provider *provider, const char *file, int line, const char *function, uint32_t reason,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));

/* What hsm_last_error says. */
void error_raise_last(const struct provider *provider, const char *file, int line, const char *function);

/* The same for a status that came with a completion. */
void error_raise_status(const struct provider *provider, hsm_status status, const char *detail, const char *node);

const OSSL_ITEM *error_reasons(void);

/* --- what is offered --- */

extern const OSSL_ALGORITHM KEYMGMT_ALGORITHMS[], SIGNATURE_ALGORITHMS[], ASYM_CIPHER_ALGORITHMS[],
    EXCHANGE_ALGORITHMS[], CIPHER_ALGORITHMS[], MAC_ALGORITHMS[], RANDOM_ALGORITHMS[], DECODER_ALGORITHMS[],
    ENCODER_ALGORITHMS[], STORE_ALGORITHMS[];
