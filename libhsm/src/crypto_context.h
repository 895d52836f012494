/* OpenSSL contexts of the library's own, with the default provider alone and nothing of OpenSSL's configuration.
 *
 * A thread that used a context has something left there (its random generators), which OpenSSL gives up when that
 * thread ends. OSSL_LIB_CTX_free makes the calling thread alone give up: another, ending later, would touch what was
 * freed. So a context that more than one thread has used is never freed. It waits for the next core that needs one, and
 * outlives the library when that is unloaded. */
#pragma once

#include <openssl/crypto.h>
#include <stdbool.h>

struct crypto_context;

/** One that is idle, or a new one; NULL when there is no memory. To be used by this process alone. */
struct crypto_context *crypto_context_take(void);

/** To be called by every thread before it uses the context. */
OSSL_LIB_CTX *crypto_context_use(struct crypto_context *context);

/** Whether this process made it: of a child of fork, its parent's threads may have been in the middle of using it. */
bool crypto_context_is_ours(const struct crypto_context *context);

/** Harmless on NULL, and by a child of fork on one of its parent's, which it leaves alone. */
void crypto_context_give_back(struct crypto_context *context);
