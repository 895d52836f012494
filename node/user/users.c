/* The set of users: created, deleted, listed, given new passwords. Every change to the set goes with a rewrite of the
 * cluster record, which makes the checks over all users exact; a refused write is tried again from the beginning. */
#include <stdlib.h>
#include "node.h"
#include "quorum/quorum.h"
#include "user/cluster_record.h"
#include "user/lockout.h"
#include "protocol/writer.h"
#include "seal/record.h"
#include "user/signer.h"
#include "user/users_internal.h"

#define RETRIES 16u

status_code users_open(struct node *node, struct users **users)
{
    struct users *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the users");
    made->node = node;
    atomic_flag_clear(&made->purging);
    made->cache = session_cache_new();
    made->spent = use_spent_new();
    status_code status = made->cache && made->spent ? users_start_purging(made)
                                                    : failure_set(STATUS_OUT_OF_MEMORY, "no memory for the users");
    if (status != STATUS_OK) {
        users_close(made);
        return status;
    }
    *users = made;
    return STATUS_OK;
}

void users_close(struct users *users)
{
    session_cache_free(users->cache);
    use_spent_free(users->spent);
    free(users);
}

void users_forget(struct users *users, enum store_kind kind, const uint8_t id[ID_LEN])
{
    session_cache_forget(users->cache, kind, id);
}

void users_forget_all(struct users *users)
{
    session_cache_forget_all(users->cache);
}

static bool again(status_code status)
{
    return status == STATUS_CONFLICT || status == STATUS_ALREADY_EXISTS;
}

/* Writes the user's change together with the cluster record. */
static status_code write_set(struct node *node, const struct cluster_record *cluster, const struct store_write *user)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    struct store_write writes[2] = {*user};
    uint64_t revision;

    TRY(cluster_record_write(node, cluster, &sealed, &writes[1]));
    TRY(node->store->operations->write(node->store, writes, 2, &revision));
    users_forget(node->users, STORE_USER, user->id);
    node_wrote(node, revision);
    return STATUS_OK;
}

static status_code put_account(struct node *node, const struct cluster_record *cluster, const struct account *account)
{
    CLEANUP(resealed_release) struct resealed memory = RESEALED_INIT;
    struct store_write write;

    TRY(account_write(node, account, &memory, &write));
    return write_set(node, cluster, &write);
}

/* *done: a user of that name was made by the very same request. */
static status_code check_absent(struct node *node, const struct account *wanted, bool *done)
{
    CLEANUP(account_wipe) struct account existing;
    status_code status = account_find(node, slice_text(wanted->name), &existing);

    *done = false;
    if (status == STATUS_USER_NOT_FOUND)
        return STATUS_OK;
    TRY(status);
    *done = memcmp(existing.request_id, wanted->request_id, ID_LEN) == 0;
    CHECK(*done, STATUS_ALREADY_EXISTS, "there is a user %s already", wanted->name);
    return STATUS_OK;
}

static status_code check_room(struct node *node)
{
    uint64_t total = 0, n;

    for (enum role role = ROLE_ADMIN; role <= ROLE_AUDITOR; role++) {
        TRY(account_count_role(node, role, &n));
        total += n;
    }
    CHECK(total < USERS_MAX, STATUS_QUOTA_EXCEEDED, "the cluster has %u users, which is the most that it can have",
          USERS_MAX);
    return STATUS_OK;
}

status_code users_create(struct users *users, const struct caller *caller, struct slice name, struct slice password,
                         enum role role, const uint8_t request_id[ID_LEN])
{
    CLEANUP(account_wipe) struct account account;
    struct node *node = users->node;
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    status_code status = STATUS_CONFLICT;

    (void)caller;
    TRY(account_new(node, name, password, role, &account));
    memcpy(account.request_id, request_id, ID_LEN);
    for (unsigned i = 0; i < RETRIES && status == STATUS_CONFLICT; i++) {
        bool done;

        TRY(cluster_record_read(node, &cluster));
        TRY(check_absent(node, &account, &done));
        if (!done)
            TRY(check_room(node));
        status = done ? STATUS_OK : put_account(node, &cluster, &account);
    }
    return status;
}

/* A resend after a lost answer: the same administrator activates again, and proves it. Guesses count as failed logins.
 * Whoever comes with another recovery key must not believe in it. */
static status_code check_activated_by(struct users *users, const struct cluster_record *cluster, struct slice name,
                                      struct slice password, struct slice recovery_key)
{
    CLEANUP(account_wipe) struct account account;

    CHECK(users_check_password(users, name, password, &account) == STATUS_OK && account.role == ROLE_ADMIN,
          STATUS_CLUSTER_STATE, "the cluster was activated already: its administrator logs in");
    CHECK(secret_equal(recovery_key, slice_of(cluster->recovery_key, cluster->recovery_key_len)), STATUS_CLUSTER_STATE,
          "the cluster was activated already, with another recovery key: keep the one that was shown then");
    return STATUS_OK;
}

status_code users_activate(struct users *users, struct slice name, struct slice password, struct slice recovery_key)
{
    CLEANUP(account_wipe) struct account account = {.role = ROLE_NONE};
    struct node *node = users->node;
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    status_code status = STATUS_CONFLICT;

    CHECK(recovery_key.len == 0 || recovery_key.len == RECOVERY_KEY_LEN, STATUS_INVALID_ARGUMENT,
          "a recovery key has %u bytes, not %zu", RECOVERY_KEY_LEN, recovery_key.len);
    for (unsigned i = 0; i < RETRIES && status == STATUS_CONFLICT; i++) {
        TRY(cluster_record_read(node, &cluster));
        if (cluster.active)
            return check_activated_by(users, &cluster, name, password, recovery_key);
        if (account.role == ROLE_NONE)
            TRY(account_new(node, name, password, ROLE_ADMIN, &account));
        cluster.active = true;
        cluster.recovery_key_len = recovery_key.len;
        if (recovery_key.len)
            memcpy(cluster.recovery_key, recovery_key.data, recovery_key.len);
        status = put_account(node, &cluster, &account);
    }
    TRY(status);
    atomic_store(&node->cluster_active, true);
    return STATUS_OK;
}

/* A quorum that is wanted must stay within reach. */
static status_code check_signers_left(struct node *node, const struct cluster_record *cluster,
                                      const struct account *account)
{
    static const enum quorum_service services[] = {QUORUM_USER, QUORUM_POLICY, QUORUM_CLUSTER};
    uint64_t n, highest = 0;

    if (account->role != ROLE_ADMIN || !account->signer_len)
        return STATUS_OK;
    TRY(account_count_signers(node, &n));
    for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
        if (quorum_policy_of(cluster, services[i]) > highest)
            highest = quorum_policy_of(cluster, services[i]);
    CHECK(n > highest, STATUS_NOT_PERMITTED,
          "without %s there are %llu administrators with a key for approvals, but a quorum wants %llu", account->name,
          (unsigned long long)n - 1, (unsigned long long)highest);
    return STATUS_OK;
}

static status_code check_deletable(struct node *node, const struct cluster_record *cluster,
                                   const struct account *account)
{
    uint64_t n;

    if (account->role == ROLE_ADMIN) {
        TRY(account_count_role(node, ROLE_ADMIN, &n));
        CHECK(n > 1, STATUS_NOT_PERMITTED, "%s is the last administrator: without one there is no way in",
              account->name);
        TRY(check_signers_left(node, cluster, account));
    }
    TRY(objects_count_owned(node->objects, account->id, &n));
    CHECK(n == 0, STATUS_NOT_PERMITTED, "%s owns %llu keys or objects: delete them first", account->name,
          (unsigned long long)n);
    return STATUS_OK;
}

status_code users_delete(struct users *users, const struct caller *caller, struct slice name)
{
    CLEANUP(account_wipe) struct account account;
    struct node *node = users->node;
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    status_code status = STATUS_CONFLICT;

    (void)caller;
    for (unsigned i = 0; i < RETRIES && again(status); i++) {
        TRY(cluster_record_read(node, &cluster));
        TRY(account_find(node, name, &account));
        TRY(check_deletable(node, &cluster, &account));
        struct store_write write = record_removal(STORE_USER, account.id, account.version);
        status = write_set(node, &cluster, &write);
    }
    if (status == STATUS_OK)
        lockout_clear(node, account.id);
    return status;
}

/* One's own password: the old one proves who asks. When it fails but the new one fits already, this is a resend. */
static status_code check_own(struct node *node, const struct account *account, struct slice old_password,
                             struct slice new_password, bool *done)
{
    bool failures;

    CHECK(old_password.len, STATUS_INVALID_ARGUMENT, "the old password is needed to change one's own");
    TRY(lockout_check(node, account->id, &failures));
    status_code status = account_check_password(account, old_password);
    *done = status == STATUS_LOGIN_FAILED && account_check_password(account, new_password) == STATUS_OK;
    if (status != STATUS_LOGIN_FAILED || *done)
        return *done ? STATUS_OK : status;
    lockout_count(node, account->id);
    FAIL(STATUS_LOGIN_FAILED, "the old password is wrong");
}

status_code users_change_password(struct users *users, const struct caller *caller, struct slice name,
                                  struct slice old_password, struct slice new_password)
{
    CLEANUP(account_wipe) struct account account;
    struct node *node = users->node;
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    status_code status = STATUS_CONFLICT;
    bool own = slice_equal(name, slice_text(caller->user_name)), done = false;

    CHECK(own || caller->role == ROLE_ADMIN, STATUS_NOT_PERMITTED,
          "only an administrator changes another user's password");
    for (unsigned i = 0; i < RETRIES && again(status); i++) {
        TRY(cluster_record_read(node, &cluster));
        TRY(account_find(node, name, &account));
        if (own)
            TRY(check_own(node, &account, old_password, new_password, &done));
        if (done)
            return STATUS_OK;
        TRY(account_set_password(node, &account, new_password));
        status = put_account(node, &cluster, &account);
    }
    if (status == STATUS_OK)
        lockout_clear(node, account.id);
    return status;
}

status_code users_find(struct users *users, struct slice name, uint8_t user_id[ID_LEN], enum role *role)
{
    CLEANUP(account_wipe) struct account account;

    TRY(account_find(users->node, name, &account));
    memcpy(user_id, account.id, ID_LEN);
    *role = account.role;
    return STATUS_OK;
}

status_code users_set_signer(struct users *users, const struct caller *caller, struct slice name,
                             struct slice public_key, struct slice signature, bool second_factor)
{
    CLEANUP(account_wipe) struct account account;
    struct node *node = users->node;
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    status_code status = STATUS_CONFLICT;
    bool own = slice_equal(name, slice_text(caller->user_name));

    CHECK(own || (caller->role == ROLE_ADMIN && public_key.len == 0), STATUS_NOT_PERMITTED,
          "users register their own keys; an administrator may take another's away");
    for (unsigned i = 0; i < RETRIES && again(status); i++) {
        TRY(cluster_record_read(node, &cluster));
        TRY(account_find(node, name, &account));
        if (public_key.len == 0)
            TRY(check_signers_left(node, &cluster, &account));
        TRY(signer_set(node, &account, public_key, signature));
        account.second_factor = second_factor && account.signer_len;
        status = put_account(node, &cluster, &account);
    }
    return status;
}

struct listing {
    struct node *node;
    struct bytes *records;
    struct bytes encoded;
    uint64_t n;
    uint8_t last[ID_LEN];
};

static status_code list_one(void *context, const struct store_record *record)
{
    CLEANUP(account_wipe) struct account account;
    struct listing *listing = context;
    struct values values;

    TRY(account_open(listing->node, record, &account));
    memcpy(listing->last, record->id, ID_LEN);
    listing->n++;
    values_init(&values);
    values_put_bytes(&values, FIELD_USER_NAME, slice_text(account.name));
    values_put_uint(&values, FIELD_USER_ROLE, account.role);
    values_put_uint(&values, FIELD_TIME_MS, account.created_ms);
    values_put_bytes(&values, FIELD_STATE_NAME,
                     slice_text(lockout_active(listing->node, account.id) ? "locked" : "active"));
    values_encode(&FIELD_SCHEMA, &values, &listing->encoded);
    return bytes_ok(&listing->encoded);
}

status_code users_list(struct users *users, struct slice cursor, uint64_t limit, struct bytes *records,
                       struct bytes *next_cursor)
{
    struct listing listing = {.node = users->node, .encoded = BYTES_INIT};
    struct store *store = users->node->store;

    if (limit == 0 || limit > FIND_PAGE_MAX)
        limit = FIND_PAGE_MAX;
    CHECK(cursor.len == 0 || cursor.len == ID_LEN, STATUS_INVALID_ARGUMENT, "the cursor is none of this list");
    status_code status =
        store->operations->range(store, STORE_USER, cursor.len ? cursor.data : NULL, NULL, limit, list_one, &listing);
    if (status == STATUS_OK) {
        write_array(records, (uint32_t)listing.n);
        write_encoded(records, bytes_slice(&listing.encoded));
        if (listing.n == limit)
            bytes_append(next_cursor, listing.last, ID_LEN);
        status = bytes_ok(records);
    }
    bytes_release(&listing.encoded);
    return status;
}
