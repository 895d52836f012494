/* Opening, looking up and closing sessions. Handles carry a count of how often their place in the table was used: one
 * that was closed is not taken for another that came after it. */
#include "session.h"

#include <stdlib.h>
#include "find.h"
#include "login.h"

#define PLACE_BITS    20
#define SESSIONS_MAX  ((CK_ULONG)1 << PLACE_BITS) /* of an application */
#define PLACE(handle) ((handle) & (SESSIONS_MAX - 1))

/* All guarded by the module's lock. */
static struct session **sessions; /* by place; place 0 stays free, so that no handle is CK_INVALID_HANDLE */
static CK_ULONG *n_uses;          /* how often a place was used */
static CK_ULONG n_places, next_place = 1;

/* When the module is unloaded; until then the counts are needed, over C_Finalize, too. A program that ends without
 * C_Finalize may still have threads at work here: it keeps them. */
__attribute__((destructor)) static void tables_free(void)
{
    if (module_check() == CKR_OK)
        return;
    module_lock();
    free(sessions);
    free(n_uses);
    sessions = NULL;
    n_uses = NULL;
    n_places = 0;
    module_unlock();
}

/* --- operations --- */

void operation_end(struct operation *operation)
{
    hsm_operation_free(operation->parts);
    mechanism_release(&operation->mechanism);
    if (operation->result)
        explicit_bzero(operation->result, operation->result_len);
    free(operation->result);
    *operation = (struct operation){.active = false};
}

/* --- the life of a session --- */

static void session_free(struct session *session)
{
    for (int i = 0; i < OPERATION_KINDS; i++)
        operation_end(&session->operations[i]);
    find_end(session);
    objects_of_session_end(session->slot, session->handle);
    pthread_mutex_destroy(&session->lock);
    slot_leave(&session->slot);
    free(session);
}

static CK_RV grow(void)
{
    CK_ULONG n = n_places ? 2 * n_places : 64;

    CHECK(n <= SESSIONS_MAX, CKR_SESSION_COUNT);
    struct session **places = reallocarray(sessions, n, sizeof(*places));

    CHECK(places, CKR_HOST_MEMORY);
    sessions = places;
    CK_ULONG *uses = reallocarray(n_uses, n, sizeof(*uses));

    CHECK(uses, CKR_HOST_MEMORY);
    n_uses = uses;
    for (CK_ULONG i = n_places; i < n; i++) {
        sessions[i] = NULL;
        n_uses[i] = 0;
    }
    n_places = n;
    return CKR_OK;
}

/* The next place that is free, searched round the table, so that a place rests before it is used again. */
static CK_RV find_place(CK_ULONG *place)
{
    for (CK_ULONG i = 0; i < n_places; i++, next_place++) {
        if (next_place >= n_places)
            next_place = 1;
        if (!sessions[next_place]) {
            *place = next_place++;
            return CKR_OK;
        }
    }
    next_place = n_places > 0 ? n_places : 1;
    TRY(grow());
    *place = next_place++;
    return CKR_OK;
}

static CK_RV enter_table(struct session *session)
{
    struct slot *slot = session->slot;
    bool read_write = session->flags & CKF_RW_SESSION;
    CK_ULONG place;

    CHECK(slot_is_open(slot), CKR_CRYPTOKI_NOT_INITIALIZED);
    CHECK(read_write || slot->state != LOGIN_OFFICER, CKR_SESSION_READ_WRITE_SO_EXISTS);
    TRY(find_place(&place));
    session->handle = n_uses[place]++ << PLACE_BITS | place;
    sessions[place] = session;
    slot->n_sessions++;
    slot->n_read_write += read_write;
    return CKR_OK;
}

/* Takes it out of the table: whether nobody uses it any more. */
static bool leave_table(struct session *session)
{
    sessions[PLACE(session->handle)] = NULL;
    session->slot->n_sessions--;
    session->slot->n_read_write -= (session->flags & CKF_RW_SESSION) != 0;
    return --session->n_users == 0;
}

static struct session *session_at(CK_SESSION_HANDLE handle)
{
    struct session *session = PLACE(handle) < n_places ? sessions[PLACE(handle)] : NULL;

    return session && session->handle == handle ? session : NULL;
}

CK_RV session_enter(CK_SESSION_HANDLE handle, struct session **session)
{
    TRY(module_check());
    module_lock();
    struct session *found = session_at(handle);

    if (found)
        found->n_users++;
    module_unlock();
    CHECK(found, CKR_SESSION_HANDLE_INVALID);
    pthread_mutex_lock(&found->lock);
    found->n_logins_ended = found->slot->n_logins_ended;
    found->reader = NULL;
    *session = found;
    return CKR_OK;
}

void session_leave(struct session **session)
{
    if (!*session)
        return;
    pthread_mutex_unlock(&(*session)->lock);
    module_lock();
    bool last = --(*session)->n_users == 0;

    module_unlock();
    if (last)
        session_free(*session);
    *session = NULL;
}

enum login_state session_login(const struct session *session)
{
    return atomic_load(&session->slot->state);
}

CK_RV session_may_write(const struct session *session, bool token)
{
    return !token || session->flags & CKF_RW_SESSION ? CKR_OK : CKR_SESSION_READ_ONLY;
}

CK_RV session_needs_user(const struct session *session)
{
    return session_login(session) == LOGIN_USER ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
}

struct session *sessions_take(const struct slot *slot)
{
    struct session *idle = NULL;

    for (CK_ULONG i = 1; i < n_places; i++) {
        struct session *session = sessions[i];

        if (session && (!slot || session->slot == slot) && leave_table(session)) {
            session->application = idle; /* nobody reads it any more: the link of the list */
            idle = session;
        }
    }
    return idle;
}

void sessions_free(struct session *idle)
{
    while (idle) {
        struct session *next = idle->application;

        session_free(idle);
        idle = next;
    }
}

CK_RV session_close(CK_SESSION_HANDLE handle)
{
    module_lock();
    struct session *session = session_at(handle);
    struct slot *slot = session ? session->slot : NULL;
    bool last = session && leave_table(session);

    if (slot)
        slot_hold(slot);
    module_unlock();
    CHECK(session, CKR_SESSION_HANDLE_INVALID);
    if (last)
        session_free(session);
    login_end_unused(slot);
    slot_leave(&slot);
    return CKR_OK;
}

static struct session *session_new(struct slot *slot, CK_FLAGS flags)
{
    struct session *session = calloc(1, sizeof(*session));

    if (!session)
        return NULL;
    session->n_users = 1;
    session->slot = slot;
    session->flags = flags;
    pthread_mutex_init(&session->lock, NULL);
    return session;
}

CK_RV session_open(struct slot *slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *handle)
{
    struct session *session = session_new(slot, flags);

    CHECK(session, CKR_HOST_MEMORY);
    session->application = application;
    session->notify = notify;
    module_lock();
    CK_RV result = enter_table(session);

    if (result == CKR_OK) {
        slot_hold(slot);
        *handle = session->handle; /* as soon as the lock is given back another thread may close it */
    }
    module_unlock();
    if (result != CKR_OK) {
        pthread_mutex_destroy(&session->lock);
        free(session);
    }
    return result;
}

void sessions_after_fork(void)
{
    for (CK_ULONG i = 1; i < n_places; i++) {
        struct session *session = sessions[i];

        if (!session)
            continue;
        session->n_users = 1;
        if (pthread_mutex_trylock(&session->lock) == 0) {
            pthread_mutex_unlock(&session->lock);
            continue;
        }
        /* A thread of the parent was within it, at whatever point: its operations are left alone, lost to the child. */
        memset(session->operations, 0, sizeof(session->operations));
        find_abandon(session);
        pthread_mutex_init(&session->lock, NULL);
    }
}
