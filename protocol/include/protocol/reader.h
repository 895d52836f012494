/* A strict msgpack reader over bytes that a peer, the store or a file supplied. It allocates nothing, never reads
 * past the end and skips unknown values only within DEPTH_MAX and CONTAINER_MAX. */
#pragma once

#include "protocol/bytes.h"

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

/** What is absent has no bytes, and no place either: NULL has no end to compute. */
static inline struct reader reader_of(struct slice bytes)
{
    return (struct reader){bytes.data, bytes.data ? bytes.data + bytes.len : NULL};
}

static inline bool reader_at_end(const struct reader *reader)
{
    return reader->at == reader->end;
}

status_code read_map(struct reader *reader, uint32_t *n_entries);
status_code read_array(struct reader *reader, uint32_t *n_entries);
status_code read_uint(struct reader *reader, uint64_t *value);
status_code read_bool(struct reader *reader, bool *value);

/** The result borrows from the reader's bytes. Text must be valid UTF-8 without NUL. */
status_code read_bin(struct reader *reader, size_t max_len, struct slice *value);
status_code read_text(struct reader *reader, size_t max_len, struct slice *value);

/** Whether it is well-formed UTF-8 without NUL. */
bool text_is_valid(struct slice text);

/** Passes over one value of any type and yields its encoding. */
status_code read_any(struct reader *reader, struct slice *encoded);
