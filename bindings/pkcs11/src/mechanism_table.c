/* The table of mechanisms: one row for each that the cluster can do under a name of PKCS#11 or of AWS CloudHSM. Where
 * several rows are the same to the cluster, the first is the one that a key's attributes are shown with. */
#include "mechanism.h"

#include "mechanism_params.h"

#define SIGNS    (CKF_SIGN | CKF_VERIFY)
#define RECOVERS (CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER)
#define ENCRYPTS (CKF_ENCRYPT | CKF_DECRYPT)
#define MESSAGES (CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT)
#define WRAPS    (CKF_WRAP | CKF_UNWRAP)
#define ANY_KEY  CK_UNAVAILABLE_INFORMATION

#define GENERATES(type, mechanism, uses, key_type)                                                                     \
    {                                                                                                                  \
        type, #type, HSM_MECHANISM_##mechanism, HSM_HASH_NONE, uses, key_type, OUTPUT_NONE, 0, NULL                    \
    }

#define RSA(type, mechanism, hash, uses, output, read)                                                                 \
    {                                                                                                                  \
        type, #type, HSM_MECHANISM_##mechanism, HSM_HASH_##hash, uses, CKK_RSA, output, 0, read                        \
    }

#define ECDSA(type, hash)                                                                                              \
    {                                                                                                                  \
        type, #type, HSM_MECHANISM_ECDSA, HSM_HASH_##hash, SIGNS, CKK_EC, OUTPUT_ECDSA, 0, NULL                        \
    }

/* Signatures over the message itself. */
#define MESSAGE(type, mechanism, key_type, output, read)                                                               \
    {                                                                                                                  \
        type, #type, HSM_MECHANISM_##mechanism, HSM_HASH_NONE, SIGNS, key_type, output, 0, read                        \
    }

#define CIPHER(type, mechanism, uses, key_type, output, block_len, read)                                               \
    {                                                                                                                  \
        type, #type, HSM_MECHANISM_##mechanism, HSM_HASH_NONE, uses, key_type, output, block_len, read                 \
    }

#define MAC(type, mechanism, hash, key_type, read)                                                                     \
    {                                                                                                                  \
        type, #type, HSM_MECHANISM_##mechanism, HSM_HASH_##hash, SIGNS, key_type, OUTPUT_MAC, 0, read                  \
    }

#define DERIVES(type, mechanism, read)                                                                                 \
    {                                                                                                                  \
        type, #type, HSM_MECHANISM_##mechanism, HSM_HASH_NONE, CKF_DERIVE, ANY_KEY, OUTPUT_NONE, 0, read               \
    }

/* The digest of the base key. */
#define DERIVES_DIGEST(type, hash)                                                                                     \
    {                                                                                                                  \
        type, #type, HSM_MECHANISM_DIGEST_KEY, HSM_HASH_##hash, CKF_DERIVE, ANY_KEY, OUTPUT_NONE, 0, NULL              \
    }

/* The base key encrypts data. */
#define DERIVES_ENCRYPTED(type, mechanism, key_type, block_len, read)                                                  \
    {                                                                                                                  \
        type, #type, HSM_MECHANISM_##mechanism, HSM_HASH_NONE, CKF_DERIVE, key_type, OUTPUT_NONE, block_len, read      \
    }

#define DIGEST(type, hash)                                                                                             \
    {                                                                                                                  \
        type, #type, 0, HSM_HASH_##hash, CKF_DIGEST, ANY_KEY, OUTPUT_DIGEST, 0, NULL                                   \
    }

static const struct mechanism_row ROWS[] = {
    GENERATES(CKM_RSA_PKCS_KEY_PAIR_GEN, RSA_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, CKK_RSA),
    GENERATES(CKM_RSA_X9_31_KEY_PAIR_GEN, RSA_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, CKK_RSA),
    RSA(CKM_RSA_PKCS, RSA_PKCS, NONE, SIGNS | RECOVERS | ENCRYPTS | WRAPS, OUTPUT_MODULUS, NULL),
    RSA(CKM_SHA1_RSA_PKCS, RSA_PKCS, SHA1, SIGNS, OUTPUT_MODULUS, NULL),
    RSA(CKM_SHA224_RSA_PKCS, RSA_PKCS, SHA224, SIGNS, OUTPUT_MODULUS, NULL),
    RSA(CKM_SHA256_RSA_PKCS, RSA_PKCS, SHA256, SIGNS, OUTPUT_MODULUS, NULL),
    RSA(CKM_SHA384_RSA_PKCS, RSA_PKCS, SHA384, SIGNS, OUTPUT_MODULUS, NULL),
    RSA(CKM_SHA512_RSA_PKCS, RSA_PKCS, SHA512, SIGNS, OUTPUT_MODULUS, NULL),
    RSA(CKM_SHA3_224_RSA_PKCS, RSA_PKCS, SHA3_224, SIGNS, OUTPUT_MODULUS, NULL),
    RSA(CKM_SHA3_256_RSA_PKCS, RSA_PKCS, SHA3_256, SIGNS, OUTPUT_MODULUS, NULL),
    RSA(CKM_SHA3_384_RSA_PKCS, RSA_PKCS, SHA3_384, SIGNS, OUTPUT_MODULUS, NULL),
    RSA(CKM_SHA3_512_RSA_PKCS, RSA_PKCS, SHA3_512, SIGNS, OUTPUT_MODULUS, NULL),
    RSA(CKM_RSA_PKCS_PSS, RSA_PKCS_PSS, NONE, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_SHA1_RSA_PKCS_PSS, RSA_PKCS_PSS, SHA1, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_SHA224_RSA_PKCS_PSS, RSA_PKCS_PSS, SHA224, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_SHA256_RSA_PKCS_PSS, RSA_PKCS_PSS, SHA256, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_SHA384_RSA_PKCS_PSS, RSA_PKCS_PSS, SHA384, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_SHA512_RSA_PKCS_PSS, RSA_PKCS_PSS, SHA512, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_SHA3_224_RSA_PKCS_PSS, RSA_PKCS_PSS, SHA3_224, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_SHA3_256_RSA_PKCS_PSS, RSA_PKCS_PSS, SHA3_256, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_SHA3_384_RSA_PKCS_PSS, RSA_PKCS_PSS, SHA3_384, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_SHA3_512_RSA_PKCS_PSS, RSA_PKCS_PSS, SHA3_512, SIGNS, OUTPUT_MODULUS, read_pss),
    RSA(CKM_RSA_PKCS_OAEP, RSA_PKCS_OAEP, NONE, ENCRYPTS | WRAPS, OUTPUT_MODULUS, read_oaep),
    RSA(CKM_RSA_X_509, RSA_X_509, NONE, SIGNS | RECOVERS | ENCRYPTS, OUTPUT_MODULUS, NULL),
    RSA(CKM_RSA_AES_KEY_WRAP, RSA_AES_KEY_WRAP, NONE, WRAPS, OUTPUT_ASK, read_rsa_aes),

    GENERATES(CKM_EC_KEY_PAIR_GEN, EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, CKK_EC),
    ECDSA(CKM_ECDSA, NONE),
    ECDSA(CKM_ECDSA_SHA1, SHA1),
    ECDSA(CKM_ECDSA_SHA224, SHA224),
    ECDSA(CKM_ECDSA_SHA256, SHA256),
    ECDSA(CKM_ECDSA_SHA384, SHA384),
    ECDSA(CKM_ECDSA_SHA512, SHA512),
    ECDSA(CKM_ECDSA_SHA3_224, SHA3_224),
    ECDSA(CKM_ECDSA_SHA3_256, SHA3_256),
    ECDSA(CKM_ECDSA_SHA3_384, SHA3_384),
    ECDSA(CKM_ECDSA_SHA3_512, SHA3_512),
    GENERATES(CKM_EC_EDWARDS_KEY_PAIR_GEN, EDWARDS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, CKK_EC_EDWARDS),
    MESSAGE(CKM_EDDSA, EDDSA, CKK_EC_EDWARDS, OUTPUT_EDDSA, read_eddsa),
    GENERATES(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, MONTGOMERY_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, CKK_EC_MONTGOMERY),
    DERIVES(CKM_ECDH1_DERIVE, ECDH, read_ecdh),
    /* The same: the NIST curves and secp256k1 have the cofactor 1, and X25519 and X448 multiply by theirs in any case.
     */
    DERIVES(CKM_ECDH1_COFACTOR_DERIVE, ECDH, read_ecdh),

    GENERATES(CKM_AES_KEY_GEN, AES_KEY_GEN, CKF_GENERATE, CKK_AES),
    CIPHER(CKM_AES_ECB, AES_ECB, ENCRYPTS, CKK_AES, OUTPUT_SAME, 16, NULL),
    CIPHER(CKM_AES_CBC, AES_CBC, ENCRYPTS, CKK_AES, OUTPUT_SAME, 16, read_iv),
    CIPHER(CKM_AES_CBC_PAD, AES_CBC_PAD, ENCRYPTS | WRAPS, CKK_AES, OUTPUT_PADDED, 16, read_iv),
    CIPHER(CKM_AES_CTR, AES_CTR, ENCRYPTS, CKK_AES, OUTPUT_SAME, 0, read_ctr),
    CIPHER(CKM_AES_GCM, AES_GCM, ENCRYPTS | MESSAGES | WRAPS, CKK_AES, OUTPUT_TAGGED, 0, read_gcm),
    CIPHER(CKM_CLOUDHSM_AES_GCM, AES_GCM, ENCRYPTS | WRAPS, CKK_AES, OUTPUT_NONCE_TAGGED, 0, read_cloudhsm_gcm),
    CIPHER(CKM_AES_CCM, AES_CCM, ENCRYPTS | MESSAGES, CKK_AES, OUTPUT_TAGGED, 0, read_ccm),
    MAC(CKM_AES_CMAC, AES_CMAC, NONE, CKK_AES, NULL),
    MAC(CKM_AES_CMAC_GENERAL, AES_CMAC, NONE, CKK_AES, read_mac_len),
    MAC(CKM_AES_GMAC, AES_GMAC, NONE, CKK_AES, read_gmac),
    CIPHER(CKM_AES_KEY_WRAP, AES_KEY_WRAP, ENCRYPTS | WRAPS, CKK_AES, OUTPUT_ASK, 0, read_key_wrap),
    CIPHER(CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD, AES_KEY_WRAP, ENCRYPTS | WRAPS, CKK_AES, OUTPUT_ASK, 0, read_key_wrap),
    CIPHER(CKM_AES_KEY_WRAP_KWP, AES_KEY_WRAP_PAD, ENCRYPTS | WRAPS, CKK_AES, OUTPUT_ASK, 0, read_key_wrap),
    CIPHER(CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, AES_KEY_WRAP_PAD, ENCRYPTS | WRAPS, CKK_AES, OUTPUT_ASK, 0,
           read_key_wrap),
    /* PKCS#11 3.0, AES Key Wrap: the padding is that of PKCS#7; RFC 5649 is CKM_AES_KEY_WRAP_KWP. */
    CIPHER(CKM_AES_KEY_WRAP_PAD, AES_KEY_WRAP_PKCS7, ENCRYPTS | WRAPS, CKK_AES, OUTPUT_ASK, 0, read_key_wrap),
    CIPHER(CKM_AES_KEY_WRAP_PKCS7, AES_KEY_WRAP_PKCS7, ENCRYPTS | WRAPS, CKK_AES, OUTPUT_ASK, 0, read_key_wrap),
    CIPHER(CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, AES_KEY_WRAP_PKCS7, ENCRYPTS | WRAPS, CKK_AES, OUTPUT_ASK, 0,
           read_key_wrap),

    GENERATES(CKM_DES3_KEY_GEN, DES3_KEY_GEN, CKF_GENERATE, CKK_DES3),
    CIPHER(CKM_DES3_ECB, DES3_ECB, ENCRYPTS, CKK_DES3, OUTPUT_SAME, 8, NULL),
    CIPHER(CKM_DES3_CBC, DES3_CBC, ENCRYPTS, CKK_DES3, OUTPUT_SAME, 8, read_iv),
    CIPHER(CKM_DES3_CBC_PAD, DES3_CBC_PAD, ENCRYPTS, CKK_DES3, OUTPUT_PADDED, 8, read_iv),

    CIPHER(CKM_CLOUDHSM_DES3_NIST_WRAP, DES3_KEY_WRAP, WRAPS, CKK_DES3, OUTPUT_ASK, 0, read_key_wrap),

    /* Keys for HMAC and HKDF are generic secrets to the cluster, whatever they are made for. */
    GENERATES(CKM_GENERIC_SECRET_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA_1_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA224_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA256_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA384_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA512_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA3_224_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA3_256_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA3_384_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA3_512_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA512_224_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_SHA512_256_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    GENERATES(CKM_HKDF_KEY_GEN, GENERIC_SECRET_KEY_GEN, CKF_GENERATE, CKK_GENERIC_SECRET),
    MAC(CKM_SHA256_HMAC, HMAC, SHA256, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA256_HMAC_GENERAL, HMAC, SHA256, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA_1_HMAC, HMAC, SHA1, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA_1_HMAC_GENERAL, HMAC, SHA1, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA224_HMAC, HMAC, SHA224, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA224_HMAC_GENERAL, HMAC, SHA224, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA384_HMAC, HMAC, SHA384, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA384_HMAC_GENERAL, HMAC, SHA384, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA512_HMAC, HMAC, SHA512, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA512_HMAC_GENERAL, HMAC, SHA512, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA3_224_HMAC, HMAC, SHA3_224, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA3_224_HMAC_GENERAL, HMAC, SHA3_224, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA3_256_HMAC, HMAC, SHA3_256, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA3_256_HMAC_GENERAL, HMAC, SHA3_256, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA3_384_HMAC, HMAC, SHA3_384, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA3_384_HMAC_GENERAL, HMAC, SHA3_384, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA3_512_HMAC, HMAC, SHA3_512, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA3_512_HMAC_GENERAL, HMAC, SHA3_512, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA512_224_HMAC, HMAC, SHA512_224, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA512_224_HMAC_GENERAL, HMAC, SHA512_224, CKK_GENERIC_SECRET, read_mac_len),
    MAC(CKM_SHA512_256_HMAC, HMAC, SHA512_256, CKK_GENERIC_SECRET, NULL),
    MAC(CKM_SHA512_256_HMAC_GENERAL, HMAC, SHA512_256, CKK_GENERIC_SECRET, read_mac_len),

    DERIVES(CKM_HKDF_DERIVE, HKDF, read_hkdf),
    DERIVES(CKM_HKDF_DATA, HKDF, read_hkdf),
    DERIVES(CKM_SP800_108_COUNTER_KDF, SP800_108_COUNTER, read_counter_kdf),
    DERIVES(CKM_CLOUDHSM_SP800_108_COUNTER_KDF, SP800_108_COUNTER, read_cloudhsm_kdf),
    DERIVES(CKM_SP800_108_FEEDBACK_KDF, SP800_108_FEEDBACK, read_feedback_kdf),
    DERIVES(CKM_SP800_108_DOUBLE_PIPELINE_KDF, SP800_108_DOUBLE_PIPELINE, read_double_pipeline_kdf),
    DERIVES(CKM_CONCATENATE_BASE_AND_KEY, CONCATENATE, read_base_and_key),
    DERIVES(CKM_CONCATENATE_BASE_AND_DATA, CONCATENATE, read_base_and_data),
    DERIVES(CKM_CONCATENATE_DATA_AND_BASE, CONCATENATE, read_data_and_base),
    DERIVES(CKM_XOR_BASE_AND_DATA, XOR, read_base_and_data),
    DERIVES(CKM_EXTRACT_KEY_FROM_KEY, EXTRACT, read_extract),
    DERIVES_DIGEST(CKM_SHA256_KEY_DERIVATION, SHA256),
    DERIVES_DIGEST(CKM_SHA1_KEY_DERIVATION, SHA1),
    DERIVES_DIGEST(CKM_SHA224_KEY_DERIVATION, SHA224),
    DERIVES_DIGEST(CKM_SHA384_KEY_DERIVATION, SHA384),
    DERIVES_DIGEST(CKM_SHA512_KEY_DERIVATION, SHA512),
    DERIVES_DIGEST(CKM_SHA512_224_KEY_DERIVATION, SHA512_224),
    DERIVES_DIGEST(CKM_SHA512_256_KEY_DERIVATION, SHA512_256),
    DERIVES_DIGEST(CKM_SHA3_224_KEY_DERIVATION, SHA3_224),
    DERIVES_DIGEST(CKM_SHA3_256_KEY_DERIVATION, SHA3_256),
    DERIVES_DIGEST(CKM_SHA3_384_KEY_DERIVATION, SHA3_384),
    DERIVES_DIGEST(CKM_SHA3_512_KEY_DERIVATION, SHA3_512),
    DERIVES_ENCRYPTED(CKM_AES_ECB_ENCRYPT_DATA, AES_ECB_ENCRYPT_DATA, CKK_AES, 16, read_base_and_data),
    DERIVES_ENCRYPTED(CKM_AES_CBC_ENCRYPT_DATA, AES_CBC_ENCRYPT_DATA, CKK_AES, 16, read_aes_cbc_data),
    DERIVES_ENCRYPTED(CKM_DES3_ECB_ENCRYPT_DATA, DES3_ECB_ENCRYPT_DATA, CKK_DES3, 8, read_base_and_data),
    DERIVES_ENCRYPTED(CKM_DES3_CBC_ENCRYPT_DATA, DES3_CBC_ENCRYPT_DATA, CKK_DES3, 8, read_des3_cbc_data),

    GENERATES(CKM_ML_DSA_KEY_PAIR_GEN, ML_DSA_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, CKK_ML_DSA),
    MESSAGE(CKM_ML_DSA, ML_DSA, CKK_ML_DSA, OUTPUT_ML_DSA, read_ml_dsa),
    GENERATES(CKM_ML_KEM_KEY_PAIR_GEN, ML_KEM_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, CKK_ML_KEM),
    CIPHER(CKM_ML_KEM, ML_KEM, CKF_ENCAPSULATE | CKF_DECAPSULATE, CKK_ML_KEM, OUTPUT_NONE, 0, NULL),

    DIGEST(CKM_SHA_1, SHA1),
    DIGEST(CKM_SHA224, SHA224),
    DIGEST(CKM_SHA256, SHA256),
    DIGEST(CKM_SHA384, SHA384),
    DIGEST(CKM_SHA512, SHA512),
    DIGEST(CKM_SHA3_224, SHA3_224),
    DIGEST(CKM_SHA3_256, SHA3_256),
    DIGEST(CKM_SHA3_384, SHA3_384),
    DIGEST(CKM_SHA3_512, SHA3_512),
    DIGEST(CKM_SHA512_224, SHA512_224),
    DIGEST(CKM_SHA512_256, SHA512_256),
};

const struct mechanism_row *mechanism_rows(size_t *n)
{
    *n = sizeof(ROWS) / sizeof(ROWS[0]);
    return ROWS;
}
