/* Digests: computed here, without a node and without a login. */
#include "operation.h"

static CK_RV begin(struct session *session, struct operation *operation, const CK_MECHANISM *given,
                   CK_OBJECT_HANDLE key, CK_FLAGS use)
{
    (void)session, (void)key;
    TRY(mechanism_read(given, use, &operation->mechanism));
    operation->active = true;
    return CKR_OK;
}

CK_RV C_DigestInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_begin_with(begin, session, OPERATION_DIGEST, pMechanism, CK_INVALID_HANDLE, CKF_DIGEST);
}

static hsm_status digest(hsm_session *login, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                         size_t data_len, uint8_t *out, size_t *out_len)
{
    (void)login, (void)key;
    return hsm_digest(mechanism->hash, data, data_len, out, out_len);
}

CK_RV C_Digest(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen, CK_BYTE_PTR pDigest,
               CK_ULONG_PTR pulDigestLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_once(session, OPERATION_DIGEST, digest, pData, ulDataLen, pDigest, pulDigestLen);
}

CK_RV C_DigestUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart, CK_ULONG ulPartLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_update(session, OPERATION_DIGEST, pPart, ulPartLen, NULL, NULL);
}

/* A digest is computed here, and so is that of a key: of one whose value may be seen. */
static CK_RV digest_key(struct session *session, const struct object_ref *key)
{
    static const uint32_t VALUE = HSM_ATTR_VALUE;
    struct object_facts *facts;
    hsm_attributes *attributes = NULL;
    size_t len;

    TRY(object_facts(session, key, &facts));
    const hsm_attributes *known = object_facts_attributes(facts);
    bool secret = hsm_attributes_uint(known, HSM_ATTR_CLASS, 0) == HSM_CLASS_SECRET_KEY;
    bool seen =
        !hsm_attributes_bool(known, HSM_ATTR_SENSITIVE, 1) && hsm_attributes_bool(known, HSM_ATTR_EXTRACTABLE, 0);

    object_facts_release(&facts);
    CHECK(secret && seen, CKR_KEY_INDIGESTIBLE);
    LOGGED_IN(session, hsm_object_get(session->slot->login, key->key, &VALUE, 1, &attributes));
    const uint8_t *value = hsm_attributes_bytes(attributes, HSM_ATTR_VALUE, &len);
    CK_RV result = operation_update(session, OPERATION_DIGEST, value, len, NULL, NULL);

    hsm_attributes_free(attributes);
    return result;
}

CK_RV C_DigestKey(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hKey)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct operation *operation;
    struct object_ref key;

    TRY(session_enter(hSession, &session));
    TRY(operation_active(session, OPERATION_DIGEST, &operation));
    CK_RV result = object_find_key(session->slot, hKey, &key);

    if (result == CKR_OK)
        result = digest_key(session, &key);
    return result == CKR_OK ? CKR_OK : operation_done(operation, result);
}

CK_RV C_DigestFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pDigest, CK_ULONG_PTR pulDigestLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_final(session, OPERATION_DIGEST, pDigest, pulDigestLen);
}
