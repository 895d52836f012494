/* Finding objects by attributes, through the store's index.
 *
 * The index holds keyed hashes of attribute values (flags only where they are true), of whom the object is visible to,
 * and of its owner. A search gives the store the tokens of what is asked for, most selective first, and then compares
 * on the unsealed attributes what the index does not tell. Key material stays sealed. What is everybody's is not
 * indexed for its owner too, so that a search in two phases, own and shared, then everybody's, sees each object once.
 */
#include "object/object_internal.h"

#include "protocol/writer.h"

#define EXAMINED_MAX   4096u /* records looked at for one page, whether they fit or not */
#define PAGE_BYTES_MAX ((size_t)512 << 10)
#define CURSOR_LEN     (1 + ID_LEN)

enum phase { PHASE_VISIBLE, PHASE_EVERYBODY, PHASE_END };

/* Attributes of the index, most selective first; those not named here come after, in the order of their numbers. */
static const uint8_t SELECTIVE[] = {ATTRIBUTE_ID,        ATTRIBUTE_LABEL,       ATTRIBUTE_MODULUS,
                                    ATTRIBUTE_EC_POINT,  ATTRIBUTE_CHECK_VALUE, ATTRIBUTE_SERIAL_NUMBER,
                                    ATTRIBUTE_SUBJECT,   ATTRIBUTE_URL,         ATTRIBUTE_OBJECT_IDENTIFIER,
                                    ATTRIBUTE_ISSUER,    ATTRIBUTE_APPLICATION, ATTRIBUTE_START_DATE,
                                    ATTRIBUTE_END_DATE,  ATTRIBUTE_TRUSTED,     ATTRIBUTE_KEY_GEN_MECHANISM,
                                    ATTRIBUTE_EC_PARAMS, ATTRIBUTE_KEY_TYPE,    ATTRIBUTE_CLASS};

/* Terms of the index. */

struct terms {
    struct index_term term[TERMS_MAX];
    uint8_t numbers[VALUES_MAX][8]; /* of the attributes that are numbers */
    size_t n;
};

/** Whether the index tells this value: the unique id is the object's own, and false flags are too common to keep. */
static bool is_indexed(const struct values *attributes, uint32_t i)
{
    if (!values_has(attributes, i) || !(attribute_flags(i) & ATTRIBUTE_FLAG_INDEXED) || i == ATTRIBUTE_UNIQUE_ID)
        return false;
    return ATTRIBUTE_SCHEMA.entries[i].type != VALUE_BOOL || values_bool(attributes, i, false);
}

/** A number's bytes go to `number`, which the term borrows. */
static struct index_term attribute_term(const struct values *attributes, uint32_t i, uint8_t number[8])
{
    uint64_t value = attributes->value[i].number;

    switch (ATTRIBUTE_SCHEMA.entries[i].type) {
    case VALUE_BOOL:
        number[0] = attributes->value[i].flag;
        return (struct index_term){i, slice_of(number, 1)};
    case VALUE_UINT:
        for (int at = 0; at < 8; at++)
            number[at] = (uint8_t)(value >> (56 - 8 * at));
        return (struct index_term){i, slice_of(number, 8)};
    default:
        return (struct index_term){i, attributes->value[i].bytes};
    }
}

static void attribute_terms(const struct values *attributes, struct terms *terms)
{
    uint64_t done[2] = {0, 0};
    for (uint32_t at = 0; at < sizeof SELECTIVE + VALUES_MAX; at++) {
        uint32_t i = at < sizeof SELECTIVE ? SELECTIVE[at] : at - (uint32_t)sizeof SELECTIVE;
        if (done[i >> 6] >> (i & 63) & 1 || !is_indexed(attributes, i))
            continue;
        done[i >> 6] |= 1ULL << (i & 63);
        terms->term[terms->n] = attribute_term(attributes, i, terms->numbers[terms->n]);
        terms->n++;
    }
}

static void user_term(struct terms *terms, uint32_t what, const uint8_t *user_id)
{
    terms->term[terms->n++] = (struct index_term){what, slice_of(user_id, user_id ? ID_LEN : 0)};
}

static void all_terms(const struct values *attributes, const struct content *content, struct terms *terms)
{
    static const struct caller anybody = {.role = ROLE_AUDITOR};

    attribute_terms(attributes, terms);
    user_term(terms, TERM_ANY, NULL);
    user_term(terms, TERM_OWNER, content->owner_id.data);
    if (content_sight(content, attributes, &anybody) != SIGHT_NONE) {
        user_term(terms, TERM_EVERYBODY, NULL);
        return;
    }
    user_term(terms, TERM_VISIBLE_TO, content->owner_id.data);
    for (size_t at = 0; at < content->sharees.len; at += ID_LEN)
        user_term(terms, TERM_VISIBLE_TO, content->sharees.data + at);
}

status_code object_put_tokens(struct objects *objects, const struct values *attributes, const struct content *content,
                              struct bytes *memory, struct store_write *write)
{
    struct terms terms;

    terms.n = 0;
    all_terms(attributes, content, &terms);
    return index_put_tokens(objects->node, terms.term, terms.n, memory, write);
}

/* Searching. */

struct search {
    struct objects *objects;
    const struct caller *caller;
    struct values template;
    struct slice wanted;
    uint64_t limit;
    struct bytes plaintext, encoded; /* reused from record to record */
    struct bytes page;
    uint32_t n_found;
    uint32_t n_examined;
    uint8_t last[ID_LEN];
    bool full;
};

static void search_release(struct search *search)
{
    bytes_release(&search->plaintext);
    bytes_release(&search->encoded);
    bytes_release(&search->page);
}

static status_code add_found(struct search *search, const uint8_t id[ID_LEN], const struct values *attributes)
{
    struct values told, entry;

    TRY(attributes_select(attributes, search->wanted, &told));
    bytes_clear(&search->encoded);
    values_encode(&ATTRIBUTE_SCHEMA, &told, &search->encoded);
    TRY(bytes_ok(&search->encoded));
    values_init(&entry);
    values_put_bytes(&entry, FIELD_OBJECT_ID, slice_of(id, ID_LEN));
    values_put_bytes(&entry, FIELD_ATTRIBUTES, bytes_slice(&search->encoded));
    values_encode(&FIELD_SCHEMA, &entry, &search->page);
    search->n_found++;
    return bytes_ok(&search->page);
}

static status_code examine(struct search *search, const uint8_t id[ID_LEN], uint64_t version, struct slice value)
{
    struct object_record record;
    struct values attributes;
    uint32_t first;

    TRY(object_record_open(search->objects, id, version, value, &search->plaintext, &record));
    if (record.removed)
        return STATUS_OK;
    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, record.content.attributes, &attributes));
    enum sight sight = content_sight(&record.content, &attributes, search->caller);
    if (sight == SIGHT_METADATA)
        values_remove(&attributes, ATTRIBUTE_VALUE);
    if (sight == SIGHT_NONE || !attributes_match(&attributes, &search->template, &first))
        return STATUS_OK;
    return add_found(search, id, &attributes);
}

/** A damaged record hides itself, not the others. */
static status_code visit(void *context, const struct store_record *stored)
{
    struct search *search = context;
    status_code code = examine(search, stored->id, stored->version, stored->value);
    if (code == STATUS_STORE_DAMAGED)
        log_event(LOG_LEVEL_ERROR, "damaged object", "detail", failure_detail(), NULL);
    else
        TRY(code);
    memcpy(search->last, stored->id, ID_LEN);
    search->n_examined++;
    search->full = search->n_found >= search->limit || search->page.len >= PAGE_BYTES_MAX;
    return search->full ? STATUS_PENDING : STATUS_OK; /* PENDING: ends the iteration, no failure */
}

static void visibility_term(const struct search *search, enum phase phase, struct terms *terms)
{
    if (phase == PHASE_EVERYBODY)
        user_term(terms, TERM_EVERYBODY, NULL);
    else if (search->caller->role == ROLE_ADMIN)
        user_term(terms, TERM_ANY, NULL);
    else
        user_term(terms, TERM_VISIBLE_TO, search->caller->user_id);
}

/** Administrators see everything in the first phase. */
static enum phase next_phase(const struct search *search, enum phase phase)
{
    return phase == PHASE_VISIBLE && search->caller->role != ROLE_ADMIN ? PHASE_EVERYBODY : PHASE_END;
}

static status_code run_phase(struct search *search, enum phase phase, const uint8_t *after, bool *ended)
{
    uint32_t budget = EXAMINED_MAX - search->n_examined, before = search->n_examined;
    struct terms terms;

    terms.n = 0;
    attribute_terms(&search->template, &terms);
    visibility_term(search, phase, &terms);
    status_code code =
        index_find(search->objects->node, STORE_OBJECT, terms.term, terms.n, after, budget, visit, search);
    TRY(code == STATUS_PENDING ? STATUS_OK : code);
    *ended = !search->full && search->n_examined - before < budget;
    return STATUS_OK;
}

static status_code read_cursor(struct slice cursor, enum phase *phase, uint8_t after[ID_LEN], bool *from_start)
{
    *phase = PHASE_VISIBLE;
    *from_start = true;
    if (cursor.len == 0)
        return STATUS_OK;
    CHECK(cursor.len == CURSOR_LEN && cursor.data[0] < PHASE_END, STATUS_INVALID_ARGUMENT,
          "CURSOR is not one that OBJECT_FIND answered");
    *phase = cursor.data[0];
    memcpy(after, cursor.data + 1, ID_LEN);
    *from_start = false;
    return STATUS_OK;
}

static status_code write_cursor(enum phase phase, const uint8_t last[ID_LEN], struct bytes *cursor)
{
    uint8_t number = (uint8_t)phase;
    bytes_append(cursor, &number, 1);
    bytes_append(cursor, last, ID_LEN);
    return bytes_ok(cursor);
}

static status_code run(struct search *search, struct slice cursor, struct bytes *next_cursor)
{
    enum phase phase;
    bool from_start, ended = true;

    TRY(read_cursor(cursor, &phase, search->last, &from_start));
    while (phase != PHASE_END) {
        TRY(run_phase(search, phase, from_start ? NULL : search->last, &ended));
        if (!ended)
            return write_cursor(phase, search->last, next_cursor);
        phase = next_phase(search, phase);
        from_start = true;
    }
    return STATUS_OK;
}

/** The unique id is the object id: no search is needed. */
static status_code run_by_id(struct search *search)
{
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    struct slice unique = values_bytes(&search->template, ATTRIBUTE_UNIQUE_ID);
    struct store *store = search->objects->node->store;
    char text[2 * ID_LEN + 1] = "";
    uint8_t id[ID_LEN];
    uint64_t version;

    if (unique.len == 2 * ID_LEN)
        memcpy(text, unique.data, unique.len);
    if (!hex_decode(text, id, ID_LEN))
        return STATUS_OK;
    status_code code = store->operations->read(store, STORE_OBJECT, id, &value, &version);
    if (code == STATUS_OBJECT_NOT_FOUND)
        return STATUS_OK;
    TRY(code);
    return examine(search, id, version, bytes_slice(&value));
}

/** VALUE of a secret is not compared, or it could be guessed. */
static status_code check_searchable(const struct values *template)
{
    uint64_t class = values_uint(template, ATTRIBUTE_CLASS, 0);
    CHECK(!values_has(template, ATTRIBUTE_VALUE) || (class && !holds_secret(class)), STATUS_ATTRIBUTE_SENSITIVE,
          "only certificates, data and public keys are found by VALUE: say which CLASS");
    return STATUS_OK;
}

static status_code look(struct search *search, struct slice cursor, struct bytes *next_cursor)
{
    return values_has(&search->template, ATTRIBUTE_UNIQUE_ID) ? run_by_id(search) : run(search, cursor, next_cursor);
}

/** Whether other nodes have written what this one had not seen, and now has. While that cannot be known, what is here
 * is the answer: applications ask for objects that may not exist. */
static bool there_is_more(struct node *node)
{
    const struct store_operations *operations = node->store->operations;
    uint64_t seen, newest;

    return operations->revision(node->store, &seen) == STATUS_OK &&
           operations->newest(node->store, &newest) == STATUS_OK && newest > seen &&
           node_catch_up(node, newest) == STATUS_OK;
}

status_code objects_find(struct objects *objects, const struct caller *caller, struct slice attributes,
                         struct slice wanted, struct slice cursor, uint64_t limit, struct bytes *records,
                         struct bytes *next_cursor)
{
    CLEANUP(search_release) struct search search = {.objects = objects, .caller = caller, .wanted = wanted};

    search.limit = limit && limit < FIND_PAGE_MAX ? limit : FIND_PAGE_MAX;
    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, attributes, &search.template));
    TRY(check_searchable(&search.template));
    TRY(look(&search, cursor, next_cursor));
    if (search.n_found == 0 && cursor.len == 0 && there_is_more(objects->node)) {
        bytes_clear(next_cursor);
        search.n_examined = 0;
        TRY(look(&search, cursor, next_cursor));
    }
    write_array(records, search.n_found);
    bytes_append(records, search.page.data, search.page.len);
    return bytes_ok(records);
}
