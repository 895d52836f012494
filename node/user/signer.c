/* See signer.h. */
#include "user/signer.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include "node.h"

#define RSA_BITS_MIN 2048
#define EC_BITS_MIN  224

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_digest_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static status_code hash_of(struct slice public_key, uint8_t hash[SIGNER_HASH])
{
    CHECK(EVP_Q_digest(crypto_context(), "SHA256", NULL, public_key.data, public_key.len, hash, NULL) == 1,
          STATUS_INTERNAL, "hashing a public key");
    return STATUS_OK;
}

status_code signer_hash(const struct account *account, uint8_t hash[SIGNER_HASH])
{
    return hash_of(slice_of(account->signer, account->signer_len), hash);
}

/* Exactly one SubjectPublicKeyInfo, of a kind and size that is trusted with approvals. */
static status_code parse(struct slice public_key, EVP_PKEY **key)
{
    const unsigned char *at = public_key.data;

    *key = d2i_PUBKEY_ex(NULL, &at, (long)public_key.len, crypto_context(), NULL);
    ERR_clear_error();
    CHECK(*key && at == public_key.data + public_key.len, STATUS_INVALID_ARGUMENT,
          "the public key is no SubjectPublicKeyInfo");
    bool rsa = EVP_PKEY_is_a(*key, "RSA") && EVP_PKEY_get_bits(*key) >= RSA_BITS_MIN;
    bool ec = EVP_PKEY_is_a(*key, "EC") && EVP_PKEY_get_bits(*key) >= EC_BITS_MIN;

    CHECK(rsa || ec, STATUS_INVALID_ARGUMENT, "a key for approvals is RSA of at least %d bits, or EC of at least %d",
          RSA_BITS_MIN, EC_BITS_MIN);
    return STATUS_OK;
}

static status_code verify(struct slice public_key, struct slice text, struct slice signature)
{
    CLEANUP(free_key) EVP_PKEY *key = NULL;
    CLEANUP(free_digest_context) EVP_MD_CTX *context = EVP_MD_CTX_new();

    TRY(parse(public_key, &key));
    bool good = context && EVP_DigestVerifyInit_ex(context, NULL, "SHA256", crypto_context(), NULL, key, NULL) == 1 &&
                EVP_DigestVerify(context, signature.data, signature.len, text.data, text.len) == 1;

    ERR_clear_error();
    CHECK(good, STATUS_SIGNATURE_INVALID,
          "the signature is not this key's over this text (SHA-256 with RSA PKCS#1 v1.5, or ECDSA as DER)");
    return STATUS_OK;
}

status_code signer_verify(const struct account *account, struct slice text, struct slice signature)
{
    CHECK(account->signer_len, STATUS_NOT_PERMITTED, "%s has registered no key for approvals", account->name);
    return verify(slice_of(account->signer, account->signer_len), text, signature);
}

/* What a registration signs: whose key, in which cluster. */
static status_code registration_text(struct node *node, const struct account *account, struct slice public_key,
                                     struct bytes *text)
{
    char cluster[2 * ID_LEN + 1], key[2 * SIGNER_HASH + 1], lines[256];
    uint8_t hash[SIGNER_HASH];

    TRY(hash_of(public_key, hash));
    hex_encode(slice_of(identity_cluster_id(node->identity), ID_LEN), cluster);
    hex_encode(slice_of(hash, sizeof(hash)), key);
    int len = snprintf(lines, sizeof(lines), "libhsm signer registration 1\ncluster: %s\nuser: %s\nkey: %s\n", cluster,
                       account->name, key);

    bytes_append(text, lines, (size_t)len);
    return bytes_ok(text);
}

status_code signer_set(struct node *node, struct account *account, struct slice public_key, struct slice signature)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;

    account->signer_len = 0;
    account->second_factor = false; /* it was a challenge to the key that goes */
    if (public_key.len == 0)
        return STATUS_OK;
    CHECK(public_key.len <= SIGNER_MAX, STATUS_INVALID_ARGUMENT, "a key for approvals has at most %u bytes",
          SIGNER_MAX);
    TRY(registration_text(node, account, public_key, &text));
    TRY(verify(public_key, bytes_slice(&text), signature));
    memcpy(account->signer, public_key.data, public_key.len);
    account->signer_len = public_key.len;
    return STATUS_OK;
}
