/* hsm: URIs. Parts as RFC 7512 (pkcs11:) has them: name=value, separated by semicolons, bytes as %41. */
#include "uri.h"

#include <openssl/crypto.h>
#include <strings.h>

#define SCHEME "hsm:"

bool uri_is_ours(const char *text)
{
    return strncasecmp(text, SCHEME, strlen(SCHEME)) == 0;
}

/* --- values --- */

/* A part's value with its %41 undone; its length, or -1 when it is too long or not well formed. */
static int unescape(const char *text, size_t len, char out[URI_VALUE_MAX + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char byte = text[i];

        if (n == URI_VALUE_MAX)
            return -1;
        if (byte == '%') {
            int high = i + 2 < len ? OPENSSL_hexchar2int((unsigned char)text[i + 1]) : -1;
            int low = i + 2 < len ? OPENSSL_hexchar2int((unsigned char)text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -1;
            byte = (char)(high << 4 | low);
            i += 2;
        }
        if (byte == '\0')
            return -1;
        out[n++] = byte;
    }
    out[n] = '\0';
    return (int)n;
}

static int take_label(const struct provider *provider, const char *value, struct uri *uri)
{
    CHECK(provider, value[0] != '\0', REASON_URI, "%s", "the label is empty");
    memcpy(uri->label, value, strlen(value) + 1);
    return 1;
}

static int take_id(const struct provider *provider, const char *value, struct uri *uri)
{
    CHECK(provider, OPENSSL_hexstr2buf_ex(uri->id, sizeof(uri->id), &uri->id_len, value, '\0') && uri->id_len > 0,
          REASON_URI, "%s", "id is given in hexadecimal: id=01ab");
    return 1;
}

static int take_object(const struct provider *provider, const char *value, struct uri *uri)
{
    size_t len = 0;

    CHECK(provider, OPENSSL_hexstr2buf_ex(uri->object.id, HSM_ID_LEN, &len, value, '\0') && len == HSM_ID_LEN,
          REASON_URI, "%s", "object is the 32 hexadecimal digits that `hsm key list` shows");
    uri->by_object = true;
    return 1;
}

static int take_type(const struct provider *provider, const char *value, struct uri *uri)
{
    static const struct {
        const char *name;
        uint64_t object_class;
    } TYPES[] = {{"private", HSM_CLASS_PRIVATE_KEY},
                 {"public", HSM_CLASS_PUBLIC_KEY},
                 {"cert", HSM_CLASS_CERTIFICATE},
                 {"secret", HSM_CLASS_SECRET_KEY}};

    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++)
        if (strcmp(TYPES[i].name, value) == 0)
            uri->object_class = TYPES[i].object_class;
    CHECK(provider, uri->object_class != 0, REASON_URI, "%s", "type is private, public, cert or secret");
    return 1;
}

/* --- the whole --- */

static int take_part(const struct provider *provider, const char *part, size_t len, struct uri *uri)
{
    static const struct {
        const char *name;
        int (*take)(const struct provider *, const char *, struct uri *);
    } PARTS[] = {{"label", take_label}, {"id", take_id}, {"object", take_object}, {"type", take_type}};
    const char *equals = memchr(part, '=', len);
    size_t name_len = equals ? (size_t)(equals - part) : 0;
    char value[URI_VALUE_MAX + 1];

    for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
        if (name_len != strlen(PARTS[i].name) || memcmp(part, PARTS[i].name, name_len) != 0)
            continue;
        CHECK(provider, unescape(equals + 1, len - name_len - 1, value) >= 0, REASON_URI,
              "the value of %s is too long, or has a %% that is not followed by two hexadecimal digits", PARTS[i].name);
        return PARTS[i].take(provider, value, uri);
    }
    /* Not what follows the name: somebody may have put a password there. */
    return RAISE(provider, REASON_URI, "its parts are label=, id=, object= and type=, not \"%.*s\"",
                 (int)(name_len < 40 ? name_len : 40), part);
}

int uri_parse(const struct provider *provider, const char *text, struct uri *uri)
{
    CHECK(provider, uri_is_ours(text), REASON_URI, "%s", "it begins with hsm:");
    *uri = (struct uri){.id_len = 0};
    for (text += strlen(SCHEME); *text != '\0';) {
        size_t len = strcspn(text, ";");

        if (len > 0)
            TRY(take_part(provider, text, len, uri));
        text += len + (text[len] == ';');
    }
    return 1;
}

size_t uri_template(const struct uri *uri, const uint64_t *object_class, hsm_attribute attributes[URI_ATTRIBUTES_MAX])
{
    size_t n = 0;

    attributes[n++] = hsm_attribute_uint(HSM_ATTR_CLASS, object_class);
    attributes[n++] = hsm_attribute_bool(HSM_ATTR_TOKEN, 1);
    if (uri->label[0] != '\0')
        attributes[n++] = hsm_attribute_text(HSM_ATTR_LABEL, uri->label);
    if (uri->id_len > 0)
        attributes[n++] = hsm_attribute_of(HSM_ATTR_ID, uri->id, uri->id_len);
    return n;
}
