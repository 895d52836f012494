/* The client core: connections to nodes, combining, balancing, failover. The public functions build requests and read
 * answers; everything between is behind this header.
 *
 * No threads of its own: whoever waits for an answer reads for all. Every function may be called from any thread, and
 * in a child of fork, where connections are opened anew. */
#pragma once

#include "protocol/message.h"

struct hsm_config;
struct core;
struct core_queue;
struct login;

/* --- logins: a ticket shared by the requests of a session, replaced when an answer renews it --- */

struct login *login_new(void);
struct login *login_reference(struct login *login);
void login_release(struct login *login);                         /* harmless on NULL */
status_code login_set(struct login *login, struct slice ticket); /* an empty ticket logs out */
bool login_has_ticket(struct login *login);

/** Generation of the masking key that the ticket is sealed under; 0 without one. */
uint32_t login_key_generation(struct login *login);

/** Appends the ticket; nothing when there is none. */
status_code login_copy(struct login *login, struct bytes *ticket);

/* --- cores --- */

/** `endpoint`: talk to this URL alone and learn of no other node; NULL: the configuration's nodes. Reaches no network.
 */
status_code core_open(const struct hsm_config *config, const char *endpoint, struct core **core);
void core_close(struct core *core);

uint64_t core_revision(struct core *core);
void core_observe(struct core *core, uint64_t revision);

#define CORE_NODE_NAME_MAX 256u

/** For a request of a queue whose ticket has expired: logs in again, unless that was done since `generation`; the
 * request is then sent once more. STATUS_TICKET_EXPIRED when it cannot be done. `log_in` NULL: nobody can. */
struct core_relogin {
    status_code (*log_in)(void *owner, uint32_t generation);
    void *owner; /* outlives the request */
    uint32_t generation;
};

/** One request and its result. Inputs are borrowed until core_call returns, or core_submit, which copies them. */
struct core_request {
    enum operation operation;
    const struct values *fields;
    struct login *login;   /* NULL: none */
    const uint8_t *key_id; /* the key used, for the learned cost of its operations; NULL: none */
    const char *node;      /* name or address of the one node that must answer; NULL: any */
    uint32_t timeout_ms;   /* 0: the configuration's */
    struct core_relogin again;

    /* Result. */
    status_code status;
    char detail[FAILURE_DETAIL_MAX];
    char node_name[CORE_NODE_NAME_MAX]; /* that answered, or failed last; "" when none was reached */
    struct bytes reply;                 /* secret; must be BYTES_SECRET before */
    struct values answer;               /* borrows from reply; valid with STATUS_OK */
};

/** Sends and waits, trying other nodes until the deadline. Returns request->status. */
status_code core_call(struct core *core, struct core_request *request);

/* --- asynchronous --- */

/** Opens a queue of completions. */
status_code core_queue_open(struct core *core, struct core_queue **queue);
/** Drops what is not completed. */
void core_queue_close(struct core_queue *queue);
/** Pollable, or -1 where there is no such thing. */
int core_queue_fd(struct core_queue *queue);
size_t core_queue_outstanding(struct core_queue *queue);

/** Takes a copy of the request; it leaves with the next flush or wait, so that it travels together with others. */
status_code core_submit(struct core_queue *queue, const struct core_request *request, void *user_data);
status_code core_queue_flush(struct core_queue *queue);

/** The next completion: user_data and a result, which the caller owns (core_result_free). timeout_ms -1: until one
 * comes. STATUS_PENDING; STATUS_OPERATION_NOT_ACTIVE when nothing is outstanding. */
struct core_result {
    void *user_data;
    enum operation operation;
    status_code status;
    char detail[FAILURE_DETAIL_MAX];
    char node_name[CORE_NODE_NAME_MAX];
    struct bytes reply;
    struct values answer;
};
status_code core_queue_next(struct core_queue *queue, int32_t timeout_ms, struct core_result **result);
void core_result_free(struct core_result *result);

/* --- what it knows --- */

struct core_node_statistics {
    char name[CORE_NODE_NAME_MAX]; /* or address */
    char address[256];
    char zone[65];
    bool healthy;
    uint64_t n_requests, n_failures, n_messages, n_outstanding, latency_us, node_time_us;
};

struct core_statistics {
    uint64_t n_requests, n_retries, n_failures;
    unsigned n_nodes;
    struct core_node_statistics nodes[64];
};

void core_statistics(struct core *core, struct core_statistics *statistics);
