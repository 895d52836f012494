/* See libhsm_api_fake_core.h. Answers are encoded and decoded as they would be on their way. */
#include "libhsm_api_fake_core.h"

#include <stdio.h>
#include "config.h"

struct core {
    uint64_t revision;
};

fake_node fake_answer;
atomic_int fake_calls;

status_code core_open(const struct hsm_config *config, const char *endpoint, struct core **core)
{
    (void)config, (void)endpoint;
    *core = (struct core *)calloc(1, sizeof(**core));
    return *core ? STATUS_OK : STATUS_OUT_OF_MEMORY;
}

void core_close(struct core *core)
{
    free(core);
}

uint64_t core_revision(struct core *core)
{
    return core->revision;
}

void core_observe(struct core *core, uint64_t revision)
{
    if (revision > core->revision)
        core->revision = revision;
}

status_code core_call(struct core *core, struct core_request *request)
{
    struct values answer;

    (void)core;
    atomic_fetch_add(&fake_calls, 1);
    values_init(&answer);
    snprintf(request->node_name, sizeof(request->node_name), "fake node");
    request->status = fake_answer(request, &answer);
    snprintf(request->detail, sizeof(request->detail), "%s", request->status ? failure_detail() : "");
    if (request->status != STATUS_OK)
        return request->status;
    values_encode(&FIELD_SCHEMA, &answer, &request->reply);
    return request->status = values_decode_all(&FIELD_SCHEMA, bytes_slice(&request->reply), &request->answer);
}

status_code core_queue_open(struct core *core, struct core_queue **queue)
{
    (void)core, (void)queue;
    return STATUS_UNAVAILABLE;
}

void core_queue_close(struct core_queue *queue)
{
    (void)queue;
}

int core_queue_fd(struct core_queue *queue)
{
    (void)queue;
    return -1;
}

size_t core_queue_outstanding(struct core_queue *queue)
{
    (void)queue;
    return 0;
}

status_code core_submit(struct core_queue *queue, const struct core_request *request, void *user_data)
{
    (void)queue, (void)request, (void)user_data;
    return STATUS_UNAVAILABLE;
}

status_code core_queue_flush(struct core_queue *queue)
{
    (void)queue;
    return STATUS_OK;
}

status_code core_queue_next(struct core_queue *queue, int32_t timeout_ms, struct core_result **result)
{
    (void)queue, (void)timeout_ms, (void)result;
    return STATUS_OPERATION_NOT_ACTIVE;
}

void core_result_free(struct core_result *result)
{
    (void)result;
}

void core_statistics(struct core *core, struct core_statistics *statistics)
{
    (void)core;
    memset(statistics, 0, sizeof(*statistics));
}

bool fake_login(const struct core_request *request, struct values *answer)
{
    if (request->operation != OP_LOGIN)
        return false;
    values_put_bytes(answer, FIELD_TICKET, slice_text("ticket"));
    values_put_uint(answer, FIELD_USER_ROLE, HSM_ROLE_USER);
    return true;
}

static status_code only_login(const struct core_request *request, struct values *answer)
{
    return fake_login(request, answer) ? STATUS_OK : STATUS_INTERNAL;
}

void fake_open(hsm_cluster **cluster, hsm_session **session)
{
    hsm_config *config = NULL;

    fake_answer = only_login;
    assert_int_equal(hsm_config_new(&config), HSM_OK);
    assert_int_equal(hsm_config_set(config, "user", "tester"), HSM_OK);
    assert_int_equal(hsm_config_set(config, "password", "password"), HSM_OK);
    assert_int_equal(hsm_cluster_open(config, cluster), HSM_OK);
    hsm_config_free(config);
    assert_int_equal(hsm_session_open(*cluster, session), HSM_OK);
    assert_int_equal(hsm_login_default(*session), HSM_OK);
    atomic_store(&fake_calls, 0);
}

void fake_close(hsm_cluster *cluster, hsm_session *session)
{
    hsm_session_close(session);
    hsm_cluster_close(cluster);
}
