/* Finding objects. The cluster's index does the work; what it cannot compare is compared here, on the attributes that
 * come along with what is found. Objects are fetched page by page, as the application takes them.
 *
 * Session objects are those of all sessions of the application. Who is not logged in sees what the guest may (guest.h),
 * or nothing. */
#include <stdlib.h>
#include "attribute.h"
#include "find.h"
#include "guest.h"
#include "login.h"
#include "mechanism_object.h"

#define PAGE         64
#define SEARCHES_MAX 5
#define NARROWED     2
#define ATTRIBUTES   128 /* more than a template can have, each but once */

struct find {
    struct template_made wanted; /* its claims are compared here */
    hsm_find *searches[SEARCHES_MAX];
    size_t n_searches, current;
    bool as_guest;                /* began before a login: goes on so */
    uint64_t n_logins_ended;      /* when it began: it is over with its login */
    CK_RV failed;                 /* what was lost with a page: the search cannot go on */
    CK_OBJECT_HANDLE *mechanisms; /* CKO_MECHANISM */
    size_t n_mechanisms, next_mechanism;
};

static void find_free(struct find *find)
{
    for (size_t i = 0; i < find->n_searches; i++)
        hsm_find_close(find->searches[i]);
    template_release(&find->wanted);
    free(find->mechanisms);
    free(find);
}

void find_end(struct session *session)
{
    if (session->find)
        find_free(session->find);
    session->find = NULL;
}

void find_abandon(struct session *session)
{
    session->find = NULL;
}

/* --- beginning --- */

/* What is looked for by CKA_VALUE, or by a component of a key, is searched in parts. The cluster compares contents of
 * token objects that are no keys; contents of session objects and keys that anybody may read are compared here; and
 * secrets are not found by their value. */
static const uint8_t YES = 1, NO = 0;
static const uint64_t CERTIFICATE = HSM_CLASS_CERTIFICATE, DATA = HSM_CLASS_DATA;

static const struct part {
    bool of_value; /* only CKA_VALUE: such objects have no components */
    bool by_cluster;
    hsm_attribute narrowed[NARROWED]; /* added to what is looked for */
} PARTS[SEARCHES_MAX] = {
    {true, true, {{HSM_ATTR_CLASS, &CERTIFICATE, sizeof(CERTIFICATE)}, {HSM_ATTR_TOKEN, &YES, sizeof(YES)}}},
    {true, true, {{HSM_ATTR_CLASS, &DATA, sizeof(DATA)}, {HSM_ATTR_TOKEN, &YES, sizeof(YES)}}},
    {true, false, {{HSM_ATTR_CLASS, &CERTIFICATE, sizeof(CERTIFICATE)}, {HSM_ATTR_TOKEN, &NO, sizeof(NO)}}},
    {true, false, {{HSM_ATTR_CLASS, &DATA, sizeof(DATA)}, {HSM_ATTR_TOKEN, &NO, sizeof(NO)}}},
    {false, false, {{HSM_ATTR_SENSITIVE, &NO, sizeof(NO)}, {HSM_ATTR_EXTRACTABLE, &YES, sizeof(YES)}}},
};

/* Who did not log in is not told that a login has ended: there is nothing more to see. */
static bool guest_lost(const struct find *find, CK_RV result)
{
    return find->as_guest && result == CKR_USER_NOT_LOGGED_IN;
}

static CK_RV open_search(struct session *session, struct find *find, const hsm_attribute *attributes, size_t n)
{
    hsm_session *reader;

    TRY(session_reader(session, &reader));
    CK_RV result =
        login_result(session, hsm_find_open(reader, attributes, n, NULL, 0, &find->searches[find->n_searches]));

    if (result == CKR_OK)
        find->n_searches++;
    return guest_lost(find, result) ? CKR_OK : result;
}

static const CK_ATTRIBUTE *claim_of_value(const struct template_made *wanted)
{
    for (size_t i = 0; i < wanted->n_claims; i++)
        if (wanted->claims[i].type == CKA_VALUE)
            return &wanted->claims[i];
    return NULL;
}

/* Adds what narrows the search; false when the template wants something else. */
static bool narrow(const struct template_made *wanted, const hsm_attribute *narrowed, hsm_attribute *attributes,
                   size_t *n)
{
    const hsm_attribute *given = template_get(wanted, narrowed->type);

    if (!given) {
        attributes[(*n)++] = *narrowed;
        return true;
    }
    return given->value_len == narrowed->value_len && memcmp(given->value, narrowed->value, given->value_len) == 0;
}

static CK_RV open_part(struct session *session, struct find *find, const struct part *part)
{
    const struct template_made *wanted = &find->wanted;
    const CK_ATTRIBUTE *value = claim_of_value(wanted);
    hsm_attribute attributes[ATTRIBUTES + NARROWED + 1];
    size_t n = wanted->n;

    CHECK(n <= ATTRIBUTES, CKR_TEMPLATE_INCONSISTENT);
    if (part->of_value && !value)
        return CKR_OK;
    if (n > 0)
        memcpy(attributes, wanted->attributes, n * sizeof(attributes[0]));
    for (size_t i = 0; i < NARROWED; i++)
        if (!narrow(wanted, &part->narrowed[i], attributes, &n))
            return CKR_OK;
    if (part->by_cluster && value->ulValueLen > 0)
        attributes[n++] = hsm_attribute_of(HSM_ATTR_VALUE, value->pValue, value->ulValueLen);
    return open_search(session, find, attributes, n);
}

/* The guest sees what is not private: *nothing when there is no guest, or the template wants something else. */
static CK_RV narrow_to_guest(struct session *session, struct find *find, bool *nothing)
{
    const hsm_attribute *given = template_get(&find->wanted, HSM_ATTR_PRIVATE);
    hsm_session *reader;

    *nothing = template_bool(&find->wanted, HSM_ATTR_PRIVATE, false) || !guest_is_configured(session->slot);
    if (*nothing)
        return CKR_OK;
    TRY(session_reader(session, &reader));
    find->as_guest = session_is_guest(session);
    *nothing = !find->as_guest && reader == session->slot->login && session_login(session) == LOGIN_NONE;
    return !find->as_guest || given ? CKR_OK : template_add(&find->wanted, HSM_ATTR_PRIVATE, &NO, sizeof(NO));
}

static CK_RV open_searches(struct session *session, struct find *find)
{
    bool nothing = find->wanted.nothing;

    find->n_logins_ended = session->n_logins_ended;
    if (!nothing && session_login(session) == LOGIN_NONE)
        TRY(narrow_to_guest(session, find, &nothing));
    if (nothing)
        return CKR_OK;
    if (!find->wanted.claims_secret)
        return open_search(session, find, find->wanted.attributes, find->wanted.n);
    for (size_t i = 0; i < SEARCHES_MAX; i++)
        TRY(open_part(session, find, &PARTS[i]));
    return CKR_OK;
}

static CK_RV begin(struct session *session, struct find *find, const CK_ATTRIBUTE *given, CK_ULONG n)
{
    if (mechanism_objects_wanted(given, n))
        return mechanism_objects_find(session->slot, given, n, &find->mechanisms, &find->n_mechanisms);
    TRY(template_make(given, n, TEMPLATE_FIND, &find->wanted));
    return open_searches(session, find);
}

CK_RV C_FindObjectsInit(CK_SESSION_HANDLE hSession, CK_ATTRIBUTE_PTR pTemplate, CK_ULONG ulCount)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    TRY(template_check(pTemplate, ulCount));
    CHECK(!session->find, CKR_OPERATION_ACTIVE);
    struct find *find = calloc(1, sizeof(*find));

    CHECK(find, CKR_HOST_MEMORY);
    CK_RV result = begin(session, find, pTemplate, ulCount);

    if (result != CKR_OK) {
        find_free(find);
        return result;
    }
    session->find = find;
    return CKR_OK;
}

/* --- going on --- */

struct page {
    hsm_key keys[PAGE];
    hsm_attributes *attributes[PAGE];
    size_t n;
};

/* What was not taken over. */
static void page_release(struct page *page)
{
    for (size_t i = 0; i < page->n; i++)
        hsm_attributes_free(page->attributes[i]);
}

/* An object that was deleted meanwhile is none that was found. */
static CK_RV compare(struct session *session, hsm_key key, const hsm_attributes *facts, bool *match)
{
    const struct template_made *wanted = &session->find->wanted;
    struct object_ref object = {.key = key};
    CK_RV result = attributes_match(session, &object, facts, wanted->claims, wanted->n_claims, match);

    *match = *match && result == CKR_OK;
    return result == CKR_OBJECT_HANDLE_INVALID ? CKR_OK : result;
}

static CK_RV take(struct session *session, struct page *page, size_t i, CK_OBJECT_HANDLE *handles, CK_ULONG *n)
{
    hsm_attributes *attributes = page->attributes[i];
    bool match;

    TRY(compare(session, page->keys[i], attributes, &match));
    if (!match)
        return CKR_OK;
    page->attributes[i] = NULL;
    TRY(object_take_found(session, page->keys[i], attributes, &handles[*n]));
    (*n)++;
    return CKR_OK;
}

static CK_RV find_page(struct session *session, CK_OBJECT_HANDLE *handles, CK_ULONG max, CK_ULONG *n)
{
    CLEANUP(page_release) struct page page = {.n = 0};
    struct find *find = session->find;
    CK_ULONG room = max - *n;
    CK_RV result = login_result(session, hsm_find_next(find->searches[find->current], page.keys, page.attributes,
                                                       room < PAGE ? room : PAGE, &page.n));

    if (guest_lost(find, result)) {
        find->current = find->n_searches;
        return CKR_OK;
    }
    TRY(result);
    if (page.n == 0)
        find->current++;
    for (size_t i = 0; i < page.n && find->failed == CKR_OK; i++)
        find->failed = take(session, &page, i, handles, n);
    return find->failed;
}

static CK_RV find_some(struct session *session, CK_OBJECT_HANDLE *handles, CK_ULONG max, CK_ULONG *n)
{
    struct find *find = session->find;

    while (*n < max && find->next_mechanism < find->n_mechanisms)
        handles[(*n)++] = find->mechanisms[find->next_mechanism++];
    while (*n < max && find->current < find->n_searches)
        TRY(find_page(session, handles, max, n));
    return CKR_OK;
}

CK_RV C_FindObjects(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE_PTR phObject, CK_ULONG ulMaxObjectCount,
                    CK_ULONG_PTR pulObjectCount)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CK_ULONG n = 0;

    TRY(session_enter(hSession, &session));
    CHECK((phObject || ulMaxObjectCount == 0) && pulObjectCount, CKR_ARGUMENTS_BAD);
    CHECK(session->find, CKR_OPERATION_NOT_INITIALIZED);
    CHECK(session->find->failed == CKR_OK, session->find->failed);
    if (session->n_logins_ended != session->find->n_logins_ended) /* a page may be left from before */
        session->find->current = session->find->n_searches;
    if (session->find->as_guest)
        session->reader = session->slot->guest;
    CK_RV result = find_some(session, phObject, ulMaxObjectCount, &n);

    /* What was found is given out; a failure shows again at the next call. */
    CHECK(result == CKR_OK || n > 0, result);
    *pulObjectCount = n;
    return CKR_OK;
}

CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE hSession)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    CHECK(session->find, CKR_OPERATION_NOT_INITIALIZED);
    find_end(session);
    return CKR_OK;
}
