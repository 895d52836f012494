/* See api_records.h. The head is preceded by the chain of its pieces. */
#include "api_records.h"

#include <stdlib.h>

struct records_piece {
    struct records_piece *next;
    _Alignas(16) uint8_t data[];
};

/* What stands in front of a head, at its alignment. */
struct owner {
    struct records_piece *pieces;
    _Alignas(16) uint8_t head[];
};

static struct owner *owner_of(void *head)
{
    return (struct owner *)((uint8_t *)head - offsetof(struct owner, head));
}

status_code records_begin(struct records *records, size_t head_size)
{
    struct owner *owner = (struct owner *)calloc(1, sizeof(*owner) + head_size);

    CHECK(owner, STATUS_OUT_OF_MEMORY, "no memory for a list");
    *records = (struct records){owner->head, STATUS_OK};
    return STATUS_OK;
}

void *records_allocate(struct records *records, size_t size)
{
    struct records_piece *piece = NULL;

    if (records->status == STATUS_OK)
        piece = (struct records_piece *)calloc(1, sizeof(*piece) + size);
    if (!piece) {
        if (records->status == STATUS_OK)
            records->status = failure_set(STATUS_OUT_OF_MEMORY, "no memory for a list");
        return NULL;
    }
    piece->next = owner_of(records->head)->pieces;
    owner_of(records->head)->pieces = piece;
    return piece->data;
}

const uint8_t *records_bytes(struct records *records, struct slice bytes)
{
    uint8_t *copy = (uint8_t *)records_allocate(records, bytes.len + 1);

    if (copy && bytes.len)
        memcpy(copy, bytes.data, bytes.len);
    return copy;
}

const char *records_text(struct records *records, struct slice text)
{
    return (const char *)records_bytes(records, text);
}

void records_id(uint8_t id[16], struct slice from)
{
    if (from.len == 16)
        memcpy(id, from.data, 16);
}

/* Counts the records of all pages; they are well-formed msgpack because the answer was decoded. */
static status_code count(struct slice encoded, size_t *n)
{
    struct reader reader = reader_of(encoded);
    struct slice skipped;
    uint32_t n_page;

    *n = 0;
    while (!reader_at_end(&reader)) {
        TRY(read_array(&reader, &n_page));
        *n += n_page;
        while (n_page-- > 0)
            TRY(read_any(&reader, &skipped));
    }
    return STATUS_OK;
}

static status_code fill(struct records *records, struct slice encoded, size_t item_size, records_taker take,
                        void **items)
{
    struct reader reader = reader_of(encoded);
    struct values record;
    uint32_t n_page;
    size_t at = 0;

    while (!reader_at_end(&reader)) {
        TRY(read_array(&reader, &n_page));
        while (n_page-- > 0) {
            TRY(values_decode(&FIELD_SCHEMA, &reader, &record));
            items[at] = records_allocate(records, item_size);
            TRY(records->status);
            TRY(take(records, &record, items[at++]));
        }
    }
    return records->status;
}

void **records_take(struct records *records, struct slice encoded, size_t item_size, records_taker take, size_t *n)
{
    void **items = NULL;

    if (records->status == STATUS_OK)
        records->status = count(encoded, n);
    if (records->status == STATUS_OK)
        items = (void **)records_allocate(records, (*n + 1) * sizeof(*items));
    if (items)
        records->status = fill(records, encoded, item_size, take, items);
    return items;
}

status_code records_finish(struct records *records, void **head)
{
    if (records->status != STATUS_OK) {
        records_free(records->head);
        return records->status;
    }
    *head = records->head;
    return STATUS_OK;
}

void records_free(void *head)
{
    if (!head)
        return;
    struct owner *owner = owner_of(head);
    while (owner->pieces) {
        struct records_piece *next = owner->pieces->next;

        free(owner->pieces);
        owner->pieces = next;
    }
    free(owner);
}
