/* See presence.h. What is told is sealed like everything that the store holds. */
#include "identity/presence.h"

#include "node.h"

#define PURPOSE     "presence"
#define CONTEXT_LEN (sizeof(PURPOSE) + ID_LEN)

static struct slice context_of(const uint8_t node_id[ID_LEN], uint8_t context[CONTEXT_LEN])
{
    memcpy(context, PURPOSE, sizeof(PURPOSE));
    memcpy(context + sizeof(PURPOSE), node_id, ID_LEN);
    return slice_of(context, CONTEXT_LEN);
}

/* What this node has to say; borrows. */
static void put_own(struct node *node, struct values *values)
{
    values_init(values);
    values_put_bytes(values, FIELD_STATE_NAME, slice_text(node_state_name(atomic_load(&node->state))));
    values_put_bytes(values, FIELD_VALUE_TEXT, slice_text(HSMD_VERSION));
    values_put_uint(values, FIELD_TIME_MS, node->started_ms);
}

static status_code tell(struct node *node)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT, sealed = BYTES_INIT;
    const uint8_t *id = identity_node_id(node->identity);
    uint8_t context[CONTEXT_LEN];
    struct values values;

    put_own(node, &values);
    values_encode(&FIELD_SCHEMA, &values, &plaintext);
    TRY(bytes_ok(&plaintext));
    TRY(seal(node->keyring, SEAL_NEWEST, SEAL_RECORD, context_of(id, context), bytes_slice(&plaintext), &sealed));
    return node->store->operations->be_present(node->store, id, bytes_slice(&sealed));
}

void presence_tell(struct node *node)
{
    if (atomic_load(&node->state) == NODE_UNINITIALIZED || !node->store)
        return;
    if (tell(node) != STATUS_OK)
        log_event(LOG_LEVEL_WARNING, "presence not told", "detail", failure_detail(), NULL);
}

struct reading {
    struct node *node;
    struct presence *presence;
};

/* One that does not open is there all the same. */
static status_code take(void *context, const uint8_t node_id[ID_LEN], struct slice sealed)
{
    const struct reading *reading = context;
    struct presence *presence = reading->presence;
    uint8_t place[CONTEXT_LEN];

    bool is_own = memcmp(node_id, identity_node_id(reading->node->identity), ID_LEN) == 0;

    if (is_own || presence->n == sizeof(presence->nodes) / sizeof(*presence->nodes))
        return STATUS_OK;
    struct bytes *storage = &presence->nodes[presence->n].storage;
    struct values *values = &presence->nodes[presence->n].values;

    memcpy(presence->nodes[presence->n++].node_id, node_id, ID_LEN);
    *storage = (struct bytes)BYTES_INIT;
    values_init(values);
    if (unseal(reading->node->keyring, SEAL_RECORD, context_of(node_id, place), sealed, storage) != STATUS_OK ||
        values_decode_all(&FIELD_SCHEMA, bytes_slice(storage), values) != STATUS_OK)
        values_init(values);
    return STATUS_OK;
}

void presence_read(struct node *node, struct presence *presence)
{
    struct reading reading = {node, presence};

    /* Of itself this node knows without asking. */
    presence->n = 1;
    memcpy(presence->nodes[0].node_id, identity_node_id(node->identity), ID_LEN);
    presence->nodes[0].storage = (struct bytes)BYTES_INIT;
    put_own(node, &presence->nodes[0].values);
    presence->known = node->store->operations->each_present(node->store, take, &reading) == STATUS_OK;
}

void presence_release(struct presence *presence)
{
    for (unsigned i = 0; i < presence->n; i++)
        bytes_release(&presence->nodes[i].storage);
}

static const struct values *find(const struct presence *presence, struct slice node_id)
{
    for (unsigned i = 0; i < presence->n; i++)
        if (slice_equal(node_id, slice_of(presence->nodes[i].node_id, ID_LEN)))
            return &presence->nodes[i].values;
    return NULL;
}

void presence_put(const struct presence *presence, struct values *member)
{
    const struct values *values = find(presence, values_bytes(member, FIELD_NODE_ID));
    bool serves = slice_equal(values_bytes(member, FIELD_STATE_NAME), slice_text("serving"));

    if (!values) {
        if (serves)
            values_put_bytes(member, FIELD_STATE_NAME, slice_text(presence->known ? "away" : "unknown"));
        return;
    }
    if (values_has(values, FIELD_STATE_NAME))
        values_put_bytes(member, FIELD_STATE_NAME, values_bytes(values, FIELD_STATE_NAME));
    values_put_bytes(member, FIELD_VALUE_TEXT, values_bytes(values, FIELD_VALUE_TEXT));
    values_put_uint(member, FIELD_TIME_MS, values_uint(values, FIELD_TIME_MS, 0));
}
