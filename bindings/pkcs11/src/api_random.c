/* Random numbers from the nodes. */
#include "operation.h"

/* The nodes' generators are seeded by themselves (SP 800-90A): what a program adds would only be ignored, and the
 * standard lets a token say so. */
CK_RV C_SeedRandom(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pSeed, CK_ULONG ulSeedLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    (void)ulSeedLen;
    TRY(session_enter(hSession, &session));
    CHECK(pSeed, CKR_ARGUMENTS_BAD);
    return CKR_RANDOM_SEED_NOT_SUPPORTED;
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE hSession, CK_BYTE_PTR RandomData, CK_ULONG ulRandomLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    CHECK((RandomData || ulRandomLen == 0) && ulRandomLen <= SIZE_MAX / 2, CKR_ARGUMENTS_BAD);
    TRY(session_needs_user(session));
    return login_result(session, hsm_random(session->slot->login, RandomData, ulRandomLen));
}
