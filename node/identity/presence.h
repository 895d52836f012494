/* Which members are there at the moment, and in which state, as the store's engine tells it (store.h). For people and
 * for monitoring: clients find out by themselves which nodes answer. */
#pragma once

#include "protocol/limits.h"
#include "protocol/values.h"

struct node;

/** Tells the others this node's state. Best effort: a failure is logged. */
void presence_tell(struct node *node);

/** Who is there: by node id, STATE_NAME, VALUE_TEXT (version of the program) and TIME_MS (since when). */
struct presence {
    bool known; /* false: the engine cannot say */
    unsigned n;
    struct {
        uint8_t node_id[ID_LEN];
        struct values values;
        struct bytes storage; /* that the values borrow from */
    } nodes[64];
};

void presence_read(struct node *node, struct presence *presence);
void presence_release(struct presence *presence);

/** Adds to a member's values what is known of its presence; STATE_NAME becomes "away" or "unknown" where that holds. */
void presence_put(const struct presence *presence, struct values *member);
