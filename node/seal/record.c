/* Sealed records: see record.h. */
#include "seal/record.h"

#include "node.h"

struct slice record_context(enum store_kind kind, const uint8_t id[ID_LEN], uint64_t version,
                            uint8_t context[RECORD_CONTEXT_LEN])
{
    context[0] = (uint8_t)kind;
    memcpy(context + 1, id, ID_LEN);
    for (unsigned i = 0; i < 8; i++)
        context[1 + ID_LEN + i] = (uint8_t)(version >> (56 - 8 * i));
    return slice_of(context, RECORD_CONTEXT_LEN);
}

static enum seal_purpose purpose_of(enum store_kind kind)
{
    return kind == STORE_AUDIT ? SEAL_AUDIT : SEAL_RECORD;
}

status_code record_open(struct node *node, const struct store_record *record, struct bytes *plaintext)
{
    uint8_t context[RECORD_CONTEXT_LEN];

    return unseal(node->keyring, purpose_of(record->kind),
                  record_context(record->kind, record->id, record->version, context), record->value, plaintext);
}

status_code record_read(struct node *node, enum store_kind kind, const uint8_t id[ID_LEN], struct bytes *plaintext,
                        uint64_t *version)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    struct store_record record = {.kind = kind};

    memcpy(record.id, id, ID_LEN);
    TRY(node->store->operations->read(node->store, kind, id, &sealed, version));
    record.version = *version;
    record.value = bytes_slice(&sealed);
    return record_open(node, &record, plaintext);
}

status_code record_decode(const struct schema *schema, const struct bytes *plaintext, struct values *values)
{
    CHECK(values_decode_all(schema, bytes_slice(plaintext), values) == STATUS_OK, STATUS_STORE_DAMAGED,
          "a record with a %s cannot be read: restore the store from a backup", schema->kind);
    return STATUS_OK;
}

status_code record_prepare(struct node *node, enum store_kind kind, const uint8_t id[ID_LEN], uint64_t version,
                           struct slice plaintext, struct bytes *sealed, struct store_write *write)
{
    uint8_t context[RECORD_CONTEXT_LEN];

    *write = (struct store_write){.kind = kind, .expected_version = version};
    memcpy(write->id, id, ID_LEN);
    TRY(seal(node->keyring, SEAL_NEWEST, purpose_of(kind), record_context(kind, id, version + 1, context), plaintext,
             sealed));
    write->value = bytes_slice(sealed);
    return STATUS_OK;
}

struct store_write record_removal(enum store_kind kind, const uint8_t id[ID_LEN], uint64_t version)
{
    struct store_write write = {.kind = kind, .expected_version = version, .remove = true};

    memcpy(write.id, id, ID_LEN);
    return write;
}

void resealed_release(struct resealed *memory)
{
    bytes_release(&memory->value);
    bytes_release(&memory->tokens);
}

status_code record_reseal(struct node *node, const struct store_record *record, struct resealed *memory,
                          struct store_write *write)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;

    TRY(record_open(node, record, &plaintext));
    return record_prepare(node, record->kind, record->id, record->version, bytes_slice(&plaintext), &memory->value,
                          write);
}
