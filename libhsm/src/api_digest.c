/* Hashing; see api_digest.h. */
#include "api_digest.h"

#include "hsm/catalog.h"
#include "library_context.h"
#include "protocol/catalog.h"

status_code digest_begin(struct digest *digest, uint32_t hash)
{
    const struct hash_info *info = hash_info(hash);
    char reason[128];

    digest->context = NULL;
    CHECK(info && info->len, STATUS_INVALID_ARGUMENT, "there is no hash %u", hash);
    EVP_MD *md = EVP_MD_fetch(library_context(), info->openssl_name, NULL);
    CHECK(md, STATUS_NOT_SUPPORTED, "OpenSSL has no %s: %s", info->name,
          failure_openssl_reason(reason, sizeof(reason)));
    digest->context = EVP_MD_CTX_new();
    int started = digest->context && EVP_DigestInit_ex2(digest->context, md, NULL);
    EVP_MD_free(md);
    if (started)
        return STATUS_OK;
    digest_release(digest);
    FAIL(STATUS_OUT_OF_MEMORY, "no digest: %s", failure_openssl_reason(reason, sizeof(reason)));
}

status_code digest_update(struct digest *digest, struct slice data)
{
    CHECK(EVP_DigestUpdate(digest->context, data.data, data.len), STATUS_INTERNAL, "OpenSSL could not hash");
    return STATUS_OK;
}

status_code digest_copy(const struct digest *from, struct digest *to)
{
    to->context = EVP_MD_CTX_new();
    if (to->context && EVP_MD_CTX_copy_ex(to->context, from->context))
        return STATUS_OK;
    digest_release(to);
    FAIL(STATUS_OUT_OF_MEMORY, "no memory for a digest");
}

status_code digest_value(const struct digest *digest, uint8_t value[DIGEST_MAX], size_t *value_len)
{
    CLEANUP(digest_release) struct digest copy = {NULL};
    unsigned len = 0;

    TRY(digest_copy(digest, &copy));
    CHECK(EVP_DigestFinal_ex(copy.context, value, &len), STATUS_INTERNAL, "OpenSSL could not hash");
    *value_len = len;
    return STATUS_OK;
}

void digest_release(struct digest *digest)
{
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
}

status_code digest_compute(uint32_t hash, struct slice data, uint8_t value[DIGEST_MAX], size_t *value_len)
{
    CLEANUP(digest_release) struct digest digest = {NULL};
    unsigned len = 0;

    TRY(digest_begin(&digest, hash));
    TRY(digest_update(&digest, data));
    CHECK(EVP_DigestFinal_ex(digest.context, value, &len), STATUS_INTERNAL, "OpenSSL could not hash");
    *value_len = len;
    return STATUS_OK;
}

static status_code digest(uint32_t hash, struct slice data, uint8_t *out, size_t *out_len)
{
    uint8_t value[DIGEST_MAX];
    size_t len = hsm_hash_len(hash);
    int asked_only;

    ARGUMENT(data.data || data.len == 0, "no data");
    CHECK(len, STATUS_INVALID_ARGUMENT, "there is no hash %u", hash);
    TRY(output_room(len, out, out_len, &asked_only));
    if (asked_only)
        return STATUS_OK;
    TRY(digest_compute(hash, data, value, &len));
    return output_give(value, len, out, out_len);
}

hsm_status hsm_digest(uint32_t hash, const void *data, size_t data_len, uint8_t *out, size_t *out_len)
{
    return API(digest(hash, slice_of(data, data_len), out, out_len));
}
