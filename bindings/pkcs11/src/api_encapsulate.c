/* Encapsulation of PKCS#11 3.2: a shared secret under a public key, and out of its ciphertext (FIPS 203). The secret
 * stays in the cluster; the ciphertext alone comes out. */
#include "mechanism_offer.h"
#include "operation.h"

#define CIPHERTEXT_MAX 1568u

/* FIPS 203, table 3. */
static const struct {
    uint64_t parameter_set;
    CK_ULONG ciphertext_len;
} CIPHERTEXTS[] = {{512, 768}, {768, 1088}, {1024, CIPHERTEXT_MAX}};

static CK_RV ciphertext_len(struct session *session, const struct object_ref *key, CK_ULONG *len)
{
    struct object_facts *facts;

    TRY(object_facts(session, key, &facts));
    uint64_t set = hsm_attributes_uint(object_facts_attributes(facts), HSM_ATTR_PARAMETER_SET, 0);

    object_facts_release(&facts);
    for (size_t i = 0; i < sizeof(CIPHERTEXTS) / sizeof(CIPHERTEXTS[0]); i++) {
        if (CIPHERTEXTS[i].parameter_set != set)
            continue;
        *len = CIPHERTEXTS[i].ciphertext_len;
        return CKR_OK;
    }
    return CKR_KEY_TYPE_INCONSISTENT;
}

struct encapsulation {
    struct mechanism mechanism;
    struct template_made template;
    struct object_ref key;
};

static void encapsulation_release(struct encapsulation *encapsulation)
{
    mechanism_release(&encapsulation->mechanism);
    template_release(&encapsulation->template);
}

static CK_RV make_template(struct session *session, const CK_ATTRIBUTE *attributes, CK_ULONG n,
                           struct template_made *template)
{
    TRY(template_make(attributes, n, TEMPLATE_GENERATE, template));
    TRY(session_may_write(session, template_for_token(template)));
    return template_settle_secret(template);
}

static CK_RV begin(struct session *session, const CK_MECHANISM *given, CK_FLAGS use, CK_OBJECT_HANDLE key,
                   struct encapsulation *encapsulation)
{
    TRY(session_needs_user(session));
    TRY(mechanism_read(given, use, &encapsulation->mechanism));
    TRY(mechanism_check_offered(session->slot, encapsulation->mechanism.row, use));
    TRY(object_find_key(session->slot, key, &encapsulation->key));
    return key_check_use(session, &encapsulation->key, encapsulation->mechanism.row, use);
}

static CK_RV encapsulate(struct session *session, struct encapsulation *encapsulation, CK_BYTE *ciphertext,
                         CK_ULONG *room, CK_OBJECT_HANDLE *handle)
{
    const struct template_made *template = &encapsulation->template;
    CK_BYTE made[CIPHERTEXT_MAX];
    size_t len = sizeof(made);
    CK_ULONG needed, given = *room;
    hsm_key key;

    TRY(ciphertext_len(session, &encapsulation->key, &needed));
    *room = needed;
    if (!ciphertext)
        return CKR_OK;
    CHECK(given >= needed, CKR_BUFFER_TOO_SMALL);
    TRY(key_result(session, hsm_encapsulate(session->slot->login, encapsulation->key.key, &encapsulation->mechanism.hsm,
                                            template->attributes, template->n, made, &len, &key)));
    TRY(object_take_new(session, key, template_for_token(template), handle));
    memcpy(ciphertext, made, needed);
    return CKR_OK;
}

CK_RV C_EncapsulateKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hPublicKey,
                       CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulAttributeCount, CK_BYTE_PTR pCiphertext,
                       CK_ULONG_PTR pulCiphertextLen, CK_OBJECT_HANDLE_PTR phKey)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(encapsulation_release)
    struct encapsulation encapsulation = {.mechanism = MECHANISM_INIT, .template = TEMPLATE_INIT};

    TRY(session_enter(hSession, &session));
    CHECK(pMechanism && pulCiphertextLen && (phKey || !pCiphertext), CKR_ARGUMENTS_BAD);
    TRY(begin(session, pMechanism, CKF_ENCAPSULATE, hPublicKey, &encapsulation));
    TRY(make_template(session, pTemplate, ulAttributeCount, &encapsulation.template));
    return encapsulate(session, &encapsulation, pCiphertext, pulCiphertextLen, phKey);
}

/* The standard has for decapsulation the words of unwrapping. */
static CK_RV in_words_of_unwrapping(CK_RV result)
{
    static const struct {
        CK_RV result, unwrapping;
    } WORDS[] = {
        {CKR_KEY_HANDLE_INVALID, CKR_UNWRAPPING_KEY_HANDLE_INVALID},
        {CKR_KEY_TYPE_INCONSISTENT, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT},
        {CKR_DATA_LEN_RANGE, CKR_WRAPPED_KEY_LEN_RANGE},
    };

    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
        if (WORDS[i].result == result)
            return WORDS[i].unwrapping;
    return result;
}

static CK_RV decapsulate(struct session *session, struct encapsulation *encapsulation, const CK_BYTE *ciphertext,
                         CK_ULONG len, CK_OBJECT_HANDLE *handle)
{
    const struct template_made *template = &encapsulation->template;
    hsm_key key;

    TRY(in_words_of_unwrapping(
        key_result(session, hsm_decapsulate(session->slot->login, encapsulation->key.key, &encapsulation->mechanism.hsm,
                                            ciphertext, len, template->attributes, template->n, &key))));
    return object_take_new(session, key, template_for_token(template), handle);
}

CK_RV C_DecapsulateKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hPrivateKey,
                       CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulAttributeCount, CK_BYTE_PTR pCiphertext,
                       CK_ULONG ulCiphertextLen, CK_OBJECT_HANDLE_PTR phKey)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(encapsulation_release)
    struct encapsulation encapsulation = {.mechanism = MECHANISM_INIT, .template = TEMPLATE_INIT};

    TRY(session_enter(hSession, &session));
    CHECK(pMechanism && pCiphertext && phKey, CKR_ARGUMENTS_BAD);
    CHECK(ulCiphertextLen <= CIPHERTEXT_MAX, CKR_WRAPPED_KEY_LEN_RANGE);
    TRY(in_words_of_unwrapping(begin(session, pMechanism, CKF_DECAPSULATE, hPrivateKey, &encapsulation)));
    TRY(make_template(session, pTemplate, ulAttributeCount, &encapsulation.template));
    return decapsulate(session, &encapsulation, pCiphertext, ulCiphertextLen, phKey);
}
