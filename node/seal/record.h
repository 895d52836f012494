/* Sealed records: what the store holds of nodes, users, logins, tokens, the audit log and the cluster itself, opened
 * and prepared for writing, bound to kind, id and version. (Objects, which seal their key material apart, have records
 * of their own: object/record.c.) */
#pragma once

#include "protocol/values.h"
#include "seal/keyring.h"

struct node;

/** Opens the record that the store holds. STATUS_OBJECT_NOT_FOUND; STATUS_STORE_DAMAGED. */
status_code record_read(struct node *node, enum store_kind kind, const uint8_t id[ID_LEN], struct bytes *plaintext,
                        uint64_t *version);

/** Opens a record that was read already. */
status_code record_open(struct node *node, const struct store_record *record, struct bytes *plaintext);

/** Decodes an opened record. STATUS_STORE_DAMAGED. */
status_code record_decode(const struct schema *schema, const struct bytes *plaintext, struct values *values);

/** Seals `plaintext` as the version after `version` (0: a new record) and fills in the write, which refers to `sealed`.
 */
status_code record_prepare(struct node *node, enum store_kind kind, const uint8_t id[ID_LEN], uint64_t version,
                           struct slice plaintext, struct bytes *sealed, struct store_write *write);

/** The write that removes a record. */
struct store_write record_removal(enum store_kind kind, const uint8_t id[ID_LEN], uint64_t version);

/** What every sealing of a record is bound to: kind, id, version. */
#define RECORD_CONTEXT_LEN (1u + ID_LEN + 8u)
struct slice record_context(enum store_kind kind, const uint8_t id[ID_LEN], uint64_t version,
                            uint8_t context[RECORD_CONTEXT_LEN]);

/* Sealing anew, under the newest masking key, as the next version: what each kind of record needs for that has one of
 * these functions. The write refers to `memory`. */

struct resealed {
    struct bytes value, tokens;
};

#define RESEALED_INIT                                                                                                  \
    {                                                                                                                  \
        BYTES_INIT, BYTES_INIT                                                                                         \
    }

/* For CLEANUP. */
void resealed_release(struct resealed *memory);

typedef status_code (*resealer)(struct node *node, const struct store_record *record, struct resealed *memory,
                                struct store_write *write);

/** Of a record without index terms. */
status_code record_reseal(struct node *node, const struct store_record *record, struct resealed *memory,
                          struct store_write *write);
