/* Proves at compile time that every constant of the protocol has its public one, with the same number. A number added
 * to a .def file and forgotten in hsm/types.h does not compile. */
#include "hsm/hsm.h"
#include "protocol/catalog.h"
#include "protocol/message.h"

#define SAME(public_name, number)                                                                                      \
    _Static_assert((uint64_t)(public_name) == (uint64_t)(number), #public_name " differs from the protocol");

#define STATUS(name, number, scope, text) SAME(HSM_##name, number)
#include "protocol/status.def"
#undef STATUS

#define HASH(name, number, len, openssl_name) SAME(HSM_HASH_##name, number)
#include "protocol/mechanisms.def"
#undef HASH

#define OBJECT_CLASS(name, number) SAME(HSM_CLASS_##name, number)
#include "protocol/mechanisms.def"
#undef OBJECT_CLASS

#define KEY_TYPE(name, number) SAME(HSM_KEY_TYPE_##name, number)
#include "protocol/mechanisms.def"
#undef KEY_TYPE

#define KDF(name, number) SAME(HSM_KDF_##name, number)
#include "protocol/mechanisms.def"
#undef KDF

#define MECHANISM(name, number, key_type, uses, doc) SAME(HSM_MECHANISM_##name, number)
#include "protocol/mechanisms.def"
#undef MECHANISM

#define ATTRIBUTE(name, number, type, max, flags, doc) SAME(HSM_ATTR_##name, number)
#include "protocol/attributes.def"
#undef ATTRIBUTE

/* A curve's public number is its place in the table. */
enum curve_place {
#define CURVE(name, key_type, bits, openssl_name, oid) PLACE_##name,
#include "protocol/mechanisms.def"
#undef CURVE
};
#define CURVE(name, key_type, bits, openssl_name, oid) SAME(HSM_CURVE_##name, PLACE_##name + 1)
#include "protocol/mechanisms.def"
#undef CURVE

SAME(HSM_ROLE_ADMIN, ROLE_ADMIN)
SAME(HSM_ROLE_USER, ROLE_USER)
SAME(HSM_ROLE_AUDITOR, ROLE_AUDITOR)

SAME(HSM_USE_GENERATE, USE_GENERATE)
SAME(HSM_USE_SIGN, USE_SIGN)
SAME(HSM_USE_ENCRYPT, USE_ENCRYPT)
SAME(HSM_USE_WRAP, USE_WRAP)
SAME(HSM_USE_DERIVE, USE_DERIVE)
SAME(HSM_USE_ENCAPSULATE, USE_ENCAPSULATE)

SAME(HSM_FLAG_HKDF_NO_EXTRACT, FLAG_HKDF_NO_EXTRACT)
SAME(HSM_FLAG_HKDF_NO_EXPAND, FLAG_HKDF_NO_EXPAND)
SAME(HSM_FLAG_KDF_FIXED_INPUT, FLAG_KDF_FIXED_INPUT)
SAME(HSM_FLAG_KDF_LITTLE_ENDIAN, FLAG_KDF_LITTLE_ENDIAN)
SAME(HSM_FLAG_KDF_NO_COUNTER, FLAG_KDF_NO_COUNTER)
SAME(HSM_FLAG_KDF_COUNTER_FIRST, FLAG_KDF_COUNTER_FIRST)
SAME(HSM_FLAG_CONCATENATE_DATA_FIRST, FLAG_CONCATENATE_DATA_FIRST)
SAME(HSM_FLAG_ML_DSA_DETERMINISTIC, FLAG_ML_DSA_DETERMINISTIC)

SAME(HSM_ID_LEN, ID_LEN)
SAME(HSM_USER_NAME_MAX, USER_NAME_MAX)
SAME(HSM_PASSWORD_MIN, PASSWORD_MIN)
SAME(HSM_PASSWORD_MAX, PASSWORD_MAX)
SAME(HSM_MESSAGE_MAX, DATA_MAX)
