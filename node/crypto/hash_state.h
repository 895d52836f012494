/* A hash whose state can be written down and continued on another node, which OpenSSL's digests cannot: nettle's, whose
 * contexts are plain structures. The written form is our own, big-endian, so that it does not depend on nettle's
 * layout. */
#pragma once

#include "protocol/catalog.h"

#define HASH_STATE_MAX 512u
#define HASH_BLOCK_MAX 144u

struct hash_state;

/** Bytes of one input block of the hash (FIPS 180-4, FIPS 202). */
size_t hash_block_len(enum hash hash);

status_code hash_state_new(enum hash hash, struct hash_state **state);
void hash_state_free(struct hash_state **state); /* wipes; fits CLEANUP */
void hash_state_update(struct hash_state *state, struct slice data);
/** `digest` has room for hash_info()->len bytes. */
void hash_state_finish(struct hash_state *state, uint8_t *digest);

status_code hash_state_write(const struct hash_state *state, struct bytes *out);
status_code hash_state_read(enum hash hash, struct slice written, struct hash_state **state);
