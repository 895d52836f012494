/* OSSL_provider_init, what it offers, and its end (provider(7), provider-base(7)). */
#include "provider.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <strings.h>
#include "async.h"
#include "connection.h"
#include "precedence.h"

#define TIMEOUT_DEFAULT_MS 3000u
#define TIMEOUT_MIN_MS     50u
#define TIMEOUT_MAX_MS     600000u

/* --- what OpenSSL asks --- */

static const OSSL_PARAM *gettable_params(void *context)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_BUILDINFO, NULL, 0),
        OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
        OSSL_PARAM_END,
    };

    (void)context;
    return PARAMS;
}

static int get_params(void *context, OSSL_PARAM params[])
{
    OSSL_PARAM *param;

    (void)context;
    if ((param = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME)) != NULL)
        TRY(OSSL_PARAM_set_utf8_ptr(param, "libhsm: keys held by a cluster of HSM nodes"));
    if ((param = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_VERSION)) != NULL)
        TRY(OSSL_PARAM_set_utf8_ptr(param, hsm_version()));
    if ((param = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_BUILDINFO)) != NULL)
        TRY(OSSL_PARAM_set_utf8_ptr(param, hsm_version()));
    if ((param = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS)) != NULL)
        TRY(OSSL_PARAM_set_int(param, 1));
    return 1;
}

static const OSSL_ALGORITHM *query_operation(void *context, int operation, int *no_cache)
{
    static const struct {
        int operation;
        const OSSL_ALGORITHM *algorithms;
    } OFFERED[] = {
        {OSSL_OP_KEYMGMT, KEYMGMT_ALGORITHMS},
        {OSSL_OP_SIGNATURE, SIGNATURE_ALGORITHMS},
        {OSSL_OP_ASYM_CIPHER, ASYM_CIPHER_ALGORITHMS},
        {OSSL_OP_KEYEXCH, EXCHANGE_ALGORITHMS},
        {OSSL_OP_CIPHER, CIPHER_ALGORITHMS},
        {OSSL_OP_MAC, MAC_ALGORITHMS},
        {OSSL_OP_RAND, RANDOM_ALGORITHMS},
        {OSSL_OP_DECODER, DECODER_ALGORITHMS},
        {OSSL_OP_ENCODER, ENCODER_ALGORITHMS},
        {OSSL_OP_STORE, STORE_ALGORITHMS},
    };

    *no_cache = precedence_others_are_asked(context, operation);
    if (*no_cache)
        return NULL;
    precedence_ask_others(context, operation);
    for (size_t i = 0; i < sizeof(OFFERED) / sizeof(OFFERED[0]); i++)
        if (OFFERED[i].operation == operation)
            return OFFERED[i].algorithms;
    return NULL;
}

static const OSSL_ITEM *get_reason_strings(void *context)
{
    (void)context;
    return error_reasons();
}

/* --- beginning and end --- */

/* Also at the end of the process, when OpenSSL takes itself apart: what this frees is still whole then. */
static void provider_free(void *context)
{
    struct provider *provider = context;

    async_close(provider);
    connection_close(provider);
    precedence_end(provider);
    if (provider->default_provider)
        OSSL_PROVIDER_unload(provider->default_provider);
    OSSL_LIB_CTX_free(provider->library);
    free(provider->config_path);
    free(provider);
}

static void take_core_functions(struct provider *provider, const OSSL_DISPATCH *in,
                                OSSL_FUNC_core_get_params_fn **core_get_params)
{
    for (; in->function_id != 0; in++) {
        switch (in->function_id) {
        case OSSL_FUNC_CORE_GET_PARAMS:
            *core_get_params = OSSL_FUNC_core_get_params(in);
            break;
        case OSSL_FUNC_CORE_GET_LIBCTX: /* compared alone: it may be another build's of OpenSSL */
            if ((const void *)OSSL_FUNC_core_get_libctx(in)(provider->core) ==
                (const void *)OSSL_LIB_CTX_get0_global_default())
                precedence_begin(provider);
            break;
        case OSSL_FUNC_CORE_NEW_ERROR:
            provider->new_error = OSSL_FUNC_core_new_error(in);
            break;
        case OSSL_FUNC_CORE_SET_ERROR_DEBUG:
            provider->set_error_debug = OSSL_FUNC_core_set_error_debug(in);
            break;
        case OSSL_FUNC_CORE_VSET_ERROR:
            provider->vset_error = OSSL_FUNC_core_vset_error(in);
            break;
        default:
            break;
        }
    }
}

static void take_import(struct provider *provider, const char *text)
{
    provider->allow_import = strcasecmp(text, "yes") == 0;
    if (!provider->allow_import && strcasecmp(text, "no") != 0)
        provider->bad_setting = "import is yes or no";
}

static void take_timeout(struct provider *provider, const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*end == '\0' && number >= TIMEOUT_MIN_MS && number <= TIMEOUT_MAX_MS)
        provider->timeout_ms = (uint32_t)number;
    else
        provider->bad_setting = "timeout-ms is a number between 50 and 600000";
}

/* The provider's section of openssl.cnf. OpenSSL goes on in silence without a provider that does not begin: what is
 * wrong with a setting is therefore told with the first key. */
static bool take_settings(struct provider *provider, OSSL_FUNC_core_get_params_fn *core_get_params)
{
    char *config = NULL, *import = NULL, *timeout = NULL;
    OSSL_PARAM wanted[] = {
        OSSL_PARAM_utf8_ptr("config", &config, 0),
        OSSL_PARAM_utf8_ptr("import", &import, 0),
        OSSL_PARAM_utf8_ptr("timeout-ms", &timeout, 0),
        OSSL_PARAM_END,
    };

    if (!core_get_params || !core_get_params(provider->core, wanted))
        return true;
    if (import)
        take_import(provider, import);
    if (timeout)
        take_timeout(provider, timeout);
    provider->config_path = config ? strdup(config) : NULL;
    return !config || provider->config_path;
}

static const OSSL_DISPATCH PROVIDER_FUNCTIONS[] = {
    {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))provider_free},
    {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable_params},
    {OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query_operation},
    {OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, (void (*)(void))get_reason_strings},
    {0, NULL},
};

__attribute__((visibility("default"))) int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                                                              const OSSL_DISPATCH **out, void **context)
{
    OSSL_FUNC_core_get_params_fn *core_get_params = NULL;
    struct provider *provider = calloc(1, sizeof(*provider));

    if (!provider)
        return 0;
    provider->core = handle;
    provider->timeout_ms = TIMEOUT_DEFAULT_MS;
    take_core_functions(provider, in, &core_get_params);
    provider->library = OSSL_LIB_CTX_new_from_dispatch(handle, in);
    if (provider->library)
        provider->default_provider = OSSL_PROVIDER_load(provider->library, "default");
    if (!provider->default_provider || !take_settings(provider, core_get_params)) {
        provider_free(provider);
        return 0;
    }
    *out = PROVIDER_FUNCTIONS;
    *context = provider;
    return 1;
}
