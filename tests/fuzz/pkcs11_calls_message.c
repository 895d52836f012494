/* Messages under one key (PKCS#11 3.0, 5.9 and 5.11): whole, and in parts. */
#include "pkcs11_calls.h"

/* Not in the header of NSS. */
#define CKR_AEAD_DECRYPT_FAILED 0x00000042UL

/* How the parameter of a message is wrong. */
struct parameter {
    void *bytes;
    CK_ULONG len;
    bool bad, bad_generator;
};

static CK_GCM_MESSAGE_PARAMS gcm_of(unsigned how, bool *bad, bool *bad_generator)
{
    static const CK_GENERATOR_FUNCTION GENERATORS[] = {CKG_NO_GENERATE, CKG_GENERATE, CKG_GENERATE_RANDOM,
                                                       CKG_GENERATE_COUNTER, 99};
    unsigned generator = how < 0x80 ? 0 : how % 5;
    CK_GCM_MESSAGE_PARAMS gcm = {
        given_copy("a nonce of 12", 12), 12, 0, GENERATORS[generator], given_copy(NULL, 16), 128};
    CK_ULONG *const LENGTHS[] = {&gcm.ulIvLen, &gcm.ulTagBits};

    *bad_generator = generator >= 3;
    *bad = how >= 0xe0;
    if (how >= 0xf0)
        *LENGTHS[how % 2] = how % 4 < 2 ? (CK_ULONG)-1 : 0;
    else if (how >= 0xe0 && how % 2)
        gcm.pIv = NULL;
    else if (how >= 0xe0)
        gcm.pTag = NULL;
    return gcm;
}

static struct parameter some_parameter(const struct model_operation *operation)
{
    struct parameter parameter = {NULL, 0, true, false};
    uint8_t how = given_byte();
    CK_GCM_MESSAGE_PARAMS gcm = gcm_of(how, &parameter.bad, &parameter.bad_generator);
    CK_CCM_MESSAGE_PARAMS ccm = {16,       gcm.pIv,          gcm.ulIvLen, gcm.ulIvFixedBits, gcm.ivGenerator,
                                 gcm.pTag, gcm.ulTagBits / 8};
    bool is_ccm = operation && operation->ccm, swapped = given_rarely();

    if (gcm.ulTagBits == (CK_ULONG)-1)
        ccm.ulMACLen = (CK_ULONG)-1;
    parameter.len = is_ccm != swapped ? sizeof(ccm) : sizeof(gcm);
    parameter.bytes = is_ccm != swapped ? given_copy(&ccm, sizeof(ccm)) : given_copy(&gcm, sizeof(gcm));
    parameter.bad = parameter.bad || swapped;
    if (given_rarely()) {
        parameter.bytes = NULL;
        parameter.bad = true;
    }
    return parameter;
}

static void refuse_parameter(struct verdict *verdict, const struct parameter *parameter)
{
    refuse_if(verdict, parameter->bad, CKR_MECHANISM_PARAM_INVALID);
    refuse_if(verdict, !parameter->bytes, CKR_ARGUMENTS_BAD);
}

static void may_dislike(struct verdict *verdict, enum family family)
{
    if (family == MESSAGE_DECRYPT)
        MAY_GIVE(verdict, CKR_AEAD_DECRYPT_FAILED, CKR_ENCRYPTED_DATA_LEN_RANGE);
}

static bool is_active(const struct model_operation *operation)
{
    return operation && operation->phase != NONE;
}

static bool is_encrypting(enum family family)
{
    return family == MESSAGE_ENCRYPT;
}

static void begin(void)
{
    if (given_byte() & 1)
        call_init(MESSAGE_ENCRYPT, p11->C_MessageEncryptInit, "C_MessageEncryptInit");
    else
        call_init(MESSAGE_DECRYPT, p11->C_MessageDecryptInit, "C_MessageDecryptInit");
}

/* --- whole messages --- */

static void whole(void)
{
    enum family family = given_family(USE(MESSAGE_ENCRYPT) | USE(MESSAGE_DECRYPT));
    const char *name = is_encrypting(family) ? "C_EncryptMessage" : "C_DecryptMessage";
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, family);
    struct parameter parameter = some_parameter(operation);
    struct given_data aad = given_data(), data = is_encrypting(family) ? given_data() : given_made();
    struct verdict verdict = of_session(at);
    struct given_room room;

    given_room(&room, &data);
    refuse_unless_active(&verdict, operation);
    if (is_active(operation)) {
        bool asked = !room.bytes && data.len > 0;

        refuse_if(&verdict, operation->in_message, CKR_OPERATION_ACTIVE);
        refuse_if(&verdict, !room.len_pointer || data.bad || aad.bad, CKR_ARGUMENTS_BAD);
        refuse_parameter(&verdict, &parameter);
        refuse_if(&verdict, parameter.bad_generator && is_encrypting(family) && !asked, CKR_MECHANISM_PARAM_INVALID);
        refuse_if(&verdict, room.bytes && room.had < data.len, CKR_BUFFER_TOO_SMALL);
        may_dislike(&verdict, family);
    }
    CK_RV rv = is_encrypting(family) ? p11->C_EncryptMessage(handle, parameter.bytes, parameter.len, aad.bytes, aad.len,
                                                             data.bytes, data.len, room.bytes, room.len_pointer)
                                     : p11->C_DecryptMessage(handle, parameter.bytes, parameter.len, aad.bytes, aad.len,
                                                             data.bytes, data.len, room.bytes, room.len_pointer);
    bool fine = judge(&verdict, rv, "%s(%d, parameter%s, aad of %lu, %lu bytes, %s of %lu)", name, session_number(at),
                      parameter.bad ? " that is bad" : "", aad.len, data.len, room.bytes ? "room" : "NULL", room.had);

    given_check_room(&room, rv, name);
    if (fine && room.bytes)
        given_keep_made(room.bytes, room.len);
    if (operation && rv == CKR_OPERATION_NOT_INITIALIZED)
        operation->phase = NONE;
}

/* --- in parts --- */

static void begin_message(void)
{
    enum family family = given_family(USE(MESSAGE_ENCRYPT) | USE(MESSAGE_DECRYPT));
    const char *name = is_encrypting(family) ? "C_EncryptMessageBegin" : "C_DecryptMessageBegin";
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, family);
    struct parameter parameter = some_parameter(operation);
    struct given_data aad = given_data();
    struct verdict verdict = of_session(at);

    refuse_unless_active(&verdict, operation);
    if (is_active(operation)) {
        refuse_if(&verdict, operation->in_message, CKR_OPERATION_ACTIVE);
        refuse_if(&verdict, aad.bad, CKR_ARGUMENTS_BAD);
        refuse_if(&verdict, operation->ccm, CKR_MECHANISM_INVALID);
        refuse_parameter(&verdict, &parameter);
        refuse_if(&verdict, parameter.bad_generator, CKR_MECHANISM_PARAM_INVALID);
    }
    CK_RV rv = is_encrypting(family)
                   ? p11->C_EncryptMessageBegin(handle, parameter.bytes, parameter.len, aad.bytes, aad.len)
                   : p11->C_DecryptMessageBegin(handle, parameter.bytes, parameter.len, aad.bytes, aad.len);

    if (judge(&verdict, rv, "%s(%d, parameter%s, aad of %lu)", name, session_number(at),
              parameter.bad ? " that is bad" : "", aad.len)) {
        operation->in_message = true;
        operation->pending = 0;
    }
}

static CK_RV do_next(enum family family, CK_SESSION_HANDLE handle, const struct parameter *parameter,
                     const struct given_data *data, const struct given_room *room, CK_FLAGS flags)
{
    return is_encrypting(family) ? p11->C_EncryptMessageNext(handle, parameter->bytes, parameter->len, data->bytes,
                                                             data->len, room->bytes, room->len_pointer, flags)
                                 : p11->C_DecryptMessageNext(handle, parameter->bytes, parameter->len, data->bytes,
                                                             data->len, room->bytes, room->len_pointer, flags);
}

static void part_taken(struct model_operation *operation, CK_RV rv, const struct given_data *data,
                       const struct given_room *room, bool last)
{
    bool asked = !room->bytes && (!last || operation->pending + data->len > 0);

    if (rv == CKR_OK && !asked)
        operation->pending += data->len - room->len;
    /* A call that could not begin leaves the message as it is; one that failed on the way ends it. */
    if (rv == CKR_BUFFER_TOO_SMALL || (rv != CKR_OK && (data->bad || !room->len_pointer)))
        return;
    if (rv != CKR_OK || (last && !asked))
        operation->in_message = false;
}

static void next_part(void)
{
    enum family family = given_family(USE(MESSAGE_ENCRYPT) | USE(MESSAGE_DECRYPT));
    const char *name = is_encrypting(family) ? "C_EncryptMessageNext" : "C_DecryptMessageNext";
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, family);
    struct parameter parameter = some_parameter(operation);
    struct given_data data = is_encrypting(family) ? given_data() : given_made();
    bool last = given_byte() & 1;
    struct verdict verdict = of_session(at);
    struct given_room room;

    given_room(&room, &data);
    refuse_unless_active(&verdict, operation);
    if (is_active(operation)) {
        bool asked = !room.bytes && (!last || operation->pending + data.len > 0);

        refuse_if(&verdict, !operation->in_message && operation->phase != UNSURE, CKR_OPERATION_NOT_INITIALIZED);
        refuse_if(&verdict, !room.len_pointer || data.bad, CKR_ARGUMENTS_BAD);
        if (last && !asked)
            refuse_parameter(&verdict, &parameter);
        if (room.bytes)
            may_give(&verdict, CKR_BUFFER_TOO_SMALL);
        may_dislike(&verdict, family);
    }
    CK_RV rv = do_next(family, handle, &parameter, &data, &room, last ? CKF_END_OF_MESSAGE : 0);

    judge(&verdict, rv, "%s(%d, parameter%s, %lu bytes, %s of %lu%s)", name, session_number(at),
          parameter.bad ? " that is bad" : "", data.len, room.bytes ? "room" : "NULL", room.had, last ? ", last" : "");
    given_check_room(&room, rv, name);
    if (is_active(operation) && operation->in_message)
        part_taken(operation, rv, &data, &room, last);
}

static void end(void)
{
    enum family family = given_family(USE(MESSAGE_ENCRYPT) | USE(MESSAGE_DECRYPT));
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, family);
    struct verdict verdict = of_session(at);

    refuse_if(&verdict, !is_active(operation), CKR_OPERATION_NOT_INITIALIZED);
    if (is_active(operation) && operation->phase == UNSURE)
        may_give(&verdict, CKR_OPERATION_NOT_INITIALIZED);
    judge(&verdict, is_encrypting(family) ? p11->C_MessageEncryptFinal(handle) : p11->C_MessageDecryptFinal(handle),
          "%s(%d)", is_encrypting(family) ? "C_MessageEncryptFinal" : "C_MessageDecryptFinal", session_number(at));
    if (operation)
        *operation = (struct model_operation){.phase = NONE};
}

const struct call MESSAGE_CALLS[] = {{begin, 5}, {whole, 4}, {begin_message, 4}, {next_part, 6}, {end, 1}};
const unsigned N_MESSAGE_CALLS = sizeof(MESSAGE_CALLS) / sizeof(MESSAGE_CALLS[0]);
