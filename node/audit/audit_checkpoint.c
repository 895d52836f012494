/* Checkpoints: a node's signed word on how far an audit log reached at some moment. Kept outside of the store (in the
 * node's log, in exports), it shows when entries are cut off the end together with the head that counts them. */
#include <stdio.h>
#include <time.h>
#include "audit/audit_entry.h"

#define SIGNATURE_MAX 512u

status_code audit_checkpoint(struct audit *audit, const uint8_t node_id[ID_LEN], struct bytes *text,
                             struct bytes *signature, struct bytes *certificate_pem)
{
    struct node *node = audit_node(audit);
    char cluster[2 * ID_LEN + 1], of[2 * ID_LEN + 1], hash[2 * AUDIT_HASH_LEN + 1], when[32], lines[400];
    time_t seconds = (time_t)(node_now_ms(node) / 1000);
    struct audit_position head;
    uint64_t version;
    struct tm utc;

    TRY(audit_head_read(node, node_id, &head, &version));
    hex_encode(slice_of(identity_cluster_id(node->identity), ID_LEN), cluster);
    hex_encode(slice_of(node_id, ID_LEN), of);
    hex_encode(slice_of(head.hash, AUDIT_HASH_LEN), hash);
    gmtime_r(&seconds, &utc);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    int len = snprintf(lines, sizeof(lines),
                       "libhsm audit checkpoint 1\ncluster: %s\nnode: %s\nsequence: %llu\nhash: %s\ntime: %s\n",
                       cluster, of, (unsigned long long)head.sequence, hash, when);

    bytes_append(text, lines, (size_t)len);
    TRY(bytes_ok(text));
    return identity_sign(node->identity, bytes_slice(text), signature, certificate_pem);
}

void audit_log_checkpoint(struct audit *audit)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT, signature = BYTES_INIT, certificate = BYTES_INIT;
    const struct node *node = audit_node(audit);

    if (audit_checkpoint(audit, identity_node_id(node->identity), &text, &signature, &certificate) != STATUS_OK)
        return; /* the store cannot be read: that is told elsewhere */
    char hex[2 * SIGNATURE_MAX + 1];

    bytes_append(&text, "", 1);
    hex_encode(slice_of(signature.data, signature.len < SIGNATURE_MAX ? signature.len : SIGNATURE_MAX), hex);
    log_event(LOG_LEVEL_INFO, "audit checkpoint", "text", (const char *)text.data, "signature", hex, NULL);
}
