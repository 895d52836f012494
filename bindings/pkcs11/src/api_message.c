/* Messages under one key, each with a nonce and a tag of its own (PKCS#11 3.0, 5.9 and 5.11): AES-GCM and AES-CCM.
 *
 * The parameter of a message says where its nonce and its tag are, or go to. A nonce that is to be generated is made by
 * a node when it is as long as nodes make it and no part of it is fixed. Messages come whole, or (GCM) in parts: then
 * no plaintext is given out before the tag has been verified, which is with the last part. */
#include "operation.h"

#include <stdlib.h>
#include "mechanism_offer.h"

/* A message's parameter, of either mechanism. */
struct message {
    CK_BYTE *nonce, *tag;
    CK_ULONG nonce_len, tag_len, fixed_bits;
    CK_GENERATOR_FUNCTION generator;
};

static CK_RV take_gcm(const CK_GCM_MESSAGE_PARAMS *given, struct message *message)
{
    CHECK(given->ulTagBits % 8 == 0, CKR_MECHANISM_PARAM_INVALID);
    *message = (struct message){given->pIv,           given->pTag,          given->ulIvLen,
                                given->ulTagBits / 8, given->ulIvFixedBits, given->ivGenerator};
    return CKR_OK;
}

static CK_RV take_ccm(const CK_CCM_MESSAGE_PARAMS *given, struct message *message)
{
    *message = (struct message){given->pNonce,           given->pMAC,          given->ulNonceLen, given->ulMACLen,
                                given->ulNonceFixedBits, given->nonceGenerator};
    return CKR_OK;
}

static CK_RV take(const struct operation *operation, const void *given, CK_ULONG given_len, struct message *message)
{
    bool gcm = operation->mechanism.row->type == CKM_AES_GCM;

    CHECK(given, CKR_ARGUMENTS_BAD);
    CHECK(given_len == (gcm ? sizeof(CK_GCM_MESSAGE_PARAMS) : sizeof(CK_CCM_MESSAGE_PARAMS)),
          CKR_MECHANISM_PARAM_INVALID);
    TRY(gcm ? take_gcm(given, message) : take_ccm(given, message));
    CHECK(message->nonce && message->tag && message->nonce_len > 0 && message->nonce_len <= 256 &&
              message->tag_len > 0 && message->tag_len <= 16,
          CKR_MECHANISM_PARAM_INVALID);
    return CKR_OK;
}

/* Whether a node is to make the nonce. */
static CK_RV wants_nonce(const struct message *message, bool *wanted)
{
    *wanted = message->generator != CKG_NO_GENERATE;
    CHECK(!*wanted || (message->nonce_len == HSM_NONCE_MADE_LEN && message->fixed_bits == 0 &&
                       (message->generator == CKG_GENERATE || message->generator == CKG_GENERATE_RANDOM)),
          CKR_MECHANISM_PARAM_INVALID);
    return CKR_OK;
}

/* Whether there can be so many bytes: lengths are added up here. */
static bool is_bytes(const CK_BYTE *bytes, CK_ULONG len)
{
    return (bytes || len == 0) && len <= SIZE_MAX / 4;
}

/* --- beginning --- */

static CK_RV begin(struct session *session, struct operation *operation, const CK_MECHANISM *given,
                   CK_OBJECT_HANDLE key, CK_FLAGS use)
{
    const struct mechanism_row *row = mechanism_row(given->mechanism);

    TRY(session_needs_user(session));
    CHECK(row && row->uses & use, CKR_MECHANISM_INVALID);
    TRY(mechanism_check_offered(session->slot, row, use));
    TRY(object_find_key(session->slot, key, &operation->key));
    TRY(key_check_use(session, &operation->key, row, use));
    operation->mechanism.row = row;
    operation->mechanism.hsm = (hsm_mechanism)HSM_MECHANISM_INIT(row->mechanism);
    operation->active = true;
    return CKR_OK;
}

static CK_RV message_init(CK_SESSION_HANDLE handle, enum operation_kind kind, const CK_MECHANISM *given,
                          CK_OBJECT_HANDLE key, CK_FLAGS use)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(handle, &session));
    return operation_begin_with(begin, session, kind, given, key, use);
}

static CK_RV message_final(CK_SESSION_HANDLE handle, enum operation_kind kind)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct operation *operation;

    TRY(session_enter(handle, &session));
    TRY(operation_active(session, kind, &operation));
    operation_end(operation);
    return CKR_OK;
}

/* The mechanism with what one message brings. */
static hsm_mechanism of_message(const struct operation *operation, const struct message *message, const CK_BYTE *aad,
                                CK_ULONG aad_len)
{
    hsm_mechanism mechanism = operation->mechanism.hsm;

    mechanism.nonce = message->nonce;
    mechanism.nonce_len = message->nonce_len;
    mechanism.tag_len = (uint32_t)message->tag_len;
    mechanism.aad = aad;
    mechanism.aad_len = aad_len;
    return mechanism;
}

/* --- whole messages --- */

struct whole {
    const void *parameter;
    CK_ULONG parameter_len;
    const CK_BYTE *aad;
    CK_ULONG aad_len;
    const CK_BYTE *in;
    CK_ULONG in_len;
    CK_BYTE *out;
    CK_ULONG *out_len;
};

/* The operation, when the arguments are such that something is to be done: `*operation` NULL when only the length was
 * asked for. */
static CK_RV whole_begin(struct session *session, enum operation_kind kind, const struct whole *whole,
                         struct message *message, struct operation **operation)
{
    TRY(operation_active(session, kind, operation));
    CHECK(!(*operation)->parts, CKR_OPERATION_ACTIVE);
    TRY(operation_goes_on(session, *operation));
    CHECK(whole->out_len && is_bytes(whole->in, whole->in_len) && is_bytes(whole->aad, whole->aad_len),
          CKR_ARGUMENTS_BAD);
    TRY(take(*operation, whole->parameter, whole->parameter_len, message));
    CK_ULONG room = *whole->out_len;

    *whole->out_len = whole->in_len;
    if (!whole->out && whole->in_len > 0) /* a message of associated data alone has no output to ask for */
        *operation = NULL;
    CHECK(!whole->out || room >= whole->in_len, CKR_BUFFER_TOO_SMALL);
    return CKR_OK;
}

static CK_RV encrypt(struct session *session, struct operation *operation, const struct whole *whole,
                     struct message *message, uint8_t *sealed)
{
    hsm_mechanism mechanism = of_message(operation, message, whole->aad, whole->aad_len);
    size_t len = whole->in_len + message->tag_len;
    bool make_nonce;

    TRY(wants_nonce(message, &make_nonce));
    if (make_nonce) {
        mechanism.nonce = NULL;
        mechanism.nonce_len = 0;
        mechanism.nonce_out = operation->mechanism.nonce_made;
    }
    TRY(operation_result(
        session, OPERATION_MESSAGE_ENCRYPT,
        hsm_encrypt(session->slot->login, operation->key.key, &mechanism, whole->in, whole->in_len, sealed, &len)));
    memcpy(message->tag, sealed + whole->in_len, message->tag_len);
    if (whole->in_len)
        memcpy(whole->out, sealed, whole->in_len);
    if (make_nonce)
        memcpy(message->nonce, operation->mechanism.nonce_made, HSM_NONCE_MADE_LEN);
    return CKR_OK;
}

static CK_RV decrypt(struct session *session, struct operation *operation, const struct whole *whole,
                     struct message *message, uint8_t *sealed)
{
    hsm_mechanism mechanism = of_message(operation, message, whole->aad, whole->aad_len);
    size_t len = whole->in_len;
    uint8_t none[1] = {0};

    if (whole->in_len)
        memcpy(sealed, whole->in, whole->in_len);
    memcpy(sealed + whole->in_len, message->tag, message->tag_len);
    TRY(operation_result(session, OPERATION_MESSAGE_DECRYPT,
                         hsm_decrypt(session->slot->login, operation->key.key, &mechanism, sealed,
                                     whole->in_len + message->tag_len, whole->in_len ? whole->out : none, &len)));
    *whole->out_len = len;
    return CKR_OK;
}

static CK_RV whole_message(CK_SESSION_HANDLE handle, enum operation_kind kind, const struct whole *whole)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct operation *operation;
    struct message message;

    TRY(session_enter(handle, &session));
    TRY(whole_begin(session, kind, whole, &message, &operation));
    if (!operation)
        return CKR_OK;
    uint8_t *sealed = malloc(whole->in_len + message.tag_len);

    CHECK(sealed, CKR_HOST_MEMORY);
    CK_RV result = kind == OPERATION_MESSAGE_ENCRYPT ? encrypt(session, operation, whole, &message, sealed)
                                                     : decrypt(session, operation, whole, &message, sealed);

    free(sealed); /* ciphertext */
    return result;
}

/* --- messages in parts --- */

/* The nonce is wanted back at once: random bytes of a node serve. */
static CK_RV make_nonce(struct session *session, const struct message *message)
{
    return operation_result(session, OPERATION_MESSAGE_ENCRYPT,
                            hsm_random(session->slot->login, message->nonce, message->nonce_len));
}

static CK_RV message_begin(CK_SESSION_HANDLE handle, enum operation_kind kind, const void *parameter,
                           CK_ULONG parameter_len, const CK_BYTE *aad, CK_ULONG aad_len)
{
    CLEANUP(session_leave) struct session *session = NULL;
    bool encrypting = kind == OPERATION_MESSAGE_ENCRYPT, wanted;
    struct operation *operation;
    struct message message;

    TRY(session_enter(handle, &session));
    TRY(operation_active(session, kind, &operation));
    CHECK(!operation->parts, CKR_OPERATION_ACTIVE);
    TRY(operation_goes_on(session, operation));
    CHECK(is_bytes(aad, aad_len), CKR_ARGUMENTS_BAD);
    CHECK(operation->mechanism.row->type == CKM_AES_GCM, CKR_MECHANISM_INVALID); /* CCM needs the length beforehand */
    TRY(take(operation, parameter, parameter_len, &message));
    TRY(wants_nonce(&message, &wanted));
    if (encrypting && wanted)
        TRY(make_nonce(session, &message));
    hsm_mechanism mechanism = of_message(operation, &message, aad, aad_len);

    operation->n_pending = 0;
    operation->mechanism.hsm.tag_len = mechanism.tag_len; /* the last part must say the same */
    return operation_result(session, kind,
                            hsm_operation_begin(session->slot->login,
                                                encrypting ? HSM_OPERATION_ENCRYPT : HSM_OPERATION_DECRYPT,
                                                &operation->key.key, &mechanism,
                                                encrypting ? 0 : HSM_OPERATION_HOLD_PLAINTEXT, &operation->parts));
}

/* The last part of a ciphertext, and its tag. */
static CK_RV end_encryption(struct session *session, struct operation *operation, const struct message *message,
                            CK_BYTE *out, size_t out_len)
{
    size_t len = out_len + message->tag_len;
    uint8_t *last = malloc(len);

    CHECK(last, CKR_HOST_MEMORY);
    CK_RV result =
        operation_result(session, OPERATION_MESSAGE_ENCRYPT, hsm_operation_final(operation->parts, last, &len));

    if (result == CKR_OK && len != out_len + message->tag_len)
        result = CKR_DEVICE_ERROR;
    if (result == CKR_OK) {
        if (out_len)
            memcpy(out, last, out_len);
        memcpy(message->tag, last + out_len, message->tag_len);
    }
    free(last);
    return result;
}

static CK_RV end_decryption(struct session *session, struct operation *operation, const struct message *message,
                            CK_BYTE *out, size_t out_len)
{
    uint8_t none[1] = {0};

    return operation_result(
        session, OPERATION_MESSAGE_DECRYPT,
        hsm_operation_final_tag(operation->parts, message->tag, message->tag_len, out_len ? out : none, &out_len));
}

struct part {
    const void *parameter;
    CK_ULONG parameter_len;
    const CK_BYTE *in;
    CK_ULONG in_len;
    CK_BYTE *out;
    CK_ULONG *out_len;
    bool last;
};

/* How much comes out for this part: all that is pending with the last one, and what the library gives otherwise. */
static CK_RV part_len(struct session *session, enum operation_kind kind, struct operation *operation,
                      const struct part *part, size_t *len)
{
    *len = 0;
    if (part->last) {
        *len = operation->n_pending + part->in_len;
        return CKR_OK;
    }
    CK_RV result =
        operation_result(session, kind, hsm_operation_update(operation->parts, part->in, part->in_len, NULL, len));

    return result == CKR_BUFFER_TOO_SMALL ? CKR_OK : result;
}

/* Where tag and nonce of the message are, as its first part said. */
static CK_RV take_last(const struct operation *operation, const struct part *part, struct message *message)
{
    if (!part->last)
        return CKR_OK;
    TRY(take(operation, part->parameter, part->parameter_len, message));
    return message->tag_len == operation->mechanism.hsm.tag_len ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

static CK_RV go_on(struct session *session, enum operation_kind kind, struct operation *operation,
                   const struct part *part, size_t room)
{
    CLEANUP(input_copy_release) struct input_copy copy = {NULL, 0};
    uint8_t none[1] = {0}, *out = part->out ? part->out : none;
    const CK_BYTE *in = part->in;
    struct message message;
    size_t len = room;

    TRY(take_last(operation, part, &message));
    TRY(input_apart(&in, part->in_len, part->out, room, &copy));
    TRY(operation_result(session, kind, hsm_operation_update(operation->parts, in, part->in_len, out, &len)));
    operation->n_pending += part->in_len - len;
    *part->out_len = len;
    if (!part->last)
        return CKR_OK;
    TRY(kind == OPERATION_MESSAGE_ENCRYPT
            ? end_encryption(session, operation, &message, out + len, operation->n_pending)
            : end_decryption(session, operation, &message, out + len, operation->n_pending));
    *part->out_len = len + operation->n_pending;
    return CKR_OK;
}

static void end_message(struct operation *operation)
{
    hsm_operation_free(operation->parts);
    operation->parts = NULL;
    operation->n_pending = 0;
}

static CK_RV message_next(CK_SESSION_HANDLE handle, enum operation_kind kind, const struct part *part)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct operation *operation;
    size_t needed;

    TRY(session_enter(handle, &session));
    TRY(operation_active(session, kind, &operation));
    CHECK(operation->parts, CKR_OPERATION_NOT_INITIALIZED);
    TRY(operation_goes_on(session, operation));
    CHECK(part->out_len && is_bytes(part->in, part->in_len), CKR_ARGUMENTS_BAD);
    TRY(part_len(session, kind, operation, part, &needed));
    CK_ULONG room = *part->out_len;

    /* The last part of a message without text has no output to ask for. */
    if (part->out ? room < needed : needed > 0 || !part->last) {
        *part->out_len = needed;
        return part->out ? CKR_BUFFER_TOO_SMALL : CKR_OK;
    }
    CK_RV result = go_on(session, kind, operation, part, needed);

    if (part->last || result != CKR_OK)
        end_message(operation);
    return result;
}

/* --- the functions --- */

CK_RV C_MessageEncryptInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    return message_init(hSession, OPERATION_MESSAGE_ENCRYPT, pMechanism, hKey, CKF_MESSAGE_ENCRYPT);
}

CK_RV C_EncryptMessage(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen,
                       CK_BYTE_PTR pAssociatedData, CK_ULONG ulAssociatedDataLen, CK_BYTE_PTR pPlaintext,
                       CK_ULONG ulPlaintextLen, CK_BYTE_PTR pCiphertext, CK_ULONG_PTR pulCiphertextLen)
{
    struct whole whole = {pParameter, ulParameterLen, pAssociatedData, ulAssociatedDataLen,
                          pPlaintext, ulPlaintextLen, pCiphertext,     pulCiphertextLen};

    return whole_message(hSession, OPERATION_MESSAGE_ENCRYPT, &whole);
}

CK_RV C_EncryptMessageBegin(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen,
                            CK_BYTE_PTR pAssociatedData, CK_ULONG ulAssociatedDataLen)
{
    return message_begin(hSession, OPERATION_MESSAGE_ENCRYPT, pParameter, ulParameterLen, pAssociatedData,
                         ulAssociatedDataLen);
}

CK_RV C_EncryptMessageNext(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen,
                           CK_BYTE_PTR pPlaintextPart, CK_ULONG ulPlaintextPartLen, CK_BYTE_PTR pCiphertextPart,
                           CK_ULONG_PTR pulCiphertextPartLen, CK_FLAGS flags)
{
    struct part part = {pParameter,
                        ulParameterLen,
                        pPlaintextPart,
                        ulPlaintextPartLen,
                        pCiphertextPart,
                        pulCiphertextPartLen,
                        flags & CKF_END_OF_MESSAGE};

    return message_next(hSession, OPERATION_MESSAGE_ENCRYPT, &part);
}

CK_RV C_MessageEncryptFinal(CK_SESSION_HANDLE hSession)
{
    return message_final(hSession, OPERATION_MESSAGE_ENCRYPT);
}

CK_RV C_MessageDecryptInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    return message_init(hSession, OPERATION_MESSAGE_DECRYPT, pMechanism, hKey, CKF_MESSAGE_DECRYPT);
}

CK_RV C_DecryptMessage(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen,
                       CK_BYTE_PTR pAssociatedData, CK_ULONG ulAssociatedDataLen, CK_BYTE_PTR pCiphertext,
                       CK_ULONG ulCiphertextLen, CK_BYTE_PTR pPlaintext, CK_ULONG_PTR pulPlaintextLen)
{
    struct whole whole = {pParameter,  ulParameterLen,  pAssociatedData, ulAssociatedDataLen,
                          pCiphertext, ulCiphertextLen, pPlaintext,      pulPlaintextLen};

    return whole_message(hSession, OPERATION_MESSAGE_DECRYPT, &whole);
}

CK_RV C_DecryptMessageBegin(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen,
                            CK_BYTE_PTR pAssociatedData, CK_ULONG ulAssociatedDataLen)
{
    return message_begin(hSession, OPERATION_MESSAGE_DECRYPT, pParameter, ulParameterLen, pAssociatedData,
                         ulAssociatedDataLen);
}

CK_RV C_DecryptMessageNext(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen,
                           CK_BYTE_PTR pCiphertextPart, CK_ULONG ulCiphertextPartLen, CK_BYTE_PTR pPlaintextPart,
                           CK_ULONG_PTR pulPlaintextPartLen, CK_FLAGS flags)
{
    struct part part = {pParameter,     ulParameterLen,      pCiphertextPart,           ulCiphertextPartLen,
                        pPlaintextPart, pulPlaintextPartLen, flags & CKF_END_OF_MESSAGE};

    return message_next(hSession, OPERATION_MESSAGE_DECRYPT, &part);
}

CK_RV C_MessageDecryptFinal(CK_SESSION_HANDLE hSession)
{
    return message_final(hSession, OPERATION_MESSAGE_DECRYPT);
}
