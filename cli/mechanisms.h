/* The mechanism that a command's options mean. */
#pragma once

#include "command.h"

/** --mechanism (default: the usual one of the key's type for the use), --hash, --mgf-hash, --aad. */
enum mechanism_purpose { PURPOSE_SIGN, PURPOSE_ENCRYPT, PURPOSE_WRAP };
int mechanism_parse(struct context *context, uint32_t key_type, enum mechanism_purpose purpose,
                    hsm_mechanism *mechanism);

/** Bytes of the nonce that stands before a ciphertext; 0 for mechanisms without one. */
size_t mechanism_nonce_len(uint32_t mechanism);
