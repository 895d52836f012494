/* Errors in OpenSSL's queue. A server logs the queue of a failed handshake: the text says which node refused what. */
#include <pthread.h>
#include <stdarg.h>
#include "provider.h"

#define N_STATUSES 100

static OSSL_ITEM reasons[N_STATUSES + 16];
static pthread_once_t reasons_once = PTHREAD_ONCE_INIT;

static const OSSL_ITEM OWN_REASONS[] = {
    {REASON_PARAMETER, (void *)"invalid parameter"},
    {REASON_UNSUPPORTED, (void *)"not supported with a key of the cluster"},
    {REASON_NO_PRIVATE_KEY, (void *)"no private key"},
    {REASON_PRIVATE_KEY_STAYS, (void *)"private keys do not leave the cluster"},
    {REASON_URI, (void *)"invalid hsm: URI"},
    {REASON_OPENSSL, (void *)"OpenSSL failed"},
    {REASON_ASYNC, (void *)"asynchronous job failed"},
    {REASON_OUTAGE, (void *)"no node answers at the moment"},
};

static void reasons_fill(void)
{
    size_t n = 0;

    for (hsm_status status = 1; status < N_STATUSES; status++)
        if (strcmp(hsm_status_name(status), "UNKNOWN") != 0)
            reasons[n++] = (OSSL_ITEM){(unsigned)status, (void *)(uintptr_t)hsm_status_text(status)};
    for (size_t i = 0; i < sizeof(OWN_REASONS) / sizeof(OWN_REASONS[0]); i++)
        reasons[n++] = OWN_REASONS[i];
}

const OSSL_ITEM *error_reasons(void)
{
    pthread_once(&reasons_once, reasons_fill);
    return reasons;
}

void error_raise(const struct provider *provider, const char *file, int line, const char *function, uint32_t reason,
                 const char *format, ...)
{
    va_list arguments;

    if (!provider->new_error || !provider->set_error_debug || !provider->vset_error)
        return;
    va_start(arguments, format);
    provider->new_error(provider->core);
    provider->set_error_debug(provider->core, file, line, function);
    provider->vset_error(provider->core, reason, format, arguments);
    va_end(arguments);
}

static void raise_failure(const struct provider *provider, const char *file, int line, const char *function,
                          hsm_status status, const char *detail, const char *node)
{
    bool at_node = node && node[0] != '\0';

    error_raise(provider, file, line, function, (uint32_t)status, "%s%s%s%s", detail ? detail : "",
                at_node ? " (node " : "", at_node ? node : "", at_node ? ")" : "");
}

void error_raise_last(const struct provider *provider, const char *file, int line, const char *function)
{
    const hsm_error *error = hsm_last_error();

    raise_failure(provider, file, line, function, error->status, error->detail, error->node);
}

void error_raise_status(const struct provider *provider, hsm_status status, const char *detail, const char *node)
{
    raise_failure(provider, "async.c", 0, "completion", status, detail, node);
}
