/* The vocabulary of the API: values, constants and limits. Every number is the same on the wire, in the store and
 * here, and never changes; new ones are only added. Nothing in this header reaches the network. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#if defined(HSM_BUILDING)
#define HSM_API __declspec(dllexport)
#else
#define HSM_API
#endif
#elif defined(__GNUC__)
#define HSM_API __attribute__((visibility("default")))
#else
#define HSM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Version of these headers; hsm_version() tells that of the library that runs. */
#define HSM_VERSION_MAJOR 0
#define HSM_VERSION_MINOR 1
#define HSM_VERSION_PATCH 0

/** Lengths in bytes. */
#define HSM_ID_LEN         16  /**< of an hsm_key, a node id, a cluster id */
#define HSM_USER_NAME_MAX  31  /**< of a user's name */
#define HSM_PASSWORD_MIN   8   /**< of a password */
#define HSM_PASSWORD_MAX   128 /**< of a password */
#define HSM_NONCE_MADE_LEN 12  /**< of a nonce that the node makes */
#define HSM_DIGEST_MAX     64  /**< of a digest */
#define HSM_MESSAGE_MAX                                                                                                \
    (1 << 20) /**< of data that goes to a node in one piece; longer data is streamed where the mechanism can */

/** Result of every call that can fail: one of the constants below. HSM_OK is 0. */
typedef int32_t hsm_status;

/* Every result. hsm_last_error() says more than the number. */
enum {
    HSM_OK = 0,                       /**< success */
    HSM_INVALID_ARGUMENT = 1,         /**< an argument is not valid */
    HSM_BUFFER_TOO_SMALL = 2,         /**< the output buffer is too small */
    HSM_OUT_OF_MEMORY = 3,            /**< out of memory */
    HSM_NOT_SUPPORTED = 4,            /**< not supported by this node's cryptography */
    HSM_PROTOCOL_ERROR = 5,           /**< the message is malformed */
    HSM_VERSION_MISMATCH = 6,         /**< no common protocol version */
    HSM_TOO_LARGE = 7,                /**< larger than the limit */
    HSM_UNAVAILABLE = 8,              /**< no node answered in time */
    HSM_BUSY = 9,                     /**< the node is too busy or is draining */
    HSM_NOT_LOGGED_IN = 10,           /**< login required */
    HSM_TICKET_EXPIRED = 11,          /**< the login has expired or was revoked: log in again */
    HSM_LOGIN_FAILED = 12,            /**< wrong user name or password */
    HSM_USER_LOCKED = 13,             /**< too many failed logins: wait, or have an administrator reset the password */
    HSM_NOT_PERMITTED = 14,           /**< not permitted */
    HSM_OBJECT_NOT_FOUND = 15,        /**< no such key or object */
    HSM_USER_NOT_FOUND = 16,          /**< no such user */
    HSM_ALREADY_EXISTS = 17,          /**< already exists */
    HSM_CONFLICT = 18,                /**< changed by somebody else in the meantime */
    HSM_MECHANISM_INVALID = 19,       /**< the mechanism does not fit the operation */
    HSM_MECHANISM_PARAM_INVALID = 20, /**< a mechanism parameter is not valid */
    HSM_KEY_TYPE_INCONSISTENT = 21,   /**< the mechanism does not fit the key's type */
    HSM_KEY_SIZE_RANGE = 22,          /**< key size out of range */
    HSM_KEY_FUNCTION_NOT_PERMITTED = 23, /**< the key's attributes do not permit this use */
    HSM_KEY_UNEXTRACTABLE = 24,          /**< the key is not extractable */
    HSM_KEY_NOT_WRAPPABLE = 25,          /**< the key may be wrapped only by a trusted key */
    HSM_ATTRIBUTE_TYPE_INVALID = 26,     /**< the attribute does not apply to this object */
    HSM_ATTRIBUTE_VALUE_INVALID = 27,    /**< the attribute's value is not valid */
    HSM_ATTRIBUTE_READ_ONLY = 28,        /**< the attribute cannot be set */
    HSM_ATTRIBUTE_SENSITIVE = 29,        /**< the attribute is sensitive or unextractable */
    HSM_TEMPLATE_INCOMPLETE = 30,        /**< a required attribute is missing */
    HSM_TEMPLATE_INCONSISTENT = 31,      /**< the attributes contradict each other */
    HSM_DATA_INVALID = 32,               /**< the data is not valid for this mechanism */
    HSM_DATA_LENGTH = 33,                /**< the data has the wrong length */
    HSM_SIGNATURE_INVALID = 34,          /**< the signature does not verify */
    HSM_CIPHERTEXT_INVALID = 35,         /**< the ciphertext or its authentication tag is not valid */
    HSM_WRAPPED_KEY_INVALID = 36,        /**< the wrapped key is not valid */
    HSM_OPERATION_ACTIVE = 37,           /**< an operation is active already */
    HSM_OPERATION_NOT_ACTIVE = 38,       /**< no operation is active */
    HSM_STORE_FULL = 39,                 /**< the store's disk is full */
    HSM_STORE_LOCKED = 40,               /**< the store is locked */
    HSM_STORE_READ_ONLY = 41,            /**< the store cannot be written */
    HSM_STORE_DAMAGED = 42,              /**< the store or one of its records is damaged */
    HSM_STORE_FOREIGN = 43,              /**< the store belongs to another cluster */
    HSM_CLUSTER_STATE = 44,              /**< the cluster is not in the state that this needs */
    HSM_QUOTA_EXCEEDED = 45,             /**< a quota is exhausted */
    HSM_PASSWORD_UNACCEPTABLE = 46,      /**< the password does not meet the rules */
    HSM_CONFIG_INVALID = 47,             /**< the configuration is not valid */
    HSM_IO_ERROR = 48,                   /**< reading or writing failed */
    HSM_TLS_ERROR = 49,                  /**< the TLS connection or a certificate was refused */
    HSM_SELF_TEST_FAILED = 50,           /**< a self-test failed: the node has stopped cryptography */
    HSM_CLOCK_UNTRUSTED = 51,            /**< the node's clock went back */
    HSM_PENDING = 52,                    /**< not finished */
    HSM_CANCELLED = 53,                  /**< cancelled */
    HSM_INTERNAL = 54,                   /**< internal error */
    HSM_SESSION_CLOSED = 55,             /**< the session is closed */
    HSM_RANDOM_FAILED = 56,              /**< the random generator failed */
    HSM_STORE_UNAVAILABLE = 57,     /**< the store cannot be reached: existing keys go on working, changes must wait */
    HSM_BACKUP_UNAVAILABLE = 58,    /**< this node keeps no backups, or they cannot be reached */
    HSM_BACKUP_INVALID = 59,        /**< the backup is damaged, cut off, or another's */
    HSM_QUORUM_NEEDED = 60,         /**< a quorum must approve this first */
    HSM_SECOND_FACTOR_NEEDED = 61,  /**< this user logs in with a signed challenge besides the password */
    HSM_AUTHENTICATION_NEEDED = 62, /**< the key wants the user's password for each use */
};

/**
 * An object held by the cluster: a key, a certificate or a data object. A value, not a handle: it is the object's
 * permanent id, nothing needs freeing, it may be copied, compared with memcmp, stored and passed to other processes. It
 * stays valid across restarts of the program and of the nodes, as long as the object exists. For session objects (TOKEN
 * false) it is valid in the hsm_session that made or imported them.
 */
typedef struct hsm_key {
    uint8_t id[HSM_ID_LEN];
} hsm_key;

/** Bytes that the library allocated for the caller: give them back with hsm_buffer_free. Text has a NUL behind `len`.
 */
typedef struct hsm_buffer {
    uint8_t *data;
    size_t len;
} hsm_buffer;

/** Wipes and frees what the library put there, and empties it; harmless on an empty one or NULL. */
HSM_API void hsm_buffer_free(hsm_buffer *buffer);

/** "0.1.0". */
HSM_API const char *hsm_version(void);

/** Roles of users. */
enum {
    HSM_ROLE_ADMIN = 1,   /**< manages users and nodes; cannot use keys */
    HSM_ROLE_USER = 2,    /**< crypto-user: makes and uses keys */
    HSM_ROLE_AUDITOR = 3, /**< reads the audit log */
};

/** Object classes: values of HSM_ATTR_CLASS. */
enum {
    HSM_CLASS_DATA = 1,
    HSM_CLASS_CERTIFICATE = 2,
    HSM_CLASS_PUBLIC_KEY = 3,
    HSM_CLASS_PRIVATE_KEY = 4,
    HSM_CLASS_SECRET_KEY = 5,
};

/** Key types: values of HSM_ATTR_KEY_TYPE. */
enum {
    HSM_KEY_TYPE_RSA = 1,
    HSM_KEY_TYPE_EC = 2,            /**< P-224 to P-521, secp256k1 */
    HSM_KEY_TYPE_EC_EDWARDS = 3,    /**< Ed25519, Ed448 */
    HSM_KEY_TYPE_EC_MONTGOMERY = 4, /**< X25519, X448 */
    HSM_KEY_TYPE_AES = 5,
    HSM_KEY_TYPE_DES3 = 6,
    HSM_KEY_TYPE_GENERIC_SECRET = 7, /**< for HMAC and key derivation */
    HSM_KEY_TYPE_ML_DSA = 8,         /**< FIPS 204; only where the node's OpenSSL has it */
    HSM_KEY_TYPE_ML_KEM = 9,         /**< FIPS 203; only where the node's OpenSSL has it */
};

/** Curves: hsm_curve_oid gives the HSM_ATTR_EC_PARAMS of each. */
enum {
    HSM_CURVE_P224 = 1,
    HSM_CURVE_P256 = 2,
    HSM_CURVE_P384 = 3,
    HSM_CURVE_P521 = 4,
    HSM_CURVE_SECP256K1 = 5,
    HSM_CURVE_ED25519 = 6,
    HSM_CURVE_ED448 = 7,
    HSM_CURVE_X25519 = 8,
    HSM_CURVE_X448 = 9,
};

/** Hashes. SHA-1 verifies old signatures; nodes sign with it only by policy. */
enum {
    HSM_HASH_NONE = 0,        /**< none, or not given */
    HSM_HASH_SHA1 = 1,        /**< 20 bytes */
    HSM_HASH_SHA224 = 2,      /**< 28 bytes */
    HSM_HASH_SHA256 = 3,      /**< 32 bytes */
    HSM_HASH_SHA384 = 4,      /**< 48 bytes */
    HSM_HASH_SHA512 = 5,      /**< 64 bytes */
    HSM_HASH_SHA3_224 = 6,    /**< 28 bytes */
    HSM_HASH_SHA3_256 = 7,    /**< 32 bytes */
    HSM_HASH_SHA3_384 = 8,    /**< 48 bytes */
    HSM_HASH_SHA3_512 = 9,    /**< 64 bytes */
    HSM_HASH_SHA512_224 = 10, /**< 28 bytes */
    HSM_HASH_SHA512_256 = 11, /**< 32 bytes */
};

/** Key derivation after HSM_MECHANISM_ECDH. */
enum {
    HSM_KDF_NULL = 0,      /**< the shared secret itself, cut to output_len */
    HSM_KDF_X963 = 1,      /**< ANSI X9.63 with hash and shared_info */
    HSM_KDF_SP800_56A = 2, /**< SP 800-56C, one step, with hash and shared_info */
};

/** Mechanisms; the names in capitals within the texts are the fields of hsm_mechanism (NONCE: nonce) or attributes. */
enum {
    HSM_MECHANISM_RSA_KEY_PAIR_GEN = 1, /**< FIPS 186-5, A.1; MODULUS_BITS, PUBLIC_EXPONENT (default 65537) */
    HSM_MECHANISM_RSA_PKCS =
        2, /**< RSASSA- and RSAES-PKCS1-v1_5 (RFC 8017); sign: HASH 0 signs DATA as it is (a DigestInfo) */
    HSM_MECHANISM_RSA_PKCS_PSS = 3,  /**< RSASSA-PSS (RFC 8017); HASH, MGF_HASH, SALT_LEN */
    HSM_MECHANISM_RSA_PKCS_OAEP = 4, /**< RSAES-OAEP (RFC 8017); HASH, MGF_HASH, AAD: the label */
    HSM_MECHANISM_RSA_X_509 = 5,     /**< raw RSA; by node policy only */
    HSM_MECHANISM_RSA_AES_KEY_WRAP =
        6, /**< PKCS#11 2.40, 2.1.21: ephemeral AES-256 under OAEP, then RFC 5649; HASH, MGF_HASH, AAD */
    HSM_MECHANISM_EC_KEY_PAIR_GEN = 10, /**< FIPS 186-5, A.2; EC_PARAMS */
    HSM_MECHANISM_ECDSA = 11,           /**< FIPS 186-5, 6; DATA is the digest; signature r || s */
    HSM_MECHANISM_ECDH = 12, /**< SP 800-56A; PEER_PUBLIC; KDF: 0 none, 1 X9.63, 2 the one-step function of SP 800-56C,
                                both with HASH and SHARED_INFO; X25519 and X448 too */
    HSM_MECHANISM_EDWARDS_KEY_PAIR_GEN = 13,    /**< RFC 8032; EC_PARAMS */
    HSM_MECHANISM_EDDSA = 14,                   /**< RFC 8032; DATA is the message */
    HSM_MECHANISM_MONTGOMERY_KEY_PAIR_GEN = 15, /**< RFC 7748; EC_PARAMS */
    HSM_MECHANISM_AES_KEY_GEN = 20,             /**< VALUE_LEN 16, 24 or 32 */
    HSM_MECHANISM_AES_ECB = 21,                 /**< SP 800-38A */
    HSM_MECHANISM_AES_CBC = 22,                 /**< SP 800-38A; NONCE 16 bytes; DATA in whole blocks */
    HSM_MECHANISM_AES_CBC_PAD = 23,             /**< SP 800-38A with PKCS#7 padding; NONCE 16 bytes */
    HSM_MECHANISM_AES_CTR = 24, /**< SP 800-38A; NONCE 16 bytes: the initial counter block, all 128 bits count */
    HSM_MECHANISM_AES_GCM = 25, /**< SP 800-38D; NONCE made by the node unless given; AAD; TAG_LEN (default 16); output:
                                   ciphertext || tag */
    HSM_MECHANISM_AES_CCM = 26, /**< SP 800-38C; NONCE 7 to 13 bytes, made by the node (12 bytes) unless given; AAD;
                                   TAG_LEN (default 16); output: ciphertext || tag */
    HSM_MECHANISM_AES_CMAC = 27,             /**< SP 800-38B; DATA is the message; TAG_LEN (default 16) */
    HSM_MECHANISM_AES_GMAC = 28,             /**< SP 800-38D; DATA is the message; NONCE; TAG_LEN (default 16) */
    HSM_MECHANISM_AES_KEY_WRAP = 29,         /**< RFC 3394 */
    HSM_MECHANISM_AES_KEY_WRAP_PAD = 30,     /**< RFC 5649 */
    HSM_MECHANISM_AES_KEY_WRAP_PKCS7 = 31,   /**< RFC 3394 over PKCS#7-padded data */
    HSM_MECHANISM_AES_ECB_ENCRYPT_DATA = 32, /**< PKCS#11 3.0, 2.15: DATA, encrypted as by AES_ECB, is the key */
    HSM_MECHANISM_AES_CBC_ENCRYPT_DATA =
        33,                          /**< PKCS#11 3.0, 2.15: DATA, encrypted as by AES_CBC with NONCE, is the key */
    HSM_MECHANISM_DES3_KEY_GEN = 40, /**< SP 800-67, three keys; by node policy only */
    HSM_MECHANISM_DES3_ECB = 41,     /**< SP 800-67; encryption by node policy only */
    HSM_MECHANISM_DES3_CBC = 42,     /**< SP 800-67; NONCE 8 bytes; encryption by node policy only */
    HSM_MECHANISM_DES3_CBC_PAD =
        43, /**< SP 800-67 with PKCS#7 padding; NONCE 8 bytes; encryption by node policy only */
    HSM_MECHANISM_DES3_KEY_WRAP = 44,          /**< SP 800-38F, 7.2 (TKW); wrapping by node policy only */
    HSM_MECHANISM_DES3_ECB_ENCRYPT_DATA = 45,  /**< as AES_ECB_ENCRYPT_DATA; by node policy only */
    HSM_MECHANISM_DES3_CBC_ENCRYPT_DATA = 46,  /**< as AES_CBC_ENCRYPT_DATA; by node policy only */
    HSM_MECHANISM_GENERIC_SECRET_KEY_GEN = 50, /**< VALUE_LEN 1 to 4096 */
    HSM_MECHANISM_HMAC = 51, /**< FIPS 198-1; DATA is the message; HASH; TAG_LEN (default: the hash's length) */
    HSM_MECHANISM_HKDF = 52, /**< RFC 5869; HASH, SALT (or PUBLIC_ID: a key as the salt), SHARED_INFO; FLAGS 1: no
                                extract, 2: no expand; CLASS may be DATA, of OUTPUT_LEN bytes */
    HSM_MECHANISM_SP800_108_COUNTER =
        53, /**< SP 800-108, 4.1; HASH (0: AES-CMAC); SHARED_INFO: label, AAD: context; FLAGS 1: SHARED_INFO is the
               whole fixed input, of which SALT stands before the counter; 2: counter's least significant byte first; 4:
               no counter; bits 8 to 15: its width in bits (0: 32); bits 16 to 31: segments of the output that are other
               keys' */
    HSM_MECHANISM_SP800_108_FEEDBACK =
        54, /**< SP 800-108, 4.2; as SP800_108_COUNTER, NONCE: the initial value; with FLAGS 1, AAD stands before the
               iteration variable, SALT between it and the counter; 8: the counter, behind SALT, before AAD */
    HSM_MECHANISM_CONCATENATE = 55, /**< SECOND_ID's value, or DATA, appended to the key's; FLAGS 1: DATA in front */
    HSM_MECHANISM_XOR = 56,         /**< DATA xor the key's value */
    HSM_MECHANISM_SP800_108_DOUBLE_PIPELINE =
        57,                        /**< SP 800-108, 4.3; as SP800_108_FEEDBACK with FLAGS 1, without NONCE */
    HSM_MECHANISM_DIGEST_KEY = 58, /**< HASH of the key's value */
    HSM_MECHANISM_EXTRACT = 59, /**< a part of the key's value; FLAGS: its first bit, counted from the most significant
                                   one of the first byte; after the last bit comes the first */
    HSM_MECHANISM_ML_DSA_KEY_PAIR_GEN = 60, /**< FIPS 204; PARAMETER_SET */
    HSM_MECHANISM_ML_DSA = 61, /**< FIPS 204; DATA is the message; AAD: the context; FLAGS 1: deterministic */
    HSM_MECHANISM_ML_KEM_KEY_PAIR_GEN = 62, /**< FIPS 203; PARAMETER_SET */
    HSM_MECHANISM_ML_KEM = 63,              /**< FIPS 203 */
};

/** What a mechanism can be used for: bits, as in hsm_mechanism_info. */
enum {
    HSM_USE_GENERATE = 1,
    HSM_USE_SIGN = 2,
    HSM_USE_ENCRYPT = 4,
    HSM_USE_WRAP = 8,
    HSM_USE_DERIVE = 16,
    HSM_USE_ENCAPSULATE = 32,
};

/** Bits of hsm_mechanism.flags; which apply depends on the mechanism. */
enum {
    HSM_FLAG_HKDF_NO_EXTRACT = 1,        /**< HKDF: the key is the pseudorandom key already */
    HSM_FLAG_HKDF_NO_EXPAND = 2,         /**< HKDF: extract only */
    HSM_FLAG_KDF_FIXED_INPUT = 1,        /**< SP 800-108: shared_info is the whole fixed input */
    HSM_FLAG_KDF_LITTLE_ENDIAN = 2,      /**< SP 800-108: the counter's least significant byte comes first */
    HSM_FLAG_KDF_NO_COUNTER = 4,         /**< SP 800-108: there is no counter; not in counter mode */
    HSM_FLAG_KDF_COUNTER_FIRST = 8,      /**< SP 800-108: the counter stands before the iteration variable */
    HSM_FLAG_CONCATENATE_DATA_FIRST = 1, /**< CONCATENATE: data goes in front of the key's value */
    HSM_FLAG_ML_DSA_DETERMINISTIC = 1,   /**< ML-DSA: no randomness in the signature */
};

/** Attributes of objects; the word before the colon is the type of the value (see hsm_attribute). Meaning is that of
 * the PKCS#11 3.0 attribute of the same name. */
enum {
    HSM_ATTR_CLASS = 1,                /**< uint: object class */
    HSM_ATTR_KEY_TYPE = 2,             /**< uint: key type */
    HSM_ATTR_LABEL = 3,                /**< bytes: label for people */
    HSM_ATTR_ID = 4,                   /**< bytes: identifier that a key pair and its certificate share */
    HSM_ATTR_TOKEN = 5,                /**< bool: true: replicated and durable; false: a session object */
    HSM_ATTR_PRIVATE = 6,              /**< bool: only logged-in users see it */
    HSM_ATTR_MODIFIABLE = 7,           /**< bool: attributes may be changed */
    HSM_ATTR_COPYABLE = 8,             /**< bool: may be copied; only ever to false */
    HSM_ATTR_DESTROYABLE = 9,          /**< bool: may be deleted */
    HSM_ATTR_SENSITIVE = 10,           /**< bool: value never leaves in plaintext; only ever to true */
    HSM_ATTR_EXTRACTABLE = 11,         /**< bool: may be wrapped; only ever to false */
    HSM_ATTR_ALWAYS_SENSITIVE = 12,    /**< bool: was sensitive from birth on */
    HSM_ATTR_NEVER_EXTRACTABLE = 13,   /**< bool: was unextractable from birth on */
    HSM_ATTR_LOCAL = 14,               /**< bool: made inside the cluster */
    HSM_ATTR_WRAP_WITH_TRUSTED = 15,   /**< bool: may be wrapped only by a trusted key; only ever to true */
    HSM_ATTR_TRUSTED = 16,             /**< bool: trusted wrapping key or certificate; set by administrators only */
    HSM_ATTR_ALWAYS_AUTHENTICATE = 17, /**< bool: each use needs the user's password */
    HSM_ATTR_ENCRYPT = 18,             /**< bool: may encrypt */
    HSM_ATTR_DECRYPT = 19,             /**< bool: may decrypt */
    HSM_ATTR_SIGN = 20,                /**< bool: may sign or make a MAC */
    HSM_ATTR_VERIFY = 21,              /**< bool: may verify */
    HSM_ATTR_SIGN_RECOVER = 22,        /**< bool: may sign with recovery */
    HSM_ATTR_VERIFY_RECOVER = 23,      /**< bool: may verify with recovery */
    HSM_ATTR_WRAP = 24,                /**< bool: may wrap keys */
    HSM_ATTR_UNWRAP = 25,              /**< bool: may unwrap keys */
    HSM_ATTR_DERIVE = 26,              /**< bool: keys may be derived from it */
    HSM_ATTR_ENCAPSULATE = 27,         /**< bool: may encapsulate (FIPS 203) */
    HSM_ATTR_DECAPSULATE = 28,         /**< bool: may decapsulate (FIPS 203) */
    HSM_ATTR_KEY_GEN_MECHANISM = 29,   /**< uint: mechanism that made it */
    HSM_ATTR_ALLOWED_MECHANISMS =
        30,                    /**< uints: if given, nothing else is allowed: mechanism | hash << 16, hash 0 for any */
    HSM_ATTR_CHECK_VALUE = 31, /**< bytes: KCV: first three bytes of a zero block encrypted, or of SHA-1 of the value */
    HSM_ATTR_UNIQUE_ID = 32,   /**< text: object id in hexadecimal */
    HSM_ATTR_START_DATE = 33,  /**< bytes: YYYYMMDD, not before */
    HSM_ATTR_END_DATE = 34,    /**< bytes: YYYYMMDD, not after */
    HSM_ATTR_SUBJECT = 35,     /**< bytes: DER name */
    HSM_ATTR_ISSUER = 36,      /**< bytes: DER name */
    HSM_ATTR_SERIAL_NUMBER = 37,        /**< bytes: DER integer */
    HSM_ATTR_CERTIFICATE_TYPE = 38,     /**< uint: 0: X.509 */
    HSM_ATTR_CERTIFICATE_CATEGORY = 39, /**< uint: 0 unspecified, 1 token user, 2 authority, 3 other */
    HSM_ATTR_VALUE = 40,                /**< bytes: secret key: its bytes; private key: PKCS#8 DER; public key:
                                                SubjectPublicKeyInfo DER; certificate, data: content */
    HSM_ATTR_VALUE_LEN = 41,            /**< uint: length of a secret key in bytes */
    HSM_ATTR_MODULUS = 42,              /**< bytes: RSA modulus, big-endian */
    HSM_ATTR_MODULUS_BITS = 43,         /**< uint: RSA modulus length */
    HSM_ATTR_PUBLIC_EXPONENT = 44,      /**< bytes: RSA public exponent, big-endian */
    HSM_ATTR_EC_PARAMS = 45,            /**< bytes: DER object identifier of the curve */
    HSM_ATTR_EC_POINT = 46,             /**< bytes: public point: DER octet string */
    HSM_ATTR_PUBLIC_KEY_INFO = 47,      /**< bytes: SubjectPublicKeyInfo DER of a public or private key */
    HSM_ATTR_PARAMETER_SET = 48,        /**< uint: ML-DSA: 44, 65, 87; ML-KEM: 512, 768, 1024 */
    HSM_ATTR_APPLICATION = 49,          /**< text: application of a data object */
    HSM_ATTR_OBJECT_IDENTIFIER = 50,    /**< bytes: DER object identifier of a data object */
    HSM_ATTR_OWNER = 51,                /**< text: user who made it */
    HSM_ATTR_SHARED_WITH = 52,          /**< text: users who may use it, names separated by commas */
    HSM_ATTR_CREATED_MS = 53,           /**< uint: milliseconds since 1970-01-01 UTC */
    HSM_ATTR_WRAP_TEMPLATE = 54,        /**< template: attributes that a key must have to be wrapped by this one */
    HSM_ATTR_UNWRAP_TEMPLATE = 55,      /**< template: attributes that an unwrapped key gets */
    HSM_ATTR_DERIVE_TEMPLATE = 56,      /**< template: attributes that a derived key gets */
    HSM_ATTR_URL = 57,                  /**< text: where the certificate can be fetched */
    HSM_ATTR_QUORUM_USE = 58,           /**< number: how many of its users must approve a use */
    HSM_ATTR_QUORUM_MANAGEMENT = 59,    /**< number: how many must approve its wrapping, sharing, changing, deleting */
};

/** Types of attribute values: what hsm_attribute.value points to. */
enum {
    HSM_VALUE_BOOL = 1,     /**< one uint8_t, 0 or 1 */
    HSM_VALUE_UINT = 2,     /**< one uint64_t in the machine's byte order */
    HSM_VALUE_BYTES = 3,    /**< value_len bytes */
    HSM_VALUE_TEXT = 4,     /**< UTF-8, value_len bytes; in results a NUL follows that value_len does not count */
    HSM_VALUE_UINTS = 5,    /**< an array of uint64_t; value_len is in bytes */
    HSM_VALUE_TEMPLATE = 6, /**< an array of hsm_attribute; value_len is in bytes */
};

#ifdef __cplusplus
}
#endif
