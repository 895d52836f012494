/* See pkcs11_mechanism.h. */
#include "pkcs11_mechanism.h"

enum shape {
    PLAIN,
    IV,
    NONCE_12,
    MAC_LEN,
    OPTIONAL_IV,
    CTR,
    GCM,
    GCM_OF_2_40,
    GCM_MADE,
    CCM,
    PSS,
    OAEP,
    ECDH,
    HKDF,
    STRING,
    SECOND_KEY,
};

#define CIPHERS    (USE(ENCRYPT) | USE(DECRYPT))
#define SIGNATURES (USE(SIGN) | USE(VERIFY))
#define WRAPS      (USE(WRAP) | USE(UNWRAP))
#define RECOVERS   (USE(SIGN_RECOVER) | USE(VERIFY_RECOVER))
#define MESSAGES   (USE(MESSAGE_ENCRYPT) | USE(MESSAGE_DECRYPT))

#define ROW(type, uses, kinds, shape, one_part)                                                                        \
    {                                                                                                                  \
        (type), #type, (uses), (kinds), (shape), (one_part)                                                            \
    }
#define RSA KIND(RSA_PUBLIC) | KIND(RSA_PRIVATE)
#define EC  KIND(EC_PUBLIC) | KIND(EC_PRIVATE)

static const struct row {
    CK_MECHANISM_TYPE type;
    const char *name;
    unsigned uses, kinds;
    enum shape shape;
    bool one_part;
} ROWS[] = {
    ROW(CKM_AES_ECB, CIPHERS, KIND(AES), PLAIN, false),
    ROW(CKM_AES_CBC, CIPHERS, KIND(AES), IV, false),
    ROW(CKM_AES_CBC_PAD, CIPHERS | WRAPS, KIND(AES), IV, false),
    ROW(CKM_AES_CTR, CIPHERS, KIND(AES), CTR, false),
    ROW(CKM_AES_GCM, CIPHERS | WRAPS | MESSAGES, KIND(AES), GCM, false),
    ROW(CKM_AES_GCM, CIPHERS | WRAPS | MESSAGES, KIND(AES), GCM_OF_2_40, false),
    ROW(CKM_AES_GCM, CIPHERS | WRAPS | MESSAGES, KIND(AES), GCM_MADE, false),
    ROW(CKM_CLOUDHSM_AES_GCM, CIPHERS | WRAPS, KIND(AES), GCM_MADE, true),
    ROW(CKM_AES_CCM, CIPHERS | MESSAGES, KIND(AES), CCM, false),
    ROW(CKM_AES_KEY_WRAP, CIPHERS | WRAPS, KIND(AES), OPTIONAL_IV, false),
    ROW(CKM_AES_KEY_WRAP_KWP, CIPHERS | WRAPS, KIND(AES), OPTIONAL_IV, false),
    ROW(CKM_AES_CMAC, SIGNATURES, KIND(AES), PLAIN, false),
    ROW(CKM_AES_CMAC_GENERAL, SIGNATURES, KIND(AES), MAC_LEN, false),
    ROW(CKM_AES_GMAC, SIGNATURES, KIND(AES), NONCE_12, false),
    ROW(CKM_SHA256_HMAC, SIGNATURES, KIND(GENERIC), PLAIN, false),
    ROW(CKM_SHA256_HMAC_GENERAL, SIGNATURES, KIND(GENERIC), MAC_LEN, false),
    ROW(CKM_RSA_PKCS, SIGNATURES | RECOVERS | CIPHERS | WRAPS, RSA, PLAIN, true),
    ROW(CKM_SHA256_RSA_PKCS, SIGNATURES, RSA, PLAIN, false),
    ROW(CKM_RSA_PKCS_PSS, SIGNATURES, RSA, PSS, true),
    ROW(CKM_SHA256_RSA_PKCS_PSS, SIGNATURES, RSA, PSS, false),
    ROW(CKM_RSA_PKCS_OAEP, CIPHERS | WRAPS, RSA, OAEP, true),
    ROW(CKM_ECDSA, SIGNATURES, EC, PLAIN, true),
    ROW(CKM_ECDSA_SHA256, SIGNATURES, EC, PLAIN, false),
    ROW(CKM_SHA256, USE(DIGEST), 0, PLAIN, false),
    ROW(CKM_SHA3_512, USE(DIGEST), 0, PLAIN, false),
    ROW(CKM_ECDH1_DERIVE, USE(DERIVE), KIND(EC_PRIVATE), ECDH, true),
    ROW(CKM_HKDF_DERIVE, USE(DERIVE), KIND(GENERIC), HKDF, true),
    ROW(CKM_XOR_BASE_AND_DATA, USE(DERIVE), KIND(GENERIC) | KIND(AES), STRING, true),
    ROW(CKM_CONCATENATE_BASE_AND_KEY, USE(DERIVE), KIND(GENERIC), SECOND_KEY, true),
    ROW(CKM_AES_KEY_GEN, USE(GENERATE), KIND(AES), PLAIN, true),
    ROW(CKM_GENERIC_SECRET_KEY_GEN, USE(GENERATE), KIND(GENERIC), PLAIN, true),
    ROW(CKM_EC_KEY_PAIR_GEN, USE(GENERATE_PAIR), EC, PLAIN, true),
    ROW(CKM_VENDOR_DEFINED | 0x4321, 0, 0, PLAIN, true),
};

#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

/* Of pairs one half is for each use. */
static unsigned kinds_for(unsigned use, unsigned kinds)
{
    static const unsigned PUBLIC = KIND(EC_PUBLIC) | KIND(RSA_PUBLIC);
    bool with_public = use == ENCRYPT || use == VERIFY || use == VERIFY_RECOVER || use == WRAP;

    return with_public ? kinds & ~(KIND(EC_PRIVATE) | KIND(RSA_PRIVATE)) : kinds & ~PUBLIC;
}

static const struct row *some_row(unsigned use)
{
    static const struct row *last = ROWS;
    unsigned which = given_byte();

    if (which < 0x60 && last->uses & USE(use))
        return last;
    for (unsigned i = 0; which < 0xf0 && i < N_ROWS; i++)
        if (ROWS[(which + i) % N_ROWS].uses & USE(use))
            return last = &ROWS[(which + i) % N_ROWS];
    return &ROWS[which % N_ROWS];
}

/* --- parameters, as they should be --- */

/* Where a node's nonce goes, as long as the operation lasts. */
static CK_BYTE nonce_back[16];

static void put(struct given_mechanism *mechanism, const void *parameter, CK_ULONG len)
{
    mechanism->mechanism.pParameter = given_copy(parameter, len);
    mechanism->mechanism.ulParameterLen = len;
}

/* How an inner length or pointer is spoiled: 0: not at all. */
enum spoiled { RIGHT, CONTENT, NULL_INSIDE, ABSURD_INSIDE };

static CK_BYTE *inner(const void *bytes, CK_ULONG len, enum spoiled how)
{
    return how == NULL_INSIDE ? NULL : given_copy(bytes, len);
}

static CK_ULONG inner_len(CK_ULONG len, enum spoiled how)
{
    return how == ABSURD_INSIDE ? (CK_ULONG)-1 : len;
}

static void put_gcm(struct given_mechanism *mechanism, enum shape shape, enum spoiled how)
{
    CK_GCM_PARAMS_V3 gcm = {.pIv = inner("a nonce of 12", 12, how),
                            .ulIvLen = inner_len(12, how),
                            .ulIvBits = 96,
                            .pAAD = given_copy("aad", 3),
                            .ulAADLen = 3,
                            .ulTagBits = how == CONTENT ? 7 : 128};
    CK_NSS_GCM_PARAMS older = {gcm.pIv, gcm.ulIvLen, gcm.pAAD, gcm.ulAADLen, gcm.ulTagBits};

    if (shape == GCM_MADE) {
        memset(nonce_back, 0, sizeof(nonce_back));
        gcm.pIv = nonce_back;
        gcm.pAAD = inner("aad", 3, how);
        gcm.ulIvLen = 12;
        gcm.ulAADLen = inner_len(3, how);
    }
    if (shape == GCM_OF_2_40)
        put(mechanism, &older, sizeof(older));
    else
        put(mechanism, &gcm, sizeof(gcm));
}

static void put_ccm(struct given_mechanism *mechanism, enum spoiled how)
{
    CK_CCM_PARAMS ccm = {.ulDataLen = 16,
                         .pNonce = inner("a nonce of 12", 12, how),
                         .ulNonceLen = inner_len(12, how),
                         .ulMACLen = how == CONTENT ? 5 : 16};

    put(mechanism, &ccm, sizeof(ccm));
}

static void put_oaep(struct given_mechanism *mechanism, enum spoiled how)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, how == CONTENT ? 99 : CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED,
                                    inner("label", 5, how), inner_len(5, how)};

    put(mechanism, &oaep, sizeof(oaep));
}

static void put_ecdh(struct given_mechanism *mechanism, enum spoiled how)
{
    /* The base point of P-256 (SP 800-186, 3.2.1.3). */
    static const CK_BYTE POINT[] =
        "\x04\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1"
        "\x39\x45\xd8\x98\xc2\x96\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b"
        "\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";
    CK_ECDH1_DERIVE_PARAMS ecdh = {how == CONTENT ? 99 : CKD_NULL, 0, NULL, inner_len(65, how), inner(POINT, 65, how)};

    put(mechanism, &ecdh, sizeof(ecdh));
}

static void put_hkdf(struct given_mechanism *mechanism, enum spoiled how)
{
    CK_HKDF_PARAMS hkdf = {.bExtract = CK_TRUE,
                           .bExpand = CK_TRUE,
                           .prfHashMechanism = how == CONTENT ? 99 : CKM_SHA256,
                           .ulSaltType = CKF_HKDF_SALT_NULL,
                           .pInfo = inner("info", 4, how),
                           .ulInfoLen = inner_len(4, how)};

    put(mechanism, &hkdf, sizeof(hkdf));
}

static void put_pss(struct given_mechanism *mechanism, enum spoiled how)
{
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, how == CONTENT ? 99 : CKG_MGF1_SHA256,
                                  how == ABSURD_INSIDE || how == NULL_INSIDE ? (CK_ULONG)-1 : 32};

    put(mechanism, &pss, sizeof(pss));
}

static void put_ctr(struct given_mechanism *mechanism, enum spoiled how)
{
    CK_AES_CTR_PARAMS ctr = {how == CONTENT ? 0 : how == RIGHT ? 32 : (CK_ULONG)-1, "a counter block"};

    put(mechanism, &ctr, sizeof(ctr));
}

static void put_string(struct given_mechanism *mechanism, enum spoiled how)
{
    CK_KEY_DERIVATION_STRING_DATA string = {inner("data of a derivation", 20, how == CONTENT ? NULL_INSIDE : how),
                                            inner_len(20, how)};

    put(mechanism, &string, sizeof(string));
}

static void put_second_key(struct given_mechanism *mechanism)
{
    struct model_object *second;
    CK_OBJECT_HANDLE handle = given_object(KIND(GENERIC), &second);

    put(mechanism, &handle, sizeof(handle));
}

/* Which of the spoiled forms there are: plain values have but wrong lengths, some of them a wrong content. */
static bool can_be_spoiled(enum shape shape, enum spoiled how)
{
    if (shape >= CTR && shape != SECOND_KEY)
        return true;
    return how == CONTENT && (shape == MAC_LEN || shape == OPTIONAL_IV);
}

static void put_parameter(struct given_mechanism *mechanism, enum shape shape, enum spoiled how)
{
    CK_MAC_GENERAL_PARAMS mac_len = how == CONTENT ? 99 : 8;

    switch (shape) {
    case PLAIN:
        return;
    case OPTIONAL_IV:
        if (how == CONTENT)
            put(mechanism, "\1\2\3\4\5\6\7\10", 8);
        return;
    case IV:
        put(mechanism, "a block of bytes", 16);
        return;
    case NONCE_12:
        put(mechanism, "a nonce of 12", 12);
        return;
    case MAC_LEN:
        put(mechanism, &mac_len, sizeof(mac_len));
        return;
    case CTR:
        put_ctr(mechanism, how);
        return;
    case CCM:
        put_ccm(mechanism, how);
        return;
    case PSS:
        put_pss(mechanism, how);
        return;
    case OAEP:
        put_oaep(mechanism, how);
        return;
    case ECDH:
        put_ecdh(mechanism, how);
        return;
    case HKDF:
        put_hkdf(mechanism, how);
        return;
    case STRING:
        put_string(mechanism, how);
        return;
    case SECOND_KEY:
        put_second_key(mechanism);
        return;
    default:
        put_gcm(mechanism, shape, how);
    }
}

/* --- and spoiled from outside --- */

static bool spoil_len(CK_MECHANISM *mechanism, unsigned how)
{
    CK_ULONG len = mechanism->ulParameterLen;

    switch (how) {
    case 0:
        mechanism->pParameter = NULL;
        return len > 0;
    case 1:
        mechanism->ulParameterLen = len > 0 ? len - 1 : 1;
        return true;
    case 2:
        mechanism->ulParameterLen = (CK_ULONG)-1;
        return true;
    case 3:
        mechanism->ulParameterLen = 0;
        return len > 0;
    default:
        mechanism->ulParameterLen = len + 24; /* no other parameter is as long */
        return true;
    }
}

void given_mechanism(struct given_mechanism *mechanism, unsigned use)
{
    const struct row *row = some_row(use);
    uint8_t how = given_byte();
    enum spoiled inside = how >= 0xe8 ? (enum spoiled)(1 + how % 3) : RIGHT;
    bool spoiled = inside != RIGHT && can_be_spoiled(row->shape, inside);

    *mechanism = (struct given_mechanism){.mechanism = {.mechanism = row->type},
                                          .name = row->name,
                                          .for_use = row->uses & USE(use),
                                          .one_part = row->one_part,
                                          .ccm = row->shape == CCM,
                                          .kinds = kinds_for(use, row->kinds)};
    put_parameter(mechanism, row->shape, spoiled ? inside : RIGHT);
    if (how >= 0xd0 && how < 0xe8)
        spoiled = spoil_len(&mechanism->mechanism, how % 5);
    /* Of messages the parameter comes with each of them (PKCS#11 3.0, 5.9.1). */
    mechanism->bad = spoiled && use != MESSAGE_ENCRYPT && use != MESSAGE_DECRYPT;
    mechanism->pointer = given_rarely() ? NULL : &mechanism->mechanism;
}

void refuse_mechanism(struct verdict *verdict, const struct given_mechanism *mechanism)
{
    refuse_if(verdict, !mechanism->for_use, CKR_MECHANISM_INVALID);
    refuse_if(verdict, mechanism->bad, CKR_MECHANISM_PARAM_INVALID);
    if (!mechanism->for_use)
        may_give(verdict, CKR_MECHANISM_PARAM_INVALID);
}
