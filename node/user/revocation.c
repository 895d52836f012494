/* Sessions that logged out: a record each, which every node looks for when it checks a ticket.
 *
 * A record is needed as long as a ticket of its session could be alive. Old ones are removed on the way: every so many
 * logouts a page of the list is looked through, each node starting somewhere and going round, so that the list stays in
 * proportion to the logouts of one such time. */
#include <openssl/rand.h>
#include "node.h"
#include "seal/record.h"
#include "user/users_internal.h"

/* Other nodes may give tickets a longer life than this one does. */
#define LIFETIMES      2u
#define PURGE_INTERVAL 32u              /* logouts */
#define PURGE_PAGE     STORE_WRITES_MAX /* records */

enum { REVOCATION_UNTIL_MS = 1 };

static const struct schema_entry entries[] = {
    [REVOCATION_UNTIL_MS] = {"UNTIL_MS", VALUE_UINT, UINT64_MAX, NULL},
};

static const struct schema revocation_schema = {"revocation field", entries, sizeof(entries) / sizeof(*entries)};

status_code users_logout(struct users *users, const struct caller *caller)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT, sealed = BYTES_INIT;
    struct node *node = users->node;
    struct store_write write;
    struct values values;
    uint64_t revision;

    values_init(&values);
    values_put_uint(&values, REVOCATION_UNTIL_MS,
                    node_now_ms(node) + LIFETIMES * 1000ull * node->config.ticket_lifetime_s);
    values_encode(&revocation_schema, &values, &plaintext);
    TRY(bytes_ok(&plaintext));
    TRY(record_prepare(node, STORE_REVOCATION, caller->session_id, 0, bytes_slice(&plaintext), &sealed, &write));
    status_code status = node->store->operations->write(node->store, &write, 1, &revision);
    if (status == STATUS_ALREADY_EXISTS)
        return STATUS_OK;
    TRY(status);
    users_forget(users, STORE_REVOCATION, caller->session_id);
    node_wrote(node, revision);
    if (atomic_fetch_add(&users->n_logouts, 1) % PURGE_INTERVAL == PURGE_INTERVAL - 1)
        users_purge_revocations(users);
    return STATUS_OK;
}

struct page {
    struct node *node;
    uint64_t now_ms;
    struct store_write removals[PURGE_PAGE];
    size_t n_removals, n_seen;
    uint8_t last[ID_LEN];
};

static status_code look_at(void *context, const struct store_record *record)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    struct page *page = context;
    struct values values;

    page->n_seen++;
    memcpy(page->last, record->id, ID_LEN);
    if (record_open(page->node, record, &plaintext) == STATUS_OK &&
        record_decode(&revocation_schema, &plaintext, &values) == STATUS_OK &&
        values_uint(&values, REVOCATION_UNTIL_MS, UINT64_MAX) <= page->now_ms)
        page->removals[page->n_removals++] = record_removal(STORE_REVOCATION, record->id, record->version);
    return STATUS_OK;
}

/* Where another node removes the same records at this moment, one of the two is refused: next time round. */
static void remove_page(const struct page *page)
{
    struct store *store = page->node->store;
    uint64_t revision;

    if (page->n_removals && store->operations->write(store, page->removals, page->n_removals, &revision) == STATUS_OK)
        node_wrote(page->node, revision);
}

void users_purge_revocations(struct users *users)
{
    struct store *store = users->node->store;

    if (atomic_flag_test_and_set(&users->purging))
        return;
    struct page page = {.node = users->node, .now_ms = node_now_ms(users->node)};
    status_code status =
        store->operations->range(store, STORE_REVOCATION, users->purged_to, NULL, PURGE_PAGE, look_at, &page);

    if (status == STATUS_OK)
        remove_page(&page);
    if (page.n_seen < PURGE_PAGE)
        memset(page.last, 0, ID_LEN);
    memcpy(users->purged_to, page.last, ID_LEN);
    atomic_flag_clear(&users->purging);
}

status_code users_start_purging(struct users *users)
{
    CHECK(RAND_bytes_ex(crypto_context(), users->purged_to, ID_LEN, 0) == 1, STATUS_RANDOM_FAILED, "no random bytes");
    users_purge_revocations(users);
    return STATUS_OK;
}
