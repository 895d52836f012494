/* Putting keys together and taking them apart: PKCS#8 (RFC 5958) with RSAPrivateKey (RFC 8017, A.1.2), ECPrivateKey
 * (RFC 5915), the keys of RFC 8410, or those of ML-DSA and ML-KEM (RFC 9881, RFC 9935); SubjectPublicKeyInfo (RFC
 * 5280). The node checks what comes of it; here it must only be in its place. */
#include "key_value.h"

#include "attribute_table.h"

#define VALUE_MAX     16384 /* of HSM_ATTR_VALUE */
#define PARTS_MAX     8
#define COMPONENT_MAX 5120 /* of a component; the private key of ML-DSA-87 has 4896 */

#define VERSION_0     "\x02\x01\x00"
#define VERSION_1     "\x02\x01\x01"
#define RSA_ALGORITHM "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"
#define EC_OID        "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"

#define PUT_CONSTANT(out, constant) der_put((out), (constant), sizeof(constant) - 1)

/* In the order of RSAPrivateKey; the first two are RSAPublicKey. */
static const CK_ATTRIBUTE_TYPE RSA_PARTS[PARTS_MAX] = {CKA_MODULUS,    CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT,
                                                       CKA_PRIME_1,    CKA_PRIME_2,         CKA_EXPONENT_1,
                                                       CKA_EXPONENT_2, CKA_COEFFICIENT};

/* --- points and private numbers --- */

static size_t curve_bytes(uint32_t curve)
{
    return (hsm_curve_bits(curve) + 7) / 8;
}

/* Uncompressed or compressed; of RFC 8032 and RFC 7748, as long as the private key. */
static bool is_point_len(size_t len)
{
    for (uint32_t curve = HSM_CURVE_P224; curve <= HSM_CURVE_X448; curve++) {
        size_t n = curve_bytes(curve);

        if (hsm_curve_key_type(curve) == HSM_KEY_TYPE_EC ? len == 2 * n + 1 || len == n + 1 : len == n)
            return true;
    }
    return false;
}

/* The first byte of an uncompressed point is the tag of an OCTET STRING, so lengths decide. */
bool key_point(const void *given, size_t given_len, struct der *point)
{
    struct der whole = {given, given_len};

    if (der_take_only(whole, DER_OCTETS, point) && is_point_len(point->len))
        return true;
    *point = whole;
    return is_point_len(given_len);
}

/* --- what was given --- */

struct parts {
    struct der part[PARTS_MAX]; /* in the order of the form */
    struct der oid;             /* of the curve */
    uint32_t curve;
    uint64_t parameter_set; /* of ML-DSA and ML-KEM, as the cluster names it */
};

/* Each writes VALUE; false when the parts do not fit. */
typedef bool (*form_writer)(const struct parts *parts, struct der_writer *out);

static void put_pkcs8_begin(struct der_writer *out, const struct parts *parts, bool by_curve)
{
    PUT_CONSTANT(out, VERSION_0);
    size_t algorithm = der_open(out);

    if (!by_curve)
        PUT_CONSTANT(out, EC_OID);
    der_put(out, parts->oid.data, parts->oid.len);
    der_close(out, DER_SEQUENCE, algorithm);
}

static bool write_rsa_private(const struct parts *parts, struct der_writer *out)
{
    size_t whole = der_open(out);

    PUT_CONSTANT(out, VERSION_0);
    PUT_CONSTANT(out, RSA_ALGORITHM);
    size_t octets = der_open(out), key = der_open(out);

    PUT_CONSTANT(out, VERSION_0);
    for (size_t i = 0; i < PARTS_MAX; i++)
        der_put_integer(out, parts->part[i].data, parts->part[i].len);
    der_close(out, DER_SEQUENCE, key);
    der_close(out, DER_OCTETS, octets);
    der_close(out, DER_SEQUENCE, whole);
    return true;
}

static void put_bits(struct der_writer *out, struct der content)
{
    size_t bits = der_open(out);

    der_put(out, "", 1); /* no bits of the last byte are unused */
    der_put(out, content.data, content.len);
    der_close(out, DER_BITS, bits);
}

static bool write_rsa_public(const struct parts *parts, struct der_writer *out)
{
    size_t whole = der_open(out);

    PUT_CONSTANT(out, RSA_ALGORITHM);
    size_t bits = der_open(out);

    der_put(out, "", 1);
    size_t key = der_open(out);

    for (size_t i = 0; i < 2; i++)
        der_put_integer(out, parts->part[i].data, parts->part[i].len);
    der_close(out, DER_SEQUENCE, key);
    der_close(out, DER_BITS, bits);
    der_close(out, DER_SEQUENCE, whole);
    return true;
}

/* RFC 5915: as many bytes as the order of the group has. */
static bool put_scalar(struct der_writer *out, struct der given, size_t len)
{
    static const uint8_t zeros[128];
    struct der digits = der_without_zeros(given.data, given.len);
    size_t octets = der_open(out);

    if (digits.len == 0 || digits.len > len || len > sizeof(zeros))
        return false;
    der_put(out, zeros, len - digits.len);
    der_put(out, digits.data, digits.len);
    der_close(out, DER_OCTETS, octets);
    return true;
}

/* parts: EC_PARAMS, VALUE, EC_POINT. Without a point the node computes it. */
static bool write_ec_private(const struct parts *parts, struct der_writer *out)
{
    size_t whole = der_open(out);
    struct der point;

    put_pkcs8_begin(out, parts, false);
    size_t octets = der_open(out), key = der_open(out);

    PUT_CONSTANT(out, VERSION_1);
    if (!put_scalar(out, parts->part[1], curve_bytes(parts->curve)))
        return false;
    if (parts->part[2].len > 0) {
        size_t public = der_open(out);

        if (!key_point(parts->part[2].data, parts->part[2].len, &point))
            return false;
        put_bits(out, point);
        der_close(out, DER_CONTEXT_1, public);
    }
    der_close(out, DER_SEQUENCE, key);
    der_close(out, DER_OCTETS, octets);
    der_close(out, DER_SEQUENCE, whole);
    return true;
}

/* RFC 8410, 7: the key's bytes in an OCTET STRING, in that of PKCS#8. */
static bool write_raw_private(const struct parts *parts, struct der_writer *out)
{
    size_t whole = der_open(out);

    if (parts->part[1].len != curve_bytes(parts->curve))
        return false;
    put_pkcs8_begin(out, parts, true);
    size_t octets = der_open(out), key = der_open(out);

    der_put(out, parts->part[1].data, parts->part[1].len);
    der_close(out, DER_OCTETS, key);
    der_close(out, DER_OCTETS, octets);
    der_close(out, DER_SEQUENCE, whole);
    return true;
}

/* parts: EC_PARAMS, EC_POINT */
static bool write_point(const struct parts *parts, struct der_writer *out)
{
    size_t whole = der_open(out), algorithm = der_open(out);
    struct der point;

    if (!key_point(parts->part[1].data, parts->part[1].len, &point))
        return false;
    if (hsm_curve_key_type(parts->curve) == HSM_KEY_TYPE_EC)
        PUT_CONSTANT(out, EC_OID);
    der_put(out, parts->oid.data, parts->oid.len);
    der_close(out, DER_SEQUENCE, algorithm);
    put_bits(out, point);
    der_close(out, DER_SEQUENCE, whole);
    return true;
}

/* The object identifiers of RFC 9881 and RFC 9935 differ in their last two numbers. */
static bool put_lattice_algorithm(struct der_writer *out, uint64_t parameter_set)
{
    static const struct {
        uint64_t parameter_set;
        uint8_t last[2];
    } SETS[] = {{44, {3, 17}}, {65, {3, 18}}, {87, {3, 19}}, {512, {4, 1}}, {768, {4, 2}}, {1024, {4, 3}}};

    for (size_t i = 0; i < sizeof(SETS) / sizeof(SETS[0]); i++) {
        if (SETS[i].parameter_set != parameter_set)
            continue;
        PUT_CONSTANT(out, "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04");
        der_put(out, SETS[i].last, sizeof(SETS[i].last));
        return true;
    }
    return false;
}

static void put_element(struct der_writer *out, uint8_t tag, struct der content)
{
    size_t element = der_open(out);

    der_put(out, content.data, content.len);
    der_close(out, tag, element);
}

/* parts: VALUE */
static bool write_lattice_public(const struct parts *parts, struct der_writer *out)
{
    size_t whole = der_open(out);

    if (!put_lattice_algorithm(out, parts->parameter_set))
        return false;
    put_bits(out, parts->part[0]);
    der_close(out, DER_SEQUENCE, whole);
    return true;
}

/* parts: VALUE, the expanded key, and SEED: one of them, or both. */
static bool write_lattice_private(const struct parts *parts, struct der_writer *out)
{
    struct der expanded = parts->part[0], seed = parts->part[1];
    size_t whole = der_open(out);

    PUT_CONSTANT(out, VERSION_0);
    if (!put_lattice_algorithm(out, parts->parameter_set) || (expanded.len == 0 && seed.len == 0))
        return false;
    size_t octets = der_open(out), both = der_open(out);

    if (seed.len > 0)
        put_element(out, expanded.len > 0 ? DER_OCTETS : DER_IMPLICIT_0, seed);
    if (expanded.len > 0)
        put_element(out, DER_OCTETS, expanded);
    if (seed.len > 0 && expanded.len > 0)
        der_close(out, DER_SEQUENCE, both);
    der_close(out, DER_OCTETS, octets);
    der_close(out, DER_SEQUENCE, whole);
    return true;
}

/* --- forms --- */

static const CK_ATTRIBUTE_TYPE PRIVATE_POINT_PARTS[] = {CKA_EC_PARAMS, CKA_VALUE, CKA_EC_POINT};
static const CK_ATTRIBUTE_TYPE PUBLIC_POINT_PARTS[] = {CKA_EC_PARAMS, CKA_EC_POINT};
static const CK_ATTRIBUTE_TYPE LATTICE_PARTS[] = {CKA_VALUE, CKA_SEED};
static const CK_ATTRIBUTE_TYPE VALUE_PART[] = {CKA_VALUE};

/* What objects of a class and key type are put together from. The first n_needed parts must be there. */
static const struct form {
    uint32_t hsm_class, key_type; /* key_type 0: any, or none */
    const CK_ATTRIBUTE_TYPE *parts;
    size_t n_needed, n_parts;
    form_writer write; /* NULL: VALUE is as it was given */
} FORMS[] = {
    {HSM_CLASS_PRIVATE_KEY, HSM_KEY_TYPE_RSA, RSA_PARTS, 8, 8, write_rsa_private},
    {HSM_CLASS_PUBLIC_KEY, HSM_KEY_TYPE_RSA, RSA_PARTS, 2, 2, write_rsa_public},
    {HSM_CLASS_PRIVATE_KEY, HSM_KEY_TYPE_EC, PRIVATE_POINT_PARTS, 2, 3, write_ec_private},
    {HSM_CLASS_PRIVATE_KEY, HSM_KEY_TYPE_EC_EDWARDS, PRIVATE_POINT_PARTS, 2, 3, write_raw_private},
    {HSM_CLASS_PRIVATE_KEY, HSM_KEY_TYPE_EC_MONTGOMERY, PRIVATE_POINT_PARTS, 2, 3, write_raw_private},
    {HSM_CLASS_PUBLIC_KEY, HSM_KEY_TYPE_EC, PUBLIC_POINT_PARTS, 2, 2, write_point},
    {HSM_CLASS_PUBLIC_KEY, HSM_KEY_TYPE_EC_EDWARDS, PUBLIC_POINT_PARTS, 2, 2, write_point},
    {HSM_CLASS_PUBLIC_KEY, HSM_KEY_TYPE_EC_MONTGOMERY, PUBLIC_POINT_PARTS, 2, 2, write_point},
    {HSM_CLASS_PRIVATE_KEY, HSM_KEY_TYPE_ML_DSA, LATTICE_PARTS, 0, 2, write_lattice_private},
    {HSM_CLASS_PRIVATE_KEY, HSM_KEY_TYPE_ML_KEM, LATTICE_PARTS, 0, 2, write_lattice_private},
    {HSM_CLASS_PUBLIC_KEY, HSM_KEY_TYPE_ML_DSA, VALUE_PART, 1, 1, write_lattice_public},
    {HSM_CLASS_PUBLIC_KEY, HSM_KEY_TYPE_ML_KEM, VALUE_PART, 1, 1, write_lattice_public},
    {HSM_CLASS_SECRET_KEY, 0, VALUE_PART, 1, 1, NULL},
    {HSM_CLASS_CERTIFICATE, 0, VALUE_PART, 1, 1, NULL},
    {HSM_CLASS_DATA, 0, VALUE_PART, 0, 1, NULL},
};

static const struct form *form_of(uint64_t hsm_class, uint64_t key_type)
{
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++)
        if (FORMS[i].hsm_class == hsm_class && (FORMS[i].key_type == key_type || FORMS[i].key_type == 0))
            return &FORMS[i];
    return NULL;
}

static size_t place_in(const struct form *form, CK_ATTRIBUTE_TYPE type)
{
    size_t i = 0;

    while (i < form->n_parts && form->parts[i] != type)
        i++;
    return i;
}

static CK_RV take_curve(uint64_t key_type, struct der params, struct parts *parts)
{
    parts->curve = curve_of_params(params.data, params.len);
    CHECK(parts->curve != 0, CKR_CURVE_NOT_SUPPORTED);
    CHECK(hsm_curve_key_type(parts->curve) == key_type, CKR_TEMPLATE_INCONSISTENT);
    parts->oid.data = hsm_curve_oid(parts->curve, &parts->oid.len);
    return CKR_OK;
}

static CK_RV take_part(const struct form *form, const CK_ATTRIBUTE *given, struct parts *parts)
{
    const struct attribute_row *row = attribute_row(given->type);

    if (!row || !row->is_part)
        return CKR_OK;
    size_t i = place_in(form, given->type);

    CHECK(i < form->n_parts, CKR_ATTRIBUTE_TYPE_INVALID);
    CHECK(given->ulValueLen <= (form->write ? COMPONENT_MAX : VALUE_MAX), CKR_ATTRIBUTE_VALUE_INVALID);
    parts->part[i] = (struct der){given->pValue, given->ulValueLen};
    return CKR_OK;
}

static CK_RV take_parts(const struct form *form, const CK_ATTRIBUTE *given, CK_ULONG n, struct parts *parts)
{
    for (CK_ULONG i = 0; i < n; i++)
        TRY(take_part(form, &given[i], parts));
    for (size_t i = 0; i < form->n_needed; i++) {
        CHECK(parts->part[i].data, CKR_TEMPLATE_INCOMPLETE);
        CHECK(parts->part[i].len > 0, CKR_ATTRIBUTE_VALUE_INVALID);
    }
    if (form->n_parts > 0 && form->parts[0] == CKA_EC_PARAMS)
        TRY(take_curve(form->key_type, parts->part[0], parts));
    return CKR_OK;
}

static CK_RV write_value(const struct form *form, const struct parts *parts, struct template_made *made)
{
    struct der_writer out = {.data = template_memory(made, VALUE_MAX), .room = VALUE_MAX};

    CHECK(out.data, CKR_HOST_MEMORY);
    CHECK(form->write(parts, &out) && !out.overflow, CKR_ATTRIBUTE_VALUE_INVALID);
    return template_add(made, HSM_ATTR_VALUE, out.data, out.len);
}

/* RFC 8410 keys travel without their public half: it is compared when the node has computed it. */
static CK_RV claim_point(const struct form *form, const struct parts *parts, struct template_made *made)
{
    if (form->write != write_raw_private || parts->part[2].len == 0)
        return CKR_OK;
    return template_claim(made, CKA_EC_POINT, parts->part[2].data, parts->part[2].len);
}

static bool is_lattice(uint64_t key_type)
{
    return key_type == HSM_KEY_TYPE_ML_DSA || key_type == HSM_KEY_TYPE_ML_KEM;
}

/* Which algorithm it is, and the key in any of its forms. */
static CK_RV check_lattice(const struct parts *parts)
{
    CHECK(parts->parameter_set != 0 && (parts->part[0].data || parts->part[1].data), CKR_TEMPLATE_INCOMPLETE);
    return CKR_OK;
}

CK_RV key_value_make(const CK_ATTRIBUTE *given, CK_ULONG n, struct template_made *made)
{
    uint64_t hsm_class = template_uint(made, HSM_ATTR_CLASS, 0);
    uint64_t key_type = template_uint(made, HSM_ATTR_KEY_TYPE, 0);
    struct parts parts = {.parameter_set = template_uint(made, HSM_ATTR_PARAMETER_SET, 0)};

    CHECK(hsm_class != 0, CKR_TEMPLATE_INCOMPLETE);
    CHECK(key_type != 0 || hsm_class == HSM_CLASS_DATA || hsm_class == HSM_CLASS_CERTIFICATE, CKR_TEMPLATE_INCOMPLETE);
    const struct form *form = form_of(hsm_class, key_type);

    CHECK(form, CKR_TEMPLATE_INCONSISTENT);
    TRY(take_parts(form, given, n, &parts));
    if (is_lattice(key_type))
        TRY(check_lattice(&parts));
    if (form->write) {
        TRY(write_value(form, &parts, made));
        return claim_point(form, &parts, made);
    }
    if (parts.part[0].data)
        return template_add(made, HSM_ATTR_VALUE, parts.part[0].data, parts.part[0].len);
    return CKR_OK;
}

/* --- taking apart --- */

bool key_value_has(uint64_t hsm_class, uint64_t hsm_key_type, CK_ATTRIBUTE_TYPE type)
{
    const struct form *form = form_of(hsm_class, hsm_key_type);

    return form && place_in(form, type) < form->n_parts;
}

/* What is inside PKCS#8, whatever key it is. */
static bool open_pkcs8(struct der value, struct der *inner)
{
    struct der body, version, algorithm;

    return der_take_only(value, DER_SEQUENCE, &body) && der_take(&body, DER_INTEGER, &version) &&
           der_take(&body, DER_SEQUENCE, &algorithm) && der_take(&body, DER_OCTETS, inner);
}

static bool rsa_part(struct der inner, CK_ATTRIBUTE_TYPE type, struct der *part)
{
    struct der body, version;

    if (!der_take_only(inner, DER_SEQUENCE, &body) || !der_take_integer(&body, &version))
        return false;
    for (size_t i = 0; i < PARTS_MAX; i++) {
        if (!der_take_integer(&body, part))
            return false;
        if (RSA_PARTS[i] == type)
            return true;
    }
    return false;
}

static bool ec_part(struct der inner, struct der *part)
{
    struct der body, version;

    return der_take_only(inner, DER_SEQUENCE, &body) && der_take(&body, DER_INTEGER, &version) &&
           der_take(&body, DER_OCTETS, part);
}

/* RFC 9881, 6, and RFC 9935, 6: the seed, the expanded key, or both. What is not there is empty. */
static bool lattice_part(struct der inner, CK_ATTRIBUTE_TYPE type, struct der *part)
{
    struct der both, seed = {0}, expanded = {0};

    if (der_take_only(inner, DER_SEQUENCE, &both)) {
        if (!der_take(&both, DER_OCTETS, &seed) || !der_take_only(both, DER_OCTETS, &expanded))
            return false;
    } else if (!der_take_only(inner, DER_IMPLICIT_0, &seed) && !der_take_only(inner, DER_OCTETS, &expanded)) {
        return false;
    }
    *part = type == CKA_SEED ? seed : expanded;
    return true;
}

static bool private_part(uint64_t key_type, CK_ATTRIBUTE_TYPE type, struct der value, struct der *part)
{
    struct der inner;

    if (!open_pkcs8(value, &inner))
        return false;
    if (key_type == HSM_KEY_TYPE_RSA)
        return rsa_part(inner, type, part);
    if (is_lattice(key_type))
        return lattice_part(inner, type, part);
    if (type != CKA_VALUE)
        return false;
    return key_type == HSM_KEY_TYPE_EC ? ec_part(inner, part) : der_take_only(inner, DER_OCTETS, part);
}

/* The public key of FIPS 203 and 204 is the bit string as it is. */
static bool public_part(struct der value, struct der *part)
{
    struct der body, algorithm;

    return der_take_only(value, DER_SEQUENCE, &body) && der_take(&body, DER_SEQUENCE, &algorithm) &&
           der_take_bits(&body, part);
}

bool key_value_part(uint64_t hsm_class, uint64_t hsm_key_type, CK_ATTRIBUTE_TYPE type, struct der value,
                    struct der *part)
{
    if (!key_value_has(hsm_class, hsm_key_type, type))
        return false;
    if (hsm_class == HSM_CLASS_PRIVATE_KEY)
        return private_part(hsm_key_type, type, value, part);
    if (hsm_class == HSM_CLASS_PUBLIC_KEY)
        return public_part(value, part);
    *part = value;
    return true;
}

/* RFC 5280, 4.1: version, serial number, signature, issuer, validity and subject stand before it. */
bool certificate_public_info(struct der certificate, struct der *info)
{
    static const uint8_t BEFORE[] = {DER_INTEGER, DER_SEQUENCE, DER_SEQUENCE, DER_SEQUENCE, DER_SEQUENCE};
    struct der whole, body, skipped;

    if (!der_take_only(certificate, DER_SEQUENCE, &whole) || !der_take(&whole, DER_SEQUENCE, &body))
        return false;
    (void)der_take(&body, DER_CONTEXT_0, &skipped);
    for (size_t i = 0; i < sizeof(BEFORE); i++)
        if (!der_take(&body, BEFORE[i], &skipped))
            return false;
    const uint8_t *start = body.data;

    if (!der_take(&body, DER_SEQUENCE, &skipped))
        return false;
    *info = (struct der){start, (size_t)(body.data - start)};
    return true;
}
