/* SP framing: see sp.h for the sources. */
#include "protocol/sp.h"

#define IPC_MESSAGE 1u

void sp_handshake_encode(uint16_t protocol, uint8_t out[SP_HANDSHAKE_LEN])
{
    const uint8_t bytes[SP_HANDSHAKE_LEN] = {0, 'S', 'P', 0, (uint8_t)(protocol >> 8), (uint8_t)protocol, 0, 0};

    memcpy(out, bytes, sizeof(bytes));
}

status_code sp_handshake_check(const uint8_t in[SP_HANDSHAKE_LEN], uint16_t protocol)
{
    uint8_t expected[SP_HANDSHAKE_LEN];

    sp_handshake_encode(protocol, expected);
    CHECK(memcmp(in, expected, 4) == 0, STATUS_PROTOCOL_ERROR, "the peer does not speak SP version 0");
    CHECK(memcmp(in + 4, expected + 4, 2) == 0, STATUS_PROTOCOL_ERROR,
          "the peer's SP protocol is 0x%02x%02x, not 0x%02x", in[4], in[5], protocol);
    return STATUS_OK;
}

size_t sp_header_encode(bool ipc, uint64_t payload_len, uint8_t *out)
{
    size_t at = 0;

    if (ipc)
        out[at++] = IPC_MESSAGE;
    for (int shift = 56; shift >= 0; shift -= 8)
        out[at++] = (uint8_t)(payload_len >> shift);
    return at;
}

status_code sp_header_decode(bool ipc, const uint8_t *in, uint64_t max_len, uint64_t *payload_len)
{
    uint64_t len = 0;

    CHECK(!ipc || in[0] == IPC_MESSAGE, STATUS_PROTOCOL_ERROR, "not an SP message over ipc (type %u)", in[0]);
    for (size_t i = 0; i < SP_TCP_HEADER_LEN; i++)
        len = len << 8 | in[(ipc ? 1 : 0) + i];
    CHECK(len <= max_len, STATUS_TOO_LARGE, "a message of %llu bytes; the limit is %llu", (unsigned long long)len,
          (unsigned long long)max_len);
    *payload_len = len;
    return STATUS_OK;
}

void sp_id_encode(uint32_t id, uint8_t out[SP_ID_LEN])
{
    for (unsigned i = 0; i < SP_ID_LEN; i++)
        out[i] = (uint8_t)(id >> (24 - 8 * i));
}

uint32_t sp_id_decode(const uint8_t in[SP_ID_LEN])
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}
