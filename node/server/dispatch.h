/* From message to answer: decodes, checks the ticket and the access of each operation, catches up with the revision
 * that the client has seen, runs the handlers in order and encodes the answers. Transport-independent; called by every
 * listener from one of its workers. */
#pragma once

#include "protocol/message.h"

struct node;

/** What a connection keeps between messages, so that an unchanged ticket is not opened again. Zeroed at first. */
struct peer {
    bool local;                   /* the node's own socket: LOCAL operations are allowed */
    uint8_t certificate_hash[32]; /* SHA-256 of the client's certificate; zero without TLS */
    uint64_t arrived_ns;          /* when the message at hand came in (dispatch_now_ns); 0: just now */
    struct bytes ticket;          /* the ticket that was checked last */
    struct caller_cache *cache;   /* what it said, and when to check again */
};

void peer_release(struct peer *peer);

/** Gives back what the workers used; when all of them have ended. */
void dispatch_release(void);

/** The clock of `arrived_ns`. */
uint64_t dispatch_now_ns(void);

/** Where the message is to be answered: at once, or in the pool that its costliest request belongs to. Cheap; COST_FAST
 * for malformed messages. */
enum operation_cost dispatch_cost(struct slice message);

/** Answers one message. Never fails: what cannot be answered in detail is answered with a header status. `reply` is
 * cleared first. `worker` is this thread's number, below WORKERS_MAX. */
void dispatch_message(struct node *node, unsigned worker, struct peer *peer, struct slice message, struct bytes *reply);

/** Refuses a message as a whole, unread, with this thread's failure detail. */
void dispatch_refuse(struct node *node, status_code status, struct bytes *reply);
