/* How an operation begins, and whether it may go on: operation.h tells the rules. */
#include "guest.h"
#include "mechanism_offer.h"
#include "operation.h"

static uint32_t attribute_of_use(CK_FLAGS use)
{
    static const struct {
        CK_FLAGS use;
        uint32_t attribute;
    } USES[] = {
        {CKF_ENCRYPT, HSM_ATTR_ENCRYPT},
        {CKF_DECRYPT, HSM_ATTR_DECRYPT},
        {CKF_SIGN, HSM_ATTR_SIGN},
        {CKF_VERIFY, HSM_ATTR_VERIFY},
        {CKF_SIGN_RECOVER, HSM_ATTR_SIGN_RECOVER},
        {CKF_VERIFY_RECOVER, HSM_ATTR_VERIFY_RECOVER},
        {CKF_WRAP, HSM_ATTR_WRAP},
        {CKF_UNWRAP, HSM_ATTR_UNWRAP},
        {CKF_DERIVE, HSM_ATTR_DERIVE},
        {CKF_ENCAPSULATE, HSM_ATTR_ENCAPSULATE},
        {CKF_DECAPSULATE, HSM_ATTR_DECAPSULATE},
        {CKF_MESSAGE_ENCRYPT, HSM_ATTR_ENCRYPT},
        {CKF_MESSAGE_DECRYPT, HSM_ATTR_DECRYPT},
    };

    for (size_t i = 0; i < sizeof(USES) / sizeof(USES[0]); i++)
        if (USES[i].use == use)
            return USES[i].attribute;
    return 0;
}

/* Which classes of key a use is for. */
static bool class_fits(CK_FLAGS use, uint64_t object_class)
{
    if (object_class == HSM_CLASS_SECRET_KEY)
        return true;
    if (use & (CKF_SIGN | CKF_SIGN_RECOVER | CKF_DECRYPT | CKF_UNWRAP | CKF_DERIVE | CKF_DECAPSULATE))
        return object_class == HSM_CLASS_PRIVATE_KEY;
    if (use & (CKF_VERIFY | CKF_VERIFY_RECOVER | CKF_ENCRYPT | CKF_WRAP | CKF_ENCAPSULATE))
        return object_class == HSM_CLASS_PUBLIC_KEY;
    return false;
}

static CK_RV check_facts(const hsm_attributes *facts, const struct mechanism_row *row, CK_FLAGS use)
{
    uint64_t type = hsm_attributes_uint(facts, HSM_ATTR_KEY_TYPE, 0);
    uint64_t object_class = hsm_attributes_uint(facts, HSM_ATTR_CLASS, 0);

    CHECK(object_class == HSM_CLASS_SECRET_KEY || object_class == HSM_CLASS_PUBLIC_KEY ||
              object_class == HSM_CLASS_PRIVATE_KEY,
          CKR_KEY_HANDLE_INVALID);
    CHECK(row->key_type == CK_UNAVAILABLE_INFORMATION || key_type_of(type) == row->key_type, CKR_KEY_TYPE_INCONSISTENT);
    CHECK(class_fits(use, object_class), CKR_KEY_TYPE_INCONSISTENT);
    CHECK(hsm_attributes_bool(facts, attribute_of_use(use), 0), CKR_KEY_FUNCTION_NOT_PERMITTED);
    /* They have no place for the login, and must not use up the one that was for a signature. */
    CHECK(!(use & (CKF_UNWRAP | CKF_DERIVE | CKF_DECAPSULATE)) ||
              !hsm_attributes_bool(facts, HSM_ATTR_ALWAYS_AUTHENTICATE, 0),
          CKR_USER_NOT_LOGGED_IN);
    return CKR_OK;
}

/* What is known already lets a key pass; only a refusal is worth asking a node whether it still holds. The facts that
 * it passed by are the caller's to release. */
static CK_RV usable_facts(struct session *session, const struct object_ref *key, const struct mechanism_row *row,
                          CK_FLAGS use, struct object_facts **facts)
{
    *facts = object_facts_known(session->slot, key);
    if (*facts && check_facts(object_facts_attributes(*facts), row, use) == CKR_OK)
        return CKR_OK;
    if (*facts)
        object_facts_release(facts);
    TRY(object_facts(session, key, facts));
    CK_RV result = check_facts(object_facts_attributes(*facts), row, use);

    if (result != CKR_OK)
        object_facts_release(facts);
    return result;
}

CK_RV key_check_use(struct session *session, const struct object_ref *key, const struct mechanism_row *row,
                    CK_FLAGS use)
{
    struct object_facts *facts;

    TRY(usable_facts(session, key, row, use, &facts));
    object_facts_release(&facts);
    return CKR_OK;
}

/* What the guest may do for whoever is not logged in: with public keys, which is checked when the key is known. */
static CK_RV check_user(struct session *session, CK_FLAGS use)
{
    if (use & (CKF_VERIFY | CKF_ENCRYPT | CKF_VERIFY_RECOVER) && session_login(session) == LOGIN_NONE &&
        guest_is_configured(session->slot))
        return CKR_OK;
    return session_needs_user(session);
}

/* Whether it needs none of the slot's logins: digests, and what anybody may do with a public key. */
static bool is_for_anybody(const struct operation *operation)
{
    return operation->of_public_key || operation->key.handle == CK_INVALID_HANDLE;
}

/* Through which login an operation goes on: whoever logs in or out meanwhile, a key that is not public is used by the
 * slot's login alone. */
CK_RV operation_login(struct session *session, const struct operation *operation, hsm_session **login)
{
    if (operation->of_public_key)
        return session_reader(session, login);
    *login = session->slot->login;
    return CKR_OK;
}

/* None of it changes as long as there is the key. */
static void note_key(struct operation *operation, const hsm_attributes *facts)
{
    operation->wants_user = hsm_attributes_bool(facts, HSM_ATTR_ALWAYS_AUTHENTICATE, 0);
    operation->of_public_key = hsm_attributes_uint(facts, HSM_ATTR_CLASS, 0) == HSM_CLASS_PUBLIC_KEY &&
                               !hsm_attributes_bool(facts, HSM_ATTR_PRIVATE, 1);
}

CK_RV operation_goes_on(struct session *session, const struct operation *operation)
{
    CHECK(!operation->wants_user || operation->user_came, CKR_USER_NOT_LOGGED_IN);
    return is_for_anybody(operation) ? CKR_OK : session_needs_user(session);
}

CK_RV operation_begin_with(operation_beginner begin, struct session *session, enum operation_kind kind,
                           const CK_MECHANISM *given, CK_OBJECT_HANDLE key, CK_FLAGS use)
{
    struct operation *operation = &session->operations[kind];

    if (!given) {
        CHECK(operation->active, CKR_ARGUMENTS_BAD);
        operation_end(operation);
        return CKR_OK;
    }
    CHECK(!operation->active, CKR_OPERATION_ACTIVE);
    CK_RV result = begin(session, operation, given, key, use);

    if (result != CKR_OK)
        operation_end(operation);
    operation->begun = ++session->n_begun;
    return result;
}

static CK_RV begin_with_key(struct session *session, struct operation *operation, const CK_MECHANISM *given,
                            CK_OBJECT_HANDLE key, CK_FLAGS use)
{
    struct object_facts *facts;

    TRY(check_user(session, use));
    TRY(mechanism_read(given, use, &operation->mechanism));
    TRY(mechanism_check_offered(session->slot, operation->mechanism.row, use));
    TRY(object_find_key(session->slot, key, &operation->key));
    TRY(usable_facts(session, &operation->key, operation->mechanism.row, use, &facts));
    note_key(operation, object_facts_attributes(facts));
    object_facts_release(&facts);
    if (!is_for_anybody(operation))
        TRY(session_needs_user(session));
    operation->active = true;
    return CKR_OK;
}

CK_RV operation_begin(struct session *session, enum operation_kind kind, const CK_MECHANISM *given,
                      CK_OBJECT_HANDLE key, CK_FLAGS use)
{
    return operation_begin_with(begin_with_key, session, kind, given, key, use);
}
