/* Logins and their tickets: made, checked on every message, renewed. */
#include <openssl/rand.h>
#include "node.h"
#include "user/lockout.h"
#include "seal/record.h"
#include "user/ticket.h"
#include "user/users_internal.h"

/* A ticket from the future: this node's clock went back, or another's runs ahead. */
#define CLOCK_SKEW_MS (5u * 60 * 1000)

static status_code read_standing(struct users *users, enum store_kind kind, const uint8_t id[ID_LEN],
                                 struct standing *standing)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    CLEANUP(account_wipe) struct account account;
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

status_code users_standing(struct users *users, enum store_kind kind, const uint8_t id[ID_LEN],
                           struct standing *standing)
{
    if (session_cache_find(users->cache, kind, id, standing))
        return STATUS_OK;
    uint64_t generation = session_cache_generation(users->cache);

    TRY(read_standing(users, kind, id, standing));
    session_cache_keep(users->cache, generation, kind, id, standing);
    return STATUS_OK;
}

/* However much it is used. */
static uint64_t end_of_login(const struct node *node, const struct ticket *ticket)
{
    uint64_t limit_s = node->config.login_limit_s;

    return limit_s ? ticket->login_ms + 1000 * limit_s : UINT64_MAX;
}

static status_code issue(struct users *users, const struct ticket *like, struct bytes *sealed, uint64_t *expires_ms)
{
    struct ticket ticket = *like;

    ticket.issued_ms = node_now_ms(users->node);
    ticket.expires_ms = ticket.issued_ms + 1000ull * users->node->config.ticket_lifetime_s;
    uint64_t end_ms = end_of_login(users->node, &ticket);
    if (ticket.expires_ms > end_ms)
        ticket.expires_ms = end_ms;
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
        TRY(users_standing(users, STORE_REVOCATION, ticket.session_id, &revocation));
        if (!revocation.exists) {
            memcpy(session_id, ticket.session_id, ID_LEN);
            return STATUS_OK;
        }
    }
    CHECK(RAND_bytes_ex(crypto_context(), session_id, ID_LEN, 0) == 1, STATUS_RANDOM_FAILED, "no random bytes");
    return STATUS_OK;
}

static status_code check_credentials(struct users *users, struct slice name, struct slice password,
                                     const struct login_proof *proof, bool log_in, struct account *account)
{
    bool failures;
    status_code status = account_find(users->node, name, account);

    if (status == STATUS_USER_NOT_FOUND)
        return account_check_nobody(users->node, password);
    TRY(status);
    TRY(lockout_check(users->node, account->id, &failures));
    status = account_check_password(account, password);
    if (status == STATUS_OK && log_in)
        status = challenge_check(users->node, account, proof);
    if (status == STATUS_LOGIN_FAILED)
        lockout_count(users->node, account->id);
    /* Said anew, since counting leaves words of its own: this must read as for an unknown user. */
    CHECK(status != STATUS_LOGIN_FAILED, STATUS_LOGIN_FAILED, "wrong user name or password");
    TRY(status);
    /* Again: guesses that were made at the same time, on any node, may have locked the user meanwhile. */
    TRY(lockout_check(users->node, account->id, &failures));
    if (failures)
        lockout_clear(users->node, account->id);
    return STATUS_OK;
}

status_code users_check_password(struct users *users, struct slice name, struct slice password, struct account *account)
{
    static const struct login_proof none = {{NULL, 0}, {NULL, 0}};

    return check_credentials(users, name, password, &none, false, account);
}

status_code users_check_login(struct users *users, struct slice name, struct slice password,
                              const struct login_proof *proof, struct account *account)
{
    TRY(node_catch_up_with_all(users->node));
    status_code status = check_credentials(users, name, password, proof, true, account);

    if (status != STATUS_OK && status != STATUS_SECOND_FACTOR_NEEDED)
        metric_add(WORKERS_MAX, METRIC_LOGIN_FAILURES, 1);
    return status;
}

status_code users_login(struct users *users, struct slice name, struct slice password, const struct login_proof *proof,
                        struct slice earlier_ticket, struct caller *caller, struct bytes *ticket, uint64_t *expires_ms)
{
    CLEANUP(account_wipe) struct account account;
    struct ticket made = {.role = ROLE_NONE};
    TRY(users_check_login(users, name, password, proof, &account));
    made.login_ms = node_now_ms(users->node);
    made.role = account.role;
    made.credential_version = account.credential_version;
    memcpy(made.user_id, account.id, ID_LEN);
    TRY(choose_session(users, earlier_ticket, &account, made.session_id));
    TRY(issue(users, &made, ticket, expires_ms));
    fill_caller(&made, account.name, caller);
    return STATUS_OK;
}

static status_code check_times(const struct ticket *ticket, uint64_t now)
{
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
    TRY(check_times(&ticket, now));
    TRY(users_standing(users, STORE_USER, ticket.user_id, &user));
    CHECK(user.exists && user.credential_version == ticket.credential_version && user.role == ticket.role,
          STATUS_TICKET_EXPIRED, "the user was deleted, or its password changed, since this login: log in again");
    TRY(users_standing(users, STORE_REVOCATION, ticket.session_id, &revocation));
    CHECK(!revocation.exists, STATUS_TICKET_EXPIRED, "this session was logged out: log in again");
    fill_caller(&ticket, user.name, caller);
    bool young = now - ticket.issued_ms <= (ticket.expires_ms - ticket.issued_ms) / 2 || now < ticket.issued_ms;
    bool newest_key = generation_of(sealed) == keyring_newest(users->node->keyring);

    if (newest_key && (young || ticket.expires_ms == end_of_login(users->node, &ticket)))
        return STATUS_OK;
    return issue(users, &ticket, renewed, &expires_ms);
}
