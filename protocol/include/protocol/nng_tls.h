/* A TLS engine for NNG on OpenSSL (nng/supplemental/tls/engine.h), so that NNG speaks TLS 1.3 with the library that
 * does our own TLS; Debian's NNG brings mbedTLS, which stops at 1.2. A component of its own, since only what uses NNG
 * links it.
 *
 * NNG has one engine in a process, the one that was registered last; a configuration keeps the engine that it was made
 * with. Both calls therefore stand right before nng_tls_config_alloc, and after any other call of NNG, because NNG
 * registers its own engine at its first. Both sides may be in one process, and any thread may call. */
#pragma once

#include <openssl/ssl.h>
#include "protocol/failure.h"

/** Whether a client with this certificate (SHA-256 of its DER) is let in; called on NNG's threads. */
typedef status_code (*nng_tls_peer_check)(void *context, const uint8_t certificate_hash[32]);

/** Server configurations made from now on use `context`, of which a reference is kept, and ask `check`. */
status_code nng_tls_use_for_server(SSL_CTX *context, nng_tls_peer_check check, void *check_context);

/** Client configurations made from now on take their algorithms from `library`, which stays for as long as the process
 * uses NNG. The server's certificate must come from the configured CA and be one for servers; its name is compared only
 * when the configuration was given one. */
status_code nng_tls_use_for_client(OSSL_LIB_CTX *library);
