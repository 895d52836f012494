/* Parameters of signatures, MACs and of RSA encryption. */
#include "mechanism_params.h"

#define SALT_MAX     2048u /* longer than any modulus leaves room for */
#define AES_KEY_BITS 256u  /* of the temporary key that a node makes for RSA_AES_KEY_WRAP */
#define MAC_MIN      4u    /* nodes make no shorter ones */
#define CMAC_LEN     16u

/* PKCS#11 3.0, RSA PSS: the hash of the parameter must be the one that the mechanism names. */
CK_RV read_pss(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_RSA_PKCS_PSS_PARAMS parameter;
    uint32_t hash;

    (void)use;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    TRY(hash_of_mechanism(parameter.hashAlg, &hash));
    CHECK(!mechanism->row->hash || mechanism->row->hash == hash, CKR_MECHANISM_PARAM_INVALID);
    CHECK(parameter.sLen <= SALT_MAX, CKR_MECHANISM_PARAM_INVALID);
    mechanism->hsm.hash = hash;
    mechanism->hsm.salt_len = (int32_t)parameter.sLen;
    return hash_of_mgf(parameter.mgf, &mechanism->hsm.mgf_hash);
}

static CK_RV take_oaep(const CK_RSA_PKCS_OAEP_PARAMS *parameter, struct mechanism *mechanism)
{
    /* Programs without a label leave its source 0. */
    CHECK(parameter->source == CKZ_DATA_SPECIFIED || (parameter->source == 0 && parameter->ulSourceDataLen == 0),
          CKR_MECHANISM_PARAM_INVALID);
    TRY(hash_of_mechanism(parameter->hashAlg, &mechanism->hsm.hash));
    TRY(hash_of_mgf(parameter->mgf, &mechanism->hsm.mgf_hash));
    TRY(mechanism_keep(mechanism, parameter->pSourceData, parameter->ulSourceDataLen, &mechanism->hsm.aad));
    mechanism->hsm.aad_len = parameter->ulSourceDataLen;
    return CKR_OK;
}

CK_RV read_oaep(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_RSA_PKCS_OAEP_PARAMS parameter;

    (void)use;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    return take_oaep(&parameter, mechanism);
}

/* Nodes wrap with a temporary key of 256 bits; what others wrapped may have a shorter one. */
static bool takes_aes_bits(CK_ULONG bits, CK_FLAGS use)
{
    return bits == AES_KEY_BITS || (use == CKF_UNWRAP && (bits == 128 || bits == 192));
}

CK_RV read_rsa_aes(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_RSA_AES_KEY_WRAP_PARAMS parameter;
    CK_RSA_PKCS_OAEP_PARAMS oaep;

    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    CHECK(takes_aes_bits(parameter.ulAESKeyBits, use) && parameter.pOAEPParams, CKR_MECHANISM_PARAM_INVALID);
    memcpy(&oaep, parameter.pOAEPParams, sizeof(oaep));
    return take_oaep(&oaep, mechanism);
}

/* PKCS#11 3.0, EdDSA: without a parameter it is the plain signature. With it and an empty context too: RFC 8032, 8.3,
 * advises against Ed25519ctx with an empty context, and Ed448 makes no difference. */
CK_RV read_eddsa(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_EDDSA_PARAMS parameter;

    (void)use;
    if (given->ulParameterLen == 0)
        return CKR_OK;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    CHECK(!parameter.phFlag, CKR_MECHANISM_PARAM_INVALID);
    TRY(mechanism_keep(mechanism, parameter.pContextData, parameter.ulContextDataLen, &mechanism->hsm.aad));
    mechanism->hsm.aad_len = parameter.ulContextDataLen;
    return CKR_OK;
}

CK_RV read_ml_dsa(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_SIGN_ADDITIONAL_CONTEXT parameter;

    (void)use;
    if (given->ulParameterLen == 0)
        return CKR_OK;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    CHECK(parameter.hedgeVariant <= CKH_DETERMINISTIC_REQUIRED, CKR_MECHANISM_PARAM_INVALID);
    if (parameter.hedgeVariant == CKH_DETERMINISTIC_REQUIRED)
        mechanism->hsm.flags |= HSM_FLAG_ML_DSA_DETERMINISTIC;
    TRY(mechanism_keep(mechanism, parameter.pContext, parameter.ulContextLen, &mechanism->hsm.aad));
    mechanism->hsm.aad_len = parameter.ulContextLen;
    return CKR_OK;
}

CK_RV read_mac_len(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_MAC_GENERAL_PARAMS len;
    size_t full = mechanism->row->hash ? hsm_hash_len(mechanism->row->hash) : CMAC_LEN;

    (void)use;
    TRY(parameter_copy(given, &len, sizeof(len)));
    CHECK(len >= MAC_MIN && len <= full, CKR_MECHANISM_PARAM_INVALID);
    mechanism->hsm.tag_len = (uint32_t)len;
    return CKR_OK;
}
