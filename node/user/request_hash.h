/* What tells one request from another, for whatever is spent on one: a resend after a lost answer has the same. */
#pragma once

#include "user/user.h"

#define REQUEST_HASH_LEN 32u

/** SHA-256 of the caller's operation and its fields, but for what it is paid with. */
status_code request_hash(const struct caller *caller, uint8_t hash[REQUEST_HASH_LEN]);
