/* C_Initialize and C_Finalize, the module's lock, and what fork does to both. */
#include "module.h"

#include <unistd.h>
#include "session.h"

static pthread_mutex_t tables = PTHREAD_MUTEX_INITIALIZER;
static bool initialized;
static pid_t process; /* that called C_Initialize */

void module_lock(void)
{
    pthread_mutex_lock(&tables);
}

void module_unlock(void)
{
    pthread_mutex_unlock(&tables);
}

CK_RV module_check(void)
{
    module_lock();
    bool ready = initialized;

    module_unlock();
    return ready ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

/* --- fork --- */

static void before_fork(void)
{
    module_lock();
}

static void after_fork_in_parent(void)
{
    module_unlock();
}

/* The thread that took the lock is the one that the child has. */
static void after_fork_in_child(void)
{
    sessions_after_fork();
    slots_after_fork();
    module_unlock();
}

/* Once: the handlers are the library's own and go with it when it is unloaded (glibc ties them to it). */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_failed;

static void watch_fork(void)
{
    fork_failed = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* --- the functions --- */

/* The locks are the system's in any case, as those of the library below are: what protects threads of the system
 * protects the application's. Callbacks that it brings are therefore not needed, but must come all or none. */
static CK_RV check_arguments(const CK_C_INITIALIZE_ARGS *arguments)
{
    if (!arguments)
        return CKR_OK;
    unsigned n = (arguments->CreateMutex != NULL) + (arguments->DestroyMutex != NULL) + (arguments->LockMutex != NULL) +
                 (arguments->UnlockMutex != NULL);

    CHECK(n == 0 || n == 4, CKR_ARGUMENTS_BAD);
    CHECK(!arguments->LibraryParameters, CKR_ARGUMENTS_BAD); /* the reserved member, as this header names it */
    return CKR_OK;
}

/* Under the lock. What it returns is to be freed without it. */
static struct session *forget_all(void)
{
    struct session *idle = sessions_take(NULL);

    slots_close();
    initialized = false;
    return idle;
}

static CK_RV initialize(struct session **idle)
{
    /* PKCS#11 2.40, 6.6.1: in a child of fork the application is not initialized until it says so itself. */
    if (initialized && process != getpid())
        *idle = forget_all();
    CHECK(!initialized, CKR_CRYPTOKI_ALREADY_INITIALIZED);
    TRY(slots_open());
    initialized = true;
    process = getpid();
    return CKR_OK;
}

CK_RV C_Initialize(CK_VOID_PTR pInitArgs)
{
    TRY(check_arguments(pInitArgs));
    struct session *idle = NULL;

    pthread_once(&fork_once, watch_fork);
    CHECK(fork_failed == 0, CKR_HOST_MEMORY);
    module_lock();
    CK_RV result = initialize(&idle);

    module_unlock();
    sessions_free(idle);
    return result;
}

CK_RV C_Finalize(CK_VOID_PTR pReserved)
{
    CHECK(!pReserved, CKR_ARGUMENTS_BAD);
    module_lock();
    bool was_initialized = initialized;
    struct session *idle = was_initialized ? forget_all() : NULL;

    module_unlock();
    sessions_free(idle);
    return was_initialized ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}
