/* See etcd_record.h. */
#include "store/etcd_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FORMAT     1u
#define HEADER_LEN 10u
#define RECORDS    "/records/"

static const char kinds[] = "0123456789abcdefghijklmnopqrstuvwxyz";

void etcd_cluster_make(const uint8_t cluster_id[ID_LEN], uint64_t offset, uint64_t floor, struct etcd_cluster *cluster)
{
    char id[2 * ID_LEN + 1];

    hex_encode(slice_of(cluster_id, ID_LEN), id);
    cluster->offset = offset;
    cluster->floor = floor;
    snprintf(cluster->text, sizeof(cluster->text), "%s %" PRIu64 " %" PRIu64, id, offset, floor);
}

status_code etcd_cluster_parse(struct slice text, const uint8_t cluster_id[ID_LEN], struct etcd_cluster *cluster)
{
    char id[2 * ID_LEN + 1];
    size_t moving = strlen(ETCD_MOVING);

    if (text.len > moving && memcmp(text.data, ETCD_MOVING, moving) == 0)
        text = slice_of(text.data + moving, text.len - moving);
    hex_encode(slice_of(cluster_id, ID_LEN), id);
    CHECK(text.len > 2 * ID_LEN + 1 && text.len < ETCD_CLUSTER_MAX && memcmp(text.data, id, 2 * ID_LEN) == 0 &&
              text.data[2 * ID_LEN] == ' ',
          STATUS_STORE_FOREIGN,
          "etcd holds \"%.*s\" under this prefix, but this node belongs to cluster %s: correct "
          "etcd-prefix or store",
          (int)(text.len < ETCD_CLUSTER_MAX ? text.len : ETCD_CLUSTER_MAX), (const char *)text.data, id);
    memcpy(cluster->text, text.data, text.len);
    cluster->text[text.len] = 0;
    char *end;

    cluster->offset = strtoull(cluster->text + 2 * ID_LEN + 1, &end, 10);
    cluster->floor = strtoull(end, NULL, 10);
    return STATUS_OK;
}

json_t *etcd_key(const struct etcd_settings *settings, const char *name)
{
    char key[ETCD_KEY_MAX];

    snprintf(key, sizeof(key), "%s%s", settings->prefix, name);
    return etcd_base64(slice_text(key));
}

json_t *etcd_record_key(const struct etcd_settings *settings, enum store_kind kind, const uint8_t id[ID_LEN])
{
    char name[64], hex[2 * ID_LEN + 1];

    hex_encode(slice_of(id, ID_LEN), hex);
    snprintf(name, sizeof(name), RECORDS "%c/%s", kinds[kind], hex);
    return etcd_key(settings, name);
}

status_code etcd_record_value(const struct store_write *write, struct bytes *value)
{
    uint64_t version = write->expected_version + 1;
    uint8_t header[HEADER_LEN] = {FORMAT};

    CHECK(write->n_tokens <= UINT8_MAX, STATUS_TOO_LARGE, "%zu index tokens in one record", write->n_tokens);
    for (unsigned i = 0; i < 8; i++)
        header[1 + i] = (uint8_t)(version >> (56 - 8 * i));
    header[9] = (uint8_t)write->n_tokens;
    bytes_clear(value);
    bytes_append(value, header, sizeof(header));
    if (write->n_tokens)
        bytes_append(value, write->tokens, write->n_tokens * TOKEN_LEN);
    bytes_append(value, write->value.data, write->value.len);
    return bytes_ok(value);
}

/* PREFIX/records/KIND/ID */
static status_code parse_key(const struct etcd_settings *settings, struct bytes *key, struct store_write *write)
{
    size_t prefix = strlen(settings->prefix), records = sizeof(RECORDS) - 1;

    CHECK(bytes_append(key, "", 1), STATUS_OUT_OF_MEMORY, "no memory");
    const char *text = (const char *)key->data, *rest = text + prefix + records;
    const char *kind = key->len > prefix + records && rest[0] ? strchr(kinds + 1, rest[0]) : NULL;

    CHECK(key->len == prefix + records + 2 + 2 * ID_LEN + 1 && memcmp(text, settings->prefix, prefix) == 0 &&
              memcmp(text + prefix, RECORDS, records) == 0 && kind && rest[1] == '/' &&
              hex_decode(rest + 2, write->id, ID_LEN),
          STATUS_STORE_DAMAGED, "etcd's key %.120s is none of a record", text);
    write->kind = (enum store_kind)(kind - kinds);
    return STATUS_OK;
}

static status_code parse_value(const struct bytes *value, struct store_write *write)
{
    uint64_t version = 0;
    size_t tokens_len = value->len >= HEADER_LEN ? value->data[9] * (size_t)TOKEN_LEN : 0;

    CHECK(value->len >= HEADER_LEN + tokens_len && value->data[0] == FORMAT, STATUS_STORE_DAMAGED,
          "a record in etcd has a format that this version does not know");
    for (unsigned i = 0; i < 8; i++)
        version = version << 8 | value->data[1 + i];
    CHECK(version > 0, STATUS_STORE_DAMAGED, "a record in etcd has no version");
    write->expected_version = version - 1;
    write->tokens = (const struct index_token *)(value->data + HEADER_LEN);
    write->n_tokens = value->data[9];
    write->value = slice_of(value->data + HEADER_LEN + tokens_len, value->len - HEADER_LEN - tokens_len);
    return STATUS_OK;
}

status_code etcd_record_parse(const struct etcd_settings *settings, const json_t *pair, struct bytes *key,
                              struct bytes *value, struct store_write *write, uint64_t *revision)
{
    *write = (struct store_write){.remove = false};
    *revision = etcd_number(pair, "mod_revision");
    TRY(etcd_bytes(pair, "key", key));
    TRY(parse_key(settings, key, write));
    TRY(etcd_bytes(pair, "value", value));
    if (value->len == 0) { /* of a removal */
        write->remove = true;
        return STATUS_OK;
    }
    return parse_value(value, write);
}
