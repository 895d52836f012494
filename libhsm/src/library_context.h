/* The library's own OpenSSL context, with the default provider alone: inside an application whose own default context
 * has loaded our provider, hashing, TLS and random bytes would otherwise come back to us. */
#pragma once

#include <openssl/crypto.h>

/** Made at first use and given back when the library is unloaded. NULL when there is no memory: OpenSSL's default
 * context then serves. */
OSSL_LIB_CTX *library_context(void);
