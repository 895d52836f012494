/* The life of a cluster and of its nodes (hsm/admin.h): each function is one operation of the protocol. */
#include "hsm/admin.h"
#include "hsm/backup.h"

#include <stdio.h>
#include "api_call.h"

#define MIGRATE_TIMEOUT_MS 3600000u

static status_code cluster_create(hsm_cluster *node, const char *name, hsm_buffer *csr)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, node, OP_CLUSTER_CREATE));
    ARGUMENT(csr, "no place for the signing request");
    TRY(call_put_text(&call, FIELD_NAME, name, "cluster name"));
    TRY(call_run(&call));
    return call_give_buffer(&call, FIELD_CSR, csr);
}

hsm_status hsm_cluster_create(hsm_cluster *node, const char *name, hsm_buffer *csr)
{
    return API(cluster_create(node, name, csr));
}

static status_code put_certificates(struct call *call, const char *certificate_pem, const char *ca_certificate_pem)
{
    TRY(call_put_text(call, FIELD_CERTIFICATE, certificate_pem, "certificate"));
    return call_put_text(call, FIELD_CA_CERTIFICATE, ca_certificate_pem, "CA certificate");
}

static status_code cluster_initialize(hsm_cluster *node, const char *certificate_pem, const char *ca_certificate_pem)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, node, OP_CLUSTER_INITIALIZE));
    TRY(put_certificates(&call, certificate_pem, ca_certificate_pem));
    return call_run(&call);
}

hsm_status hsm_cluster_initialize(hsm_cluster *node, const char *certificate_pem, const char *ca_certificate_pem)
{
    return API(cluster_initialize(node, certificate_pem, ca_certificate_pem));
}

static status_code cluster_activate(hsm_cluster *cluster, const char *user, const void *password, size_t password_len,
                                    const uint8_t *recovery_key)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, cluster, OP_CLUSTER_ACTIVATE));
    TRY(call_put_text(&call, FIELD_USER_NAME, user, "user name"));
    TRY(call_put_bytes(&call, FIELD_PASSWORD, password, password_len, "password"));
    if (recovery_key)
        TRY(call_put_bytes(&call, FIELD_DATA, recovery_key, HSM_RECOVERY_KEY_LEN, "recovery key"));
    return call_run(&call);
}

hsm_status hsm_cluster_activate(hsm_cluster *cluster, const char *user, const void *password, size_t password_len)
{
    return API(cluster_activate(cluster, user, password, password_len, NULL));
}

hsm_status hsm_cluster_activate_with_recovery(hsm_cluster *cluster, const char *user, const void *password,
                                              size_t password_len, const uint8_t *recovery_key)
{
    return API(cluster_activate(cluster, user, password, password_len, recovery_key));
}

static status_code cluster_migrate_store(hsm_cluster *node, const char *target, uint64_t *n_records)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, node, OP_CLUSTER_MIGRATE_STORE));
    TRY(call_put_text(&call, FIELD_ADDRESS, target, "target"));
    call.request.timeout_ms = MIGRATE_TIMEOUT_MS;
    TRY(call_run(&call));
    if (n_records)
        *n_records = values_uint(&call.request.answer, FIELD_COUNT, 0);
    return STATUS_OK;
}

hsm_status hsm_cluster_migrate_store(hsm_cluster *node, const char *target, uint64_t *n_records)
{
    return API(cluster_migrate_store(node, target, n_records));
}

static status_code cluster_rotate_key(hsm_session *session, uint32_t grace_s, uint32_t *generation)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_CLUSTER_ROTATE_KEY));
    TRY(call_put_request_id(&call));
    values_put_uint(&call.fields, FIELD_COUNT, grace_s);
    TRY(call_run(&call));
    if (generation)
        *generation = (uint32_t)values_uint(&call.request.answer, FIELD_VERSION, 0);
    return STATUS_OK;
}

hsm_status hsm_cluster_rotate_key(hsm_session *session, uint32_t grace_s, uint32_t *generation)
{
    return API(cluster_rotate_key(session, grace_s, generation));
}

static status_code cluster_give_up_damaged(hsm_session *session, uint64_t n)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_CLUSTER_GIVE_UP_DAMAGED));
    values_put_uint(&call.fields, FIELD_COUNT, n);
    return call_run(&call);
}

hsm_status hsm_cluster_give_up_damaged(hsm_session *session, uint64_t n)
{
    return API(cluster_give_up_damaged(session, n));
}

/* Of the answer's NUMBERS. */
static void take_damaged(struct slice numbers, hsm_masking_key_info *info)
{
    struct reader reader;
    uint32_t n;

    if (uints_begin(numbers, &reader, &n) != STATUS_OK || n < 2 || read_uint(&reader, &info->n_damaged) != STATUS_OK ||
        read_uint(&reader, &info->n_given_up) != STATUS_OK)
        info->n_damaged = info->n_given_up = 0;
}

static status_code cluster_masking_key(hsm_cluster *cluster, hsm_masking_key_info *info)
{
    hsm_masking_key_info told = {.size = sizeof(told)};
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, cluster, OP_CLUSTER_MASKING_KEY));
    ARGUMENT(info && info->size >= sizeof(told), "no place for the masking key's description, or its size is not set");
    TRY(call_run(&call));
    const struct values *answer = &call.request.answer;
    struct slice phase = values_bytes(answer, FIELD_STATE_NAME), worker = values_bytes(answer, FIELD_NODE_ID);

    snprintf(told.phase, sizeof(told.phase), "%.*s", (int)phase.len, (const char *)phase.data);
    if (worker.len == HSM_ID_LEN)
        memcpy(told.worker_id, worker.data, HSM_ID_LEN);
    told.generation = (uint32_t)values_uint(answer, FIELD_VERSION, 0);
    told.n_done = values_uint(answer, FIELD_COUNT, 0);
    told.n_total = values_uint(answer, FIELD_SEQUENCE, 0);
    told.retire_ms = values_uint(answer, FIELD_TIME_MS, 0);
    take_damaged(values_bytes(answer, FIELD_NUMBERS), &told);
    *info = told;
    return STATUS_OK;
}

hsm_status hsm_cluster_masking_key(hsm_cluster *cluster, hsm_masking_key_info *info)
{
    return API(cluster_masking_key(cluster, info));
}

static status_code node_csr(hsm_cluster *node, hsm_buffer *csr, hsm_buffer *state)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, node, OP_NODE_CSR));
    ARGUMENT(csr, "no place for the signing request");
    TRY(call_run(&call));
    TRY(call_give_buffer(&call, FIELD_CSR, csr));
    if (!state)
        return STATUS_OK;
    status_code status = call_give_buffer(&call, FIELD_STATE_NAME, state);
    if (status != STATUS_OK)
        hsm_buffer_free(csr);
    return status;
}

hsm_status hsm_node_csr(hsm_cluster *node, hsm_buffer *csr, hsm_buffer *state)
{
    return API(node_csr(node, csr, state));
}

static status_code node_approve(hsm_session *session, const char *certificate_pem, hsm_buffer *handover)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_NODE_APPROVE));
    ARGUMENT(handover, "no place for the handover");
    TRY(call_put_text(&call, FIELD_CERTIFICATE, certificate_pem, "certificate"));
    TRY(call_run(&call));
    return call_give_buffer(&call, FIELD_HANDOVER, handover);
}

hsm_status hsm_node_approve(hsm_session *session, const char *certificate_pem, hsm_buffer *handover)
{
    return API(node_approve(session, certificate_pem, handover));
}

static status_code node_admit(hsm_cluster *node, const char *certificate_pem, const char *ca_certificate_pem,
                              const uint8_t *handover, size_t handover_len)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, node, OP_NODE_ADMIT));
    TRY(put_certificates(&call, certificate_pem, ca_certificate_pem));
    TRY(call_put_bytes(&call, FIELD_HANDOVER, handover, handover_len, "handover"));
    return call_run(&call);
}

hsm_status hsm_node_admit(hsm_cluster *node, const char *certificate_pem, const char *ca_certificate_pem,
                          const uint8_t *handover, size_t handover_len)
{
    return API(node_admit(node, certificate_pem, ca_certificate_pem, handover, handover_len));
}

static status_code node_renew(hsm_cluster *node, const char *certificate_pem)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, node, OP_NODE_RENEW));
    TRY(call_put_text(&call, FIELD_CERTIFICATE, certificate_pem, "certificate"));
    return call_run(&call);
}

hsm_status hsm_node_renew(hsm_cluster *node, const char *certificate_pem)
{
    return API(node_renew(node, certificate_pem));
}

static status_code node_drain(hsm_cluster *node, int drain)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, node, OP_NODE_DRAIN));
    if (!drain)
        values_put_uint(&call.fields, FIELD_FLAGS, 1);
    return call_run(&call);
}

hsm_status hsm_node_drain(hsm_cluster *node, int drain)
{
    return API(node_drain(node, drain));
}

static status_code node_remove(hsm_session *session, const uint8_t *node_id)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_NODE_REMOVE));
    ARGUMENT(node_id, "no node id");
    values_put_bytes(&call.fields, FIELD_NODE_ID, slice_of(node_id, ID_LEN));
    return call_run(&call);
}

hsm_status hsm_node_remove(hsm_session *session, const uint8_t *node_id)
{
    return API(node_remove(session, node_id));
}
