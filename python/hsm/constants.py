"""The numbers of the API, named as in the C headers without HSM_: hsm.CLASS_DATA is HSM_CLASS_DATA.

Every number is the same on the wire and in the store, and never changes. A test compares this file with the headers."""

# Version of the headers that this package was written for, and lengths in bytes.
VERSION_MAJOR = 0
VERSION_MINOR = 1
VERSION_PATCH = 0
ID_LEN = 16  # of an hsm_key, a node id, a cluster id
USER_NAME_MAX = 31  # of a user's name
PASSWORD_MIN = 8  # of a password
PASSWORD_MAX = 128  # of a password
RECOVERY_KEY_LEN = 32  # of a recovery key
RECOVERY_SHARE_MAX = 112  # bytes of a share's text, NUL included
RECOVERY_SHARES = 255  # most shares of a key
QUORUM_MAX = 8  # most people of a quorum
QUORUM_USES = 1000  # most operations of one token
SIGNER_SECOND_FACTOR = 1  # logins need a challenge signed with the key
CERTIFICATE_HASH_LEN = 32  # SHA-256 of a certificate's DER
BACKUP_NAME_MAX = 96  # bytes of a backup's name, NUL included
NONCE_MADE_LEN = 12  # of a nonce that the node makes
DIGEST_MAX = 64  # of a digest
MESSAGE_MAX = 1 << 20  # of data that goes to a node in one piece; longer data is streamed where the mechanism can
REFERENCE_MAX = 65536  # of a file with a key reference

# Every result. hsm_last_error() says more than the number.
OK = 0  # success
INVALID_ARGUMENT = 1  # an argument is not valid
BUFFER_TOO_SMALL = 2  # the output buffer is too small
OUT_OF_MEMORY = 3  # out of memory
NOT_SUPPORTED = 4  # not supported by this node's cryptography
PROTOCOL_ERROR = 5  # the message is malformed
VERSION_MISMATCH = 6  # no common protocol version
TOO_LARGE = 7  # larger than the limit
UNAVAILABLE = 8  # no node answered in time
BUSY = 9  # the node is too busy or is draining
NOT_LOGGED_IN = 10  # login required
TICKET_EXPIRED = 11  # the login has expired or was revoked: log in again
LOGIN_FAILED = 12  # wrong user name or password
USER_LOCKED = 13  # too many failed logins: wait, or have an administrator reset the password
NOT_PERMITTED = 14  # not permitted
OBJECT_NOT_FOUND = 15  # no such key or object
USER_NOT_FOUND = 16  # no such user
ALREADY_EXISTS = 17  # already exists
CONFLICT = 18  # changed by somebody else in the meantime
MECHANISM_INVALID = 19  # the mechanism does not fit the operation
MECHANISM_PARAM_INVALID = 20  # a mechanism parameter is not valid
KEY_TYPE_INCONSISTENT = 21  # the mechanism does not fit the key's type
KEY_SIZE_RANGE = 22  # key size out of range
KEY_FUNCTION_NOT_PERMITTED = 23  # the key's attributes do not permit this use
KEY_UNEXTRACTABLE = 24  # the key is not extractable
KEY_NOT_WRAPPABLE = 25  # the key may be wrapped only by a trusted key
ATTRIBUTE_TYPE_INVALID = 26  # the attribute does not apply to this object
ATTRIBUTE_VALUE_INVALID = 27  # the attribute's value is not valid
ATTRIBUTE_READ_ONLY = 28  # the attribute cannot be set
ATTRIBUTE_SENSITIVE = 29  # the attribute is sensitive or unextractable
TEMPLATE_INCOMPLETE = 30  # a required attribute is missing
TEMPLATE_INCONSISTENT = 31  # the attributes contradict each other
DATA_INVALID = 32  # the data is not valid for this mechanism
DATA_LENGTH = 33  # the data has the wrong length
SIGNATURE_INVALID = 34  # the signature does not verify
CIPHERTEXT_INVALID = 35  # the ciphertext or its authentication tag is not valid
WRAPPED_KEY_INVALID = 36  # the wrapped key is not valid
OPERATION_ACTIVE = 37  # an operation is active already
OPERATION_NOT_ACTIVE = 38  # no operation is active
STORE_FULL = 39  # the store's disk is full
STORE_LOCKED = 40  # the store is locked
STORE_READ_ONLY = 41  # the store cannot be written
STORE_DAMAGED = 42  # the store or one of its records is damaged
STORE_FOREIGN = 43  # the store belongs to another cluster
CLUSTER_STATE = 44  # the cluster is not in the state that this needs
QUOTA_EXCEEDED = 45  # a quota is exhausted
PASSWORD_UNACCEPTABLE = 46  # the password does not meet the rules
CONFIG_INVALID = 47  # the configuration is not valid
IO_ERROR = 48  # reading or writing failed
TLS_ERROR = 49  # the TLS connection or a certificate was refused
SELF_TEST_FAILED = 50  # a self-test failed: the node has stopped cryptography
CLOCK_UNTRUSTED = 51  # the node's clock went back
PENDING = 52  # not finished
CANCELLED = 53  # cancelled
INTERNAL = 54  # internal error
SESSION_CLOSED = 55  # the session is closed
RANDOM_FAILED = 56  # the random generator failed
STORE_UNAVAILABLE = 57  # the store cannot be reached: existing keys go on working, changes must wait
BACKUP_UNAVAILABLE = 58  # this node keeps no backups, or they cannot be reached
BACKUP_INVALID = 59  # the backup is damaged, cut off, or another's
QUORUM_NEEDED = 60  # a quorum must approve this first
SECOND_FACTOR_NEEDED = 61  # this user logs in with a signed challenge besides the password
AUTHENTICATION_NEEDED = 62  # the key wants the user's password for each use

# Roles of users.
ROLE_ADMIN = 1  # manages users and nodes; cannot use keys
ROLE_USER = 2  # crypto-user: makes and uses keys
ROLE_AUDITOR = 3  # reads the audit log

# Object classes: values of HSM_ATTR_CLASS.
CLASS_DATA = 1
CLASS_CERTIFICATE = 2
CLASS_PUBLIC_KEY = 3
CLASS_PRIVATE_KEY = 4
CLASS_SECRET_KEY = 5

# Key types: values of HSM_ATTR_KEY_TYPE.
KEY_TYPE_RSA = 1
KEY_TYPE_EC = 2  # P-224 to P-521, secp256k1
KEY_TYPE_EC_EDWARDS = 3  # Ed25519, Ed448
KEY_TYPE_EC_MONTGOMERY = 4  # X25519, X448
KEY_TYPE_AES = 5
KEY_TYPE_DES3 = 6
KEY_TYPE_GENERIC_SECRET = 7  # for HMAC and key derivation
KEY_TYPE_ML_DSA = 8  # FIPS 204; only where the node's OpenSSL has it
KEY_TYPE_ML_KEM = 9  # FIPS 203; only where the node's OpenSSL has it

# Curves: hsm_curve_oid gives the HSM_ATTR_EC_PARAMS of each.
CURVE_P224 = 1
CURVE_P256 = 2
CURVE_P384 = 3
CURVE_P521 = 4
CURVE_SECP256K1 = 5
CURVE_ED25519 = 6
CURVE_ED448 = 7
CURVE_X25519 = 8
CURVE_X448 = 9

# Hashes. SHA-1 verifies old signatures; nodes sign with it only by policy.
HASH_NONE = 0  # none, or not given
HASH_SHA1 = 1  # 20 bytes
HASH_SHA224 = 2  # 28 bytes
HASH_SHA256 = 3  # 32 bytes
HASH_SHA384 = 4  # 48 bytes
HASH_SHA512 = 5  # 64 bytes
HASH_SHA3_224 = 6  # 28 bytes
HASH_SHA3_256 = 7  # 32 bytes
HASH_SHA3_384 = 8  # 48 bytes
HASH_SHA3_512 = 9  # 64 bytes
HASH_SHA512_224 = 10  # 28 bytes
HASH_SHA512_256 = 11  # 32 bytes

# Key derivation after HSM_MECHANISM_ECDH.
KDF_NULL = 0  # the shared secret itself, cut to output_len
KDF_X963 = 1  # ANSI X9.63 with hash and shared_info
KDF_SP800_56A = 2  # SP 800-56C, one step, with hash and shared_info

# Mechanisms; the names in capitals within the texts are the fields of hsm_mechanism (NONCE: nonce) or attributes.
MECHANISM_RSA_KEY_PAIR_GEN = 1  # FIPS 186-5, A.1; MODULUS_BITS, PUBLIC_EXPONENT (default 65537)
MECHANISM_RSA_PKCS = 2  # RSASSA- and RSAES-PKCS1-v1_5 (RFC 8017); sign: HASH 0 signs DATA as it is (a DigestInfo)
MECHANISM_RSA_PKCS_PSS = 3  # RSASSA-PSS (RFC 8017); HASH, MGF_HASH, SALT_LEN
MECHANISM_RSA_PKCS_OAEP = 4  # RSAES-OAEP (RFC 8017); HASH, MGF_HASH, AAD: the label
MECHANISM_RSA_X_509 = 5  # raw RSA; by node policy only
MECHANISM_RSA_AES_KEY_WRAP = 6  # PKCS#11 2.40, 2.1.21: ephemeral AES-256 under OAEP, then RFC 5649; HASH, MGF_HASH, AAD
MECHANISM_EC_KEY_PAIR_GEN = 10  # FIPS 186-5, A.2; EC_PARAMS
MECHANISM_ECDSA = 11  # FIPS 186-5, 6; DATA is the digest; signature r || s
MECHANISM_ECDH = 12  # SP 800-56A; PEER_PUBLIC; KDF: 0 none, 1 X9.63, 2 the one-step function of SP 800-56C, both with HASH and SHARED_INFO; X25519 and X448 too
MECHANISM_EDWARDS_KEY_PAIR_GEN = 13  # RFC 8032; EC_PARAMS
MECHANISM_EDDSA = 14  # RFC 8032; DATA is the message
MECHANISM_MONTGOMERY_KEY_PAIR_GEN = 15  # RFC 7748; EC_PARAMS
MECHANISM_AES_KEY_GEN = 20  # VALUE_LEN 16, 24 or 32
MECHANISM_AES_ECB = 21  # SP 800-38A
MECHANISM_AES_CBC = 22  # SP 800-38A; NONCE 16 bytes; DATA in whole blocks
MECHANISM_AES_CBC_PAD = 23  # SP 800-38A with PKCS#7 padding; NONCE 16 bytes
MECHANISM_AES_CTR = 24  # SP 800-38A; NONCE 16 bytes: the initial counter block, all 128 bits count
# SP 800-38D; NONCE made by the node unless given; AAD; TAG_LEN (default 16); output: ciphertext || tag
MECHANISM_AES_GCM = 25
# SP 800-38C; NONCE 7 to 13 bytes, made by the node (12 bytes) unless given; AAD; TAG_LEN (default 16); output:
# ciphertext || tag
MECHANISM_AES_CCM = 26
MECHANISM_AES_CMAC = 27  # SP 800-38B; DATA is the message; TAG_LEN (default 16)
MECHANISM_AES_GMAC = 28  # SP 800-38D; DATA is the message; NONCE; TAG_LEN (default 16)
MECHANISM_AES_KEY_WRAP = 29  # RFC 3394
MECHANISM_AES_KEY_WRAP_PAD = 30  # RFC 5649
MECHANISM_AES_KEY_WRAP_PKCS7 = 31  # RFC 3394 over PKCS#7-padded data
MECHANISM_AES_ECB_ENCRYPT_DATA = 32  # PKCS#11 3.0, 2.15: DATA, encrypted as by AES_ECB, is the key
MECHANISM_AES_CBC_ENCRYPT_DATA = 33  # PKCS#11 3.0, 2.15: DATA, encrypted as by AES_CBC with NONCE, is the key
MECHANISM_DES3_KEY_GEN = 40  # SP 800-67, three keys; by node policy only
MECHANISM_DES3_ECB = 41  # SP 800-67; encryption by node policy only
MECHANISM_DES3_CBC = 42  # SP 800-67; NONCE 8 bytes; encryption by node policy only
MECHANISM_DES3_CBC_PAD = 43  # SP 800-67 with PKCS#7 padding; NONCE 8 bytes; encryption by node policy only
MECHANISM_DES3_KEY_WRAP = 44  # SP 800-38F, 7.2 (TKW); wrapping by node policy only
MECHANISM_DES3_ECB_ENCRYPT_DATA = 45  # as AES_ECB_ENCRYPT_DATA; by node policy only
MECHANISM_DES3_CBC_ENCRYPT_DATA = 46  # as AES_CBC_ENCRYPT_DATA; by node policy only
MECHANISM_GENERIC_SECRET_KEY_GEN = 50  # VALUE_LEN 1 to 4096
MECHANISM_HMAC = 51  # FIPS 198-1; DATA is the message; HASH; TAG_LEN (default: the hash's length)
# RFC 5869; HASH, SALT (or PUBLIC_ID: a key as the salt), SHARED_INFO; FLAGS 1: no extract, 2: no expand; CLASS may
# be DATA, of OUTPUT_LEN bytes
MECHANISM_HKDF = 52
# SP 800-108, 4.1; HASH (0: AES-CMAC); SHARED_INFO: label, AAD: context; FLAGS 1: SHARED_INFO is the whole fixed
# input
MECHANISM_SP800_108_COUNTER = 53
# SP 800-108, 4.2; as SP800_108_COUNTER, NONCE: the initial value; with FLAGS 1, AAD stands before the iteration
# variable, SALT between it and the counter; 8: the counter, behind SALT, before AAD
MECHANISM_SP800_108_FEEDBACK = 54
MECHANISM_CONCATENATE = 55  # SECOND_ID's value, or DATA, appended to the key's; FLAGS 1: DATA in front
MECHANISM_XOR = 56  # DATA xor the key's value
MECHANISM_SP800_108_DOUBLE_PIPELINE = 57  # SP 800-108, 4.3; as SP800_108_FEEDBACK with FLAGS 1, without NONCE
MECHANISM_DIGEST_KEY = 58  # HASH of the key's value
# a part of the key's value; FLAGS: its first bit, counted from the most significant one of the first byte; after the
# last bit comes the first
MECHANISM_EXTRACT = 59
MECHANISM_ML_DSA_KEY_PAIR_GEN = 60  # FIPS 204; PARAMETER_SET
MECHANISM_ML_DSA = 61  # FIPS 204; DATA is the message; AAD: the context; FLAGS 1: deterministic
MECHANISM_ML_KEM_KEY_PAIR_GEN = 62  # FIPS 203; PARAMETER_SET
MECHANISM_ML_KEM = 63  # FIPS 203

# What a mechanism can be used for: bits, as in hsm_mechanism_info.
USE_GENERATE = 1
USE_SIGN = 2
USE_ENCRYPT = 4
USE_WRAP = 8
USE_DERIVE = 16
USE_ENCAPSULATE = 32

# Bits of hsm_mechanism.flags; which apply depends on the mechanism.
FLAG_HKDF_NO_EXTRACT = 1  # HKDF: the key is the pseudorandom key already
FLAG_HKDF_NO_EXPAND = 2  # HKDF: extract only
FLAG_KDF_FIXED_INPUT = 1  # SP 800-108: shared_info is the whole fixed input
FLAG_KDF_LITTLE_ENDIAN = 2  # SP 800-108: the counter's least significant byte comes first
FLAG_KDF_NO_COUNTER = 4  # SP 800-108: there is no counter; not in counter mode
FLAG_KDF_COUNTER_FIRST = 8  # SP 800-108: the counter stands before the iteration variable
FLAG_CONCATENATE_DATA_FIRST = 1  # CONCATENATE: data goes in front of the key's value
FLAG_ML_DSA_DETERMINISTIC = 1  # ML-DSA: no randomness in the signature

# Attributes of objects; the word before the colon is the type of the value (see hsm_attribute). Meaning is that of
# the PKCS#11 3.0 attribute of the same name.
ATTR_CLASS = 1  # uint: object class
ATTR_KEY_TYPE = 2  # uint: key type
ATTR_LABEL = 3  # bytes: label for people
ATTR_ID = 4  # bytes: identifier that a key pair and its certificate share
ATTR_TOKEN = 5  # bool: true: replicated and durable; false: a session object
ATTR_PRIVATE = 6  # bool: only logged-in users see it
ATTR_MODIFIABLE = 7  # bool: attributes may be changed
ATTR_COPYABLE = 8  # bool: may be copied; only ever to false
ATTR_DESTROYABLE = 9  # bool: may be deleted
ATTR_SENSITIVE = 10  # bool: value never leaves in plaintext; only ever to true
ATTR_EXTRACTABLE = 11  # bool: may be wrapped; only ever to false
ATTR_ALWAYS_SENSITIVE = 12  # bool: was sensitive from birth on
ATTR_NEVER_EXTRACTABLE = 13  # bool: was unextractable from birth on
ATTR_LOCAL = 14  # bool: made inside the cluster
ATTR_WRAP_WITH_TRUSTED = 15  # bool: may be wrapped only by a trusted key; only ever to true
ATTR_TRUSTED = 16  # bool: trusted wrapping key or certificate; set by administrators only
ATTR_ALWAYS_AUTHENTICATE = 17  # bool: each use needs the user's password
ATTR_ENCRYPT = 18  # bool: may encrypt
ATTR_DECRYPT = 19  # bool: may decrypt
ATTR_SIGN = 20  # bool: may sign or make a MAC
ATTR_VERIFY = 21  # bool: may verify
ATTR_SIGN_RECOVER = 22  # bool: may sign with recovery
ATTR_VERIFY_RECOVER = 23  # bool: may verify with recovery
ATTR_WRAP = 24  # bool: may wrap keys
ATTR_UNWRAP = 25  # bool: may unwrap keys
ATTR_DERIVE = 26  # bool: keys may be derived from it
ATTR_ENCAPSULATE = 27  # bool: may encapsulate (FIPS 203)
ATTR_DECAPSULATE = 28  # bool: may decapsulate (FIPS 203)
ATTR_KEY_GEN_MECHANISM = 29  # uint: mechanism that made it
ATTR_ALLOWED_MECHANISMS = 30  # uints: if given, nothing else is allowed: mechanism | hash << 16, hash 0 for any
ATTR_CHECK_VALUE = 31  # bytes: KCV: first three bytes of a zero block encrypted, or of SHA-1 of the value
ATTR_UNIQUE_ID = 32  # text: object id in hexadecimal
ATTR_START_DATE = 33  # bytes: YYYYMMDD, not before
ATTR_END_DATE = 34  # bytes: YYYYMMDD, not after
ATTR_SUBJECT = 35  # bytes: DER name
ATTR_ISSUER = 36  # bytes: DER name
ATTR_SERIAL_NUMBER = 37  # bytes: DER integer
ATTR_CERTIFICATE_TYPE = 38  # uint: 0: X.509
ATTR_CERTIFICATE_CATEGORY = 39  # uint: 0 unspecified, 1 token user, 2 authority, 3 other
# bytes: secret key: its bytes; private key: PKCS#8 DER; public key: SubjectPublicKeyInfo DER; certificate, data:
# content
ATTR_VALUE = 40
ATTR_VALUE_LEN = 41  # uint: length of a secret key in bytes
ATTR_MODULUS = 42  # bytes: RSA modulus, big-endian
ATTR_MODULUS_BITS = 43  # uint: RSA modulus length
ATTR_PUBLIC_EXPONENT = 44  # bytes: RSA public exponent, big-endian
ATTR_EC_PARAMS = 45  # bytes: DER object identifier of the curve
ATTR_EC_POINT = 46  # bytes: public point: DER octet string
ATTR_PUBLIC_KEY_INFO = 47  # bytes: SubjectPublicKeyInfo DER of a public or private key
ATTR_PARAMETER_SET = 48  # uint: ML-DSA: 44, 65, 87; ML-KEM: 512, 768, 1024
ATTR_APPLICATION = 49  # text: application of a data object
ATTR_OBJECT_IDENTIFIER = 50  # bytes: DER object identifier of a data object
ATTR_OWNER = 51  # text: user who made it
ATTR_SHARED_WITH = 52  # text: users who may use it, names separated by commas
ATTR_CREATED_MS = 53  # uint: milliseconds since 1970-01-01 UTC
ATTR_WRAP_TEMPLATE = 54  # template: attributes that a key must have to be wrapped by this one
ATTR_UNWRAP_TEMPLATE = 55  # template: attributes that an unwrapped key gets
ATTR_DERIVE_TEMPLATE = 56  # template: attributes that a derived key gets
ATTR_URL = 57  # text: where the certificate can be fetched
ATTR_QUORUM_USE = 58  # number: how many of its users must approve a use
ATTR_QUORUM_MANAGEMENT = 59  # number: how many must approve its wrapping, sharing, changing, deleting

# Types of attribute values: what hsm_attribute.value points to.
VALUE_BOOL = 1  # one uint8_t, 0 or 1
VALUE_UINT = 2  # one uint64_t in the machine's byte order
VALUE_BYTES = 3  # value_len bytes
VALUE_TEXT = 4  # UTF-8, value_len bytes; in results a NUL follows that value_len does not count
VALUE_UINTS = 5  # an array of uint64_t; value_len is in bytes
VALUE_TEMPLATE = 6  # an array of hsm_attribute; value_len is in bytes
SALT_LEN_HASH = -1  # salt_len: as long as the hash

# What an hsm_operation does.
OPERATION_SIGN = 1
OPERATION_VERIFY = 2
OPERATION_ENCRYPT = 3
OPERATION_DECRYPT = 4
OPERATION_DIGEST = 5

# Bits for hsm_operation_begin.
OPERATION_HOLD_PLAINTEXT = 1  # AES_GCM decryption: update gives out nothing, final gives all once the tag is verified
OPERATION_TAG_APART = 2  # AES_GCM decryption: the tag comes by hsm_operation_final_tag, so that update holds nothing back for it
