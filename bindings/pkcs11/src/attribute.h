/* Attributes: the standard's by rows of one table, each with the cluster's and how a value is turned into the other's.
 * What the cluster does not have as an attribute of its own (components of private keys; CKA_VALUE of keys; dates as
 * structs) is made of what it has. */
#pragma once

#include "object.h"

struct template_block;

/* A template of the library, made of one of PKCS#11: what it points to lies with the caller's template or in memory of
 * its own, wiped when it is released.
 *
 * Claims are what the cluster is not asked to set or to look for, but what the object must turn out to have: they are
 * compared here, with attributes_match, after an object was made or found. They are copies. */
struct template_made {
    hsm_attribute *attributes;
    size_t n, room;
    struct template_block *blocks; /* what was allocated for values */
    CK_ATTRIBUTE *claims;
    size_t n_claims;
    bool claims_secret; /* one of them can be compared only with what VALUE of a key holds */
    bool nothing;       /* TEMPLATE_FIND: no object can have all that was asked for */
    bool settled;       /* the parameter set is the cluster's number, no more the standard's (template_settle) */
};

#define TEMPLATE_INIT                                                                                                  \
    {                                                                                                                  \
        0                                                                                                              \
    }

enum template_use {
    TEMPLATE_CREATE,   /* C_CreateObject: components of keys are put together to VALUE */
    TEMPLATE_GENERATE, /* secret keys, public and private halves, unwrapped and derived keys */
    TEMPLATE_COPY,
    TEMPLATE_SET,
    TEMPLATE_FIND, /* unknown attributes and values are no failure: nothing matches */
};

/* CKR_ARGUMENTS_BAD: no template, but a count; or a count beyond all attributes that there are, of which none may come
 * twice. Such a count is a mistake, and what lies behind the template is not to be read. */
CK_RV template_check(const CK_ATTRIBUTE *given, CK_ULONG n);

/* Turns a template into one of the library, which is TEMPLATE_INIT before and to be released in any case.
 * CKR_ARGUMENTS_BAD (template_check, or a value NULL with a length), CKR_ATTRIBUTE_TYPE_INVALID,
 * CKR_ATTRIBUTE_VALUE_INVALID (length or content), CKR_CURVE_NOT_SUPPORTED, CKR_ATTRIBUTE_READ_ONLY,
 * CKR_TEMPLATE_INCONSISTENT (an attribute twice), CKR_TEMPLATE_INCOMPLETE, CKR_HOST_MEMORY. Only C_CreateObject and
 * C_FindObjectsInit get claims. */
CK_RV template_make(const CK_ATTRIBUTE *given, CK_ULONG n, enum template_use use, struct template_made *made);

/* Adds one that the caller's template did not have. `value` must outlive the template. */
CK_RV template_add(struct template_made *made, uint32_t type, const void *value, size_t value_len);
const hsm_attribute *template_get(const struct template_made *made, uint32_t type);
void template_remove(struct template_made *made, uint32_t type);

/* A bool of the template, or `otherwise`. */
bool template_bool(const struct template_made *made, uint32_t type, bool otherwise);
bool template_for_token(const struct template_made *made);

/* For secrets that are derived or agreed on: one whose type is left open is a generic secret (PKCS#11 3.0, 2.43 and
 * others). CKR_TEMPLATE_INCONSISTENT: it is to be of another class. CKR_HOST_MEMORY. */
CK_RV template_settle_secret(struct template_made *made);
uint64_t template_uint(const struct template_made *made, uint32_t type, uint64_t otherwise);

/* Settles what CKA_PARAMETER_SET means (the standard counts within a key type), when the template itself does not say
 * which type it is for: to be called before the template is used to generate a key of `hsm_key_type`.
 * CKR_ATTRIBUTE_VALUE_INVALID. Harmless when there is none. */
CK_RV template_settle(struct template_made *made, uint32_t hsm_key_type);

void template_release(struct template_made *made);

/* Memory that lives as long as the template, zeroed, fit for any of its values, and wiped with it. NULL when there is
 * none. */
void *template_memory(struct template_made *made, size_t len);

/* Adds a claim: a copy of `value`. */
CK_RV template_claim(struct template_made *made, CK_ATTRIBUTE_TYPE type, const void *value, size_t value_len);

/* Writes values of an object into the caller's template as C_GetAttributeValue does (PKCS#11 2.40, 5.7.5), all of them
 * even when some fail: CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL with
 * CK_UNAVAILABLE_INFORMATION in their place. `session` and `object`: to read what is not among the facts (VALUE), which
 * asks a node. */
CK_RV attributes_give(struct session *session, const struct object_ref *object, const hsm_attributes *facts,
                      CK_ATTRIBUTE *wanted, CK_ULONG n);

/* Whether the object has all that was claimed. */
CK_RV attributes_match(struct session *session, const struct object_ref *object, const hsm_attributes *facts,
                       const CK_ATTRIBUTE *claims, size_t n, bool *match);

/* Writes one value as C_GetAttributeValue does: its length alone when there is no buffer. CKR_BUFFER_TOO_SMALL. */
CK_RV attribute_put(CK_ATTRIBUTE *wanted, const void *value, size_t value_len);

/* The standard's numbers for the library's, and back; CK_UNAVAILABLE_INFORMATION or 0 when there is none. */
CK_OBJECT_CLASS class_of(uint64_t hsm_class);
CK_KEY_TYPE key_type_of(uint64_t hsm_key_type);
uint32_t hsm_class_of(CK_OBJECT_CLASS object_class);
uint32_t hsm_key_type_of(CK_KEY_TYPE key_type);
