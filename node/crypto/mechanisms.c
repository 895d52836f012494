/* The table of mechanisms, and the one place where a use is checked against it before the work begins. */
#include "crypto/key_internal.h"

#define T(name)      (1u << KEY_##name)
#define EC_AGREEMENT (T(EC) | T(EC_MONTGOMERY))
/* Any secret key can be hashed or derived from; AES keys serve as HMAC keys only when they are made for it. */
#define ANY_SECRET (T(GENERIC_SECRET) | T(AES) | T(DES3))

static const struct mechanism_row rows[MECHANISM_COUNT] = {
    [MECHANISM_RSA_PKCS] = {T(RSA), rsa_sign, rsa_verify, rsa_encrypt, rsa_decrypt, rsa_encrypt, rsa_decrypt, NULL},
    [MECHANISM_RSA_PKCS_PSS] = {T(RSA), rsa_sign, rsa_verify, NULL, NULL, NULL, NULL, NULL},
    [MECHANISM_RSA_PKCS_OAEP] = {T(RSA), NULL, NULL, rsa_encrypt, rsa_decrypt, rsa_encrypt, rsa_decrypt, NULL},
    [MECHANISM_RSA_X_509] = {T(RSA), rsa_sign, rsa_verify, rsa_encrypt, rsa_decrypt, NULL, NULL, NULL},
    [MECHANISM_RSA_AES_KEY_WRAP] = {T(RSA), NULL, NULL, NULL, NULL, rsa_aes_wrap, rsa_aes_unwrap, NULL},
    [MECHANISM_ECDSA] = {T(EC), ecdsa_sign, ecdsa_verify, NULL, NULL, NULL, NULL, NULL},
    [MECHANISM_ECDH] = {EC_AGREEMENT, NULL, NULL, NULL, NULL, NULL, NULL, ecdh_derive},
    [MECHANISM_EDDSA] = {T(EC_EDWARDS), message_sign, message_verify, NULL, NULL, NULL, NULL, NULL},
    [MECHANISM_ML_DSA] = {T(ML_DSA), message_sign, message_verify, NULL, NULL, NULL, NULL, NULL},
    [MECHANISM_AES_ECB] = {T(AES), NULL, NULL, cipher_encrypt, cipher_decrypt, NULL, NULL, NULL},
    [MECHANISM_AES_CBC] = {T(AES), NULL, NULL, cipher_encrypt, cipher_decrypt, NULL, NULL, NULL},
    [MECHANISM_AES_CBC_PAD] = {T(AES), NULL, NULL, cipher_encrypt, cipher_decrypt, cipher_encrypt, cipher_decrypt,
                               NULL},
    [MECHANISM_AES_CTR] = {T(AES), NULL, NULL, cipher_encrypt, cipher_decrypt, NULL, NULL, NULL},
    [MECHANISM_AES_GCM] = {T(AES), NULL, NULL, gcm_encrypt, gcm_decrypt, gcm_encrypt, gcm_decrypt, NULL},
    [MECHANISM_AES_CCM] = {T(AES), NULL, NULL, ccm_encrypt, ccm_decrypt, NULL, NULL, NULL},
    [MECHANISM_AES_CMAC] = {T(AES), mac_sign, mac_verify, NULL, NULL, NULL, NULL, NULL},
    [MECHANISM_AES_GMAC] = {T(AES), gmac_sign, gmac_verify, NULL, NULL, NULL, NULL, NULL},
    [MECHANISM_AES_KEY_WRAP] = {T(AES), NULL, NULL, key_wrap_encrypt, key_wrap_decrypt, key_wrap_encrypt,
                                key_wrap_decrypt, NULL},
    [MECHANISM_AES_KEY_WRAP_PAD] = {T(AES), NULL, NULL, key_wrap_encrypt, key_wrap_decrypt, key_wrap_encrypt,
                                    key_wrap_decrypt, NULL},
    [MECHANISM_AES_KEY_WRAP_PKCS7] = {T(AES), NULL, NULL, key_wrap_encrypt, key_wrap_decrypt, key_wrap_encrypt,
                                      key_wrap_decrypt, NULL},
    [MECHANISM_DES3_ECB] = {T(DES3), NULL, NULL, cipher_encrypt, cipher_decrypt, NULL, NULL, NULL},
    [MECHANISM_DES3_CBC] = {T(DES3), NULL, NULL, cipher_encrypt, cipher_decrypt, NULL, NULL, NULL},
    [MECHANISM_DES3_CBC_PAD] = {T(DES3), NULL, NULL, cipher_encrypt, cipher_decrypt, NULL, NULL, NULL},
    [MECHANISM_DES3_KEY_WRAP] = {T(DES3), NULL, NULL, NULL, NULL, des3_wrap, des3_unwrap, NULL},
    [MECHANISM_HMAC] = {T(GENERIC_SECRET), mac_sign, mac_verify, NULL, NULL, NULL, NULL, NULL},
    [MECHANISM_HKDF] = {ANY_SECRET, NULL, NULL, NULL, NULL, NULL, NULL, hkdf_derive},
    [MECHANISM_SP800_108_COUNTER] = {ANY_SECRET, NULL, NULL, NULL, NULL, NULL, NULL, sp800_108_derive},
    [MECHANISM_SP800_108_FEEDBACK] = {ANY_SECRET, NULL, NULL, NULL, NULL, NULL, NULL, sp800_108_derive},
    [MECHANISM_SP800_108_DOUBLE_PIPELINE] = {ANY_SECRET, NULL, NULL, NULL, NULL, NULL, NULL, sp800_108_derive},
    [MECHANISM_CONCATENATE] = {ANY_SECRET, NULL, NULL, NULL, NULL, NULL, NULL, concatenate_derive},
    [MECHANISM_XOR] = {ANY_SECRET, NULL, NULL, NULL, NULL, NULL, NULL, xor_derive},
    [MECHANISM_DIGEST_KEY] = {ANY_SECRET, NULL, NULL, NULL, NULL, NULL, NULL, digest_key_derive},
    [MECHANISM_EXTRACT] = {ANY_SECRET, NULL, NULL, NULL, NULL, NULL, NULL, extract_derive},
    [MECHANISM_AES_ECB_ENCRYPT_DATA] = {T(AES), NULL, NULL, NULL, NULL, NULL, NULL, encrypt_data_derive},
    [MECHANISM_AES_CBC_ENCRYPT_DATA] = {T(AES), NULL, NULL, NULL, NULL, NULL, NULL, encrypt_data_derive},
    [MECHANISM_DES3_ECB_ENCRYPT_DATA] = {T(DES3), NULL, NULL, NULL, NULL, NULL, NULL, encrypt_data_derive},
    [MECHANISM_DES3_CBC_ENCRYPT_DATA] = {T(DES3), NULL, NULL, NULL, NULL, NULL, NULL, encrypt_data_derive},
};

static status_code row_for(const struct key *key, const struct mechanism *mechanism, const struct mechanism_row **row)
{
    uint32_t min, max;

    CHECK(mechanism_available(mechanism->type, &min, &max), STATUS_NOT_SUPPORTED,
          "mechanism %u is not offered by this node", mechanism->type);
    *row = &rows[mechanism->type];
    CHECK((*row)->key_types, STATUS_MECHANISM_INVALID, "%s does not use keys", mechanism_info(mechanism->type)->name);
    CHECK((*row)->key_types >> key->type & 1, STATUS_KEY_TYPE_INCONSISTENT, "%s does not fit keys of type %s",
          mechanism_info(mechanism->type)->name, key_type_name(key->type));
    CHECK(mechanism->hash == HASH_NONE || crypto_digest(mechanism->hash), STATUS_MECHANISM_PARAM_INVALID,
          "the hash is not offered by this node");
    return STATUS_OK;
}

static status_code no_such_use(const struct mechanism *mechanism, const char *use)
{
    FAIL(STATUS_MECHANISM_INVALID, "%s cannot %s", mechanism_info(mechanism->type)->name, use);
}

static status_code need_class(const struct key *key, enum object_class class, const char *use)
{
    /* Secret keys do both sides of every use. */
    CHECK(key->class == class || key->class == CLASS_SECRET_KEY, STATUS_KEY_FUNCTION_NOT_PERMITTED,
          "a %s key cannot %s", key->class == CLASS_PUBLIC_KEY ? "public" : "private", use);
    return STATUS_OK;
}

static status_code check_policy(const struct key *key)
{
    CHECK(key->type != KEY_DES3 || crypto_policy()->allow_des3_encrypt, STATUS_MECHANISM_INVALID,
          "3DES only decrypts legacy data (SP 800-131A); the node's setting allow-des3-encrypt changes that");
    return STATUS_OK;
}

status_code crypto_sign(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct bytes *out)
{
    const struct mechanism_row *row;

    TRY(row_for(key, mechanism, &row));
    TRY(need_class(key, CLASS_PRIVATE_KEY, "sign"));
    CHECK(mechanism->hash != HASH_SHA1 || key->class == CLASS_SECRET_KEY || crypto_policy()->allow_sha1_sign,
          STATUS_MECHANISM_INVALID, "new signatures with SHA-1 are not made (SP 800-131A)");
    return row->sign ? row->sign(key, worker, mechanism, data, out) : no_such_use(mechanism, "sign");
}

status_code crypto_verify(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                          struct slice signature)
{
    const struct mechanism_row *row;

    TRY(row_for(key, mechanism, &row));
    TRY(need_class(key, CLASS_PUBLIC_KEY, "verify"));
    return row->verify ? row->verify(key, worker, mechanism, data, signature) : no_such_use(mechanism, "verify");
}

status_code crypto_verify_recover(struct key *key, const struct mechanism *mechanism, struct slice signature,
                                  struct bytes *out)
{
    const struct mechanism_row *row;

    TRY(row_for(key, mechanism, &row));
    TRY(need_class(key, CLASS_PUBLIC_KEY, "recover"));
    bool recovers = mechanism->type == MECHANISM_RSA_PKCS || mechanism->type == MECHANISM_RSA_X_509;

    return recovers ? rsa_verify_recover(key, mechanism, signature, out) : no_such_use(mechanism, "recover");
}

status_code crypto_encrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                           struct bytes *out, struct bytes *nonce_made)
{
    const struct mechanism_row *row;

    TRY(row_for(key, mechanism, &row));
    TRY(need_class(key, CLASS_PUBLIC_KEY, "encrypt"));
    TRY(check_policy(key));
    return row->encrypt ? row->encrypt(key, worker, mechanism, data, out, nonce_made)
                        : no_such_use(mechanism, "encrypt");
}

status_code crypto_decrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                           struct bytes *out)
{
    const struct mechanism_row *row;

    TRY(row_for(key, mechanism, &row));
    TRY(need_class(key, CLASS_PRIVATE_KEY, "decrypt"));
    return row->decrypt ? row->decrypt(key, worker, mechanism, data, out) : no_such_use(mechanism, "decrypt");
}

status_code crypto_wrap(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice material,
                        struct bytes *out, struct bytes *nonce_made)
{
    const struct mechanism_row *row;

    TRY(row_for(key, mechanism, &row));
    TRY(need_class(key, CLASS_PUBLIC_KEY, "wrap"));
    TRY(check_policy(key));
    return row->wrap ? row->wrap(key, worker, mechanism, material, out, nonce_made) : no_such_use(mechanism, "wrap");
}

status_code crypto_unwrap(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice wrapped,
                          struct bytes *material)
{
    const struct mechanism_row *row;

    TRY(row_for(key, mechanism, &row));
    TRY(need_class(key, CLASS_PRIVATE_KEY, "unwrap"));
    if (!row->unwrap)
        return no_such_use(mechanism, "unwrap");
    status_code status = row->unwrap(key, worker, mechanism, wrapped, material);
    CHECK(status != STATUS_CIPHERTEXT_INVALID, STATUS_WRAPPED_KEY_INVALID,
          "the wrapped key does not open with this key and mechanism");
    return status;
}

status_code crypto_derive(struct key *key, unsigned worker, const struct mechanism *mechanism, struct key *second,
                          struct slice data, struct bytes *secret)
{
    const struct mechanism_row *row;

    (void)worker;
    TRY(row_for(key, mechanism, &row));
    TRY(need_class(key, CLASS_PRIVATE_KEY, "derive"));
    return row->derive ? row->derive(key, mechanism, second, data, secret) : no_such_use(mechanism, "derive");
}
