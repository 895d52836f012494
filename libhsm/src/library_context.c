/* One context per loaded library. See library_context.h. */
#include "library_context.h"

#include <openssl/provider.h>
#include <stdatomic.h>

static _Atomic(OSSL_LIB_CTX *) context;

static OSSL_LIB_CTX *context_new(void)
{
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();

    /* Held by the context, which unloads it when it is freed. No configuration file is read into it. */
    if (made && !OSSL_PROVIDER_load(made, "default")) {
        OSSL_LIB_CTX_free(made);
        return NULL;
    }
    return made;
}

OSSL_LIB_CTX *library_context(void)
{
    OSSL_LIB_CTX *there = atomic_load_explicit(&context, memory_order_acquire);
    OSSL_LIB_CTX *none = NULL;

    if (there)
        return there;
    OSSL_LIB_CTX *made = context_new();
    if (!made || atomic_compare_exchange_strong(&context, &none, made))
        return made;
    OSSL_LIB_CTX_free(made); /* another thread was first */
    return none;
}

/* Runs at unload and at the end of the process. In the second case OpenSSL has cleaned up before us, and everything in
 * it is gone: it then says that it cannot be initialized. */
__attribute__((destructor)) static void context_free(void)
{
    OSSL_LIB_CTX *there = atomic_exchange(&context, NULL);

    if (there && OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
        OSSL_LIB_CTX_free(there);
}
