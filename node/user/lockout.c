/* Lock-out with back-off: see lockout.h. */
#include "user/lockout.h"

#include "node.h"
#include "rotation/rotation.h"
#include "seal/record.h"

#define LOCK_MAX_S 3600u
#define RETRIES    16u

enum { LOCKOUT_FAILURES = 1, LOCKOUT_UNTIL_MS };

static const struct schema_entry entries[] = {
    [LOCKOUT_FAILURES] = {"FAILURES", VALUE_UINT, UINT64_MAX, NULL},
    [LOCKOUT_UNTIL_MS] = {"UNTIL_MS", VALUE_UINT, UINT64_MAX, NULL},
};

static const struct schema lockout_schema = {"lock-out field", entries, sizeof(entries) / sizeof(*entries)};

struct lockout {
    uint64_t version, failures, until_ms;
};

static status_code read_lockout(struct node *node, const uint8_t user_id[ID_LEN], struct lockout *lockout)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    struct values values;
    status_code status = record_read(node, STORE_LOGIN, user_id, &plaintext, &lockout->version);

    *lockout = (struct lockout){.version = status == STATUS_OK ? lockout->version : 0};
    if (status == STATUS_OBJECT_NOT_FOUND)
        return STATUS_OK;
    TRY(status);
    TRY(record_decode(&lockout_schema, &plaintext, &values));
    lockout->failures = values_uint(&values, LOCKOUT_FAILURES, 0);
    lockout->until_ms = values_uint(&values, LOCKOUT_UNTIL_MS, 0);
    return STATUS_OK;
}

status_code lockout_check(struct node *node, const uint8_t user_id[ID_LEN], bool *failures)
{
    struct lockout lockout;
    uint64_t now = node_now_ms(node);

    TRY(read_lockout(node, user_id, &lockout));
    CHECK(now >= lockout.until_ms, STATUS_USER_LOCKED,
          "locked after %llu failed logins: wait %llu s, or have an administrator reset the password",
          (unsigned long long)lockout.failures, (unsigned long long)(lockout.until_ms - now + 999) / 1000);
    *failures = lockout.version != 0;
    return STATUS_OK;
}

bool lockout_active(struct node *node, const uint8_t user_id[ID_LEN])
{
    bool failures;

    return lockout_check(node, user_id, &failures) == STATUS_USER_LOCKED;
}

static uint64_t lock_ms(const struct node *node, uint64_t failures)
{
    uint64_t seconds = node->config.login_lock_s;

    if (failures < node->config.login_attempts)
        return 0;
    for (uint64_t n = node->config.login_attempts; n < failures && seconds < LOCK_MAX_S; n++)
        seconds *= 2;
    return 1000 * (seconds < LOCK_MAX_S ? seconds : LOCK_MAX_S);
}

static status_code write_lockout(struct node *node, const uint8_t user_id[ID_LEN], const struct lockout *lockout)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT, sealed = BYTES_INIT;
    struct store_write write;
    struct values values;
    uint64_t revision;

    values_init(&values);
    values_put_uint(&values, LOCKOUT_FAILURES, lockout->failures);
    values_put_uint(&values, LOCKOUT_UNTIL_MS, lockout->until_ms);
    values_encode(&lockout_schema, &values, &plaintext);
    TRY(bytes_ok(&plaintext));
    TRY(record_prepare(node, STORE_LOGIN, user_id, lockout->version, bytes_slice(&plaintext), &sealed, &write));
    TRY(node->store->operations->write(node->store, &write, 1, &revision));
    node_wrote(node, revision);
    return STATUS_OK;
}

/* Somebody else changed it, or the masking key was replaced. */
static bool is_worth_another_try(status_code status)
{
    return status == STATUS_CONFLICT || status == STATUS_ALREADY_EXISTS || status == STATUS_BUSY;
}

void lockout_count(struct node *node, const uint8_t user_id[ID_LEN])
{
    status_code status = STATUS_CONFLICT;

    for (unsigned i = 0; i < RETRIES && is_worth_another_try(status); i++) {
        struct lockout lockout;
        uint64_t wait_ms;

        if (rotation_refresh(node) != STATUS_OK || read_lockout(node, user_id, &lockout) != STATUS_OK)
            break;
        wait_ms = lock_ms(node, ++lockout.failures);
        /* Without a lock no time is written: a node whose clock is behind would take it for one. */
        lockout.until_ms = wait_ms ? node_now_ms(node) + wait_ms : 0;
        status = write_lockout(node, user_id, &lockout);
    }
    if (status != STATUS_OK)
        log_event(LOG_LEVEL_ERROR, "failed login not counted", "detail", failure_detail(), NULL);
}

void lockout_clear(struct node *node, const uint8_t user_id[ID_LEN])
{
    struct lockout lockout;
    uint64_t revision;

    if (read_lockout(node, user_id, &lockout) != STATUS_OK || lockout.version == 0)
        return;
    struct store_write write = record_removal(STORE_LOGIN, user_id, lockout.version);

    /* Refused when somebody failed to log in at this moment: then the count stays, on the safe side. */
    if (node->store->operations->write(node->store, &write, 1, &revision) == STATUS_OK)
        node_wrote(node, revision);
}
