/* See backup_header.h. */
#include "backup/backup_header.h"

#include <stdio.h>
#include "seal/masking_keys.h"

enum { BACKUP_ID = 1, RECOVERY_ID, CLUSTER_ID, SEAL_ID, CLUSTER_NAME, CREATED_MS, REVISION, N_ENTRIES };

static const struct schema_entry header_entries[N_ENTRIES] = {
    [BACKUP_ID] = {"BACKUP_ID", VALUE_BIN, BACKUP_ID_LEN, NULL},
    [RECOVERY_ID] = {"RECOVERY_ID", VALUE_BIN, RECOVERY_ID_LEN, NULL},
    [CLUSTER_ID] = {"CLUSTER_ID", VALUE_BIN, ID_LEN, NULL},
    [SEAL_ID] = {"SEAL_ID", VALUE_BIN, ID_LEN, NULL},
    [CLUSTER_NAME] = {"CLUSTER_NAME", VALUE_TEXT, 128, NULL},
    [CREATED_MS] = {"CREATED_MS", VALUE_UINT, UINT64_MAX >> 12, NULL},
    [REVISION] = {"REVISION", VALUE_UINT, UINT64_MAX >> 1, NULL},
};
static const struct schema header_schema = {"backup field", header_entries, N_ENTRIES};

static const struct schema_entry manifest_entries[] = {
    [MANIFEST_MASKING_KEYS] = {"MASKING_KEYS", VALUE_BIN, MASKING_KEYS_LEN_MAX, NULL},
    [MANIFEST_N_RECORDS] = {"N_RECORDS", VALUE_UINT, UINT64_MAX, NULL},
};
const struct schema BACKUP_MANIFEST_SCHEMA = {"backup field", manifest_entries,
                                              sizeof(manifest_entries) / sizeof(*manifest_entries)};

status_code backup_header_encode(const struct backup_header *header, struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;
    struct values values;

    values_init(&values);
    values_put_bytes(&values, BACKUP_ID, slice_of(header->backup_id, BACKUP_ID_LEN));
    values_put_bytes(&values, RECOVERY_ID, slice_of(header->recovery_id, RECOVERY_ID_LEN));
    values_put_bytes(&values, CLUSTER_ID, slice_of(header->cluster_id, ID_LEN));
    values_put_bytes(&values, SEAL_ID, slice_of(header->seal_id, ID_LEN));
    values_put_bytes(&values, CLUSTER_NAME, slice_text(header->cluster_name));
    values_put_uint(&values, CREATED_MS, header->created_ms);
    values_put_uint(&values, REVISION, header->revision);
    values_encode(&header_schema, &values, &encoded);
    TRY(bytes_ok(&encoded));
    const uint8_t len[4] = {0, 0, (uint8_t)(encoded.len >> 8), (uint8_t)encoded.len};

    bytes_append(out, BACKUP_MAGIC, sizeof(BACKUP_MAGIC) - 1);
    bytes_append(out, len, sizeof(len));
    bytes_append(out, encoded.data, encoded.len);
    return bytes_ok(out);
}

static status_code copy_id(const struct values *values, uint32_t entry, uint8_t *out)
{
    struct slice value = values_bytes(values, entry);

    CHECK(value.len == header_entries[entry].max, STATUS_BACKUP_INVALID, "the backup's header lacks its %s",
          header_entries[entry].name);
    memcpy(out, value.data, value.len);
    return STATUS_OK;
}

status_code backup_header_decode(struct slice encoded, struct backup_header *header)
{
    struct values values;

    CHECK(values_decode_all(&header_schema, encoded, &values) == STATUS_OK, STATUS_BACKUP_INVALID,
          "the backup's header is damaged");
    TRY(copy_id(&values, BACKUP_ID, header->backup_id));
    TRY(copy_id(&values, RECOVERY_ID, header->recovery_id));
    TRY(copy_id(&values, CLUSTER_ID, header->cluster_id));
    TRY(copy_id(&values, SEAL_ID, header->seal_id));
    struct slice name = values_bytes(&values, CLUSTER_NAME);

    snprintf(header->cluster_name, sizeof(header->cluster_name), "%.*s", (int)name.len, (const char *)name.data);
    header->created_ms = values_uint(&values, CREATED_MS, 0);
    header->revision = values_uint(&values, REVISION, 0);
    return STATUS_OK;
}
