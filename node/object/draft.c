/* An object in the making: from a checked template and a key to the full set of attributes, of which the node computes
 * those that nobody may claim: where the key comes from, what it always was, and what its public parts are. */
#include "object/object_internal.h"

#include <openssl/x509.h>

/* Room for all that is computed of one object, reserved at once so that nothing moves: the largest are the names of a
 * certificate and the public key of ML-DSA-87. */
#define COMPUTED_MAX 16384u

void draft_release(struct draft *draft)
{
    key_release(draft->key);
    draft->key = NULL;
    bytes_release(&draft->storage);
}

/* Each computed value stands at the end of the storage while it is put. */

static status_code put_computed(struct draft *draft, uint32_t attribute, size_t from)
{
    TRY(bytes_ok(&draft->storage));
    if (draft->storage.len > from)
        values_put_bytes(&draft->attributes, attribute,
                         slice_of(draft->storage.data + from, draft->storage.len - from));
    return STATUS_OK;
}

static status_code put_copy(struct draft *draft, uint32_t attribute, const void *data, size_t len)
{
    size_t from = draft->storage.len;
    bytes_append(&draft->storage, data, len);
    return put_computed(draft, attribute, from);
}

static status_code put_of_key(struct draft *draft, uint32_t attribute,
                              status_code (*tell)(struct key *, struct bytes *))
{
    size_t from = draft->storage.len;
    TRY(tell(draft->key, &draft->storage));
    return put_computed(draft, attribute, from);
}

/** A number that the template may have said: it must be what the key has. */
static status_code put_agreed(struct draft *draft, uint32_t attribute, uint64_t actual)
{
    CHECK(values_uint(&draft->attributes, attribute, actual) == actual, STATUS_TEMPLATE_INCONSISTENT,
          "%s in the template is %llu, but the key's is %llu", attribute_name(attribute),
          (unsigned long long)values_uint(&draft->attributes, attribute, 0), (unsigned long long)actual);
    values_put_uint(&draft->attributes, attribute, actual);
    return STATUS_OK;
}

static struct slice without_zeros(struct slice number)
{
    while (number.len && number.data[0] == 0)
        number = slice_of(number.data + 1, number.len - 1);
    return number;
}

static status_code describe_rsa(struct draft *draft)
{
    struct slice said = without_zeros(values_bytes(&draft->attributes, ATTRIBUTE_PUBLIC_EXPONENT));
    TRY(put_agreed(draft, ATTRIBUTE_MODULUS_BITS, key_bits(draft->key)));
    TRY(put_of_key(draft, ATTRIBUTE_MODULUS, key_modulus));
    TRY(put_of_key(draft, ATTRIBUTE_PUBLIC_EXPONENT, key_public_exponent));
    CHECK(said.len == 0 || slice_equal(said, values_bytes(&draft->attributes, ATTRIBUTE_PUBLIC_EXPONENT)),
          STATUS_TEMPLATE_INCONSISTENT, "PUBLIC_EXPONENT in the template is not the key's");
    return STATUS_OK;
}

static status_code describe_curve(struct draft *draft)
{
    struct slice oid = key_curve(draft->key)->oid;
    struct slice said = values_bytes(&draft->attributes, ATTRIBUTE_EC_PARAMS);
    CHECK(said.len == 0 || slice_equal(said, oid), STATUS_TEMPLATE_INCONSISTENT,
          "EC_PARAMS in the template is not the key's curve");
    values_put_bytes(&draft->attributes, ATTRIBUTE_EC_PARAMS, oid);
    return put_of_key(draft, ATTRIBUTE_EC_POINT, key_ec_point);
}

static status_code describe_secret(struct draft *draft)
{
    TRY(put_agreed(draft, ATTRIBUTE_VALUE_LEN, key_bits(draft->key) / 8));
    return put_of_key(draft, ATTRIBUTE_CHECK_VALUE, key_check_value);
}

/** Common practice: SHA-1 of the modulus or of the public point, so that pairs and certificates find together. */
static status_code default_id(struct draft *draft)
{
    struct slice from = values_bytes(&draft->attributes, ATTRIBUTE_MODULUS);
    struct slice point = values_bytes(&draft->attributes, ATTRIBUTE_EC_POINT);
    uint8_t digest[EVP_MAX_MD_SIZE];
    size_t len = 0;

    if (values_has(&draft->attributes, ATTRIBUTE_ID))
        return STATUS_OK;
    if (point.len) {
        size_t header = point.data[1] & 0x80 ? 3 : 2; /* DER OCTET STRING around it */
        from = slice_of(point.data + header, point.len - header);
    }
    if (from.len == 0)
        from = values_bytes(&draft->attributes, ATTRIBUTE_PUBLIC_KEY_INFO);
    CHECK(EVP_Q_digest(crypto_context(), "SHA1", NULL, from.data, from.len, digest, &len) == 1, STATUS_INTERNAL,
          "hashing a public key for its ID");
    return put_copy(draft, ATTRIBUTE_ID, digest, len);
}

static status_code describe_pair(struct draft *draft)
{
    TRY(put_of_key(draft, ATTRIBUTE_PUBLIC_KEY_INFO, key_public_info));
    switch (key_type(draft->key)) {
    case KEY_RSA:
        TRY(describe_rsa(draft));
        break;
    case KEY_ML_DSA:
    case KEY_ML_KEM:
        TRY(put_agreed(draft, ATTRIBUTE_PARAMETER_SET, key_parameter_set(draft->key)));
        break;
    default:
        TRY(describe_curve(draft));
    }
    return default_id(draft);
}

static status_code describe_key(struct draft *draft)
{
    uint64_t class = values_uint(&draft->attributes, ATTRIBUTE_CLASS, 0);
    CHECK(key_class(draft->key) == class &&
              key_type(draft->key) == values_uint(&draft->attributes, ATTRIBUTE_KEY_TYPE, 0),
          STATUS_TEMPLATE_INCONSISTENT, "CLASS and KEY_TYPE of the template do not fit the key");
    return class == CLASS_SECRET_KEY ? describe_secret(draft) : describe_pair(draft);
}

/* Certificates. */

static status_code put_der(struct draft *draft, uint32_t attribute, unsigned char *der, int len)
{
    status_code code = STATUS_OK;
    if (len > 0 && !values_has(&draft->attributes, attribute))
        code = put_copy(draft, attribute, der, (size_t)len);
    OPENSSL_free(der);
    return code;
}

static status_code describe_certificate(struct draft *draft)
{
    struct slice value = values_bytes(&draft->attributes, ATTRIBUTE_VALUE);
    const uint8_t *at = value.data;
    unsigned char *subject = NULL, *issuer = NULL, *serial = NULL;
    char reason[128];

    X509 *certificate = d2i_X509(NULL, &at, (long)value.len);
    if (certificate && at != value.data + value.len) {
        X509_free(certificate);
        certificate = NULL;
    }
    CHECK(certificate, STATUS_ATTRIBUTE_VALUE_INVALID, "VALUE is not the DER of an X.509 certificate: %s",
          failure_openssl_reason(reason, sizeof reason));
    int subject_len = i2d_X509_NAME(X509_get_subject_name(certificate), &subject);
    int issuer_len = i2d_X509_NAME(X509_get_issuer_name(certificate), &issuer);
    int serial_len = i2d_ASN1_INTEGER(X509_get_serialNumber(certificate), &serial);
    X509_free(certificate);
    status_code codes[] = {put_der(draft, ATTRIBUTE_SUBJECT, subject, subject_len),
                           put_der(draft, ATTRIBUTE_ISSUER, issuer, issuer_len),
                           put_der(draft, ATTRIBUTE_SERIAL_NUMBER, serial, serial_len)};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        TRY(codes[i]);
    if (!values_has(&draft->attributes, ATTRIBUTE_CERTIFICATE_TYPE))
        values_put_uint(&draft->attributes, ATTRIBUTE_CERTIFICATE_TYPE, 0);
    return STATUS_OK;
}

/* Where it comes from. PKCS#11 3.0, 4.8 to 4.10, and the mechanisms that derive (PKCS#11 mechanisms 3.0, 2.42). */

static bool of_parent(const struct object_new *new, enum attribute attribute)
{
    return new->parent &&attribute_flag(new->parent, attribute) &&
           (!new->second || attribute_flag(new->second, attribute));
}

static void put_history(const struct object_new *new, struct values *attributes)
{
    bool sensitive = values_bool(attributes, ATTRIBUTE_SENSITIVE, false);
    bool extractable = values_bool(attributes, ATTRIBUTE_EXTRACTABLE, false);
    bool inherits = new->origin == ORIGIN_DERIVED || new->origin == ORIGIN_COPIED;
    bool generated = new->origin == ORIGIN_GENERATED;
    bool local = generated || (new->origin == ORIGIN_COPIED &&attribute_flag(new->parent, ATTRIBUTE_LOCAL));

    values_put_bool(attributes, ATTRIBUTE_LOCAL, local);
    if (generated)
        values_put_uint(attributes, ATTRIBUTE_KEY_GEN_MECHANISM, new->mechanism);
    if (!holds_secret(values_uint(attributes, ATTRIBUTE_CLASS, 0)))
        return;
    bool always = generated || (inherits && of_parent(new, ATTRIBUTE_ALWAYS_SENSITIVE));
    bool never = generated || (inherits && of_parent(new, ATTRIBUTE_NEVER_EXTRACTABLE));
    values_put_bool(attributes, ATTRIBUTE_ALWAYS_SENSITIVE, always && sensitive);
    values_put_bool(attributes, ATTRIBUTE_NEVER_EXTRACTABLE, never && !extractable);
}

/* Bytes of a part of a key that nobody finds by trying. */
#define PART_MIN 16u

/** How long a key must be that is made of a sensitive one: a few bytes of it, used on their own, can be found by
 * trying, and then the next few. */
static uint64_t least_len(const struct object *base, enum mechanism_type mechanism)
{
    uint64_t len = values_uint(&base->attributes, ATTRIBUTE_VALUE_LEN, 0);
    return mechanism == MECHANISM_EXTRACT && len > PART_MIN ? PART_MIN : len;
}

/** After a derivation that can be undone. */
static status_code check_guards(const struct object *base, enum mechanism_type mechanism, const struct draft *draft)
{
    const struct values *made = &draft->attributes;
    CHECK(!attribute_flag(base, ATTRIBUTE_SENSITIVE) || values_bool(made, ATTRIBUTE_SENSITIVE, false),
          STATUS_TEMPLATE_INCONSISTENT, "the base key is SENSITIVE, so what is derived from it this way must be");
    CHECK(attribute_flag(base, ATTRIBUTE_EXTRACTABLE) || !values_bool(made, ATTRIBUTE_EXTRACTABLE, false),
          STATUS_TEMPLATE_INCONSISTENT,
          "the base key is not EXTRACTABLE, so what is derived from it this way must not be");
    CHECK(!attribute_flag(base, ATTRIBUTE_WRAP_WITH_TRUSTED) || values_bool(made, ATTRIBUTE_WRAP_WITH_TRUSTED, false),
          STATUS_TEMPLATE_INCONSISTENT,
          "the base key is WRAP_WITH_TRUSTED, so what is derived from it this way must be");
    CHECK(!attribute_flag(base, ATTRIBUTE_SENSITIVE) || key_bits(draft->key) / 8 >= least_len(base, mechanism),
          STATUS_KEY_SIZE_RANGE, "a SENSITIVE key is not shortened to %u bytes by this mechanism",
          key_bits(draft->key) / 8);
    return STATUS_OK;
}

static status_code put_identity(struct objects *objects, const struct caller *caller, const struct object_new *new,
                                struct draft *draft)
{
    char hex[2 * ID_LEN + 1];
    hex_encode(new->id, hex);
    TRY(put_copy(draft, ATTRIBUTE_UNIQUE_ID, hex, 2 * ID_LEN));
    TRY(put_copy(draft, ATTRIBUTE_OWNER, caller->user_name, strlen(caller->user_name)));
    values_put_uint(&draft->attributes, ATTRIBUTE_CREATED_MS, node_now_ms(objects->node));
    return STATUS_OK;
}

static void drop_empty_dates(struct values *attributes)
{
    static const uint32_t dates[] = {ATTRIBUTE_START_DATE, ATTRIBUTE_END_DATE};
    for (size_t i = 0; i < 2; i++)
        if (values_bytes(attributes, dates[i]).len == 0)
            values_remove(attributes, dates[i]);
}

/** The original's attributes, changed as the template says and as an owner may change them. */
static status_code copy_attributes(const struct object_new *new, const struct values *template, struct values *copy)
{
    static const uint32_t own[] = {ATTRIBUTE_SHARED_WITH, ATTRIBUTE_TRUSTED, ATTRIBUTE_TOKEN};
    const struct values *original = &new->parent->attributes;
    struct values before;

    attributes_copy(original, &before);
    attributes_copy(original, copy);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        values_remove(copy, own[i]);
        values_remove(&before, own[i]);
    }
    for (uint32_t i = 0; i < VALUES_MAX; i++) {
        if (!values_has(template, i))
            continue;
        copy->value[i] = template->value[i];
        values_mark(copy, i);
        TRY(attribute_check_change(&before, copy, i));
    }
    return STATUS_OK;
}

/** The key of the object: given, or in the VALUE of what is imported (which then is no attribute any more). */
static status_code take_key(const struct object_new *new, struct draft *draft)
{
    uint64_t class = values_uint(&draft->attributes, ATTRIBUTE_CLASS, 0);
    if (!is_key_class(class))
        return STATUS_OK;
    if (new->key) {
        draft->key = key_reference(new->key);
        return STATUS_OK;
    }
    struct slice value = values_bytes(&draft->attributes, ATTRIBUTE_VALUE);
    values_remove(&draft->attributes, ATTRIBUTE_VALUE);
    return key_open((enum object_class) class, (enum key_type)values_uint(&draft->attributes, ATTRIBUTE_KEY_TYPE, 0),
                    value, false, &draft->key);
}

static status_code begin(const struct object_new *new, struct draft *draft)
{
    struct values template;
    TRY(object_template(new, &template));
    TRY(template_check(new, &template));
    if (new->origin == ORIGIN_COPIED)
        return copy_attributes(new, &template, &draft->attributes);
    draft->attributes = template;
    if (new->value.len)
        values_put_bytes(&draft->attributes, ATTRIBUTE_VALUE, new->value);
    return STATUS_OK;
}

/** Approvers must see the key: a session object is its client's alone. */
static status_code check_quorum(const struct values *attributes)
{
    bool wanted =
        values_uint(attributes, ATTRIBUTE_QUORUM_USE, 0) || values_uint(attributes, ATTRIBUTE_QUORUM_MANAGEMENT, 0);
    CHECK(!wanted || values_bool(attributes, ATTRIBUTE_TOKEN, false), STATUS_TEMPLATE_INCONSISTENT,
          "QUORUM_USE and QUORUM_MANAGEMENT are for token objects: TOKEN must be true");
    return STATUS_OK;
}

/** PKCS#11 3.0, section 4.9: what everybody may see and use without a login cannot ask for a password. */
static status_code check_authentication(const struct values *attributes)
{
    CHECK(!values_bool(attributes, ATTRIBUTE_ALWAYS_AUTHENTICATE, false) ||
              values_bool(attributes, ATTRIBUTE_PRIVATE, false),
          STATUS_TEMPLATE_INCONSISTENT, "ALWAYS_AUTHENTICATE is for private objects: PRIVATE must be true");
    return STATUS_OK;
}

status_code draft_make(struct objects *objects, const struct caller *caller, const struct object_new *new,
                       struct draft *draft)
{
    draft->storage.limit = COMPUTED_MAX;
    CHECK(bytes_reserve(&draft->storage, COMPUTED_MAX), STATUS_OUT_OF_MEMORY, "no memory for a new object");
    TRY(begin(new, draft));
    drop_empty_dates(&draft->attributes);
    TRY(take_key(new, draft));
    attributes_default(&draft->attributes);
    TRY(check_quorum(&draft->attributes));
    TRY(check_authentication(&draft->attributes));
    TRY(put_identity(objects, caller, new, draft));
    if (!draft->key)
        return values_uint(&draft->attributes, ATTRIBUTE_CLASS, 0) == CLASS_CERTIFICATE ? describe_certificate(draft)
                                                                                        : STATUS_OK;
    TRY(describe_key(draft));
    put_history(new, &draft->attributes);
    if (new->origin == ORIGIN_DERIVED && derivation_is_reversible(new->mechanism)) {
        TRY(check_guards(new->parent, new->mechanism, draft));
        if (new->second)
            TRY(check_guards(new->second, new->mechanism, draft));
    }
    return STATUS_OK;
}
