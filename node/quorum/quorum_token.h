/* A token as it stands in the store, and its text. Nobody but node/quorum includes this. */
#pragma once

#include "quorum/quorum.h"

#define APPROVALS_MAX   64u
#define SPENT_MAX       16u /* uses that are remembered, so that a resent request spends nothing */
#define SIGNER_HASH_LEN 32u

/** Who approved, with which key. */
struct approval {
    uint8_t user_id[ID_LEN];
    uint8_t signer_hash[SIGNER_HASH_LEN];
};

struct spent {
    uint8_t request_hash[32];
    uint8_t time_ms[8]; /* big-endian */
};

struct quorum_token {
    uint8_t id[ID_LEN];
    uint64_t version; /* of the record */
    enum quorum_service service;
    uint8_t requester_id[ID_LEN];
    char requester[USER_NAME_MAX + 1];
    bool has_object;
    uint8_t object_id[ID_LEN];
    uint64_t uses, uses_left, expires_ms;
    struct approval approvals[APPROVALS_MAX];
    size_t n_approvals;
    struct spent spent[SPENT_MAX]; /* newest first */
    size_t n_spent;
};

/** STATUS_OBJECT_NOT_FOUND; an expired token is there until somebody removes it. */
status_code quorum_token_read(struct node *node, const uint8_t id[ID_LEN], struct quorum_token *token);
status_code quorum_token_open(struct node *node, const struct store_record *record, struct quorum_token *token);

/** Writes it in place of the version that was read. STATUS_CONFLICT. */
status_code quorum_token_write(struct node *node, const struct quorum_token *token);
status_code quorum_token_remove(struct node *node, const struct quorum_token *token);

/** What approvers sign: lines that they can read. */
status_code quorum_token_text(struct node *node, const struct quorum_token *token, struct bytes *text);
