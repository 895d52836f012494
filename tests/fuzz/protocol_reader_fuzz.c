/* The strict reader beside msgpack-c: what the reader accepts as one whole value, msgpack-c accepts too, to the same
 * end. */
#include <msgpack/object.h>
#include <msgpack/sbuffer.h>
#include <msgpack/unpack.h>
#include <stdlib.h>
#include "protocol/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct reader reader = reader_of(slice_of(data, len));
    struct slice value;
    msgpack_unpacked unpacked;
    size_t end = 0;

    if (read_any(&reader, &value) != STATUS_OK)
        return 0;
    msgpack_unpacked_init(&unpacked);
    msgpack_unpack_return code = msgpack_unpack_next(&unpacked, (const char *)data, len, &end);

    if ((code != MSGPACK_UNPACK_SUCCESS && code != MSGPACK_UNPACK_EXTRA_BYTES) || end != value.len)
        abort();
    msgpack_unpacked_destroy(&unpacked);
    return 0;
}
