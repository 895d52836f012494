/* How whole messages travel to one node. Two implementations: `direct` speaks SP over plain sockets with OpenSSL,
 * without threads; `nng` uses the NNG library, for the schemes that direct does not speak.
 *
 * A link is used by one thread at a time (its channel's lock sees to that). Nothing blocks but opening. */
#pragma once

#include <openssl/ssl.h>
#include "protocol/bytes.h"

struct link;

struct link_operations {
    /** Readable when receive may have something. */
    int (*fd)(const struct link *link);

    /** Takes a whole message with its id; what the socket does not take at once is kept and goes with the next call of
     * send or receive. */
    status_code (*send)(struct link *link, uint32_t id, struct slice message);

    /** The next reply that is there, borrowed until the next call; *id 0 when there is none. STATUS_UNAVAILABLE when
     * the connection is over. */
    status_code (*receive)(struct link *link, uint32_t *id, struct slice *message);

    /** Whether bytes to send are being kept: then fd is to be polled for writing too. */
    bool (*sending)(const struct link *link);

    /** `forget`: a child of fork lets go of its parent's connection without a word on it. */
    void (*close)(struct link *link, bool forget);
};

struct link {
    const struct link_operations *operations;
};

/** What opening needs. `tls` may be NULL for schemes without TLS. */
struct link_settings {
    SSL_CTX *tls;
    const char *ca_pem, *certificate_pem, *key_pem; /* for nng; NULL when not configured */
    uint64_t until_ns;                              /* give up */
};

/** Whether direct speaks the URL's scheme. */
bool direct_speaks(const char *url);

/** STATUS_UNAVAILABLE: nobody there in time; STATUS_TLS_ERROR: a certificate was refused; STATUS_CONFIG_INVALID. */
status_code direct_open(const char *url, const struct link_settings *settings, struct link **link);
status_code nng_link_open(const char *url, const struct link_settings *settings, struct link **link);
