/* Finding objects: the session's own session objects first, compared here; then token objects, page by page from a
 * node, whose cursor says where to go on (hsm/object.h). */
#include "hsm/object.h"

#include <stdlib.h>
#include "api_object.h"
#include "protocol/catalog.h"

#define PAGE 256u

struct hsm_find {
    hsm_session *session;
    struct bytes template; /* secret: a VALUE may be looked for */
    struct bytes wanted;
    struct session_object **own; /* session objects that match, held */
    size_t n_own, own_at;
    struct bytes page; /* RECORDS of the newest page; secret */
    struct reader reader;
    uint32_t n_left; /* records of it not given out */
    struct bytes cursor;
    bool begun, ended; /* asking the nodes */
};

void hsm_find_close(hsm_find *find)
{
    if (!find)
        return;
    for (size_t i = 0; i < find->n_own; i++)
        session_object_release(find->own[i]);
    free(find->own);
    bytes_release(&find->template);
    bytes_release(&find->wanted);
    bytes_release(&find->page);
    bytes_release(&find->cursor);
    free(find);
}

static bool matches(const struct values *template, struct slice attributes)
{
    struct values own;

    if (values_decode_all(&ATTRIBUTE_SCHEMA, attributes, &own) != STATUS_OK)
        return false;
    for (uint32_t number = 0; number < VALUES_MAX; number++) {
        if (values_has(template, number) && !values_equal_at(&ATTRIBUTE_SCHEMA, template, &own, number))
            return false;
    }
    return true;
}

static status_code find_own(hsm_find *find)
{
    struct values template;
    size_t n_kept = 0;

    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, bytes_slice(&find->template), &template));
    find->ended = !values_bool(&template, ATTRIBUTE_TOKEN, true);
    if (values_bool(&template, ATTRIBUTE_TOKEN, false))
        return STATUS_OK;
    TRY(session_objects_all(find->session, &find->own, &find->n_own));
    for (size_t i = 0; i < find->n_own; i++) {
        if (matches(&template, session_object_attributes(find->own[i]))) {
            find->own[n_kept++] = find->own[i];
            continue;
        }
        session_object_release(find->own[i]);
    }
    find->n_own = n_kept;
    return STATUS_OK;
}

static status_code prepare(hsm_find *find, const hsm_attribute *attributes, size_t n, const uint32_t *wanted,
                           size_t n_wanted)
{
    TRY(template_encode(attributes, n, &find->template));
    if (n_wanted)
        TRY(wanted_encode(wanted, n_wanted, &find->wanted));
    return find_own(find);
}

static status_code find_open(hsm_session *session, const hsm_attribute *attributes, size_t n, const uint32_t *wanted,
                             size_t n_wanted, hsm_find **find)
{
    ARGUMENT(session && find, "no session, or no place for the search");
    hsm_find *made = (hsm_find *)calloc(1, sizeof(*made));
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a search");
    made->session = session;
    made->template.secret = made->page.secret = true;
    status_code status = prepare(made, attributes, n, wanted, n_wanted);
    if (status != STATUS_OK) {
        hsm_find_close(made);
        return status;
    }
    *find = made;
    return STATUS_OK;
}

hsm_status hsm_find_open(hsm_session *session, const hsm_attribute *attributes, size_t n, const uint32_t *wanted,
                         size_t n_wanted, hsm_find **find)
{
    return API(find_open(session, attributes, n, wanted, n_wanted, find));
}

/* Asks for the next page. Whether attributes come along is decided by what was wanted at open. */
static status_code fetch_page(hsm_find *find)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, find->session, NULL, OP_OBJECT_FIND));
    values_put_bytes(&call.fields, FIELD_ATTRIBUTES, bytes_slice(&find->template));
    values_put_uint(&call.fields, FIELD_LIMIT, PAGE);
    if (find->wanted.len)
        values_put_bytes(&call.fields, FIELD_WANTED, bytes_slice(&find->wanted));
    if (find->cursor.len)
        values_put_bytes(&call.fields, FIELD_CURSOR, bytes_slice(&find->cursor));
    TRY(call_run(&call));
    TRY(bytes_assign(&find->page, values_bytes(&call.request.answer, FIELD_RECORDS)));
    TRY(bytes_assign(&find->cursor, values_bytes(&call.request.answer, FIELD_CURSOR)));
    find->n_left = 0;
    if (find->page.len)
        TRY(sets_begin(bytes_slice(&find->page), &find->reader, &find->n_left));
    find->ended = find->cursor.len == 0;
    return STATUS_OK;
}

static status_code give(struct slice id, struct slice encoded, struct slice wanted, hsm_key *object,
                        hsm_attributes **attributes)
{
    CHECK(id.len == ID_LEN, STATUS_PROTOCOL_ERROR, "a node found an object without an id");
    if (attributes)
        TRY(attributes_decode(encoded, wanted, attributes));
    memcpy(object->id, id.data, ID_LEN);
    return STATUS_OK;
}

static status_code give_record(hsm_find *find, hsm_key *object, hsm_attributes **attributes)
{
    struct values record;
    struct reader before = find->reader;

    TRY(values_decode(&FIELD_SCHEMA, &find->reader, &record));
    status_code status = give(values_bytes(&record, FIELD_OBJECT_ID), values_bytes(&record, FIELD_ATTRIBUTES),
                              slice_of(NULL, 0), object, attributes);
    if (status != STATUS_OK) {
        find->reader = before;
        return status;
    }
    find->n_left--;
    return STATUS_OK;
}

static status_code give_own(hsm_find *find, hsm_key *object, hsm_attributes **attributes)
{
    const struct session_object *own = find->own[find->own_at];

    TRY(give(session_object_id(own), session_object_attributes(own), bytes_slice(&find->wanted), object, attributes));
    find->own_at++;
    return STATUS_OK;
}

/* One object; *found is false after the last. */
static status_code find_step(hsm_find *find, hsm_key *object, hsm_attributes **attributes, bool *found)
{
    *found = true;
    if (find->own_at < find->n_own)
        return give_own(find, object, attributes);
    while (find->n_left == 0) {
        if (find->ended) {
            *found = false;
            return STATUS_OK;
        }
        TRY(fetch_page(find));
    }
    return give_record(find, object, attributes);
}

static status_code find_next(hsm_find *find, hsm_key *objects, hsm_attributes **attributes, size_t max, size_t *n)
{
    bool found = true;
    size_t got = 0;

    ARGUMENT(find && objects && n && max, "no search, or no place for what it finds");
    while (got < max) {
        status_code status = find_step(find, &objects[got], attributes ? &attributes[got] : NULL, &found);

        /* What was found before a failure is given out; the failure shows again at the next call. */
        if (status != STATUS_OK && got == 0)
            return status;
        if (status != STATUS_OK || !found)
            break;
        got++;
        /* A full round trip is not spent on filling up the caller's array. */
        if (find->n_left == 0 && find->own_at == find->n_own && !find->ended && got >= PAGE)
            break;
    }
    *n = got;
    return STATUS_OK;
}

hsm_status hsm_find_next(hsm_find *find, hsm_key *objects, hsm_attributes **attributes, size_t max, size_t *n)
{
    return API(find_next(find, objects, attributes, max, n));
}

static status_code only_one(hsm_find *find, const char *label, hsm_key *object)
{
    hsm_key found[2];
    size_t n = 0, n_more = 0;

    TRY(find_next(find, found, NULL, 2, &n));
    CHECK(n > 0, STATUS_OBJECT_NOT_FOUND, "there is no object with the label \"%.100s\" that this user may see", label);
    if (n == 1)
        TRY(find_next(find, &found[1], NULL, 1, &n_more));
    CHECK(n + n_more == 1, STATUS_CONFLICT, "several objects have the label \"%.100s\": name the one by its id", label);
    *object = found[0];
    return STATUS_OK;
}

static status_code find_one(hsm_session *session, uint32_t object_class, const char *label, hsm_key *object)
{
    static const uint32_t wanted[] = {ATTRIBUTE_CLASS};
    uint64_t class = object_class;
    hsm_find *find = NULL;

    ARGUMENT(label && object, "no label, or no place for the object");
    hsm_attribute template[] = {hsm_attribute_text(ATTRIBUTE_LABEL, label),
                                hsm_attribute_uint(ATTRIBUTE_CLASS, &class)};
    TRY(find_open(session, template, object_class ? 2 : 1, wanted, 1, &find));
    status_code status = only_one(find, label, object);
    hsm_find_close(find);
    return status;
}

hsm_status hsm_find_one(hsm_session *session, uint32_t object_class, const char *label, hsm_key *object)
{
    return API(find_one(session, object_class, label, object));
}
