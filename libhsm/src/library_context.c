/* One context per loaded library. See library_context.h. */
#include "library_context.h"

#include <stdatomic.h>
#include "crypto_context.h"

static _Atomic(struct crypto_context *) context;

OSSL_LIB_CTX *library_context(void)
{
    struct crypto_context *there = atomic_load_explicit(&context, memory_order_acquire);

    if (there && crypto_context_is_ours(there))
        return crypto_context_use(there);
    /* The first use, or the first in a child of fork, which leaves its parent's alone. */
    struct crypto_context *made = crypto_context_take();

    if (!made)
        return NULL;
    if (atomic_compare_exchange_strong(&context, &there, made))
        return crypto_context_use(made);
    crypto_context_give_back(made); /* another thread was first */
    return crypto_context_use(there);
}

/* Runs at unload and at the end of the process. In the second case OpenSSL has cleaned up before us, and everything in
 * it is gone: it then says that it cannot be initialized. Without options, which would wait for a configuration that is
 * being loaded: a provider that is refused is unloaded, and this library with it, meanwhile. */
__attribute__((destructor)) static void context_give_back(void)
{
    if (OPENSSL_init_crypto(0, NULL))
        crypto_context_give_back(atomic_exchange(&context, NULL));
}
