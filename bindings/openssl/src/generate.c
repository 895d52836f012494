/* Generation in the cluster (openssl genpkey, req -newkey) and import. See generate.h. */
#include "generate.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <stdlib.h>
#include "connection.h"

#define LABEL_MAX    256
#define ID_MAX       64
#define GROUP_MAX    64
#define EXPONENT_MAX 8
#define OID_MAX      32

#define PARAM_LABEL "hsm-label"
#define PARAM_ID    "hsm-id"

struct generation {
    struct provider *provider;
    const struct key_kind *kind;
    bool parameters_alone; /* the curve, for a key that somebody else makes */
    char label[LABEL_MAX + 1];
    unsigned char id[ID_MAX];
    size_t id_len;
    uint64_t modulus_bits;
    uint64_t exponent;
    char group[GROUP_MAX];
};

/* --- parameters --- */

const OSSL_PARAM *generation_settable(const struct key_kind *kind)
{
#define COMMON OSSL_PARAM_utf8_string(PARAM_LABEL, NULL, 0), OSSL_PARAM_utf8_string(PARAM_ID, NULL, 0)
    static const OSSL_PARAM RSA[] = {COMMON, OSSL_PARAM_size_t(OSSL_PKEY_PARAM_RSA_BITS, NULL),
                                     OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0), OSSL_PARAM_END};
    static const OSSL_PARAM EC[] = {COMMON, OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING, NULL, 0), OSSL_PARAM_END};
    static const OSSL_PARAM OTHER[] = {COMMON, OSSL_PARAM_END};
#undef COMMON

    return kind->key_type == HSM_KEY_TYPE_RSA ? RSA : kind->key_type == HSM_KEY_TYPE_EC ? EC : OTHER;
}

static int take_text(struct provider *provider, const OSSL_PARAM params[], const char *name, char *out, size_t room)
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, name);
    const char *text = NULL;

    if (!param)
        return 1;
    size_t len = OSSL_PARAM_get_utf8_string_ptr(param, &text) && text ? strnlen(text, param->data_size) : room;

    CHECK(provider, len < room, REASON_PARAMETER, "%s is at most %zu bytes of text", name, room - 1);
    memcpy(out, text, len);
    out[len] = '\0';
    return 1;
}

/* CKA_ID in hexadecimal, as in hsm:id=... */
static int take_id(struct generation *generation, const OSSL_PARAM params[])
{
    char text[2 * ID_MAX + 1] = "";

    TRY(take_text(generation->provider, params, PARAM_ID, text, sizeof(text)));
    if (text[0] == '\0')
        return 1;
    CHECK(generation->provider, OPENSSL_hexstr2buf_ex(generation->id, ID_MAX, &generation->id_len, text, '\0'),
          REASON_PARAMETER, "%s is given in hexadecimal", PARAM_ID);
    return 1;
}

static int take_exponent(struct generation *generation, const OSSL_PARAM params[])
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E);

    if (!param)
        return 1;
    CHECK(generation->provider, OSSL_PARAM_get_uint64(param, &generation->exponent), REASON_PARAMETER, "%s",
          "the public exponent is at most 64 bits long");
    return 1;
}

int generation_set_params(void *data, const OSSL_PARAM params[])
{
    struct generation *generation = data;
    const OSSL_PARAM *bits;

    if (!params)
        return 1;
    TRY(take_text(generation->provider, params, PARAM_LABEL, generation->label, sizeof(generation->label)));
    TRY(take_text(generation->provider, params, OSSL_PKEY_PARAM_GROUP_NAME, generation->group,
                  sizeof(generation->group)));
    TRY(take_id(generation, params));
    TRY(take_exponent(generation, params));
    if ((bits = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_BITS)) != NULL)
        CHECK(generation->provider, OSSL_PARAM_get_uint64(bits, &generation->modulus_bits), REASON_PARAMETER, "%s",
              "bits is a number");
    return 1;
}

/* Parameters of another key: its curve. */
int generation_set_template(void *data, void *template_key)
{
    struct generation *generation = data;
    const struct key *key = template_key;
    size_t len;

    if (generation->kind->key_type != HSM_KEY_TYPE_EC || !key->public_key)
        return 1;
    return EVP_PKEY_get_group_name(key->public_key, generation->group, sizeof(generation->group), &len);
}

struct generation *generation_new(struct provider *provider, const struct key_kind *kind, int selection,
                                  const OSSL_PARAM params[])
{
    struct generation *generation = calloc(1, sizeof(*generation));

    if (!generation)
        return NULL;
    *generation = (struct generation){.provider = provider, .kind = kind, .modulus_bits = 2048, .exponent = 65537};
    generation->parameters_alone = (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0;
    if (!generation_set_params(generation, params)) {
        generation_free(generation);
        return NULL;
    }
    return generation;
}

void generation_free(void *generation)
{
    free(generation);
}

/* --- attributes --- */

#define ATTRIBUTES_MAX 16

struct attributes {
    hsm_attribute list[ATTRIBUTES_MAX];
    size_t n;
};

static void put(struct attributes *to, hsm_attribute attribute)
{
    if (to->n < ATTRIBUTES_MAX)
        to->list[to->n++] = attribute;
}

static const uint64_t CLASS_PRIVATE = HSM_CLASS_PRIVATE_KEY;

/* What a key of this kind is for; each half of a pair has its own. */
static void put_uses(const struct key_kind *kind, struct attributes *public, struct attributes *private)
{
    if (kind->signature) {
        put(private, hsm_attribute_bool(HSM_ATTR_SIGN, 1));
        if (public)
            put(public, hsm_attribute_bool(HSM_ATTR_VERIFY, 1));
    }
    if (kind->key_type == HSM_KEY_TYPE_RSA) {
        put(private, hsm_attribute_bool(HSM_ATTR_DECRYPT, 1));
        if (public)
            put(public, hsm_attribute_bool(HSM_ATTR_ENCRYPT, 1));
    }
    if (kind->exchange)
        put(private, hsm_attribute_bool(HSM_ATTR_DERIVE, 1));
}

/* DER of the curve's object identifier. */
static int curve_of(const struct generation *generation, unsigned char oid[OID_MAX], size_t *oid_len)
{
    if (generation->kind->curve != 0) {
        const uint8_t *known = hsm_curve_oid(generation->kind->curve, oid_len);

        memcpy(oid, known, *oid_len);
        return 1;
    }
    CHECK(generation->provider, generation->group[0] != '\0', REASON_PARAMETER, "%s",
          "which curve? For example: -pkeyopt ec_paramgen_curve:P-256");
    int nid = EC_curve_nist2nid(generation->group);

    if (nid == NID_undef)
        nid = OBJ_txt2nid(generation->group);
    const ASN1_OBJECT *object = nid != NID_undef ? OBJ_nid2obj(nid) : NULL;
    int len = object ? i2d_ASN1_OBJECT(object, NULL) : 0;

    CHECK(generation->provider, len > 0 && len <= OID_MAX, REASON_PARAMETER, "no curve is called %s",
          generation->group);
    *oid_len = (size_t)i2d_ASN1_OBJECT(object, &oid);
    return 1;
}

static void put_names(const struct generation *generation, struct attributes *to)
{
    put(to, hsm_attribute_bool(HSM_ATTR_TOKEN, 1));
    if (generation->label[0] != '\0')
        put(to, hsm_attribute_text(HSM_ATTR_LABEL, generation->label));
    if (generation->id_len > 0)
        put(to, hsm_attribute_of(HSM_ATTR_ID, generation->id, generation->id_len));
}

/* --- generation --- */

/* Big-endian, without zeros in front, at the end of `out`; how long it is. */
static size_t exponent_bytes(uint64_t exponent, unsigned char out[EXPONENT_MAX])
{
    size_t len = 0;

    do {
        out[EXPONENT_MAX - ++len] = (unsigned char)exponent;
        exponent >>= 8;
    } while (exponent != 0);
    return len;
}

/* What is generated: how long an RSA key, on which curve another. */
struct shape {
    unsigned char exponent[EXPONENT_MAX], curve[OID_MAX];
};

static int put_shape(const struct generation *generation, struct shape *shape, struct attributes *to)
{
    size_t len;

    if (generation->kind->key_type != HSM_KEY_TYPE_RSA) {
        TRY(curve_of(generation, shape->curve, &len));
        put(to, hsm_attribute_of(HSM_ATTR_EC_PARAMS, shape->curve, len));
        return 1;
    }
    len = exponent_bytes(generation->exponent, shape->exponent);
    put(to, hsm_attribute_uint(HSM_ATTR_MODULUS_BITS, &generation->modulus_bits));
    put(to, hsm_attribute_of(HSM_ATTR_PUBLIC_EXPONENT, shape->exponent + EXPONENT_MAX - len, len));
    return 1;
}

static int generate(const struct generation *generation, struct key **key)
{
    struct attributes public = {.n = 0}, private = {.n = 0};
    struct shape shape;
    hsm_key public_key, private_key;
    hsm_reference *reference;
    struct connection *connection;

    put_names(generation, &public);
    put_names(generation, &private);
    put_uses(generation->kind, &public, &private);
    TRY(put_shape(generation, &shape, &public));
    TRY(connection_get(generation->provider, &connection));
    HSM(generation->provider, hsm_key_pair_generate(connection->managing, generation->kind->generation, public.list,
                                                    public.n, private.list, private.n, &public_key, &private_key));
    if (hsm_reference_make(connection->managing, private_key, NULL, &reference) == HSM_OK)
        return key_from_reference(generation->provider, reference, key);
    RAISE_LAST(generation->provider);
    /* A pair that its program cannot name would stay for ever. */
    hsm_object_delete(connection->managing, private_key);
    hsm_object_delete(connection->managing, public_key);
    return 0;
}

/* Nothing that the cluster has a part in. */
static int generate_parameters(const struct generation *generation, struct key **key)
{
    struct provider *provider = generation->provider;

    CHECK(provider, generation->kind->key_type == HSM_KEY_TYPE_EC && generation->group[0] != '\0', REASON_PARAMETER,
          "%s", "parameters alone are a curve's: which?");
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(provider->library, generation->kind->name, NULL);
    EVP_PKEY *made = NULL;
    int result = context && EVP_PKEY_paramgen_init(context) == 1 &&
                 EVP_PKEY_CTX_set_group_name(context, generation->group) == 1 && EVP_PKEY_paramgen(context, &made) == 1;

    EVP_PKEY_CTX_free(context);
    CHECK(provider, result, REASON_PARAMETER, "no curve is called %s", generation->group);
    *key = key_new(provider, generation->kind);
    if (!*key) {
        EVP_PKEY_free(made);
        return RAISE(provider, HSM_OUT_OF_MEMORY, "%s", "");
    }
    (*key)->is_template = true;
    (*key)->public_key = made;
    return 1;
}

void *generation_run(void *data, OSSL_CALLBACK *progress, void *argument)
{
    const struct generation *generation = data;
    struct key *key = NULL;

    (void)progress;
    (void)argument;
    return (generation->parameters_alone ? generate_parameters : generate)(generation, &key) ? key : NULL;
}

/* --- import --- */

int import_pkcs8(struct key *key, const unsigned char *der, size_t der_len)
{
    struct provider *provider = key->provider;
    const uint64_t key_type = key->kind->key_type;
    struct attributes private = {.n = 0};
    unsigned char info[2048];
    size_t info_len = sizeof(info);
    struct key *public = NULL;
    struct connection *connection;

    put(&private, hsm_attribute_uint(HSM_ATTR_CLASS, &CLASS_PRIVATE));
    put(&private, hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &key_type));
    put(&private, hsm_attribute_of(HSM_ATTR_VALUE, der, der_len));
    put_uses(key->kind, NULL, &private);
    TRY(connection_get(provider, &connection));
    HSM(provider, hsm_object_create(connection->serving, private.list, private.n, &key->object));
    key->has_private = true; /* from here on it is forgotten with the key */
    HSM(provider, hsm_key_export_public(connection->serving, key->object, info, &info_len));
    TRY(key_from_public_info(provider, info, info_len, &public));
    EVP_PKEY_up_ref(public->public_key);
    key->public_key = public->public_key;
    key_release(public);
    return 1;
}
