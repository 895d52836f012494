/* Keys: made, listed, shown, brought in, changed, shared, destroyed. Bringing them out is in key_export.c. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "command.h"
#include "key_types.h"

static void key_text(hsm_key key, char text[2 * HSM_ID_LEN + 1])
{
    hex_text(key.id, HSM_ID_LEN, text);
}

/* --- which key --- */

static bool parse_unique_id(const char *text, hsm_key *key)
{
    if (strlen(text) != 2 * HSM_ID_LEN)
        return false;
    for (unsigned i = 0; i < HSM_ID_LEN; i++) {
        unsigned value;

        if (sscanf(text + 2 * i, "%2x", &value) != 1)
            return false;
        key->id[i] = (uint8_t)value;
    }
    return true;
}

int key_resolve(struct context *context, const char *text, const uint32_t *classes, unsigned n_classes, hsm_key *key)
{
    hsm_status status = HSM_OBJECT_NOT_FOUND;

    if (!text)
        return usage("which key? give --key with its label or unique id");
    if (parse_unique_id(text, key))
        return EXIT_OK;
    for (unsigned i = 0; i < n_classes && status == HSM_OBJECT_NOT_FOUND; i++)
        status = hsm_find_one(context->session, classes[i], text, key);
    if (status == HSM_CONFLICT)
        return usage("several keys have the label %s: hsm key list --label %s shows their unique ids", text, text);
    return status == HSM_OK ? EXIT_OK : report(text, status);
}

int key_type_of(struct context *context, hsm_key key, uint32_t *type)
{
    const uint32_t wanted[] = {HSM_ATTR_KEY_TYPE};
    hsm_attributes *attributes = NULL;

    CALL("key", hsm_object_get(context->session, key, wanted, 1, &attributes));
    *type = (uint32_t)hsm_attributes_uint(attributes, HSM_ATTR_KEY_TYPE, 0);
    hsm_attributes_free(attributes);
    return EXIT_OK;
}

int key_resolve_any(struct context *context, const char *text, hsm_key *key)
{
    static const uint32_t classes[] = {HSM_CLASS_PRIVATE_KEY, HSM_CLASS_SECRET_KEY, HSM_CLASS_PUBLIC_KEY,
                                       HSM_CLASS_CERTIFICATE, HSM_CLASS_DATA};

    return key_resolve(context, text, classes, sizeof(classes) / sizeof(*classes), key);
}

/* --- generate --- */

/* A key made by this command is kept: TOKEN unless somebody says otherwise. */
static int make_token(struct template *template)
{
    for (unsigned i = 0; i < template->n; i++) {
        if (template->list[i].type == HSM_ATTR_TOKEN)
            return EXIT_OK;
    }
    return template_bool(template, HSM_ATTR_TOKEN, true);
}

static int print_made(struct context *context, hsm_key key, const hsm_key *public_key)
{
    char text[2 * HSM_ID_LEN + 1], public_text[2 * HSM_ID_LEN + 1];

    key_text(key, text);
    if (public_key)
        key_text(*public_key, public_text);
    if (!context->json) {
        say(context, public_key ? "Made the private key %s and the public key %s." : "Made the key %s.", text,
            public_key ? public_text : "");
        return EXIT_OK;
    }
    json_auto_t *made = json_pack("{s:s}", "unique_id", text);
    if (public_key)
        json_object_set_new(made, "public_unique_id", json_string(public_text));
    return output_object(context, made);
}

/* What both halves of a pair get: label and id; the rest is the private key's. */
static int public_template(const struct template *of, struct template *template, const struct key_type *type)
{
    STEP(template_key_type(template, type));
    for (unsigned i = 0; i < of->n; i++) {
        if (of->list[i].type == HSM_ATTR_LABEL || of->list[i].type == HSM_ATTR_ID)
            STEP(template_bytes(template, of->list[i].type, of->list[i].value, of->list[i].value_len));
        if (of->list[i].type == HSM_ATTR_TOKEN)
            STEP(template_bool(template, HSM_ATTR_TOKEN, *(const uint8_t *)of->list[i].value));
    }
    return EXIT_OK;
}

int run_key_generate(struct context *context)
{
    CLEANUP(template_release) struct template template = {.n = 0}, public = {.n = 0};
    struct key_type type;
    hsm_key key, public_key;

    STEP(key_type_parse(context->arguments[0], &type));
    STEP(template_options(&template, context));
    STEP(make_token(&template));
    STEP(context_session(context));
    if (!type.pair) {
        STEP(template_key_type(&template, &type));
        CALL("key generate", hsm_key_generate(context->session, type.mechanism, template.list, template.n, &key));
        return print_made(context, key, NULL);
    }
    STEP(public_template(&template, &public, &type));
    CALL("key generate", hsm_key_pair_generate(context->session, type.mechanism, public.list, public.n, template.list,
                                               template.n, &public_key, &key));
    return print_made(context, key, &public_key);
}

/* --- list and show --- */

static json_t *row_of(hsm_key key, const hsm_attributes *attributes)
{
    char id[2 * HSM_ID_LEN + 1], type[64], class[32];
    size_t len;
    const uint8_t *label = hsm_attributes_bytes(attributes, HSM_ATTR_LABEL, &len);
    json_t *row;

    key_text(key, id);
    key_type_text(attributes, type, sizeof(type));
    dashed(hsm_class_name(hsm_attributes_uint(attributes, HSM_ATTR_CLASS, 0)), class, sizeof(class));
    row = json_pack("{s:o, s:s, s:s, s:s}", "label", json_stringn_nocheck(label ? (const char *)label : "", len),
                    "class", class, "type", type, "unique_id", id);
    const uint8_t *owner = hsm_attributes_bytes(attributes, HSM_ATTR_OWNER, &len);
    json_object_set_new(row, "owner", owner ? json_stringn((const char *)owner, len) : json_null());
    json_object_set_new(row, "created", json_time(hsm_attributes_uint(attributes, HSM_ATTR_CREATED_MS, 0)));
    return row;
}

static int list_filter(struct context *context, struct template *template)
{
    uint32_t type;

    STEP(template_options(template, context));
    if (!context->options.type)
        return EXIT_OK;
    CALL("key type", hsm_key_type_by_name(context->options.type, &type));
    return template_uint(template, HSM_ATTR_KEY_TYPE, type);
}

int run_key_list(struct context *context)
{
    static const char *const columns[] = {"label", "class", "type", "owner", "created", "unique_id"};
    CLEANUP(template_release) struct template template = {.n = 0};
    hsm_find *find = NULL;
    hsm_key keys[64];
    hsm_attributes *attributes[64];
    size_t n, total = 0, limit = context->options.limit > 0 ? (size_t)context->options.limit : SIZE_MAX;
    json_auto_t *rows = json_array();

    STEP(list_filter(context, &template));
    STEP(context_session(context));
    CALL("key list", hsm_find_open(context->session, template.list, template.n, NULL, 0, &find));
    do {
        hsm_status status = hsm_find_next(find, keys, attributes, 64, &n);

        if (status != HSM_OK) {
            hsm_find_close(find);
            return report("key list", status);
        }
        for (size_t i = 0; i < n; i++) {
            if (total++ < limit)
                json_array_append_new(rows, row_of(keys[i], attributes[i]));
            hsm_attributes_free(attributes[i]);
        }
    } while (n && total < limit);
    hsm_find_close(find);
    return output_rows(context, rows, columns, 6);
}

static json_t *value_json(const hsm_attribute *attribute)
{
    json_t *list;

    switch (hsm_attribute_value_type(attribute->type)) {
    case HSM_VALUE_BOOL:
        return json_boolean(*(const uint8_t *)attribute->value);
    case HSM_VALUE_UINT:
        if (attribute->type == HSM_ATTR_CREATED_MS)
            return json_time(*(const uint64_t *)attribute->value);
        return json_integer((json_int_t) * (const uint64_t *)attribute->value);
    case HSM_VALUE_UINTS:
        list = json_array();
        for (size_t i = 0; i < attribute->value_len / sizeof(uint64_t); i++)
            json_array_append_new(list, json_integer((json_int_t)((const uint64_t *)attribute->value)[i]));
        return list;
    case HSM_VALUE_TEMPLATE:
        return json_string("(template)");
    default:
        break;
    }
    json_t *text = hsm_attribute_value_type(attribute->type) == HSM_VALUE_TEXT || attribute->type == HSM_ATTR_LABEL
                       ? json_stringn(attribute->value, attribute->value_len)
                       : NULL;
    return text ? text : json_hex(attribute->value, attribute->value_len);
}

int run_key_show(struct context *context)
{
    hsm_attributes *attributes = NULL;
    json_auto_t *object = json_object();
    hsm_key key;
    char text[64];

    STEP(context_session(context));
    STEP(key_resolve_any(context, context->arguments[0], &key));
    CALL("key show", hsm_object_get(context->session, key, NULL, 0, &attributes));
    key_type_text(attributes, text, sizeof(text));
    json_object_set_new(object, "type", json_string(text));
    dashed(hsm_class_name(hsm_attributes_uint(attributes, HSM_ATTR_CLASS, 0)), text, sizeof(text));
    json_object_set_new(object, "class", json_string(text));
    for (size_t i = 0; i < hsm_attributes_count(attributes); i++) {
        const hsm_attribute *attribute = hsm_attributes_at(attributes, i);

        if (attribute->type != HSM_ATTR_CLASS && attribute->type != HSM_ATTR_KEY_TYPE)
            json_object_set_new(object, dashed(hsm_attribute_name(attribute->type), text, sizeof(text)),
                                value_json(attribute));
    }
    hsm_attributes_free(attributes);
    return output_object(context, object);
}

/* --- import --- */

/* PEM or DER of a private key, public key or certificate, as the DER that the cluster takes. */
static int decode(const struct content *content, uint32_t *class, uint8_t **der, size_t *der_len)
{
    BIO *bio = BIO_new_mem_buf(content->data, (int)content->len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    int len = -1;

    *der = NULL;
    if (key) {
        PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);

        *class = HSM_CLASS_PRIVATE_KEY;
        len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, der) : -1;
        PKCS8_PRIV_KEY_INFO_free(info);
    }
    if (len < 0 && BIO_reset(bio) >= 0 && (key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL))) {
        *class = HSM_CLASS_PUBLIC_KEY;
        len = i2d_PUBKEY(key, der);
    }
    EVP_PKEY_free(key);
    X509 *certificate = NULL;
    if (len < 0 && BIO_reset(bio) >= 0 && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        *class = HSM_CLASS_CERTIFICATE;
        len = i2d_X509(certificate, der);
    }
    X509_free(certificate);
    BIO_free(bio);
    *der_len = len > 0 ? (size_t)len : 0;
    return len > 0 ? EXIT_OK : usage("the input is no PEM of a private key, public key or certificate");
}

static int import_asymmetric(struct context *context, const struct content *content, struct template *template,
                             hsm_key *key)
{
    uint32_t class = 0;
    uint8_t *der;
    size_t der_len;

    STEP(decode(content, &class, &der, &der_len));
    int status = template_uint(template, HSM_ATTR_CLASS, class);
    if (status == EXIT_OK)
        status = template_bytes(template, HSM_ATTR_VALUE, der, der_len);
    OPENSSL_clear_free(der, der_len);
    STEP(status);
    CALL("key import", hsm_object_create(context->session, template->list, template->n, key));
    return EXIT_OK;
}

int run_key_import(struct context *context)
{
    CLEANUP(template_release) struct template template = {.n = 0};
    CLEANUP(content_release) struct content content = {NULL, 0};
    const char *kind = context->arguments[0];
    uint32_t type = 0;
    hsm_key key;

    STEP(template_options(&template, context));
    STEP(make_token(&template));
    STEP(content_read(context->options.in, &content));
    STEP(context_session(context));
    if (strcmp(kind, "certificate") && strcmp(kind, "data"))
        CALL("key type", hsm_key_type_by_name(strcmp(kind, "generic") ? kind : "generic-secret", &type));
    if (type)
        STEP(template_uint(&template, HSM_ATTR_KEY_TYPE, type));
    if (type == HSM_KEY_TYPE_AES || type == HSM_KEY_TYPE_DES3 || type == HSM_KEY_TYPE_GENERIC_SECRET || !type) {
        if (!type && strcmp(kind, "certificate") == 0) {
            STEP(import_asymmetric(context, &content, &template, &key));
            return print_made(context, key, NULL);
        }
        STEP(template_uint(&template, HSM_ATTR_CLASS, type ? HSM_CLASS_SECRET_KEY : HSM_CLASS_DATA));
        STEP(template_bytes(&template, HSM_ATTR_VALUE, content.data, content.len));
        CALL("key import", hsm_object_create(context->session, template.list, template.n, &key));
        return print_made(context, key, NULL);
    }
    STEP(import_asymmetric(context, &content, &template, &key));
    return print_made(context, key, NULL);
}

/* --- change --- */

int run_key_set(struct context *context)
{
    CLEANUP(template_release) struct template template = {.n = 0};
    hsm_key key;

    for (unsigned i = 1; i < context->n_arguments; i++)
        STEP(template_assignment(&template, context->arguments[i]));
    STEP(context_session(context));
    STEP(key_resolve_any(context, context->arguments[0], &key));
    CALL("key set", hsm_object_set(context->session, key, template.list, template.n));
    say(context, "Changed.");
    return EXIT_OK;
}

int run_key_share(struct context *context)
{
    const uint32_t classes[] = {HSM_CLASS_PRIVATE_KEY, HSM_CLASS_SECRET_KEY, HSM_CLASS_PUBLIC_KEY};
    hsm_key key;

    STEP(context_session(context));
    STEP(key_resolve(context, context->arguments[0], classes, 3, &key));
    CALL("key share", context->options.undo ? hsm_key_unshare(context->session, key, context->arguments[1])
                                            : hsm_key_share(context->session, key, context->arguments[1]));
    say(context, context->options.undo ? "%s may no longer use it." : "%s may use it now.", context->arguments[1]);
    return EXIT_OK;
}

int run_key_delete(struct context *context)
{
    static const uint32_t others[] = {HSM_CLASS_PUBLIC_KEY};
    const char *text = context->arguments[0];
    hsm_key key, other;
    bool by_label = strlen(text) != 2 * HSM_ID_LEN;

    STEP(confirm(context, "Destroy %s on all nodes?", text));
    STEP(context_session(context));
    STEP(key_resolve_any(context, text, &key));
    CALL("key delete", hsm_object_delete(context->session, key));
    if (by_label && hsm_find_one(context->session, others[0], text, &other) == HSM_OK && !hsm_key_equal(key, other))
        CALL("key delete", hsm_object_delete(context->session, other));
    say(context, "Destroyed.");
    return EXIT_OK;
}
