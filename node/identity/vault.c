/* The sealed file of the state folder, and the key protector that it is sealed under (vault.h). */
#include "identity/vault.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "crypto/key.h"
#include "identity/state_file.h"
#include "protocol/values.h"
#include "seal/masking_keys.h"

#define VAULT_FILE     "identity"
#define SECRET_FILE    "node.secret"
#define CREDENTIAL     "hsmd-secret"
#define SECRET_SIZE    32u
#define CREDENTIAL_MIN 16u
#define CREDENTIAL_MAX 4096u
#define VAULT_MAX      8192u
#define MAGIC          "hsmd identity 2\n"
#define INFO           "hsmd state folder"

enum entry {
    STATE = 1,
    NODE,
    TLS_KEY,
    MASKING_KEYS,
    CLUSTER,
    CLUSTER_NAME,
    CA_HASH,
    FOUNDING,
    SEAL_ID,
    SETTLED,
    N_ENTRIES
};

static const struct schema_entry ENTRIES[N_ENTRIES] = {
    [STATE] = {"state", VALUE_UINT, IDENTITY_MEMBER, "life cycle"},
    [NODE] = {"node", VALUE_BIN, ID_LEN, "id of this node"},
    [TLS_KEY] = {"tls-key", VALUE_BIN, 4096, "PKCS#8"},
    [MASKING_KEYS] = {"masking-keys", VALUE_BIN, MASKING_KEYS_LEN_MAX, "the cluster's"},
    [CLUSTER] = {"cluster", VALUE_BIN, ID_LEN, "id of the cluster"},
    [CLUSTER_NAME] = {"cluster-name", VALUE_TEXT, 128, "for people"},
    [CA_HASH] = {"ca-hash", VALUE_BIN, 32, "SHA-256 of the CA certificate"},
    [FOUNDING] = {"founding", VALUE_BOOL, 1, "the cluster's record is to be created"},
    [SEAL_ID] = {"seal-id", VALUE_BIN, ID_LEN, "what sealings are bound to, if not the cluster's id"},
    [SETTLED] = {"settled", VALUE_UINT, UINT32_MAX, "generation before which nothing of the store opens"},
};
static const struct schema SCHEMA = {"identity", ENTRIES, N_ENTRIES};

static void close_descriptor(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/** systemd puts credentials into a folder that only this unit sees; its modes are systemd's business. */
static status_code read_credential(struct bytes *secret)
{
    const char *path = getenv("CREDENTIALS_DIRECTORY");
    CLEANUP(close_descriptor) int folder = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder < 0 || !state_file_exists(folder, CREDENTIAL))
        return STATUS_OBJECT_NOT_FOUND;
    TRY(state_file_read(folder, CREDENTIAL, CREDENTIAL_MAX, false, secret));
    CHECK(secret->len >= CREDENTIAL_MIN, STATUS_CONFIG_INVALID, "credential " CREDENTIAL " is shorter than %u bytes",
          CREDENTIAL_MIN);
    return STATUS_OK;
}

static status_code make_secret(int folder, struct bytes *secret)
{
    bytes_clear(secret);
    uint8_t *at = bytes_reserve(secret, SECRET_SIZE);
    CHECK(at, STATUS_OUT_OF_MEMORY, "no memory for a secret");
    CHECK(RAND_priv_bytes_ex(crypto_context(), at, SECRET_SIZE, 0) == 1, STATUS_RANDOM_FAILED, "no random bytes");
    secret->len = SECRET_SIZE;
    return state_file_write(folder, SECRET_FILE, bytes_slice(secret));
}

/** `make`: in a fresh folder, where nothing is sealed yet. */
static status_code read_protector(int folder, bool make, struct bytes *secret)
{
    status_code code = read_credential(secret);
    if (code != STATUS_OBJECT_NOT_FOUND)
        return code;
    if (make && !state_file_exists(folder, SECRET_FILE))
        return make_secret(folder, secret);

    code = state_file_read(folder, SECRET_FILE, SECRET_SIZE, true, secret);
    CHECK(code != STATUS_OBJECT_NOT_FOUND, STATUS_CONFIG_INVALID,
          "the state folder holds an identity, but neither " SECRET_FILE " nor the systemd credential " CREDENTIAL
          " that it is sealed under: restore it");
    TRY(code);
    CHECK(secret->len == SECRET_SIZE, STATUS_STORE_DAMAGED,
          SECRET_FILE " in the state folder is damaged: it has %zu bytes, not %u", secret->len, SECRET_SIZE);
    return STATUS_OK;
}

static status_code copy_fixed(const struct values *values, enum entry entry, uint8_t *out, size_t len)
{
    struct slice value = values_bytes(values, entry);
    if (!values_has(values, entry))
        return STATUS_OK;
    CHECK(value.len == len, STATUS_STORE_DAMAGED, "the identity file holds a %s of %zu bytes, not %zu",
          ENTRIES[entry].name, value.len, len);
    memcpy(out, value.data, len);
    return STATUS_OK;
}

static status_code decode(struct slice plaintext, struct vault *vault)
{
    struct values values;
    TRY(values_decode_all(&SCHEMA, plaintext, &values));
    vault->state = (enum identity_state)values_uint(&values, STATE, IDENTITY_EMPTY);
    vault->founding = values_bool(&values, FOUNDING, false);
    vault->settled = (uint32_t)values_uint(&values, SETTLED, 0);
    TRY(copy_fixed(&values, NODE, vault->node_id, ID_LEN));
    TRY(copy_fixed(&values, CLUSTER, vault->cluster_id, ID_LEN));
    memcpy(vault->seal_id, vault->cluster_id, ID_LEN);
    TRY(copy_fixed(&values, SEAL_ID, vault->seal_id, ID_LEN));
    TRY(copy_fixed(&values, CA_HASH, vault->ca_hash, sizeof vault->ca_hash));
    TRY(secret_copy(&vault->tls_key, values_bytes(&values, TLS_KEY)));
    TRY(secret_copy(&vault->masking_keys, values_bytes(&values, MASKING_KEYS)));
    struct slice name = values_bytes(&values, CLUSTER_NAME);
    snprintf(vault->cluster_name, sizeof vault->cluster_name, "%.*s", (int)name.len, (const char *)name.data);
    bool whole =
        values_has(&values, NODE) && values_has(&values, TLS_KEY) &&
        (vault->state == IDENTITY_EMPTY || masking_keys_check(secret_slice(&vault->masking_keys)) == STATUS_OK);
    CHECK(whole, STATUS_STORE_DAMAGED, "the identity file lacks a part");
    return STATUS_OK;
}

status_code vault_load(int folder, struct vault *vault)
{
    CLEANUP(bytes_release) struct bytes file = BYTES_INIT, secret = BYTES_SECRET, plaintext = BYTES_SECRET;
    size_t magic_len = sizeof MAGIC - 1;

    memset(vault, 0, sizeof *vault);
    TRY(state_file_read(folder, VAULT_FILE, VAULT_MAX, true, &file));
    CHECK(file.len > magic_len && memcmp(file.data, MAGIC, magic_len) == 0, STATUS_STORE_DAMAGED,
          "the file " VAULT_FILE " in the state folder is damaged, or not hsmd's: restore it from a backup");
    TRY(read_protector(folder, false, &secret));
    status_code code = sealed_open(bytes_slice(&secret), slice_text(""), INFO, slice_text(MAGIC),
                                   slice_of(file.data + magic_len, file.len - magic_len), &plaintext);
    CHECK(code != STATUS_CIPHERTEXT_INVALID, STATUS_STORE_DAMAGED,
          "the file " VAULT_FILE " does not open under this node's secret: one of both is damaged or another node's; "
          "restore them together");
    TRY(code);
    return decode(bytes_slice(&plaintext), vault);
}

static void encode(const struct vault *vault, struct bytes *out)
{
    struct values values;
    values_init(&values);
    values_put_uint(&values, STATE, vault->state);
    values_put_bytes(&values, NODE, slice_of(vault->node_id, ID_LEN));
    values_put_bytes(&values, TLS_KEY, secret_slice(&vault->tls_key));
    if (vault->state != IDENTITY_EMPTY) {
        values_put_bytes(&values, MASKING_KEYS, secret_slice(&vault->masking_keys));
        values_put_bytes(&values, CLUSTER, slice_of(vault->cluster_id, ID_LEN));
        values_put_bytes(&values, CLUSTER_NAME, slice_text(vault->cluster_name));
        values_put_bytes(&values, SEAL_ID, slice_of(vault->seal_id, ID_LEN));
        values_put_bool(&values, FOUNDING, vault->founding);
        values_put_uint(&values, SETTLED, vault->settled);
    }
    if (vault->state == IDENTITY_MEMBER)
        values_put_bytes(&values, CA_HASH, slice_of(vault->ca_hash, sizeof vault->ca_hash));
    values_encode(&SCHEMA, &values, out);
}

status_code vault_save(int folder, const struct vault *vault)
{
    CLEANUP(bytes_release) struct bytes file = BYTES_INIT, secret = BYTES_SECRET, plaintext = BYTES_SECRET;

    TRY(read_protector(folder, !state_file_exists(folder, VAULT_FILE), &secret));
    encode(vault, &plaintext);
    TRY(bytes_ok(&plaintext));
    bytes_append(&file, MAGIC, sizeof MAGIC - 1);
    TRY(sealed_make(bytes_slice(&secret), slice_text(""), INFO, slice_text(MAGIC), bytes_slice(&plaintext), &file));
    return state_file_write(folder, VAULT_FILE, bytes_slice(&file));
}

void vault_release(struct vault *vault)
{
    secret_release(&vault->tls_key);
    secret_release(&vault->masking_keys);
    memset(vault, 0, sizeof *vault);
}
