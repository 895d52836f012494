/* GHASH (SP 800-38D, 6.4) that can stop after any block and go on elsewhere, which OpenSSL's AES-GCM cannot.
 *
 * The bulk runs through OpenSSL all the same: GMAC of a run of blocks yields S = (X xor L) * H xor E(J), so X, the hash
 * before the length block L, is (S xor E(J)) * H^-1 xor L. What is left to do here is one multiplication a run. */
#pragma once

#include "crypto/key_internal.h"

#define GHASH_BLOCK 16u

/** hash := GHASH of `data`, padded with zeros to whole blocks, continued from hash. */
status_code ghash_update(struct key *key, unsigned worker, uint8_t hash[GHASH_BLOCK], struct slice data);

/** The last block: the lengths in bytes of additional data and ciphertext. */
status_code ghash_lengths(struct key *key, unsigned worker, uint8_t hash[GHASH_BLOCK], uint64_t aad_len,
                          uint64_t data_len);
