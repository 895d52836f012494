/* The vendor-defined mechanisms that programs written for AWS CloudHSM's PKCS#11 module use, under the names and values
 * that they know. To be included after a header of PKCS#11. */
#ifndef CLOUDHSM_PKCS11_VENDOR_DEFS_H
#define CLOUDHSM_PKCS11_VENDOR_DEFS_H

/* AES-GCM with a nonce that the HSM makes: encryption writes it into the caller's buffer (12 bytes) if there is one,
 * and puts it in front of the ciphertext, where decryption looks for it. Parameter: CK_GCM_PARAMS. */
#define CKM_CLOUDHSM_AES_GCM (CKM_VENDOR_DEFINED | 0x00001087UL)

/* AES key wrapping (NIST SP 800-38F, KW) in three paddings, without a parameter. */
#define CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD    (CKM_VENDOR_DEFINED | 0x00002109UL)
#define CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD (CKM_VENDOR_DEFINED | 0x0000210AUL)
#define CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD  (CKM_VENDOR_DEFINED | 0x0000216FUL)

/* Triple-DES key wrapping (NIST SP 800-38F, TKW). */
#define CKM_CLOUDHSM_DES3_NIST_WRAP (CKM_VENDOR_DEFINED | 0x00008000UL)
#define CKM_DES3_NIST_WRAP          CKM_CLOUDHSM_DES3_NIST_WRAP

/* NIST SP 800-108 in counter mode. Parameter: CK_SP800_108_KDF_PARAMS, in the standard's or in this older form, whose
 * first three members are the same. */
#define CKM_CLOUDHSM_SP800_108_COUNTER_KDF (CKM_VENDOR_DEFINED | 0x00000001UL)

#ifndef CKM_SP800_108_COUNTER_KDF /* a header older than PKCS#11 3.0 */
#define CKM_SP800_108_COUNTER_KDF CKM_CLOUDHSM_SP800_108_COUNTER_KDF

typedef CK_MECHANISM_TYPE CK_PRF_TYPE;
typedef CK_ULONG CK_PRF_DATA_TYPE;
typedef CK_ULONG CK_SP800_108_DKM_LENGTH_METHOD;

#define SP800_108_COUNTER_FORMAT             4UL
#define SP800_108_PRF_LABEL                  5UL
#define SP800_108_PRF_CONTEXT                6UL
#define SP800_108_DKM_FORMAT                 7UL
#define SP800_108_BYTE_ARRAY                 8UL
#define SP800_108_DKM_LENGTH_SUM_OF_KEYS     1UL
#define SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS 2UL

typedef struct CK_PRF_DATA_PARAM {
    CK_PRF_DATA_TYPE type;
    CK_VOID_PTR pValue;
    CK_ULONG ulValueLen;
} CK_PRF_DATA_PARAM;

typedef CK_PRF_DATA_PARAM *CK_PRF_DATA_PARAM_PTR;

typedef struct CK_SP800_108_COUNTER_FORMAT {
    CK_ULONG ulWidthInBits;
} CK_SP800_108_COUNTER_FORMAT;

typedef struct CK_SP800_108_DKM_LENGTH_FORMAT {
    CK_SP800_108_DKM_LENGTH_METHOD dkmLengthMethod;
    CK_ULONG ulWidthInBits;
} CK_SP800_108_DKM_LENGTH_FORMAT;

typedef struct CK_SP800_108_KDF_PARAMS {
    CK_PRF_TYPE prftype;
    CK_ULONG ulNumberOfDataParams;
    CK_PRF_DATA_PARAM_PTR pDataParams;
} CK_SP800_108_KDF_PARAMS;

typedef CK_SP800_108_KDF_PARAMS *CK_SP800_108_KDF_PARAMS_PTR;
#endif

#endif
