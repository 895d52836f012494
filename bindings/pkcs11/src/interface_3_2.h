/* What PKCS#11 3.2 adds to the list of functions: encapsulation, which the module has (api_encapsulate.c), and
 * functions that it answers for as the standard lets it (api_3_2.c). */
#pragma once

#include "cryptoki_later.h"

/* The header of 3.0 does not know the types of the last ones; nothing is read through these pointers. */
struct function_list_3_2 {
    CK_FUNCTION_LIST_3_0 until_3_0; /* with the version in front */
    CK_RV(*encapsulate_key)
    (CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE, CK_ATTRIBUTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR,
     CK_OBJECT_HANDLE_PTR);
    CK_RV(*decapsulate_key)
    (CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE, CK_ATTRIBUTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG,
     CK_OBJECT_HANDLE_PTR);
    CK_RV (*verify_signature_init)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE, CK_BYTE_PTR, CK_ULONG);
    CK_RV (*verify_signature)(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG);
    CK_RV (*verify_signature_update)(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG);
    CK_RV (*verify_signature_final)(CK_SESSION_HANDLE);
    CK_RV (*get_session_validation_flags)(CK_SESSION_HANDLE, CK_ULONG, CK_FLAGS *);
    CK_RV (*async_complete)(CK_SESSION_HANDLE, CK_UTF8CHAR_PTR, CK_VOID_PTR);
    CK_RV (*async_get_id)(CK_SESSION_HANDLE, CK_UTF8CHAR_PTR, CK_ULONG_PTR);
    CK_RV (*async_join)(CK_SESSION_HANDLE, CK_UTF8CHAR_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG);
    CK_RV(*wrap_key_authenticated)
    (CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR,
     CK_ULONG_PTR);
    CK_RV(*unwrap_key_authenticated)
    (CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_ATTRIBUTE_PTR, CK_ULONG,
     CK_BYTE_PTR, CK_ULONG, CK_OBJECT_HANDLE_PTR);
};

_Static_assert(sizeof(struct function_list_3_2) == sizeof(CK_FUNCTION_LIST_3_0) + 12 * sizeof(void *),
               "3.2 has twelve functions more than 3.0");

/* Those that are answered for: CKR_FUNCTION_NOT_SUPPORTED, CKR_SESSION_ASYNC_NOT_SUPPORTED, or no flags. */
CK_RV verify_signature_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key,
                            CK_BYTE_PTR signature, CK_ULONG signature_len);
CK_RV verify_signature(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG data_len);
CK_RV verify_signature_final(CK_SESSION_HANDLE session);
CK_RV get_session_validation_flags(CK_SESSION_HANDLE session, CK_ULONG type, CK_FLAGS *flags);
CK_RV async_complete(CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR function, CK_VOID_PTR result);
CK_RV async_get_id(CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR function, CK_ULONG_PTR id);
CK_RV async_join(CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR function, CK_ULONG id, CK_BYTE_PTR data, CK_ULONG len);
CK_RV wrap_key_authenticated(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE wrapping_key,
                             CK_OBJECT_HANDLE key, CK_BYTE_PTR aad, CK_ULONG aad_len, CK_BYTE_PTR wrapped,
                             CK_ULONG_PTR wrapped_len);
CK_RV unwrap_key_authenticated(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE unwrapping_key,
                               CK_BYTE_PTR wrapped, CK_ULONG wrapped_len, CK_ATTRIBUTE_PTR attributes, CK_ULONG n,
                               CK_BYTE_PTR aad, CK_ULONG aad_len, CK_OBJECT_HANDLE_PTR key);

#define FUNCTIONS_OF_3_2                                                                                               \
    .encapsulate_key = C_EncapsulateKey, .decapsulate_key = C_DecapsulateKey,                                          \
    .verify_signature_init = verify_signature_init, .verify_signature = verify_signature,                              \
    .verify_signature_update = verify_signature, .verify_signature_final = verify_signature_final,                     \
    .get_session_validation_flags = get_session_validation_flags, .async_complete = async_complete,                    \
    .async_get_id = async_get_id, .async_join = async_join, .wrap_key_authenticated = wrap_key_authenticated,          \
    .unwrap_key_authenticated = unwrap_key_authenticated
