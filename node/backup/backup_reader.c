/* Reading a backup: backup_format.h. Bytes are gathered until a part is complete; each part is opened before anything
 * in it is believed. */
#include <stdlib.h>
#include "backup/backup_header.h"
#include "backup/chunk_cipher.h"
#include "protocol/reader.h"
#include "seal/masking_keys.h"

#define MAGIC_LEN (sizeof(BACKUP_MAGIC) - 1)

enum expecting { MAGIC, HEADER, CHUNK_HEAD, CHUNK, NOTHING };

struct backup_reader {
    char name[BACKUP_NAME_MAX];
    struct secret recovery_key;
    struct backup_visitor visitor;
    enum expecting expecting;
    size_t wanted;         /* bytes of what is expected */
    struct bytes pending;  /* what came of it so far */
    struct bytes preamble; /* magic, length and header, which the chunks are bound to */
    struct bytes plaintext;
    struct backup_header header;
    struct chunk_cipher *cipher;
    uint64_t n_chunks, n_records;
    bool last;
};

status_code backup_reader_begin(const char *name, struct slice recovery_key, const struct backup_visitor *visitor,
                                struct backup_reader **reader)
{
    struct backup_reader *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory to read a backup");
    *reader = made;
    CHECK(strlen(name) < sizeof(made->name), STATUS_INVALID_ARGUMENT, "%.64s is no name of a backup", name);
    memcpy(made->name, name, strlen(name) + 1);
    made->visitor = *visitor;
    made->wanted = MAGIC_LEN + 4;
    made->plaintext.secret = true;
    return secret_copy(&made->recovery_key, recovery_key);
}

void backup_reader_free(struct backup_reader *reader)
{
    if (!reader)
        return;
    secret_release(&reader->recovery_key);
    bytes_release(&reader->pending);
    bytes_release(&reader->preamble);
    bytes_release(&reader->plaintext);
    chunk_cipher_free(reader->cipher);
    free(reader);
}

static uint32_t number_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static status_code take_magic(struct backup_reader *reader, struct slice part)
{
    CHECK(memcmp(part.data, BACKUP_MAGIC, MAGIC_LEN) == 0, STATUS_BACKUP_INVALID,
          "this is no backup, or one of a newer version of hsmd");
    reader->wanted = number_at(part.data + MAGIC_LEN);
    CHECK(reader->wanted <= BACKUP_HEADER_MAX, STATUS_BACKUP_INVALID, "the backup's header is damaged");
    reader->expecting = HEADER;
    return bytes_assign(&reader->preamble, part);
}

static status_code check_header(struct backup_reader *reader)
{
    uint8_t recovery_id[RECOVERY_ID_LEN];
    char name[BACKUP_NAME_MAX], wanted[2 * RECOVERY_ID_LEN + 1];

    TRY(recovery_id_of(secret_slice(&reader->recovery_key), recovery_id));
    hex_encode(slice_of(reader->header.recovery_id, RECOVERY_ID_LEN), wanted);
    CHECK(memcmp(recovery_id, reader->header.recovery_id, RECOVERY_ID_LEN) == 0, STATUS_BACKUP_INVALID,
          "the backup is another cluster's: it opens with recovery key %s, not with this one", wanted);
    backup_name_of(&reader->header, name);
    CHECK(strcmp(name, reader->name) == 0, STATUS_BACKUP_INVALID, "the backup is not what its name says: it is %s",
          name);
    return STATUS_OK;
}

static status_code take_header(struct backup_reader *reader, struct slice part)
{
    bytes_append(&reader->preamble, part.data, part.len);
    TRY(bytes_ok(&reader->preamble));
    TRY(backup_header_decode(part, &reader->header));
    TRY(check_header(reader));
    reader->expecting = CHUNK_HEAD;
    reader->wanted = 4;
    return chunk_cipher_new(secret_slice(&reader->recovery_key), reader->header.backup_id,
                            bytes_slice(&reader->preamble), &reader->cipher);
}

static status_code take_chunk_head(struct backup_reader *reader, struct slice part)
{
    uint32_t head = number_at(part.data);

    reader->last = head & CHUNK_LAST;
    reader->wanted = head & ~CHUNK_LAST;
    CHECK(reader->wanted > CHUNK_TAG_LEN && reader->wanted <= CHUNK_MAX + CHUNK_TAG_LEN, STATUS_BACKUP_INVALID,
          "part %llu of the backup is damaged", (unsigned long long)reader->n_chunks + 1);
    reader->expecting = CHUNK;
    return STATUS_OK;
}

static status_code take_manifest(struct backup_reader *reader)
{
    struct values manifest;

    TRY(values_decode_all(&BACKUP_MANIFEST_SCHEMA, bytes_slice(&reader->plaintext), &manifest));
    struct slice masking_keys = values_bytes(&manifest, MANIFEST_MASKING_KEYS);

    CHECK(masking_keys_check(masking_keys) == STATUS_OK, STATUS_BACKUP_INVALID, "the backup lacks its masking keys");
    return reader->visitor.begin(reader->visitor.context, &reader->header, masking_keys);
}

static status_code take_summary(struct backup_reader *reader)
{
    struct values summary;

    TRY(values_decode_all(&BACKUP_MANIFEST_SCHEMA, bytes_slice(&reader->plaintext), &summary));
    CHECK(values_uint(&summary, MANIFEST_N_RECORDS, UINT64_MAX) == reader->n_records, STATUS_BACKUP_INVALID,
          "the backup says that it has another number of records than it has");
    return STATUS_OK;
}

static status_code read_record(struct reader *from, struct store_write *record)
{
    struct slice id, tokens;
    uint64_t kind, version;
    uint32_t n;

    TRY(read_array(from, &n));
    CHECK(n == 5, STATUS_PROTOCOL_ERROR, "no record");
    TRY(read_uint(from, &kind));
    TRY(read_bin(from, ID_LEN, &id));
    TRY(read_uint(from, &version));
    TRY(read_bin(from, CHUNK_MAX, &tokens));
    TRY(read_bin(from, CHUNK_MAX, &record->value));
    CHECK(kind <= UINT8_MAX && id.len == ID_LEN && version > 0 && tokens.len % TOKEN_LEN == 0, STATUS_PROTOCOL_ERROR,
          "no record");
    *record = (struct store_write){.kind = (enum store_kind)kind,
                                   .expected_version = version - 1,
                                   .value = record->value,
                                   .tokens = (const struct index_token *)tokens.data,
                                   .n_tokens = tokens.len / TOKEN_LEN};
    memcpy(record->id, id.data, ID_LEN);
    return STATUS_OK;
}

static status_code take_records(struct backup_reader *reader)
{
    struct reader from = reader_of(bytes_slice(&reader->plaintext));
    struct store_write record;

    while (!reader_at_end(&from)) {
        CHECK(read_record(&from, &record) == STATUS_OK, STATUS_BACKUP_INVALID, "record %llu of the backup is malformed",
              (unsigned long long)reader->n_records + 1);
        TRY(reader->visitor.record(reader->visitor.context, &record));
        reader->n_records++;
    }
    return STATUS_OK;
}

static status_code take_chunk(struct backup_reader *reader, struct slice part)
{
    bytes_clear(&reader->plaintext);
    TRY(chunk_decrypt(reader->cipher, reader->last, part, &reader->plaintext));
    reader->expecting = reader->last ? NOTHING : CHUNK_HEAD;
    reader->wanted = reader->last ? 1 : 4;
    if (reader->n_chunks++ == 0) {
        CHECK(!reader->last, STATUS_BACKUP_INVALID, "the backup lacks its end");
        return take_manifest(reader);
    }
    return reader->last ? take_summary(reader) : take_records(reader);
}

static status_code take_part(struct backup_reader *reader, struct slice part)
{
    switch (reader->expecting) {
    case MAGIC:
        return take_magic(reader, part);
    case HEADER:
        return take_header(reader, part);
    case CHUNK_HEAD:
        return take_chunk_head(reader, part);
    case CHUNK:
        return take_chunk(reader, part);
    case NOTHING:
        break;
    }
    FAIL(STATUS_BACKUP_INVALID, "something follows the backup's end");
}

status_code backup_reader_take(struct backup_reader *reader, struct slice bytes)
{
    while (bytes.len > 0) {
        size_t missing = reader->wanted - reader->pending.len, n = bytes.len < missing ? bytes.len : missing;

        CHECK(bytes_append(&reader->pending, bytes.data, n), STATUS_OUT_OF_MEMORY, "no memory for a part of a backup");
        bytes = slice_of(bytes.data + n, bytes.len - n);
        if (reader->pending.len < reader->wanted)
            continue;
        TRY(take_part(reader, bytes_slice(&reader->pending)));
        bytes_clear(&reader->pending);
    }
    return STATUS_OK;
}

status_code backup_reader_end(struct backup_reader *reader, uint64_t *n)
{
    CHECK(reader->expecting == NOTHING, STATUS_BACKUP_INVALID,
          "the backup is cut off: it ends after %llu records, without its end", (unsigned long long)reader->n_records);
    *n = reader->n_records;
    return STATUS_OK;
}
