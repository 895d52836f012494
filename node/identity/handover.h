/* The handover: how the masking keys go from a member to a node that an administrator admitted, through whatever hands
 * the operator has, and how a new one goes to all members, through the store. Sealed to the key in the taking node's
 * certificate (ephemeral ECDH P-256, HKDF, AES-256-GCM), bound to both certificates, the CA and the cluster, and signed
 * by the giving member. */
#pragma once

#include <openssl/x509.h>
#include "identity/vault.h"

#define HANDOVER_MAX 8192u

/** Who gives and who takes; all borrowed. */
struct handover_parties {
    X509 *approver;
    X509 *joiner;
    X509 *ca;
};

status_code handover_make(const struct handover_parties *parties, EVP_PKEY *approver_key, const struct vault *vault,
                          struct bytes *handover);

/** Opens it with the joiner's key; cluster id, name and masking keys go into `vault`. `parties->approver` is not
 * looked at: its certificate is in the handover and must be a node's, signed by the CA. `parties->joiner` is NULL for a
 * member, whose certificate may have been renewed since. STATUS_NOT_PERMITTED says what does not fit. */
status_code handover_open(struct slice handover, const struct handover_parties *parties, EVP_PKEY *joiner_key,
                          struct vault *vault);
