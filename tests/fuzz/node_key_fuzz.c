/* Key material as it is imported or unwrapped, and the public key of another party: the first byte chooses which kind
 * of key the rest claims to be. What opens must tell its attributes and open again from its own material. */
#include <stdlib.h>
#include "crypto/key_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct key *parties[3];

/* The random generators hang in the heap of secrets, which the leak detector does not search. */
static void stop(void)
{
    for (unsigned i = 0; i < 3; i++)
        key_release(parties[i]);
    crypto_stop();
}

static void start(void)
{
    static const struct crypto_policy policy;

    if (crypto_context())
        return;
    if (crypto_start(false, &policy) != STATUS_OK || atexit(stop) != 0)
        abort();
}

static void describe(struct key *key)
{
    CLEANUP(bytes_release) struct bytes out = BYTES_SECRET;
    struct key *again = NULL;

    if (key_modulus(key, &out) != STATUS_OK || key_ec_point(key, &out) != STATUS_OK ||
        key_public_info(key, &out) != STATUS_OK)
        __builtin_trap();
    bytes_clear(&out);
    if (key_material(key, &out) != STATUS_OK ||
        key_open(key_class(key), key_type(key), bytes_slice(&out), true, &again) != STATUS_OK)
        __builtin_trap();
    key_release(again);
}

static void agree_with(struct slice peer)
{
    static const char *const curves[] = {"P256", "X25519", "P521"};

    for (unsigned i = 0; i < 3; i++) {
        CLEANUP(bytes_release) struct bytes secret = BYTES_SECRET;
        const struct mechanism mechanism = {.type = MECHANISM_ECDH, .peer_public = peer};
        const struct curve_info *curve = curve_by_name(curves[i]);

        if (!parties[i] &&
            key_generate(&(struct key_parameters){.type = curve->key_type, .curve = curve}, &parties[i]) != STATUS_OK)
            abort();
        (void)crypto_derive(parties[i], 0, &mechanism, NULL, slice_of(NULL, 0), &secret);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const enum object_class classes[] = {CLASS_PRIVATE_KEY, CLASS_PUBLIC_KEY, CLASS_PRIVATE_KEY,
                                                CLASS_SECRET_KEY};
    struct key *key = NULL;

    start();
    if (len < 1)
        return 0;
    struct slice material = slice_of(data + 1, len - 1);
    enum key_type type = (enum key_type)(data[0] & 15);

    if (data[0] == 0xff) {
        agree_with(material);
    } else if (key_open(classes[data[0] >> 6], type, material, false, &key) == STATUS_OK) {
        describe(key);
        key_release(key);
    }
    return 0;
}
