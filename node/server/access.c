/* See access.h. */
#include "server/access.h"

#include <stdlib.h>
#include "node.h"

#define RECHECK_NS     100000000ull  /* a ticket seen again is checked anew after this */
#define DRAIN_GRACE_NS 2000000000ull /* how long a draining node goes on taking work */

struct caller_cache {
    struct caller caller;
    uint64_t revision;
    uint64_t checked_ns;
};

void peer_release(struct peer *peer)
{
    bytes_release(&peer->ticket);
    free(peer->cache);
    peer->cache = NULL;
}

/* --- who calls --- */

static status_code check_ticket(struct node *node, struct peer *peer, struct slice ticket, uint64_t now_ns,
                                struct bytes *renewed)
{
    uint64_t revision = atomic_load_explicit(&node->revision, memory_order_acquire);

    if (!peer->cache)
        peer->cache = calloc(1, sizeof(*peer->cache));
    CHECK(peer->cache, STATUS_OUT_OF_MEMORY, "no memory for a caller");
    if (peer->ticket.len && peer->cache->revision == revision && now_ns - peer->cache->checked_ns < RECHECK_NS &&
        slice_equal(bytes_slice(&peer->ticket), ticket))
        return STATUS_OK;
    peer->ticket.secret = true;
    bytes_clear(&peer->ticket);
    TRY(users_check_ticket(node->users, ticket, &peer->cache->caller, renewed));
    peer->cache->revision = revision;
    peer->cache->checked_ns = now_ns;
    return bytes_assign(&peer->ticket, ticket);
}

static status_code identify(struct node *node, struct peer *peer, struct slice ticket, uint64_t now_ns,
                            struct caller *caller, struct bytes *renewed)
{
    CHECK(atomic_load_explicit(&node->state, memory_order_acquire) != NODE_UNINITIALIZED, STATUS_CLUSTER_STATE,
          "this node belongs to no cluster yet");
    TRY(check_ticket(node, peer, ticket, now_ns, renewed));
    *caller = peer->cache->caller;
    caller->local = peer->local;
    return STATUS_OK;
}

void access_identify(struct node *node, struct peer *peer, const struct values *header, uint64_t now_ns,
                     struct caller *caller, struct bytes *renewed, struct login *login)
{
    static const char none[] = "log in first";
    struct slice ticket = values_bytes(header, FIELD_TICKET);

    *caller = (struct caller){.role = ROLE_NONE, .local = peer->local};
    if (!ticket.len) {
        login->status = STATUS_NOT_LOGGED_IN;
        memcpy(login->detail, none, sizeof(none));
        return;
    }
    login->status = identify(node, peer, ticket, now_ns, caller, renewed);
    if (login->status != STATUS_OK)
        memcpy(login->detail, failure_detail(), sizeof(login->detail));
}

/* --- what is allowed --- */

static status_code check_role(const struct caller *caller, const struct operation_info *info)
{
    static const struct {
        const char *who;
        unsigned roles; /* a bit a role */
    } needed[] = {
        [ACCESS_LOGGED_IN] = {"a login", 1u << ROLE_ADMIN | 1u << ROLE_USER | 1u << ROLE_AUDITOR},
        [ACCESS_ADMIN] = {"an administrator", 1u << ROLE_ADMIN},
        [ACCESS_USER] = {"a crypto-user", 1u << ROLE_USER},
        [ACCESS_AUDITOR] = {"an auditor or administrator", 1u << ROLE_AUDITOR | 1u << ROLE_ADMIN},
    };

    CHECK(needed[info->access].roles >> caller->role & 1, STATUS_NOT_PERMITTED, "%s needs %s; %s is %s", info->name,
          needed[info->access].who, caller->user_name, role_name(caller->role));
    return STATUS_OK;
}

static bool works_without_cluster(enum operation operation, const struct operation_info *info)
{
    return info->access == ACCESS_LOCAL || operation == OP_HELLO || operation == OP_PING ||
           operation == OP_NODE_DESCRIBE;
}

/* A draining node finishes messages under way and takes new ones for a moment, while its answers tell the clients to go
 * elsewhere; then it sends them away. */
static status_code check_draining(uint64_t start_ns, bool draining, bool local)
{
    static _Atomic uint64_t since_ns; /* 0: not draining */
    uint64_t since = atomic_load_explicit(&since_ns, memory_order_relaxed);

    if (!draining) {
        if (since)
            atomic_store(&since_ns, 0);
        return STATUS_OK;
    }
    if (local || (!since && atomic_compare_exchange_strong(&since_ns, &since, start_ns)))
        return STATUS_OK;
    CHECK(start_ns <= since || start_ns - since < DRAIN_GRACE_NS, STATUS_BUSY,
          "this node is draining: use another node of the cluster");
    return STATUS_OK;
}

static status_code check_state(struct node *node, enum operation operation, const struct operation_info *info,
                               bool local, uint64_t start_ns)
{
    enum node_state state = atomic_load_explicit(&node->state, memory_order_acquire);

    CHECK(state != NODE_UNINITIALIZED || works_without_cluster(operation, info), STATUS_CLUSTER_STATE,
          "%s: this node belongs to no cluster yet", info->name);
    CHECK(state != NODE_FAILED || (info->access != ACCESS_USER && operation != OP_RANDOM), STATUS_SELF_TEST_FAILED,
          "a self-test failed on this node: it does no cryptography; see its log");
    return check_draining(start_ns, state == NODE_DRAINING, local);
}

status_code access_check(const struct call *call, const struct operation_info *info, const struct login *login,
                         uint64_t start_ns)
{
    struct node *node = call->node;

    TRY(check_state(node, call->operation, info, call->caller.local, start_ns));
    if (info->access == ACCESS_ANYONE)
        return STATUS_OK;
    if (info->access == ACCESS_LOCAL) {
        CHECK(call->caller.local, STATUS_NOT_PERMITTED, "%s is for the node's own socket on its machine", info->name);
        return STATUS_OK;
    }
    CHECK(atomic_load_explicit(&node->cluster_active, memory_order_acquire), STATUS_CLUSTER_STATE,
          "the cluster is not activated: its first administrator sets a password");
    CHECK(!atomic_load_explicit(&node->stale, memory_order_relaxed), STATUS_STORE_UNAVAILABLE,
          "this node has been out of touch with etcd for longer than staleness-limit-s: use another node");
    CHECK(login->status == STATUS_OK, login->status, "%s", login->detail);
    return check_role(&call->caller, info);
}
