/* Objects: made, copied, looked at, changed, destroyed. The node enforces what the standard says of attributes; here is
 * what sessions may do, and what lies between the two forms of an object. */
#include "attribute_table.h"
#include "login.h"
#include "mechanism_object.h"

/* Objects that are made up here stay as they are. */
static CK_RV check_real(CK_OBJECT_HANDLE handle)
{
    return mechanism_object(handle) ? CKR_ACTION_PROHIBITED : CKR_OK;
}

/* A result that the object is gone: its handle goes, too. */
static CK_RV note_gone(struct session *session, const struct object_ref *object, CK_RV result)
{
    if (result == CKR_OBJECT_HANDLE_INVALID)
        object_forget(session->slot, object);
    return result;
}

static CK_RV facts_of(struct session *session, const struct object_ref *object, struct object_facts **facts)
{
    return note_gone(session, object, object_facts(session, object, facts));
}

/* --- making --- */

static CK_RV compare_claims(struct session *session, const struct object_ref *object,
                            const struct template_made *template)
{
    CLEANUP(object_facts_release) struct object_facts *facts = NULL;
    bool match;

    TRY(object_facts(session, object, &facts));
    TRY(attributes_match(session, object, object_facts_attributes(facts), template->claims, template->n_claims,
                         &match));
    return match ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
}

/* What the template said of the object and does not hold: then there is no such object. */
static CK_RV check_claims(struct session *session, CK_OBJECT_HANDLE handle, const struct template_made *template)
{
    struct object_ref object;

    if (template->n_claims == 0)
        return CKR_OK;
    TRY(object_find(session->slot, handle, &object));
    CK_RV result = compare_claims(session, &object, template);

    if (result != CKR_OK) {
        (void)hsm_object_delete(session->slot->login, object.key);
        object_forget(session->slot, &object);
    }
    return result;
}

static CK_RV create(struct session *session, const struct template_made *template, CK_OBJECT_HANDLE *handle)
{
    bool token = template_bool(template, HSM_ATTR_TOKEN, false);
    CK_OBJECT_HANDLE made;
    hsm_key key;

    TRY(session_may_write(session, token));
    LOGGED_IN(session, hsm_object_create(session->slot->login, template->attributes, template->n, &key));
    TRY(object_take_new(session, key, token, &made));
    TRY(check_claims(session, made, template));
    *handle = made;
    return CKR_OK;
}

CK_RV C_CreateObject(CK_SESSION_HANDLE hSession, CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulCount,
                     CK_OBJECT_HANDLE_PTR phObject)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(template_release) struct template_made template = TEMPLATE_INIT;

    TRY(session_enter(hSession, &session));
    CHECK(pTemplate && phObject, CKR_ARGUMENTS_BAD);
    TRY(session_needs_user(session));
    TRY(template_make(pTemplate, ulCount, TEMPLATE_CREATE, &template));
    return create(session, &template, phObject);
}

/* A copy is a token object when the original is one, unless the template says otherwise; to the cluster, it is one only
 * when the template says so. */
static CK_RV settle_token(struct session *session, const struct object_ref *original, struct template_made *template,
                          bool *token)
{
    CLEANUP(object_facts_release) struct object_facts *facts = NULL;
    static const uint8_t FLAGS[2] = {0, 1};

    TRY(facts_of(session, original, &facts));
    *token =
        template_bool(template, HSM_ATTR_TOKEN, hsm_attributes_bool(object_facts_attributes(facts), HSM_ATTR_TOKEN, 0));
    if (template_get(template, HSM_ATTR_TOKEN))
        return CKR_OK;
    return template_add(template, HSM_ATTR_TOKEN, &FLAGS[*token], 1);
}

static CK_RV copy(struct session *session, const struct object_ref *original, struct template_made *template,
                  CK_OBJECT_HANDLE *handle)
{
    hsm_key key;
    bool token;

    TRY(settle_token(session, original, template, &token));
    TRY(session_may_write(session, token));
    TRY(note_gone(session, original,
                  login_result(session, hsm_object_copy(session->slot->login, original->key, template->attributes,
                                                        template->n, &key))));
    return object_take_new(session, key, token, handle);
}

CK_RV C_CopyObject(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject, CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulCount,
                   CK_OBJECT_HANDLE_PTR phNewObject)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(template_release) struct template_made template = TEMPLATE_INIT;
    struct object_ref original;

    TRY(session_enter(hSession, &session));
    CHECK((pTemplate || ulCount == 0) && phNewObject, CKR_ARGUMENTS_BAD);
    TRY(check_real(hObject));
    TRY(object_find(session->slot, hObject, &original));
    TRY(session_needs_user(session));
    TRY(template_make(pTemplate, ulCount, TEMPLATE_COPY, &template));
    return copy(session, &original, &template, phNewObject);
}

CK_RV C_DestroyObject(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct object_ref object;

    TRY(session_enter(hSession, &session));
    TRY(check_real(hObject));
    TRY(object_find(session->slot, hObject, &object));
    TRY(session_needs_user(session));
    TRY(session_may_write(session, object.session == CK_INVALID_HANDLE));
    TRY(note_gone(session, &object, login_result(session, hsm_object_delete(session->slot->login, object.key))));
    object_forget(session->slot, &object);
    return CKR_OK;
}

/* --- looking --- */

/* How much of an object is content that does not stand among the facts. */
static CK_RV content_size(struct session *session, const struct object_ref *object, const hsm_attributes *facts,
                          CK_ULONG *size)
{
    CK_ATTRIBUTE value = {CKA_VALUE, NULL, 0};

    switch (hsm_attributes_uint(facts, HSM_ATTR_CLASS, 0)) {
    case HSM_CLASS_SECRET_KEY:
        *size = (CK_ULONG)hsm_attributes_uint(facts, HSM_ATTR_VALUE_LEN, 0);
        return CKR_OK;
    case HSM_CLASS_DATA:
    case HSM_CLASS_CERTIFICATE:
        TRY(attributes_give(session, object, facts, &value, 1));
        *size = value.ulValueLen;
        return CKR_OK;
    default: /* a private key is about as long as its public key tells */
        *size = 0;
        return CKR_OK;
    }
}

CK_RV C_GetObjectSize(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject, CK_ULONG_PTR pulSize)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(object_facts_release) struct object_facts *facts = NULL;
    struct object_ref object;
    CK_ULONG size;

    TRY(session_enter(hSession, &session));
    CHECK(pulSize, CKR_ARGUMENTS_BAD);
    if (mechanism_object(hObject)) {
        *pulSize = CK_UNAVAILABLE_INFORMATION;
        return CKR_OK;
    }
    TRY(object_find(session->slot, hObject, &object));
    TRY(facts_of(session, &object, &facts));
    const hsm_attributes *attributes = object_facts_attributes(facts);

    TRY(content_size(session, &object, attributes, &size));
    for (size_t i = 0; i < hsm_attributes_count(attributes); i++)
        size += hsm_attributes_at(attributes, i)->value_len;
    *pulSize = size;
    return CKR_OK;
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject, CK_ATTRIBUTE_PTR pTemplate,
                          CK_ULONG ulCount)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(object_facts_release) struct object_facts *facts = NULL;
    const struct mechanism_row *mechanism = mechanism_object(hObject);
    struct object_ref object;

    TRY(session_enter(hSession, &session));
    CHECK(pTemplate && ulCount <= SIZE_MAX / 2 / sizeof(*pTemplate), CKR_ARGUMENTS_BAD);
    if (mechanism)
        return mechanism_object_give(mechanism, pTemplate, ulCount);
    TRY(object_find(session->slot, hObject, &object));
    TRY(facts_of(session, &object, &facts));
    return note_gone(session, &object,
                     attributes_give(session, &object, object_facts_attributes(facts), pTemplate, ulCount));
}

/* --- changing --- */

/* The officer, an administrator of the cluster, marks what is trusted, and nothing else; nobody else does. */
static CK_RV may_set(const struct session *session, const struct template_made *template)
{
    bool trusted = template_get(template, HSM_ATTR_TRUSTED) != NULL;

    switch (session_login(session)) {
    case LOGIN_USER:
        return trusted ? CKR_ATTRIBUTE_READ_ONLY : CKR_OK;
    case LOGIN_OFFICER:
        return trusted && template->n == 1 ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
    case LOGIN_NONE:
        break;
    }
    return CKR_USER_NOT_LOGGED_IN;
}

static CK_RV set(struct session *session, const struct object_ref *object, const struct template_made *template)
{
    TRY(may_set(session, template));
    TRY(session_may_write(session, object->session == CK_INVALID_HANDLE));
    if (template->n == 0)
        return CKR_OK;
    CK_RV result =
        login_result(session, hsm_object_set(session->slot->login, object->key, template->attributes, template->n));

    object_facts_forget(session->slot, object); /* also after a failure: an answer may have been lost */
    return note_gone(session, object, result);
}

CK_RV C_SetAttributeValue(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject, CK_ATTRIBUTE_PTR pTemplate,
                          CK_ULONG ulCount)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(template_release) struct template_made template = TEMPLATE_INIT;
    struct object_ref object;

    TRY(session_enter(hSession, &session));
    CHECK(pTemplate, CKR_ARGUMENTS_BAD);
    TRY(check_real(hObject));
    TRY(object_find(session->slot, hObject, &object));
    TRY(template_make(pTemplate, ulCount, TEMPLATE_SET, &template));
    return set(session, &object, &template);
}
