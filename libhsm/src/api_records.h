/* Owned results that are lists: a head struct, arrays of pointers to items, and the texts that they refer to, all given
 * back with one free. Pieces are chained behind the head, so pointers into them never move. A failed allocation is
 * remembered and told by records_finish, so that filling in needs no checks. */
#pragma once

#include "api.h"
#include "protocol/message.h"

struct records {
    void *head;
    status_code status;
};

/** Starts with a zeroed head of `head_size`. */
status_code records_begin(struct records *records, size_t head_size);

/** Zeroed memory that lives as long as the head; NULL after a failure. */
void *records_allocate(struct records *records, size_t size);

/** Owned copies. Text is NUL-terminated and never NULL, except after a failure. */
const char *records_text(struct records *records, struct slice text);
const uint8_t *records_bytes(struct records *records, struct slice bytes);
void records_id(uint8_t id[16], struct slice from);

/** Fills in one item from one record. */
typedef status_code (*records_taker)(struct records *records, const struct values *record, void *item);

/** Decodes SETS values standing one behind the other in `encoded` (fields of fields.def) into an array of pointers to
 * items of `item_size`; *n says how many. */
void **records_take(struct records *records, struct slice encoded, size_t item_size, records_taker take, size_t *n);

/** The head to the caller, or everything freed and the failure returned. */
status_code records_finish(struct records *records, void **head);

/** Frees a head and all that hangs on it; harmless on NULL. */
void records_free(void *head);
