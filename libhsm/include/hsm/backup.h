/* Backups of a cluster, and the recovery key that opens them.
 *
 * The recovery key is made once, by whoever activates the cluster, and given to it then. Backups are sealed under it,
 * and a new cluster is made of one with it alone: keep it where the cluster is not, as a file or in shares of which
 * some number is enough. Functions without a session or a cluster reach no network; all are safe from any number of
 * threads.
 */
#pragma once

#include "hsm/session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HSM_RECOVERY_KEY_LEN   32
#define HSM_RECOVERY_SHARE_MAX 112 /**< bytes of a share's text, NUL included */
#define HSM_RECOVERY_SHARES    255 /**< most shares of a key */
#define HSM_BACKUP_NAME_MAX    96  /**< bytes of a backup's name, NUL included */

/** A fresh recovery key. @param key  out: HSM_RECOVERY_KEY_LEN bytes, secret: the caller wipes them */
HSM_API hsm_status hsm_recovery_key_make(uint8_t *key);

/**
 * Splits a recovery key into shares, of which `threshold` give it back and fewer tell nothing (A. Shamir, "How to share
 * a secret", 1979; byte by byte over GF(2^8)). Each is a line of text with a checksum, made to be printed and typed.
 *
 * @param threshold, n  1 <= threshold <= n <= HSM_RECOVERY_SHARES
 * @param shares  out: n texts at distances of HSM_RECOVERY_SHARE_MAX bytes, secret: the caller wipes them
 * @return HSM_OK; HSM_INVALID_ARGUMENT; HSM_RANDOM_FAILED
 */
HSM_API hsm_status hsm_recovery_key_split(const uint8_t *key, uint32_t threshold, uint32_t n, char *shares);

/**
 * Joins shares, in any order. Spaces, dashes and the case of letters do not matter.
 *
 * @param key  out: HSM_RECOVERY_KEY_LEN bytes
 * @return HSM_OK; HSM_INVALID_ARGUMENT says which share is mistyped, given twice or another key's, or how many are
 * missing
 */
HSM_API hsm_status hsm_recovery_key_join(const char *const *shares, size_t n, uint8_t *key);

/**
 * As hsm_cluster_activate, with the recovery key under which this cluster's backups will be sealed. It cannot be given
 * or changed later.
 *
 * @param recovery_key  HSM_RECOVERY_KEY_LEN bytes; or NULL: this cluster will have no backups
 */
HSM_API hsm_status hsm_cluster_activate_with_recovery(hsm_cluster *cluster, const char *user, const void *password,
                                                      size_t password_len, const uint8_t *recovery_key);

typedef struct hsm_backup_info {
    size_t size; /**< sizeof(hsm_backup_info), set by the caller of hsm_backup_create and hsm_backup_verify */
    char name[HSM_BACKUP_NAME_MAX];
    uint64_t created_ms; /**< milliseconds since 1970 */
    uint64_t revision;   /**< of the store: everything up to it is in the backup */
    uint64_t n_records;  /**< 0 in lists */
    uint64_t n_bytes;    /**< in lists only */
} hsm_backup_info;

typedef struct hsm_backup_list {
    size_t size;
    size_t n_backups;
    const hsm_backup_info *const *backups; /**< oldest first */
} hsm_backup_list;

/**
 * Makes a backup at the destination of the node that answers. May take minutes; hsm_node_describe tells how far it has
 * come (facts backup-records-done and backup-records-total). Administrators only.
 *
 * @return HSM_OK; HSM_BACKUP_UNAVAILABLE when no node has a destination that can be reached; HSM_CLUSTER_STATE when the
 * cluster has no recovery key; HSM_BUSY while another backup is made
 */
HSM_API hsm_status hsm_backup_create(hsm_session *session, hsm_backup_info *info);

/** All backups at the destination, of this cluster and of others. Administrators only. @param list  out: freed with
 * hsm_backup_list_free  @return HSM_OK; HSM_BACKUP_UNAVAILABLE */
HSM_API hsm_status hsm_backup_list_all(hsm_session *session, hsm_backup_list **list);
HSM_API void hsm_backup_list_free(hsm_backup_list *list);

/**
 * Reads a whole backup of this cluster and opens every part of it. Administrators only.
 *
 * @return HSM_OK; HSM_BACKUP_INVALID, whose error text says what is wrong; HSM_OBJECT_NOT_FOUND;
 * HSM_BACKUP_UNAVAILABLE
 */
HSM_API hsm_status hsm_backup_verify(hsm_session *session, const char *name, hsm_backup_info *info);

/** Deletes a backup. Administrators only. @return HSM_OK; HSM_OBJECT_NOT_FOUND; HSM_BACKUP_UNAVAILABLE */
HSM_API hsm_status hsm_backup_delete(hsm_session *session, const char *name);

/**
 * Makes a new cluster of a backup: with its keys, users, policy and audit logs, under a new cluster id and with this
 * node as its only member. Then hsm_cluster_initialize follows; users log in with the passwords that they had.
 * Interrupted, it is called again.
 *
 * @param node   the own socket of a node that belongs to no cluster and whose store is fresh
 * @param name   of the backup; NULL: the newest
 * @param where  "directory:/PATH" or "s3:https://HOST/BUCKET/PREFIX"; NULL: the node's own destination
 * @param csr    out: the node's certificate signing request, freed with hsm_buffer_free; may be NULL
 * @return HSM_OK; HSM_BACKUP_INVALID when it is damaged, cut off, not what its name says, or opens with another key;
 * HSM_CLUSTER_STATE; HSM_ALREADY_EXISTS when the store is not fresh; HSM_OBJECT_NOT_FOUND; HSM_BACKUP_UNAVAILABLE
 */
HSM_API hsm_status hsm_cluster_restore(hsm_cluster *node, const char *name, const char *where,
                                       const uint8_t *recovery_key, hsm_backup_info *info, hsm_buffer *csr);

#ifdef __cplusplus
}
#endif
