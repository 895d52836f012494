/* One row per mechanism that takes data; see api_mechanism.h. */
#include "api_mechanism.h"

#include <stddef.h>
#include "protocol/catalog.h"

#define LONGEST_MECHANISM 4096 /* no program's hsm_mechanism is larger */

static const struct data_rule sign_rules[MECHANISM_COUNT] = {
    [MECHANISM_RSA_PKCS] = {FORM_DIGEST, 0, false, 0}, [MECHANISM_RSA_PKCS_PSS] = {FORM_DIGEST, 0, false, 0},
    [MECHANISM_ECDSA] = {FORM_DIGEST, 0, false, 0},    [MECHANISM_RSA_X_509] = {FORM_WHOLE, 0, false, 0},
    [MECHANISM_EDDSA] = {FORM_WHOLE, 0, false, 0},     [MECHANISM_ML_DSA] = {FORM_WHOLE, 0, false, 0},
    [MECHANISM_HMAC] = {FORM_SEALED, 0, false, 0},     [MECHANISM_AES_CMAC] = {FORM_SEALED, 0, false, 0},
    [MECHANISM_AES_GMAC] = {FORM_SEALED, 0, false, 0},
};

static const struct data_rule encrypt_rules[MECHANISM_COUNT] = {
    [MECHANISM_AES_ECB] = {FORM_BLOCKS, 16, false, MECHANISM_AES_ECB},
    [MECHANISM_AES_CBC] = {FORM_CHAINED, 16, false, MECHANISM_AES_CBC},
    [MECHANISM_AES_CBC_PAD] = {FORM_CHAINED, 16, true, MECHANISM_AES_CBC},
    [MECHANISM_AES_CTR] = {FORM_COUNTER, 16, false, MECHANISM_AES_CTR},
    [MECHANISM_AES_GCM] = {FORM_SEALED, 0, false, 0},
    [MECHANISM_DES3_ECB] = {FORM_BLOCKS, 8, false, MECHANISM_DES3_ECB},
    [MECHANISM_DES3_CBC] = {FORM_CHAINED, 8, false, MECHANISM_DES3_CBC},
    [MECHANISM_DES3_CBC_PAD] = {FORM_CHAINED, 8, true, MECHANISM_DES3_CBC},
};

status_code mechanism_rule(uint32_t type, enum mechanism_use use, struct data_rule *rule)
{
    const struct mechanism_info *info = mechanism_info(type);

    CHECK(info, STATUS_MECHANISM_INVALID, "there is no mechanism %u", type);
    CHECK(info->uses & use, STATUS_MECHANISM_INVALID, "mechanism %s does not %s", info->name,
          use == USE_SIGN ? "sign" : "encrypt");
    *rule = use == USE_SIGN ? sign_rules[type] : encrypt_rules[type];
    return STATUS_OK;
}

/* Whatever a newer header added must be unused. */
static status_code check_beyond(const hsm_mechanism *from)
{
    const uint8_t *bytes = (const uint8_t *)from;

    for (size_t i = sizeof(*from); i < from->size; i++)
        CHECK(bytes[i] == 0, STATUS_NOT_SUPPORTED,
              "the mechanism uses fields that libhsm %s does not know: update the library", hsm_version());
    return STATUS_OK;
}

static status_code check_field(const char *name, enum field field, const void *data, size_t len)
{
    uint64_t max = FIELD_SCHEMA.entries[field].max;

    CHECK(data || len == 0, STATUS_MECHANISM_PARAM_INVALID, "%s: %zu bytes at NULL", name, len);
    CHECK(len <= max, STATUS_MECHANISM_PARAM_INVALID, "%s: %zu bytes; the limit is %llu", name, len,
          (unsigned long long)max);
    return STATUS_OK;
}

static status_code check_number(const char *name, enum field field, uint64_t number)
{
    uint64_t max = FIELD_SCHEMA.entries[field].max;

    CHECK(number <= max, STATUS_MECHANISM_PARAM_INVALID, "%s: %llu; the limit is %llu", name,
          (unsigned long long)number, (unsigned long long)max);
    return STATUS_OK;
}

static status_code check_parameters(const hsm_mechanism *mechanism)
{
    CHECK(hash_info(mechanism->hash), STATUS_MECHANISM_PARAM_INVALID, "there is no hash %u", mechanism->hash);
    CHECK(hash_info(mechanism->mgf_hash), STATUS_MECHANISM_PARAM_INVALID, "there is no hash %u (mgf_hash)",
          mechanism->mgf_hash);
    CHECK(mechanism->salt_len >= HSM_SALT_LEN_HASH, STATUS_MECHANISM_PARAM_INVALID, "salt_len: %d",
          mechanism->salt_len);
    if (mechanism->salt_len > 0)
        TRY(check_number("salt_len", FIELD_SALT_LEN, (uint64_t)mechanism->salt_len));
    TRY(check_number("tag_len", FIELD_TAG_LEN, mechanism->tag_len));
    TRY(check_number("kdf", FIELD_KDF, mechanism->kdf));
    TRY(check_number("output_len", FIELD_OUTPUT_LEN, mechanism->output_len));
    TRY(check_field("nonce", FIELD_NONCE, mechanism->nonce, mechanism->nonce_len));
    TRY(check_field("aad", FIELD_AAD, mechanism->aad, mechanism->aad_len));
    TRY(check_field("shared_info", FIELD_SHARED_INFO, mechanism->shared_info, mechanism->shared_info_len));
    TRY(check_field("peer_public", FIELD_PEER_PUBLIC, mechanism->peer_public, mechanism->peer_public_len));
    TRY(check_field("salt", FIELD_SALT, mechanism->salt, mechanism->salt_value_len));
    return check_field("data", FIELD_DATA, mechanism->data, mechanism->data_len);
}

status_code mechanism_read(const hsm_mechanism *from, hsm_mechanism *to)
{
    ARGUMENT(from, "no mechanism");
    CHECK(from->size >= offsetof(hsm_mechanism, hash) && from->size <= LONGEST_MECHANISM, STATUS_INVALID_ARGUMENT,
          "a mechanism of size %zu: begin with HSM_MECHANISM_INIT", from->size);
    *to = (hsm_mechanism)HSM_MECHANISM_INIT(0);
    memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
    to->size = sizeof(*to);
    CHECK(mechanism_info(to->type), STATUS_MECHANISM_INVALID, "there is no mechanism %u", to->type);
    TRY(check_beyond(from));
    return check_parameters(to);
}

static void put_uint(struct values *fields, enum field field, uint64_t number)
{
    if (number)
        values_put_uint(fields, field, number);
}

static void put_bytes(struct values *fields, enum field field, const uint8_t *data, size_t len)
{
    if (len)
        values_put_bytes(fields, field, slice_of(data, len));
}

void mechanism_put(const hsm_mechanism *mechanism, struct values *fields)
{
    values_put_uint(fields, FIELD_MECHANISM, mechanism->type);
    put_uint(fields, FIELD_HASH, mechanism->hash);
    put_uint(fields, FIELD_MGF_HASH, mechanism->mgf_hash);
    if (mechanism->type == MECHANISM_RSA_PKCS_PSS && mechanism->salt_len >= 0)
        values_put_uint(fields, FIELD_SALT_LEN, (uint64_t)mechanism->salt_len);
    put_bytes(fields, FIELD_NONCE, mechanism->nonce, mechanism->nonce_len);
    put_bytes(fields, FIELD_AAD, mechanism->aad, mechanism->aad_len);
    put_uint(fields, FIELD_TAG_LEN, mechanism->tag_len);
    put_uint(fields, FIELD_KDF, mechanism->kdf);
    put_bytes(fields, FIELD_SHARED_INFO, mechanism->shared_info, mechanism->shared_info_len);
    put_bytes(fields, FIELD_PEER_PUBLIC, mechanism->peer_public, mechanism->peer_public_len);
    put_bytes(fields, FIELD_SALT, mechanism->salt, mechanism->salt_value_len);
    put_uint(fields, FIELD_FLAGS, mechanism->flags);
    put_uint(fields, FIELD_OUTPUT_LEN, mechanism->output_len);
}

size_t mechanism_tag_len(const hsm_mechanism *mechanism)
{
    if (mechanism->tag_len)
        return mechanism->tag_len;
    return mechanism->type == MECHANISM_HMAC ? hash_info(mechanism->hash)->len : 16;
}

status_code mechanism_own(const hsm_mechanism *from, struct bytes *storage, hsm_mechanism *to)
{
    struct {
        const uint8_t **at;
        size_t len;
    } parts[] = {
        {&to->nonce, from->nonce_len},
        {&to->aad, from->aad_len},
        {&to->shared_info, from->shared_info_len},
        {&to->peer_public, from->peer_public_len},
        {&to->salt, from->salt_value_len},
    };
    size_t total = 0;
    const size_t n_parts = sizeof(parts) / sizeof(*parts);

    *to = *from;
    for (size_t i = 0; i < n_parts; i++)
        total += parts[i].len;
    uint8_t *at = bytes_reserve(storage, total ? total : 1);
    CHECK(at, STATUS_OUT_OF_MEMORY, "no memory for the mechanism's parameters");
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len == 0)
            continue;
        memcpy(at, *parts[i].at, parts[i].len);
        *parts[i].at = at;
        at += parts[i].len;
        storage->len += parts[i].len;
    }
    return STATUS_OK;
}
