/* Key references as DER: see reference.h. Read here by hand rather than by OpenSSL: a provider reads them while OpenSSL
 * is looking for a decoder, and the few types that they have need little. */
#include "reference.h"

#include <stdlib.h>
#include "protocol/reader.h"

#define VERSION 1u
#define DER_MAX ((size_t)HSM_REFERENCE_MAX / 2) /* as PEM it is well below HSM_REFERENCE_MAX */

/* Identifier octets (X.690, 8.1.2). */
enum tag {
    TAG_ANY = 0,
    TAG_INTEGER = 0x02,
    TAG_BIT_STRING = 0x03,
    TAG_OCTET_STRING = 0x04,
    TAG_OBJECT_IDENTIFIER = 0x06,
    TAG_UTF8_STRING = 0x0c,
    TAG_SEQUENCE = 0x30,
};

#define LONG_TAG        0x1f /* the number of the tag follows in further octets: not used here */
#define LONG_LENGTH     0x80 /* so many octets with the length follow */
#define LENGTH_SIZE_MAX 3u

/* --- reading --- */

/* Definite, in the fewest octets (X.690, 10.1). */
static bool read_length(struct slice from, size_t *header_len, size_t *len)
{
    size_t n = from.data[1] & ~(unsigned)LONG_LENGTH;

    *header_len = 2;
    *len = n;
    if (!(from.data[1] & LONG_LENGTH))
        return true;
    if (n == 0 || n > LENGTH_SIZE_MAX || from.len - 2 < n || from.data[2] == 0)
        return false;
    *header_len += n;
    *len = 0;
    for (size_t i = 2; i < *header_len; i++)
        *len = *len << 8 | from.data[i];
    return *len >= LONG_LENGTH;
}

/* Takes the next element, which must be of this type, off `rest`. */
static bool take(struct slice *rest, enum tag tag, struct slice *content)
{
    size_t header_len, len;

    if (rest->len < 2 || (tag != TAG_ANY && rest->data[0] != tag) || (rest->data[0] & LONG_TAG) == LONG_TAG ||
        !read_length(*rest, &header_len, &len) || len > rest->len - header_len)
        return false;
    *content = slice_of(rest->data + header_len, len);
    *rest = slice_of(rest->data + header_len + len, rest->len - header_len - len);
    return true;
}

static bool take_all(struct slice rest)
{
    struct slice content;

    while (rest.len) {
        if (!take(&rest, TAG_ANY, &content))
            return false;
    }
    return true;
}

bool reference_is_der(struct slice data)
{
    struct slice content;

    return take(&data, TAG_SEQUENCE, &content) && data.len == 0;
}

/* RFC 5280, 4.1: the algorithm with its parameters, and a string of whole bytes. */
static bool is_public_key(struct slice content)
{
    struct slice algorithm, identifier, key;

    return take(&content, TAG_SEQUENCE, &algorithm) && take(&content, TAG_BIT_STRING, &key) && content.len == 0 &&
           take(&algorithm, TAG_OBJECT_IDENTIFIER, &identifier) && identifier.len && take_all(algorithm) &&
           key.len > 1 && key.data[0] == 0;
}

/* Nothing that a terminal or a log would obey (C0, DEL, C1). */
static bool is_printable(struct slice text)
{
    if (!text_is_valid(text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f ||
            (text.data[i] == 0xc2 && i + 1 < text.len && text.data[i + 1] < 0xa0))
            return false;
    }
    return true;
}

static status_code read_version(struct slice *rest)
{
    struct slice version;

    CHECK(take(rest, TAG_INTEGER, &version) && version.len && !(version.data[0] & 0x80), STATUS_INVALID_ARGUMENT,
          "the key reference is damaged: it does not begin with its version");
    if (version.len == 1 && version.data[0] == VERSION)
        return STATUS_OK;
    CHECK(version.data[0] > VERSION || (version.len > 1 && (version.data[0] || version.data[1] & 0x80)),
          STATUS_INVALID_ARGUMENT, "the key reference is damaged: its version is not valid");
    FAIL(STATUS_VERSION_MISMATCH, "the key reference is of a newer kind than this library knows: use a newer libhsm");
}

static status_code read_id(struct slice *rest, const char *what, uint8_t id[ID_LEN])
{
    struct slice content;

    CHECK(take(rest, TAG_OCTET_STRING, &content) && content.len == ID_LEN, STATUS_INVALID_ARGUMENT,
          "the key reference is damaged: it has no %s", what);
    memcpy(id, content.data, ID_LEN);
    return STATUS_OK;
}

static status_code read_public_key(const uint8_t *start, struct slice *rest, struct hsm_reference *fields)
{
    const uint8_t *at = rest->data;
    struct slice content;

    CHECK(take(rest, TAG_SEQUENCE, &content) && is_public_key(content), STATUS_INVALID_ARGUMENT,
          "the key reference is damaged: it has no public key");
    fields->public_key_at = (size_t)(at - start);
    fields->public_key_len = (size_t)(rest->data - at);
    return STATUS_OK;
}

static status_code read_fields(struct slice der, struct hsm_reference *fields, struct slice *label)
{
    struct slice all = der, rest;

    CHECK(der.len <= DER_MAX, STATUS_TOO_LARGE, "a key reference of %zu bytes; the limit is %zu", der.len, DER_MAX);
    CHECK(take(&all, TAG_SEQUENCE, &rest) && all.len == 0, STATUS_INVALID_ARGUMENT,
          "this is no key reference, or a part of one");
    TRY(read_version(&rest));
    TRY(read_id(&rest, "id of a cluster", fields->cluster_id));
    TRY(read_id(&rest, "id of a key", fields->key.id));
    TRY(read_public_key(der.data, &rest, fields));
    CHECK(take(&rest, TAG_UTF8_STRING, label) && is_printable(*label), STATUS_INVALID_ARGUMENT,
          "the key reference is damaged: its label is no printable text");
    CHECK(take_all(rest), STATUS_INVALID_ARGUMENT, "the key reference is damaged behind its label");
    return STATUS_OK;
}

status_code reference_decode(struct slice der, struct hsm_reference **reference)
{
    struct hsm_reference fields = {0};
    struct slice label;

    TRY(read_fields(der, &fields, &label));
    struct hsm_reference *made = malloc(sizeof(*made) + der.len + label.len + 1);

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a key reference");
    *made = fields;
    made->der_len = der.len;
    made->label_len = label.len;
    memcpy(made->bytes, der.data, der.len);
    if (label.len)
        memcpy(made->bytes + der.len, label.data, label.len);
    made->bytes[der.len + label.len] = 0;
    *reference = made;
    return STATUS_OK;
}

/* --- writing --- */

static void put_header(struct bytes *to, enum tag tag, size_t len)
{
    uint8_t header[2 + LENGTH_SIZE_MAX] = {(uint8_t)tag, (uint8_t)len};
    size_t n = 0;

    for (size_t rest = len; len >= LONG_LENGTH && rest; rest >>= 8)
        n++;
    if (n)
        header[1] = (uint8_t)(LONG_LENGTH | n);
    for (size_t i = 0; i < n; i++)
        header[2 + i] = (uint8_t)(len >> 8 * (n - 1 - i));
    bytes_append(to, header, 2 + n);
}

static void put(struct bytes *to, enum tag tag, struct slice content)
{
    put_header(to, tag, content.len);
    bytes_append(to, content.data, content.len);
}

status_code reference_encode(const struct reference_parts *parts, struct bytes *der)
{
    CLEANUP(bytes_release) struct bytes fields = BYTES_INIT;
    const uint8_t version = VERSION;

    fields.limit = DER_MAX - 4; /* and the outermost header */
    put(&fields, TAG_INTEGER, slice_of(&version, 1));
    put(&fields, TAG_OCTET_STRING, slice_of(parts->cluster_id, ID_LEN));
    put(&fields, TAG_OCTET_STRING, slice_of(parts->key->id, ID_LEN));
    bytes_append(&fields, parts->public_key.data, parts->public_key.len);
    put(&fields, TAG_UTF8_STRING, is_printable(parts->label) ? parts->label : slice_of(NULL, 0));
    TRY(bytes_ok(&fields));
    put(der, TAG_SEQUENCE, bytes_slice(&fields));
    return bytes_ok(der);
}
