/* Members of the cluster: one STORE_NODE record a node, a sealed value set of NODE_ID, NAME, ADDRESS, ZONE, STATE_NAME,
 * HASH_VALUE (SHA-256 of the node's certificate), CERTIFICATE, VERSION (newest protocol version that it speaks) and
 * KEY_GENERATION (newest masking key that it has).
 *
 * A node is "approved" once an administrator admitted its certificate, "serving" from its first start on, and
 * "removed" for ever: the record of a removed node stays, so that its certificate goes on being refused. At most
 * CLUSTER_NODES_MAX nodes are not removed; a record that every addition rewrites makes that exact. All functions need
 * node->store and node->keyring, and may be called from any thread. */
#pragma once

#include "protocol/message.h"

struct node;
struct resealed;
struct store_record;
struct store_write;

/** NODE_APPROVE: records the node that identity_approve named, before its handover is given out. Harmless when
 * repeated. STATUS_QUOTA_EXCEEDED for the 29th; STATUS_CLUSTER_STATE for a node that was removed. */
status_code members_approve(struct node *node, const uint8_t node_id[ID_LEN], struct slice certificate_pem);

/** Records this node as serving, with the address that clients are to use, if anything of that is new. */
status_code members_put_own(struct node *node);

/** Writes a member as given (all fields), in place of what there is of it; compare-and-swap with retry. */
status_code members_put(struct node *node, const struct values *member);

/** NODE_REMOVE. STATUS_OBJECT_NOT_FOUND when there is no such member; harmless when repeated. */
status_code members_remove(struct node *node, const uint8_t node_id[ID_LEN]);

/** The newest protocol version that all members speak, and this node. What a newer node writes or hands out that an
 * older one does not understand waits until this tells that there are none. */
status_code members_version(struct node *node, uint64_t *version);

typedef status_code (*member_visitor)(void *context, const struct values *member);

/** All members that are not removed. */
status_code members_each(struct node *node, member_visitor visit, void *context);

/** The write that makes every addition of a member that is under way look again, so that what was seen of all members
 * holds. It refers to `sealed`. */
status_code members_fence(struct node *node, struct bytes *sealed, struct store_write *write);

/** Removes all members: those of the cluster that this one was restored from. */
status_code members_retire_all(struct node *node);

/** CLUSTER_DESCRIBE: the members that are not removed, with what is known of their presence, as a SETS value for
 * RECORDS; *n_members may be NULL. */
status_code members_list(struct node *node, struct bytes *records, uint64_t *n_members);

/** For listeners: whether this is the certificate (SHA-256 of its DER) of a removed node. */
status_code members_is_removed(struct node *node, const uint8_t certificate_hash[32], bool *removed);

/** Whether this very node was removed; false when it has no record yet. */
status_code members_own_removed(struct node *node, bool *removed);

/** A resealer (seal/record.h), of members and the roster. */
status_code member_reseal(struct node *node, const struct store_record *record, struct resealed *memory,
                          struct store_write *write);
