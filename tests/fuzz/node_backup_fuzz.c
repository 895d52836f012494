/* Backups: bytes as they come from a disk or a bucket, and, sealed as they should be, what stands in them. None of it
 * may do harm, and only what was written whole may be read to its end. */
#include "backup/backup_header.h"
#include "backup/chunk_cipher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t KEY[RECOVERY_KEY_LEN] = {1, 2, 3};

static status_code take_header(void *context, const struct backup_header *header, struct slice masking_keys)
{
    (void)context, (void)header, (void)masking_keys;
    return STATUS_OK;
}

static status_code take_record(void *context, const struct store_write *record)
{
    volatile uint8_t sum = 0;

    (void)context;
    for (size_t i = 0; i < record->n_tokens; i++)
        sum ^= record->tokens[i].bytes[TOKEN_LEN - 1];
    for (size_t i = 0; i < record->value.len; i++)
        sum ^= record->value.data[i];
    return STATUS_OK;
}

static status_code append(void *context, struct slice bytes)
{
    return bytes_append(context, bytes.data, bytes.len) ? STATUS_OK : STATUS_OUT_OF_MEMORY;
}

static struct backup_header header_of(struct slice recovery_key)
{
    struct backup_header header = {.cluster_name = "fuzz", .created_ms = 1732400000000, .revision = 7};

    recovery_id_of(recovery_key, header.recovery_id);
    return header;
}

/* A backup whose second chunk holds `text`. */
static void build(struct slice recovery_key, struct slice text, struct bytes *backup)
{
    const struct backup_header header = header_of(recovery_key);
    const struct backup_sink sink = {append, backup};
    const uint8_t masking_keys[36] = {0, 0, 0, 1};
    struct backup_writer *writer = NULL;
    struct chunk_cipher *cipher = NULL;
    struct bytes preamble = BYTES_INIT, chunk = BYTES_INIT;
    uint32_t size = (uint32_t)(text.len + CHUNK_TAG_LEN);
    const uint8_t head[4] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};

    backup_writer_begin(&header, recovery_key, slice_of(masking_keys, sizeof masking_keys), &sink, &writer);
    backup_writer_free(writer);
    backup_header_encode(&header, &preamble);
    chunk_cipher_new(recovery_key, header.backup_id, bytes_slice(&preamble), &cipher);
    chunk_encrypt(cipher, false, slice_of(masking_keys, 1), &chunk); /* only to count: the manifest stands there */
    bytes_clear(&chunk);
    chunk_encrypt(cipher, false, text, &chunk);
    bytes_append(backup, head, sizeof head);
    bytes_append(backup, chunk.data, chunk.len);
    chunk_cipher_free(cipher);
    bytes_release(&preamble);
    bytes_release(&chunk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct backup_visitor visitor = {take_header, take_record, NULL};
    const struct slice recovery_key = slice_of(KEY, sizeof KEY);
    struct backup_header header = header_of(recovery_key);
    struct backup_reader *reader = NULL;
    struct bytes backup = BYTES_INIT;
    char name[BACKUP_NAME_MAX];
    uint64_t n;

    if (len < 2)
        return 0;
    backup_name_of(&header, name);
    if (data[0] & 1)
        build(recovery_key, slice_of(data + 1, len - 1), &backup);
    else
        bytes_append(&backup, data + 1, len - 1);
    backup_reader_begin(name, recovery_key, &visitor, &reader);
    if (backup_reader_take(reader, bytes_slice(&backup)) == STATUS_OK && backup_reader_end(reader, &n) == STATUS_OK)
        __builtin_trap();
    backup_reader_free(reader);
    bytes_release(&backup);
    return 0;
}
