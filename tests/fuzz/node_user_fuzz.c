/* Users, the cluster record and tickets: as sealed bytes that anybody may have written, and as the plaintext of a seal
 * that holds, since the seal is no reason to trust lengths. The first byte chooses. What opens is a whole account. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "node.h"
#include "user/account.h"
#include "user/cluster_record.h"
#include "user/lockout.h"
#include "seal/record.h"
#include "user/ticket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A store that holds the input under every id. */
static struct slice content;

static status_code read_content(struct store *store, enum store_kind kind, const uint8_t id[ID_LEN],
                                struct bytes *value, uint64_t *version)
{
    (void)store, (void)kind, (void)id;
    *version = 1;
    return bytes_assign(value, content);
}

static const struct store_operations operations = {.read = read_content};
static struct store store = {&operations};
static struct node node = {.store = &store};
static char folder[] = "/tmp/node_user_fuzz.XXXXXX"; /* the identity's: of a node that has no cluster yet */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

static void stop(void)
{
    keyring_free(node.keyring);
    identity_close(node.identity);
    crypto_stop();
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void start(void)
{
    static const struct crypto_policy policy;
    static const uint8_t cluster_id[ID_LEN] = {1};
    CLEANUP(secret_release) struct secret masking_keys = SECRET_INIT;

    if (crypto_start(false, &policy) != STATUS_OK || masking_keys_make(FIRST_GENERATION, &masking_keys) != STATUS_OK ||
        keyring_create(secret_slice(&masking_keys), cluster_id, &node.keyring) != STATUS_OK || !mkdtemp(folder) ||
        identity_open(&node, folder, &node.identity) != STATUS_OK || atexit(stop) != 0)
        abort();
}

static void read_account(const uint8_t id[ID_LEN])
{
    CLEANUP(account_wipe) struct account account;

    if (account_read(&node, id, &account) != STATUS_OK)
        return;
    if (strnlen(account.name, sizeof(account.name)) > USER_NAME_MAX || account.role > ROLE_AUDITOR)
        __builtin_trap();
}

static void read_others(const uint8_t id[ID_LEN])
{
    struct cluster_record record;
    struct ticket ticket;
    bool failures;

    if (cluster_record_read(&node, &record) == STATUS_OK && strnlen(record.name, sizeof(record.name)) > 128)
        __builtin_trap();
    (void)lockout_check(&node, id, &failures);
    (void)ticket_open(&node, content, &ticket);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    static const enum store_kind kinds[4] = {STORE_USER, STORE_CLUSTER, STORE_LOGIN, STORE_REVOCATION};
    static const uint8_t id[ID_LEN];
    struct store_write write;

    if (!node.keyring)
        start();
    if (len < 1)
        return 0;
    struct slice rest = slice_of(data + 1, len - 1);

    content = rest;
    if (data[0] & 0x80 && record_prepare(&node, kinds[data[0] & 3], id, 0, rest, &sealed, &write) == STATUS_OK)
        content = write.value;
    if (data[0] & 0x40 && seal(node.keyring, SEAL_NEWEST, SEAL_TICKET,
                               slice_of(identity_cluster_id(node.identity), ID_LEN), rest, &sealed) == STATUS_OK)
        content = slice_of(sealed.data + sealed.len - SEAL_OVERHEAD - rest.len, SEAL_OVERHEAD + rest.len);
    read_account(id);
    read_others(id);
    return 0;
}
