/* What the known-answer tests share: answers written in hexadecimal, and keys opened from it. */
#pragma once

#include "crypto/key_internal.h"

#define KNOWN_MAX 2048u

/* A value from its hexadecimal digits, in memory that lives as long as the test. */
struct known {
    uint8_t bytes[KNOWN_MAX];
    size_t len;
};

struct slice known_bytes(struct known *known, const char *digits);

/** STATUS_SELF_TEST_FAILED unless these are the bytes. */
status_code known_expect(const struct bytes *got, const char *digits);

status_code known_key(enum object_class class, enum key_type type, const char *digits, struct key **key);

static inline void release_key(struct key **key)
{
    key_release(*key);
}

/** self_test_asymmetric.c */
status_code self_test_asymmetric(void);
