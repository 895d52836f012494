/* The cluster's policy: how many administrators must approve what. It stands in the cluster record, which every change
 * to the set of users rewrites, so the count of signers that is looked at holds. */
#include "node.h"
#include "protocol/writer.h"
#include "quorum/quorum_token.h"
#include "user/account.h"
#include "user/cluster_record.h"

#define RETRIES 16u

uint64_t quorum_policy_of(const struct cluster_record *cluster, enum quorum_service service)
{
    switch (service) {
    case QUORUM_USER:
        return cluster->quorum_user;
    case QUORUM_POLICY:
        return cluster->quorum_policy;
    case QUORUM_CLUSTER:
        return cluster->quorum_cluster;
    default:
        return 0;
    }
}

static status_code put_policy(struct cluster_record *cluster, enum quorum_service service, uint64_t m)
{
    uint64_t *places[QUORUM_SERVICES] = {[QUORUM_USER] = &cluster->quorum_user,
                                         [QUORUM_POLICY] = &cluster->quorum_policy,
                                         [QUORUM_CLUSTER] = &cluster->quorum_cluster};

    CHECK((unsigned)service < QUORUM_SERVICES && places[service], STATUS_INVALID_ARGUMENT,
          "the services with a policy are user, quorum and cluster; a key has its own, from its making on");
    CHECK(m <= QUORUM_MAX, STATUS_INVALID_ARGUMENT, "a quorum has at most %u people", QUORUM_MAX);
    *places[service] = m;
    return STATUS_OK;
}

static status_code set_once(struct node *node, enum quorum_service service, uint64_t m)
{
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    struct store_write write;
    uint64_t n_signers, revision;

    TRY(cluster_record_read(node, &cluster));
    TRY(account_count_signers(node, &n_signers));
    CHECK(m <= n_signers, STATUS_INVALID_ARGUMENT,
          "%llu administrators have registered a key for approvals: a quorum of %llu could never be reached",
          (unsigned long long)n_signers, (unsigned long long)m);
    TRY(put_policy(&cluster, service, m));
    TRY(cluster_record_write(node, &cluster, &sealed, &write));
    TRY(node->store->operations->write(node->store, &write, 1, &revision));
    node_wrote(node, revision);
    return STATUS_OK;
}

status_code quorum_set(struct node *node, const struct caller *caller, enum quorum_service service, uint64_t m)
{
    status_code status = STATUS_CONFLICT;

    (void)caller; /* its token was spent by quorum_check_operation */
    for (unsigned i = 0; i < RETRIES && status == STATUS_CONFLICT; i++)
        status = set_once(node, service, m);
    return status;
}

status_code quorum_policy_list(struct node *node, struct bytes *records)
{
    static const enum quorum_service services[] = {QUORUM_USER, QUORUM_POLICY, QUORUM_CLUSTER};
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    uint64_t n_signers;
    struct values values;

    TRY(cluster_record_read(node, &cluster));
    TRY(account_count_signers(node, &n_signers));
    write_array(records, sizeof(services) / sizeof(*services));
    for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++) {
        values_init(&values);
        values_put_bytes(&values, FIELD_NAME, slice_text(quorum_service_name(services[i])));
        values_put_uint(&values, FIELD_COUNT, quorum_policy_of(&cluster, services[i]));
        values_put_uint(&values, FIELD_LIMIT, n_signers < FIND_PAGE_MAX ? n_signers : FIND_PAGE_MAX);
        values_encode(&FIELD_SCHEMA, &values, records);
    }
    return bytes_ok(records);
}
