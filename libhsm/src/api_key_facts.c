/* Lengths of outputs; see api_key_facts.h. */
#include "api_key_facts.h"

#include "api_object.h"
#include "protocol/catalog.h"

/* Signature lengths of FIPS 204, table 2. */
static const struct {
    uint64_t parameter_set;
    size_t len;
} ml_dsa_lengths[] = {{44, 2420}, {65, 3309}, {87, 4627}};

static status_code modulus_len(const hsm_attributes *facts, size_t *len)
{
    uint64_t bits = hsm_attributes_uint(facts, ATTRIBUTE_MODULUS_BITS, 0);
    size_t modulus;

    if (!bits && hsm_attributes_bytes(facts, ATTRIBUTE_MODULUS, &modulus))
        bits = 8 * modulus;
    CHECK(bits, STATUS_KEY_TYPE_INCONSISTENT, "the key is no RSA key");
    *len = (size_t)(bits + 7) / 8;
    return STATUS_OK;
}

static status_code curve_signature_len(const hsm_attributes *facts, size_t *len)
{
    size_t oid_len;
    const uint8_t *oid = hsm_attributes_bytes(facts, ATTRIBUTE_EC_PARAMS, &oid_len);
    uint32_t curve = hsm_curve_by_oid(oid, oid_len);

    CHECK(curve, STATUS_KEY_TYPE_INCONSISTENT, "the key is on no curve that this library knows");
    /* ECDSA: r || s. RFC 8032: 64 and 114 bytes. */
    *len = curve == HSM_CURVE_ED448 ? 114 : 2 * ((hsm_curve_bits(curve) + 7u) / 8);
    return STATUS_OK;
}

static status_code ml_dsa_len(const hsm_attributes *facts, size_t *len)
{
    uint64_t set = hsm_attributes_uint(facts, ATTRIBUTE_PARAMETER_SET, 0);

    for (size_t i = 0; i < sizeof(ml_dsa_lengths) / sizeof(*ml_dsa_lengths); i++) {
        if (ml_dsa_lengths[i].parameter_set == set) {
            *len = ml_dsa_lengths[i].len;
            return STATUS_OK;
        }
    }
    FAIL(STATUS_KEY_TYPE_INCONSISTENT, "the key is no ML-DSA key");
}

static status_code len_by_key(const hsm_attributes *facts, uint32_t mechanism, size_t *len)
{
    switch (hsm_mechanism_key_type(mechanism)) {
    case KEY_RSA:
        return modulus_len(facts, len);
    case KEY_ML_DSA:
        return ml_dsa_len(facts, len);
    default:
        return curve_signature_len(facts, len);
    }
}

static status_code ask_key(hsm_session *session, const hsm_key *key, uint32_t mechanism, size_t *len)
{
    static const uint32_t wanted[] = {ATTRIBUTE_MODULUS_BITS, ATTRIBUTE_MODULUS, ATTRIBUTE_EC_PARAMS,
                                      ATTRIBUTE_PARAMETER_SET};
    hsm_attributes *facts = NULL;

    TRY(api_object_get(session, key, wanted, sizeof(wanted) / sizeof(*wanted), &facts));
    status_code status = len_by_key(facts, mechanism, len);
    hsm_attributes_free(facts);
    return status;
}

status_code signature_room(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism, size_t *room)
{
    if (mechanism->type == MECHANISM_HMAC || mechanism->type == MECHANISM_AES_CMAC ||
        mechanism->type == MECHANISM_AES_GMAC) {
        *room = mechanism_tag_len(mechanism);
        return STATUS_OK;
    }
    return ask_key(session, key, mechanism->type, room);
}

static size_t encrypted_len(const struct parts *parts, size_t data_len)
{
    size_t block_len = parts->rule.block_len;

    switch (parts->mechanism->type) {
    case MECHANISM_AES_GCM:
    case MECHANISM_AES_CCM:
        return data_len + mechanism_tag_len(parts->mechanism);
    case MECHANISM_AES_KEY_WRAP:
        return data_len + 8;
    case MECHANISM_AES_KEY_WRAP_PAD:
        return (data_len + 7) / 8 * 8 + 8;
    case MECHANISM_AES_KEY_WRAP_PKCS7:
        return data_len / 8 * 8 + 16;
    default:
        return parts->rule.padded ? (data_len / block_len + 1) * block_len : data_len;
    }
}

status_code crypt_room(const struct parts *parts, size_t data_len, size_t *room)
{
    const hsm_mechanism *mechanism = parts->mechanism;
    size_t tag_len = mechanism_tag_len(mechanism);

    CHECK(data_len <= SIZE_MAX / 2, STATUS_TOO_LARGE, "%zu bytes of data", data_len);
    if (parts->kind == HSM_OPERATION_ENCRYPT && hsm_mechanism_key_type(mechanism->type) == KEY_RSA)
        return ask_key(parts->session, parts->key, mechanism->type, room);
    if (parts->kind == HSM_OPERATION_ENCRYPT) {
        *room = encrypted_len(parts, data_len);
        return STATUS_OK;
    }
    *room = data_len;
    if (mechanism->type == MECHANISM_AES_GCM || mechanism->type == MECHANISM_AES_CCM)
        *room = data_len > tag_len ? data_len - tag_len : 0;
    return STATUS_OK;
}
