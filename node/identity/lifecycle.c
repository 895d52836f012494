/* The steps of a node's life cycle: EMPTY -> CREATED -> MEMBER, or EMPTY -> MEMBER with a handover (DESIGN section 7).
 * Each is committed by one atomic write of the vault, after everything that it needs is on disk; a step that is
 * repeated with the same input, because its answer was lost, succeeds again. Called by the handlers of the life-cycle
 * operations. */
#include "identity/identity.h"

#include <openssl/rand.h>
#include <stdio.h>
#include "crypto/key.h"
#include "identity/handover.h"
#include "identity/identity_private.h"
#include "identity/state_file.h"
#include "seal/masking_keys.h"

static void unlock(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

#define LOCKED(identity)                                                                                               \
    pthread_mutex_lock(&(identity)->lock);                                                                             \
    CLEANUP(unlock) pthread_mutex_t *held_ = &(identity)->lock;                                                        \
    (void)held_

static status_code copy_vault(const struct vault *from, struct vault *to)
{
    *to = *from;
    to->tls_key = (struct secret)SECRET_INIT;
    to->masking_keys = (struct secret)SECRET_INIT;
    TRY(secret_copy(&to->tls_key, secret_slice(&from->tls_key)));
    return secret_copy(&to->masking_keys, secret_slice(&from->masking_keys));
}

/** Saves `next` and makes it the identity's. `next` holds what it replaced afterwards. */
static status_code commit(struct identity *identity, struct vault *next)
{
    TRY(vault_save(identity->folder, next));
    struct vault before = identity->vault;
    identity->vault = *next;
    *next = before;
    identity_publish(identity);
    return STATUS_OK;
}

static status_code check_cluster_name(struct slice name)
{
    CHECK(name.len > 0 && name.len <= 128, STATUS_INVALID_ARGUMENT, "a cluster's name has 1 to 128 bytes");
    for (size_t i = 0; i < name.len; i++)
        CHECK(name.data[i] >= 0x20 && name.data[i] != 0x7f, STATUS_INVALID_ARGUMENT,
              "a cluster's name has no control characters");
    return STATUS_OK;
}

static status_code fill_new_cluster(struct vault *vault, struct slice name)
{
    vault->state = IDENTITY_CREATED;
    vault->founding = true;
    snprintf(vault->cluster_name, sizeof vault->cluster_name, "%.*s", (int)name.len, (const char *)name.data);
    secret_release(&vault->masking_keys);
    TRY(masking_keys_make(FIRST_GENERATION, &vault->masking_keys));
    CHECK(RAND_bytes_ex(crypto_context(), vault->cluster_id, ID_LEN, 0) == 1, STATUS_RANDOM_FAILED,
          "no random cluster id");
    memcpy(vault->seal_id, vault->cluster_id, ID_LEN);
    return STATUS_OK;
}

status_code identity_create_cluster(struct identity *identity, struct slice cluster_name)
{
    CLEANUP(vault_release) struct vault next = {0};
    TRY(check_cluster_name(cluster_name));
    LOCKED(identity);

    bool same = slice_equal(slice_text(identity->vault.cluster_name), cluster_name);
    if (identity->vault.state == IDENTITY_CREATED && same)
        return STATUS_OK;
    CHECK(identity->vault.state == IDENTITY_EMPTY, STATUS_CLUSTER_STATE, "this node belongs to cluster %s already",
          identity->vault.cluster_name);
    TRY(copy_vault(&identity->vault, &next));
    TRY(fill_new_cluster(&next, cluster_name));
    return commit(identity, &next);
}

status_code identity_restore(struct identity *identity, const struct identity_restored *restored)
{
    CLEANUP(vault_release) struct vault next = {0};
    TRY(check_cluster_name(restored->cluster_name));
    TRY(masking_keys_check(restored->masking_keys));
    LOCKED(identity);

    CHECK(identity->vault.state == IDENTITY_EMPTY, STATUS_CLUSTER_STATE,
          "this node belongs to cluster %s already: a backup is restored into a new cluster, on a fresh state folder",
          identity->vault.cluster_name);
    TRY(copy_vault(&identity->vault, &next));
    next.state = IDENTITY_CREATED;
    next.founding = true;
    memcpy(next.cluster_id, restored->cluster_id, ID_LEN);
    memcpy(next.seal_id, restored->seal_id, ID_LEN);
    snprintf(next.cluster_name, sizeof next.cluster_name, "%.*s", (int)restored->cluster_name.len,
             (const char *)restored->cluster_name.data);
    secret_release(&next.masking_keys);
    TRY(secret_copy(&next.masking_keys, restored->masking_keys));
    return commit(identity, &next);
}

static status_code check_pair(struct identity *identity, X509 *certificate, X509 *ca)
{
    TRY(certificate_check_ca(ca));
    TRY(identity_check_own(identity, certificate));
    return certificate_check(certificate, ca);
}

static status_code write_certificate(struct identity *identity, const char *file, X509 *certificate)
{
    CLEANUP(bytes_release) struct bytes pem = BYTES_INIT;
    TRY(certificate_encode_pem(certificate, &pem));
    return state_file_write(identity->folder, file, bytes_slice(&pem));
}

/** The last step to MEMBER, for both ways: certificates first, then the vault that refers to them. */
static status_code become_member(struct identity *identity, struct vault *next, X509 **certificate, X509 **ca)
{
    next->state = IDENTITY_MEMBER;
    TRY(certificate_hash(*ca, next->ca_hash));
    TRY(write_certificate(identity, CA_FILE, *ca));
    TRY(write_certificate(identity, CERTIFICATE_FILE, *certificate));
    /* In place before the state says so; nobody looks at them before. */
    X509_free(identity->certificate);
    X509_free(identity->ca);
    identity->certificate = *certificate;
    identity->ca = *ca;
    *certificate = NULL;
    *ca = NULL;
    return commit(identity, next);
}

static bool is_repeated(const struct identity *identity, X509 *certificate, X509 *ca)
{
    return identity->vault.state == IDENTITY_MEMBER && X509_cmp(identity->certificate, certificate) == 0 &&
           X509_cmp(identity->ca, ca) == 0;
}

status_code identity_initialize(struct identity *identity, struct slice certificate, struct slice ca_certificate)
{
    CLEANUP(certificate_free) X509 *own = NULL;
    CLEANUP(certificate_free) X509 *ca = NULL;
    CLEANUP(vault_release) struct vault next = {0};
    TRY(certificate_parse(certificate, "the node's certificate", &own));
    TRY(certificate_parse(ca_certificate, "the CA certificate", &ca));
    LOCKED(identity);

    if (is_repeated(identity, own, ca))
        return STATUS_OK;
    CHECK(identity->vault.state != IDENTITY_EMPTY, STATUS_CLUSTER_STATE,
          "create the cluster first; a node that is to join one is admitted, not initialized");
    CHECK(identity->vault.state == IDENTITY_CREATED, STATUS_CLUSTER_STATE, "cluster %s is initialized already",
          identity->vault.cluster_name);
    TRY(check_pair(identity, own, ca));
    TRY(copy_vault(&identity->vault, &next));
    return become_member(identity, &next, &own, &ca);
}

status_code identity_approve(struct identity *identity, struct slice certificate, struct bytes *handover,
                             uint8_t node_id[ID_LEN])
{
    CLEANUP(certificate_free) X509 *joiner = NULL;
    TRY(certificate_parse(certificate, "the joining node's certificate", &joiner));
    LOCKED(identity);

    CHECK(identity->vault.state == IDENTITY_MEMBER, STATUS_CLUSTER_STATE, "this node is no member of a cluster itself");
    TRY(certificate_check(joiner, identity->ca));
    uint8_t joiner_id[ID_LEN];
    TRY(certificate_node_id(joiner, joiner_id));
    CHECK(memcmp(joiner_id, identity->node_id, ID_LEN) != 0, STATUS_INVALID_ARGUMENT,
          "this is the certificate of the approving node itself");
    struct handover_parties parties = {identity->certificate, joiner, identity->ca};
    TRY(handover_make(&parties, identity->key, &identity->vault, handover));
    memcpy(node_id, joiner_id, ID_LEN);
    return STATUS_OK;
}

status_code identity_admit(struct identity *identity, struct slice certificate, struct slice ca_certificate,
                           struct slice handover)
{
    CLEANUP(certificate_free) X509 *own = NULL;
    CLEANUP(certificate_free) X509 *ca = NULL;
    CLEANUP(vault_release) struct vault next = {0};
    TRY(certificate_parse(certificate, "the node's certificate", &own));
    TRY(certificate_parse(ca_certificate, "the CA certificate", &ca));
    LOCKED(identity);

    if (is_repeated(identity, own, ca))
        return STATUS_OK;
    CHECK(identity->vault.state == IDENTITY_EMPTY, STATUS_CLUSTER_STATE,
          "this node belongs to cluster %s already: a node joins with a fresh state folder",
          identity->vault.cluster_name);
    TRY(check_pair(identity, own, ca));
    TRY(copy_vault(&identity->vault, &next));
    struct handover_parties parties = {NULL, own, ca};
    TRY(handover_open(handover, &parties, identity->key, &next));
    return become_member(identity, &next, &own, &ca);
}

bool identity_is_founding(struct identity *identity)
{
    LOCKED(identity);
    return identity->vault.founding;
}

status_code identity_founded(struct identity *identity)
{
    CLEANUP(vault_release) struct vault next = {0};
    LOCKED(identity);
    TRY(copy_vault(&identity->vault, &next));
    next.founding = false;
    return commit(identity, &next);
}

/* The masking keys, while one takes the place of another. */

status_code identity_hand_over(struct identity *identity, const uint8_t node_id[ID_LEN], struct slice certificate_pem,
                               struct slice masking_keys, struct bytes *handover)
{
    CLEANUP(certificate_free) X509 *taker = NULL;
    CLEANUP(vault_release) struct vault given = {0};
    uint8_t id[ID_LEN];
    TRY(certificate_parse(certificate_pem, "a member's certificate", &taker));
    TRY(certificate_node_id(taker, id));
    CHECK(memcmp(id, node_id, ID_LEN) == 0, STATUS_NOT_PERMITTED, "a member's certificate is another node's");
    LOCKED(identity);

    CHECK(identity->vault.state == IDENTITY_MEMBER, STATUS_CLUSTER_STATE, "this node is no member of a cluster itself");
    TRY(certificate_check(taker, identity->ca));
    TRY(copy_vault(&identity->vault, &given));
    secret_release(&given.masking_keys);
    TRY(secret_copy(&given.masking_keys, masking_keys));
    struct handover_parties parties = {identity->certificate, taker, identity->ca};
    return handover_make(&parties, identity->key, &given, handover);
}

/* This node's vault with what was handed over. What the others have forgotten meanwhile is not kept here either. */
static status_code open_handover(struct identity *identity, struct slice handover, struct vault *next)
{
    CLEANUP(vault_release) struct vault taken = {0};
    CLEANUP(secret_release) struct secret kept = SECRET_INIT;
    struct handover_parties parties = {NULL, NULL, identity->ca};
    struct slice own = secret_slice(&identity->vault.masking_keys);

    TRY(handover_open(handover, &parties, identity->key, &taken));
    CHECK(memcmp(taken.cluster_id, identity->vault.cluster_id, ID_LEN) == 0, STATUS_NOT_PERMITTED,
          "the masking key is another cluster's");
    TRY(copy_vault(&identity->vault, next));
    secret_release(&next->masking_keys);
    TRY(masking_keys_from(own, masking_keys_generation(secret_slice(&taken.masking_keys), 0), &kept));
    TRY(masking_keys_join(secret_slice(&kept), secret_slice(&taken.masking_keys), &next->masking_keys));
    if (next->settled < taken.settled)
        next->settled = taken.settled;
    return STATUS_OK;
}

status_code identity_look_into(struct identity *identity, struct slice handover, struct secret *masking_keys)
{
    CLEANUP(vault_release) struct vault next = {0};
    LOCKED(identity);

    TRY(open_handover(identity, handover, &next));
    return secret_copy(masking_keys, secret_slice(&next.masking_keys));
}

status_code identity_take_up(struct identity *identity, struct slice handover)
{
    CLEANUP(vault_release) struct vault next = {0};
    LOCKED(identity);

    TRY(open_handover(identity, handover, &next));
    return commit(identity, &next);
}

uint32_t identity_settled(struct identity *identity)
{
    LOCKED(identity);
    return identity->vault.settled;
}

status_code identity_settle(struct identity *identity, uint32_t generation)
{
    CLEANUP(vault_release) struct vault next = {0};
    LOCKED(identity);

    if (identity->vault.settled >= generation)
        return STATUS_OK;
    TRY(copy_vault(&identity->vault, &next));
    next.settled = generation;
    return commit(identity, &next);
}

status_code identity_retire(struct identity *identity, uint32_t oldest, struct secret *masking_keys)
{
    CLEANUP(vault_release) struct vault next = {0};
    LOCKED(identity);

    struct slice held = secret_slice(&identity->vault.masking_keys);
    if (masking_keys_newest(held) < oldest || masking_keys_generation(held, 0) >= oldest)
        return secret_copy(masking_keys, held);
    TRY(copy_vault(&identity->vault, &next));
    secret_release(&next.masking_keys);
    TRY(masking_keys_from(held, oldest, &next.masking_keys));
    TRY(secret_copy(masking_keys, secret_slice(&next.masking_keys)));
    return commit(identity, &next);
}
