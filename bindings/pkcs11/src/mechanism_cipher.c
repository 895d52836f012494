/* Parameters of ciphers, GMAC and key wrapping. */
#include "mechanism_params.h"

#define GCM_NONCE_MAX  128u
#define GMAC_NONCE_LEN 12u
#define CCM_NONCE_MIN  7u
#define CCM_NONCE_MAX  13u
#define AES_BLOCK_LEN  16u
#define COUNTER_BITS   (8 * AES_BLOCK_LEN)

static CK_RV keep_aad(struct mechanism *mechanism, const void *aad, CK_ULONG len)
{
    TRY(mechanism_keep(mechanism, aad, len, &mechanism->hsm.aad));
    mechanism->hsm.aad_len = len;
    return CKR_OK;
}

CK_RV read_iv(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    (void)use;
    CHECK(given->ulParameterLen == mechanism->row->block_len, CKR_MECHANISM_PARAM_INVALID);
    return mechanism_keep_nonce(mechanism, given->pParameter, given->ulParameterLen);
}

/* The bytes that can be encrypted until the last `counter_bits` of a counter block are used up; 0: more than there can
 * be. */
static uint64_t until_overflow(const CK_BYTE block[AES_BLOCK_LEN], CK_ULONG counter_bits)
{
    unsigned __int128 counter = 0, mask = ((unsigned __int128)1 << counter_bits) - 1;

    for (size_t i = 0; i < AES_BLOCK_LEN; i++)
        counter = counter << 8 | block[i];
    unsigned __int128 n_blocks = mask - (counter & mask) + 1;

    return n_blocks > UINT64_MAX / AES_BLOCK_LEN ? 0 : (uint64_t)n_blocks * AES_BLOCK_LEN;
}

/* Nodes count in all 128 bits of the block. A counter of fewer bits is the same as long as it does not overflow, and
 * that it must not (PKCS#11 3.0, AES-CTR: CKR_DATA_LEN_RANGE): data_max tells where it would. */
CK_RV read_ctr(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_AES_CTR_PARAMS parameter;

    (void)use;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    CHECK(parameter.ulCounterBits >= 1 && parameter.ulCounterBits <= COUNTER_BITS, CKR_MECHANISM_PARAM_INVALID);
    if (parameter.ulCounterBits < COUNTER_BITS)
        mechanism->data_max = until_overflow(parameter.cb, parameter.ulCounterBits);
    return mechanism_keep_nonce(mechanism, parameter.cb, sizeof(parameter.cb));
}

/* The structure has two forms: that of the standard's headers, and that of the text of 2.40 without ulIvBits, which NSS
 * and what was written for it used. The length tells them apart. ulIvBits says nothing that ulIvLen does not (3.0,
 * AES-GCM), and programs leave it 0. */
static CK_RV copy_gcm(const CK_MECHANISM *given, CK_GCM_PARAMS_V3 *parameter)
{
    CK_NSS_GCM_PARAMS older;

    if (given->ulParameterLen != sizeof(older))
        return parameter_copy(given, parameter, sizeof(*parameter));
    TRY(parameter_copy(given, &older, sizeof(older)));
    *parameter = (CK_GCM_PARAMS_V3){.pIv = older.pIv,
                                    .ulIvLen = older.ulIvLen,
                                    .pAAD = older.pAAD,
                                    .ulAADLen = older.ulAADLen,
                                    .ulTagBits = older.ulTagBits};
    return CKR_OK;
}

/* SP 800-38D, 5.2.1.2 */
static CK_RV take_tag_bits(struct mechanism *mechanism, CK_ULONG bits)
{
    CHECK(bits == 32 || bits == 64 || (bits >= 96 && bits <= 128 && bits % 8 == 0), CKR_MECHANISM_PARAM_INVALID);
    mechanism->hsm.tag_len = (uint32_t)bits / 8;
    return CKR_OK;
}

static bool makes_ciphertext(CK_FLAGS use)
{
    return use == CKF_ENCRYPT || use == CKF_WRAP;
}

static bool is_zero(const CK_BYTE *bytes, CK_ULONG len)
{
    CK_BYTE any = 0;

    for (CK_ULONG i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

/* The node makes the nonce. It is written back only where the caller said that there is room for it. */
static void let_node_make_nonce(struct mechanism *mechanism, const CK_GCM_PARAMS_V3 *parameter)
{
    mechanism->hsm.nonce_out = mechanism->nonce_made;
    mechanism->nonce_back = parameter->ulIvLen >= HSM_NONCE_MADE_LEN ? parameter->pIv : NULL;
}

/* Programs written for AWS CloudHSM pass twelve zeros and find the nonce in their place. A nonce that is nowhere to be
 * written to would be lost, and the ciphertext with it: that is refused. */
CK_RV read_gcm(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_GCM_PARAMS_V3 parameter;

    if (use == CKF_MESSAGE_ENCRYPT || use == CKF_MESSAGE_DECRYPT)
        return CKR_OK;
    TRY(copy_gcm(given, &parameter));
    CHECK(parameter.pIv && parameter.ulIvLen >= 1 && parameter.ulIvLen <= GCM_NONCE_MAX, CKR_MECHANISM_PARAM_INVALID);
    TRY(take_tag_bits(mechanism, parameter.ulTagBits));
    TRY(keep_aad(mechanism, parameter.pAAD, parameter.ulAADLen));
    if (!makes_ciphertext(use) || parameter.ulIvLen != HSM_NONCE_MADE_LEN || !is_zero(parameter.pIv, parameter.ulIvLen))
        return mechanism_keep_nonce(mechanism, parameter.pIv, parameter.ulIvLen);
    let_node_make_nonce(mechanism, &parameter);
    return CKR_OK;
}

/* Whatever the caller's nonce is, it is not used: encrypting makes one, decrypting finds it in front of the data. */
CK_RV read_cloudhsm_gcm(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_GCM_PARAMS_V3 parameter;

    TRY(copy_gcm(given, &parameter));
    TRY(take_tag_bits(mechanism, parameter.ulTagBits));
    TRY(keep_aad(mechanism, parameter.pAAD, parameter.ulAADLen));
    if (makes_ciphertext(use))
        let_node_make_nonce(mechanism, &parameter);
    return CKR_OK;
}

/* ulDataLen is the length of the plaintext (PKCS#11 3.0, AES-CCM), which the tag covers anyway (SP 800-38C, A.2.1). */
CK_RV read_ccm(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_CCM_PARAMS parameter;

    if (use == CKF_MESSAGE_ENCRYPT || use == CKF_MESSAGE_DECRYPT)
        return CKR_OK;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    CHECK(parameter.ulNonceLen >= CCM_NONCE_MIN && parameter.ulNonceLen <= CCM_NONCE_MAX, CKR_MECHANISM_PARAM_INVALID);
    CHECK(parameter.ulMACLen >= 4 && parameter.ulMACLen <= 16 && parameter.ulMACLen % 2 == 0,
          CKR_MECHANISM_PARAM_INVALID);
    mechanism->hsm.tag_len = (uint32_t)parameter.ulMACLen;
    mechanism->has_text_len = true;
    mechanism->text_len = parameter.ulDataLen;
    TRY(mechanism_keep_nonce(mechanism, parameter.pNonce, parameter.ulNonceLen));
    return keep_aad(mechanism, parameter.pAAD, parameter.ulAADLen);
}

/* PKCS#11 2.40, AES-GMAC: the parameter is the nonce itself. */
CK_RV read_gmac(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    (void)use;
    CHECK(given->ulParameterLen == GMAC_NONCE_LEN, CKR_MECHANISM_PARAM_INVALID);
    return mechanism_keep_nonce(mechanism, given->pParameter, given->ulParameterLen);
}

/* The initial values of SP 800-38F, 6.2 and 6.3: what nodes use, and what a caller may therefore say. */
static const struct {
    uint32_t mechanism;
    size_t len;
    CK_BYTE value[8];
} INITIAL_VALUES[] = {
    {HSM_MECHANISM_AES_KEY_WRAP, 8, {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}},
    {HSM_MECHANISM_AES_KEY_WRAP_PKCS7, 8, {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}},
    {HSM_MECHANISM_AES_KEY_WRAP_PAD, 4, {0xa6, 0x59, 0x59, 0xa6}},
};

CK_RV read_key_wrap(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    (void)use;
    if (given->ulParameterLen == 0)
        return CKR_OK;
    CHECK(given->pParameter, CKR_MECHANISM_PARAM_INVALID);
    for (size_t i = 0; i < sizeof(INITIAL_VALUES) / sizeof(INITIAL_VALUES[0]); i++) {
        if (INITIAL_VALUES[i].mechanism == mechanism->row->mechanism &&
            INITIAL_VALUES[i].len == given->ulParameterLen &&
            memcmp(INITIAL_VALUES[i].value, given->pParameter, given->ulParameterLen) == 0)
            return CKR_OK;
    }
    return CKR_MECHANISM_PARAM_INVALID;
}
