/* Logins and their tickets: made, checked on every message, renewed, revoked. */
#include <openssl/rand.h>
#include <stdlib.h>
#include "node.h"
#include "user/lockout.h"
#include "user/record.h"
#include "user/ticket.h"
#include "user/users_internal.h"

/* A ticket from the future: this node's clock went back, or another's runs ahead. */
#define CLOCK_SKEW_MS (5u * 60 * 1000)

/* Revocations are kept as long as a ticket could still be renewed from one issued before. */
#define REVOCATION_LIFETIMES 2u

enum { REVOCATION_UNTIL_MS = 1 };

static const struct schema_entry entries[] = {[REVOCATION_UNTIL_MS] = {"UNTIL_MS", VALUE_UINT, UINT64_MAX, NULL}};
static const struct schema revocation_schema = {"revocation field", entries, 2};

static status_code read_standing(struct users *users, enum store_kind kind, const uint8_t id[ID_LEN],
                                 struct standing *standing)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    struct account account;
    uint64_t version;

    memset(standing, 0, sizeof(*standing));
    status_code status = kind == STORE_USER ? account_read(users->node, id, &account)
                                            : record_read(users->node, kind, id, &plaintext, &version);
    if (status == STATUS_OBJECT_NOT_FOUND)
        return STATUS_OK;
    TRY(status);
    standing->exists = true;
    if (kind != STORE_USER)
        return STATUS_OK;
    standing->role = account.role;
    standing->credential_version = account.credential_version;
    memcpy(standing->name, account.name, sizeof(standing->name));
    return STATUS_OK;
}

static status_code standing_of(struct users *users, enum store_kind kind, const uint8_t id[ID_LEN],
                               struct standing *standing)
{
    if (session_cache_find(users->cache, kind, id, standing))
        return STATUS_OK;
    uint64_t generation = session_cache_generation(users->cache);

    TRY(read_standing(users, kind, id, standing));
    session_cache_keep(users->cache, generation, kind, id, standing);
    return STATUS_OK;
}

static status_code issue(struct users *users, const struct ticket *like, struct bytes *sealed, uint64_t *expires_ms)
{
    struct ticket ticket = *like;

    ticket.issued_ms = node_now_ms(users->node);
    ticket.expires_ms = ticket.issued_ms + 1000ull * users->node->config.ticket_lifetime_s;
    *expires_ms = ticket.expires_ms;
    return ticket_seal(users->node, &ticket, sealed);
}

static void fill_caller(const struct ticket *ticket, const char *name, struct caller *caller)
{
    caller->role = ticket->role;
    memcpy(caller->user_id, ticket->user_id, ID_LEN);
    memcpy(caller->session_id, ticket->session_id, ID_LEN);
    memset(caller->user_name, 0, sizeof(caller->user_name));
    memcpy(caller->user_name, name, strnlen(name, USER_NAME_MAX));
}

/* The session of an earlier ticket goes on, even of an expired one, if it is the same user's and was not logged out. */
static status_code choose_session(struct users *users, struct slice earlier, const struct account *account,
                                  uint8_t session_id[ID_LEN])
{
    struct ticket ticket;
    struct standing revocation;

    if (earlier.len && ticket_open(users->node, earlier, &ticket) == STATUS_OK &&
        memcmp(ticket.user_id, account->id, ID_LEN) == 0) {
        TRY(standing_of(users, STORE_REVOCATION, ticket.session_id, &revocation));
        if (!revocation.exists) {
            memcpy(session_id, ticket.session_id, ID_LEN);
            return STATUS_OK;
        }
    }
    CHECK(RAND_bytes_ex(crypto_context(), session_id, ID_LEN, 0) == 1, STATUS_RANDOM_FAILED, "no random bytes");
    return STATUS_OK;
}

static status_code check_login(struct users *users, struct slice name, struct slice password, struct account *account)
{
    bool failures;
    status_code status = account_find(users->node, name, account);

    if (status == STATUS_USER_NOT_FOUND)
        return account_check_nobody(users->node, password);
    TRY(status);
    TRY(lockout_check(users->node, account->id, &failures));
    status = account_check_password(account, password);
    if (status == STATUS_LOGIN_FAILED)
        lockout_count(users->node, account->id);
    CHECK(status != STATUS_LOGIN_FAILED, STATUS_LOGIN_FAILED, "wrong user name or password");
    TRY(status);
    if (failures)
        lockout_clear(users->node, account->id);
    return STATUS_OK;
}

status_code users_login(struct users *users, struct slice name, struct slice password, struct slice earlier_ticket,
                        struct caller *caller, struct bytes *ticket, uint64_t *expires_ms)
{
    struct account account;
    struct ticket made = {.role = ROLE_NONE};
    status_code status = check_login(users, name, password, &account);

    if (status != STATUS_OK) {
        metric_add(WORKERS_MAX, METRIC_LOGIN_FAILURES, 1);
        return status;
    }
    made.role = account.role;
    made.credential_version = account.credential_version;
    memcpy(made.user_id, account.id, ID_LEN);
    TRY(choose_session(users, earlier_ticket, &account, made.session_id));
    TRY(issue(users, &made, ticket, expires_ms));
    fill_caller(&made, account.name, caller);
    secret_wipe(&account, sizeof(account));
    return STATUS_OK;
}

static status_code check_times(struct users *users, const struct ticket *ticket, uint64_t now)
{
    (void)users;
    CHECK(ticket->issued_ms <= now + CLOCK_SKEW_MS, STATUS_CLOCK_UNTRUSTED,
          "the ticket was issued %llu s in this node's future: set the clocks of the nodes right",
          (unsigned long long)(ticket->issued_ms - now) / 1000);
    CHECK(now < ticket->expires_ms, STATUS_TICKET_EXPIRED, "the login has expired: log in again");
    return STATUS_OK;
}

status_code users_check_ticket(struct users *users, struct slice sealed, struct caller *caller, struct bytes *renewed)
{
    struct ticket ticket;
    struct standing user, revocation;
    uint64_t now = node_now_ms(users->node), expires_ms;

    TRY(ticket_open(users->node, sealed, &ticket));
    TRY(check_times(users, &ticket, now));
    TRY(standing_of(users, STORE_USER, ticket.user_id, &user));
    CHECK(user.exists && user.credential_version == ticket.credential_version && user.role == ticket.role,
          STATUS_TICKET_EXPIRED, "the user was deleted, or its password changed, since this login: log in again");
    TRY(standing_of(users, STORE_REVOCATION, ticket.session_id, &revocation));
    CHECK(!revocation.exists, STATUS_TICKET_EXPIRED, "this session was logged out: log in again");
    fill_caller(&ticket, user.name, caller);
    if (now - ticket.issued_ms <= (ticket.expires_ms - ticket.issued_ms) / 2 || now < ticket.issued_ms)
        return STATUS_OK;
    return issue(users, &ticket, renewed, &expires_ms);
}

status_code users_logout(struct users *users, const struct caller *caller)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT, sealed = BYTES_INIT;
    struct node *node = users->node;
    struct store_write write;
    struct values values;
    uint64_t revision;

    values_init(&values);
    values_put_uint(&values, REVOCATION_UNTIL_MS,
                    node_now_ms(node) + REVOCATION_LIFETIMES * 1000ull * node->config.ticket_lifetime_s);
    values_encode(&revocation_schema, &values, &plaintext);
    TRY(bytes_ok(&plaintext));
    TRY(record_prepare(node, STORE_REVOCATION, caller->session_id, 0, bytes_slice(&plaintext), &sealed, &write));
    status_code status = node->store->operations->write(node->store, &write, 1, &revision);
    if (status == STATUS_ALREADY_EXISTS)
        return STATUS_OK;
    TRY(status);
    users_forget(users, STORE_REVOCATION, caller->session_id);
    node_wrote(node, revision);
    return STATUS_OK;
}

struct purge {
    struct node *node;
    uint64_t now;
    uint8_t ids[64][ID_LEN];
    uint64_t versions[64];
    unsigned n;
};

static status_code note_expired(void *context, const struct store_record *record)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    struct purge *purge = context;
    struct values values;

    if (purge->n == 64 || record_open(purge->node, record, &plaintext) != STATUS_OK ||
        values_decode_all(&revocation_schema, bytes_slice(&plaintext), &values) != STATUS_OK ||
        values_uint(&values, REVOCATION_UNTIL_MS, UINT64_MAX) > purge->now)
        return STATUS_OK;
    memcpy(purge->ids[purge->n], record->id, ID_LEN);
    purge->versions[purge->n++] = record->version;
    return STATUS_OK;
}

void users_purge_revocations(struct users *users)
{
    struct node *node = users->node;
    struct purge purge = {.node = node, .now = node_now_ms(node)};

    if (node->store->operations->range(node->store, STORE_REVOCATION, NULL, NULL, 4096, note_expired, &purge) !=
        STATUS_OK)
        return;
    for (unsigned i = 0; i < purge.n; i++) {
        struct store_write write = record_removal(STORE_REVOCATION, purge.ids[i], purge.versions[i]);
        uint64_t revision;

        if (node->store->operations->write(node->store, &write, 1, &revision) == STATUS_OK)
            node_wrote(node, revision);
    }
}
