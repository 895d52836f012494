/* One context per loaded library. See library_context.h. */
#include "library_context.h"

#include <stdatomic.h>
#include "crypto_context.h"

static _Atomic(struct crypto_context *) context;

OSSL_LIB_CTX *library_context(void)
{
    struct crypto_context *there = atomic_load_explicit(&context, memory_order_acquire), *none = NULL;

    if (there)
        return crypto_context_use(there);
    struct crypto_context *made = crypto_context_take();

    if (!made)
        return NULL;
    if (atomic_compare_exchange_strong(&context, &none, made))
        return crypto_context_use(made);
    crypto_context_give_back(made); /* another thread was first */
    return crypto_context_use(none);
}

/* Before crypto_context.c looks at what is idle: of destructors, the one with the higher number comes first. */
__attribute__((destructor(65000))) static void context_give_back(void)
{
    crypto_context_give_back(atomic_exchange(&context, NULL));
}
