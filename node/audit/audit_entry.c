/* Entries of the audit log, from event to record and back: audit_entry.h. */
#include "audit/audit_entry.h"

#include "protocol/writer.h"

#define PLAINTEXT_MAX 4096u
#define MAC_LEN       32u

static void put_number(uint8_t *out, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(number >> (56 - 8 * i));
}

void audit_record_id(const uint8_t node_id[ID_LEN], uint64_t sequence, uint8_t id[ID_LEN])
{
    memcpy(id, node_id, 8);
    put_number(id + 8, sequence);
}

/** Kind, id, version: so that no record stands in for another. */
static struct slice seal_context(const uint8_t id[ID_LEN], uint64_t version, uint8_t context[1 + ID_LEN + 8])
{
    context[0] = STORE_AUDIT;
    memcpy(context + 1, id, ID_LEN);
    put_number(context + 1 + ID_LEN, version);
    return slice_of(context, 1 + ID_LEN + 8);
}

static status_code hash_fields(struct slice encoded, uint8_t hash[AUDIT_HASH_LEN])
{
    CHECK(EVP_Q_digest(crypto_context(), "SHA256", NULL, encoded.data, encoded.len, hash, NULL) == 1, STATUS_INTERNAL,
          "hashing an audit entry");
    return STATUS_OK;
}

static void fill(const struct audit_event *event, const struct audit_position *at, struct values *fields)
{
    const struct operation_info *info = operation_info(event->operation);
    values_init(fields);
    values_put_uint(fields, FIELD_SEQUENCE, at->sequence + 1);
    values_put_uint(fields, FIELD_TIME_MS, event->time_ms);
    values_put_uint(fields, FIELD_STATUS, (uint64_t)event->status);
    values_put_bytes(fields, FIELD_OPERATION, slice_text(info ? info->name : "UNKNOWN"));
    values_put_bytes(fields, FIELD_PREVIOUS_HASH, slice_of(at->hash, AUDIT_HASH_LEN));
    if (event->user_name[0])
        values_put_bytes(fields, FIELD_USER_NAME, slice_text(event->user_name));
    if (event->has_object)
        values_put_bytes(fields, FIELD_OBJECT_ID, slice_of(event->object_id, ID_LEN));
    if (event->detail[0])
        values_put_bytes(fields, FIELD_DETAIL, slice_text(event->detail));
}

static status_code seal_record(struct node *node, const uint8_t id[ID_LEN], uint64_t version,
                               const struct bytes *encoded, struct bytes *value)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    uint8_t mac[MAC_LEN], context[1 + ID_LEN + 8];

    TRY(bytes_ok(encoded));
    TRY(keyring_mac(node->keyring, SEAL_AUDIT, bytes_slice(encoded), mac));
    write_array(&plaintext, 2);
    write_bin(&plaintext, bytes_slice(encoded));
    write_bin(&plaintext, slice_of(mac, MAC_LEN));
    TRY(bytes_ok(&plaintext));
    return seal(node->keyring, SEAL_RECORD, seal_context(id, version, context), bytes_slice(&plaintext), value);
}

static status_code open_record(struct node *node, const uint8_t id[ID_LEN], uint64_t version, struct slice value,
                               struct bytes *plaintext, struct slice *encoded)
{
    uint8_t mac[MAC_LEN], context[1 + ID_LEN + 8];
    struct slice stored_mac;
    uint32_t n;

    bytes_clear(plaintext);
    TRY(unseal(node->keyring, SEAL_RECORD, seal_context(id, version, context), value, plaintext));
    struct reader reader = reader_of(bytes_slice(plaintext));
    TRY(read_array(&reader, &n));
    TRY(read_bin(&reader, PLAINTEXT_MAX, encoded));
    TRY(read_bin(&reader, MAC_LEN, &stored_mac));
    TRY(keyring_mac(node->keyring, SEAL_AUDIT, *encoded, mac));
    CHECK(secret_equal(stored_mac, slice_of(mac, MAC_LEN)), STATUS_STORE_DAMAGED, "an audit record's MAC is wrong");
    return STATUS_OK;
}

status_code audit_entry_seal(struct node *node, const uint8_t node_id[ID_LEN], const struct audit_event *event,
                             struct audit_position *at, struct bytes *value)
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;
    uint8_t id[ID_LEN];
    struct values fields;

    fill(event, at, &fields);
    values_encode(&FIELD_SCHEMA, &fields, &encoded);
    audit_record_id(node_id, at->sequence + 1, id);
    TRY(seal_record(node, id, 1, &encoded, value));
    TRY(hash_fields(bytes_slice(&encoded), at->hash));
    at->sequence++;
    return STATUS_OK;
}

status_code audit_entry_open(struct node *node, const struct store_record *record, struct bytes *plaintext,
                             struct values *fields, uint8_t hash[AUDIT_HASH_LEN])
{
    struct slice encoded;
    status_code code = open_record(node, record->id, record->version, record->value, plaintext, &encoded);
    if (code == STATUS_OK)
        code = values_decode_all(&FIELD_SCHEMA, encoded, fields);
    CHECK(code == STATUS_OK, STATUS_STORE_DAMAGED, "an audit record was altered, or is damaged");
    return hash_fields(encoded, hash);
}

/* The head: a value set of SEQUENCE and HASH_VALUE. */

status_code audit_head_seal(struct node *node, const uint8_t node_id[ID_LEN], uint64_t version,
                            const struct audit_position *at, struct bytes *value)
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;
    uint8_t id[ID_LEN];
    struct values fields;

    values_init(&fields);
    values_put_uint(&fields, FIELD_SEQUENCE, at->sequence);
    values_put_bytes(&fields, FIELD_HASH_VALUE, slice_of(at->hash, AUDIT_HASH_LEN));
    values_encode(&FIELD_SCHEMA, &fields, &encoded);
    audit_record_id(node_id, AUDIT_HEAD_SEQUENCE, id);
    return seal_record(node, id, version, &encoded, value);
}

status_code audit_head_read(struct node *node, const uint8_t node_id[ID_LEN], struct audit_position *at,
                            uint64_t *version)
{
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT, plaintext = BYTES_INIT;
    uint8_t id[ID_LEN];
    struct slice encoded;
    struct values fields;

    *at = (struct audit_position){.sequence = 0};
    *version = 0;
    audit_record_id(node_id, AUDIT_HEAD_SEQUENCE, id);
    status_code code = node->store->operations->read(node->store, STORE_AUDIT, id, &value, version);
    if (code == STATUS_OBJECT_NOT_FOUND)
        return STATUS_OK;
    TRY(code);
    code = open_record(node, id, *version, bytes_slice(&value), &plaintext, &encoded);
    if (code == STATUS_OK)
        code = values_decode_all(&FIELD_SCHEMA, encoded, &fields);
    struct slice hash = code == STATUS_OK ? values_bytes(&fields, FIELD_HASH_VALUE) : slice_of(NULL, 0);
    CHECK(hash.len == AUDIT_HASH_LEN, STATUS_STORE_DAMAGED, "the head of the audit log was altered, or is damaged");
    at->sequence = values_uint(&fields, FIELD_SEQUENCE, 0);
    memcpy(at->hash, hash.data, AUDIT_HASH_LEN);
    return STATUS_OK;
}
