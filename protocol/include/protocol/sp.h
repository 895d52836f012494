/* SP, the framing that NNG and nanomsg speak over stream transports (RFC draft sp-tcp-mapping-01, sp-request-reply-01):
 * a handshake of 8 bytes each way, then messages with a 64-bit length. Over ipc:// each message begins with a byte 1.
 * A request's payload begins with a 32-bit id whose top bit is set; the reply repeats it. */
#pragma once

#include "protocol/bytes.h"

#define SP_HANDSHAKE_LEN  8u
#define SP_TCP_HEADER_LEN 8u
#define SP_IPC_HEADER_LEN 9u
#define SP_ID_LEN         4u
#define SP_PROTOCOL_REQ   0x30u
#define SP_PROTOCOL_REP   0x31u

void sp_handshake_encode(uint16_t protocol, uint8_t out[SP_HANDSHAKE_LEN]);

/** STATUS_PROTOCOL_ERROR unless it is SP version 0 and announces `protocol`. */
status_code sp_handshake_check(const uint8_t in[SP_HANDSHAKE_LEN], uint16_t protocol);

/** Header of a message whose payload (id included) has `payload_len` bytes; returns the header's length (8, ipc: 9). */
size_t sp_header_encode(bool ipc, uint64_t payload_len, uint8_t *out);

/** Payload length from a header (8 bytes, ipc: 9). STATUS_TOO_LARGE above max_len, STATUS_PROTOCOL_ERROR for a wrong
 * ipc type. */
status_code sp_header_decode(bool ipc, const uint8_t *in, uint64_t max_len, uint64_t *payload_len);

void sp_id_encode(uint32_t id, uint8_t out[SP_ID_LEN]);
uint32_t sp_id_decode(const uint8_t in[SP_ID_LEN]);
