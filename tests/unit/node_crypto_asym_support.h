/* What the tests of asymmetric cryptography share: hexadecimal in, keys made and opened, cryptography started once. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include "crypto/key.h"

/** Bytes of hexadecimal digits; the caller frees `data`. */
static inline struct slice from_hex(const char *digits)
{
    size_t len = strlen(digits) / 2;
    uint8_t *data = malloc(len + 1);

    assert_non_null(data);
    assert_true(hex_decode(digits, data, len));
    return slice_of(data, len);
}

static inline void free_slice(struct slice *slice)
{
    free((void *)slice->data);
}

static inline void release_key(struct key **key)
{
    key_release(*key);
}

#define KEY   CLEANUP(release_key) struct key *
#define HEX   CLEANUP(free_slice) struct slice
#define BYTES CLEANUP(bytes_release) struct bytes

static inline void assert_status(status_code status, status_code expected)
{
    if (status != expected)
        fail_msg("%s (%s), expected %s", status_name(status), failure_detail(), status_name(expected));
}

#define assert_ok(call) assert_status(call, STATUS_OK)

static inline void assert_bytes(struct slice got, struct slice expected)
{
    assert_int_equal(got.len, expected.len);
    assert_memory_equal(got.data, expected.data, expected.len);
}

static inline struct key *open_hex(enum object_class class, enum key_type type, const char *der)
{
    HEX material = from_hex(der);
    struct key *key = NULL;

    assert_ok(key_open(class, type, material, false, &key));
    return key;
}

/** Whether this OpenSSL lacks the mechanism (before 3.5 it has no ML-DSA and no ML-KEM): then keys are refused so. */
static inline bool is_refused(enum mechanism_type type, enum key_type key_type, uint32_t parameter_set)
{
    struct key_parameters parameters = {.type = key_type, .parameter_set = parameter_set};
    struct key *key = NULL;
    uint32_t min, max;

    if (mechanism_available(type, &min, &max))
        return false;
    assert_status(key_generate(&parameters, &key), STATUS_NOT_SUPPORTED);
    assert_null(key);
    return true;
}

static inline struct key *public_of(struct key *key)
{
    struct key *public_key = NULL;

    assert_ok(key_public(key, &public_key));
    return public_key;
}

static inline struct key *make_rsa(uint32_t bits)
{
    struct key_parameters parameters = {.type = KEY_RSA, .bits = bits};
    struct key *key = NULL;

    assert_ok(key_generate(&parameters, &key));
    return key;
}

static inline struct key *make_on_curve(const char *name)
{
    const struct curve_info *curve = curve_by_name(name);
    struct key_parameters parameters = {.curve = curve};
    struct key *key = NULL;

    assert_non_null(curve);
    parameters.type = curve->key_type;
    assert_ok(key_generate(&parameters, &key));
    return key;
}

static inline int start_crypto(void **state)
{
    static const struct crypto_policy strict;

    (void)state;
    return crypto_start(false, &strict) == STATUS_OK ? 0 : -1;
}

static inline int stop_crypto(void **state)
{
    (void)state;
    crypto_stop();
    return 0;
}

#define N_OF(table) (sizeof(table) / sizeof(*(table)))
