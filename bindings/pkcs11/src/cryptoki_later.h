/* What PKCS#11 got after the header that this module is compiled with: names and values of 3.1 and 3.2, and what NSS
 * leaves out of those before. Each gives way to a header that has it. */
#pragma once

#include "cryptoki.h"

#ifndef CKM_AES_GMAC /* 2.40 */
#define CKM_AES_GMAC 0x0000108EUL
#endif

#ifndef CKR_AEAD_DECRYPT_FAILED /* 3.0 */
#define CKR_AEAD_DECRYPT_FAILED 0x00000042UL
#endif

#ifndef CKM_AES_KEY_WRAP_PKCS7 /* 3.1 */
#define CKM_AES_KEY_WRAP_PKCS7 0x0000210CUL
#endif

/* 3.2: FIPS 203 and FIPS 204. */

#ifndef CKM_ML_KEM
#define CKM_ML_KEM_KEY_PAIR_GEN 0x0000000FUL
#define CKM_ML_KEM              0x00000017UL
#endif

#ifndef CKM_ML_DSA
#define CKM_ML_DSA_KEY_PAIR_GEN 0x0000001CUL
#define CKM_ML_DSA              0x0000001DUL
#endif

#ifndef CKK_ML_KEM
#define CKK_ML_KEM 0x00000049UL
#endif

#ifndef CKK_ML_DSA
#define CKK_ML_DSA 0x0000004AUL
#endif

#ifndef CKP_ML_KEM_512
#define CKP_ML_KEM_512  0x00000001UL
#define CKP_ML_KEM_768  0x00000002UL
#define CKP_ML_KEM_1024 0x00000003UL
#endif

#ifndef CKP_ML_DSA_44
#define CKP_ML_DSA_44 0x00000001UL
#define CKP_ML_DSA_65 0x00000002UL
#define CKP_ML_DSA_87 0x00000003UL
#endif

#ifndef CKA_PARAMETER_SET
#define CKA_PARAMETER_SET 0x0000061DUL
#endif

#ifndef CKA_ENCAPSULATE
#define CKA_ENCAPSULATE 0x00000633UL
#define CKA_DECAPSULATE 0x00000634UL
#endif

#ifndef CKA_SEED
#define CKA_SEED 0x00000637UL
#endif

#ifndef CKF_ENCAPSULATE
#define CKF_ENCAPSULATE 0x10000000UL
#define CKF_DECAPSULATE 0x20000000UL
#endif

#ifndef CKR_SESSION_ASYNC_NOT_SUPPORTED
#define CKR_SESSION_ASYNC_NOT_SUPPORTED 0x00000205UL
#endif

#ifndef CKS_LAST_VALIDATION_OK
#define CKS_LAST_VALIDATION_OK 0x00000001UL
#endif

#pragma GCC visibility push(default)
CK_RV C_EncapsulateKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hPublicKey,
                       CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulAttributeCount, CK_BYTE_PTR pCiphertext,
                       CK_ULONG_PTR pulCiphertextLen, CK_OBJECT_HANDLE_PTR phKey);
CK_RV C_DecapsulateKey(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hPrivateKey,
                       CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulAttributeCount, CK_BYTE_PTR pCiphertext,
                       CK_ULONG ulCiphertextLen, CK_OBJECT_HANDLE_PTR phKey);
#pragma GCC visibility pop

#ifndef CKH_HEDGE_PREFERRED
#define CKH_HEDGE_PREFERRED        0x00000000UL
#define CKH_HEDGE_REQUIRED         0x00000001UL
#define CKH_DETERMINISTIC_REQUIRED 0x00000002UL

typedef CK_ULONG CK_HEDGE_TYPE;

typedef struct CK_SIGN_ADDITIONAL_CONTEXT {
    CK_HEDGE_TYPE hedgeVariant;
    CK_BYTE_PTR pContext;
    CK_ULONG ulContextLen;
} CK_SIGN_ADDITIONAL_CONTEXT;
#endif
