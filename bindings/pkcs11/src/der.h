/* The little of DER that keys are made of (ITU-T X.690): tags of one byte, definite lengths in their shortest form. The
 * writer is bounded by the room that it was given; what does not fit shows at the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DER_INTEGER = 0x02,
    DER_BITS = 0x03,
    DER_OCTETS = 0x04,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_IMPLICIT_0 = 0x80,
    DER_CONTEXT_0 = 0xa0,
    DER_CONTEXT_1 = 0xa1,
};

/* Bytes within somebody else's memory. */
struct der {
    const uint8_t *data;
    size_t len;
};

/* Takes one element off the front of `from`, and gives what is inside. False, and nothing changed, unless it has this
 * tag and lies within. */
bool der_take(struct der *from, uint8_t tag, struct der *content);

/* The same of an element that nothing follows. */
bool der_take_only(struct der from, uint8_t tag, struct der *content);

/* A positive integer without the zeros in front of it. */
bool der_take_integer(struct der *from, struct der *number);

/* A bit string of whole bytes. */
bool der_take_bits(struct der *from, struct der *content);

struct der der_without_zeros(const void *number, size_t len);

struct der_writer {
    uint8_t *data;
    size_t len, room;
    bool overflow; /* what was put does not fit */
};

void der_put(struct der_writer *out, const void *bytes, size_t len);

/* A positive big-endian integer, or 0. */
void der_put_integer(struct der_writer *out, const void *number, size_t len);

/* Everything put between the two becomes the content of one element. */
size_t der_open(const struct der_writer *out);
void der_close(struct der_writer *out, uint8_t tag, size_t opened);
