/* Random bytes for keys, callers and nonces, drawn from OpenSSL's private DRBG (SP 800-90A) in chunks, since a draw has
 * a fixed cost. A chunk belongs to one worker; what was handed out is wiped from it at once. */
#include "crypto/key_internal.h"

#include <openssl/rand.h>

#define CHUNK 4096u

static struct {
    size_t left;
    uint8_t bytes[CHUNK];
} chunks[WORKERS_MAX];

static status_code draw(uint8_t *out, size_t len)
{
    if (RAND_priv_bytes_ex(crypto_context(), out, len, 0) != 1) {
        crypto_failed("drawing random bytes");
        return STATUS_RANDOM_FAILED;
    }
    return STATUS_OK;
}

status_code random_fill(unsigned worker, uint8_t *out, size_t len)
{
    if (worker >= WORKERS_MAX || len > CHUNK / 4)
        return draw(out, len);
    if (chunks[worker].left < len) {
        TRY(draw(chunks[worker].bytes, CHUNK));
        chunks[worker].left = CHUNK;
    }
    uint8_t *from = chunks[worker].bytes + CHUNK - chunks[worker].left;

    memcpy(out, from, len);
    secret_wipe(from, len);
    chunks[worker].left -= len;
    return STATUS_OK;
}

void random_stop(void)
{
    secret_wipe(chunks, sizeof(chunks));
}

status_code crypto_random(unsigned worker, size_t len, struct bytes *out)
{
    CHECK(len >= 1 && len <= DATA_MAX, STATUS_DATA_LENGTH, "1 to %u random bytes can be asked for, not %zu", DATA_MAX,
          len);
    uint8_t *to = bytes_reserve(out, len);

    if (!to)
        return bytes_ok(out);
    TRY(random_fill(worker, to, len));
    out->len += len;
    return STATUS_OK;
}
