/* Making keys: generated, wrapped and unwrapped. */
#include "mechanism_offer.h"
#include "operation.h"

/* The class and type that a mechanism makes may stand in the template, where they must be right, or be left out. */
static CK_RV expect(struct template_made *template, uint32_t type, const uint64_t *value)
{
    const hsm_attribute *given = template_get(template, type);

    if (!given)
        return CKR_OK;
    CHECK(given->value_len == sizeof(*value) && memcmp(given->value, value, sizeof(*value)) == 0,
          CKR_TEMPLATE_INCONSISTENT);
    return CKR_OK;
}

static CK_RV expect_key(struct template_made *template, uint64_t object_class, uint64_t key_type)
{
    TRY(expect(template, HSM_ATTR_CLASS, &object_class));
    return expect(template, HSM_ATTR_KEY_TYPE, &key_type);
}

/* --- generating --- */

static CK_RV generate(struct session *session, const CK_MECHANISM *given, const CK_ATTRIBUTE *attributes, CK_ULONG n,
                      struct mechanism *mechanism, struct template_made *template, CK_OBJECT_HANDLE *handle)
{
    hsm_key key;

    TRY(session_needs_user(session));
    TRY(mechanism_read(given, CKF_GENERATE, mechanism));
    TRY(mechanism_check_offered(session->slot, mechanism->row, CKF_GENERATE));
    TRY(template_make(attributes, n, TEMPLATE_GENERATE, template));
    TRY(expect_key(template, HSM_CLASS_SECRET_KEY, hsm_mechanism_key_type(mechanism->hsm.type)));
    TRY(session_may_write(session, template_for_token(template)));
    TRY(key_result(
        session, hsm_key_generate(session->slot->login, mechanism->hsm.type, template->attributes, template->n, &key)));
    return object_take_new(session, key, template_for_token(template), handle);
}

CK_RV C_GenerateKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_ATTRIBUTE_PTR pTemplate,
                    CK_ULONG ulCount, CK_OBJECT_HANDLE_PTR phKey)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(mechanism_release) struct mechanism mechanism = MECHANISM_INIT;
    CLEANUP(template_release) struct template_made template = TEMPLATE_INIT;

    TRY(session_enter(hSession, &session));
    CHECK(pMechanism && phKey, CKR_ARGUMENTS_BAD);
    return generate(session, pMechanism, pTemplate, ulCount, &mechanism, &template, phKey);
}

struct pair {
    struct mechanism mechanism;
    struct template_made public_template, private_template;
};

static void pair_release(struct pair *pair)
{
    mechanism_release(&pair->mechanism);
    template_release(&pair->public_template);
    template_release(&pair->private_template);
}

/* A curve that is known, but is not one of the mechanism's. */
static CK_RV check_curve(const struct template_made *template, uint32_t mechanism)
{
    const hsm_attribute *oid = template_get(template, HSM_ATTR_EC_PARAMS);

    CHECK(!oid || hsm_curve_key_type(hsm_curve_by_oid(oid->value, oid->value_len)) == hsm_mechanism_key_type(mechanism),
          CKR_CURVE_NOT_SUPPORTED);
    return CKR_OK;
}

static CK_RV generate_pair(struct session *session, struct pair *pair, CK_OBJECT_HANDLE *public_handle,
                           CK_OBJECT_HANDLE *private_handle)
{
    struct template_made *publics = &pair->public_template, *privates = &pair->private_template;
    uint32_t type = pair->mechanism.hsm.type;
    hsm_key public_key, private_key;

    TRY(check_curve(publics, type));
    TRY(check_curve(privates, type));
    TRY(template_settle(publics, hsm_mechanism_key_type(type)));
    TRY(template_settle(privates, hsm_mechanism_key_type(type)));
    TRY(expect_key(publics, HSM_CLASS_PUBLIC_KEY, hsm_mechanism_key_type(type)));
    TRY(expect_key(privates, HSM_CLASS_PRIVATE_KEY, hsm_mechanism_key_type(type)));
    TRY(session_may_write(session, template_for_token(publics)));
    TRY(session_may_write(session, template_for_token(privates)));
    TRY(key_result(session, hsm_key_pair_generate(session->slot->login, type, publics->attributes, publics->n,
                                                  privates->attributes, privates->n, &public_key, &private_key)));
    TRY(object_take_new(session, public_key, template_for_token(publics), public_handle));
    return object_take_new(session, private_key, template_for_token(privates), private_handle);
}

CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_ATTRIBUTE_PTR pPublicKeyTemplate,
                        CK_ULONG ulPublicKeyAttributeCount, CK_ATTRIBUTE_PTR pPrivateKeyTemplate,
                        CK_ULONG ulPrivateKeyAttributeCount, CK_OBJECT_HANDLE_PTR phPublicKey,
                        CK_OBJECT_HANDLE_PTR phPrivateKey)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(pair_release) struct pair pair = {.mechanism = MECHANISM_INIT};

    TRY(session_enter(hSession, &session));
    CHECK(pMechanism && phPublicKey && phPrivateKey, CKR_ARGUMENTS_BAD);
    TRY(session_needs_user(session));
    TRY(mechanism_read(pMechanism, CKF_GENERATE_KEY_PAIR, &pair.mechanism));
    TRY(mechanism_check_offered(session->slot, pair.mechanism.row, CKF_GENERATE_KEY_PAIR));
    TRY(template_make(pPublicKeyTemplate, ulPublicKeyAttributeCount, TEMPLATE_GENERATE, &pair.public_template));
    TRY(template_make(pPrivateKeyTemplate, ulPrivateKeyAttributeCount, TEMPLATE_GENERATE, &pair.private_template));
    return generate_pair(session, &pair, phPublicKey, phPrivateKey);
}

/* --- wrapping --- */

static CK_RV wrapping_key(struct session *session, CK_OBJECT_HANDLE handle, const struct mechanism *mechanism,
                          CK_FLAGS use, struct object_ref *key)
{
    bool wrapping = use == CKF_WRAP;

    CHECK(object_find(session->slot, handle, key) == CKR_OK,
          wrapping ? CKR_WRAPPING_KEY_HANDLE_INVALID : CKR_UNWRAPPING_KEY_HANDLE_INVALID);
    CK_RV result = key_check_use(session, key, mechanism->row, use);

    if (result == CKR_KEY_TYPE_INCONSISTENT)
        return wrapping ? CKR_WRAPPING_KEY_TYPE_INCONSISTENT : CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT;
    return result;
}

/* How much CKM_CLOUDHSM_AES_GCM puts in front of the wrapped key: the nonce. */
static size_t nonce_in_front(const struct mechanism *mechanism)
{
    return mechanism->row->output == OUTPUT_NONCE_TAGGED ? HSM_NONCE_MADE_LEN : 0;
}

static CK_RV flag_of(struct session *session, const struct object_ref *key, uint32_t attribute, bool *flag)
{
    struct object_facts *facts;

    TRY(object_facts(session, key, &facts));
    *flag = hsm_attributes_bool(object_facts_attributes(facts), attribute, 0);
    object_facts_release(&facts);
    return CKR_OK;
}

/* The standard's words for why a key is not wrapped (PKCS#11 2.40, 4.9.1 and 5.13.3): one that only a trusted key wraps
 * is told from one that does not fit the other's CKA_WRAP_TEMPLATE. */
static CK_RV wrap_result(struct session *session, const struct object_ref *wrapping, const struct object_ref *key,
                         CK_RV result)
{
    bool choosy, trusted;

    CHECK(result != CKR_DATA_LEN_RANGE, CKR_KEY_SIZE_RANGE);
    CHECK(result == CKR_KEY_NOT_WRAPPABLE, result);
    TRY(flag_of(session, key, HSM_ATTR_WRAP_WITH_TRUSTED, &choosy));
    TRY(flag_of(session, wrapping, HSM_ATTR_TRUSTED, &trusted));
    return choosy && !trusted ? CKR_KEY_NOT_WRAPPABLE : CKR_KEY_HANDLE_INVALID;
}

static CK_RV wrap(struct session *session, const CK_MECHANISM *given, CK_OBJECT_HANDLE under, CK_OBJECT_HANDLE handle,
                  struct mechanism *mechanism, CK_BYTE *wrapped, CK_ULONG *wrapped_len)
{
    struct object_ref wrapping, key;

    TRY(session_needs_user(session));
    TRY(mechanism_read(given, CKF_WRAP, mechanism));
    TRY(mechanism_check_offered(session->slot, mechanism->row, CKF_WRAP));
    TRY(wrapping_key(session, under, mechanism, CKF_WRAP, &wrapping));
    TRY(object_find_key(session->slot, handle, &key));
    size_t front = nonce_in_front(mechanism), len = wrapped && *wrapped_len > front ? *wrapped_len - front : 0;
    CK_RV result = key_result(session, hsm_wrap(session->slot->login, wrapping.key, &mechanism->hsm, key.key,
                                                len > 0 ? wrapped + front : NULL, &len));

    if (result == CKR_OK && wrapped && len + front > *wrapped_len)
        result = CKR_BUFFER_TOO_SMALL; /* only the length was asked for */
    if (result == CKR_OK || result == CKR_BUFFER_TOO_SMALL)
        *wrapped_len = front + len;
    if (result == CKR_BUFFER_TOO_SMALL && !wrapped)
        return CKR_OK;
    if (result != CKR_OK || !wrapped)
        return wrap_result(session, &wrapping, &key, result);
    if (front > 0)
        memcpy(wrapped, mechanism->nonce_made, front);
    if (mechanism->nonce_back)
        memcpy(mechanism->nonce_back, mechanism->nonce_made, HSM_NONCE_MADE_LEN);
    return CKR_OK;
}

CK_RV C_WrapKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hWrappingKey,
                CK_OBJECT_HANDLE hKey, CK_BYTE_PTR pWrappedKey, CK_ULONG_PTR pulWrappedKeyLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(mechanism_release) struct mechanism mechanism = MECHANISM_INIT;

    TRY(session_enter(hSession, &session));
    CHECK(pMechanism && pulWrappedKeyLen, CKR_ARGUMENTS_BAD);
    return wrap(session, pMechanism, hWrappingKey, hKey, &mechanism, pWrappedKey, pulWrappedKeyLen);
}

/* Takes the nonce that stands in front of the wrapped key. */
static CK_RV take_nonce(struct mechanism *mechanism, const CK_BYTE **wrapped, CK_ULONG *wrapped_len)
{
    size_t front = nonce_in_front(mechanism);

    if (front == 0)
        return CKR_OK;
    CHECK(*wrapped_len > front, CKR_WRAPPED_KEY_LEN_RANGE);
    mechanism->hsm.nonce = *wrapped;
    mechanism->hsm.nonce_len = front;
    *wrapped += front;
    *wrapped_len -= front;
    return CKR_OK;
}

static CK_RV unwrap(struct session *session, struct mechanism *mechanism, CK_OBJECT_HANDLE under,
                    const CK_BYTE *wrapped, CK_ULONG wrapped_len, const struct template_made *template,
                    CK_OBJECT_HANDLE *handle)
{
    struct object_ref unwrapping;
    hsm_key key;

    TRY(wrapping_key(session, under, mechanism, CKF_UNWRAP, &unwrapping));
    TRY(session_may_write(session, template_for_token(template)));
    TRY(take_nonce(mechanism, &wrapped, &wrapped_len));
    CK_RV result = key_result(session, hsm_unwrap(session->slot->login, unwrapping.key, &mechanism->hsm, wrapped,
                                                  wrapped_len, template->attributes, template->n, &key));

    CHECK(result != CKR_DATA_LEN_RANGE, CKR_WRAPPED_KEY_LEN_RANGE);
    CHECK(result != CKR_ENCRYPTED_DATA_INVALID, CKR_WRAPPED_KEY_INVALID);
    TRY(result);
    return object_take_new(session, key, template_for_token(template), handle);
}

CK_RV C_UnwrapKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hUnwrappingKey,
                  CK_BYTE_PTR pWrappedKey, CK_ULONG ulWrappedKeyLen, CK_ATTRIBUTE_PTR pTemplate,
                  CK_ULONG ulAttributeCount, CK_OBJECT_HANDLE_PTR phKey)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(mechanism_release) struct mechanism mechanism = MECHANISM_INIT;
    CLEANUP(template_release) struct template_made template = TEMPLATE_INIT;

    TRY(session_enter(hSession, &session));
    CHECK(pMechanism && phKey && pWrappedKey && ulWrappedKeyLen <= SIZE_MAX / 2, CKR_ARGUMENTS_BAD);
    TRY(session_needs_user(session));
    TRY(mechanism_read(pMechanism, CKF_UNWRAP, &mechanism));
    TRY(mechanism_check_offered(session->slot, mechanism.row, CKF_UNWRAP));
    TRY(template_make(pTemplate, ulAttributeCount, TEMPLATE_GENERATE, &template));
    return unwrap(session, &mechanism, hUnwrappingKey, pWrappedKey, ulWrappedKeyLen, &template, phKey);
}
