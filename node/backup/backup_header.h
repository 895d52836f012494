/* The written form of what stands in the clear in front of a backup, and of its first and last chunk. */
#pragma once

#include "backup/backup_format.h"
#include "protocol/values.h"

#define BACKUP_MAGIC      "libhsm backup 1\n"
#define BACKUP_HEADER_MAX 4096u
#define CHUNK_SIZE        ((size_t)256 << 10) /* a chunk is full from here on */
#define CHUNK_MAX         ((size_t)8 << 20)   /* and never has more: one record can be large */
#define CHUNK_LAST        0x80000000u

enum { MANIFEST_MASKING_KEYS = 1, MANIFEST_N_RECORDS };

extern const struct schema BACKUP_MANIFEST_SCHEMA;

/** Appends magic, length and header. */
status_code backup_header_encode(const struct backup_header *header, struct bytes *out);

/** STATUS_BACKUP_INVALID. */
status_code backup_header_decode(struct slice encoded, struct backup_header *header);
