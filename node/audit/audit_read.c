/* Reading and verifying the audit log of any node, from the store. */
#include "audit/audit_entry.h"
#include "protocol/writer.h"

#define PAGE_BYTES_MAX ((size_t)1 << 20)
#define VERIFY_PAGE    1000u

/* Reading. */

struct page {
    struct node *node;
    struct bytes plaintext, encoded;
    uint32_t n;
};

static void page_release(struct page *page)
{
    bytes_release(&page->plaintext);
    bytes_release(&page->encoded);
}

static status_code add_entry(void *context, const struct store_record *record)
{
    struct page *page = context;
    uint8_t hash[AUDIT_HASH_LEN];
    struct values fields;

    TRY(audit_entry_open(page->node, record, &page->plaintext, &fields, hash));
    values_put_bytes(&fields, FIELD_HASH_VALUE, slice_of(hash, sizeof hash));
    values_encode(&FIELD_SCHEMA, &fields, &page->encoded);
    page->n++;
    TRY(bytes_ok(&page->encoded));
    return page->encoded.len >= PAGE_BYTES_MAX ? STATUS_PENDING : STATUS_OK; /* PENDING: the page is full */
}

static status_code range(struct node *node, const uint8_t node_id[ID_LEN], uint64_t sequence, uint64_t limit,
                         store_visitor visit, void *context)
{
    uint8_t after[ID_LEN], before[ID_LEN];
    audit_record_id(node_id, sequence ? sequence - 1 : 0, after);
    audit_record_id(node_id, AUDIT_HEAD_SEQUENCE, before);
    status_code code =
        node->store->operations->range(node->store, STORE_AUDIT, after, before, (size_t)limit, visit, context);
    return code == STATUS_PENDING ? STATUS_OK : code;
}

status_code audit_read(struct audit *audit, const uint8_t node_id[ID_LEN], uint64_t sequence, uint64_t limit,
                       struct bytes *records, uint64_t *head)
{
    struct node *node = audit_node(audit);
    CLEANUP(page_release) struct page page = {.node = node, .plaintext = BYTES_INIT, .encoded = BYTES_INIT};
    struct audit_position newest;
    uint64_t version;

    limit = limit && limit < FIND_PAGE_MAX ? limit : FIND_PAGE_MAX;
    TRY(audit_head_read(node, node_id, &newest, &version));
    TRY(range(node, node_id, sequence, limit, add_entry, &page));
    write_array(records, page.n);
    write_encoded(records, bytes_slice(&page.encoded));
    *head = newest.sequence;
    return bytes_ok(records);
}

/* Verifying. */

struct walk {
    struct node *node;
    struct bytes plaintext;
    struct audit_position at;
};

static void walk_release(struct walk *walk)
{
    bytes_release(&walk->plaintext);
}

static status_code check_entry(void *context, const struct store_record *record)
{
    struct walk *walk = context;
    unsigned long long expected = walk->at.sequence + 1;
    uint8_t hash[AUDIT_HASH_LEN];
    struct values fields;

    status_code code = audit_entry_open(walk->node, record, &walk->plaintext, &fields, hash);
    CHECK(code == STATUS_OK, code, "entry %llu of the audit log was altered, or is damaged", expected);
    CHECK(values_uint(&fields, FIELD_SEQUENCE, 0) == expected, STATUS_STORE_DAMAGED,
          "entry %llu of the audit log is missing", expected);
    CHECK(slice_equal(values_bytes(&fields, FIELD_PREVIOUS_HASH), slice_of(walk->at.hash, AUDIT_HASH_LEN)),
          STATUS_STORE_DAMAGED, "entry %llu of the audit log does not continue the one before", expected);
    memcpy(walk->at.hash, hash, AUDIT_HASH_LEN);
    walk->at.sequence++;
    return STATUS_OK;
}

status_code audit_verify(struct audit *audit, const uint8_t node_id[ID_LEN])
{
    CLEANUP(walk_release) struct walk walk = {.node = audit_node(audit), .plaintext = BYTES_INIT};
    struct audit_position newest;
    uint64_t version, before;

    /* The head first: entries that are added meanwhile do not matter, entries that it names must be there. */
    TRY(audit_head_read(walk.node, node_id, &newest, &version));
    do {
        before = walk.at.sequence;
        TRY(range(walk.node, node_id, before + 1, VERIFY_PAGE, check_entry, &walk));
    } while (walk.at.sequence - before == VERIFY_PAGE);
    CHECK(walk.at.sequence >= newest.sequence, STATUS_STORE_DAMAGED,
          "entry %llu of the audit log is missing: the log was cut off at its end",
          (unsigned long long)walk.at.sequence + 1);
    return STATUS_OK;
}
