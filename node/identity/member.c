/* Members of the cluster in the store (member.h).
 *
 * Besides one record a node there is the roster: a STORE_NODE record with a zero id and nothing in it, rewritten with
 * every member that is added or removed. Two nodes that add a member at the same time cannot both succeed on the same
 * roster version, so the count that each looked at holds; nor can one add or remove a member while another makes out
 * who they are. */
#include "identity/member.h"

#include <stdlib.h>
#include "identity/certificate.h"
#include "identity/presence.h"
#include "node.h"
#include "protocol/writer.h"
#include "seal/index.h"
#include "seal/record.h"

#define ATTEMPTS_MAX    8
#define RECORD_MAX      16384u
#define TERM_REMOVED    301u /* finds removed nodes by certificate hash */
#define RECORDS_AT_ONCE 64u

static const uint8_t ROSTER[ID_LEN];

static const char APPROVED[] = "approved", SERVING[] = "serving", REMOVED[] = "removed";

/** A member as stored, opened; `values` borrows from `storage`. */
struct member {
    uint64_t version; /* 0: there is none */
    struct values values;
    struct bytes storage;
};

static void member_release(struct member *member)
{
    bytes_release(&member->storage);
}

static bool has_state(const struct values *values, const char *state)
{
    return slice_equal(values_bytes(values, FIELD_STATE_NAME), slice_text(state));
}

static status_code decode(const uint8_t id[ID_LEN], status_code opened, struct member *member)
{
    char digits[2 * ID_LEN + 1];
    values_init(&member->values);
    TRY(opened == STATUS_STORE_DAMAGED ? STATUS_OK : opened);
    if (opened == STATUS_OK)
        opened = values_decode_all(&FIELD_SCHEMA, bytes_slice(&member->storage), &member->values);
    hex_encode(slice_of(id, ID_LEN), digits);
    CHECK(opened == STATUS_OK, STATUS_STORE_DAMAGED, "the store's record of node %s is damaged", digits);
    return STATUS_OK;
}

static status_code open_member(struct node *node, const struct store_record *record, struct member *member)
{
    bytes_clear(&member->storage);
    member->version = record->version;
    return decode(record->id, record_open(node, record, &member->storage), member);
}

/** version 0 when there is no such record. */
static status_code read_member(struct node *node, const uint8_t id[ID_LEN], struct member *member)
{
    member->version = 0;
    values_init(&member->values);
    bytes_clear(&member->storage);
    status_code code = record_read(node, STORE_NODE, id, &member->storage, &member->version);
    return code == STATUS_OBJECT_NOT_FOUND ? STATUS_OK : decode(id, code, member);
}

/* Listing. */

struct walk {
    struct node *node;
    member_visitor visit;
    void *context;
    uint64_t n_seen; /* records of this page */
    uint8_t last[ID_LEN];
};

static status_code visit_record(void *context, const struct store_record *record)
{
    struct walk *walk = context;
    CLEANUP(member_release) struct member member = {.storage = BYTES_INIT};
    memcpy(walk->last, record->id, ID_LEN);
    walk->n_seen++;
    TRY(open_member(walk->node, record, &member));
    return has_state(&member.values, REMOVED) ? STATUS_OK : walk->visit(walk->context, &member.values);
}

/** Those removed are as many as there ever were, so they are walked in pages. */
status_code members_each(struct node *node, member_visitor visit, void *context)
{
    struct walk walk = {.node = node, .visit = visit, .context = context};
    memcpy(walk.last, ROSTER, ID_LEN); /* the roster itself has the smallest id */
    do {
        walk.n_seen = 0;
        TRY(node->store->operations->range(node->store, STORE_NODE, walk.last, NULL, RECORDS_AT_ONCE, visit_record,
                                           &walk));
    } while (walk.n_seen == RECORDS_AT_ONCE);
    return STATUS_OK;
}

static status_code count_member(void *context, const struct values *member)
{
    (void)member;
    ++*(uint64_t *)context;
    return STATUS_OK;
}

struct listing {
    struct bytes encoded; /* the value sets, without the array's head */
    uint64_t n;
    struct presence presence;
};

static void listing_free(struct listing **listing)
{
    if (!*listing)
        return;
    bytes_release(&(*listing)->encoded);
    presence_release(&(*listing)->presence);
    free(*listing);
}

static status_code list_member(void *context, const struct values *member)
{
    struct listing *listing = context;
    struct values told = *member;
    values_remove(&told, FIELD_CERTIFICATE);
    presence_put(&listing->presence, &told);
    values_encode(&FIELD_SCHEMA, &told, &listing->encoded);
    listing->n++;
    return bytes_ok(&listing->encoded);
}

status_code members_list(struct node *node, struct bytes *records, uint64_t *n_members)
{
    CLEANUP(listing_free) struct listing *listing = calloc(1, sizeof *listing);
    CHECK(listing, STATUS_OUT_OF_MEMORY, "no memory for a list of members");
    presence_read(node, &listing->presence);
    TRY(members_each(node, list_member, listing));
    write_array(records, (uint32_t)listing->n);
    write_encoded(records, bytes_slice(&listing->encoded));
    TRY(bytes_ok(records));
    if (n_members)
        *n_members = listing->n;
    return STATUS_OK;
}

static status_code take_lowest(void *context, const struct values *member)
{
    uint64_t version = values_uint(member, FIELD_VERSION, PROTOCOL_VERSION_MIN), *lowest = context;
    /* One that was approved and has not come up yet says nothing: it is not asked by clients either. */
    if (has_state(member, SERVING) && version < *lowest)
        *lowest = version;
    return STATUS_OK;
}

status_code members_version(struct node *node, uint64_t *version)
{
    *version = PROTOCOL_VERSION;
    return members_each(node, take_lowest, version);
}

/* Writing. */

static status_code seal_member(struct node *node, const uint8_t id[ID_LEN], uint64_t version,
                               const struct values *values, struct bytes *sealed, struct store_write *write)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    plaintext.limit = RECORD_MAX;
    values_encode(&FIELD_SCHEMA, values, &plaintext);
    TRY(bytes_ok(&plaintext));
    return record_prepare(node, STORE_NODE, id, version, bytes_slice(&plaintext), sealed, write);
}

status_code members_fence(struct node *node, struct bytes *sealed, struct store_write *write)
{
    CLEANUP(member_release) struct member roster = {.storage = BYTES_INIT};
    struct values nothing;

    TRY(read_member(node, ROSTER, &roster));
    values_init(&nothing);
    return seal_member(node, ROSTER, roster.version, &nothing, sealed, write);
}

static status_code check_room(struct node *node)
{
    uint64_t n = 0;
    TRY(members_each(node, count_member, &n));
    CHECK(n < CLUSTER_NODES_MAX, STATUS_QUOTA_EXCEEDED,
          "the cluster has %u nodes, which is the most that it can have: remove one first", CLUSTER_NODES_MAX);
    return STATUS_OK;
}

/** Removed nodes are found by their certificate. */
static status_code put_tokens(struct node *node, const struct values *values, struct resealed *memory,
                              struct store_write *write)
{
    const struct index_term term = {TERM_REMOVED, values_bytes(values, FIELD_HASH_VALUE)};
    return has_state(values, REMOVED) ? index_put_tokens(node, &term, 1, &memory->tokens, write) : STATUS_OK;
}

static status_code prepare_member(struct node *node, const struct values *values, uint64_t version,
                                  struct resealed *memory, struct store_write *write)
{
    TRY(seal_member(node, values_bytes(values, FIELD_NODE_ID).data, version, values, &memory->value, write));
    return put_tokens(node, values, memory, write);
}

static status_code write_member(struct node *node, const struct values *values, uint64_t version)
{
    CLEANUP(resealed_release) struct resealed memory = RESEALED_INIT;
    CLEANUP(bytes_release) struct bytes roster = BYTES_INIT;
    struct store_write writes[2];
    size_t n = 1;
    uint64_t revision = 0;

    TRY(prepare_member(node, values, version, &memory, &writes[0]));
    if (version == 0 || has_state(values, REMOVED))
        TRY(members_fence(node, &roster, &writes[n++]));
    if (version == 0)
        TRY(check_room(node)); /* the roster was read before: who is added meanwhile makes this write fail */
    TRY(node->store->operations->write(node->store, writes, n, &revision));
    node_wrote(node, revision);
    return STATUS_OK;
}

status_code member_reseal(struct node *node, const struct store_record *record, struct resealed *memory,
                          struct store_write *write)
{
    CLEANUP(member_release) struct member member = {.storage = BYTES_INIT};
    if (memcmp(record->id, ROSTER, ID_LEN) == 0)
        return record_reseal(node, record, memory, write);
    TRY(open_member(node, record, &member));
    TRY(record_reseal(node, record, memory, write));
    return put_tokens(node, &member.values, memory, write);
}

static bool is_conflict(status_code code)
{
    return code == STATUS_CONFLICT || code == STATUS_ALREADY_EXISTS;
}

static bool is_same(const struct values *a, const struct values *b)
{
    static const enum field FIELDS[] = {FIELD_NODE_ID,     FIELD_NAME,       FIELD_ADDRESS,
                                        FIELD_ZONE,        FIELD_STATE_NAME, FIELD_HASH_VALUE,
                                        FIELD_CERTIFICATE, FIELD_VERSION,    FIELD_KEY_GENERATION};
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++)
        if (!values_equal_at(&FIELD_SCHEMA, a, b, FIELDS[i]))
            return false;
    return true;
}

/** Of two threads of a node that tell of it, the one that knows more may come first. */
static void keep_newest_generation(const struct values *before, struct values *now)
{
    uint64_t generation = values_uint(before, FIELD_KEY_GENERATION, 0);
    if (generation > values_uint(now, FIELD_KEY_GENERATION, 0))
        values_put_uint(now, FIELD_KEY_GENERATION, generation);
}

/** One attempt; a removed node stays removed. */
static status_code put_once(struct node *node, const struct values *values)
{
    CLEANUP(member_release) struct member before = {.storage = BYTES_INIT};
    struct values now = *values;
    TRY(read_member(node, values_bytes(values, FIELD_NODE_ID).data, &before));
    keep_newest_generation(&before.values, &now);
    if (before.version != 0 && is_same(&before.values, &now))
        return STATUS_OK;
    CHECK(!has_state(&before.values, REMOVED), STATUS_CLUSTER_STATE,
          "this node was removed from the cluster: it can come back only with a fresh state folder");
    return write_member(node, &now, before.version);
}

status_code members_put(struct node *node, const struct values *member)
{
    CHECK(values_bytes(member, FIELD_NODE_ID).len == ID_LEN, STATUS_INVALID_ARGUMENT, "a member needs a node id");
    status_code code = STATUS_CONFLICT;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && is_conflict(code); attempt++)
        code = put_once(node, member);
    return code;
}

static void fill(struct values *values, const uint8_t node_id[ID_LEN], const char *state, const uint8_t *hash,
                 struct slice certificate_pem)
{
    values_init(values);
    values_put_bytes(values, FIELD_NODE_ID, slice_of(node_id, ID_LEN));
    values_put_bytes(values, FIELD_STATE_NAME, slice_text(state));
    values_put_bytes(values, FIELD_HASH_VALUE, slice_of(hash, CERTIFICATE_HASH_LEN));
    values_put_bytes(values, FIELD_CERTIFICATE, certificate_pem);
}

/** Repeated, perhaps after the node began to serve: nothing to take back. A new certificate is no news of which masking
 * keys a member has. */
static status_code approve_once(struct node *node, const struct values *values)
{
    struct values now = *values;
    CLEANUP(member_release) struct member before = {.storage = BYTES_INIT};
    TRY(read_member(node, values_bytes(values, FIELD_NODE_ID).data, &before));
    CHECK(before.version == 0 || !has_state(&before.values, REMOVED), STATUS_CLUSTER_STATE,
          "this node was removed from the cluster: it can come back only with a fresh state folder");
    if (before.version != 0 && values_equal_at(&FIELD_SCHEMA, &before.values, values, FIELD_HASH_VALUE))
        return STATUS_OK;
    if (before.version != 0)
        values_put_uint(&now, FIELD_KEY_GENERATION,
                        values_uint(&before.values, FIELD_KEY_GENERATION, FIRST_GENERATION));
    return write_member(node, &now, before.version);
}

status_code members_approve(struct node *node, const uint8_t node_id[ID_LEN], struct slice certificate_pem)
{
    CLEANUP(certificate_free) X509 *certificate = NULL;
    CLEANUP(bytes_release) struct bytes pem = BYTES_INIT;
    uint8_t hash[CERTIFICATE_HASH_LEN];
    char name[65];
    struct values values;

    TRY(certificate_parse(certificate_pem, "the joining node's certificate", &certificate));
    TRY(certificate_hash(certificate, hash));
    TRY(certificate_encode_pem(certificate, &pem));
    certificate_common_name(certificate, name, sizeof name);
    fill(&values, node_id, APPROVED, hash, bytes_slice(&pem));
    values_put_uint(&values, FIELD_KEY_GENERATION, keyring_newest(node->keyring)); /* of its handover */
    values_put_bytes(&values, FIELD_NAME, slice_text(name));
    values_put_bytes(&values, FIELD_ADDRESS, slice_text(""));
    values_put_bytes(&values, FIELD_ZONE, slice_text(""));
    status_code code = STATUS_CONFLICT;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && is_conflict(code); attempt++)
        code = approve_once(node, &values);
    return code;
}

status_code members_put_own(struct node *node)
{
    CLEANUP(bytes_release) struct bytes pem = BYTES_INIT;
    uint8_t hash[CERTIFICATE_HASH_LEN];
    char address[sizeof node->config.advertise];
    struct values values;

    TRY(identity_certificate(node->identity, hash, &pem));
    node_address(node, address);
    fill(&values, identity_node_id(node->identity), SERVING, hash, bytes_slice(&pem));
    values_put_uint(&values, FIELD_VERSION, PROTOCOL_VERSION);
    values_put_uint(&values, FIELD_KEY_GENERATION, keyring_newest(node->keyring));
    values_put_bytes(&values, FIELD_NAME, slice_text(node->config.name));
    values_put_bytes(&values, FIELD_ADDRESS, slice_text(address));
    values_put_bytes(&values, FIELD_ZONE, slice_text(node->config.zone));
    return members_put(node, &values);
}

static status_code remove_once(struct node *node, const uint8_t node_id[ID_LEN])
{
    CLEANUP(member_release) struct member before = {.storage = BYTES_INIT};
    TRY(read_member(node, node_id, &before));
    CHECK(before.version != 0, STATUS_OBJECT_NOT_FOUND, "the cluster has no such node");
    if (has_state(&before.values, REMOVED))
        return STATUS_OK;
    values_put_bytes(&before.values, FIELD_STATE_NAME, slice_text(REMOVED));
    return write_member(node, &before.values, before.version);
}

status_code members_remove(struct node *node, const uint8_t node_id[ID_LEN])
{
    CHECK(memcmp(node_id, ROSTER, ID_LEN) != 0, STATUS_OBJECT_NOT_FOUND, "the cluster has no such node");
    status_code code = STATUS_CONFLICT;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && is_conflict(code); attempt++)
        code = remove_once(node, node_id);
    TRY(code);
    /* The tail tells of others' writes only. */
    if (node->identity && memcmp(node_id, identity_node_id(node->identity), ID_LEN) == 0)
        node_was_removed(node);
    return STATUS_OK;
}

static status_code take_first(void *context, const struct values *member)
{
    memcpy(context, values_bytes(member, FIELD_NODE_ID).data, ID_LEN);
    return STATUS_PENDING;
}

status_code members_retire_all(struct node *node)
{
    uint8_t id[ID_LEN];
    status_code code;
    while ((code = members_each(node, take_first, id)) == STATUS_PENDING)
        TRY(members_remove(node, id));
    return code;
}

static status_code note_found(void *context, const struct store_record *record)
{
    (void)record;
    *(bool *)context = true;
    return STATUS_OK;
}

status_code members_is_removed(struct node *node, const uint8_t hash[CERTIFICATE_HASH_LEN], bool *removed)
{
    const struct index_term term = {TERM_REMOVED, slice_of(hash, CERTIFICATE_HASH_LEN)};
    bool found = false;
    TRY(index_find(node, STORE_NODE, &term, 1, NULL, 1, note_found, &found));
    *removed = found;
    return STATUS_OK;
}

status_code members_own_removed(struct node *node, bool *removed)
{
    CLEANUP(member_release) struct member own = {.storage = BYTES_INIT};
    TRY(read_member(node, identity_node_id(node->identity), &own));
    *removed = own.version != 0 && has_state(&own.values, REMOVED);
    return STATUS_OK;
}
