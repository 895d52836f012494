/* HSM-RANDOM: random bytes of the nodes (provider-rand(7)), for programs whose openssl.cnf asks for them by this name,
 * in its section for [random]: as `seed`, OpenSSL's own generator in each process is seeded by a node; as `random`,
 * every byte is a node's. Nothing else takes it. libhsm does not come back to it: it has a generator in a library
 * context of its own. Without a node there are no bytes, and no others in their place. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include "secret.h"

#define STRENGTH_BITS 256u
#define REQUEST_MAX   ((size_t)1 << 16) /* OpenSSL asks several times for more */

struct random {
    struct provider *provider;
    bool is_ready;
};

/* --- life --- */

static void *random_new(void *provider, void *parent, const OSSL_DISPATCH *parent_calls)
{
    struct random *random = calloc(1, sizeof(*random));

    (void)parent; /* there is nothing to seed */
    (void)parent_calls;
    if (random)
        random->provider = provider;
    return random;
}

static void random_free(void *data)
{
    free(data);
}

static int instantiate(void *data, unsigned strength, int prediction_resistance, const unsigned char *personalization,
                       size_t personalization_len, const OSSL_PARAM params[])
{
    struct random *random = data;

    (void)prediction_resistance;
    (void)personalization;
    (void)personalization_len;
    (void)params;
    CHECK(random->provider, strength <= STRENGTH_BITS, REASON_PARAMETER, "a strength of %u bits", strength);
    random->is_ready = true;
    return 1;
}

static int uninstantiate(void *data)
{
    struct random *random = data;

    random->is_ready = false;
    return 1;
}

/* --- bytes --- */

static int fill(const struct random *random, unsigned char *out, size_t len)
{
    hsm_session *session;

    TRY(secret_session(random->provider, &session));
    HSM(random->provider, hsm_random(session, out, len));
    return 1;
}

static int generate(void *data, unsigned char *out, size_t len, unsigned strength, int prediction_resistance,
                    const unsigned char *additional, size_t additional_len)
{
    const struct random *random = data;

    (void)prediction_resistance;
    (void)additional;
    (void)additional_len;
    CHECK(random->provider, random->is_ready && strength <= STRENGTH_BITS && len <= REQUEST_MAX, REASON_PARAMETER,
          "%zu bytes with a strength of %u bits", len, strength);
    return fill(random, out, len);
}

static int reseed(void *data, int prediction_resistance, const unsigned char *entropy, size_t entropy_len,
                  const unsigned char *additional, size_t additional_len)
{
    (void)data;
    (void)prediction_resistance;
    (void)entropy;
    (void)entropy_len;
    (void)additional;
    (void)additional_len;
    return 1; /* nodes reseed theirs */
}

/* For OpenSSL's generator, whose parent this is. */
static size_t get_seed(void *data, unsigned char **seed, int entropy, size_t min_len, size_t max_len,
                       int prediction_resistance, const unsigned char *additional, size_t additional_len)
{
    const struct random *random = data;
    size_t wanted = entropy > 0 ? ((size_t)entropy + 7) / 8 : 0;

    (void)prediction_resistance;
    (void)additional;
    (void)additional_len;
    if (wanted < min_len)
        wanted = min_len;
    CHECK(random->provider, random->is_ready && wanted > 0 && wanted <= max_len && wanted <= REQUEST_MAX,
          REASON_PARAMETER, "a seed of %zu bytes", wanted);
    unsigned char *made = OPENSSL_secure_malloc(wanted);

    CHECK(random->provider, made, HSM_OUT_OF_MEMORY, "%s", "");
    if (!fill(random, made, wanted)) {
        OPENSSL_secure_clear_free(made, wanted);
        return 0;
    }
    *seed = made;
    return wanted;
}

static void clear_seed(void *data, unsigned char *seed, size_t len)
{
    (void)data;
    OPENSSL_secure_clear_free(seed, len);
}

/* --- what OpenSSL asks --- */

static int get_params(void *data, OSSL_PARAM params[])
{
    const struct random *random = data;
    OSSL_PARAM *param;

    if ((param = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE)) != NULL)
        TRY(OSSL_PARAM_set_int(param, random->is_ready ? EVP_RAND_STATE_READY : EVP_RAND_STATE_UNINITIALISED));
    if ((param = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH)) != NULL)
        TRY(OSSL_PARAM_set_uint(param, STRENGTH_BITS));
    if ((param = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST)) != NULL)
        TRY(OSSL_PARAM_set_size_t(param, REQUEST_MAX));
    return 1;
}

static const OSSL_PARAM *gettable_params(void *data, void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_int(OSSL_RAND_PARAM_STATE, NULL),
        OSSL_PARAM_uint(OSSL_RAND_PARAM_STRENGTH, NULL),
        OSSL_PARAM_size_t(OSSL_RAND_PARAM_MAX_REQUEST, NULL),
        OSSL_PARAM_END,
    };

    (void)data;
    (void)provider;
    return PARAMS;
}

/* Any number of threads may call at once. */
static int lock(void *data)
{
    (void)data;
    return 1;
}

static void unlock(void *data)
{
    (void)data;
}

static const OSSL_DISPATCH FUNCTIONS[] = {
    {OSSL_FUNC_RAND_NEWCTX, (void (*)(void))random_new},
    {OSSL_FUNC_RAND_FREECTX, (void (*)(void))random_free},
    {OSSL_FUNC_RAND_INSTANTIATE, (void (*)(void))instantiate},
    {OSSL_FUNC_RAND_UNINSTANTIATE, (void (*)(void))uninstantiate},
    {OSSL_FUNC_RAND_GENERATE, (void (*)(void))generate},
    {OSSL_FUNC_RAND_RESEED, (void (*)(void))reseed},
    {OSSL_FUNC_RAND_GET_SEED, (void (*)(void))get_seed},
    {OSSL_FUNC_RAND_CLEAR_SEED, (void (*)(void))clear_seed},
    {OSSL_FUNC_RAND_ENABLE_LOCKING, (void (*)(void))lock},
    {OSSL_FUNC_RAND_LOCK, (void (*)(void))lock},
    {OSSL_FUNC_RAND_UNLOCK, (void (*)(void))unlock},
    {OSSL_FUNC_RAND_GET_CTX_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_RAND_GETTABLE_CTX_PARAMS, (void (*)(void))gettable_params},
    {0, NULL},
};

const OSSL_ALGORITHM RANDOM_ALGORITHMS[] = {
    {"HSM-RANDOM", PROVIDER_PROPERTIES, FUNCTIONS, "random bytes of the nodes"},
    {NULL, NULL, NULL, NULL},
};
