/* See anchor.h. */
#include "identity/anchor.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <time.h>
#include "identity/certificate.h"
#include "node.h"
#include "protocol/writer.h"
#include "seal/record.h"

#define RETRIES 16u

struct anchors {
    struct node *node;
    X509 *certificates[ANCHORS_MAX];
    unsigned n;
};

static void anchors_release(struct anchors *anchors)
{
    for (unsigned i = 0; i < anchors->n; i++)
        X509_free(anchors->certificates[i]);
}

/* --- reading --- */

/* The record's plaintext is the certificate, DER. */
static status_code take(void *context, const struct store_record *record)
{
    CLEANUP(bytes_release) struct bytes der = BYTES_INIT;
    struct anchors *anchors = context;

    TRY(record_open(anchors->node, record, &der));
    if (anchors->n == ANCHORS_MAX)
        return STATUS_OK;
    TRY(certificate_parse_der(bytes_slice(&der), "a trust anchor", &anchors->certificates[anchors->n]));
    anchors->n++;
    return STATUS_OK;
}

static status_code read_all(struct node *node, struct anchors *anchors)
{
    *anchors = (struct anchors){.node = node};
    return node->store->operations->range(node->store, STORE_ANCHOR, NULL, NULL, ANCHORS_MAX, take, anchors);
}

status_code anchors_follow(struct node *node)
{
    CLEANUP(anchors_release) struct anchors anchors;

    TRY(read_all(node, &anchors));
    return identity_trust(node->identity, anchors.certificates, anchors.n);
}

static uint64_t end_ms(const X509 *certificate)
{
    struct tm end;

    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) ? (uint64_t)timegm(&end) * 1000 : 0;
}

static status_code put(X509 *certificate, struct bytes *records)
{
    uint8_t hash[CERTIFICATE_HASH_LEN];
    char name[65];
    struct values values;

    TRY(certificate_hash(certificate, hash));
    certificate_common_name(certificate, name, sizeof(name));
    values_init(&values);
    values_put_bytes(&values, FIELD_HASH_VALUE, slice_of(hash, sizeof(hash)));
    values_put_bytes(&values, FIELD_NAME, slice_text(name));
    values_put_uint(&values, FIELD_TIME_MS, end_ms(certificate));
    values_encode(&FIELD_SCHEMA, &values, records);
    return bytes_ok(records);
}

status_code anchors_list(struct node *node, struct bytes *records)
{
    CLEANUP(anchors_release) struct anchors anchors;

    TRY(read_all(node, &anchors));
    write_array(records, anchors.n);
    for (unsigned i = 0; i < anchors.n; i++)
        TRY(put(anchors.certificates[i], records));
    return bytes_ok(records);
}

/* --- changing --- */

static status_code write_one(struct node *node, const struct store_write *write)
{
    uint64_t revision;

    TRY(node->store->operations->write(node->store, write, 1, &revision));
    node_wrote(node, revision);
    return anchors_follow(node);
}

status_code anchors_add(struct node *node, struct slice certificate_pem, uint8_t hash[CERTIFICATE_HASH_LEN])
{
    CLEANUP(certificate_free) X509 *certificate = NULL;
    CLEANUP(anchors_release) struct anchors anchors;
    CLEANUP(bytes_release) struct bytes der = BYTES_INIT, sealed = BYTES_INIT;
    struct store_write write;

    TRY(certificate_parse(certificate_pem, "the trust anchor", &certificate));
    TRY(certificate_check_ca(certificate));
    TRY(certificate_hash(certificate, hash));
    TRY(certificate_encode_der(certificate, &der));
    TRY(read_all(node, &anchors));
    CHECK(anchors.n < ANCHORS_MAX, STATUS_QUOTA_EXCEEDED, "there are %u trust anchors, which is the most: remove one",
          ANCHORS_MAX);
    TRY(record_prepare(node, STORE_ANCHOR, hash, 0, bytes_slice(&der), &sealed, &write));
    status_code status = write_one(node, &write);

    return status == STATUS_ALREADY_EXISTS ? STATUS_OK : status;
}

static status_code remove_once(struct node *node, const uint8_t *id)
{
    CLEANUP(bytes_release) struct bytes der = BYTES_INIT;
    uint64_t version;
    status_code status = record_read(node, STORE_ANCHOR, id, &der, &version);

    CHECK(status != STATUS_OBJECT_NOT_FOUND, STATUS_OBJECT_NOT_FOUND, "there is no such trust anchor");
    TRY(status);
    struct store_write write = record_removal(STORE_ANCHOR, id, version);

    return write_one(node, &write);
}

status_code anchors_remove(struct node *node, struct slice hash)
{
    status_code status = STATUS_CONFLICT;

    CHECK(hash.len == CERTIFICATE_HASH_LEN, STATUS_INVALID_ARGUMENT, "a certificate's SHA-256 has %u bytes, not %zu",
          CERTIFICATE_HASH_LEN, hash.len);
    for (unsigned i = 0; i < RETRIES && status == STATUS_CONFLICT; i++)
        status = remove_once(node, hash.data);
    return status;
}
