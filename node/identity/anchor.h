/* Trust anchors: CAs, besides the cluster's own, that clients' certificates may come from. They are records of the
 * store, so that all nodes have the same; each node follows their changes. Nodes themselves have certificates of the
 * cluster's own CA only. */
#pragma once

#include "protocol/message.h"

struct node;

#define ANCHORS_MAX 16u

/** STATUS_TLS_ERROR when it is no CA's certificate, or not valid now; STATUS_QUOTA_EXCEEDED; harmless when repeated.
 * `hash` gets its SHA-256. */
status_code anchors_add(struct node *node, struct slice certificate_pem, uint8_t hash[32]);

/** Connections that are open stay; new ones are refused. STATUS_OBJECT_NOT_FOUND. */
status_code anchors_remove(struct node *node, struct slice hash);

/** A SETS value: HASH_VALUE, NAME (of its subject), TIME_MS (end of its validity). */
status_code anchors_list(struct node *node, struct bytes *records);

/** Takes what the store has now into this node's TLS. */
status_code anchors_follow(struct node *node);
