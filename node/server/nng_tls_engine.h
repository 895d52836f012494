/* A TLS engine for NNG on OpenSSL (nng/supplemental/tls/engine.h), so that NNG's listeners speak TLS 1.3 with the same
 * library that does the node's cryptography; Debian's NNG brings mbedTLS, which stops at 1.2. */
#pragma once

#include <openssl/ssl.h>
#include "protocol/failure.h"

/** Whether a client with this certificate (SHA-256 of its DER) is let in; called on NNG's threads. */
typedef status_code (*nng_tls_peer_check)(void *context, const uint8_t certificate_hash[32]);

/** Registers the engine for the process; after any other NNG call, because NNG registers its own at its first.
 * Server configurations made from now on use `server_context`, of which a reference is kept. */
status_code nng_tls_engine_use_openssl(SSL_CTX *server_context, nng_tls_peer_check check, void *check_context);
