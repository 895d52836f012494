/* The list of functions of PKCS#11 3.2 as the standard lays it out, which the tests' header does not know yet. */
#pragma once

#include "pkcs11_fixture.h"

struct list_3_2 {
    CK_FUNCTION_LIST_3_0 until_3_0;
    CK_RV(*encapsulate)
    (CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG, CK_BYTE *, CK_ULONG *,
     CK_OBJECT_HANDLE *);
    CK_RV(*decapsulate)
    (CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG, CK_BYTE *, CK_ULONG,
     CK_OBJECT_HANDLE *);
    CK_RV (*verify_signature_init)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_BYTE *, CK_ULONG);
    CK_RV (*verify_signature)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG);
    CK_RV (*verify_signature_update)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG);
    CK_RV (*verify_signature_final)(CK_SESSION_HANDLE);
    CK_RV (*validation_flags)(CK_SESSION_HANDLE, CK_ULONG, CK_FLAGS *);
    CK_RV (*async_complete)(CK_SESSION_HANDLE, CK_CHAR *, void *);
    CK_RV (*async_get_id)(CK_SESSION_HANDLE, CK_CHAR *, CK_ULONG *);
    CK_RV (*async_join)(CK_SESSION_HANDLE, CK_CHAR *, CK_ULONG, CK_BYTE *, CK_ULONG);
    CK_RV(*wrap_authenticated)
    (CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
    CK_RV(*unwrap_authenticated)
    (CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_BYTE *, CK_ULONG, CK_ATTRIBUTE *, CK_ULONG, CK_BYTE *,
     CK_ULONG, CK_OBJECT_HANDLE *);
};

/** The module's. */
static inline const struct list_3_2 *list_3_2(void)
{
    CK_INTERFACE *found;

    FINE(p11->C_GetInterface((CK_CHAR *)"PKCS 11", &(CK_VERSION){3, 2}, &found, CKF_INTERFACE_FORK_SAFE));
    return found->pFunctionList;
}
