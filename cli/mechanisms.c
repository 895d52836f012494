/* Mechanisms from options: see mechanisms.h. */
#include "mechanisms.h"

#include <string.h>

static const struct {
    uint32_t key_type;
    uint32_t sign, encrypt, wrap;
    uint32_t hash; /* when none is given */
} usual[] = {
    {HSM_KEY_TYPE_RSA, HSM_MECHANISM_RSA_PKCS_PSS, HSM_MECHANISM_RSA_PKCS_OAEP, HSM_MECHANISM_RSA_AES_KEY_WRAP,
     HSM_HASH_SHA256},
    {HSM_KEY_TYPE_EC, HSM_MECHANISM_ECDSA, 0, 0, HSM_HASH_SHA256},
    {HSM_KEY_TYPE_EC_EDWARDS, HSM_MECHANISM_EDDSA, 0, 0, HSM_HASH_NONE},
    {HSM_KEY_TYPE_ML_DSA, HSM_MECHANISM_ML_DSA, 0, 0, HSM_HASH_NONE},
    {HSM_KEY_TYPE_AES, HSM_MECHANISM_AES_CMAC, HSM_MECHANISM_AES_GCM, HSM_MECHANISM_AES_KEY_WRAP_PAD, HSM_HASH_NONE},
    {HSM_KEY_TYPE_DES3, 0, HSM_MECHANISM_DES3_CBC_PAD, 0, HSM_HASH_NONE},
    {HSM_KEY_TYPE_GENERIC_SECRET, HSM_MECHANISM_HMAC, 0, 0, HSM_HASH_SHA256},
};

static const struct {
    uint32_t mechanism;
    size_t len;
} nonces[] = {{HSM_MECHANISM_AES_GCM, 12},     {HSM_MECHANISM_AES_CCM, 12}, {HSM_MECHANISM_AES_CBC, 16},
              {HSM_MECHANISM_AES_CBC_PAD, 16}, {HSM_MECHANISM_AES_CTR, 16}, {HSM_MECHANISM_DES3_CBC, 8},
              {HSM_MECHANISM_DES3_CBC_PAD, 8}};

size_t mechanism_nonce_len(uint32_t mechanism)
{
    for (size_t i = 0; i < sizeof(nonces) / sizeof(*nonces); i++) {
        if (nonces[i].mechanism == mechanism)
            return nonces[i].len;
    }
    return 0;
}

static int choose(uint32_t key_type, enum mechanism_purpose purpose, uint32_t *mechanism, uint32_t *hash)
{
    for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++) {
        if (usual[i].key_type != key_type)
            continue;
        *hash = usual[i].hash;
        if (!*mechanism)
            *mechanism = purpose == PURPOSE_SIGN      ? usual[i].sign
                         : purpose == PURPOSE_ENCRYPT ? usual[i].encrypt
                                                      : usual[i].wrap;
    }
    return *mechanism ? EXIT_OK : usage("keys of this type have no usual mechanism for that: give --mechanism");
}

int mechanism_parse(struct context *context, uint32_t key_type, enum mechanism_purpose purpose,
                    hsm_mechanism *mechanism)
{
    const struct options *options = &context->options;
    hsm_mechanism made = HSM_MECHANISM_INIT(0);
    uint32_t type = 0, hash = 0, mgf_hash = 0;

    if (options->mechanism)
        CALL("mechanism", hsm_mechanism_by_name(options->mechanism, &type));
    STEP(choose(key_type, purpose, &type, &hash));
    if (options->hash)
        CALL("hash", hsm_hash_by_name(options->hash, &hash));
    if (options->state)
        CALL("hash", hsm_hash_by_name(options->state, &mgf_hash));
    made.type = type;
    made.hash = hash;
    made.mgf_hash = mgf_hash;
    if (options->aad) {
        made.aad = (const uint8_t *)options->aad;
        made.aad_len = strlen(options->aad);
    }
    *mechanism = made;
    return EXIT_OK;
}
