/* A core over fake nodes. */
#pragma once

#include "cluster_core.h"
#include "config.h"
#include "libhsm_core_fake_node.h"

#define NODES 3

struct fixture {
    struct fake_node nodes[NODES];
    unsigned n;
    struct core *core;
};

/** Starts n nodes that behave so, and a core that is configured with all of them. */
void fixture_start(struct fixture *fixture, unsigned n, const enum behaviour *behaviours, const char *timeout_ms);
/** The same over nodes that run, with one more setting. */
void fixture_open_core(struct fixture *fixture, const char *timeout_ms, const char *setting, const char *value);
void fixture_stop(struct fixture *fixture);

/** Sends a number, and asserts that it comes back when the call succeeds. */
status_code ping(struct core *core, uint32_t number);
