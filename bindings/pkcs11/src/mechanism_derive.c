/* Parameters of key agreement, HKDF and the simple derivations. */
#include "mechanism_params.h"

/* ANSI X9.63, and the one-step function of SP 800-56C, with each hash. */
static const struct {
    CK_EC_KDF_TYPE x963, sp800;
    uint32_t hash;
} KDFS[] = {
    {CKD_SHA1_KDF, CKD_SHA1_KDF_SP800, HSM_HASH_SHA1},
    {CKD_SHA224_KDF, CKD_SHA224_KDF_SP800, HSM_HASH_SHA224},
    {CKD_SHA256_KDF, CKD_SHA256_KDF_SP800, HSM_HASH_SHA256},
    {CKD_SHA384_KDF, CKD_SHA384_KDF_SP800, HSM_HASH_SHA384},
    {CKD_SHA512_KDF, CKD_SHA512_KDF_SP800, HSM_HASH_SHA512},
    {CKD_SHA3_224_KDF, CKD_SHA3_224_KDF_SP800, HSM_HASH_SHA3_224},
    {CKD_SHA3_256_KDF, CKD_SHA3_256_KDF_SP800, HSM_HASH_SHA3_256},
    {CKD_SHA3_384_KDF, CKD_SHA3_384_KDF_SP800, HSM_HASH_SHA3_384},
    {CKD_SHA3_512_KDF, CKD_SHA3_512_KDF_SP800, HSM_HASH_SHA3_512},
};

static CK_RV take_kdf(struct mechanism *mechanism, CK_EC_KDF_TYPE kdf)
{
    mechanism->hsm.kdf = HSM_KDF_NULL;
    if (kdf == CKD_NULL)
        return CKR_OK;
    for (size_t i = 0; i < sizeof(KDFS) / sizeof(KDFS[0]); i++) {
        if (KDFS[i].x963 != kdf && KDFS[i].sp800 != kdf)
            continue;
        mechanism->hsm.kdf = KDFS[i].x963 == kdf ? HSM_KDF_X963 : HSM_KDF_SP800_56A;
        mechanism->hsm.hash = KDFS[i].hash;
        return CKR_OK;
    }
    return CKR_MECHANISM_PARAM_INVALID;
}

static CK_RV keep_info(struct mechanism *mechanism, const void *info, CK_ULONG len)
{
    TRY(mechanism_keep(mechanism, info, len, &mechanism->hsm.shared_info));
    mechanism->hsm.shared_info_len = len;
    return CKR_OK;
}

CK_RV read_ecdh(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_ECDH1_DERIVE_PARAMS parameter;

    (void)use;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    TRY(take_kdf(mechanism, parameter.kdf));
    /* PKCS#11 2.40, 2.3.6: without a function there is no shared data. */
    CHECK(parameter.kdf != CKD_NULL || parameter.ulSharedDataLen == 0, CKR_MECHANISM_PARAM_INVALID);
    CHECK(parameter.ulPublicDataLen > 0, CKR_MECHANISM_PARAM_INVALID);
    TRY(keep_info(mechanism, parameter.pSharedData, parameter.ulSharedDataLen));
    TRY(mechanism_keep(mechanism, parameter.pPublicData, parameter.ulPublicDataLen, &mechanism->hsm.peer_public));
    mechanism->hsm.peer_public_len = parameter.ulPublicDataLen;
    return CKR_OK;
}

/* Bytes, or a key. No salt is a salt of zeros (RFC 5869, 2.2). */
static CK_RV take_salt(struct mechanism *mechanism, const CK_HKDF_PARAMS *parameter)
{
    if (parameter->ulSaltType == CKF_HKDF_SALT_NULL)
        return CKR_OK;
    if (parameter->ulSaltType == CKF_HKDF_SALT_KEY) {
        CHECK(parameter->hSaltKey != CK_INVALID_HANDLE, CKR_MECHANISM_PARAM_INVALID);
        mechanism->second_handle = parameter->hSaltKey;
        return CKR_OK;
    }
    CHECK(parameter->ulSaltType == CKF_HKDF_SALT_DATA, CKR_MECHANISM_PARAM_INVALID);
    TRY(mechanism_keep(mechanism, parameter->pSalt, parameter->ulSaltLen, &mechanism->hsm.salt));
    mechanism->hsm.salt_value_len = parameter->ulSaltLen;
    return CKR_OK;
}

/* The salt belongs to the first step and the info to the second: a step left out does not look at its own. */
CK_RV read_hkdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_HKDF_PARAMS parameter;

    (void)use;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    CHECK(parameter.bExtract || parameter.bExpand, CKR_MECHANISM_PARAM_INVALID);
    TRY(hash_of_mechanism(parameter.prfHashMechanism, &mechanism->hsm.hash));
    if (parameter.bExtract)
        TRY(take_salt(mechanism, &parameter));
    else
        mechanism->hsm.flags |= HSM_FLAG_HKDF_NO_EXTRACT;
    if (parameter.bExpand)
        return keep_info(mechanism, parameter.pInfo, parameter.ulInfoLen);
    mechanism->hsm.flags |= HSM_FLAG_HKDF_NO_EXPAND;
    return CKR_OK;
}

CK_RV read_base_and_key(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    (void)use;
    TRY(parameter_copy(given, &mechanism->second_handle, sizeof(mechanism->second_handle)));
    return mechanism->second_handle == CK_INVALID_HANDLE ? CKR_KEY_HANDLE_INVALID : CKR_OK;
}

static CK_RV keep_data(struct mechanism *mechanism, const void *data, CK_ULONG len)
{
    CHECK(len > 0, CKR_MECHANISM_PARAM_INVALID);
    TRY(mechanism_keep(mechanism, data, len, &mechanism->hsm.data));
    mechanism->hsm.data_len = len;
    return CKR_OK;
}

CK_RV read_base_and_data(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_KEY_DERIVATION_STRING_DATA parameter;

    (void)use;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    return keep_data(mechanism, parameter.pData, parameter.ulLen);
}

CK_RV read_data_and_base(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    mechanism->hsm.flags |= HSM_FLAG_CONCATENATE_DATA_FIRST;
    return read_base_and_data(given, use, mechanism);
}

CK_RV read_extract(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_EXTRACT_PARAMS first_bit;

    (void)use;
    TRY(parameter_copy(given, &first_bit, sizeof(first_bit)));
    CHECK(first_bit <= UINT32_MAX, CKR_MECHANISM_PARAM_INVALID);
    mechanism->hsm.flags = (uint32_t)first_bit;
    return CKR_OK;
}

CK_RV read_aes_cbc_data(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_AES_CBC_ENCRYPT_DATA_PARAMS parameter;

    (void)use;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    TRY(mechanism_keep_nonce(mechanism, parameter.iv, sizeof(parameter.iv)));
    return keep_data(mechanism, parameter.pData, parameter.length);
}

CK_RV read_des3_cbc_data(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_DES_CBC_ENCRYPT_DATA_PARAMS parameter;

    (void)use;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    TRY(mechanism_keep_nonce(mechanism, parameter.iv, sizeof(parameter.iv)));
    return keep_data(mechanism, parameter.pData, parameter.length);
}
