/* What api_object.c does, for the other public functions that are made of it. As the public calls of the same names. */
#pragma once

#include "api_call.h"

status_code api_key_generate(hsm_session *session, uint32_t mechanism, const hsm_attribute *attributes, size_t n,
                             hsm_key *key);
status_code api_key_pair_generate(hsm_session *session, uint32_t mechanism, const hsm_attribute *public_attributes,
                                  size_t n_public, const hsm_attribute *private_attributes, size_t n_private,
                                  hsm_key *public_key, hsm_key *private_key);
status_code api_object_get(hsm_session *session, const hsm_key *object, const uint32_t *wanted, size_t n_wanted,
                           hsm_attributes **attributes);
