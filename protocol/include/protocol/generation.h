/* Whatever nodes seal begins with the generation of the masking key that it is sealed under: 4 bytes, big-endian. It is
 * all that clients read of tickets and session objects: when the two differ, the object is to be sealed anew. */
#pragma once

#include "protocol/bytes.h"

#define GENERATION_LEN 4u

/** 0 when it is too short. */
static inline uint32_t generation_of(struct slice sealed)
{
    const uint8_t *at = sealed.data;

    if (sealed.len < GENERATION_LEN)
        return 0;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void generation_put(uint32_t generation, uint8_t out[GENERATION_LEN])
{
    for (unsigned i = 0; i < GENERATION_LEN; i++)
        out[i] = (uint8_t)(generation >> (24 - 8 * i));
}
