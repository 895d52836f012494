/* See index.h. */
#include "seal/index.h"

#include <stdlib.h>
#include "node.h"
#include "rotation/rotation.h"

#define TERMS_MAX (VALUES_MAX + 8u)
#define CHUNK     64u /* records that are compared at a time */

static status_code tokens_of(struct node *node, uint32_t generation, const struct index_term *terms, size_t n,
                             struct index_token *tokens)
{
    for (size_t i = 0; i < n; i++)
        TRY(keyring_token(node->keyring, generation, terms[i].what, terms[i].value, &tokens[i]));
    return STATUS_OK;
}

status_code index_put_tokens(struct node *node, const struct index_term *terms, size_t n, struct bytes *memory,
                             struct store_write *write)
{
    struct index_token *tokens = (struct index_token *)bytes_reserve(memory, n * sizeof(*tokens));

    TRY(bytes_ok(memory));
    write->tokens = tokens;
    write->n_tokens = n;
    return tokens_of(node, generation_of(write->value), terms, n, tokens);
}

static status_code find_of(struct node *node, uint32_t generation, enum store_kind kind, const struct index_term *terms,
                           size_t n, const uint8_t *after, size_t limit, store_visitor visit, void *context)
{
    struct index_token tokens[TERMS_MAX];

    CHECK(n <= TERMS_MAX, STATUS_INTERNAL, "a search for %zu terms", n);
    TRY(tokens_of(node, generation, terms, n, tokens));
    return node->store->operations->find(node->store, kind, tokens, n, after, limit, visit, context);
}

/* Nobody may have begun to seal under a key of which this node did not know when it searched: it would have missed
 * that.
 */
static status_code check_complete(struct node *node, uint32_t newest_searched)
{
    TRY(rotation_refresh(node));
    CHECK(keyring_newest(node->keyring) == newest_searched, STATUS_BUSY,
          "the masking key is being replaced, and a search was overtaken: send it again");
    return STATUS_OK;
}

/* --- several generations --- */

/* What one search found, kept until the others' are there. */
struct found {
    struct store_record *records; /* ascending; their values are their own */
    size_t n, capacity;
};

static void found_release(struct found *found)
{
    for (size_t i = 0; i < found->n; i++)
        free((void *)found->records[i].value.data);
    free(found->records);
}

static status_code keep(void *context, const struct store_record *record)
{
    struct found *found = context;

    if (found->n == found->capacity) {
        size_t capacity = found->capacity ? 2 * found->capacity : 64;
        struct store_record *grown = realloc(found->records, capacity * sizeof(*grown));

        CHECK(grown, STATUS_OUT_OF_MEMORY, "no memory for a search");
        found->records = grown;
        found->capacity = capacity;
    }
    uint8_t *value = malloc(record->value.len + 1);

    CHECK(value, STATUS_OUT_OF_MEMORY, "no memory for a search");
    memcpy(value, record->value.data, record->value.len);
    found->records[found->n] = *record;
    found->records[found->n++].value = slice_of(value, record->value.len);
    return STATUS_OK;
}

static int by_id(const void *a, const void *b)
{
    const struct store_record *one = a, *other = b;
    int order = memcmp(one->id, other->id, ID_LEN);

    return order ? order : (one->version < other->version) - (one->version > other->version);
}

/* In the order of their ids; a record that was sealed anew between the searches, and so was found twice, once. */
static status_code visit_found(struct found *found, size_t limit, store_visitor visit, void *context, size_t *n_visited,
                               uint8_t last[ID_LEN])
{
    *n_visited = 0;
    if (found->n)
        qsort(found->records, found->n, sizeof(*found->records), by_id);
    for (size_t i = 0; i < found->n && *n_visited < limit; i++) {
        if (i && memcmp(found->records[i].id, found->records[i - 1].id, ID_LEN) == 0)
            continue;
        memcpy(last, found->records[i].id, ID_LEN);
        TRY(visit(context, &found->records[i]));
        (*n_visited)++;
    }
    return STATUS_OK;
}

struct search {
    struct node *node;
    enum store_kind kind;
    const struct index_term *terms;
    size_t n_terms;
    uint32_t generations[MASKING_KEYS_MAX];
    unsigned n_generations;
};

/* The oldest generation first: a record moves to newer ones only, and so is not missed. */
static status_code find_chunk(const struct search *search, const uint8_t *after, size_t limit, store_visitor visit,
                              void *context, size_t *n_visited, uint8_t last[ID_LEN])
{
    CLEANUP(found_release) struct found found = {.records = NULL};

    for (unsigned i = 0; i < search->n_generations; i++)
        TRY(find_of(search->node, search->generations[i], search->kind, search->terms, search->n_terms, after, limit,
                    keep, &found));
    return visit_found(&found, limit, visit, context, n_visited, last);
}

static status_code find_in_all(const struct search *search, const uint8_t *after, size_t limit, store_visitor visit,
                               void *context)
{
    uint8_t last[ID_LEN];
    size_t n = 0, chunk;

    do {
        chunk = limit < CHUNK ? limit : CHUNK;
        TRY(find_chunk(search, after, chunk, visit, context, &n, last));
        after = last;
        limit -= n;
    } while (n == chunk && limit > 0);
    return STATUS_OK;
}

status_code index_find(struct node *node, enum store_kind kind, const struct index_term *terms, size_t n,
                       const uint8_t *after, size_t limit, store_visitor visit, void *context)
{
    struct search search = {.node = node, .kind = kind, .terms = terms, .n_terms = n};

    search.n_generations = keyring_searched(node->keyring, search.generations);
    status_code status = search.n_generations == 1
                             ? find_of(node, search.generations[0], kind, terms, n, after, limit, visit, context)
                             : find_in_all(&search, after, limit, visit, context);

    if (status != STATUS_OK && status != STATUS_PENDING) /* PENDING: the visitor has enough */
        return status;
    TRY(check_complete(node, search.generations[search.n_generations - 1]));
    return status;
}

status_code index_count(struct node *node, enum store_kind kind, const struct index_term *term, uint64_t *n)
{
    uint32_t generations[MASKING_KEYS_MAX];
    unsigned n_generations = keyring_searched(node->keyring, generations);

    *n = 0;
    for (unsigned i = 0; i < n_generations; i++) {
        struct index_token token;
        uint64_t of_generation;

        TRY(tokens_of(node, generations[i], term, 1, &token));
        TRY(node->store->operations->count(node->store, kind, &token, &of_generation));
        *n += of_generation;
    }
    return check_complete(node, generations[n_generations - 1]);
}
