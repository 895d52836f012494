/* Finding sealed records by what is in them: by index terms, of which the store sees keyed hashes (tokens) only. The
 * tokens of a record are of the generation that it is sealed under, so while one masking key takes the place of another
 * a search looks for both. */
#pragma once

#include "seal/keyring.h"

struct node;

/** Something to be found by: `what` as in keyring_token. */
struct index_term {
    uint32_t what;
    struct slice value;
};

/** Puts the terms' tokens into a write, which has its value already and refers to `memory`. */
status_code index_put_tokens(struct node *node, const struct index_term *terms, size_t n, struct bytes *memory,
                             struct store_write *write);

/** Records of a kind that have all the terms, after an id (NULL: from the first), as store_operations.find. Order the
 * terms by selectivity, best first. STATUS_BUSY, after visits, when the search was overtaken by a new masking key. */
status_code index_find(struct node *node, enum store_kind kind, const struct index_term *terms, size_t n,
                       const uint8_t *after, size_t limit, store_visitor visit, void *context);

/** How many records have a term; while a masking key is being replaced, perhaps some too many. */
status_code index_count(struct node *node, enum store_kind kind, const struct index_term *term, uint64_t *n);
