/* Deriving keys: one, or with SP 800-108 several of one derivation (PKCS#11 3.0, 2.42.9). Each of several begins with a
 * segment of its own; there are all of them in the end, or none. */
#include <stdlib.h>
#include "mechanism_offer.h"
#include "operation.h"

#define KEYS_MAX 33u /* the first one, and additional ones */
#define DES3_LEN 24u

struct derived {
    struct template_made template;
    CK_ULONG len;             /* bytes; 0: the mechanism's own length */
    CK_OBJECT_HANDLE *handle; /* the caller's */
    hsm_key key;
};

struct derivation {
    struct mechanism mechanism;
    struct derived keys[KEYS_MAX];
    size_t n_keys, n_made;
};

static void derivation_release(struct derivation **derivation)
{
    if (!*derivation)
        return;
    for (size_t i = 0; i < (*derivation)->n_keys; i++)
        template_release(&(*derivation)->keys[i].template);
    mechanism_release(&(*derivation)->mechanism);
    free(*derivation);
}

static CK_RV find_second(struct session *session, struct mechanism *mechanism)
{
    struct object_ref second;

    if (mechanism->second_handle == CK_INVALID_HANDLE)
        return CKR_OK;
    TRY(object_find_key(session->slot, mechanism->second_handle, &second));
    mechanism->second_key = second.key;
    mechanism->hsm.second_key = &mechanism->second_key;
    return CKR_OK;
}

/* CKM_HKDF_DATA: the template says with CKA_VALUE_LEN how much data there is, which the data object does not have. */
static CK_RV settle_data(struct template_made *template)
{
    static const uint64_t DATA = HSM_CLASS_DATA;

    CHECK(template_uint(template, HSM_ATTR_CLASS, HSM_CLASS_DATA) == HSM_CLASS_DATA &&
              !template_get(template, HSM_ATTR_KEY_TYPE),
          CKR_TEMPLATE_INCONSISTENT);
    template_remove(template, HSM_ATTR_VALUE_LEN);
    return template_get(template, HSM_ATTR_CLASS) ? CKR_OK
                                                  : template_add(template, HSM_ATTR_CLASS, &DATA, sizeof(DATA));
}

/* How long the key becomes; 0: the mechanism's own length. */
static CK_ULONG derived_len(const struct template_made *template)
{
    bool is_des3 = template_uint(template, HSM_ATTR_KEY_TYPE, 0) == HSM_KEY_TYPE_DES3;

    return (CK_ULONG)template_uint(template, HSM_ATTR_VALUE_LEN, is_des3 ? DES3_LEN : 0);
}

/* --- what is to be made --- */

static CK_RV add_key(struct session *session, struct derivation *derivation, const CK_ATTRIBUTE *attributes, CK_ULONG n,
                     CK_OBJECT_HANDLE *handle)
{
    struct derived *key = &derivation->keys[derivation->n_keys++];

    key->template = (struct template_made)TEMPLATE_INIT;
    key->handle = handle;
    TRY(template_make(attributes, n, TEMPLATE_GENERATE, &key->template));
    TRY(session_may_write(session, template_for_token(&key->template)));
    key->len = derived_len(&key->template);
    return derivation->mechanism.row->type == CKM_HKDF_DATA ? settle_data(&key->template)
                                                            : template_settle_secret(&key->template);
}

static CK_RV add_further_keys(struct session *session, struct derivation *derivation)
{
    const CK_DERIVED_KEY *further = derivation->mechanism.further_keys;
    CK_ULONG n = derivation->mechanism.n_further_keys;

    CHECK(n < KEYS_MAX && (further || n == 0), CKR_MECHANISM_PARAM_INVALID);
    for (CK_ULONG i = 0; i < n; i++) {
        CHECK(further[i].phKey && (further[i].pTemplate || further[i].ulAttributeCount == 0),
              CKR_MECHANISM_PARAM_INVALID);
        CK_RV result =
            add_key(session, derivation, further[i].pTemplate, further[i].ulAttributeCount, further[i].phKey);

        if (result != CKR_OK)
            *further[i].phKey = CK_INVALID_HANDLE; /* which tells the caller whose template it is */
        TRY(result);
    }
    return CKR_OK;
}

static CK_RV settle_lengths(struct derivation *derivation)
{
    CK_ULONG lens[KEYS_MAX];

    for (size_t i = 0; i < derivation->n_keys; i++)
        lens[i] = derivation->keys[i].len;
    return mechanism_set_key_lens(&derivation->mechanism, lens, derivation->n_keys);
}

/* --- making --- */

static CK_RV make_keys(struct session *session, struct derivation *derivation, hsm_key base)
{
    for (size_t i = 0; i < derivation->n_keys; i++) {
        struct derived *key = &derivation->keys[i];
        CK_RV result = key_result(session, hsm_derive(session->slot->login, base, &derivation->mechanism.hsm,
                                                      key->template.attributes, key->template.n, &key->key));

        if (result != CKR_OK && i > 0)
            *key->handle = CK_INVALID_HANDLE;
        TRY(result);
        derivation->n_made++;
        if (i + 1 < derivation->n_keys)
            TRY(mechanism_skip_key(&derivation->mechanism, key->len, derivation->keys[i + 1].len));
    }
    return CKR_OK;
}

static void delete_made(struct session *session, const struct derivation *derivation)
{
    for (size_t i = 0; i < derivation->n_made; i++)
        (void)hsm_object_delete(session->slot->login, derivation->keys[i].key);
}

static CK_RV take_keys(struct session *session, struct derivation *derivation)
{
    CK_OBJECT_HANDLE handles[KEYS_MAX];

    for (size_t i = 0; i < derivation->n_keys; i++) {
        struct derived *key = &derivation->keys[i];
        CK_RV result = object_take_new(session, key->key, template_for_token(&key->template), &handles[i]);

        if (result != CKR_OK)
            delete_made(session, derivation);
        TRY(result);
    }
    for (size_t i = 0; i < derivation->n_keys; i++)
        *derivation->keys[i].handle = handles[i];
    return CKR_OK;
}

static CK_RV derive(struct session *session, struct derivation *derivation, CK_OBJECT_HANDLE base)
{
    struct object_ref from;

    TRY(object_find_key(session->slot, base, &from));
    TRY(key_check_use(session, &from, derivation->mechanism.row, CKF_DERIVE));
    TRY(find_second(session, &derivation->mechanism));
    TRY(settle_lengths(derivation));
    CK_RV result = make_keys(session, derivation, from.key);

    if (result != CKR_OK)
        delete_made(session, derivation);
    TRY(result);
    return take_keys(session, derivation);
}

CK_RV C_DeriveKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hBaseKey,
                  CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulAttributeCount, CK_OBJECT_HANDLE_PTR phKey)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(derivation_release) struct derivation *derivation = NULL;

    TRY(session_enter(hSession, &session));
    CHECK(pMechanism && phKey, CKR_ARGUMENTS_BAD);
    TRY(session_needs_user(session));
    derivation = calloc(1, sizeof(*derivation));
    CHECK(derivation, CKR_HOST_MEMORY);
    TRY(mechanism_read(pMechanism, CKF_DERIVE, &derivation->mechanism));
    TRY(mechanism_check_offered(session->slot, derivation->mechanism.row, CKF_DERIVE));
    TRY(add_key(session, derivation, pTemplate, ulAttributeCount, phKey));
    TRY(add_further_keys(session, derivation));
    return derive(session, derivation, hBaseKey);
}
