/* Making and opening handovers (handover.h). A handover travels outside of TLS: every byte of it is checked. */
#include "identity/handover.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include "crypto/key.h"
#include "identity/certificate.h"
#include "protocol/values.h"
#include "seal/masking_keys.h"

#define FORMAT    3u
#define INFO      "hsmd handover 1"
#define POINT_MAX 133u

enum entry {
    VERSION = 1,
    CLUSTER,
    CLUSTER_NAME,
    APPROVER,
    JOINER_HASH,
    CA_HASH,
    POINT,
    SEALED,
    SIGNATURE,
    SEAL_ID,
    SETTLED,
    N_ENTRIES
};

static const struct schema_entry ENTRIES[N_ENTRIES] = {
    [VERSION] = {"version", VALUE_UINT, 255, "of this format"},
    [CLUSTER] = {"cluster", VALUE_BIN, ID_LEN, "id of the cluster"},
    [CLUSTER_NAME] = {"cluster-name", VALUE_TEXT, 128, "for people"},
    [APPROVER] = {"approver", VALUE_BIN, 4096, "certificate of the member that approved, DER"},
    [JOINER_HASH] = {"joiner-hash", VALUE_BIN, CERTIFICATE_HASH_LEN, "SHA-256 of the joining node's certificate"},
    [CA_HASH] = {"ca-hash", VALUE_BIN, CERTIFICATE_HASH_LEN, "SHA-256 of the CA certificate"},
    [POINT] = {"point", VALUE_BIN, POINT_MAX, "ephemeral public key, uncompressed"},
    [SEALED] = {"sealed", VALUE_BIN, 256, "the masking keys"},
    [SIGNATURE] = {"signature", VALUE_BIN, 512, "ECDSA with SHA-256 of the approver over all others"},
    [SEAL_ID] = {"seal-id", VALUE_BIN, ID_LEN, "what the cluster's sealings are bound to"},
    [SETTLED] = {"settled", VALUE_UINT, UINT32_MAX, "generation before which nothing of the store opens"},
};
static const struct schema SCHEMA = {"handover", ENTRIES, N_ENTRIES};

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_key_context(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static void free_digest_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static status_code openssl_failure(const char *what)
{
    char reason[160];
    return failure_set(STATUS_INTERNAL, "%s: %s", what, failure_openssl_reason(reason, sizeof reason));
}

static status_code agree(EVP_PKEY *own, EVP_PKEY *peer, struct secret *shared)
{
    CLEANUP(free_key_context) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(crypto_context(), own, NULL);
    size_t len = 0;
    if (!context || EVP_PKEY_derive_init(context) != 1 || EVP_PKEY_derive_set_peer(context, peer) != 1 ||
        EVP_PKEY_derive(context, NULL, &len) != 1)
        return openssl_failure("agreeing on a handover key");
    TRY(secret_allocate(shared, len));
    if (EVP_PKEY_derive(context, shared->data, &len) != 1 || len != shared->len)
        return openssl_failure("agreeing on a handover key");
    return STATUS_OK;
}

/** All that the sealed key is bound to: what was agreed on between whom. */
static status_code context_of(const struct values *values, struct bytes *context)
{
    CLEANUP(certificate_free) X509 *approver = NULL;
    uint8_t hash[CERTIFICATE_HASH_LEN];
    TRY(certificate_parse_der(values_bytes(values, APPROVER), "the approver's certificate", &approver));
    TRY(certificate_hash(approver, hash));
    static const enum entry BOUND[] = {CLUSTER, JOINER_HASH, CA_HASH, POINT, SEAL_ID};
    bytes_append(context, INFO, sizeof INFO);
    bytes_append(context, hash, sizeof hash);
    for (size_t i = 0; i < sizeof BOUND / sizeof BOUND[0]; i++)
        bytes_append(context, values_bytes(values, BOUND[i]).data, values_bytes(values, BOUND[i]).len);
    return bytes_ok(context);
}

static bool verifies(EVP_PKEY *key, struct slice data, struct slice signature)
{
    CLEANUP(free_digest_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestVerifyInit_ex(context, NULL, "SHA256", crypto_context(), NULL, key, NULL) == 1 &&
                EVP_DigestVerify(context, signature.data, signature.len, data.data, data.len) == 1;
    ERR_clear_error();
    return good;
}

/** An ephemeral key on the curve of the joiner's. */
static status_code make_ephemeral(EVP_PKEY *joiner_key, EVP_PKEY **ephemeral)
{
    CLEANUP(free_key_context) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(crypto_context(), joiner_key, NULL);
    if (!context || EVP_PKEY_keygen_init(context) != 1 || EVP_PKEY_generate(context, ephemeral) != 1)
        return openssl_failure("making an ephemeral key");
    return STATUS_OK;
}

static status_code check_joiner_key(EVP_PKEY *key)
{
    char curve[32] = "";
    CHECK(key && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1 &&
              strcmp(curve, "prime256v1") == 0,
          STATUS_INVALID_ARGUMENT, "the certificate's key is not an EC P-256 key: sign the node's own request");
    return STATUS_OK;
}

/** Seals the masking keys and puts POINT and SEALED into `values`, which borrow from the buffers. */
static status_code put_sealed(struct values *values, EVP_PKEY *joiner_key, struct slice masking_keys,
                              struct bytes *point, struct bytes *sealed)
{
    CLEANUP(free_key) EVP_PKEY *ephemeral = NULL;
    CLEANUP(secret_release) struct secret shared = SECRET_INIT;
    CLEANUP(bytes_release) struct bytes context = BYTES_INIT;
    unsigned char *encoded = NULL;

    TRY(make_ephemeral(joiner_key, &ephemeral));
    size_t len = EVP_PKEY_get1_encoded_public_key(ephemeral, &encoded);
    bool copied = len > 0 && len <= POINT_MAX && bytes_append(point, encoded, len);
    OPENSSL_free(encoded);
    CHECK(copied, STATUS_INTERNAL, "encoding an ephemeral key");
    values_put_bytes(values, POINT, bytes_slice(point));
    TRY(agree(ephemeral, joiner_key, &shared));
    TRY(context_of(values, &context));
    TRY(sealed_make(secret_slice(&shared), bytes_slice(&context), INFO, bytes_slice(&context), masking_keys, sealed));
    values_put_bytes(values, SEALED, bytes_slice(sealed));
    return STATUS_OK;
}

status_code handover_make(const struct handover_parties *parties, EVP_PKEY *approver_key, const struct vault *vault,
                          struct bytes *handover)
{
    CLEANUP(bytes_release)
    struct bytes approver = BYTES_INIT, point = BYTES_INIT, sealed = BYTES_INIT, signed_part = BYTES_INIT,
                 signature = BYTES_INIT;
    uint8_t joiner_hash[CERTIFICATE_HASH_LEN], ca_hash[CERTIFICATE_HASH_LEN];
    EVP_PKEY *joiner_key = X509_get0_pubkey(parties->joiner);
    struct values values;

    TRY(check_joiner_key(joiner_key));
    TRY(certificate_encode_der(parties->approver, &approver));
    TRY(certificate_hash(parties->joiner, joiner_hash));
    TRY(certificate_hash(parties->ca, ca_hash));
    values_init(&values);
    values_put_uint(&values, VERSION, FORMAT);
    values_put_bytes(&values, CLUSTER, slice_of(vault->cluster_id, ID_LEN));
    values_put_bytes(&values, CLUSTER_NAME, slice_text(vault->cluster_name));
    values_put_bytes(&values, SEAL_ID, slice_of(vault->seal_id, ID_LEN));
    values_put_uint(&values, SETTLED, vault->settled);
    values_put_bytes(&values, APPROVER, bytes_slice(&approver));
    values_put_bytes(&values, JOINER_HASH, slice_of(joiner_hash, sizeof joiner_hash));
    values_put_bytes(&values, CA_HASH, slice_of(ca_hash, sizeof ca_hash));
    TRY(put_sealed(&values, joiner_key, secret_slice(&vault->masking_keys), &point, &sealed));

    values_encode(&SCHEMA, &values, &signed_part);
    TRY(bytes_ok(&signed_part));
    TRY(certificate_key_sign(approver_key, bytes_slice(&signed_part), &signature));
    values_put_bytes(&values, SIGNATURE, bytes_slice(&signature));
    values_encode(&SCHEMA, &values, handover);
    TRY(bytes_ok(handover));
    CHECK(handover->len <= HANDOVER_MAX, STATUS_TOO_LARGE, "this node's certificate is too large for a handover");
    return STATUS_OK;
}

static status_code check_form(const struct values *values)
{
    static const enum entry NEEDED[] = {CLUSTER, CLUSTER_NAME, APPROVER,  JOINER_HASH, CA_HASH,
                                        POINT,   SEALED,       SIGNATURE, SEAL_ID};
    CHECK(values_uint(values, VERSION, 0) == FORMAT, STATUS_INVALID_ARGUMENT,
          "the handover has format %llu; this node understands %u: upgrade the older one",
          (unsigned long long)values_uint(values, VERSION, 0), FORMAT);
    for (size_t i = 0; i < sizeof NEEDED / sizeof NEEDED[0]; i++)
        CHECK(values_has(values, NEEDED[i]), STATUS_INVALID_ARGUMENT, "the handover lacks its %s",
              ENTRIES[NEEDED[i]].name);
    CHECK(values_bytes(values, CLUSTER).len == ID_LEN, STATUS_INVALID_ARGUMENT, "the handover's cluster id is cut off");
    CHECK(values_bytes(values, SEAL_ID).len == ID_LEN, STATUS_INVALID_ARGUMENT, "the handover's seal id is cut off");
    return STATUS_OK;
}

static status_code check_parties(const struct values *values, const struct handover_parties *parties)
{
    uint8_t hash[CERTIFICATE_HASH_LEN];
    if (parties->joiner) {
        TRY(certificate_hash(parties->joiner, hash));
        CHECK(slice_equal(values_bytes(values, JOINER_HASH), slice_of(hash, sizeof hash)), STATUS_NOT_PERMITTED,
              "the handover was made for another node, or for an earlier certificate of this one: approve this "
              "certificate");
    }
    TRY(certificate_hash(parties->ca, hash));
    CHECK(slice_equal(values_bytes(values, CA_HASH), slice_of(hash, sizeof hash)), STATUS_NOT_PERMITTED,
          "the handover comes from a cluster with another CA");
    return STATUS_OK;
}

/* A member may come for it after the certificate of the one that gave it ran out. */
static status_code check_approver(X509 *approver, const struct handover_parties *parties)
{
    return parties->joiner ? certificate_check(approver, parties->ca)
                           : certificate_check_signature(approver, parties->ca);
}

static status_code check_signature(struct values *values, const struct handover_parties *parties)
{
    CLEANUP(certificate_free) X509 *approver = NULL;
    CLEANUP(bytes_release) struct bytes signed_part = BYTES_INIT;
    uint8_t approver_id[ID_LEN];
    struct slice signature = values_bytes(values, SIGNATURE);

    TRY(certificate_parse_der(values_bytes(values, APPROVER), "the approver's certificate", &approver));
    TRY(check_approver(approver, parties));
    TRY(certificate_node_id(approver, approver_id));
    values_remove(values, SIGNATURE);
    values_encode(&SCHEMA, values, &signed_part);
    TRY(bytes_ok(&signed_part));
    CHECK(verifies(X509_get0_pubkey(approver), bytes_slice(&signed_part), signature), STATUS_NOT_PERMITTED,
          "the handover's signature is wrong: it was altered on its way");
    return STATUS_OK;
}

static status_code read_point(EVP_PKEY *joiner_key, struct slice point, EVP_PKEY **ephemeral)
{
    *ephemeral = EVP_PKEY_new();
    bool good = *ephemeral && EVP_PKEY_copy_parameters(*ephemeral, joiner_key) == 1 &&
                EVP_PKEY_set1_encoded_public_key(*ephemeral, point.data, point.len) == 1;
    ERR_clear_error();
    CHECK(good, STATUS_NOT_PERMITTED, "the handover's ephemeral key is not a point of P-256");
    return STATUS_OK;
}

static status_code open_sealed(const struct values *values, EVP_PKEY *joiner_key, struct bytes *masking_keys)
{
    CLEANUP(free_key) EVP_PKEY *ephemeral = NULL;
    CLEANUP(secret_release) struct secret shared = SECRET_INIT;
    CLEANUP(bytes_release) struct bytes context = BYTES_INIT;
    TRY(read_point(joiner_key, values_bytes(values, POINT), &ephemeral));
    TRY(agree(joiner_key, ephemeral, &shared));
    TRY(context_of(values, &context));
    status_code code = sealed_open(secret_slice(&shared), bytes_slice(&context), INFO, bytes_slice(&context),
                                   values_bytes(values, SEALED), masking_keys);
    CHECK(code == STATUS_OK && masking_keys_check(bytes_slice(masking_keys)) == STATUS_OK, STATUS_NOT_PERMITTED,
          "the handover does not open with this node's key");
    return STATUS_OK;
}

status_code handover_open(struct slice handover, const struct handover_parties *parties, EVP_PKEY *joiner_key,
                          struct vault *vault)
{
    CLEANUP(bytes_release) struct bytes masking_keys = BYTES_SECRET;
    struct values values;

    CHECK(handover.len > 0 && handover.len <= HANDOVER_MAX &&
              values_decode_all(&SCHEMA, handover, &values) == STATUS_OK,
          STATUS_INVALID_ARGUMENT, "this is not a handover, or it is damaged");
    TRY(check_form(&values));
    TRY(check_parties(&values, parties));
    TRY(check_signature(&values, parties));
    TRY(open_sealed(&values, joiner_key, &masking_keys));

    secret_release(&vault->masking_keys);
    TRY(secret_copy(&vault->masking_keys, bytes_slice(&masking_keys)));
    vault->settled = (uint32_t)values_uint(&values, SETTLED, 0);
    memcpy(vault->cluster_id, values_bytes(&values, CLUSTER).data, ID_LEN);
    memcpy(vault->seal_id, values_bytes(&values, SEAL_ID).data, ID_LEN);
    struct slice name = values_bytes(&values, CLUSTER_NAME);
    snprintf(vault->cluster_name, sizeof vault->cluster_name, "%.*s", (int)name.len, (const char *)name.data);
    return STATUS_OK;
}
