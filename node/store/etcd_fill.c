/* See etcd_fill.h. */
#include "store/etcd_fill.h"

#define TIMEOUT_MS  5000u
#define BATCH_KEYS  100u                /* etcd takes 128 operations in a transaction */
#define BATCH_BYTES ((size_t)512 << 10) /* and 1.5 MiB */

json_t *etcd_fill_key(const struct etcd_settings *settings, const char *name, const char *text)
{
    return json_pack("{s:{s:o, s:o}}", "request_put", "key", etcd_key(settings, name), "value",
                     etcd_base64(slice_text(text)));
}

status_code etcd_fill_transact(const struct etcd_fill *fill, json_t *changes)
{
    json_t *key = etcd_key(fill->settings, "/cluster"), *answer = NULL;
    json_t *condition = fill->expected ? json_pack("{s:o, s:s, s:s, s:o}", "key", key, "target", "VALUE", "result",
                                                   "EQUAL", "value", etcd_base64(slice_text(fill->expected)))
                                       : json_pack("{s:o, s:s, s:s, s:s}", "key", key, "target", "MOD", "result",
                                                   "EQUAL", "mod_revision", "0");
    json_t *request = json_pack("{s:[o], s:o}", "compare", condition, "success", changes);
    status_code status = etcd_call(fill->client, "/v3/kv/txn", request, TIMEOUT_MS, &answer, NULL);
    bool done = json_is_true(json_object_get(answer, "succeeded"));

    json_decref(request);
    json_decref(answer);
    TRY(status);
    CHECK(done, STATUS_CONFLICT, "somebody else changes %s/cluster in etcd", fill->settings->prefix);
    return STATUS_OK;
}

status_code etcd_fill_flush(struct etcd_fill *fill)
{
    json_t *changes = fill->changes;

    fill->changes = NULL;
    fill->bytes = 0;
    return changes ? etcd_fill_transact(fill, changes) : STATUS_OK;
}

status_code etcd_fill_add(void *context, const struct store_write *record, uint64_t revision)
{
    struct etcd_fill *fill = context;

    (void)revision;
    TRY(etcd_record_value(record, &fill->value));
    if (json_array_size(fill->changes) >= BATCH_KEYS || fill->bytes + fill->value.len > BATCH_BYTES)
        TRY(etcd_fill_flush(fill));
    if (!fill->changes)
        fill->changes = json_array();
    fill->bytes += fill->value.len;
    json_array_append_new(fill->changes, json_pack("{s:{s:o, s:o}}", "request_put", "key",
                                                   etcd_record_key(fill->settings, record->kind, record->id), "value",
                                                   etcd_base64(bytes_slice(&fill->value))));
    return STATUS_OK;
}

void etcd_fill_release(struct etcd_fill *fill)
{
    json_decref(fill->changes);
    bytes_release(&fill->value);
}

status_code etcd_fill_empty(struct etcd_client *client, const struct etcd_settings *settings)
{
    json_t *request =
        json_pack("{s:o, s:o}", "key", etcd_key(settings, "/records/"), "range_end", etcd_key(settings, "/records0"));
    json_t *answer = NULL;
    status_code status = etcd_call(client, "/v3/kv/deleterange", request, TIMEOUT_MS, &answer, NULL);

    json_decref(request);
    json_decref(answer);
    return status;
}
