/* Names and facts of the numbers in types.h, for programs that read or print them. Names are those of the protocol
 * ("AES_GCM", "LABEL", "P256"); reading ignores case and takes dashes for underscores. Constant tables: safe from any
 * thread, never reaches the network. */
#pragma once

#include "hsm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The name of a number; NULL when it is unknown. Never to be freed. */
HSM_API const char *hsm_class_name(uint64_t object_class);
HSM_API const char *hsm_key_type_name(uint64_t key_type);
HSM_API const char *hsm_hash_name(uint64_t hash);
HSM_API const char *hsm_curve_name(uint64_t curve);
HSM_API const char *hsm_mechanism_name(uint64_t mechanism);
HSM_API const char *hsm_attribute_name(uint64_t attribute);
/** "admin", "crypto-user", "auditor". */
HSM_API const char *hsm_role_name(uint64_t role);

/**
 * The number of a name.
 *
 * @return HSM_OK; HSM_INVALID_ARGUMENT when there is none of this name: hsm_last_error lists the nearest
 */
HSM_API hsm_status hsm_class_by_name(const char *name, uint32_t *object_class);
HSM_API hsm_status hsm_key_type_by_name(const char *name, uint32_t *key_type);
HSM_API hsm_status hsm_hash_by_name(const char *name, uint32_t *hash);
HSM_API hsm_status hsm_curve_by_name(const char *name, uint32_t *curve);
HSM_API hsm_status hsm_mechanism_by_name(const char *name, uint32_t *mechanism);
HSM_API hsm_status hsm_attribute_by_name(const char *name, uint32_t *attribute);
HSM_API hsm_status hsm_role_by_name(const char *name, uint32_t *role);

/** Length of a hash's digest in bytes; 0 for HSM_HASH_NONE and unknown numbers. */
HSM_API size_t hsm_hash_len(uint64_t hash);

/** Type of an attribute's value (HSM_VALUE_BOOL, ...); 0 for unknown numbers. */
HSM_API uint32_t hsm_attribute_value_type(uint64_t attribute);

/** One line about an attribute or a mechanism, for people; NULL when it is unknown. */
HSM_API const char *hsm_attribute_doc(uint64_t attribute);
HSM_API const char *hsm_mechanism_doc(uint64_t mechanism);

/** Whether a mechanism is for keys of a type (HSM_KEY_TYPE_...), and its uses (HSM_USE_... bits); 0 when unknown. */
HSM_API uint32_t hsm_mechanism_key_type(uint64_t mechanism);
HSM_API uint32_t hsm_mechanism_uses(uint64_t mechanism);

/** The DER object identifier of a curve, as HSM_ATTR_EC_PARAMS takes it; NULL when the curve is unknown. */
HSM_API const uint8_t *hsm_curve_oid(uint64_t curve, size_t *oid_len);

/** The curve with this DER object identifier; 0 when there is none. */
HSM_API uint32_t hsm_curve_by_oid(const uint8_t *oid, size_t oid_len);

/** Size of a curve in bits, and the key type of its keys; 0 when unknown. */
HSM_API uint32_t hsm_curve_bits(uint64_t curve);
HSM_API uint32_t hsm_curve_key_type(uint64_t curve);

#ifdef __cplusplus
}
#endif
