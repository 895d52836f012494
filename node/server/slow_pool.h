/* A slow pool: a few threads for messages whose operations take long, so that nothing queues behind them. There are
 * two: for what computes (key pairs, passwords), and for what waits for the store. What waits is bounded in number and
 * in bytes; beyond that clients are told to try elsewhere. */
#pragma once

#include "protocol/bytes.h"

struct node;
struct server;
struct slow_pool;

/** Called once for each message taken, on a thread of the pool. May keep `reply` by leaving an empty one behind. */
typedef void (*slow_done)(void *context, struct bytes *reply);

status_code slow_pool_start(struct node *node, struct server *server, unsigned n_threads, struct slow_pool **pool);

/** Copies the message and has it answered. STATUS_BUSY when too much waits already; `done` is not called then. */
status_code slow_pool_run(struct slow_pool *pool, bool local, struct slice message, slow_done done, void *context);

/** Whether nothing waits or is being answered. */
bool slow_pool_idle(struct slow_pool *pool);

/** Refuses what waits, finishes what is being answered, and ends the threads. Later messages are refused. */
void slow_pool_stop(struct slow_pool *pool);

/** After the last slow_pool_run; harmless on NULL. */
void slow_pool_free(struct slow_pool *pool);
