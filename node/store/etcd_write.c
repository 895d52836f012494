/* See etcd_write.h.
 *
 * An attempt whose answer got lost is repeated. When the repetition is refused, what stands in etcd tells whether the
 * first attempt had been carried out: sealed values are never the same twice, so a record that equals ours is ours. */
#include "store/etcd_write.h"

#define WRITE_TIMEOUT_MS 4000u /* longer than an election, shorter than clients wait */
#define AWAY_TIMEOUT_MS  300u  /* when etcd is known to be away */

/* --- the request --- */

static json_t *compare(json_t *key, const char *target, const char *field, json_t *value)
{
    return json_pack("{s:o, s:s, s:s, s:o}", "key", key, "target", target, "result", "EQUAL", field, value);
}

static json_t *put(json_t *key, json_t *value)
{
    return json_pack("{s:{s:o, s:o}}", "request_put", "key", key, "value", value);
}

static json_t *get(json_t *key)
{
    return json_pack("{s:{s:o}}", "request_range", "key", key);
}

static json_t *cluster_key(const struct etcd_write *write)
{
    return etcd_key(write->settings, "/cluster");
}

static json_t *compares(const struct etcd_write *write)
{
    json_t *list = json_array();

    if (write->founded)
        json_array_append_new(
            list, compare(cluster_key(write), "VALUE", "value", etcd_base64(slice_text(write->cluster->text))));
    else
        json_array_append_new(list, compare(cluster_key(write), "MOD", "mod_revision", etcd_decimal(0)));
    for (size_t i = 0; i < write->n; i++)
        json_array_append_new(list,
                              compare(etcd_record_key(write->settings, write->writes[i].kind, write->writes[i].id),
                                      "MOD", "mod_revision", etcd_decimal(write->revisions[i])));
    return list;
}

static status_code changes(const struct etcd_write *write, json_t *list)
{
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;

    json_array_append_new(list, put(etcd_key(write->settings, "/head"), json_string("")));
    if (!write->founded)
        json_array_append_new(list, put(cluster_key(write), etcd_base64(slice_text(write->cluster->text))));
    for (size_t i = 0; i < write->n; i++) {
        json_t *key = etcd_record_key(write->settings, write->writes[i].kind, write->writes[i].id);

        if (write->writes[i].remove) {
            json_array_append_new(list, json_pack("{s:{s:o}}", "request_delete_range", "key", key));
            continue;
        }
        TRY(etcd_record_value(&write->writes[i], &value));
        json_array_append_new(list, put(key, etcd_base64(bytes_slice(&value))));
    }
    return STATUS_OK;
}

/* What is read when a comparison fails: the cluster, the head, the records. */
static json_t *reads(const struct etcd_write *write)
{
    json_t *list = json_array();

    json_array_append_new(list, get(cluster_key(write)));
    json_array_append_new(list, get(etcd_key(write->settings, "/head")));
    for (size_t i = 0; i < write->n; i++)
        json_array_append_new(list, get(etcd_record_key(write->settings, write->writes[i].kind, write->writes[i].id)));
    return list;
}

/* --- the answer --- */

static const json_t *pair_read(const json_t *answer, size_t i)
{
    const json_t *response = json_array_get(json_object_get(answer, "responses"), i);

    return json_array_get(json_object_get(json_object_get(response, "response_range"), "kvs"), 0);
}

/* Whether what stands in etcd is what this write would have put there. */
static status_code is_done(const struct etcd_write *write, const json_t *answer, bool *done)
{
    CLEANUP(bytes_release) struct bytes ours = BYTES_INIT;
    CLEANUP(bytes_release) struct bytes theirs = BYTES_INIT;

    *done = true;
    for (size_t i = 0; i < write->n && *done; i++) {
        const json_t *pair = pair_read(answer, 2 + i);

        if (write->writes[i].remove) {
            *done = !pair;
            continue;
        }
        TRY(etcd_record_value(&write->writes[i], &ours));
        TRY(etcd_bytes(pair, "value", &theirs));
        *done = slice_equal(bytes_slice(&ours), bytes_slice(&theirs));
    }
    return STATUS_OK;
}

static status_code check_fence(const struct etcd_write *write, const json_t *answer)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;

    TRY(etcd_bytes(pair_read(answer, 0), "value", &text));
    if (!write->founded) {
        CHECK(text.len == 0, STATUS_ALREADY_EXISTS, "etcd holds a cluster under this prefix: \"%.*s\"",
              (int)(text.len < ETCD_CLUSTER_MAX ? text.len : ETCD_CLUSTER_MAX), (const char *)text.data);
        return STATUS_OK;
    }
    CHECK(slice_equal(bytes_slice(&text), slice_text(write->cluster->text)), STATUS_CLUSTER_STATE,
          "etcd no longer holds this cluster: \"%.*s\": correct the setting store of this node",
          (int)(text.len < ETCD_CLUSTER_MAX ? text.len : ETCD_CLUSTER_MAX), (const char *)text.data);
    return STATUS_OK;
}

static status_code refusal(const struct etcd_write *write, const json_t *answer)
{
    for (size_t i = 0; i < write->n; i++) {
        bool exists = pair_read(answer, 2 + i) != NULL;

        CHECK(write->writes[i].expected_version != 0 || !exists, STATUS_ALREADY_EXISTS, "the record exists");
    }
    FAIL(STATUS_CONFLICT, "the record was changed by another node");
}

static status_code understand(const struct etcd_write *write, const json_t *answer, bool uncertain, uint64_t *revision)
{
    bool done = false;

    *revision = etcd_number(json_object_get(answer, "header"), "revision");
    if (json_is_true(json_object_get(answer, "succeeded")))
        return STATUS_OK;
    *revision = etcd_number(pair_read(answer, 1), "mod_revision");
    if (uncertain)
        TRY(is_done(write, answer, &done));
    if (done)
        return STATUS_OK;
    TRY(check_fence(write, answer));
    return refusal(write, answer);
}

status_code etcd_transact(const struct etcd_write *write, uint64_t *revision)
{
    json_t *success = json_array(), *answer = NULL;
    bool uncertain = false;
    status_code status = changes(write, success);
    json_t *compared = compares(write);
    /* What there was no memory for is missing from the list: such a write must not be sent. */
    bool whole =
        json_array_size(compared) == write->n + 1 && json_array_size(success) == write->n + (write->founded ? 1u : 2u);
    json_t *request = json_pack("{s:o, s:o, s:o}", "compare", compared, "success", success, "failure", reads(write));

    *revision = 0;
    if (status == STATUS_OK && !whole)
        status = failure_set(STATUS_OUT_OF_MEMORY, "no memory for a write to etcd");
    if (status == STATUS_OK)
        status = etcd_call(write->client, "/v3/kv/txn", request, write->away ? AWAY_TIMEOUT_MS : WRITE_TIMEOUT_MS,
                           &answer, &uncertain);
    if (status == STATUS_OK)
        status = understand(write, answer, uncertain, revision);
    json_decref(request);
    json_decref(answer);
    return status;
}
