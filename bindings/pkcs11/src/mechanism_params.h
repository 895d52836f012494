/* The readers of mechanism parameters, for the rows of the table. Each takes what PKCS#11 defines for its mechanisms
 * and refuses what the cluster would do in another way than the caller asked. */
#pragma once

#include "mechanism.h"

/* Copies the parameter as a whole, which need not be aligned; its length must be `len`. */
CK_RV parameter_copy(const CK_MECHANISM *given, void *to, size_t len);

/* Copies the nonce, or the initialization vector. */
CK_RV mechanism_keep_nonce(struct mechanism *mechanism, const void *nonce, CK_ULONG len);

/* mechanism_params.c */
CK_RV read_pss(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_oaep(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_rsa_aes(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_eddsa(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_ml_dsa(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_mac_len(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);

/* mechanism_cipher.c */
CK_RV read_iv(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism); /* a whole block */
CK_RV read_ctr(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_gcm(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_cloudhsm_gcm(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_ccm(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_gmac(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_key_wrap(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);

/* mechanism_derive.c */
CK_RV read_ecdh(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_hkdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_base_and_key(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_base_and_data(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_data_and_base(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_extract(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_aes_cbc_data(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_des3_cbc_data(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);

/* mechanism_kdf.c */
CK_RV read_counter_kdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_cloudhsm_kdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_double_pipeline_kdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
CK_RV read_feedback_kdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
