/* See etcd_scan.h. */
#include "store/etcd_scan.h"

#define PAGE_RECORDS    500u /* halved when their values are too large for one answer */
#define PAGE_TIMEOUT_MS 30000u

struct scan {
    struct etcd_client *client;
    const struct etcd_settings *settings;
    record_visitor visit;
    void *context;
    struct bytes key, value; /* of the record at hand */
    uint64_t at;
    uint64_t page;
};

static void scan_release(struct scan *scan)
{
    bytes_release(&scan->key);
    bytes_release(&scan->value);
}

static json_t *range_request(json_t *key, uint64_t at)
{
    return json_pack("{s:o, s:o}", "key", key, "revision", etcd_decimal(at));
}

static status_code visit_pairs(struct scan *scan, const json_t *pairs)
{
    const json_t *pair;
    size_t i;

    json_array_foreach(pairs, i, pair)
    {
        struct store_write record;
        uint64_t revision;

        TRY(etcd_record_parse(scan->settings, pair, &scan->key, &scan->value, &record, &revision));
        TRY(scan->visit(scan->context, &record, revision));
    }
    return STATUS_OK;
}

/* The next page begins at the last key with the NUL that parsing added: the smallest one behind it. */
static status_code read_page(struct scan *scan, bool *more)
{
    json_t *answer = NULL;
    json_t *request = range_request(
        scan->key.len ? etcd_base64(bytes_slice(&scan->key)) : etcd_key(scan->settings, "/records/"), scan->at);

    json_object_set_new(request, "range_end", etcd_key(scan->settings, "/records0"));
    json_object_set_new(request, "limit", etcd_decimal(scan->page));
    status_code status = etcd_call(scan->client, "/v3/kv/range", request, PAGE_TIMEOUT_MS, &answer, NULL);

    if (status == STATUS_TOO_LARGE && scan->page > 1) {
        scan->page /= 2;
        status = STATUS_OK;
    } else if (status == STATUS_OK) {
        if (scan->at == 0)
            scan->at = etcd_number(json_object_get(answer, "header"), "revision");
        *more = json_is_true(json_object_get(answer, "more"));
        status = visit_pairs(scan, json_object_get(answer, "kvs"));
    }
    json_decref(request);
    json_decref(answer);
    return status;
}

status_code etcd_scan(struct etcd_client *client, const struct etcd_settings *settings, uint64_t *at,
                      record_visitor visit, void *context)
{
    CLEANUP(scan_release)
    struct scan scan = {
        .client = client, .settings = settings, .visit = visit, .context = context, .at = *at, .page = PAGE_RECORDS};
    bool more = true;

    while (more)
        TRY(read_page(&scan, &more));
    *at = scan.at;
    return STATUS_OK;
}

status_code etcd_get(struct etcd_client *client, const struct etcd_settings *settings, const char *name, uint64_t at,
                     unsigned timeout_ms, struct bytes *value, uint64_t *revision)
{
    json_t *request = range_request(etcd_key(settings, name), at), *answer = NULL;
    status_code status = etcd_call(client, "/v3/kv/range", request, timeout_ms, &answer, NULL);

    if (status == STATUS_OK) {
        const json_t *pair = json_array_get(json_object_get(answer, "kvs"), 0);

        *revision = etcd_number(pair, "mod_revision");
        status = value ? etcd_bytes(pair, "value", value) : STATUS_OK;
    }
    json_decref(request);
    json_decref(answer);
    return status;
}
