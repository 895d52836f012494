/* Listeners accept clients on a URL and hand each message to dispatch_message. Two implementations speak the same wire:
 * `direct` (epoll and OpenSSL, for tls+tcp, tcp and ipc) and `nng` (rep0 with contexts, for every scheme that NNG has).
 */
#pragma once

#include "protocol/bytes.h"

struct node;
struct listener;

#define LISTENER_URL_MAX 256

struct listener_operations {
    /** Stops accepting; connections go on. May be called again. */
    void (*stop_accepting)(struct listener *listener);
    /** Whether nothing is being answered at the moment. */
    int (*idle)(struct listener *listener);
    /** Closes and frees; NNG's with its connections, a direct one when the reactors have ended. */
    void (*close)(struct listener *listener);
};

struct listener {
    const struct listener_operations *operations;
};

/** `url`: tls+tcp://HOST:PORT, tcp://, ipc://PATH. `local`: LOCAL operations are allowed and no ticket is implied by it
 * (ipc with mode 0600). Port 0 picks a free one; `bound_url` (LISTENER_URL_MAX) gets what was bound. */
status_code listener_open_direct(struct node *node, const char *url, int local, char *bound_url,
                                 struct listener **listener);
status_code listener_open_nng(struct node *node, const char *url, char *bound_url, struct listener **listener);

/** Whether NNG carries this URL well. tls+tcp, tcp and ipc it does not: a connection whose client leaves while its
 * answer is on the way is lost with its descriptor, and NNG 1.5 then buries no connection any more (nanomsg/nng, pull
 * request 1636; NNG 1.10 still loses tls+tcp). The direct listener speaks the same wire and takes these. */
bool listener_nng_is_sound(const char *url);

/** STATUS_CONFIG_INVALID when HOST:PORT names another machine's reach: without TLS only loopback addresses will do. */
status_code listener_check_loopback(const char *url, const char *host_and_port);
