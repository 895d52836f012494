/* A node in this process that speaks SP over tcp and does to its client whatever a test wants. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum behaviour {
    BEHAVE,       /* answers every request with OK, echoing DATA */
    HANG,         /* reads and never answers, after the handshake and HELLO */
    DROP,         /* closes the connection at each request */
    ANSWER_JUNK,  /* answers with bytes that are no message */
    ANSWER_SHORT, /* answers fewer requests than it was asked */
    ANSWER_BUSY,  /* refuses each request with BUSY */
    TRICKLE,      /* answers a byte at a time */
    RENEW,        /* renews the ticket in the answer's header */
    FOREIGN,      /* says that it belongs to another cluster */
    ANSWER_HUGE,  /* answers with a frame whose header claims more than any message may have */
    DRAIN,        /* as BEHAVE, and says that it is about to stop */
    EXPIRE_OLD,   /* refuses the ticket "old", which has expired */
};

struct fake_node {
    char url[64];
    _Atomic enum behaviour behaviour;
    atomic_uint n_requests, n_messages, n_connections;
    atomic_uint n_strays; /* requests that travelled under another ticket, of one letter, than their DATA begins with */
    const struct fake_node *member; /* another node that CLUSTER_DESCRIBE tells of; NULL: nobody */
    int listener;
    unsigned long thread;
    atomic_bool stopping;
};

void fake_node_start(struct fake_node *node, enum behaviour behaviour);
/** Closes listener and connections: as a killed process would. */
void fake_node_stop(struct fake_node *node);
