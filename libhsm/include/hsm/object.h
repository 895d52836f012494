/* Objects: keys, certificates and data, and their attributes. The meaning of attributes is PKCS#11's (3.0, section 4);
 * the node enforces it. Every call reaches the network unless its comment says otherwise, and is safe from any number
 * of threads.
 *
 * Token objects (TOKEN true) are replicated and durable before the call returns: they survive the loss of any one node.
 * Session objects (TOKEN false, the default as in PKCS#11) live in the hsm_session, sealed; they cost the cluster
 * nothing. Keys are sensitive and not extractable unless the template says otherwise.
 *
 * A call that makes objects is done once even when an answer is lost and it is sent again. Such calls share these
 * errors: HSM_TEMPLATE_INCOMPLETE, HSM_TEMPLATE_INCONSISTENT   an attribute is missing, or two contradict each other
 *   HSM_ATTRIBUTE_TYPE_INVALID, _VALUE_INVALID, _READ_ONLY  the detail names the attribute
 *   HSM_KEY_SIZE_RANGE, HSM_NOT_SUPPORTED, HSM_QUOTA_EXCEEDED, HSM_STORE_FULL */
#pragma once

#include <string.h>
#include "hsm/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One attribute, given or got. What `value` points to depends on the type: see HSM_VALUE_... in types.h. Borrowed. */
typedef struct hsm_attribute {
    uint32_t type; /* HSM_ATTR_... */
    const void *value;
    size_t value_len; /* in bytes, for arrays too */
} hsm_attribute;

/* Ways to write a template: hsm_attribute t[] = {hsm_attribute_text(HSM_ATTR_LABEL, "tls"), ...}; */
static inline hsm_attribute hsm_attribute_of(uint32_t type, const void *value, size_t value_len)
{
    hsm_attribute attribute;
    attribute.type = type;
    attribute.value = value;
    attribute.value_len = value_len;
    return attribute;
}

static inline hsm_attribute hsm_attribute_text(uint32_t type, const char *text)
{
    return hsm_attribute_of(type, text, strlen(text));
}

static inline hsm_attribute hsm_attribute_bool(uint32_t type, int value)
{
    static const uint8_t values[2] = {0, 1};
    return hsm_attribute_of(type, &values[value != 0], 1);
}

/** `value` is referred to, not copied. */
static inline hsm_attribute hsm_attribute_uint(uint32_t type, const uint64_t *value)
{
    return hsm_attribute_of(type, value, sizeof(*value));
}

static inline int hsm_key_equal(hsm_key a, hsm_key b)
{
    return memcmp(a.id, b.id, sizeof(a.id)) == 0;
}

/* Attributes that a call brought: an owned set, unchanging, readable from any number of threads, wiped when freed. The
 * following functions never reach the network and never fail. */
typedef struct hsm_attributes hsm_attributes;

HSM_API void hsm_attributes_free(hsm_attributes *attributes);

HSM_API size_t hsm_attributes_count(const hsm_attributes *attributes);

/** By position, types ascending; NULL behind the last. Valid until the set is freed, like all that the following
 * return. */
HSM_API const hsm_attribute *hsm_attributes_at(const hsm_attributes *attributes, size_t index);

/** By type; NULL when the object has no such attribute or it was not asked for. */
HSM_API const hsm_attribute *hsm_attributes_find(const hsm_attributes *attributes, uint32_t type);

/** The value, or `otherwise` when it is absent or of another type. */
HSM_API int hsm_attributes_bool(const hsm_attributes *attributes, uint32_t type, int otherwise);
HSM_API uint64_t hsm_attributes_uint(const hsm_attributes *attributes, uint32_t type, uint64_t otherwise);

/** Bytes or text; NULL and length 0 when absent. A NUL follows, so that labels and text can be printed. */
HSM_API const uint8_t *hsm_attributes_bytes(const hsm_attributes *attributes, uint32_t type, size_t *len);

/* Making objects. */

/**
 * Makes a secret key.
 *
 * @param mechanism  HSM_MECHANISM_AES_KEY_GEN, _DES3_KEY_GEN or _GENERIC_SECRET_KEY_GEN
 * @param attributes  template of `n` attributes; VALUE_LEN says how long (AES, generic)
 * @param key  out: the new key
 * @return HSM_OK; HSM_MECHANISM_INVALID; the errors of making objects
 */
HSM_API hsm_status hsm_key_generate(hsm_session *session, uint32_t mechanism, const hsm_attribute *attributes, size_t n,
                                    hsm_key *key);

/**
 * Makes a private key and its public key, both or none. The pair has passed a pairwise consistency test (FIPS 140-3).
 *
 * @param mechanism  HSM_MECHANISM_RSA_KEY_PAIR_GEN (MODULUS_BITS, PUBLIC_EXPONENT), _EC_KEY_PAIR_GEN,
 *                   _EDWARDS_KEY_PAIR_GEN, _MONTGOMERY_KEY_PAIR_GEN (EC_PARAMS: hsm_curve_oid), _ML_DSA_KEY_PAIR_GEN,
 *                   _ML_KEM_KEY_PAIR_GEN (PARAMETER_SET); these attributes may stand in either template
 * @return as hsm_key_generate
 */
HSM_API hsm_status hsm_key_pair_generate(hsm_session *session, uint32_t mechanism,
                                         const hsm_attribute *public_attributes, size_t n_public,
                                         const hsm_attribute *private_attributes, size_t n_private, hsm_key *public_key,
                                         hsm_key *private_key);

/* The usual keys, without templates: token objects, sensitive, not extractable, with every usage that fits their type.
 */

/** AES, to encrypt, decrypt, wrap, unwrap, sign and verify (CMAC, GMAC). @param bits  128, 192 or 256 */
HSM_API hsm_status hsm_key_generate_aes(hsm_session *session, const char *label, uint32_t bits, hsm_key *key);

/** RSA, to sign, verify, encrypt, decrypt, wrap and unwrap. @param bits  2048, 3072 or 4096 */
HSM_API hsm_status hsm_key_pair_generate_rsa(hsm_session *session, const char *label, uint32_t bits,
                                             hsm_key *public_key, hsm_key *private_key);

/** On a curve, to sign and verify, derive, or both, as the curve can. @param curve  HSM_CURVE_P256, ... */
HSM_API hsm_status hsm_key_pair_generate_ec(hsm_session *session, const char *label, uint32_t curve,
                                            hsm_key *public_key, hsm_key *private_key);

/**
 * Imports a key, a certificate or data.
 *
 * @param attributes  with CLASS and VALUE, and for keys KEY_TYPE. VALUE of a secret key: its bytes; of a private key:
 * PKCS#8 DER; of a public key: SubjectPublicKeyInfo DER
 * @return HSM_OK; HSM_ATTRIBUTE_VALUE_INVALID when VALUE is no valid key of that type; the errors of making objects
 */
HSM_API hsm_status hsm_object_create(hsm_session *session, const hsm_attribute *attributes, size_t n, hsm_key *object);

/**
 * Copies an object, with changes in the safe direction (a copy can be more sensitive, never less).
 *
 * @return HSM_OK; HSM_OBJECT_NOT_FOUND; HSM_NOT_PERMITTED when COPYABLE is false; the errors of making objects
 */
HSM_API hsm_status hsm_object_copy(hsm_session *session, hsm_key object, const hsm_attribute *attributes, size_t n,
                                   hsm_key *copy);

/* Reading, changing, deleting. */

/**
 * Reads attributes, all in one round trip.
 *
 * @param wanted  `n_wanted` types; NULL and 0: all that are not secret. What the object does not have is left out of
 * the result
 * @param attributes  out: freed with hsm_attributes_free
 * @return HSM_OK; HSM_OBJECT_NOT_FOUND; HSM_ATTRIBUTE_SENSITIVE when VALUE of a sensitive or unextractable key is
 * wanted
 */
HSM_API hsm_status hsm_object_get(hsm_session *session, hsm_key object, const uint32_t *wanted, size_t n_wanted,
                                  hsm_attributes **attributes);

/**
 * Changes attributes, all or none. SENSITIVE and WRAP_WITH_TRUSTED only to true, EXTRACTABLE and COPYABLE only to
 * false.
 *
 * @return HSM_OK; HSM_OBJECT_NOT_FOUND; HSM_ATTRIBUTE_READ_ONLY; HSM_ATTRIBUTE_VALUE_INVALID; HSM_NOT_PERMITTED (not
 * the owner, or MODIFIABLE is false)
 */
HSM_API hsm_status hsm_object_set(hsm_session *session, hsm_key object, const hsm_attribute *attributes, size_t n);

/**
 * Destroys an object on all nodes. The two keys of a pair are two objects.
 *
 * @return HSM_OK; HSM_OBJECT_NOT_FOUND; HSM_NOT_PERMITTED (not the owner, or DESTROYABLE is false)
 */
HSM_API hsm_status hsm_object_delete(hsm_session *session, hsm_key object);

/** Lets another crypto-user use a token key (not change, delete or share it). Owner only. @return HSM_OK;
 * HSM_OBJECT_NOT_FOUND; HSM_USER_NOT_FOUND; HSM_NOT_PERMITTED */
HSM_API hsm_status hsm_key_share(hsm_session *session, hsm_key key, const char *user);
/** Takes that back; as hsm_key_share. */
HSM_API hsm_status hsm_key_unshare(hsm_session *session, hsm_key key, const char *user);

/**
 * The public key of a public or private key: SubjectPublicKeyInfo DER (RFC 5280).
 *
 * @return HSM_OK; HSM_OBJECT_NOT_FOUND; HSM_KEY_TYPE_INCONSISTENT for objects that have none
 */
HSM_API hsm_status hsm_key_export_public(hsm_session *session, hsm_key key, uint8_t *der, size_t *der_len);

/* Finding. */

typedef struct hsm_find hsm_find;

/**
 * Begins to look for objects whose attributes equal all the given ones: this session's own session objects first, then
 * token objects. The node uses its index: it costs what is found, not what there is. Does not reach the network;
 * hsm_find_next does.
 *
 * @param attributes  `n` of them; none: every object that the user may see. VALUE only together with a CLASS whose
 * VALUE is no secret (public keys, certificates, data), and of token objects only
 * @param wanted  attributes to bring along, so that results need no further call; NULL and 0: all that are not secret
 * @param find  out: freed with hsm_find_close; used by one thread at a time; to be closed before the session
 * @return HSM_OK; HSM_ATTRIBUTE_TYPE_INVALID; HSM_ATTRIBUTE_VALUE_INVALID
 */
HSM_API hsm_status hsm_find_open(hsm_session *session, const hsm_attribute *attributes, size_t n,
                                 const uint32_t *wanted, size_t n_wanted, hsm_find **find);

/**
 * The next objects found. Fetches pages as needed. Objects made or deleted meanwhile may or may not be found.
 *
 * @param objects  out: room for `max`
 * @param attributes  out: room for `max`, each freed with hsm_attributes_free; NULL when not wanted
 * @param n  out: how many; 0 after the last
 */
HSM_API hsm_status hsm_find_next(hsm_find *find, hsm_key *objects, hsm_attributes **attributes, size_t max, size_t *n);

/** Harmless on NULL. */
HSM_API void hsm_find_close(hsm_find *find);

/**
 * The one object of a class that has this label.
 *
 * @param object_class  HSM_CLASS_...; 0: any
 * @return HSM_OK; HSM_OBJECT_NOT_FOUND; HSM_CONFLICT when there are several: use hsm_find_open
 */
HSM_API hsm_status hsm_find_one(hsm_session *session, uint32_t object_class, const char *label, hsm_key *object);

#ifdef __cplusplus
}
#endif
