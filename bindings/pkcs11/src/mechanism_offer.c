/* Which rows of the table a cluster offers. */
#include "mechanism_offer.h"

static const struct {
    uint32_t hsm_use;
    CK_FLAGS flags;
} USES[] = {
    {HSM_USE_GENERATE, CKF_GENERATE | CKF_GENERATE_KEY_PAIR},
    {HSM_USE_SIGN, CKF_SIGN | CKF_VERIFY | CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER},
    {HSM_USE_ENCRYPT, CKF_ENCRYPT | CKF_DECRYPT | CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT},
    {HSM_USE_WRAP, CKF_WRAP | CKF_UNWRAP},
    {HSM_USE_DERIVE, CKF_DERIVE},
    {HSM_USE_ENCAPSULATE, CKF_ENCAPSULATE | CKF_DECAPSULATE},
};

const struct slot_mechanism *mechanism_at_node(const struct mechanism_row *row, const struct slot_mechanism *offered,
                                               size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (offered[i].mechanism == row->mechanism)
            return &offered[i];
    }
    return NULL;
}

CK_FLAGS mechanism_uses(const struct mechanism_row *row, const struct slot_mechanism *by)
{
    CK_FLAGS uses = 0;

    if (row->mechanism == 0)
        return row->uses;
    if (!by)
        return 0;
    for (size_t i = 0; i < sizeof(USES) / sizeof(USES[0]); i++) {
        if (by->uses & USES[i].hsm_use)
            uses |= row->uses & USES[i].flags;
    }
    return uses & ~by->refused & ~(row->hash == HSM_HASH_SHA1 ? by->refused_with_sha1 : 0);
}

CK_RV mechanism_check_offered(struct slot *slot, const struct mechanism_row *row, CK_FLAGS use)
{
    const struct slot_mechanism *offered;
    size_t n;

    TRY(slot_mechanisms(slot, &offered, &n));
    return mechanism_uses(row, mechanism_at_node(row, offered, n)) & use ? CKR_OK : CKR_MECHANISM_INVALID;
}
