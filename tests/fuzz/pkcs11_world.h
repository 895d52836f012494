/* The cluster that the calls meet: a real node, and a few token objects in it that nothing can change, so that no
 * sequence of calls depends on those before it. */
#pragma once

#include "pkcs11_model.h"

struct lasting {
    const char *label;
    enum kind kind;
    bool wants_user;
};

#define N_LASTING 9
extern const struct lasting LASTING[N_LASTING];

/** The place of a label in that table; -1. */
int world_lasting(const char *label);

/** Starts the node, makes the objects, loads the module; and the opposite. Once in a process. */
void world_start(void);
void world_stop(void);

/** Destroys all other token objects. */
void world_clean(void);

/** Failed logins are counted: a successful one forgets them. */
void world_forgive(void);
