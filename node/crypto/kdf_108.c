/* SP 800-108 with what is hashed laid out otherwise than OpenSSL does: counters of other widths or orders of bytes, or
 * none, or within the fixed input; the double pipeline; and keys that are further segments of one output.
 *
 * A segment is PRF(AAD || V || SALT || [i] || SHARED_INFO), where V is K(i-1) or A(i), or nothing in counter mode; with
 * FLAG_KDF_COUNTER_FIRST it is PRF(SALT || [i] || AAD || V || SHARED_INFO). Without V and [i] that is the fixed input.
 */
#include "crypto/key_internal.h"

#define COUNTER_BITS_DEFAULT 32u
#define SEGMENT_MAX          64u /* bytes of the longest hash */
#define FLAGS_UNKNOWN        0xf0u

struct layout {
    struct slice before_variable, before_counter, after, initial;
    unsigned counter_len; /* bytes; 0: there is no counter */
    bool little_endian, counter_first;
    size_t n_skipped; /* segments before those wanted */
};

static status_code read_layout(const struct mechanism *mechanism, struct layout *layout)
{
    unsigned bits = mechanism->flags >> 8 & 0xff;
    bool counted = !(mechanism->flags & FLAG_KDF_NO_COUNTER);

    CHECK(!(mechanism->flags & FLAGS_UNKNOWN), STATUS_MECHANISM_PARAM_INVALID, "unknown flags");
    CHECK(mechanism->flags & FLAG_KDF_FIXED_INPUT, STATUS_MECHANISM_PARAM_INVALID,
          "this layout takes a fixed input, not label and context");
    if (mechanism->type == MECHANISM_SP800_108_COUNTER)
        CHECK(counted && !mechanism->aad.len && !(mechanism->flags & FLAG_KDF_COUNTER_FIRST),
              STATUS_MECHANISM_PARAM_INVALID, "counter mode has its counter, and no other iteration variable");
    bits = bits ? bits : COUNTER_BITS_DEFAULT;
    CHECK(bits % 8 == 0 && bits <= 32, STATUS_MECHANISM_PARAM_INVALID, "a counter has 8, 16, 24 or 32 bits, not %u",
          bits);
    *layout = (struct layout){
        .before_variable = mechanism->aad,
        .before_counter = mechanism->salt,
        .after = mechanism->shared_info,
        .initial = mechanism->nonce,
        .counter_len = counted ? bits / 8 : 0,
        .little_endian = mechanism->flags & FLAG_KDF_LITTLE_ENDIAN,
        .counter_first = mechanism->flags & FLAG_KDF_COUNTER_FIRST,
        .n_skipped = mechanism->flags >> 16,
    };
    return STATUS_OK;
}

static bool prf(const EVP_MAC_CTX *keyed, const struct slice *parts, size_t n, uint8_t out[SEGMENT_MAX])
{
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(keyed);
    bool ok = context != NULL;
    size_t len;

    for (size_t i = 0; ok && i < n; i++)
        ok = parts[i].len == 0 || EVP_MAC_update(context, parts[i].data, parts[i].len);
    ok = ok && EVP_MAC_final(context, out, &len, SEGMENT_MAX);
    EVP_MAC_CTX_free(context);
    return ok;
}

static struct slice put_counter(const struct layout *layout, uint32_t i, uint8_t counter[4])
{
    for (unsigned at = 0; at < layout->counter_len; at++)
        counter[layout->little_endian ? at : layout->counter_len - 1 - at] = (uint8_t)(i >> 8 * at);
    return slice_of(counter, layout->counter_len);
}

struct pipeline {
    EVP_MAC_CTX *keyed;           /* with the key in it, to be copied for each use */
    uint8_t segment[SEGMENT_MAX]; /* K(i) */
    uint8_t running[SEGMENT_MAX]; /* A(i) of the double pipeline */
};

static void pipeline_end(struct pipeline *pipeline)
{
    EVP_MAC_CTX_free(pipeline->keyed);
    secret_wipe(pipeline, sizeof(*pipeline));
}

/* All of what is hashed, in its order. */
static bool segment(struct pipeline *pipeline, const struct layout *layout, struct slice variable, struct slice counter,
                    uint8_t out[SEGMENT_MAX])
{
    struct slice by_variable[] = {layout->before_variable, variable, layout->before_counter, counter, layout->after};
    struct slice by_counter[] = {layout->before_counter, counter, layout->before_variable, variable, layout->after};

    return prf(pipeline->keyed, layout->counter_first ? by_counter : by_variable, 5, out);
}

static bool step(struct pipeline *pipeline, const struct layout *layout, enum mechanism_type type, uint32_t i,
                 size_t segment_len)
{
    const struct slice none = slice_of(NULL, 0), running = slice_of(pipeline->running, segment_len);
    struct slice variable = none;
    uint8_t counter[4];

    if (type == MECHANISM_SP800_108_FEEDBACK)
        variable = i == 1 ? layout->initial : slice_of(pipeline->segment, segment_len);
    if (type == MECHANISM_SP800_108_DOUBLE_PIPELINE) {
        bool ok = i == 1 ? segment(pipeline, layout, none, none, pipeline->running)
                         : prf(pipeline->keyed, &running, 1, pipeline->running);

        if (!ok)
            return false;
        variable = running;
    }
    return segment(pipeline, layout, variable, put_counter(layout, i, counter), pipeline->segment);
}

status_code sp800_108_iterate(struct key *key, const struct mechanism *mechanism, size_t len, struct bytes *out)
{
    CLEANUP(pipeline_end) struct pipeline pipeline = {.keyed = NULL};
    size_t segment_len = mechanism->hash ? hash_info(mechanism->hash)->len : 16, n_given = 0;
    struct layout layout;

    TRY(read_layout(mechanism, &layout));
    CHECK(len >= 1 && len <= DERIVED_MAX && layout.n_skipped * segment_len <= DERIVED_MAX, STATUS_KEY_SIZE_RANGE,
          "%zu bytes after %zu segments: at most %u and %u bytes can be derived", len, layout.n_skipped, DERIVED_MAX,
          DERIVED_MAX);
    size_t n = layout.n_skipped + (len + segment_len - 1) / segment_len;

    CHECK(!layout.counter_len || (uint64_t)n >> 8 * layout.counter_len == 0, STATUS_MECHANISM_PARAM_INVALID,
          "%zu segments are more than a counter of %u bytes counts", n, layout.counter_len);
    pipeline.keyed = mac_context_new(key, mechanism->hash ? MECHANISM_HMAC : MECHANISM_AES_CMAC, mechanism->hash);
    uint8_t *to = bytes_reserve(out, len);

    TRY(bytes_ok(out));
    for (uint32_t i = 1; i <= n; i++) {
        if (!pipeline.keyed || !step(&pipeline, &layout, mechanism->type, i, segment_len)) {
            secret_wipe(to, n_given);
            return crypto_failed("SP 800-108");
        }
        size_t take = len - n_given < segment_len ? len - n_given : segment_len;

        if (i <= layout.n_skipped)
            continue;
        memcpy(to + n_given, pipeline.segment, take);
        n_given += take;
    }
    out->len += len;
    return STATUS_OK;
}
