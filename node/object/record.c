/* How objects are stored and handed out: records of token objects and blobs of session objects.
 *
 * A record is the generation of the masking key (4 bytes, big-endian), then [format, sealed content, sealed material],
 * both sealed under that generation. The content (attributes, owner, sharees, request ids) is bound
 * to kind, id and version, the material to these and to the content: a record of which a part was altered, swapped with
 * another's or set back to an older version does not open. A blob is everything sealed as one, bound to session and
 * object id. Deleted objects leave a marker for some time, so that a resent deletion is told from an unknown id and a
 * resent creation does not bring an object back. */
#include "object/object_internal.h"

#include "protocol/writer.h"

enum record_format { FORMAT_OBJECT = 1, FORMAT_REMOVED = 2 };

#define BLOB_FORMAT     1u
#define CONTENT_ENTRIES 6u

/** What every sealing of a record is bound to. */
static void put_context(struct bytes *context, const uint8_t id[ID_LEN], uint64_t version)
{
    uint8_t place[RECORD_CONTEXT_LEN];
    record_context(STORE_OBJECT, id, version, place);
    bytes_append(context, place, sizeof place);
}

/** Names the object, if it is the record's own fault. */
static status_code damaged(const uint8_t id[ID_LEN], status_code code)
{
    char hex[2 * ID_LEN + 1];
    if (code != STATUS_STORE_DAMAGED)
        return code;
    hex_encode(slice_of(id, ID_LEN), hex);
    FAIL(STATUS_STORE_DAMAGED, "the record of object %s is damaged or was altered: restore it from a backup", hex);
}

/* Content. */

void content_encode(const struct content *content, struct bytes *out)
{
    write_array(out, CONTENT_ENTRIES);
    write_bin(out, content->attributes);
    write_bin(out, content->owner_id);
    write_bin(out, content->sharees);
    write_bin(out, content->creation_request);
    write_bin(out, content->change_requests);
    write_bin(out, content->answer);
}

static status_code read_content(struct reader *reader, struct content *content)
{
    uint32_t n;
    TRY(read_array(reader, &n));
    CHECK(n == CONTENT_ENTRIES, STATUS_STORE_DAMAGED, "an object's content has %u entries", n);
    TRY(read_bin(reader, ATTRIBUTES_MAX, &content->attributes));
    TRY(read_bin(reader, ID_LEN, &content->owner_id));
    TRY(read_bin(reader, (size_t)ID_LEN * SHAREES_MAX, &content->sharees));
    TRY(read_bin(reader, ID_LEN, &content->creation_request));
    TRY(read_bin(reader, (size_t)ID_LEN * CHANGES_KEPT, &content->change_requests));
    return read_bin(reader, ANSWER_MAX, &content->answer);
}

status_code content_decode(struct slice encoded, struct content *content)
{
    struct reader reader = reader_of(encoded);
    TRY(read_content(&reader, content));
    CHECK(reader_at_end(&reader) && content->owner_id.len == ID_LEN && content->sharees.len % ID_LEN == 0 &&
              content->change_requests.len % ID_LEN == 0,
          STATUS_STORE_DAMAGED, "an object's content is malformed");
    return STATUS_OK;
}

/* Records. */

static void put_record(struct bytes *value, uint32_t generation, enum record_format format, const struct bytes *content,
                       const struct bytes *material)
{
    uint8_t number[GENERATION_LEN];

    generation_put(generation, number);
    bytes_append(value, number, sizeof number);
    write_array(value, 3);
    write_uint(value, format);
    write_bin(value, bytes_slice(content));
    write_bin(value, bytes_slice(material));
}

status_code object_record_seal(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                               const struct content *content, struct slice material, struct bytes *value)
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT, context = BYTES_INIT;
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, sealed_material = BYTES_INIT;
    struct keyring *keyring = objects->node->keyring;
    uint32_t generation = keyring_newest(keyring);

    encoded.limit = RECORD_MAX;
    content_encode(content, &encoded);
    TRY(bytes_ok(&encoded));
    put_context(&context, id, version);
    TRY(seal(keyring, generation, SEAL_RECORD, bytes_slice(&context), bytes_slice(&encoded), &sealed));
    if (material.len) {
        bytes_append(&context, encoded.data, encoded.len);
        TRY(bytes_ok(&context));
        TRY(seal(keyring, generation, SEAL_KEY_MATERIAL, bytes_slice(&context), material, &sealed_material));
    }
    put_record(value, generation, FORMAT_OBJECT, &sealed, &sealed_material);
    return bytes_ok(value);
}

status_code object_record_seal_marker(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                                      struct slice encoded, struct bytes *value)
{
    CLEANUP(bytes_release) struct bytes context = BYTES_INIT, sealed = BYTES_INIT;
    const struct bytes nothing = BYTES_INIT;
    uint32_t generation = keyring_newest(objects->node->keyring);

    put_context(&context, id, version);
    TRY(seal(objects->node->keyring, generation, SEAL_RECORD, bytes_slice(&context), encoded, &sealed));
    put_record(value, generation, FORMAT_REMOVED, &sealed, &nothing);
    return bytes_ok(value);
}

status_code object_record_seal_removed(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                                       struct slice request_id, struct slice user_id, struct bytes *value)
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;

    write_array(&encoded, 3);
    write_bin(&encoded, request_id);
    write_bin(&encoded, user_id);
    write_uint(&encoded, node_now_ms(objects->node));
    TRY(bytes_ok(&encoded));
    return object_record_seal_marker(objects, id, version, bytes_slice(&encoded), value);
}

static status_code read_removed(struct slice plaintext, struct object_record *record)
{
    struct reader reader = reader_of(plaintext);
    uint32_t n;
    TRY(read_array(&reader, &n));
    TRY(read_bin(&reader, ID_LEN, &record->content.creation_request));
    TRY(read_bin(&reader, ID_LEN, &record->content.owner_id));
    return read_uint(&reader, &record->removed_ms);
}

static status_code split_record(struct slice value, uint64_t *format, struct slice *content, struct slice *material)
{
    size_t skipped = value.len < GENERATION_LEN ? value.len : GENERATION_LEN;
    struct reader reader = reader_of(slice_of(value.data + skipped, value.len - skipped));
    uint32_t n;
    TRY(read_array(&reader, &n));
    CHECK(n == 3, STATUS_STORE_DAMAGED, "a record has %u parts", n);
    TRY(read_uint(&reader, format));
    TRY(read_bin(&reader, RECORD_MAX, content));
    TRY(read_bin(&reader, RECORD_MAX, material));
    uint32_t generation = generation_of(value);
    CHECK(generation_of(*content) == generation && (!material->len || generation_of(*material) == generation),
          STATUS_STORE_DAMAGED, "the parts of a record are of different generations");
    return STATUS_OK;
}

status_code object_record_open(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version, struct slice value,
                               struct bytes *plaintext, struct object_record *record)
{
    CLEANUP(bytes_release) struct bytes context = BYTES_INIT;
    struct slice sealed;
    uint64_t format;

    *record = (struct object_record){.removed = false};
    if (split_record(value, &format, &sealed, &record->sealed_material) != STATUS_OK ||
        (format != FORMAT_OBJECT && format != FORMAT_REMOVED))
        return damaged(id, STATUS_STORE_DAMAGED);
    put_context(&context, id, version);
    TRY(bytes_ok(&context));
    bytes_clear(plaintext);
    status_code code = unseal(objects->node->keyring, SEAL_RECORD, bytes_slice(&context), sealed, plaintext);
    if (code != STATUS_OK)
        return damaged(id, code);

    record->encoded = bytes_slice(plaintext);
    record->removed = format == FORMAT_REMOVED;
    code = record->removed ? read_removed(record->encoded, record) : content_decode(record->encoded, &record->content);
    return code == STATUS_OK ? STATUS_OK : damaged(id, STATUS_STORE_DAMAGED);
}

status_code object_record_open_material(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                                        struct slice encoded_content, struct slice sealed, struct bytes *material)
{
    CLEANUP(bytes_release) struct bytes context = BYTES_INIT;

    put_context(&context, id, version);
    bytes_append(&context, encoded_content.data, encoded_content.len);
    TRY(bytes_ok(&context));
    status_code code = unseal(objects->node->keyring, SEAL_KEY_MATERIAL, bytes_slice(&context), sealed, material);
    return code == STATUS_OK ? STATUS_OK : damaged(id, code);
}

status_code object_record_read(struct objects *objects, const uint8_t id[ID_LEN], struct bytes *value,
                               struct bytes *plaintext, struct object_record *record, uint64_t *version)
{
    struct store *store = objects->node->store;
    bytes_clear(value);
    status_code code = store->operations->read(store, STORE_OBJECT, id, value, version);
    CHECK(code != STATUS_OBJECT_NOT_FOUND, STATUS_OBJECT_NOT_FOUND, "there is no object with this id");
    TRY(code);
    return object_record_open(objects, id, *version, bytes_slice(value), plaintext, record);
}

status_code object_record_read_newest(struct objects *objects, const uint8_t id[ID_LEN], struct bytes *value,
                                      struct bytes *plaintext, struct object_record *record, uint64_t *version)
{
    status_code code = object_record_read(objects, id, value, plaintext, record, version);

    if (code != STATUS_OBJECT_NOT_FOUND)
        return code;
    TRY(node_catch_up_with_all(objects->node));
    return object_record_read(objects, id, value, plaintext, record, version);
}

/* Blobs. */

static void put_blob_context(uint8_t context[1 + 2 * ID_LEN], const uint8_t session_id[ID_LEN],
                             const uint8_t id[ID_LEN])
{
    context[0] = BLOB_FORMAT;
    memcpy(context + 1, session_id, ID_LEN);
    memcpy(context + 1 + ID_LEN, id, ID_LEN);
}

status_code blob_seal(struct objects *objects, const uint8_t session_id[ID_LEN], const uint8_t id[ID_LEN],
                      const struct content *content, struct slice material, struct bytes *blob)
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT, plaintext = BYTES_SECRET;
    uint8_t context[1 + 2 * ID_LEN];

    content_encode(content, &encoded);
    TRY(bytes_ok(&encoded));
    write_array(&plaintext, 2);
    write_bin(&plaintext, bytes_slice(&encoded));
    write_bin(&plaintext, material);
    TRY(bytes_ok(&plaintext));
    CHECK(plaintext.len + SEAL_OVERHEAD <= BLOB_MAX, STATUS_TOO_LARGE,
          "a session object of %zu bytes; the limit is %u: make it a token object", plaintext.len,
          BLOB_MAX - SEAL_OVERHEAD);
    put_blob_context(context, session_id, id);
    return seal(objects->node->keyring, SEAL_NEWEST, SEAL_SESSION_OBJECT, slice_of(context, sizeof context),
                bytes_slice(&plaintext), blob);
}

status_code blob_open(struct objects *objects, const uint8_t session_id[ID_LEN], const uint8_t id[ID_LEN],
                      struct slice blob, struct bytes *plaintext, struct slice *encoded_content, struct slice *material)
{
    uint8_t context[1 + 2 * ID_LEN];
    uint32_t n;

    put_blob_context(context, session_id, id);
    status_code code =
        unseal(objects->node->keyring, SEAL_SESSION_OBJECT, slice_of(context, sizeof context), blob, plaintext);
    CHECK(code != STATUS_STORE_DAMAGED, STATUS_OBJECT_NOT_FOUND,
          "BLOB is not this session's object with this id, or is damaged");
    TRY(code);
    struct reader reader = reader_of(bytes_slice(plaintext));
    TRY(read_array(&reader, &n));
    TRY(read_bin(&reader, BLOB_MAX, encoded_content));
    return read_bin(&reader, BLOB_MAX, material);
}
