/* The serving side of a node: its worker threads, its slow pool and its listeners.
 *
 * The node's own socket (STATE-FOLDER/node.sock) is always open; the listeners of the configuration open when the node
 * is a member of a cluster. */
#pragma once

#include "server/listener.h"

struct server;

/** Starts workers and the own socket, and the member listeners if the node is a member. */
status_code server_start(struct node *node, struct server **server);

/** Opens the listeners of the configuration; harmless when they are open. Called when the node becomes a member. */
status_code server_open_member_listeners(struct server *server);

/** Accepts no more connections; what is connected is still answered, and told to go elsewhere. */
void server_drain(struct server *server);

/** Whether nothing is being answered. */
bool server_idle(struct server *server);

/** Closes everything. */
void server_stop(struct server *server);

/** Hands a message to the slow pool; `done` is called on a pool thread with the reply. Copies the message. */
typedef void (*slow_done)(void *context, struct bytes *reply);
status_code server_run_slow(struct server *server, bool local, struct slice message, slow_done done, void *context);

/** The worker number for an NNG context, or WORKERS_MAX when there are no more. */
unsigned server_take_worker(struct server *server);

struct reactors;
struct reactors *server_reactors(struct server *server);
