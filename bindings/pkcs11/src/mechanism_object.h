/* Objects of class CKO_MECHANISM, one for each mechanism that the cluster offers (PKCS#11 2.40, 4.12). They are made up
 * here: their handles have the highest bit, which no handle of the table of objects ever gets, and below it the place
 * of the mechanism's row. They are found only by their class, as the standard wants, and need no login.
 *
 * Of hardware features (CKO_HW_FEATURE) the cluster has none. */
#pragma once

#include "mechanism.h"
#include "slot.h"

/* The row of such a handle; NULL when it is no such handle. */
const struct mechanism_row *mechanism_object(CK_OBJECT_HANDLE handle);

/* As attributes_give. */
CK_RV mechanism_object_give(const struct mechanism_row *row, CK_ATTRIBUTE *wanted, CK_ULONG n);

/* Whether a template looks for them. */
bool mechanism_objects_wanted(const CK_ATTRIBUTE *given, CK_ULONG n);

/* The handles of those that a template, whose values are not NULL, fits; to be freed. */
CK_RV mechanism_objects_find(struct slot *slot, const CK_ATTRIBUTE *given, CK_ULONG n, CK_OBJECT_HANDLE **handles,
                             size_t *n_handles);
