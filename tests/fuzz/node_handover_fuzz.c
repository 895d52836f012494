/* Handovers: they reach a node through an operator's hands, before it trusts anybody. None that was not made by a
 * member may open; no bytes may do harm. */
#include <openssl/x509.h>
#include "identity/certificate.h"
#include "identity/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 86400);
    X509_set_pubkey(made, key);
    X509_sign(made, key, EVP_sha256());
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static EVP_PKEY *key;
    static X509 *certificate;
    struct vault vault = {0};
    if (!key) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        certificate = self_signed(key);
    }
    struct handover_parties parties = {NULL, certificate, certificate};
    if (handover_open(slice_of(data, len), &parties, key, &vault) == STATUS_OK)
        __builtin_trap();
    vault_release(&vault);
    return 0;
}
