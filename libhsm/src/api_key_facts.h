/* How long an output will be, told beforehand: from the mechanism alone where that decides, else by asking for the
 * key's size. */
#pragma once

#include "api_parts.h"

/** Exact length of a signature or MAC. May reach the network. */
status_code signature_room(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism, size_t *room);

/** Length of what encrypting or decrypting `data_len` bytes gives: exact, or an upper bound where padding hides it. May
 * reach the network (RSA). */
status_code crypt_room(const struct parts *parts, size_t data_len, size_t *room);
