/* Thin over msgpack-c's packer, which writes through a callback into a bounded `bytes`. */
#include "protocol/writer.h"

#include <msgpack/pack.h>

static int append(void *out, const char *data, size_t len)
{
    return bytes_append(out, data, len) ? 0 : -1;
}

static msgpack_packer packer_of(struct bytes *out)
{
    return (msgpack_packer){.data = out, .callback = append};
}

void write_map(struct bytes *out, uint32_t n_entries)
{
    msgpack_packer packer = packer_of(out);

    msgpack_pack_map(&packer, n_entries);
}

void write_array(struct bytes *out, uint32_t n_entries)
{
    msgpack_packer packer = packer_of(out);

    msgpack_pack_array(&packer, n_entries);
}

void write_uint(struct bytes *out, uint64_t value)
{
    msgpack_packer packer = packer_of(out);

    msgpack_pack_uint64(&packer, value);
}

void write_bool(struct bytes *out, bool value)
{
    msgpack_packer packer = packer_of(out);

    if (value)
        msgpack_pack_true(&packer);
    if (!value)
        msgpack_pack_false(&packer);
}

void write_bin(struct bytes *out, struct slice value)
{
    msgpack_packer packer = packer_of(out);

    msgpack_pack_bin(&packer, value.len);
    bytes_append(out, value.data, value.len);
}

void write_text(struct bytes *out, struct slice value)
{
    msgpack_packer packer = packer_of(out);

    msgpack_pack_str(&packer, value.len);
    bytes_append(out, value.data, value.len);
}

void write_encoded(struct bytes *out, struct slice encoded)
{
    bytes_append(out, encoded.data, encoded.len);
}
