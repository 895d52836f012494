/* User records and their passwords: see account.h. */
#include "user/account.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "node.h"
#include "seal/index.h"

/* What accounts are found by, beyond the attribute numbers of objects. */
enum { TERM_USER_NAME = 0x100, TERM_USER_ROLE = 0x101, TERM_ADMIN_SIGNER = 0x102 };

enum {
    ACCOUNT_NAME = 1,
    ACCOUNT_ROLE,
    ACCOUNT_CREATED_MS,
    ACCOUNT_CREDENTIAL_VERSION,
    ACCOUNT_REQUEST_ID,
    ACCOUNT_ITERATIONS,
    ACCOUNT_SALT,
    ACCOUNT_HASH,
    ACCOUNT_SIGNER,
    ACCOUNT_SECOND_FACTOR
};

static const struct schema_entry entries[] = {
    [ACCOUNT_NAME] = {"NAME", VALUE_TEXT, USER_NAME_MAX, NULL},
    [ACCOUNT_ROLE] = {"ROLE", VALUE_UINT, ROLE_AUDITOR, NULL},
    [ACCOUNT_CREATED_MS] = {"CREATED_MS", VALUE_UINT, UINT64_MAX, NULL},
    [ACCOUNT_CREDENTIAL_VERSION] = {"CREDENTIAL_VERSION", VALUE_UINT, UINT64_MAX, NULL},
    [ACCOUNT_REQUEST_ID] = {"REQUEST_ID", VALUE_BIN, ID_LEN, NULL},
    [ACCOUNT_ITERATIONS] = {"ITERATIONS", VALUE_UINT, 1u << 30, NULL},
    [ACCOUNT_SALT] = {"SALT", VALUE_BIN, SALT_LEN, NULL},
    [ACCOUNT_HASH] = {"HASH", VALUE_BIN, PASSWORD_HASH_LEN, NULL},
    [ACCOUNT_SIGNER] = {"SIGNER", VALUE_BIN, SIGNER_MAX, NULL},
    [ACCOUNT_SECOND_FACTOR] = {"SECOND_FACTOR", VALUE_BOOL, 1, NULL},
};

static const struct schema account_schema = {"user field", entries, sizeof(entries) / sizeof(*entries)};

void account_wipe(struct account *account)
{
    secret_wipe(account, sizeof(*account));
}

static status_code draw(void *out, size_t len)
{
    CHECK(RAND_bytes_ex(crypto_context(), out, len, 0) == 1, STATUS_RANDOM_FAILED, "no random bytes");
    return STATUS_OK;
}

static status_code pbkdf2(struct slice password, const uint8_t salt[SALT_LEN], uint64_t iterations,
                          uint8_t hash[PASSWORD_HASH_LEN])
{
    char reason[128];
    EVP_KDF *kdf = EVP_KDF_fetch(crypto_context(), "PBKDF2", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA512", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)password.data, password.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, SALT_LEN),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_ITER, &iterations), OSSL_PARAM_construct_end()};
    int done = context ? EVP_KDF_derive(context, hash, PASSWORD_HASH_LEN, parameters) : 0;

    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    CHECK(done > 0, STATUS_INTERNAL, "PBKDF2: %s", failure_openssl_reason(reason, sizeof(reason)));
    return STATUS_OK;
}

static status_code check_name(struct slice name)
{
    CHECK(name.len >= 1 && name.len <= USER_NAME_MAX, STATUS_INVALID_ARGUMENT, "a user name has 1 to %u characters",
          USER_NAME_MAX);
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool allowed =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("._@-", c));

        CHECK(allowed, STATUS_INVALID_ARGUMENT, "a user name consists of letters, digits and . _ @ -");
    }
    return STATUS_OK;
}

static status_code check_password_rules(const struct account *account, struct slice password)
{
    CHECK(password.len >= PASSWORD_MIN && password.len <= PASSWORD_MAX, STATUS_PASSWORD_UNACCEPTABLE,
          "a password has %u to %u bytes", PASSWORD_MIN, PASSWORD_MAX);
    CHECK(text_is_valid(password), STATUS_PASSWORD_UNACCEPTABLE, "a password is UTF-8 without NUL");
    CHECK(password.len != strlen(account->name) ||
              strncasecmp((const char *)password.data, account->name, password.len) != 0,
          STATUS_PASSWORD_UNACCEPTABLE, "the password is the user's name");
    return STATUS_OK;
}

status_code account_set_password(struct node *node, struct account *account, struct slice password)
{
    TRY(check_password_rules(account, password));
    TRY(draw(account->salt, SALT_LEN));
    TRY(draw(&account->credential_version, sizeof(account->credential_version)));
    account->iterations = node->config.password_iterations;
    return pbkdf2(password, account->salt, account->iterations, account->hash);
}

status_code account_new(struct node *node, struct slice name, struct slice password, enum role role,
                        struct account *account)
{
    memset(account, 0, sizeof(*account));
    TRY(check_name(name));
    CHECK(role_name(role), STATUS_INVALID_ARGUMENT, "there is no role %u", role);
    memcpy(account->name, name.data, name.len);
    account->role = role;
    account->created_ms = node_now_ms(node);
    TRY(draw(account->id, ID_LEN));
    return account_set_password(node, account, password);
}

status_code account_check_password(const struct account *account, struct slice password)
{
    uint8_t hash[PASSWORD_HASH_LEN];

    TRY(pbkdf2(password, account->salt, account->iterations, hash));
    bool same = secret_equal(slice_of(hash, sizeof(hash)), slice_of(account->hash, sizeof(account->hash)));

    secret_wipe(hash, sizeof(hash));
    CHECK(same, STATUS_LOGIN_FAILED, "wrong user name or password");
    return STATUS_OK;
}

status_code account_check_nobody(struct node *node, struct slice password)
{
    struct account nobody = {.iterations = node->config.password_iterations};

    (void)account_check_password(&nobody, password);
    FAIL(STATUS_LOGIN_FAILED, "wrong user name or password");
}

static status_code decode(const struct values *values, struct account *account)
{
    struct slice name = values_bytes(values, ACCOUNT_NAME), salt = values_bytes(values, ACCOUNT_SALT);
    struct slice hash = values_bytes(values, ACCOUNT_HASH), request = values_bytes(values, ACCOUNT_REQUEST_ID);

    CHECK(name.len && salt.len == SALT_LEN && hash.len == PASSWORD_HASH_LEN, STATUS_STORE_DAMAGED,
          "a user's record is incomplete: restore from a backup");
    memset(account->name, 0, sizeof(account->name));
    memcpy(account->name, name.data, name.len);
    account->role = (enum role)values_uint(values, ACCOUNT_ROLE, ROLE_NONE);
    account->created_ms = values_uint(values, ACCOUNT_CREATED_MS, 0);
    account->credential_version = values_uint(values, ACCOUNT_CREDENTIAL_VERSION, 0);
    account->iterations = values_uint(values, ACCOUNT_ITERATIONS, 0);
    memcpy(account->salt, salt.data, SALT_LEN);
    memcpy(account->hash, hash.data, PASSWORD_HASH_LEN);
    struct slice signer = values_bytes(values, ACCOUNT_SIGNER);

    account->signer_len = signer.len;
    account->second_factor = values_bool(values, ACCOUNT_SECOND_FACTOR, false);
    if (signer.len)
        memcpy(account->signer, signer.data, signer.len);
    memset(account->request_id, 0, ID_LEN);
    if (request.len == ID_LEN)
        memcpy(account->request_id, request.data, ID_LEN);
    return STATUS_OK;
}

status_code account_open(struct node *node, const struct store_record *record, struct account *account)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    struct values values;

    TRY(record_open(node, record, &plaintext));
    TRY(record_decode(&account_schema, &plaintext, &values));
    memcpy(account->id, record->id, ID_LEN);
    account->version = record->version;
    return decode(&values, account);
}

status_code account_read(struct node *node, const uint8_t id[ID_LEN], struct account *account)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    struct values values;

    TRY(record_read(node, STORE_USER, id, &plaintext, &account->version));
    TRY(record_decode(&account_schema, &plaintext, &values));
    memcpy(account->id, id, ID_LEN);
    return decode(&values, account);
}

struct search {
    struct node *node;
    struct account *account;
    bool found;
};

static status_code take_found(void *context, const struct store_record *record)
{
    struct search *search = context;

    search->found = true;
    return account_open(search->node, record, search->account);
}

status_code account_find(struct node *node, struct slice name, struct account *account)
{
    struct search search = {node, account, false};
    const struct index_term term = {TERM_USER_NAME, name};

    TRY(index_find(node, STORE_USER, &term, 1, NULL, 1, take_found, &search));
    CHECK(search.found, STATUS_USER_NOT_FOUND, "there is no user %.*s", (int)name.len, (const char *)name.data);
    return STATUS_OK;
}

static const struct index_term signer_term = {TERM_ADMIN_SIGNER, {(const uint8_t *)"1", 1}};

static status_code count_one(void *context, const struct store_record *record)
{
    (void)record;
    ++*(uint64_t *)context;
    return STATUS_OK;
}

/* Exactly, also while records are sealed anew: whether the last administrator may go hangs on it. */
static status_code count(struct node *node, const struct index_term *term, uint64_t *n)
{
    *n = 0;
    return index_find(node, STORE_USER, term, 1, NULL, USERS_MAX, count_one, n);
}

status_code account_count_role(struct node *node, enum role role, uint64_t *n)
{
    uint8_t byte = (uint8_t)role;
    const struct index_term term = {TERM_USER_ROLE, slice_of(&byte, 1)};

    return count(node, &term, n);
}

status_code account_count_signers(struct node *node, uint64_t *n)
{
    return count(node, &signer_term, n);
}

/* What the account is found by, as its record is sealed. */
static status_code put_tokens(struct node *node, const struct account *account, struct bytes *memory,
                              struct store_write *write)
{
    uint8_t role = (uint8_t)account->role;
    const struct index_term terms[] = {
        {TERM_USER_NAME, slice_text(account->name)}, {TERM_USER_ROLE, slice_of(&role, 1)}, signer_term};

    return index_put_tokens(node, terms, account->role == ROLE_ADMIN && account->signer_len ? 3 : 2, memory, write);
}

status_code account_write(struct node *node, const struct account *account, struct resealed *memory,
                          struct store_write *write)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    struct values values;

    values_init(&values);
    values_put_bytes(&values, ACCOUNT_NAME, slice_text(account->name));
    values_put_uint(&values, ACCOUNT_ROLE, account->role);
    values_put_uint(&values, ACCOUNT_CREATED_MS, account->created_ms);
    values_put_uint(&values, ACCOUNT_CREDENTIAL_VERSION, account->credential_version);
    values_put_bytes(&values, ACCOUNT_REQUEST_ID, slice_of(account->request_id, ID_LEN));
    values_put_uint(&values, ACCOUNT_ITERATIONS, account->iterations);
    values_put_bytes(&values, ACCOUNT_SALT, slice_of(account->salt, SALT_LEN));
    values_put_bytes(&values, ACCOUNT_HASH, slice_of(account->hash, PASSWORD_HASH_LEN));
    if (account->signer_len)
        values_put_bytes(&values, ACCOUNT_SIGNER, slice_of(account->signer, account->signer_len));
    values_put_bool(&values, ACCOUNT_SECOND_FACTOR, account->second_factor);
    values_encode(&account_schema, &values, &plaintext);
    TRY(bytes_ok(&plaintext));
    TRY(record_prepare(node, STORE_USER, account->id, account->version, bytes_slice(&plaintext), &memory->value,
                       write));
    return put_tokens(node, account, &memory->tokens, write);
}

status_code account_reseal(struct node *node, const struct store_record *record, struct resealed *memory,
                           struct store_write *write)
{
    CLEANUP(account_wipe) struct account account;

    TRY(account_open(node, record, &account));
    TRY(record_reseal(node, record, memory, write));
    return put_tokens(node, &account, &memory->tokens, write);
}
