/* What nodes have refused is not tried again at once. A server with an old password asks for a login with every
 * handshake: it would lock its user, for all others who are that user too, within a second and again after each lock.
 * Therefore the library, when it logs in by itself, lets credentials that were refused rest, longer each time, until
 * they change. A login that the program asks for is always tried. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include "api_credentials.h"
#include "api_session_internal.h"
#include "platform.h"

#define SECOND_NS     1000000000ull
#define REST_FIRST_NS (15 * SECOND_NS)
#define REST_MAX_NS   (3600 * SECOND_NS)

/* Never changes; replaced as a whole, see api_lock.h. */
struct refusal {
    uint64_t until_ns, rest_ns;
    struct kept_login *of;
};

static void refusal_free(struct refusal *refusal)
{
    if (refusal)
        kept_login_free(refusal->of);
    free(refusal);
}

static void replace(hsm_session *session, struct refusal *refusal)
{
    api_lock_take(&session->lock);
    struct refusal *before = session->refusal;

    session->refusal = refusal;
    api_lock_give(&session->lock);
    refusal_free(before);
}

void session_forget_refusal(hsm_session *session)
{
    replace(session, NULL);
}

static bool is_of(const struct refusal *refusal, const struct credentials *credentials)
{
    return strcmp(refusal->of->user, credentials->user) == 0 &&
           refusal->of->password_len == credentials->password.len &&
           CRYPTO_memcmp(refusal->of->password, credentials->password.data, refusal->of->password_len) == 0;
}

/* Of these credentials: when they were refused last; 0 and 0: they were not. */
static void look(hsm_session *session, const struct credentials *credentials, uint64_t *until_ns, uint64_t *rest_ns)
{
    *until_ns = *rest_ns = 0;
    api_lock_take(&session->lock);
    if (session->refusal && is_of(session->refusal, credentials)) {
        *until_ns = session->refusal->until_ns;
        *rest_ns = session->refusal->rest_ns;
    }
    api_lock_give(&session->lock);
}

status_code session_check_refusal(hsm_session *session, const struct credentials *credentials)
{
    uint64_t until_ns, rest_ns, now_ns = platform_now_ns();

    look(session, credentials, &until_ns, &rest_ns);
    CHECK(now_ns >= until_ns, STATUS_LOGIN_FAILED,
          "the nodes have refused this user and password: tried again in %llu s, or when they have changed",
          (unsigned long long)((until_ns - now_ns + SECOND_NS - 1) / SECOND_NS));
    return STATUS_OK;
}

static void refuse(hsm_session *session, const struct credentials *credentials)
{
    struct refusal *refusal = (struct refusal *)calloc(1, sizeof(*refusal));
    uint64_t until_ns, rest_ns;

    if (!refusal || kept_login_new(credentials->user, bytes_slice(&credentials->password), &refusal->of) != STATUS_OK) {
        refusal_free(refusal);
        return;
    }
    look(session, credentials, &until_ns, &rest_ns);
    refusal->rest_ns = rest_ns == 0 ? REST_FIRST_NS : 2 * rest_ns < REST_MAX_NS ? 2 * rest_ns : REST_MAX_NS;
    refusal->until_ns = platform_now_ns() + refusal->rest_ns;
    replace(session, refusal);
}

void session_note_refusal(hsm_session *session, const struct credentials *credentials, status_code status)
{
    if (status == STATUS_OK)
        session_forget_refusal(session);
    if (status == STATUS_LOGIN_FAILED)
        refuse(session, credentials);
}
