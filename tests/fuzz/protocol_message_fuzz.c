/* Messages, requests, answers, attributes and SP frames. What a decoder accepts must survive being encoded and decoded
 * again. */
#include <stdlib.h>
#include "protocol/catalog.h"
#include "protocol/message.h"
#include "protocol/sp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void requests(struct slice input)
{
    struct message message;
    struct values fields;
    uint64_t operation;
    bool recoverable = true;

    if (message_open(input, &message) != STATUS_OK)
        return;
    for (uint32_t i = 0; i < message.n && recoverable; i++)
        (void)message_next_request(&message, &operation, &fields, &recoverable);
    (void)message_close(&message);
}

static void answers(struct slice input)
{
    struct message message;
    struct values fields;
    status_code status;

    if (message_open(input, &message) != STATUS_OK)
        return;
    for (uint32_t i = 0; i < message.n; i++) {
        if (message_next_answer(&message, &status, &fields) != STATUS_OK)
            return;
    }
}

static void round_trip(const struct schema *schema, struct slice input)
{
    CLEANUP(bytes_release) struct bytes once = BYTES_INIT, twice = BYTES_INIT;
    struct values values, again;

    if (values_decode_all(schema, input, &values) != STATUS_OK)
        return;
    values_encode(schema, &values, &once);
    if (values_decode_all(schema, bytes_slice(&once), &again) != STATUS_OK)
        abort();
    values_encode(schema, &again, &twice);
    if (!slice_equal(bytes_slice(&once), bytes_slice(&twice)))
        abort();
}

static void frames(struct slice input)
{
    uint64_t payload_len;

    if (input.len >= SP_IPC_HEADER_LEN) {
        (void)sp_header_decode(true, input.data, MESSAGE_MAX, &payload_len);
        (void)sp_header_decode(false, input.data, MESSAGE_MAX, &payload_len);
        (void)sp_handshake_check(input.data, SP_PROTOCOL_REQ);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice input = slice_of(data, len);

    requests(input);
    answers(input);
    round_trip(&FIELD_SCHEMA, input);
    round_trip(&ATTRIBUTE_SCHEMA, input);
    frames(input);
    return 0;
}
