/* The strict msgpack cursor. Every read checks what is left before it touches it; sizes are compared by subtraction
 * from what is left, so nothing overflows. */
#include "protocol/reader.h"

#include "protocol/limits.h"

enum type { TYPE_UINT, TYPE_BOOL, TYPE_BIN, TYPE_TEXT, TYPE_ARRAY, TYPE_MAP, TYPE_OTHER };

struct item {
    enum type type;
    uint64_t number; /* value, or length in bytes or entries */
    size_t skip;     /* TYPE_OTHER: bytes of content */
};

static size_t left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static status_code take_number(struct reader *reader, size_t size, uint64_t *number)
{
    CHECK(left(reader) >= size, STATUS_PROTOCOL_ERROR, "the message ends in the middle of a value");
    *number = 0;
    for (size_t i = 0; i < size; i++)
        *number = *number << 8 | *reader->at++;
    return STATUS_OK;
}

/* How each first byte from 0xc0 to 0xdf goes on (msgpack specification, "Formats"): the bytes of its length or value.
 */
static const struct {
    enum type type;
    uint8_t size;
    uint8_t skip; /* content of fixed length behind it */
    bool sized;   /* the number is the length of what follows */
} formats[32] = {
    [0x00] = {TYPE_OTHER, 0, 0, false}, /* nil */
    [0x02] = {TYPE_BOOL, 0, 0, false},  [0x03] = {TYPE_BOOL, 0, 0, false},
    [0x04] = {TYPE_BIN, 1, 0, true},    [0x05] = {TYPE_BIN, 2, 0, true},
    [0x06] = {TYPE_BIN, 4, 0, true},    [0x07] = {TYPE_OTHER, 1, 1, true}, /* ext: length, then type */
    [0x08] = {TYPE_OTHER, 2, 1, true},  [0x09] = {TYPE_OTHER, 4, 1, true},
    [0x0a] = {TYPE_OTHER, 0, 4, false}, /* float */
    [0x0b] = {TYPE_OTHER, 0, 8, false}, [0x0c] = {TYPE_UINT, 1, 0, false},
    [0x0d] = {TYPE_UINT, 2, 0, false},  [0x0e] = {TYPE_UINT, 4, 0, false},
    [0x0f] = {TYPE_UINT, 8, 0, false},  [0x10] = {TYPE_OTHER, 0, 1, false}, /* signed */
    [0x11] = {TYPE_OTHER, 0, 2, false}, [0x12] = {TYPE_OTHER, 0, 4, false},
    [0x13] = {TYPE_OTHER, 0, 8, false}, [0x14] = {TYPE_OTHER, 0, 2, false}, /* fixext */
    [0x15] = {TYPE_OTHER, 0, 3, false}, [0x16] = {TYPE_OTHER, 0, 5, false},
    [0x17] = {TYPE_OTHER, 0, 9, false}, [0x18] = {TYPE_OTHER, 0, 17, false},
    [0x19] = {TYPE_TEXT, 1, 0, true},   [0x1a] = {TYPE_TEXT, 2, 0, true},
    [0x1b] = {TYPE_TEXT, 4, 0, true},   [0x1c] = {TYPE_ARRAY, 2, 0, false},
    [0x1d] = {TYPE_ARRAY, 4, 0, false}, [0x1e] = {TYPE_MAP, 2, 0, false},
    [0x1f] = {TYPE_MAP, 4, 0, false},
};

static status_code take_item(struct reader *reader, struct item *item)
{
    CHECK(reader->at < reader->end, STATUS_PROTOCOL_ERROR, "the message ends where a value is expected");
    uint8_t first = *reader->at++;

    *item = (struct item){TYPE_OTHER, 0, 0};
    if (first < 0x80)
        *item = (struct item){TYPE_UINT, first, 0};
    else if (first < 0x90)
        *item = (struct item){TYPE_MAP, first & 0x0fu, 0};
    else if (first < 0xa0)
        *item = (struct item){TYPE_ARRAY, first & 0x0fu, 0};
    else if (first < 0xc0)
        *item = (struct item){TYPE_TEXT, first & 0x1fu, 0};
    if (first < 0xc0 || first >= 0xe0)
        return STATUS_OK;

    CHECK(first != 0xc1, STATUS_PROTOCOL_ERROR, "the byte 0xc1 begins no value");
    item->type = formats[first - 0xc0].type;
    item->number = first & 1; /* true is 0xc3 */
    item->skip = formats[first - 0xc0].skip;
    if (formats[first - 0xc0].size)
        TRY(take_number(reader, formats[first - 0xc0].size, &item->number));
    if (item->type == TYPE_OTHER && formats[first - 0xc0].sized)
        item->skip += item->number;
    return STATUS_OK;
}

static status_code take_typed(struct reader *reader, enum type type, const char *name, uint64_t *number)
{
    struct reader before = *reader;
    struct item item;
    status_code status = take_item(reader, &item);

    if (status == STATUS_OK && item.type == type) {
        *number = item.number;
        return STATUS_OK;
    }
    *reader = before;
    CHECK(status == STATUS_OK, status, "%s", failure_detail());
    FAIL(STATUS_PROTOCOL_ERROR, "%s expected, another type found", name);
}

static status_code take_container(struct reader *reader, enum type type, const char *name, uint32_t *n_entries)
{
    uint64_t n;

    TRY(take_typed(reader, type, name, &n));
    /* Each entry takes a byte at least, so a count beyond what is left is a lie. */
    CHECK(n <= CONTAINER_MAX, STATUS_TOO_LARGE, "%s of %llu entries; the limit is %u", name, (unsigned long long)n,
          CONTAINER_MAX);
    CHECK(n <= left(reader), STATUS_PROTOCOL_ERROR, "%s of %llu entries, but only %zu bytes follow", name,
          (unsigned long long)n, left(reader));
    *n_entries = (uint32_t)n;
    return STATUS_OK;
}

status_code read_map(struct reader *reader, uint32_t *n_entries)
{
    return take_container(reader, TYPE_MAP, "a map", n_entries);
}

status_code read_array(struct reader *reader, uint32_t *n_entries)
{
    return take_container(reader, TYPE_ARRAY, "an array", n_entries);
}

status_code read_uint(struct reader *reader, uint64_t *value)
{
    if (reader->at < reader->end && *reader->at < 0x80) {
        *value = *reader->at++;
        return STATUS_OK;
    }
    return take_typed(reader, TYPE_UINT, "an unsigned integer", value);
}

status_code read_bool(struct reader *reader, bool *value)
{
    uint64_t number;

    TRY(take_typed(reader, TYPE_BOOL, "a boolean", &number));
    *value = number != 0;
    return STATUS_OK;
}

static status_code take_bytes(struct reader *reader, enum type type, const char *name, size_t max_len,
                              struct slice *value)
{
    uint64_t len;

    TRY(take_typed(reader, type, name, &len));
    CHECK(len <= left(reader), STATUS_PROTOCOL_ERROR, "%s of %llu bytes, but only %zu follow", name,
          (unsigned long long)len, left(reader));
    CHECK(len <= max_len, STATUS_TOO_LARGE, "%s of %llu bytes; the limit is %zu", name, (unsigned long long)len,
          max_len);
    *value = slice_of(reader->at, (size_t)len);
    reader->at += len;
    return STATUS_OK;
}

status_code read_bin(struct reader *reader, size_t max_len, struct slice *value)
{
    return take_bytes(reader, TYPE_BIN, "a byte string", max_len, value);
}

/* Well-formed UTF-8 (RFC 3629, section 4) without NUL: bytes of the sequence at `at`, 0 when there is none. */
static size_t utf8_sequence(const uint8_t *at, size_t len)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
    uint32_t point;

    if (n == 0 || n > len || *at == 0)
        return 0;
    if (n == 1)
        return 1;
    point = *at & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        point = point << 6 | (at[i] & 0x3fu);
    }
    if (point < smallest[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    return n;
}

/* Where the text stops being valid; its length when it is valid throughout. */
static size_t valid_len(struct slice text)
{
    size_t at = 0;

    while (at < text.len) {
        size_t n = utf8_sequence(text.data + at, text.len - at);

        if (n == 0)
            return at;
        at += n;
    }
    return at;
}

bool text_is_valid(struct slice text)
{
    return valid_len(text) == text.len;
}

status_code read_text(struct reader *reader, size_t max_len, struct slice *value)
{
    struct slice text;

    TRY(take_bytes(reader, TYPE_TEXT, "a text", max_len, &text));
    CHECK(text_is_valid(text), STATUS_PROTOCOL_ERROR, "a text is not UTF-8 at byte %zu, or holds a NUL",
          valid_len(text));
    *value = text;
    return STATUS_OK;
}

/* Passes over one value without recursion: `open` counts the values still to come at each depth. */
status_code read_any(struct reader *reader, struct slice *encoded)
{
    const uint8_t *start = reader->at;
    uint64_t open[DEPTH_MAX + 1] = {1};
    unsigned depth = 0;

    for (;;) {
        while (open[depth] == 0) {
            if (depth == 0) {
                *encoded = slice_of(start, (size_t)(reader->at - start));
                return STATUS_OK;
            }
            depth--;
        }
        open[depth]--;

        struct item item;
        TRY(take_item(reader, &item));
        if (item.type == TYPE_MAP || item.type == TYPE_ARRAY) {
            CHECK(item.number <= CONTAINER_MAX, STATUS_TOO_LARGE, "a container of %llu entries; the limit is %u",
                  (unsigned long long)item.number, CONTAINER_MAX);
            CHECK(depth < DEPTH_MAX, STATUS_TOO_LARGE, "nested deeper than %u", DEPTH_MAX);
            open[++depth] = item.type == TYPE_MAP ? 2 * item.number : item.number;
            continue;
        }
        size_t content = item.type == TYPE_BIN || item.type == TYPE_TEXT ? item.number : item.skip;
        CHECK(content <= left(reader), STATUS_PROTOCOL_ERROR, "a value of %zu bytes, but only %zu follow", content,
              left(reader));
        reader->at += content;
    }
}
