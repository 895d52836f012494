/* Contexts, and those that wait for use. See crypto_context.h. */
#include "crypto_context.h"

#include <openssl/provider.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include "api_lock.h"

struct crypto_context {
    OSSL_LIB_CTX *library;
    OSSL_PROVIDER *provider;
    long process;       /* that made it */
    uintptr_t thread;   /* that made it */
    atomic_bool shared; /* another thread has used it, too */
    struct crypto_context *next;
};

static struct api_lock lock;        /* guards `idle` */
static struct crypto_context *idle; /* that several threads have used */

static uintptr_t this_thread(void)
{
    static _Thread_local char here;

    return (uintptr_t)&here;
}

static void context_free(struct crypto_context *context)
{
    if (context->provider)
        OSSL_PROVIDER_unload(context->provider);
    OSSL_LIB_CTX_free(context->library);
    free(context);
}

static struct crypto_context *context_new(void)
{
    struct crypto_context *made = calloc(1, sizeof(*made));

    if (!made)
        return NULL;
    made->library = OSSL_LIB_CTX_new();
    made->provider = made->library ? OSSL_PROVIDER_load(made->library, "default") : NULL;
    made->process = platform_process();
    made->thread = this_thread();
    if (made->provider)
        return made;
    context_free(made);
    return NULL;
}

struct crypto_context *crypto_context_take(void)
{
    api_lock_take(&lock);
    struct crypto_context **at = &idle;

    while (*at && !crypto_context_is_ours(*at))
        at = &(*at)->next;
    struct crypto_context *found = *at;

    if (found)
        *at = found->next;
    api_lock_give(&lock);
    return found ? found : context_new();
}

OSSL_LIB_CTX *crypto_context_use(struct crypto_context *context)
{
    if (context->thread != this_thread() && !atomic_load_explicit(&context->shared, memory_order_relaxed))
        atomic_store_explicit(&context->shared, true, memory_order_relaxed);
    return context->library;
}

bool crypto_context_is_ours(const struct crypto_context *context)
{
    return context->process == platform_process();
}

static void keep_idle(struct crypto_context *context)
{
    api_lock_take(&lock);
    context->next = idle;
    idle = context;
    api_lock_give(&lock);
}

void crypto_context_give_back(struct crypto_context *context)
{
    if (!context || !crypto_context_is_ours(context))
        return;
    (void)crypto_context_use(context);
    if (atomic_load(&context->shared)) {
        keep_idle(context);
        return;
    }
    context_free(context);
}
