/* Shares of a recovery key, as bytes and as text (hsm/backup.h). */
#pragma once

#include "protocol/secret.h"

#define RECOVERY_KEY_BYTES 32u
#define SHARE_SET_LEN      4u /* tells shares of different keys apart */

struct recovery_share {
    uint8_t threshold, n, index; /* index: 1 to n */
    uint8_t set[SHARE_SET_LEN];
    uint8_t value[RECOVERY_KEY_BYTES];
};

/** A share's text is PREFIX and groups of letters and digits; SHARE_TEXT_MAX bytes with the NUL. */
#define SHARE_TEXT_MAX 112u

status_code share_to_text(const struct recovery_share *share, char text[SHARE_TEXT_MAX]);

/** `number` is the share's place among those that were given, for error texts. STATUS_INVALID_ARGUMENT. */
status_code share_from_text(const char *text, size_t number, struct recovery_share *share);

/** Shares 1 to n; the shares' `value`, `index`, `threshold`, `n` are filled in. */
status_code shares_make(const uint8_t key[RECOVERY_KEY_BYTES], uint32_t threshold, uint32_t n,
                        struct recovery_share *shares);

/** From exactly `threshold` shares with different indices. */
void shares_join(const struct recovery_share *shares, size_t threshold, uint8_t key[RECOVERY_KEY_BYTES]);
