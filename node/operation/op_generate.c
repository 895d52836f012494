/* KEY_GENERATE and KEY_PAIR_GENERATE. Templates are checked before a key is made: a failed call leaves nothing, and
 * costs nothing. */
#include "operation/handlers.h"

static status_code generating_mechanism(const struct call *call, enum mechanism_type *type)
{
    uint64_t number = values_uint(call->request, FIELD_MECHANISM, 0);
    const struct mechanism_info *info = mechanism_info(number);
    CHECK(info && info->uses & USE_GENERATE, STATUS_MECHANISM_INVALID, "mechanism %llu does not generate keys",
          (unsigned long long)number);
    *type = (enum mechanism_type)number;
    return STATUS_OK;
}

static bool makes_pairs(enum mechanism_type type)
{
    enum key_type key_type = mechanism_info(type)->key_type;
    return key_type != KEY_AES && key_type != KEY_DES3 && key_type != KEY_GENERIC_SECRET;
}

/* Secret keys. */

static status_code secret_parameters(const struct object_new *new, struct key_parameters *parameters)
{
    struct values template;
    TRY(object_template(new, &template));
    uint64_t len = values_uint(&template, ATTRIBUTE_VALUE_LEN, new->key_type == KEY_DES3 ? 24 : 0);
    CHECK(len || values_has(&template, ATTRIBUTE_VALUE_LEN), STATUS_TEMPLATE_INCOMPLETE, "VALUE_LEN is missing");
    CHECK(len <= 4096, STATUS_KEY_SIZE_RANGE, "a secret key has at most 4096 bytes, not %llu", (unsigned long long)len);
    *parameters = (struct key_parameters){.type = new->key_type, .bits = (uint32_t)(8 * len)};
    return STATUS_OK;
}

status_code op_key_generate(struct call *call)
{
    CLEANUP(call_key_release) struct key *key = NULL;
    struct object_new new = call_new(call, ORIGIN_GENERATED);
    struct key_parameters parameters;
    bool done = false;

    TRY(generating_mechanism(call, &new.mechanism));
    CHECK(!makes_pairs(new.mechanism), STATUS_MECHANISM_INVALID, "%s makes pairs: KEY_PAIR_GENERATE",
          mechanism_info(new.mechanism)->name);
    new.class = CLASS_SECRET_KEY;
    new.key_type = mechanism_info(new.mechanism)->key_type;
    TRY(call_answer_created(call, &new, &done));
    if (done)
        return STATUS_OK;
    TRY(object_check_template(&new));
    TRY(secret_parameters(&new, &parameters));
    TRY(key_generate(&parameters, &key));
    new.key = key;
    return call_create(call, &new);
}

/* Pairs. */

enum half { PRIVATE_HALF, PUBLIC_HALF, HALVES };

struct pair {
    struct object_new news[HALVES];
    struct values templates[HALVES];
    struct object_made mades[HALVES];
    struct bytes attributes; /* of the half that takes over the other's ID */
    struct key *keys[HALVES];
};

static void pair_release(struct pair *pair)
{
    for (int half = 0; half < HALVES; half++) {
        object_made_release(&pair->mades[half]);
        key_release(pair->keys[half]);
    }
    bytes_release(&pair->attributes);
}

static status_code read_pair(const struct call *call, struct pair *pair)
{
    enum mechanism_type type;
    TRY(generating_mechanism(call, &type));
    CHECK(makes_pairs(type), STATUS_MECHANISM_INVALID, "%s makes secret keys: KEY_GENERATE",
          mechanism_info(type)->name);
    for (int half = 0; half < HALVES; half++) {
        struct object_new *new = &pair->news[half];
        *new = call_new(call, ORIGIN_GENERATED);
        new->mechanism = type;
        new->key_type = mechanism_info(type)->key_type;
        new->class = half == PRIVATE_HALF ? CLASS_PRIVATE_KEY : CLASS_PUBLIC_KEY;
    }
    pair->news[PUBLIC_HALF].id = call_bytes(call, FIELD_PUBLIC_ID);
    pair->news[PUBLIC_HALF].attributes = call_bytes(call, FIELD_PUBLIC_ATTRIBUTES);
    for (int half = 0; half < HALVES; half++) {
        TRY(object_check_template(&pair->news[half]));
        TRY(object_template(&pair->news[half], &pair->templates[half]));
    }
    return STATUS_OK;
}

/** An ID that only one of the templates gives is for both. */
static status_code share_id(struct pair *pair)
{
    int giver = values_has(&pair->templates[PRIVATE_HALF], ATTRIBUTE_ID) ? PRIVATE_HALF : PUBLIC_HALF;
    int taker = PUBLIC_HALF - giver;
    if (!values_has(&pair->templates[giver], ATTRIBUTE_ID) || values_has(&pair->templates[taker], ATTRIBUTE_ID))
        return STATUS_OK;
    struct values template = pair->templates[taker];
    values_put_bytes(&template, ATTRIBUTE_ID, values_bytes(&pair->templates[giver], ATTRIBUTE_ID));
    values_encode(&ATTRIBUTE_SCHEMA, &template, &pair->attributes);
    pair->news[taker].attributes = bytes_slice(&pair->attributes);
    return bytes_ok(&pair->attributes);
}

/** A parameter may stand in either template; both must say the same. */
static status_code parameter_template(const struct pair *pair, uint32_t attribute, const struct values **template)
{
    const struct values *private_half = &pair->templates[PRIVATE_HALF], *public_half = &pair->templates[PUBLIC_HALF];
    *template = values_has(public_half, attribute) ? public_half : private_half;
    CHECK(!values_has(private_half, attribute) || !values_has(public_half, attribute) ||
              values_equal_at(&ATTRIBUTE_SCHEMA, private_half, public_half, attribute),
          STATUS_TEMPLATE_INCONSISTENT, "the two templates differ in %s", ATTRIBUTE_SCHEMA.entries[attribute].name);
    return STATUS_OK;
}

static status_code need(const struct values *template, uint32_t attribute)
{
    CHECK(values_has(template, attribute), STATUS_TEMPLATE_INCOMPLETE, "%s is missing",
          ATTRIBUTE_SCHEMA.entries[attribute].name);
    return STATUS_OK;
}

static status_code pair_parameters(const struct pair *pair, struct key_parameters *parameters)
{
    const struct values *template;
    *parameters = (struct key_parameters){.type = pair->news[PRIVATE_HALF].key_type};

    switch (parameters->type) {
    case KEY_RSA:
        TRY(parameter_template(pair, ATTRIBUTE_PUBLIC_EXPONENT, &template));
        parameters->public_exponent = values_bytes(template, ATTRIBUTE_PUBLIC_EXPONENT);
        TRY(parameter_template(pair, ATTRIBUTE_MODULUS_BITS, &template));
        parameters->bits = (uint32_t)values_uint(template, ATTRIBUTE_MODULUS_BITS, 0);
        return need(template, ATTRIBUTE_MODULUS_BITS);
    case KEY_ML_DSA:
    case KEY_ML_KEM:
        TRY(parameter_template(pair, ATTRIBUTE_PARAMETER_SET, &template));
        parameters->parameter_set = (uint32_t)values_uint(template, ATTRIBUTE_PARAMETER_SET, 0);
        return need(template, ATTRIBUTE_PARAMETER_SET);
    default:
        TRY(parameter_template(pair, ATTRIBUTE_EC_PARAMS, &template));
        TRY(need(template, ATTRIBUTE_EC_PARAMS));
        parameters->curve = curve_by_oid(values_bytes(template, ATTRIBUTE_EC_PARAMS));
        CHECK(parameters->curve, STATUS_ATTRIBUTE_VALUE_INVALID, "EC_PARAMS is no curve that is offered");
        return STATUS_OK;
    }
}

/** After a resend whose private half was stored: the public half, if it is a session object, is made again. */
static status_code restore_public(struct call *call, struct pair *pair)
{
    CLEANUP(object_release) struct object *private_half = NULL;
    struct key *key;

    if (values_bool(&pair->templates[PUBLIC_HALF], ATTRIBUTE_TOKEN, false)) {
        CHECK(values_bool(&pair->templates[PRIVATE_HALF], ATTRIBUTE_TOKEN, false), STATUS_ALREADY_EXISTS,
              "the private key of this pair was a session key, and was lost with the first answer: make another pair");
        return STATUS_OK;
    }
    TRY(object_get(call->node->objects, &call->caller, pair->news[PRIVATE_HALF].id, slice_of(NULL, 0), &private_half));
    TRY(object_key(private_half, &key));
    TRY(key_public(key, &pair->keys[PUBLIC_HALF]));
    pair->news[PUBLIC_HALF].key = pair->keys[PUBLIC_HALF];
    return objects_create(call->node->objects, &call->caller, &pair->news[PUBLIC_HALF], 1, &pair->mades[PUBLIC_HALF]);
}

static status_code generate_pair(struct call *call, struct pair *pair)
{
    struct key_parameters parameters;
    TRY(pair_parameters(pair, &parameters));
    TRY(key_generate(&parameters, &pair->keys[PRIVATE_HALF]));
    TRY(key_public(pair->keys[PRIVATE_HALF], &pair->keys[PUBLIC_HALF]));
    for (int half = 0; half < HALVES; half++)
        pair->news[half].key = pair->keys[half];
    return objects_create(call->node->objects, &call->caller, pair->news, HALVES, pair->mades);
}

status_code op_key_pair_generate(struct call *call)
{
    CLEANUP(pair_release) struct pair pair;
    bool done = false;

    memset(&pair, 0, sizeof pair);
    TRY(read_pair(call, &pair));
    TRY(share_id(&pair));
    TRY(objects_created(call->node->objects, &call->caller, pair.news, HALVES, &done, pair.mades));
    TRY(done ? restore_public(call, &pair) : generate_pair(call, &pair));
    TRY(call_answer_made(call, &pair.mades[PRIVATE_HALF], FIELD_OBJECT_ID, FIELD_ATTRIBUTES, FIELD_BLOB));
    return call_answer_made(call, &pair.mades[PUBLIC_HALF], FIELD_PUBLIC_ID, FIELD_PUBLIC_ATTRIBUTES,
                            FIELD_PUBLIC_BLOB);
}
