/* Functions of PKCS#11 3.2 that the module does not have: it says so, as the standard lets it. What they do is there in
 * another way: C_Verify, and C_WrapKey and C_UnwrapKey with the associated data in the parameter of CKM_AES_GCM. */
#include "interface_3_2.h"
#include "session.h"

/* What is wrong with the call comes first: CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SESSION_HANDLE_INVALID. */
static CK_RV answer(CK_SESSION_HANDLE handle, CK_RV answer)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(handle, &session));
    return answer;
}

CK_RV verify_signature_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key,
                            CK_BYTE_PTR signature, CK_ULONG signature_len)
{
    (void)mechanism;
    (void)key;
    (void)signature;
    (void)signature_len;
    return answer(session, CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV verify_signature(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG data_len)
{
    (void)data;
    (void)data_len;
    return answer(session, CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV verify_signature_final(CK_SESSION_HANDLE session)
{
    return answer(session, CKR_FUNCTION_NOT_SUPPORTED);
}

/* The flags tell what a validated module did last. This one is not validated. */
CK_RV get_session_validation_flags(CK_SESSION_HANDLE session, CK_ULONG type, CK_FLAGS *flags)
{
    TRY(answer(session, CKR_OK));
    CHECK(flags && type == CKS_LAST_VALIDATION_OK, CKR_ARGUMENTS_BAD);
    *flags = 0;
    return CKR_OK;
}

/* Sessions are never opened for asynchronous calls. */
CK_RV async_complete(CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR function, CK_VOID_PTR result)
{
    (void)function;
    (void)result;
    return answer(session, CKR_SESSION_ASYNC_NOT_SUPPORTED);
}

CK_RV async_get_id(CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR function, CK_ULONG_PTR id)
{
    (void)function;
    (void)id;
    return answer(session, CKR_SESSION_ASYNC_NOT_SUPPORTED);
}

CK_RV async_join(CK_SESSION_HANDLE session, CK_UTF8CHAR_PTR function, CK_ULONG id, CK_BYTE_PTR data, CK_ULONG len)
{
    (void)function;
    (void)id;
    (void)data;
    (void)len;
    return answer(session, CKR_SESSION_ASYNC_NOT_SUPPORTED);
}

CK_RV wrap_key_authenticated(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE wrapping_key,
                             CK_OBJECT_HANDLE key, CK_BYTE_PTR aad, CK_ULONG aad_len, CK_BYTE_PTR wrapped,
                             CK_ULONG_PTR wrapped_len)
{
    (void)mechanism;
    (void)wrapping_key;
    (void)key;
    (void)aad;
    (void)aad_len;
    (void)wrapped;
    (void)wrapped_len;
    return answer(session, CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV unwrap_key_authenticated(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE unwrapping_key,
                               CK_BYTE_PTR wrapped, CK_ULONG wrapped_len, CK_ATTRIBUTE_PTR attributes, CK_ULONG n,
                               CK_BYTE_PTR aad, CK_ULONG aad_len, CK_OBJECT_HANDLE_PTR key)
{
    (void)mechanism;
    (void)unwrapping_key;
    (void)wrapped;
    (void)wrapped_len;
    (void)attributes;
    (void)n;
    (void)aad;
    (void)aad_len;
    (void)key;
    return answer(session, CKR_FUNCTION_NOT_SUPPORTED);
}
