/* Objects as the store keeps them, and the state that an operation in parts leaves with the client: as bytes that
 * anybody may have written, and as the plaintext of a seal that holds. The first byte chooses. */
#include <stdlib.h>
#include "crypto/key.h"
#include "node.h"
#include "object/object_internal.h"
#include "protocol/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define VERSION 7u

static struct node node;
static struct objects objects = {.node = &node};
static struct key *cipher_key, *mac_key;
static const uint8_t id[ID_LEN] = {1};

static void stop(void)
{
    key_release(cipher_key);
    key_release(mac_key);
    keyring_free(node.keyring);
    crypto_stop();
}

static void start(void)
{
    static const struct crypto_policy policy;
    static const uint8_t cluster_id[ID_LEN] = {1}, value[32];
    CLEANUP(secret_release) struct secret masking_keys = SECRET_INIT;

    if (crypto_start(false, &policy) != STATUS_OK || masking_keys_make(FIRST_GENERATION, &masking_keys) != STATUS_OK ||
        keyring_create(secret_slice(&masking_keys), cluster_id, &node.keyring) != STATUS_OK ||
        key_open(CLASS_SECRET_KEY, KEY_AES, slice_of(value, sizeof(value)), false, &cipher_key) != STATUS_OK ||
        key_open(CLASS_SECRET_KEY, KEY_GENERIC_SECRET, slice_of(value, sizeof(value)), false, &mac_key) != STATUS_OK ||
        atexit(stop) != 0)
        abort();
}

/* What a record of this format holds when its seal was made over the input; record.c says what it is bound to. */
static void wrap_as_record(uint8_t format, struct slice plaintext, struct bytes *value)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    static const uint8_t context[1 + ID_LEN + 8] = {STORE_OBJECT, 1, [ID_LEN + 8] = VERSION};

    if (seal(node.keyring, FIRST_GENERATION, SEAL_RECORD, slice_of(context, sizeof(context)), plaintext, &sealed) !=
        STATUS_OK)
        return;
    write_array(value, 3);
    write_uint(value, format);
    write_bin(value, bytes_slice(&sealed));
    write_bin(value, slice_of(NULL, 0));
}

static void open_record(struct slice value)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET, material = BYTES_SECRET;
    struct object_record record;

    if (object_record_open(&objects, id, VERSION, value, &plaintext, &record) != STATUS_OK)
        return;
    if (!record.removed && (record.content.owner_id.len != ID_LEN || record.content.sharees.len % ID_LEN))
        __builtin_trap();
    (void)object_record_open_material(&objects, id, VERSION, record.encoded, record.sealed_material, &material);
}

static void open_blob(struct slice blob)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    struct content content;
    struct slice encoded, material;

    if (blob_open(&objects, id, id, blob, &plaintext, &encoded, &material) == STATUS_OK)
        (void)content_decode(encoded, &content);
    (void)content_decode(blob, &content);
}

static void go_on(uint8_t choice, struct slice input)
{
    static const enum mechanism_type types[] = {MECHANISM_AES_GCM, MECHANISM_AES_CMAC, MECHANISM_AES_GMAC,
                                                MECHANISM_HMAC};
    static const enum hash hashes[] = {HASH_SHA256, HASH_SHA512, HASH_SHA3_256};
    const struct mechanism mechanism = {.type = types[choice % 4], .hash = hashes[choice % 3]};
    struct key *key = mechanism.type == MECHANISM_HMAC ? mac_key : cipher_key;
    CLEANUP(bytes_release) struct bytes state = BYTES_SECRET, output = BYTES_SECRET, nonce = BYTES_SECRET;
    enum multipart_direction direction = 1 + choice / 4 % 4;

    if (bytes_assign(&state, input) == STATUS_OK)
        (void)crypto_multipart(key, 0, &mechanism, direction, &state, input, choice & 0x10, input, &output, &nonce);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;

    if (!node.keyring)
        start();
    if (len < 1)
        return 0;
    struct slice input = slice_of(data + 1, len - 1);

    if (data[0] & 0x80) {
        go_on(data[0] & 0x7f, input);
        return 0;
    }
    wrap_as_record(data[0] & 3, input, &value);
    open_record(bytes_slice(&value));
    open_record(input);
    open_blob(input);
    return 0;
}
