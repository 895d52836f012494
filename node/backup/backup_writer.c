/* Writing a backup: backup_format.h. */
#include <stdlib.h>
#include "backup/backup_header.h"
#include "backup/chunk_cipher.h"
#include "protocol/writer.h"

struct backup_writer {
    struct backup_sink sink;
    struct chunk_cipher *cipher;
    struct bytes plaintext, out;
    uint64_t n_records;
};

status_code recovery_id_of(struct slice recovery_key, uint8_t id[RECOVERY_ID_LEN])
{
    return recovery_derive(recovery_key, slice_text(""), "libhsm recovery key id", id, RECOVERY_ID_LEN);
}

void backup_writer_free(struct backup_writer *writer)
{
    if (!writer)
        return;
    chunk_cipher_free(writer->cipher);
    bytes_release(&writer->plaintext);
    bytes_release(&writer->out);
    free(writer);
}

static status_code flush(struct backup_writer *writer, bool last)
{
    struct bytes *out = &writer->out;
    uint32_t head = (uint32_t)(writer->plaintext.len + CHUNK_TAG_LEN) | (last ? CHUNK_LAST : 0);
    const uint8_t len[4] = {(uint8_t)(head >> 24), (uint8_t)(head >> 16), (uint8_t)(head >> 8), (uint8_t)head};

    TRY(bytes_ok(&writer->plaintext));
    bytes_clear(out);
    bytes_append(out, len, sizeof(len));
    TRY(chunk_encrypt(writer->cipher, last, bytes_slice(&writer->plaintext), out));
    bytes_clear(&writer->plaintext);
    return writer->sink.take(writer->sink.context, bytes_slice(out));
}

static status_code put_manifest(struct backup_writer *writer, struct slice masking_keys)
{
    struct values manifest;

    values_init(&manifest);
    values_put_bytes(&manifest, MANIFEST_MASKING_KEYS, masking_keys);
    values_encode(&BACKUP_MANIFEST_SCHEMA, &manifest, &writer->plaintext);
    return flush(writer, false);
}

status_code backup_writer_begin(const struct backup_header *header, struct slice recovery_key,
                                struct slice masking_keys, const struct backup_sink *sink,
                                struct backup_writer **writer)
{
    struct backup_writer *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a backup");
    *writer = made;
    made->sink = *sink;
    made->plaintext.secret = true;
    made->plaintext.limit = CHUNK_MAX;
    TRY(backup_header_encode(header, &made->out));
    TRY(chunk_cipher_new(recovery_key, header->backup_id, bytes_slice(&made->out), &made->cipher));
    TRY(sink->take(sink->context, bytes_slice(&made->out)));
    return put_manifest(made, masking_keys);
}

status_code backup_writer_add(struct backup_writer *writer, const struct store_write *record)
{
    struct bytes *out = &writer->plaintext;

    write_array(out, 5);
    write_uint(out, (uint64_t)record->kind);
    write_bin(out, slice_of(record->id, ID_LEN));
    write_uint(out, record->expected_version + 1);
    write_bin(out, slice_of(record->tokens, record->n_tokens * TOKEN_LEN));
    write_bin(out, record->value);
    TRY(bytes_ok(out));
    writer->n_records++;
    return out->len >= CHUNK_SIZE ? flush(writer, false) : STATUS_OK;
}

status_code backup_writer_end(struct backup_writer *writer)
{
    struct values summary;

    if (writer->plaintext.len)
        TRY(flush(writer, false));
    values_init(&summary);
    values_put_uint(&summary, MANIFEST_N_RECORDS, writer->n_records);
    values_encode(&BACKUP_MANIFEST_SCHEMA, &summary, &writer->plaintext);
    return flush(writer, true);
}
