/* Reactors: the threads that carry connections, each with an epoll set of its own. A connection belongs to one reactor
 * for life, so nothing of it is locked.
 *
 * Fairness: a connection whose bytes hold several messages gets a slice of time per turn, and the others theirs. */
#pragma once

#include <openssl/ssl.h>
#include "protocol/bytes.h"

struct node;
struct server;
struct reactors;

/** *reactors is to be stopped also after a failure. */
status_code reactors_start(struct node *node, struct server *server, struct reactors **reactors);

/** Ends the threads, closes all connections and frees; harmless on NULL. The slow pool must have ended. */
void reactors_stop(struct reactors *reactors);

/** Whether nothing is being answered and no answer waits to be sent. */
bool reactors_idle(struct reactors *reactors);

/** Something that a reactor waits for: first member of listeners and connections. Called on the reactor's thread. */
struct watched {
    void (*ready)(struct watched *watched, uint32_t events);
};

/** Watches a listening socket on the first reactor. */
status_code reactors_watch(struct reactors *reactors, int fd, struct watched *watched);

/** An event that was fetched before may still come in; `watched` must live until the reactors are stopped. */
void reactors_unwatch(struct reactors *reactors, int fd);

/** Hands an accepted socket, which is closed on failure, to the reactor with the fewest connections. `tls` is NULL for
 * plain sockets. */
void reactors_adopt(struct reactors *reactors, int fd, SSL_CTX *tls, bool ipc, bool local);
