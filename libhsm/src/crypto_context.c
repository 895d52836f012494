/* Contexts that wait for use, and what becomes of them at the end. See crypto_context.h. */
#include "crypto_context.h"

#include <openssl/provider.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include "api_lock.h"

struct crypto_context {
    OSSL_LIB_CTX *library;
    long process;       /* that made it */
    uintptr_t thread;   /* that made it */
    atomic_bool shared; /* another thread has used it, too */
    struct crypto_context *next;
};

/* As long as so few are idle, a thread rather makes one of its own than that it shares another's: that can be freed. */
#define UNSHARED_MAX 4

static struct api_lock lock; /* guards what follows */
static struct crypto_context *idle;
static unsigned n_idle;

static uintptr_t this_thread(void)
{
    static _Thread_local char here;

    return (uintptr_t)&here;
}

static struct crypto_context *context_new(void)
{
    struct crypto_context *made = calloc(1, sizeof(*made));

    if (!made)
        return NULL;
    made->library = OSSL_LIB_CTX_new();
    made->process = platform_process();
    made->thread = this_thread();
    /* Held by the context, which unloads it when it is freed. */
    if (made->library && OSSL_PROVIDER_load(made->library, "default"))
        return made;
    OSSL_LIB_CTX_free(made->library);
    free(made);
    return NULL;
}

/* Where a context stands that this process may take: of this thread, or shared already; `any`: whoever made it. */
static struct crypto_context **find_idle(bool any)
{
    struct crypto_context **at = &idle;

    while (*at && ((*at)->process != platform_process() ||
                   !(any || (*at)->thread == this_thread() || atomic_load(&(*at)->shared))))
        at = &(*at)->next;
    return at;
}

struct crypto_context *crypto_context_take(void)
{
    api_lock_take(&lock);
    struct crypto_context **at = find_idle(n_idle >= UNSHARED_MAX), *found = *at;

    if (found) {
        *at = found->next;
        n_idle--;
    }
    api_lock_give(&lock);
    return found ? found : context_new();
}

OSSL_LIB_CTX *crypto_context_use(struct crypto_context *context)
{
    if (context->thread != this_thread() && !atomic_load_explicit(&context->shared, memory_order_relaxed))
        atomic_store_explicit(&context->shared, true, memory_order_relaxed);
    return context->library;
}

void crypto_context_give_back(struct crypto_context *context)
{
    if (!context || context->process != platform_process())
        return;
    (void)crypto_context_use(context);
    api_lock_take(&lock);
    context->next = idle;
    idle = context;
    n_idle++;
    api_lock_give(&lock);
}

/* Runs at unload and at the end of the process. In the second case OpenSSL has cleaned up before us, and everything in
 * it is gone: it then says that it cannot be initialized. */
__attribute__((destructor(64000))) static void idle_free(void)
{
    if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
        return;
    for (struct crypto_context **at = &idle; *at;) {
        struct crypto_context *context = *at;

        (void)crypto_context_use(context);
        if (atomic_load(&context->shared) || context->process != platform_process()) {
            at = &context->next;
            continue;
        }
        *at = context->next;
        OSSL_LIB_CTX_free(context->library);
        free(context);
    }
}
