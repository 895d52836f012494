/* What mechanism objects tell, and which of them a template fits. */
#include "mechanism_object.h"

#include <stdlib.h>
#include "attribute.h"
#include "mechanism_offer.h"

#define MECHANISM_HANDLE ((CK_OBJECT_HANDLE)1 << (8 * sizeof(CK_OBJECT_HANDLE) - 1))
#define VALUE_MAX        sizeof(CK_ULONG) /* the longest value that they have */

const struct mechanism_row *mechanism_object(CK_OBJECT_HANDLE handle)
{
    size_t n;
    const struct mechanism_row *rows = mechanism_rows(&n);
    CK_OBJECT_HANDLE place = handle & ~MECHANISM_HANDLE;

    return handle & MECHANISM_HANDLE && place < n ? &rows[place] : NULL;
}

static CK_RV put_flag(CK_ATTRIBUTE *wanted, CK_BBOOL flag)
{
    return attribute_put(wanted, &flag, sizeof(flag));
}

static CK_RV give(const struct mechanism_row *row, CK_ATTRIBUTE *wanted)
{
    static const CK_OBJECT_CLASS CLASS = CKO_MECHANISM;

    switch (wanted->type) {
    case CKA_CLASS:
        return attribute_put(wanted, &CLASS, sizeof(CLASS));
    case CKA_MECHANISM_TYPE:
        return attribute_put(wanted, &row->type, sizeof(row->type));
    case CKA_TOKEN:
        return put_flag(wanted, CK_TRUE);
    case CKA_PRIVATE:
    case CKA_MODIFIABLE:
        return put_flag(wanted, CK_FALSE);
    default:
        wanted->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
}

CK_RV mechanism_object_give(const struct mechanism_row *row, CK_ATTRIBUTE *wanted, CK_ULONG n)
{
    CK_RV first = CKR_OK;

    for (CK_ULONG i = 0; i < n; i++) {
        CK_RV result = give(row, &wanted[i]);

        first = first == CKR_OK ? result : first;
    }
    return first;
}

bool mechanism_objects_wanted(const CK_ATTRIBUTE *given, CK_ULONG n)
{
    CK_OBJECT_CLASS wanted;

    for (CK_ULONG i = 0; i < n; i++) {
        if (given[i].type != CKA_CLASS || !given[i].pValue || given[i].ulValueLen != sizeof(wanted))
            continue;
        memcpy(&wanted, given[i].pValue, sizeof(wanted));
        return wanted == CKO_MECHANISM;
    }
    return false;
}

static bool fits(const struct mechanism_row *row, const CK_ATTRIBUTE *given, CK_ULONG n)
{
    for (CK_ULONG i = 0; i < n; i++) {
        uint8_t value[VALUE_MAX];
        CK_ATTRIBUTE actual = {given[i].type, value, sizeof(value)};

        if (give(row, &actual) != CKR_OK || actual.ulValueLen != given[i].ulValueLen ||
            memcmp(value, given[i].pValue, actual.ulValueLen) != 0)
            return false;
    }
    return true;
}

CK_RV mechanism_objects_find(struct slot *slot, const CK_ATTRIBUTE *given, CK_ULONG n, CK_OBJECT_HANDLE **handles,
                             size_t *n_handles)
{
    const struct slot_mechanism *offered;
    size_t n_offered, n_rows, n_found = 0;
    const struct mechanism_row *rows = mechanism_rows(&n_rows);

    for (CK_ULONG i = 0; i < n; i++)
        CHECK(given[i].pValue || given[i].ulValueLen == 0, CKR_ARGUMENTS_BAD);
    TRY(slot_mechanisms(slot, &offered, &n_offered));
    CK_OBJECT_HANDLE *found = calloc(n_rows + 1, sizeof(*found));

    CHECK(found, CKR_HOST_MEMORY);
    for (size_t i = 0; i < n_rows; i++)
        if (mechanism_uses(&rows[i], mechanism_at_node(&rows[i], offered, n_offered)) != 0 && fits(&rows[i], given, n))
            found[n_found++] = MECHANISM_HANDLE | i;
    *handles = found;
    *n_handles = n_found;
    return CKR_OK;
}
