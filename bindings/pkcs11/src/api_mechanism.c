/* What the cluster can do, under the names of PKCS#11, with the sizes of keys as the standard counts them. */
#include "mechanism_offer.h"

/* Of FIPS 204, table 2, and FIPS 203, table 3. */
static const struct {
    uint32_t parameter_set, public_key_len;
} PUBLIC_KEYS[] = {
    {44, 1312}, {65, 1952}, {87, 2592}, {512, 800}, {768, 1184}, {1024, 1568},
};

static CK_FLAGS curves_of(const struct mechanism_row *row)
{
    switch (hsm_mechanism_key_type(row->mechanism)) {
    case HSM_KEY_TYPE_EC:
    case HSM_KEY_TYPE_EC_EDWARDS:
    case HSM_KEY_TYPE_EC_MONTGOMERY:
        return CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS;
    default:
        return 0;
    }
}

static CK_ULONG public_key_len(uint32_t parameter_set)
{
    for (size_t i = 0; i < sizeof(PUBLIC_KEYS) / sizeof(PUBLIC_KEYS[0]); i++) {
        if (PUBLIC_KEYS[i].parameter_set == parameter_set)
            return PUBLIC_KEYS[i].public_key_len;
    }
    return 0;
}

/* The standard counts keys of ciphers in bytes, those of RSA, of curves and generic secrets in bits, and those of
 * ML-DSA and ML-KEM by the public key in bytes. */
static CK_ULONG key_size(const struct mechanism_row *row, uint32_t bits)
{
    switch (hsm_mechanism_key_type(row->mechanism)) {
    case HSM_KEY_TYPE_AES:
    case HSM_KEY_TYPE_DES3:
        return bits / 8;
    case HSM_KEY_TYPE_ML_DSA:
    case HSM_KEY_TYPE_ML_KEM:
        return public_key_len(bits);
    default:
        return bits;
    }
}

static CK_ULONG list(const struct slot_mechanism *offered, size_t n, CK_MECHANISM_TYPE *types)
{
    size_t n_rows;
    const struct mechanism_row *rows = mechanism_rows(&n_rows);
    CK_ULONG n_types = 0;

    for (size_t i = 0; i < n_rows; i++) {
        if (mechanism_uses(&rows[i], mechanism_at_node(&rows[i], offered, n)) == 0)
            continue;
        if (types)
            types[n_types] = rows[i].type;
        n_types++;
    }
    return n_types;
}

CK_RV C_GetMechanismList(CK_SLOT_ID slotID, CK_MECHANISM_TYPE_PTR pMechanismList, CK_ULONG_PTR pulCount)
{
    CLEANUP(slot_leave) struct slot *slot = NULL;
    const struct slot_mechanism *offered;
    size_t n_offered;

    TRY(module_check());
    CHECK(pulCount, CKR_ARGUMENTS_BAD);
    TRY(slot_enter(slotID, &slot));
    TRY(slot_mechanisms(slot, &offered, &n_offered));
    CK_ULONG room = *pulCount, n = list(offered, n_offered, NULL);

    *pulCount = n;
    if (!pMechanismList)
        return CKR_OK;
    CHECK(room >= n, CKR_BUFFER_TOO_SMALL);
    list(offered, n_offered, pMechanismList);
    return CKR_OK;
}

CK_RV C_GetMechanismInfo(CK_SLOT_ID slotID, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO_PTR pInfo)
{
    CLEANUP(slot_leave) struct slot *slot = NULL;
    const struct mechanism_row *row = mechanism_row(type);
    const struct slot_mechanism *offered, *by = NULL;
    size_t n_offered;

    TRY(module_check());
    CHECK(pInfo, CKR_ARGUMENTS_BAD);
    TRY(slot_enter(slotID, &slot));
    CHECK(row, CKR_MECHANISM_INVALID);
    if (row->mechanism) {
        TRY(slot_mechanisms(slot, &offered, &n_offered));
        by = mechanism_at_node(row, offered, n_offered);
    }
    CK_FLAGS uses = mechanism_uses(row, by);

    CHECK(uses, CKR_MECHANISM_INVALID);
    *pInfo = (CK_MECHANISM_INFO){.flags = uses | curves_of(row)};
    if (by) {
        pInfo->ulMinKeySize = key_size(row, by->key_bits_min);
        pInfo->ulMaxKeySize = key_size(row, by->key_bits_max);
    }
    return CKR_OK;
}
