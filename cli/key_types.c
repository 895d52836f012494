/* Key types and attributes in words: see key_types.h. */
#include "key_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool number_after(const char *text, const char *prefix, uint64_t *number)
{
    size_t len = strlen(prefix);
    char *end;

    if (strncasecmp(text, prefix, len) || text[len] < '0' || text[len] > '9')
        return false;
    *number = strtoull(text + len, &end, 10);
    return *end == 0;
}

int key_type_parse(const char *text, struct key_type *type)
{
    uint64_t number;
    uint32_t curve;

    *type = (struct key_type){0};
    if (number_after(text, "rsa-", &number)) {
        *type = (struct key_type){HSM_KEY_TYPE_RSA, HSM_MECHANISM_RSA_KEY_PAIR_GEN, 0, number, true};
    } else if (number_after(text, "aes-", &number) && number % 8 == 0) {
        *type = (struct key_type){HSM_KEY_TYPE_AES, HSM_MECHANISM_AES_KEY_GEN, 0, number / 8, false};
    } else if (number_after(text, "generic-", &number)) {
        *type = (struct key_type){HSM_KEY_TYPE_GENERIC_SECRET, HSM_MECHANISM_GENERIC_SECRET_KEY_GEN, 0, number, false};
    } else if (strcasecmp(text, "des3") == 0) {
        *type = (struct key_type){HSM_KEY_TYPE_DES3, HSM_MECHANISM_DES3_KEY_GEN, 0, 24, false};
    } else if (number_after(text, "ml-dsa-", &number)) {
        *type = (struct key_type){HSM_KEY_TYPE_ML_DSA, HSM_MECHANISM_ML_DSA_KEY_PAIR_GEN, 0, number, true};
    } else if (number_after(text, "ml-kem-", &number)) {
        *type = (struct key_type){HSM_KEY_TYPE_ML_KEM, HSM_MECHANISM_ML_KEM_KEY_PAIR_GEN, 0, number, true};
    } else if (hsm_curve_by_name(strncasecmp(text, "ec-", 3) ? text : text + 3, &curve) == HSM_OK) {
        uint32_t of = hsm_curve_key_type(curve);

        *type = (struct key_type){of,
                                  of == HSM_KEY_TYPE_EC           ? HSM_MECHANISM_EC_KEY_PAIR_GEN
                                  : of == HSM_KEY_TYPE_EC_EDWARDS ? HSM_MECHANISM_EDWARDS_KEY_PAIR_GEN
                                                                  : HSM_MECHANISM_MONTGOMERY_KEY_PAIR_GEN,
                                  curve, 0, true};
    } else {
        return usage("there is no key type %s; there are rsa-BITS, ec-CURVE (p224, p256, p384, p521, secp256k1), "
                     "ed25519, ed448, x25519, x448, aes-BITS, generic-BYTES, des3, ml-dsa-SET, ml-kem-SET",
                     text);
    }
    return EXIT_OK;
}

void key_type_text(const hsm_attributes *attributes, char *text, size_t size)
{
    uint64_t type = hsm_attributes_uint(attributes, HSM_ATTR_KEY_TYPE, 0);
    size_t oid_len = 0;
    const uint8_t *oid = hsm_attributes_bytes(attributes, HSM_ATTR_EC_PARAMS, &oid_len);
    uint32_t curve = oid ? hsm_curve_by_oid(oid, oid_len) : 0;
    uint64_t bits = hsm_attributes_uint(attributes, HSM_ATTR_MODULUS_BITS, 0);
    uint64_t bytes = hsm_attributes_uint(attributes, HSM_ATTR_VALUE_LEN, 0);
    uint64_t set = hsm_attributes_uint(attributes, HSM_ATTR_PARAMETER_SET, 0);
    char name[32];

    dashed(hsm_key_type_name(type), name, sizeof(name));
    if (curve)
        snprintf(text, size, "%s%s", type == HSM_KEY_TYPE_EC ? "ec-" : "",
                 dashed(hsm_curve_name(curve), name, sizeof(name)));
    else if (bits)
        snprintf(text, size, "rsa-%llu", (unsigned long long)bits);
    else if (set)
        snprintf(text, size, "%s-%llu", name, (unsigned long long)set);
    else if (bytes && type != HSM_KEY_TYPE_GENERIC_SECRET)
        snprintf(text, size, "%s-%llu", name, (unsigned long long)(8 * bytes));
    else if (bytes)
        snprintf(text, size, "generic-%llu", (unsigned long long)bytes);
    else
        snprintf(text, size, "%s", name);
}

/* --- templates --- */

void template_release(struct template *template)
{
    for (unsigned i = 0; i < template->n; i++)
        free(template->owned[i]);
    template->n = 0;
}

/* The next free attribute; NULL, after a message, when there is none. */
static hsm_attribute *next(struct template *template, uint32_t type)
{
    if (template->n == TEMPLATE_MAX) {
        usage("more than %d attributes", TEMPLATE_MAX);
        return NULL;
    }
    template->list[template->n].type = type;
    template->owned[template->n] = NULL;
    return &template->list[template->n++];
}

int template_bool(struct template *template, uint32_t type, bool value)
{
    hsm_attribute *attribute = next(template, type);

    if (!attribute)
        return EXIT_USAGE;
    template->flags[template->n - 1] = value;
    attribute->value = &template->flags[template->n - 1];
    attribute->value_len = 1;
    return EXIT_OK;
}

int template_uint(struct template *template, uint32_t type, uint64_t value)
{
    hsm_attribute *attribute = next(template, type);

    if (!attribute)
        return EXIT_USAGE;
    template->numbers[template->n - 1] = value;
    attribute->value = &template->numbers[template->n - 1];
    attribute->value_len = sizeof(uint64_t);
    return EXIT_OK;
}

int template_bytes(struct template *template, uint32_t type, const void *data, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    hsm_attribute *attribute = copy ? next(template, type) : NULL;

    if (!attribute) {
        free(copy);
        return copy ? EXIT_USAGE : usage("out of memory");
    }
    memcpy(copy, data, len);
    template->owned[template->n - 1] = copy;
    attribute->value = copy;
    attribute->value_len = len;
    return EXIT_OK;
}

static bool is_text_attribute(uint32_t type)
{
    return type == HSM_ATTR_LABEL || type == HSM_ATTR_START_DATE || type == HSM_ATTR_END_DATE ||
           hsm_attribute_value_type(type) == HSM_VALUE_TEXT;
}

static int hex_bytes(struct template *template, uint32_t type, const char *text)
{
    uint8_t bytes[1024];
    size_t len = strlen(text);

    if (len % 2 || len / 2 > sizeof(bytes))
        return usage("%s: an even number of hexadecimal digits is expected", text);
    for (size_t i = 0; i < len / 2; i++) {
        unsigned value;

        if (sscanf(text + 2 * i, "%2x", &value) != 1)
            return usage("%s: hexadecimal digits are expected", text);
        bytes[i] = (uint8_t)value;
    }
    return template_bytes(template, type, bytes, len / 2);
}

/* "ecdsa:sha256,aes-gcm": mechanism | hash << 16 */
static int mechanism_list(struct template *template, uint32_t type, const char *text)
{
    uint64_t numbers[32];
    unsigned n = 0;
    char copy[1024], *rest = copy, *word;

    snprintf(copy, sizeof(copy), "%s", text);
    while ((word = strsep(&rest, ",")) && n < 32) {
        char *colon = strchr(word, ':');
        uint32_t mechanism, hash = 0;

        if (colon) {
            *colon = 0;
            CALL("hash", hsm_hash_by_name(colon + 1, &hash));
        }
        CALL("mechanism", hsm_mechanism_by_name(word, &mechanism));
        numbers[n++] = mechanism | (uint64_t)hash << 16;
    }
    return template_bytes(template, type, numbers, n * sizeof(*numbers));
}

static int bool_value(struct template *template, uint32_t type, const char *name, const char *value)
{
    bool yes = !strcasecmp(value, "true") || !strcasecmp(value, "yes") || !strcmp(value, "1");

    if (!yes && strcasecmp(value, "false") && strcasecmp(value, "no") && strcmp(value, "0"))
        return usage("%s is true or false, not %s", name, value);
    return template_bool(template, type, yes);
}

int template_assignment(struct template *template, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    char name[64], *end;
    uint32_t type;

    if (!equals)
        return usage("%s: NAME=VALUE is expected", assignment);
    snprintf(name, sizeof(name), "%.*s", (int)(equals - assignment), assignment);
    CALL("attribute", hsm_attribute_by_name(name, &type));
    switch (hsm_attribute_value_type(type)) {
    case HSM_VALUE_BOOL:
        return bool_value(template, type, name, equals + 1);
    case HSM_VALUE_UINT: {
        uint64_t number = strtoull(equals + 1, &end, 0);

        return equals[1] && *end == 0 ? template_uint(template, type, number)
                                      : usage("%s is a number, not %s", name, equals + 1);
    }
    case HSM_VALUE_UINTS:
        return mechanism_list(template, type, equals + 1);
    case HSM_VALUE_TEMPLATE:
        return usage("%s cannot be given on a command line", name);
    default:
        return is_text_attribute(type) ? template_bytes(template, type, equals + 1, strlen(equals + 1))
                                       : hex_bytes(template, type, equals + 1);
    }
}

int template_options(struct template *template, const struct context *context)
{
    const struct options *options = &context->options;

    if (options->label)
        STEP(template_bytes(template, HSM_ATTR_LABEL, options->label, strlen(options->label)));
    if (options->id)
        STEP(hex_bytes(template, HSM_ATTR_ID, options->id));
    for (char **attribute = options->attributes; attribute && *attribute; attribute++)
        STEP(template_assignment(template, *attribute));
    return EXIT_OK;
}

int template_key_type(struct template *template, const struct key_type *type)
{
    size_t len;
    const uint8_t *oid = hsm_curve_oid(type->curve, &len);

    if (type->curve)
        return template_bytes(template, HSM_ATTR_EC_PARAMS, oid, len);
    return template_uint(template,
                         type->type == HSM_KEY_TYPE_RSA ? HSM_ATTR_MODULUS_BITS
                         : type->type == HSM_KEY_TYPE_ML_DSA || type->type == HSM_KEY_TYPE_ML_KEM
                             ? HSM_ATTR_PARAMETER_SET
                             : HSM_ATTR_VALUE_LEN,
                         type->size);
}
