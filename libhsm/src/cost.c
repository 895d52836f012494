/* What an operation costs a node, so that requests are combined by work and not by number: learned from the times that
 * nodes report, per key and operation, in a small table whose entries give way to one another. */
#include "core_internal.h"
#include "protocol/catalog.h"

#define KEY_BITS  40
#define COST_BITS 24
#define COST_MASK ((1ull << COST_BITS) - 1)

/* Before anything is learned. */
static uint32_t guess(enum operation operation, uint64_t mechanism)
{
    bool private_use = operation == OP_SIGN || operation == OP_DECRYPT || operation == OP_UNWRAP;

    const struct mechanism_info *info = mechanism_info(mechanism);

    if (!info)
        return 3;
    switch (info->key_type) {
    case KEY_RSA:
        return private_use ? MESSAGE_COST_US : 40;
    case KEY_EC:
    case KEY_EC_EDWARDS:
    case KEY_EC_MONTGOMERY:
        return 100;
    case KEY_ML_DSA:
    case KEY_ML_KEM:
        return 200;
    default:
        return 3;
    }
}

uint64_t cost_key_of(enum operation operation, const uint8_t *key_id)
{
    uint64_t key = 0;

    for (unsigned i = 0; i < 8; i++)
        key = key << 8 | key_id[i];
    key ^= (uint64_t)operation << 33;
    return key ? key : 1;
}

static _Atomic uint64_t *slot_of(struct core *core, uint64_t key)
{
    return &core->costs[key % COSTS];
}

uint32_t cost_estimate(struct core *core, const struct op *op, const struct values *fields)
{
    uint64_t entry = op->cost_key ? atomic_load_explicit(slot_of(core, op->cost_key), memory_order_relaxed) : 0;

    if (op->cost_key && entry >> COST_BITS == op->cost_key >> (64 - KEY_BITS) && (entry & COST_MASK))
        return (uint32_t)((entry & COST_MASK) / 16) + 1;
    return guess(op->operation, values_uint(fields, FIELD_MECHANISM, 0));
}

void cost_learn(struct core *core, uint64_t key, uint64_t microseconds)
{
    _Atomic uint64_t *slot = slot_of(core, key);
    uint64_t entry = atomic_load_explicit(slot, memory_order_relaxed);
    uint64_t sample = microseconds * 16 < COST_MASK ? microseconds * 16 : COST_MASK;
    bool known = entry >> COST_BITS == key >> (64 - KEY_BITS) && (entry & COST_MASK);
    uint64_t cost = known ? ((entry & COST_MASK) * 7 + sample) / 8 : sample;

    atomic_store_explicit(slot, (key >> (64 - KEY_BITS)) << COST_BITS | (cost ? cost : 1), memory_order_relaxed);
}
