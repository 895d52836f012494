/* The cluster's masking keys, from which all keys for sealing are derived: one most of the time, more while one takes
 * the place of another (rotation/rotation.h). Each has a number, its generation; whatever is sealed names the one that
 * it is sealed under.
 *
 * Kept, handed over and backed up as one secret: generation (4 bytes, big-endian) and key (32), one behind the other,
 * in ascending order. */
#pragma once

#include "protocol/generation.h"
#include "protocol/secret.h"

#define MASKING_KEY_LEN       32u
#define MASKING_KEYS_MAX      4u
#define MASKING_KEY_ENTRY_LEN (GENERATION_LEN + MASKING_KEY_LEN)
#define MASKING_KEYS_LEN_MAX  (MASKING_KEYS_MAX * MASKING_KEY_ENTRY_LEN)
#define FIRST_GENERATION      1u

/** STATUS_STORE_DAMAGED unless it is a list as described. */
status_code masking_keys_check(struct slice keys);

/** A list of one new random key. */
status_code masking_keys_make(uint32_t generation, struct secret *keys);

unsigned masking_keys_count(struct slice keys);
uint32_t masking_keys_generation(struct slice keys, unsigned i);
struct slice masking_keys_key(struct slice keys, unsigned i);

/** The highest generation; 0 of an empty list. */
uint32_t masking_keys_newest(struct slice keys);

/** All of both lists. STATUS_NOT_PERMITTED when they have different keys for one generation; STATUS_QUOTA_EXCEEDED. */
status_code masking_keys_join(struct slice one, struct slice other, struct secret *joined);

/** Those from a generation on. */
status_code masking_keys_from(struct slice keys, uint32_t oldest, struct secret *kept);
