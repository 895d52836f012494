/* The cipher of a backup's chunks: backup_format.h. */
#pragma once

#include "backup/backup_format.h"

#define CHUNK_TAG_LEN 16u

struct chunk_cipher;

/** `preamble`: all that stands before the chunks, which bind it. */
status_code chunk_cipher_new(struct slice recovery_key, const uint8_t backup_id[BACKUP_ID_LEN], struct slice preamble,
                             struct chunk_cipher **cipher);
void chunk_cipher_free(struct chunk_cipher *cipher);

/** Appends the ciphertext of the next chunk and its tag. */
status_code chunk_encrypt(struct chunk_cipher *cipher, bool last, struct slice plaintext, struct bytes *out);

/** Appends the plaintext of the next chunk. STATUS_BACKUP_INVALID. */
status_code chunk_decrypt(struct chunk_cipher *cipher, bool last, struct slice ciphertext, struct bytes *out);

/** HKDF-SHA-256 of the recovery key. */
status_code recovery_derive(struct slice recovery_key, struct slice salt, const char *info, uint8_t *out, size_t len);
