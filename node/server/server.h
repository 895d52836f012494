/* The serving side of a node: its worker threads, its slow pool and its listeners.
 *
 * The node's own socket (STATE-FOLDER/node.sock) is always open; the listeners of the configuration open when the node
 * is a member of a cluster. What they bound stands in node->bound_urls. Renewed certificates need no call here: every
 * handshake asks the identity. */
#pragma once

#include "protocol/message.h"
#include "server/listener.h"
#include "server/slow_pool.h"

struct server;
struct reactors;

/** Starts workers and the own socket, and the member listeners if the node is a member. */
status_code server_start(struct node *node, struct server **server);

/** Opens the listeners of the configuration that are not open yet. Called when the node becomes a member. */
status_code server_open_member_listeners(struct server *server);

/** Accepts no more connections; what is connected is still answered, and told to go elsewhere. */
void server_drain(struct server *server);

/** Whether nothing is being answered and no answer waits to be sent. */
bool server_idle(struct server *server);

/** Refuses what waits, and closes everything. */
void server_stop(struct server *server);

/* For listeners. */

/** A number for one more thread that answers messages; WORKERS_MAX when there are no more. */
unsigned server_take_worker(struct server *server);

struct reactors *server_reactors(struct server *server);
/** The pool for a message of this cost; for COST_FAST, when no thread was free for it, the slow one. */
struct slow_pool *server_pool(struct server *server, enum operation_cost cost);
