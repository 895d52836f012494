/* Entries of the audit log, from event to record and back: audit_entry.h. */
#include "audit/audit_entry.h"

#include "protocol/writer.h"

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

status_code audit_entry_seal(struct node *node, const uint8_t node_id[ID_LEN], const struct audit_event *event,
                             struct audit_position *at, struct bytes *sealed, struct store_write *write)
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;
    uint8_t id[ID_LEN];
    struct values fields;

    fill(event, at, &fields);
    values_encode(&FIELD_SCHEMA, &fields, &encoded);
    TRY(bytes_ok(&encoded));
    audit_record_id(node_id, at->sequence + 1, id);
    TRY(record_prepare(node, STORE_AUDIT, id, 0, bytes_slice(&encoded), sealed, write));
    TRY(hash_fields(bytes_slice(&encoded), at->hash));
    at->sequence++;
    return STATUS_OK;
}

status_code audit_entry_open(struct node *node, const struct store_record *record, struct bytes *plaintext,
                             struct values *fields, uint8_t hash[AUDIT_HASH_LEN])
{
    bytes_clear(plaintext);
    status_code code = record_open(node, record, plaintext);
    TRY(code == STATUS_STORE_DAMAGED ? STATUS_OK : code);
    if (code == STATUS_OK)
        code = values_decode_all(&FIELD_SCHEMA, bytes_slice(plaintext), fields);
    CHECK(code == STATUS_OK, STATUS_STORE_DAMAGED, "an audit record was altered, or is damaged");
    return hash_fields(bytes_slice(plaintext), hash);
}

/* The head: a value set of SEQUENCE and HASH_VALUE. */

status_code audit_head_seal(struct node *node, const uint8_t node_id[ID_LEN], uint64_t version,
                            const struct audit_position *at, struct bytes *sealed, struct store_write *write)
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;
    uint8_t id[ID_LEN];
    struct values fields;

    values_init(&fields);
    values_put_uint(&fields, FIELD_SEQUENCE, at->sequence);
    values_put_bytes(&fields, FIELD_HASH_VALUE, slice_of(at->hash, AUDIT_HASH_LEN));
    values_encode(&FIELD_SCHEMA, &fields, &encoded);
    TRY(bytes_ok(&encoded));
    audit_record_id(node_id, AUDIT_HEAD_SEQUENCE, id);
    return record_prepare(node, STORE_AUDIT, id, version, bytes_slice(&encoded), sealed, write);
}

status_code audit_head_read(struct node *node, const uint8_t node_id[ID_LEN], struct audit_position *at,
                            uint64_t *version)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    uint8_t id[ID_LEN];
    struct values fields;

    *at = (struct audit_position){.sequence = 0};
    *version = 0;
    audit_record_id(node_id, AUDIT_HEAD_SEQUENCE, id);
    status_code code = record_read(node, STORE_AUDIT, id, &plaintext, version);
    if (code == STATUS_OBJECT_NOT_FOUND)
        return STATUS_OK;
    TRY(code == STATUS_STORE_DAMAGED ? STATUS_OK : code);
    if (code == STATUS_OK)
        code = values_decode_all(&FIELD_SCHEMA, bytes_slice(&plaintext), &fields);
    struct slice hash = code == STATUS_OK ? values_bytes(&fields, FIELD_HASH_VALUE) : slice_of(NULL, 0);
    CHECK(hash.len == AUDIT_HASH_LEN, STATUS_STORE_DAMAGED, "the head of the audit log was altered, or is damaged");
    at->sequence = values_uint(&fields, FIELD_SEQUENCE, 0);
    memcpy(at->hash, hash.data, AUDIT_HASH_LEN);
    return STATUS_OK;
}
