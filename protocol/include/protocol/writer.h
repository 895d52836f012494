/* Appends msgpack values to a `bytes`; refused appends show in bytes_ok() at the end. */
#pragma once

#include "protocol/bytes.h"

void write_map(struct bytes *out, uint32_t n_entries);
void write_array(struct bytes *out, uint32_t n_entries);
void write_uint(struct bytes *out, uint64_t value);
void write_bool(struct bytes *out, bool value);
void write_bin(struct bytes *out, struct slice value);
void write_text(struct bytes *out, struct slice value);

/** Appends a value that is encoded already. */
void write_encoded(struct bytes *out, struct slice encoded);
