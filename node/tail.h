/* Following the store: what other nodes changed is dropped from this node's caches.
 *
 * Invariant: node->revision is a revision up to which every change was passed to the caches' forget functions before
 * node->revision said so. It may lag behind the store, by at most tail-interval-ms while nothing asks for more; it
 * never runs ahead. What the caches owe in return: a record that was read from the store before a forget of its id must
 * not be put into the cache after it. */
#pragma once

#include "protocol/failure.h"

struct node;
struct tail;

/** Starts following from node->revision on, which was read before the caches were opened. */
status_code tail_start(struct node *node, struct tail **tail);

/** Stops the thread; harmless on NULL. */
void tail_stop(struct tail *tail);

/** Passes on all changes up to the newest, in the caller's thread. */
status_code tail_catch_up(struct tail *tail);
