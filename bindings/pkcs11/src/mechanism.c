/* Mechanisms: rows by the standard's numbers and by the cluster's, and what is common to reading all parameters. */
#include "mechanism.h"

#include <stdlib.h>
#include "mechanism_params.h"

#define HASH_SHIFT 16

/* Each in memory of its own: readers keep pointers to what came before. */
struct kept {
    struct kept *next;
    size_t len;
    uint8_t bytes[];
};

const struct mechanism_row *mechanism_row(CK_MECHANISM_TYPE type)
{
    size_t n;
    const struct mechanism_row *rows = mechanism_rows(&n);

    for (size_t i = 0; i < n; i++) {
        if (rows[i].type == type)
            return &rows[i];
    }
    return NULL;
}

/* --- what keys remember --- */

static const struct mechanism_row *first_row(uint32_t mechanism, uint64_t hash, bool any_hash)
{
    size_t n;
    const struct mechanism_row *rows = mechanism_rows(&n);

    for (size_t i = 0; i < n; i++) {
        if (rows[i].mechanism == mechanism && (any_hash || rows[i].hash == hash))
            return &rows[i];
    }
    return NULL;
}

const struct mechanism_row *mechanism_of_number(uint64_t number)
{
    uint32_t mechanism = number & ((1u << HASH_SHIFT) - 1);
    uint64_t hash = number >> HASH_SHIFT;

    if (mechanism == 0)
        return NULL;
    const struct mechanism_row *row = first_row(mechanism, hash, false);

    return row || hash != HSM_HASH_NONE ? row : first_row(mechanism, hash, true);
}

uint64_t number_of_mechanism(CK_MECHANISM_TYPE type)
{
    const struct mechanism_row *row = mechanism_row(type);

    return row && row->mechanism ? row->mechanism | (uint64_t)row->hash << HASH_SHIFT : 0;
}

/* --- hashes --- */

static const struct {
    CK_RSA_PKCS_MGF_TYPE mgf;
    uint32_t hash;
} MGFS[] = {
    {CKG_MGF1_SHA1, HSM_HASH_SHA1},         {CKG_MGF1_SHA224, HSM_HASH_SHA224},
    {CKG_MGF1_SHA256, HSM_HASH_SHA256},     {CKG_MGF1_SHA384, HSM_HASH_SHA384},
    {CKG_MGF1_SHA512, HSM_HASH_SHA512},     {CKG_MGF1_SHA3_224, HSM_HASH_SHA3_224},
    {CKG_MGF1_SHA3_256, HSM_HASH_SHA3_256}, {CKG_MGF1_SHA3_384, HSM_HASH_SHA3_384},
    {CKG_MGF1_SHA3_512, HSM_HASH_SHA3_512},
};

CK_RV hash_of_mgf(CK_RSA_PKCS_MGF_TYPE mgf, uint32_t *hash)
{
    for (size_t i = 0; i < sizeof(MGFS) / sizeof(MGFS[0]); i++) {
        if (MGFS[i].mgf != mgf)
            continue;
        *hash = MGFS[i].hash;
        return CKR_OK;
    }
    return CKR_MECHANISM_PARAM_INVALID;
}

CK_RV hash_of_mechanism(CK_MECHANISM_TYPE type, uint32_t *hash)
{
    const struct mechanism_row *row = mechanism_row(type);

    CHECK(row && (row->uses & CKF_DIGEST), CKR_MECHANISM_PARAM_INVALID);
    *hash = row->hash;
    return CKR_OK;
}

/* --- reading --- */

CK_RV parameter_copy(const CK_MECHANISM *given, void *to, size_t len)
{
    CHECK(given->pParameter && given->ulParameterLen == len, CKR_MECHANISM_PARAM_INVALID);
    memcpy(to, given->pParameter, len);
    return CKR_OK;
}

CK_RV mechanism_keep(struct mechanism *mechanism, const void *bytes, CK_ULONG len, const uint8_t **kept)
{
    if (len == 0) {
        *kept = NULL;
        return CKR_OK;
    }
    CHECK(bytes && len <= HSM_MESSAGE_MAX, CKR_MECHANISM_PARAM_INVALID);
    struct kept *made = malloc(sizeof(*made) + len);

    CHECK(made, CKR_HOST_MEMORY);
    made->next = mechanism->kept;
    made->len = len;
    memcpy(made->bytes, bytes, len);
    mechanism->kept = made;
    *kept = made->bytes;
    return CKR_OK;
}

CK_RV mechanism_keep_nonce(struct mechanism *mechanism, const void *nonce, CK_ULONG len)
{
    TRY(mechanism_keep(mechanism, nonce, len, &mechanism->hsm.nonce));
    mechanism->hsm.nonce_len = len;
    return CKR_OK;
}

CK_RV mechanism_read(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CHECK(given, CKR_ARGUMENTS_BAD);
    const struct mechanism_row *row = mechanism_row(given->mechanism);

    CHECK(row && (row->uses & use), CKR_MECHANISM_INVALID);
    mechanism->row = row;
    mechanism->hsm = (hsm_mechanism)HSM_MECHANISM_INIT(row->mechanism);
    mechanism->hsm.hash = row->hash;
    if (row->read)
        return row->read(given, use, mechanism);
    /* Some programs have a pointer there without a length. */
    CHECK(given->ulParameterLen == 0, CKR_MECHANISM_PARAM_INVALID);
    return CKR_OK;
}

void mechanism_release(struct mechanism *mechanism)
{
    while (mechanism->kept) {
        struct kept *kept = mechanism->kept;

        mechanism->kept = kept->next;
        explicit_bzero(kept, sizeof(*kept) + kept->len);
        free(kept);
    }
    explicit_bzero(mechanism, sizeof(*mechanism));
}

/* --- the length of a derived key --- */

#define CMAC_LEN 16

static size_t prf_len(const struct mechanism *mechanism)
{
    return mechanism->hsm.hash ? hsm_hash_len(mechanism->hsm.hash) : CMAC_LEN;
}

static CK_RV put_length(const struct length_field *field, uint64_t bits)
{
    CHECK(field->len >= sizeof(bits) || bits >> (8 * field->len) == 0, CKR_MECHANISM_PARAM_INVALID);
    for (size_t i = 0; i < field->len; i++) {
        size_t at = field->little_endian ? i : field->len - 1 - i;

        field->at[at] = (uint8_t)(bits >> (8 * i));
    }
    return CKR_OK;
}

/* The standard counts in bits: of the keys, or of all output that was made for them. */
static CK_RV put_total(struct mechanism *mechanism, const CK_ULONG *lens, size_t n)
{
    const struct length_field *field = &mechanism->key_len;
    size_t step = prf_len(mechanism), total = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = lens[i] ? lens[i] : step;

        total += field->of_segments ? (len + step - 1) / step * step : len;
    }
    return put_length(field, 8 * (uint64_t)total);
}

CK_RV mechanism_set_key_lens(struct mechanism *mechanism, const CK_ULONG *lens, size_t n)
{
    bool settles = n > 1 || mechanism->key_len.at; /* a length that is not said is that of a segment */

    for (size_t i = 0; i < n; i++)
        CHECK(lens[i] <= HSM_MESSAGE_MAX, CKR_ATTRIBUTE_VALUE_INVALID);
    mechanism->hsm.output_len = (uint32_t)(lens[0] || !settles ? lens[0] : prf_len(mechanism));
    if (!mechanism->key_len.at)
        return CKR_OK;
    mechanism->hsm.size = sizeof(mechanism->hsm);
    return put_total(mechanism, lens, n);
}

#define SEGMENTS_SHIFT 16u /* bits of the node's FLAGS: see HSM_MECHANISM_SP800_108_COUNTER */
#define SEGMENTS_MAX   0xffffu

CK_RV mechanism_skip_key(struct mechanism *mechanism, CK_ULONG len, CK_ULONG next_len)
{
    size_t step = prf_len(mechanism), skipped = mechanism->hsm.flags >> SEGMENTS_SHIFT;

    skipped += ((len ? len : step) + step - 1) / step;
    CHECK(skipped <= SEGMENTS_MAX, CKR_KEY_SIZE_RANGE);
    mechanism->hsm.flags = (mechanism->hsm.flags & SEGMENTS_MAX) | (uint32_t)skipped << SEGMENTS_SHIFT;
    mechanism->hsm.output_len = (uint32_t)(next_len ? next_len : step);
    return CKR_OK;
}
