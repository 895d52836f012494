/* The core as a whole: opening, TLS settings, forks, and the life of a synchronous call: attempts on one node after
 * another until an answer settles it or the deadline has passed. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core_internal.h"
#include "protocol/secret.h"

#define PEM_MAX        65536
#define PAUSE_FIRST_NS 5000000ull /* after all nodes failed: 5 ms, doubling */
#define PAUSE_MAX_NS   200000000ull
#define SLOW_ATTEMPTS  20u /* slow operations may take so many times longer than others before another node is asked */

/* --- opening --- */

static status_code read_pem(const char *path, const char *setting, char **text)
{
    FILE *file = path ? fopen(path, "re") : NULL;
    char *buffer = file ? calloc(1, PEM_MAX) : NULL;

    if (!path)
        return STATUS_OK;
    if (!buffer) {
        int error = errno;

        if (file)
            fclose(file);
        FAIL(STATUS_CONFIG_INVALID, "%s: %s: %s", setting, path, strerror(error));
    }
    size_t n = fread(buffer, 1, PEM_MAX - 1, file);

    fclose(file);
    *text = buffer;
    CHECK(n > 0 && n < PEM_MAX - 1, STATUS_CONFIG_INVALID, "%s: %s is empty or too large", setting, path);
    return STATUS_OK;
}

static status_code trust(SSL_CTX *tls, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate;
    unsigned n = 0;

    while (bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        n += X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), certificate) == 1;
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    CHECK(n > 0, STATUS_CONFIG_INVALID, "ca-file holds no certificate");
    return STATUS_OK;
}

static status_code identify(OSSL_LIB_CTX *library, SSL_CTX *tls, const char *certificate_pem, const char *key_pem)
{
    char reason[128];
    BIO *certificate_bio = BIO_new_mem_buf(certificate_pem, -1), *key_bio = BIO_new_mem_buf(key_pem, -1);
    X509 *certificate = certificate_bio ? PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey_ex(key_bio, NULL, NULL, NULL, library, NULL) : NULL;
    bool ok =
        certificate && key && SSL_CTX_use_certificate(tls, certificate) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1;

    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    CHECK(ok, STATUS_CONFIG_INVALID, "certificate-file and key-file: %s",
          failure_openssl_reason(reason, sizeof(reason)));
    return STATUS_OK;
}

static status_code make_tls(struct core *core)
{
    if (!core->ca_pem)
        return STATUS_OK; /* endpoints without TLS only: told when one with TLS is opened */
    CHECK(core->certificate_pem && core->key_pem, STATUS_CONFIG_INVALID,
          "with ca-file, certificate-file and key-file are needed too");
    core->tls = SSL_CTX_new_ex(core->library, NULL, TLS_client_method());
    CHECK(core->tls, STATUS_OUT_OF_MEMORY, "no TLS context");
    SSL_CTX_set_min_proto_version(core->tls, TLS1_3_VERSION);
    SSL_CTX_set_verify(core->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(core->tls, SSL_SESS_CACHE_OFF);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(core->tls), X509_V_FLAG_PARTIAL_CHAIN);
    TRY(trust(core->tls, core->ca_pem));
    return identify(core->library, core->tls, core->certificate_pem, core->key_pem);
}

/* A context of the core's own rather than the library's: a child of fork makes a new one and leaves the old alone. */
static status_code make_library(struct core *core)
{
    core->library = OSSL_LIB_CTX_new();
    core->provider = core->library ? OSSL_PROVIDER_load(core->library, "default") : NULL;
    CHECK(core->provider, STATUS_OUT_OF_MEMORY, "OpenSSL's default provider cannot be loaded");
    return STATUS_OK;
}

static status_code open_parts(struct core *core, const char *endpoint)
{
    struct node_entry *node;

    TRY(make_library(core));
    TRY(read_pem(core->config->ca_file, "ca-file", &core->ca_pem));
    TRY(read_pem(core->config->certificate_file, "certificate-file", &core->certificate_pem));
    TRY(read_pem(core->config->key_file, "key-file", &core->key_pem));
    TRY(make_tls(core));
    if (endpoint)
        return node_add(core, endpoint, true, &node);
    CHECK(core->config->n_nodes, STATUS_CONFIG_INVALID,
          "no node is configured: set nodes in the configuration file, or HSM_NODES");
    for (unsigned i = 0; i < core->config->n_nodes; i++)
        TRY(node_add(core, core->config->nodes[i], true, &node));
    return STATUS_OK;
}

status_code core_open(const struct hsm_config *config, const char *endpoint, struct core **core)
{
    struct core *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a cluster");
    pthread_mutex_init(&made->lock, NULL);
    made->pid = getpid();
    made->single = endpoint != NULL;
    status_code status = config_copy(config, &made->config);
    if (status == STATUS_OK)
        status = open_parts(made, endpoint);
    if (status != STATUS_OK) {
        core_close(made);
        return status;
    }
    *core = made;
    return STATUS_OK;
}

static void free_pem(char *pem)
{
    if (pem)
        secret_wipe(pem, strlen(pem));
    free(pem);
}

static void close_channels(struct core *core, bool forget)
{
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        for (unsigned j = 0; j < core->nodes[i]->n_channels; j++)
            channel_close(&core->nodes[i]->channels[j], forget);
    }
}

void core_close(struct core *core)
{
    if (!core)
        return;
    close_channels(core, core->pid != getpid());
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++)
        free(core->nodes[i]);
    SSL_CTX_free(core->tls);
    if (core->provider)
        OSSL_PROVIDER_unload(core->provider);
    OSSL_LIB_CTX_free(core->library);
    free_pem(core->ca_pem);
    free_pem(core->certificate_pem);
    free_pem(core->key_pem);
    config_free(core->config);
    pthread_mutex_destroy(&core->lock);
    free(core);
}

/* A child of fork has one thread, and locks in whatever state the others left them. It begins anew: own connections,
 * own OpenSSL context; what the parent's threads may have been using is let go of without being touched. */
static status_code after_fork(struct core *core)
{
    core->pid = getpid();
    pthread_mutex_init(&core->lock, NULL);
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        struct node_entry *node = core->nodes[i];

        for (unsigned j = 0; j < node->n_channels; j++) {
            channel_close(&node->channels[j], true);
            channel_init(&node->channels[j], node);
        }
        atomic_store(&node->connected, false);
        atomic_store(&node->connecting, false);
        atomic_store(&node->probing, false);
    }
    atomic_store(&core->refreshing, false);
    core->tls = NULL;
    TRY(make_library(core));
    return make_tls(core);
}

status_code core_check_fork(struct core *core)
{
    return core->pid == getpid() ? STATUS_OK : after_fork(core);
}

uint64_t core_revision(struct core *core)
{
    return atomic_load(&core->revision);
}

void core_observe(struct core *core, uint64_t revision)
{
    uint64_t seen = atomic_load_explicit(&core->revision, memory_order_relaxed);

    while (seen < revision && !atomic_compare_exchange_weak(&core->revision, &seen, revision))
        continue;
}

/* --- one operation --- */

status_code op_init(struct core *core, const struct core_request *request, struct op *op)
{
    const struct operation_info *info = operation_info(request->operation);
    struct slice data = values_bytes(request->fields, FIELD_DATA);
    uint32_t timeout = request->timeout_ms ? request->timeout_ms : core->config->timeout_ms;

    memset(op, 0, sizeof(*op));
    CHECK(info, STATUS_INVALID_ARGUMENT, "there is no operation %d", request->operation);
    op->operation = request->operation;
    op->encoded = op->reply = (struct bytes)BYTES_SECRET;
    op->encoded.limit = op->reply.limit = MESSAGE_MAX;
    op->slow = info->cost == COST_SLOW;
    op->alone = op->slow || data.len >= ALONE_BYTES;
    op->cost_key = request->key_id ? cost_key_of(request->operation, request->key_id) : 0;
    op->cost_us = cost_estimate(core, op, request->fields);
    op->deadline_ns = platform_now_ns() + timeout * 1000000ull;
    op->only_node = -1;
    if (request->node) {
        op->only_node = node_find(core, request->node);
        CHECK(op->only_node >= 0, STATUS_INVALID_ARGUMENT, "the cluster has no node %s", request->node);
    }
    message_append_request(&op->encoded, request->operation, request->fields);
    status_code status = bytes_ok(&op->encoded);
    if (status != STATUS_OK) {
        op_release(op);
        return status;
    }
    op->login = login_reference(request->login);
    return STATUS_OK;
}

void op_release(struct op *op)
{
    login_release(op->login);
    op->login = NULL;
    bytes_release(&op->encoded);
    bytes_release(&op->reply);
}

/* How long one node is given: long enough for what it usually takes, and to the end when there is nobody else to ask.
 */
static uint64_t attempt_end(struct core *core, const struct op *op, const struct node_entry *node)
{
    uint64_t attempt = core->config->attempt_timeout_ms * 1000000ull;
    uint64_t usual = 4000 * atomic_load_explicit(&node->latency_us, memory_order_relaxed);
    uint64_t end;

    if (op->only_node >= 0 || atomic_load_explicit(&core->n_nodes, memory_order_relaxed) == 1 ||
        !node_has_alternative(core, node))
        return op->deadline_ns;
    if (op->slow)
        attempt *= SLOW_ATTEMPTS;
    end = platform_now_ns() + (usual > attempt ? usual : attempt);
    return end < op->deadline_ns ? end : op->deadline_ns;
}

static void record_reached(struct op *op)
{
    op->tried |= 1ull << op->node->index;
}

static bool all_tried(struct core *core, const struct op *op)
{
    if (op->only_node >= 0)
        return true;
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        if (!(op->tried >> i & 1) && !atomic_load(&core->nodes[i]->gone))
            return false;
    }
    return true;
}

bool op_try_again(struct core *core, struct op *op, uint64_t *not_before_ns)
{
    uint64_t now = platform_now_ns();
    bool settled = op->state == OP_ANSWERED && status_scope(op->status) != STATUS_SCOPE_NODE;

    *not_before_ns = now;
    if (settled || now >= op->deadline_ns || op->status == STATUS_CONFIG_INVALID)
        return false;
    if (op->node)
        record_reached(op);
    if (all_tried(core, op)) {
        uint64_t pause = op->rounds < 6 ? PAUSE_FIRST_NS << op->rounds : PAUSE_MAX_NS;

        /* Every node said no, or refused our certificate: that will not change by asking again and again. */
        if (op->status == STATUS_TLS_ERROR || (op->state == OP_ANSWERED && op->rounds >= 3))
            return false;
        op->tried = 0;
        op->rounds++;
        *not_before_ns = now + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
        if (*not_before_ns >= op->deadline_ns)
            return false;
    }
    atomic_fetch_add_explicit(&core->n_retries, 1, memory_order_relaxed);
    op->state = OP_IDLE;
    return true;
}

void op_conclude(struct core *core, struct op *op)
{
    struct values fields;

    atomic_fetch_add_explicit(&core->n_requests, 1, memory_order_relaxed);
    if (op->state == OP_ANSWERED && op->status == STATUS_OK)
        return;
    if (op->state == OP_ANSWERED) {
        op->detail[0] = 0;
        if (values_decode_all(&FIELD_SCHEMA, bytes_slice(&op->reply), &fields) == STATUS_OK) {
            struct slice detail = values_bytes(&fields, FIELD_DETAIL);

            snprintf(op->detail, sizeof(op->detail), "%.*s", (int)detail.len, (const char *)detail.data);
        }
        return;
    }
    atomic_fetch_add_explicit(&core->n_failures, 1, memory_order_relaxed);
    if (op->status == STATUS_OK || status_scope(op->status) == STATUS_SCOPE_NODE)
        op->status = STATUS_UNAVAILABLE;
}

status_code op_take_answer(struct op *op, struct bytes *reply, struct values *answer)
{
    bytes_release(reply);
    *reply = op->reply;
    op->reply = (struct bytes)BYTES_SECRET;
    return values_decode_all(&FIELD_SCHEMA, bytes_slice(reply), answer);
}

/* --- calls --- */

static void sleep_until(uint64_t until_ns)
{
    platform_event never = 0;

    platform_event_wait(&never, until_ns);
}

static void run(struct core *core, struct op *op)
{
    uint64_t not_before;

    do {
        struct node_entry *node = node_choose(core, op);

        if (!node) {
            op->status = STATUS_UNAVAILABLE;
            snprintf(op->detail, sizeof(op->detail), "the cluster has no node");
            return;
        }
        op->attempt_end_ns = attempt_end(core, op, node);
        channel_call(node_channel(node), op);
        if (!op_try_again(core, op, &not_before))
            return;
        if (not_before > platform_now_ns())
            sleep_until(not_before);
    } while (platform_now_ns() < op->deadline_ns);
}

static void describe_node(struct core *core, const struct op *op, char name[CORE_NODE_NAME_MAX])
{
    name[0] = 0;
    if (!op->node)
        return;
    pthread_mutex_lock(&core->lock);
    snprintf(name, CORE_NODE_NAME_MAX, "%s", op->node->name[0] ? op->node->name : op->node->url);
    pthread_mutex_unlock(&core->lock);
}

static status_code call_once(struct core *core, struct core_request *request)
{
    struct op op;

    request->node_name[0] = 0;
    request->detail[0] = 0;
    request->status = op_init(core, request, &op);
    if (request->status != STATUS_OK) {
        snprintf(request->detail, sizeof(request->detail), "%s", failure_detail());
        return request->status;
    }
    run(core, &op);
    op_conclude(core, &op);
    request->status = op.status;
    memcpy(request->detail, op.detail, sizeof(request->detail));
    if (op.status == STATUS_OK)
        request->status = op_take_answer(&op, &request->reply, &request->answer);
    if (request->status != STATUS_OK || request->node)
        describe_node(core, &op, request->node_name);
    op_release(&op);
    return request->status == STATUS_OK ? STATUS_OK : failure_set(request->status, "%s", request->detail);
}

void core_refresh_if_due(struct core *core)
{
    uint64_t now = platform_now_ns();
    struct values nothing;
    bool idle = false;

    if (core->single || core->config->refresh_interval_ms == 0 ||
        now < atomic_load_explicit(&core->refresh_at_ns, memory_order_relaxed) ||
        !atomic_compare_exchange_strong(&core->refreshing, &idle, true))
        return;
    atomic_store(&core->refresh_at_ns, now + core->config->refresh_interval_ms * 1000000ull);
    values_init(&nothing);
    struct core_request request = {.operation = OP_CLUSTER_DESCRIBE,
                                   .fields = &nothing,
                                   .timeout_ms = core->config->attempt_timeout_ms,
                                   .reply = BYTES_SECRET};

    if (call_once(core, &request) == STATUS_OK)
        node_learn_all(core, &request.answer);
    bytes_release(&request.reply);
    atomic_store(&core->refreshing, false);
}

status_code core_call(struct core *core, struct core_request *request)
{
    status_code status = core_check_fork(core);

    if (status != STATUS_OK) {
        snprintf(request->detail, sizeof(request->detail), "%s", failure_detail());
        return request->status = status;
    }
    core_refresh_if_due(core);
    status = call_once(core, request);
    if (status == STATUS_OK && request->operation == OP_CLUSTER_DESCRIBE && !core->single)
        node_learn_all(core, &request->answer); /* whoever asks for the list teaches it */
    return status;
}

void core_statistics(struct core *core, struct core_statistics *statistics)
{
    uint64_t now = platform_now_ns();

    memset(statistics, 0, sizeof(*statistics));
    statistics->n_requests = atomic_load(&core->n_requests);
    statistics->n_retries = atomic_load(&core->n_retries);
    statistics->n_failures = atomic_load(&core->n_failures);
    if (core_check_fork(core) != STATUS_OK)
        return;
    pthread_mutex_lock(&core->lock);
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        struct node_entry *node = core->nodes[i];
        struct core_node_statistics *out = &statistics->nodes[statistics->n_nodes];

        if (atomic_load(&node->gone))
            continue;
        statistics->n_nodes++;
        snprintf(out->name, sizeof(out->name), "%s", node->name[0] ? node->name : node->url);
        snprintf(out->address, sizeof(out->address), "%s", node->url);
        snprintf(out->zone, sizeof(out->zone), "%s", node->zone);
        out->healthy = node_is_healthy(node, now);
        out->n_requests = atomic_load(&node->n_requests);
        out->n_failures = atomic_load(&node->n_failures);
        out->n_messages = atomic_load(&node->n_messages);
        out->latency_us = atomic_load(&node->latency_us);
        out->node_time_us = atomic_load(&node->node_time_us);
        for (unsigned j = 0; j < node->n_channels; j++)
            out->n_outstanding += atomic_load(&node->channels[j].load);
    }
    pthread_mutex_unlock(&core->lock);
}
