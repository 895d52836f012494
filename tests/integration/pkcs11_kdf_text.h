/* What SP 800-108 hashes, put together as its definition says, and hashed with OpenSSL's HMAC. */
#pragma once

#include "pkcs11_fixture.h"

#define SEGMENT 32 /* HMAC-SHA-256 */
#define ROOM    256

static const CK_BYTE KEY[32] = "a base key of thirty-two bytes.";

#define OPEN_SECRET(len)                                                                                               \
    A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET), A_NUMBER(CKA_VALUE_LEN, len),     \
        A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE)

struct text {
    CK_BYTE bytes[ROOM];
    size_t len;
};

static inline void put(struct text *text, const void *bytes, size_t len)
{
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

static inline void prf(const struct text *text, CK_BYTE out[SEGMENT])
{
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, KEY, 32, text->bytes, text->len, out, SEGMENT, NULL));
}

static inline void put_number(struct text *text, uint64_t number, unsigned len, bool little_endian)
{
    for (unsigned i = 0; i < len; i++) {
        unsigned at = little_endian ? i : len - 1 - i;

        text->bytes[text->len++] = (CK_BYTE)(number >> 8 * at);
    }
}
