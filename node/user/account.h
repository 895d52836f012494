/* One user's record: role, password and the credential version that its tickets carry. */
#pragma once

#include "seal/record.h"
#include "user/user.h"

#define SALT_LEN          16u
#define PASSWORD_HASH_LEN 64u
#define SIGNER_MAX        1024u

struct account {
    uint8_t id[ID_LEN];
    uint64_t version; /* of the record */
    char name[USER_NAME_MAX + 1];
    enum role role;
    uint64_t created_ms;
    uint64_t credential_version; /* random: a ticket of a deleted user of the same name never fits */
    uint8_t request_id[ID_LEN];  /* of the creation */
    uint64_t iterations;
    uint8_t salt[SALT_LEN];
    uint8_t hash[PASSWORD_HASH_LEN]; /* PBKDF2-HMAC-SHA-512 (SP 800-132) */
    size_t signer_len;               /* 0: no key for approvals is registered */
    uint8_t signer[SIGNER_MAX];      /* SubjectPublicKeyInfo */
    bool second_factor;              /* logins need a challenge signed with it */
};

/** Wipes it. Fits CLEANUP(). */
void account_wipe(struct account *account);

/** A new account with a fresh id and this password. */
status_code account_new(struct node *node, struct slice name, struct slice password, enum role role,
                        struct account *account);

/** Gives it a new password, salt and credential version. STATUS_PASSWORD_UNACCEPTABLE. */
status_code account_set_password(struct node *node, struct account *account, struct slice password);

/** STATUS_LOGIN_FAILED when it is another password. Slow. */
status_code account_check_password(const struct account *account, struct slice password);

/** Does the work of a check for a user that does not exist, so that the two take equally long. */
status_code account_check_nobody(struct node *node, struct slice password);

status_code account_read(struct node *node, const uint8_t id[ID_LEN], struct account *account);
status_code account_find(struct node *node, struct slice name, struct account *account);
status_code account_open(struct node *node, const struct store_record *record, struct account *account);

/** Number of users with a role. */
status_code account_count_role(struct node *node, enum role role, uint64_t *n);

/** Number of administrators who registered a key for approvals. */
status_code account_count_signers(struct node *node, uint64_t *n);

/** Fills in the write that replaces the account's record; it refers to `memory`. */
status_code account_write(struct node *node, const struct account *account, struct resealed *memory,
                          struct store_write *write);

status_code account_reseal(struct node *node, const struct store_record *record, struct resealed *memory,
                           struct store_write *write);
