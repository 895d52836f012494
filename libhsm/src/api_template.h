/* Attributes on their way in (templates) and out (owned results). */
#pragma once

#include "api.h"
#include "hsm/catalog.h"
#include "hsm/object.h"
#include "protocol/bytes.h"
#include "protocol/values.h"

/** Appends the attribute set; `out` should be secret, as a VALUE may be among them. STATUS_ATTRIBUTE_TYPE_INVALID,
 * STATUS_ATTRIBUTE_VALUE_INVALID, STATUS_TEMPLATE_INCONSISTENT. */
status_code template_encode(const hsm_attribute *attributes, size_t n, struct bytes *out);

/** Appends a WANTED value. */
status_code wanted_encode(const uint32_t *wanted, size_t n_wanted, struct bytes *out);

/** An owned set out of an encoded one, in one allocation. `wanted` (a UINTS value; empty: all) filters. */
status_code attributes_decode(struct slice encoded, struct slice wanted, hsm_attributes **attributes);
