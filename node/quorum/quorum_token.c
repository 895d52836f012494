/* See quorum_token.h. */
#include "quorum/quorum_token.h"

#include <stdio.h>
#include <time.h>
#include "node.h"
#include "seal/record.h"

enum { SERVICE = 1, REQUESTER_ID, REQUESTER, OBJECT, USES, USES_LEFT, EXPIRES_MS, APPROVALS, SPENT, N_ENTRIES };

static const struct schema_entry entries[N_ENTRIES] = {
    [SERVICE] = {"SERVICE", VALUE_UINT, QUORUM_SERVICES - 1, NULL},
    [REQUESTER_ID] = {"REQUESTER_ID", VALUE_BIN, ID_LEN, NULL},
    [REQUESTER] = {"REQUESTER", VALUE_TEXT, USER_NAME_MAX, NULL},
    [OBJECT] = {"OBJECT", VALUE_BIN, ID_LEN, NULL},
    [USES] = {"USES", VALUE_UINT, QUORUM_USES, NULL},
    [USES_LEFT] = {"USES_LEFT", VALUE_UINT, QUORUM_USES, NULL},
    [EXPIRES_MS] = {"EXPIRES_MS", VALUE_UINT, UINT64_MAX, NULL},
    [APPROVALS] = {"APPROVALS", VALUE_BIN, APPROVALS_MAX * sizeof(struct approval), NULL},
    [SPENT] = {"SPENT", VALUE_BIN, SPENT_MAX * sizeof(struct spent), NULL},
};
static const struct schema schema = {"quorum token field", entries, N_ENTRIES};

static const char *const service_names[QUORUM_SERVICES] = {
    [QUORUM_USER] = "user",
    [QUORUM_POLICY] = "quorum",
    [QUORUM_CLUSTER] = "cluster",
    [QUORUM_KEY_USE] = "key-use",
    [QUORUM_KEY_MANAGEMENT] = "key-management",
};

const char *quorum_service_name(enum quorum_service service)
{
    return (unsigned)service < QUORUM_SERVICES ? service_names[service] : NULL;
}

enum quorum_service quorum_service_find(struct slice name)
{
    for (unsigned i = 1; i < QUORUM_SERVICES; i++)
        if (slice_equal(name, slice_text(service_names[i])))
            return (enum quorum_service)i;
    return QUORUM_NONE;
}

/* A list of equal parts in one byte string. */
static size_t copy_parts(struct slice from, void *to, size_t part)
{
    size_t n = from.len / part;

    if (n)
        memcpy(to, from.data, n * part);
    return n;
}

static status_code decode(const struct bytes *plaintext, struct quorum_token *token)
{
    struct values values;

    TRY(record_decode(&schema, plaintext, &values));
    struct slice requester_id = values_bytes(&values, REQUESTER_ID), object = values_bytes(&values, OBJECT);
    struct slice requester = values_bytes(&values, REQUESTER);

    CHECK(requester_id.len == ID_LEN && (object.len == 0 || object.len == ID_LEN), STATUS_STORE_DAMAGED,
          "a quorum token's record is incomplete: restore from a backup");
    token->service = (enum quorum_service)values_uint(&values, SERVICE, QUORUM_NONE);
    memcpy(token->requester_id, requester_id.data, ID_LEN);
    memset(token->requester, 0, sizeof(token->requester));
    if (requester.len)
        memcpy(token->requester, requester.data, requester.len);
    token->has_object = object.len == ID_LEN;
    if (token->has_object)
        memcpy(token->object_id, object.data, ID_LEN);
    token->uses = values_uint(&values, USES, 0);
    token->uses_left = values_uint(&values, USES_LEFT, 0);
    token->expires_ms = values_uint(&values, EXPIRES_MS, 0);
    token->n_approvals = copy_parts(values_bytes(&values, APPROVALS), token->approvals, sizeof(struct approval));
    token->n_spent = copy_parts(values_bytes(&values, SPENT), token->spent, sizeof(struct spent));
    return STATUS_OK;
}

status_code quorum_token_open(struct node *node, const struct store_record *record, struct quorum_token *token)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;

    TRY(record_open(node, record, &plaintext));
    memcpy(token->id, record->id, ID_LEN);
    token->version = record->version;
    return decode(&plaintext, token);
}

status_code quorum_token_read(struct node *node, const uint8_t id[ID_LEN], struct quorum_token *token)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    status_code status = record_read(node, STORE_QUORUM, id, &plaintext, &token->version);

    CHECK(status != STATUS_OBJECT_NOT_FOUND, STATUS_OBJECT_NOT_FOUND,
          "there is no such quorum token: it expired, was cancelled, or is another cluster's");
    TRY(status);
    memcpy(token->id, id, ID_LEN);
    return decode(&plaintext, token);
}

static status_code encode(const struct quorum_token *token, struct bytes *plaintext)
{
    struct values values;

    values_init(&values);
    values_put_uint(&values, SERVICE, token->service);
    values_put_bytes(&values, REQUESTER_ID, slice_of(token->requester_id, ID_LEN));
    values_put_bytes(&values, REQUESTER, slice_text(token->requester));
    if (token->has_object)
        values_put_bytes(&values, OBJECT, slice_of(token->object_id, ID_LEN));
    values_put_uint(&values, USES, token->uses);
    values_put_uint(&values, USES_LEFT, token->uses_left);
    values_put_uint(&values, EXPIRES_MS, token->expires_ms);
    values_put_bytes(&values, APPROVALS, slice_of(token->approvals, token->n_approvals * sizeof(struct approval)));
    values_put_bytes(&values, SPENT, slice_of(token->spent, token->n_spent * sizeof(struct spent)));
    values_encode(&schema, &values, plaintext);
    return bytes_ok(plaintext);
}

status_code quorum_token_write(struct node *node, const struct quorum_token *token)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT, sealed = BYTES_INIT;
    struct store_write write;
    uint64_t revision;

    TRY(encode(token, &plaintext));
    TRY(record_prepare(node, STORE_QUORUM, token->id, token->version, bytes_slice(&plaintext), &sealed, &write));
    TRY(node->store->operations->write(node->store, &write, 1, &revision));
    node_wrote(node, revision);
    return STATUS_OK;
}

status_code quorum_token_remove(struct node *node, const struct quorum_token *token)
{
    struct store_write write = record_removal(STORE_QUORUM, token->id, token->version);
    uint64_t revision;

    TRY(node->store->operations->write(node->store, &write, 1, &revision));
    node_wrote(node, revision);
    return STATUS_OK;
}

status_code quorum_token_text(struct node *node, const struct quorum_token *token, struct bytes *text)
{
    char cluster[2 * ID_LEN + 1], id[2 * ID_LEN + 1], key[2 * ID_LEN + 1] = "-", until[32], line[512];
    time_t seconds = (time_t)(token->expires_ms / 1000);
    struct tm utc;

    hex_encode(slice_of(identity_cluster_id(node->identity), ID_LEN), cluster);
    hex_encode(slice_of(token->id, ID_LEN), id);
    if (token->has_object)
        hex_encode(slice_of(token->object_id, ID_LEN), key);
    gmtime_r(&seconds, &utc);
    strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &utc);
    int len = snprintf(line, sizeof(line),
                       "libhsm quorum approval 1\ncluster: %s\ntoken: %s\nservice: %s\nkey: %s\nrequester: %s\n"
                       "operations: %llu\nuntil: %s\n",
                       cluster, id, quorum_service_name(token->service), key, token->requester,
                       (unsigned long long)token->uses, until);

    bytes_append(text, line, (size_t)len);
    return bytes_ok(text);
}
