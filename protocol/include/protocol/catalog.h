/* Numbers and facts of mechanisms, hashes, key types, curves and attributes (mechanisms.def, attributes.def). */
#pragma once

#include "protocol/limits.h"
#include "protocol/values.h"

enum hash {
#define HASH(name, number, len, openssl_name) HASH_##name = number,
#include "protocol/mechanisms.def"
#undef HASH
    HASH_COUNT
};

enum object_class {
#define OBJECT_CLASS(name, number) CLASS_##name = number,
#include "protocol/mechanisms.def"
#undef OBJECT_CLASS
};

enum key_type {
#define KEY_TYPE(name, number) KEY_##name = number,
#include "protocol/mechanisms.def"
#undef KEY_TYPE
    KEY_TYPE_COUNT
};

enum kdf {
#define KDF(name, number) KDF_##name = number,
#include "protocol/mechanisms.def"
#undef KDF
};

enum mechanism_type {
#define MECHANISM(name, number, key_type, uses, doc) MECHANISM_##name = number,
#include "protocol/mechanisms.def"
#undef MECHANISM
    MECHANISM_COUNT = 64
};

enum attribute {
#define ATTRIBUTE(name, number, type, max, flags, doc) ATTRIBUTE_##name = number,
#include "protocol/attributes.def"
#undef ATTRIBUTE
};

enum role { ROLE_NONE = 0, ROLE_ADMIN = 1, ROLE_USER = 2, ROLE_AUDITOR = 3 };

/* Bits of FLAGS for mechanisms. */
enum {
    FLAG_HKDF_NO_EXTRACT = 1,
    FLAG_HKDF_NO_EXPAND = 2,
    FLAG_KDF_FIXED_INPUT = 1,
    FLAG_KDF_LITTLE_ENDIAN = 2,
    FLAG_KDF_NO_COUNTER = 4,
    FLAG_KDF_COUNTER_FIRST = 8,
    FLAG_CONCATENATE_DATA_FIRST = 1,
    FLAG_ML_DSA_DETERMINISTIC = 1,
};

enum mechanism_use {
    USE_GENERATE = 1,
    USE_SIGN = 2,
    USE_ENCRYPT = 4,
    USE_WRAP = 8,
    USE_DERIVE = 16,
    USE_ENCAPSULATE = 32,
};

struct mechanism_info {
    const char *name; /* as in mechanisms.def */
    enum key_type key_type;
    uint32_t uses;
    const char *doc;
};

/** NULL for an unknown number. */
const struct mechanism_info *mechanism_info(uint64_t number);

struct hash_info {
    const char *name;
    size_t len; /* digest in bytes */
    const char *openssl_name;
};

/** NULL for an unknown number; HASH_NONE has length 0. */
const struct hash_info *hash_info(uint64_t number);

struct curve_info {
    const char *name; /* "P256" */
    enum key_type key_type;
    uint32_t bits;
    const char *openssl_name;
    struct slice oid; /* DER, as in EC_PARAMS */
};

extern const struct curve_info CURVES[];
extern const size_t N_CURVES;

/** NULL when none has this DER object identifier (or name, any case). */
const struct curve_info *curve_by_oid(struct slice oid);
const struct curve_info *curve_by_name(const char *name);

/** "AES", "RSA", ...; NULL for an unknown number. */
const char *key_type_name(uint64_t number);
const char *object_class_name(uint64_t number);
const char *role_name(uint64_t number); /* "admin", "crypto-user", "auditor" */

enum attribute_flags {
    ATTRIBUTE_FLAG_CREATE = 1,
    ATTRIBUTE_FLAG_SET = 2,
    ATTRIBUTE_FLAG_NODE = 4,
    ATTRIBUTE_FLAG_INDEXED = 8,
    ATTRIBUTE_FLAG_SECRET = 16,
};

extern const struct schema ATTRIBUTE_SCHEMA;

/** Flags of an attribute; 0 for an unknown number. */
uint32_t attribute_flags(uint32_t number);
