/* What is shown of the nodes: of each what the cluster knows of it, and what it says itself. */
#pragma once

#include "command.h"

#define NODE_COLUMNS "name", "zone", "address", "state", "version", "revision", "behind_ms", "load_percent", "id"

/** A row a node. `each`, or NULL, adds to a row what it takes from the node's own description. */
typedef void (*node_row_extra)(json_t *row, const hsm_node_description *description, void *argument);
json_t *node_rows(struct context *context, const hsm_cluster_info *info, node_row_extra extra, void *argument);

/** A fact of a node's description as a number; 0 without it. */
double node_fact(const hsm_node_description *description, const char *name);
