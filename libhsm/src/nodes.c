/* Nodes: how they are, and which comes next.
 *
 * Health is a circuit per node: failures open it for a time that doubles; then one probe is let through, and an answer
 * closes it. A node that refuses connections or drops one is open at once; one that answered late once is not. */
#include "core_internal.h"

#define OPEN_FIRST_NS  50000000ull   /* 50 ms */
#define OPEN_MAX_NS    2000000000ull /* 2 s */
#define LATE_TOLERATED 2u            /* attempts in a row that may time out before the circuit opens */

bool node_is_healthy(const struct node_entry *node)
{
    return !atomic_load_explicit(&node->gone, memory_order_relaxed) &&
           atomic_load_explicit(&node->open_until_ns, memory_order_relaxed) == 0;
}

void node_succeeded(struct node_entry *node, uint64_t latency_us)
{
    uint64_t before = atomic_load_explicit(&node->latency_us, memory_order_relaxed);

    if (latency_us)
        atomic_store_explicit(&node->latency_us, before ? (7 * before + latency_us) / 8 : latency_us,
                              memory_order_relaxed);
    if (atomic_load_explicit(&node->failures, memory_order_relaxed) == 0)
        return;
    atomic_store(&node->failures, 0);
    atomic_store(&node->open_until_ns, 0);
    atomic_store(&node->probing, false);
}

void node_failed(struct node_entry *node, bool at_once)
{
    unsigned failures = atomic_fetch_add(&node->failures, 1) + 1;
    unsigned beyond = at_once ? failures - 1 : failures > LATE_TOLERATED ? failures - LATE_TOLERATED - 1 : 0;

    atomic_fetch_add(&node->n_failures, 1);
    atomic_store(&node->probing, false);
    if (!at_once && failures <= LATE_TOLERATED)
        return;
    uint64_t open_ns = beyond < 6 ? OPEN_FIRST_NS << beyond : OPEN_MAX_NS;

    atomic_store(&node->open_until_ns, platform_now_ns() + (open_ns < OPEN_MAX_NS ? open_ns : OPEN_MAX_NS));
}

bool node_has_alternative(struct core *core, const struct node_entry *node)
{
    unsigned n = atomic_load(&core->n_nodes);

    for (unsigned i = 0; i < n; i++) {
        if (core->nodes[i] != node && node_is_healthy(core->nodes[i]))
            return true;
    }
    return false;
}

/* How good a choice a node is for this attempt; the best wins, round-robin among equals. */
enum rank {
    RANK_NONE,
    RANK_OPEN,  /* circuit open: only when nothing else is left */
    RANK_TRIED, /* this operation failed there in this round */
    RANK_PROBE, /* circuit was open long enough: one operation tries it */
    RANK_AVOID, /* draining, or somebody is just connecting to it */
    RANK_GOOD,
    RANK_NEAR /* good, and in our zone where that is wanted */
};

static enum rank rank_of(struct core *core, struct node_entry *node, const struct op *op, uint64_t now)
{
    uint64_t open_until = atomic_load_explicit(&node->open_until_ns, memory_order_relaxed);

    if (atomic_load_explicit(&node->gone, memory_order_relaxed))
        return RANK_NONE;
    if (op->tried >> node->index & 1)
        return RANK_TRIED;
    if (open_until > now)
        return RANK_OPEN;
    if (open_until)
        return atomic_load_explicit(&node->probing, memory_order_relaxed) ? RANK_OPEN : RANK_PROBE;
    if (atomic_load_explicit(&node->draining, memory_order_relaxed) ||
        (atomic_load_explicit(&node->connecting, memory_order_relaxed) && !atomic_load(&node->connected)))
        return RANK_AVOID;
    if (core->config->balance == BALANCE_ZONE && atomic_load_explicit(&node->near, memory_order_relaxed))
        return RANK_NEAR;
    return RANK_GOOD;
}

/* A probe goes before good nodes, else a node would never come back while others serve; one operation at a time risks
 * it. */
static bool take_probe(struct node_entry *node)
{
    bool idle = false;

    return atomic_compare_exchange_strong(&node->probing, &idle, true);
}

static uint64_t burden(const struct node_entry *node)
{
    uint64_t load = 1;

    for (unsigned i = 0; i < node->n_channels; i++)
        load += atomic_load_explicit(&node->channels[i].load, memory_order_relaxed);
    return load * (atomic_load_explicit(&node->latency_us, memory_order_relaxed) + 1);
}

static struct node_entry *least_burdened(struct node_entry *const *nodes, unsigned n, unsigned turn)
{
    struct node_entry *least = nodes[turn % n];

    for (unsigned i = 0; i < n; i++) {
        if (burden(nodes[i]) < burden(least))
            least = nodes[i];
    }
    return least;
}

struct node_entry *node_choose(struct core *core, struct op *op)
{
    unsigned n = atomic_load_explicit(&core->n_nodes, memory_order_acquire), n_best = 0;
    unsigned turn = atomic_fetch_add_explicit(&core->turn, 1, memory_order_relaxed);
    struct node_entry *best[NODES_MAX];
    enum rank best_rank = RANK_NONE;
    uint64_t now = n > 1 ? platform_now_ns() : 1;

    if (op->only_node >= 0)
        return core->nodes[op->only_node];
    if (n == 1)
        return core->nodes[0];
    for (unsigned i = 0; i < n; i++) {
        enum rank rank = rank_of(core, core->nodes[i], op, now);

        if (rank == RANK_PROBE && take_probe(core->nodes[i]))
            return core->nodes[i];
        if (rank > best_rank)
            n_best = 0;
        best_rank = rank > best_rank ? rank : best_rank;
        if (rank == best_rank && rank != RANK_NONE)
            best[n_best++] = core->nodes[i];
    }
    if (n_best == 0)
        return NULL;
    return core->config->balance == BALANCE_LEAST_OUTSTANDING ? least_burdened(best, n_best, turn)
                                                              : best[turn % n_best];
}

struct channel *node_channel(struct node_entry *node)
{
    struct channel *best = &node->channels[0];
    unsigned least = atomic_load_explicit(&best->load, memory_order_relaxed);

    for (unsigned i = 1; i < node->n_channels && least > 0; i++) {
        unsigned load = atomic_load_explicit(&node->channels[i].load, memory_order_relaxed);

        if (load < least) {
            best = &node->channels[i];
            least = load;
        }
    }
    return best;
}
