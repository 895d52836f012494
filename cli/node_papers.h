/* What a node becomes a member with: its certificate and that of the CA. */
#pragma once

#include "command.h"

/** Opens the node that --endpoint names, and which must be given. */
int need_endpoint(struct context *context);

struct node_papers {
    char *certificate, *ca; /* PEM */
};
void node_papers_release(struct node_papers *papers);

/** Has the CA in `directory` sign the request of the node at --endpoint; without one, reads --certificate and --ca. */
int node_papers_get(struct context *context, const char *directory, struct node_papers *papers);
