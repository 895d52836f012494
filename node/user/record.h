/* Sealed records of this folder (cluster, users, failed logins, revocations): opened and prepared for writing, bound to
 * kind, id and version. */
#pragma once

#include "protocol/values.h"
#include "store/store.h"

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
