/* The usual keys without templates (hsm/object.h): token objects, sensitive, not extractable, every usage that fits. */
#include "hsm/object.h"

#include "api_object.h"
#include "protocol/catalog.h"

/* One template as a list of true booleans, with what the kind of key adds. */
struct template
{
    hsm_attribute attributes[16];
    size_t n;
};

static void add(struct template *template, hsm_attribute attribute)
{
    template->attributes[template->n++] = attribute;
}

static void add_usages(struct template *template, const uint32_t *usages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add(template, hsm_attribute_bool(usages[i], 1));
}

static void begin(struct template *template, const char *label, bool secret)
{
    template->n = 0;
    add(template, hsm_attribute_bool(ATTRIBUTE_TOKEN, 1));
    add(template, hsm_attribute_text(ATTRIBUTE_LABEL, label));
    add(template, hsm_attribute_bool(ATTRIBUTE_PRIVATE, secret));
    if (!secret)
        return;
    add(template, hsm_attribute_bool(ATTRIBUTE_SENSITIVE, 1));
    add(template, hsm_attribute_bool(ATTRIBUTE_EXTRACTABLE, 0));
}

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static status_code generate_aes(hsm_session *session, const char *label, uint32_t bits, hsm_key *key)
{
    static const uint32_t usages[] = {ATTRIBUTE_ENCRYPT, ATTRIBUTE_DECRYPT, ATTRIBUTE_WRAP,
                                      ATTRIBUTE_UNWRAP,  ATTRIBUTE_SIGN,    ATTRIBUTE_VERIFY};
    struct template template;
    uint64_t len = bits / 8;

    ARGUMENT(label, "no label");
    CHECK(bits == 128 || bits == 192 || bits == 256, STATUS_KEY_SIZE_RANGE,
          "AES keys have 128, 192 or 256 bits, not %u", bits);
    begin(&template, label, true);
    add_usages(&template, usages, COUNT(usages));
    add(&template, hsm_attribute_uint(ATTRIBUTE_VALUE_LEN, &len));
    return api_key_generate(session, MECHANISM_AES_KEY_GEN, template.attributes, template.n, key);
}

hsm_status hsm_key_generate_aes(hsm_session *session, const char *label, uint32_t bits, hsm_key *key)
{
    return API(generate_aes(session, label, bits, key));
}

static status_code generate_rsa(hsm_session *session, const char *label, uint32_t bits, hsm_key *public_key,
                                hsm_key *private_key)
{
    static const uint32_t public_usages[] = {ATTRIBUTE_VERIFY, ATTRIBUTE_ENCRYPT, ATTRIBUTE_WRAP};
    static const uint32_t private_usages[] = {ATTRIBUTE_SIGN, ATTRIBUTE_DECRYPT, ATTRIBUTE_UNWRAP};
    struct template public_template, private_template;
    uint64_t modulus_bits = bits;

    ARGUMENT(label, "no label");
    begin(&public_template, label, false);
    add_usages(&public_template, public_usages, COUNT(public_usages));
    add(&public_template, hsm_attribute_uint(ATTRIBUTE_MODULUS_BITS, &modulus_bits));
    begin(&private_template, label, true);
    add_usages(&private_template, private_usages, COUNT(private_usages));
    return api_key_pair_generate(session, MECHANISM_RSA_KEY_PAIR_GEN, public_template.attributes, public_template.n,
                                 private_template.attributes, private_template.n, public_key, private_key);
}

hsm_status hsm_key_pair_generate_rsa(hsm_session *session, const char *label, uint32_t bits, hsm_key *public_key,
                                     hsm_key *private_key)
{
    return API(generate_rsa(session, label, bits, public_key, private_key));
}

/* What keys on a kind of curve can do. */
static const struct ec_kind {
    enum key_type key_type;
    enum mechanism_type mechanism;
    bool signs, derives;
} ec_kinds[] = {
    {KEY_EC, MECHANISM_EC_KEY_PAIR_GEN, true, true},
    {KEY_EC_EDWARDS, MECHANISM_EDWARDS_KEY_PAIR_GEN, true, false},
    {KEY_EC_MONTGOMERY, MECHANISM_MONTGOMERY_KEY_PAIR_GEN, false, true},
};

static const struct ec_kind *ec_kind_of(uint32_t curve)
{
    for (size_t i = 0; i < COUNT(ec_kinds); i++) {
        if (ec_kinds[i].key_type == hsm_curve_key_type(curve))
            return &ec_kinds[i];
    }
    return NULL;
}

static status_code generate_ec(hsm_session *session, const char *label, uint32_t curve, hsm_key *public_key,
                               hsm_key *private_key)
{
    const struct ec_kind *kind = ec_kind_of(curve);
    struct template public_template, private_template;
    size_t oid_len;
    const uint8_t *oid = hsm_curve_oid(curve, &oid_len);

    ARGUMENT(label, "no label");
    CHECK(kind && oid, STATUS_INVALID_ARGUMENT, "there is no curve %u", curve);
    begin(&public_template, label, false);
    begin(&private_template, label, true);
    add(&public_template, hsm_attribute_of(ATTRIBUTE_EC_PARAMS, oid, oid_len));
    if (kind->signs) {
        add(&public_template, hsm_attribute_bool(ATTRIBUTE_VERIFY, 1));
        add(&private_template, hsm_attribute_bool(ATTRIBUTE_SIGN, 1));
    }
    if (kind->derives)
        add(&private_template, hsm_attribute_bool(ATTRIBUTE_DERIVE, 1));
    return api_key_pair_generate(session, kind->mechanism, public_template.attributes, public_template.n,
                                 private_template.attributes, private_template.n, public_key, private_key);
}

hsm_status hsm_key_pair_generate_ec(hsm_session *session, const char *label, uint32_t curve, hsm_key *public_key,
                                    hsm_key *private_key)
{
    return API(generate_ec(session, label, curve, public_key, private_key));
}
