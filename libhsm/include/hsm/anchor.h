/* Trust anchors: CAs, besides the cluster's own, whose certificates clients may show. For an organisation that issues
 * its applications' certificates elsewhere, and for changing that CA without a moment in which nobody gets in: add the
 * new one, move the clients, remove the old one. Every call reaches the network and is safe from any number of threads.
 */
#pragma once

#include "hsm/session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HSM_CERTIFICATE_HASH_LEN 32 /**< SHA-256 of a certificate's DER */

/**
 * From now on clients may show certificates of this CA too. Administrators only. Harmless when repeated.
 *
 * @param hash  out: HSM_CERTIFICATE_HASH_LEN bytes, by which it is removed; may be NULL
 * @return HSM_OK; HSM_TLS_ERROR when it is no CA's certificate or not valid now; HSM_QUOTA_EXCEEDED above 16;
 * HSM_NOT_PERMITTED; HSM_QUORUM_NEEDED
 */
HSM_API hsm_status hsm_trust_anchor_add(hsm_session *session, const char *certificate_pem, uint8_t *hash);

/** Its clients are refused from the next connection on. Administrators only. @return HSM_OK; HSM_OBJECT_NOT_FOUND */
HSM_API hsm_status hsm_trust_anchor_remove(hsm_session *session, const uint8_t *hash);

typedef struct hsm_trust_anchor_info {
    size_t size;
    uint8_t hash[HSM_CERTIFICATE_HASH_LEN];
    const char *name;  /* of its subject */
    uint64_t until_ms; /* end of its validity, in ms since 1970-01-01 UTC */
} hsm_trust_anchor_info;

typedef struct hsm_trust_anchor_list {
    size_t size;
    size_t n_anchors;
    const hsm_trust_anchor_info *const *anchors;
} hsm_trust_anchor_list;

/** All but the cluster's own CA. Needs no login. @param list  out: freed all at once */
HSM_API hsm_status hsm_trust_anchor_list_all(hsm_cluster *cluster, hsm_trust_anchor_list **list);
HSM_API void hsm_trust_anchor_list_free(hsm_trust_anchor_list *list);

#ifdef __cplusplus
}
#endif
