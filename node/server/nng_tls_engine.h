/* A TLS engine for NNG on OpenSSL (nng/supplemental/tls/engine.h), so that NNG's listeners speak TLS 1.3 with the same
 * library that does the node's cryptography; Debian's NNG brings mbedTLS, which stops at 1.2. */
#pragma once

#include <openssl/ssl.h>
#include "protocol/failure.h"

/** Registers the engine for the process; after any other NNG call, because NNG registers its own at its first.
 * Listeners use `server_context`, of which a reference is kept. */
status_code nng_tls_engine_use_openssl(SSL_CTX *server_context);
