/* Keys: their life, their cached contexts, and what they tell of themselves.
 *
 * A worker's contexts are touched by that worker only, so use takes no lock; only the list of them grows by
 * compare-and-swap. They go with the last reference, when nobody can be using them. */
#include "crypto/key_internal.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>
#include <stdlib.h>

status_code crypto_failed(const char *what)
{
    char reason[128];

    FAIL(STATUS_INTERNAL, "%s: %s", what, failure_openssl_reason(reason, sizeof(reason)));
}

#define EC_POINT_MAX 133u /* uncompressed, on P-521 */

static struct key *key_new(enum object_class class, enum key_type type)
{
    struct key *key = calloc(1, sizeof(*key));

    if (!key)
        return NULL;
    atomic_init(&key->references, 1);
    key->class = class;
    key->type = type;
    return key;
}

status_code key_from_secret(enum key_type type, struct slice secret, struct key **key)
{
    struct key *made = key_new(CLASS_SECRET_KEY, type);

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a key");
    made->bits = (uint32_t)(8 * secret.len);
    status_code status = secret_copy(&made->secret, secret);
    if (status != STATUS_OK) {
        free(made);
        return status;
    }
    *key = made;
    return STATUS_OK;
}

static const struct curve_info *curve_of(enum key_type type, EVP_PKEY *pkey)
{
    char group[64];
    size_t len = 0;

    for (size_t i = 0; i < N_CURVES; i++) {
        if (CURVES[i].key_type != type)
            continue;
        if (type != KEY_EC && EVP_PKEY_is_a(pkey, CURVES[i].openssl_name))
            return &CURVES[i];
        if (type == KEY_EC && EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) &&
            strcmp(group, CURVES[i].openssl_name) == 0)
            return &CURVES[i];
    }
    return NULL;
}

static uint32_t parameter_set_of(enum key_type type, EVP_PKEY *pkey)
{
    static const struct {
        enum key_type type;
        const char *name;
        uint32_t number;
    } sets[] = {{KEY_ML_DSA, "ML-DSA-44", 44},   {KEY_ML_DSA, "ML-DSA-65", 65},   {KEY_ML_DSA, "ML-DSA-87", 87},
                {KEY_ML_KEM, "ML-KEM-512", 512}, {KEY_ML_KEM, "ML-KEM-768", 768}, {KEY_ML_KEM, "ML-KEM-1024", 1024}};

    for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
        if (sets[i].type == type && EVP_PKEY_is_a(pkey, sets[i].name))
            return sets[i].number;
    }
    return 0;
}

status_code key_from_pkey(enum object_class class, enum key_type type, EVP_PKEY *pkey, struct key **key)
{
    struct key *made = key_new(class, type);

    if (!made) {
        EVP_PKEY_free(pkey);
        FAIL(STATUS_OUT_OF_MEMORY, "no memory for a key");
    }
    made->pkey = pkey;
    made->curve = curve_of(type, pkey);
    made->parameter_set = parameter_set_of(type, pkey);
    made->bits = made->curve ? made->curve->bits : (uint32_t)EVP_PKEY_get_bits(pkey);
    *key = made;
    return STATUS_OK;
}

struct key *key_reference(struct key *key)
{
    atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
    return key;
}

static void worker_contexts_free(struct worker_contexts *contexts)
{
    for (unsigned i = 0; i < KEY_CONTEXTS; i++) {
        if (contexts->slot[i].context)
            contexts->slot[i].free(contexts->slot[i].context);
    }
    free(contexts);
}

void key_release(struct key *key)
{
    if (!key || atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) != 1)
        return;
    struct worker_contexts *contexts = atomic_load(&key->contexts);

    while (contexts) {
        struct worker_contexts *others = contexts->others;

        worker_contexts_free(contexts);
        contexts = others;
    }
    EVP_PKEY_free(key->pkey);
    secret_release(&key->secret);
    free(key);
}

uint64_t context_tag(enum context_use use, const struct mechanism *mechanism, uint32_t extra)
{
    return (uint64_t)use << 56 | (uint64_t)mechanism->type << 44 | (uint64_t)mechanism->hash << 36 |
           (uint64_t)mechanism->mgf_hash << 28 | (extra & 0xfffffffu);
}

/* Workers that have used one key are few, so a list is as fast as an array and a tenth of its size. */
static struct worker_contexts *contexts_of(struct key *key, unsigned worker)
{
    struct worker_contexts *at = atomic_load_explicit(&key->contexts, memory_order_acquire);

    while (at && at->worker != worker)
        at = at->others;
    return at;
}

static struct worker_contexts *contexts_add(struct key *key, unsigned worker)
{
    struct worker_contexts *fresh = calloc(1, sizeof(*fresh));

    if (!fresh)
        return NULL;
    fresh->worker = worker;
    fresh->others = atomic_load(&key->contexts);
    while (!atomic_compare_exchange_weak(&key->contexts, &fresh->others, fresh))
        ;
    return fresh;
}

void *key_context_find(struct key *key, unsigned worker, uint64_t tag)
{
    struct worker_contexts *mine = contexts_of(key, worker);

    for (unsigned i = 0; mine && i < KEY_CONTEXTS; i++) {
        if (mine->slot[i].tag == tag)
            return mine->slot[i].context;
    }
    return NULL;
}

status_code key_context_keep(struct key *key, unsigned worker, uint64_t tag, void *context, context_free free_context)
{
    struct worker_contexts *mine = contexts_of(key, worker);

    if (!mine)
        mine = contexts_add(key, worker);
    if (!mine) {
        free_context(context);
        FAIL(STATUS_OUT_OF_MEMORY, "no memory for a context");
    }
    struct key_context *slot = &mine->slot[mine->oldest++ % KEY_CONTEXTS];

    if (slot->context)
        slot->free(slot->context);
    *slot = (struct key_context){tag, context, free_context};
    return STATUS_OK;
}

enum object_class key_class(const struct key *key)
{
    return key->class;
}

enum key_type key_type(const struct key *key)
{
    return key->type;
}

uint32_t key_bits(const struct key *key)
{
    return key->bits;
}

const struct curve_info *key_curve(const struct key *key)
{
    return key->curve;
}

uint32_t key_parameter_set(const struct key *key)
{
    return key->parameter_set;
}

static status_code append_number(struct key *key, const char *parameter, struct bytes *out)
{
    BIGNUM *number = NULL;

    if (key->type != KEY_RSA)
        return STATUS_OK;
    if (!EVP_PKEY_get_bn_param(key->pkey, parameter, &number))
        return crypto_failed("reading an RSA key");
    int len = BN_num_bytes(number);
    uint8_t *to = bytes_reserve(out, (size_t)len);

    if (to)
        out->len += (size_t)BN_bn2bin(number, to);
    BN_free(number);
    return bytes_ok(out);
}

status_code key_modulus(struct key *key, struct bytes *modulus)
{
    return append_number(key, OSSL_PKEY_PARAM_RSA_N, modulus);
}

status_code key_public_exponent(struct key *key, struct bytes *exponent)
{
    return append_number(key, OSSL_PKEY_PARAM_RSA_E, exponent);
}

/* DER OCTET STRING around the point (PKCS#11 3.0, 2.3.3), which is raw on Edwards and Montgomery curves. */
status_code key_ec_point(struct key *key, struct bytes *der_octet_string)
{
    uint8_t point[EC_POINT_MAX];
    size_t len = sizeof(point);

    if (!key->curve)
        return STATUS_OK;
    if (key->type == KEY_EC
            ? !EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len)
            : !EVP_PKEY_get_raw_public_key(key->pkey, point, &len))
        return crypto_failed("reading a public point");
    const uint8_t header[] = {0x04, 0x81, (uint8_t)len};

    if (len < 128)
        bytes_append(der_octet_string, (const uint8_t[]){0x04, (uint8_t)len}, 2);
    else
        bytes_append(der_octet_string, header, sizeof(header));
    bytes_append(der_octet_string, point, len);
    return bytes_ok(der_octet_string);
}

status_code key_public_info(struct key *key, struct bytes *subject_public_key_info)
{
    if (!key->pkey)
        return STATUS_OK;
    int len = i2d_PUBKEY(key->pkey, NULL);
    uint8_t *to = len > 0 ? bytes_reserve(subject_public_key_info, (size_t)len) : NULL;

    if (!to || i2d_PUBKEY(key->pkey, &to) != len)
        return crypto_failed("encoding a public key");
    subject_public_key_info->len += (size_t)len;
    return STATUS_OK;
}

status_code key_check_value(struct key *key, struct bytes *check_value)
{
    uint8_t block[EVP_MAX_MD_SIZE] = {0}, zero[16] = {0};

    if (key->class != CLASS_SECRET_KEY)
        return STATUS_OK;
    if (key->type == KEY_GENERIC_SECRET) {
        if (!EVP_Digest(key->secret.data, key->secret.len, block, NULL, crypto_digest(HASH_SHA1), NULL))
            return crypto_failed("hashing for the check value");
    } else {
        TRY(cipher_block(key, WORKERS_MAX, zero, block));
    }
    bytes_append(check_value, block, 3);
    secret_wipe(block, sizeof(block));
    return bytes_ok(check_value);
}

status_code key_material(struct key *key, struct bytes *material)
{
    if (key->class == CLASS_SECRET_KEY) {
        bytes_append(material, key->secret.data, key->secret.len);
        return bytes_ok(material);
    }
    if (key->class == CLASS_PUBLIC_KEY)
        return key_public_info(key, material);

    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;
    uint8_t *to = len > 0 ? bytes_reserve(material, (size_t)len) : NULL;
    bool ok = to && i2d_PKCS8_PRIV_KEY_INFO(info, &to) == len;

    PKCS8_PRIV_KEY_INFO_free(info);
    if (!ok)
        return crypto_failed("encoding a private key");
    material->len += (size_t)len;
    return STATUS_OK;
}
