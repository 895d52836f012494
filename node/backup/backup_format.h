/* What a backup is, byte by byte: written and read as a stream.
 *
 *   "libhsm backup 1\n", length of the header (4 bytes, big-endian), header (a value set: whose, when, which revision)
 *   chunks: length (4 bytes; the highest bit marks the last), AES-256-GCM ciphertext and tag
 *
 * The key is HKDF-SHA-256(recovery key, salt: the backup's id), so every backup has one of its own; the nonce is the
 * chunk's number; the additional data is SHA-256 of all before the chunks, the number and whether it is the last. So
 * a backup that was altered, cut off, put together from two or given another header does not open.
 *
 * The first chunk holds the manifest (the masking keys), the last one the number of records; between them stand the
 * records, each an array of kind, id, version, index tokens and sealed value. */
#pragma once

#include "protocol/bytes.h"
#include "protocol/limits.h"
#include "protocol/secret.h"
#include "store/store.h"

#define BACKUP_ID_LEN   16u
#define RECOVERY_ID_LEN 8u
#define BACKUP_NAME_MAX 96u

/** What stands in front, for everybody to read. */
struct backup_header {
    uint8_t backup_id[BACKUP_ID_LEN];
    uint8_t recovery_id[RECOVERY_ID_LEN]; /* which recovery key opens it */
    uint8_t cluster_id[ID_LEN];
    uint8_t seal_id[ID_LEN];
    char cluster_name[129];
    uint64_t created_ms;
    uint64_t revision;
};

/** Takes the bytes of a backup, in order. */
struct backup_sink {
    status_code (*take)(void *context, struct slice bytes);
    void *context;
};

/* Names: CLUSTER-TIME-rREVISION-ID.hsmbackup, from which a listing reads what it shows. */

struct backup_name {
    char text[BACKUP_NAME_MAX];
    char cluster[9]; /* first digits of the cluster's id */
    uint64_t created_ms;
    uint64_t revision;
};

void backup_name_of(const struct backup_header *header, char name[BACKUP_NAME_MAX]);

/** False for what is no name of a backup. */
bool backup_name_parse(const char *text, struct backup_name *name);

/** Which key this is, without telling it. */
status_code recovery_id_of(struct slice recovery_key, uint8_t id[RECOVERY_ID_LEN]);

/* Writing. */

struct backup_writer;

/** Writes the header and the manifest. */
status_code backup_writer_begin(const struct backup_header *header, struct slice recovery_key,
                                struct slice masking_keys, const struct backup_sink *sink,
                                struct backup_writer **writer);
status_code backup_writer_add(struct backup_writer *writer, const struct store_write *record);
status_code backup_writer_end(struct backup_writer *writer);
void backup_writer_free(struct backup_writer *writer);

/* Reading: bytes go in as they come. Everything that is given to the visitor is authentic, but that the backup is whole
 * is known only when backup_reader_end says so. */

struct backup_visitor {
    status_code (*begin)(void *context, const struct backup_header *header, struct slice masking_keys);
    status_code (*record)(void *context, const struct store_write *record);
    void *context;
};

struct backup_reader;

/** `name`: what the backup is called, which it must confirm; an older one under another's name is refused. */
status_code backup_reader_begin(const char *name, struct slice recovery_key, const struct backup_visitor *visitor,
                                struct backup_reader **reader);

/** STATUS_BACKUP_INVALID says what is wrong with it. */
status_code backup_reader_take(struct backup_reader *reader, struct slice bytes);

/** After the last byte; *n is the number of records. */
status_code backup_reader_end(struct backup_reader *reader, uint64_t *n);
void backup_reader_free(struct backup_reader *reader);
