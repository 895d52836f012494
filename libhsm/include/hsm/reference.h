/* Key references. A key reference is a small file that names a private key of the cluster and holds its public key, for
 * programs that take keys from files alone: they are given the reference in place of a private key, and use the key
 * through the cluster. Nothing in it is secret: it is of use only to who can log in as a user of the key.
 *
 * The file is PEM (RFC 7468) with the label "HSM KEY REFERENCE" around this DER:
 *
 *   HsmKeyReference ::= SEQUENCE {
 *       version    INTEGER (1),
 *       clusterId  OCTET STRING (SIZE (16)),
 *       objectId   OCTET STRING (SIZE (16)),
 *       publicKey  SubjectPublicKeyInfo,
 *       label      UTF8String,
 *       ... }
 *
 * What follows the label is ignored, and kept in copies: later versions of the library may add what older ones can do
 * without. What older ones must not overlook gets a higher version number, which they refuse. */
#pragma once

#include "hsm/object.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What hsm_reference_parse takes, in bytes. The DER of a reference has at most half of it. */
#define HSM_REFERENCE_MAX 65536

/** Unchanging; readable from any number of threads. */
typedef struct hsm_reference hsm_reference;

/**
 * Reads a reference. Does not reach the network, and asks nobody whether there is such a key.
 *
 * @param data  PEM or DER, from wherever: it is checked in full. In PEM, the first reference is read; whatever else
 * stands around it, such as a certificate, is skipped
 * @param reference  out: freed with hsm_reference_free
 * @return HSM_OK; HSM_INVALID_ARGUMENT when it holds no reference, or a damaged one; HSM_VERSION_MISMATCH when the
 * reference is of a newer kind than this library knows; HSM_TOO_LARGE; HSM_OUT_OF_MEMORY
 */
HSM_API hsm_status hsm_reference_parse(const void *data, size_t len, hsm_reference **reference);

/**
 * Makes a reference to a private key that is a token object. Asks a node for what `known` does not tell, and for the
 * cluster's id when this hsm_cluster has not learned it this way before.
 *
 * @param known  attributes of the key that were got already, with CLASS, TOKEN, LABEL and PUBLIC_KEY_INFO; NULL: none
 * @param reference  out: freed with hsm_reference_free
 * @return HSM_OK; HSM_INVALID_ARGUMENT when it is no private key, or a session object; HSM_OBJECT_NOT_FOUND;
 *         HSM_KEY_TYPE_INCONSISTENT when the cluster does not know its public key
 */
HSM_API hsm_status hsm_reference_make(hsm_session *session, hsm_key key, const hsm_attributes *known,
                                      hsm_reference **reference);

HSM_API hsm_status hsm_reference_copy(const hsm_reference *reference, hsm_reference **copy);

/* What it says. These never reach the network and never fail; what they point to lives as long as the reference. */

HSM_API hsm_key hsm_reference_key(const hsm_reference *reference);

/** HSM_ID_LEN bytes: the hsm_cluster_info.id of the cluster that the reference was made in. A cluster that was restored
 * from a backup has another one, and the same keys under the same ids. */
HSM_API const uint8_t *hsm_reference_cluster_id(const hsm_reference *reference);

/** SubjectPublicKeyInfo, DER (RFC 5280). Its outer form was checked, the key in it was not. */
HSM_API const uint8_t *hsm_reference_public_key_info(const hsm_reference *reference, size_t *len);

/** For people: the key's label at the time that the reference was made, without control characters. "" when it had
 * none, or one that is no text. */
HSM_API const char *hsm_reference_label(const hsm_reference *reference);

/** The reference as DER. @param der  out: freed with hsm_buffer_free */
HSM_API hsm_status hsm_reference_der(const hsm_reference *reference, hsm_buffer *der);

/** The reference as PEM. @param pem  out: text, freed with hsm_buffer_free */
HSM_API hsm_status hsm_reference_pem(const hsm_reference *reference, hsm_buffer *pem);

/** Harmless on NULL. */
HSM_API void hsm_reference_free(hsm_reference *reference);

#ifdef __cplusplus
}
#endif
