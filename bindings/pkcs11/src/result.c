/* Results of the library as the standard's, and the log that tells why a call failed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "module.h"

static const CK_RV RESULTS[] = {
    [HSM_OK] = CKR_OK,
    [HSM_INVALID_ARGUMENT] = CKR_ARGUMENTS_BAD,
    [HSM_BUFFER_TOO_SMALL] = CKR_BUFFER_TOO_SMALL,
    [HSM_OUT_OF_MEMORY] = CKR_HOST_MEMORY,
    [HSM_NOT_SUPPORTED] = CKR_MECHANISM_INVALID,
    [HSM_PROTOCOL_ERROR] = CKR_DEVICE_ERROR,
    [HSM_VERSION_MISMATCH] = CKR_DEVICE_ERROR,
    [HSM_TOO_LARGE] = CKR_DATA_LEN_RANGE,
    [HSM_UNAVAILABLE] = CKR_DEVICE_ERROR,
    [HSM_BUSY] = CKR_DEVICE_ERROR,
    [HSM_NOT_LOGGED_IN] = CKR_USER_NOT_LOGGED_IN,
    [HSM_TICKET_EXPIRED] = CKR_USER_NOT_LOGGED_IN,
    [HSM_LOGIN_FAILED] = CKR_PIN_INCORRECT,
    [HSM_USER_LOCKED] = CKR_PIN_LOCKED,
    [HSM_NOT_PERMITTED] = CKR_ACTION_PROHIBITED,
    [HSM_OBJECT_NOT_FOUND] = CKR_OBJECT_HANDLE_INVALID,
    [HSM_USER_NOT_FOUND] = CKR_PIN_INCORRECT,
    [HSM_ALREADY_EXISTS] = CKR_FUNCTION_FAILED,
    [HSM_CONFLICT] = CKR_FUNCTION_FAILED,
    [HSM_MECHANISM_INVALID] = CKR_MECHANISM_INVALID,
    [HSM_MECHANISM_PARAM_INVALID] = CKR_MECHANISM_PARAM_INVALID,
    [HSM_KEY_TYPE_INCONSISTENT] = CKR_KEY_TYPE_INCONSISTENT,
    [HSM_KEY_SIZE_RANGE] = CKR_KEY_SIZE_RANGE,
    [HSM_KEY_FUNCTION_NOT_PERMITTED] = CKR_KEY_FUNCTION_NOT_PERMITTED,
    [HSM_KEY_UNEXTRACTABLE] = CKR_KEY_UNEXTRACTABLE,
    [HSM_KEY_NOT_WRAPPABLE] = CKR_KEY_NOT_WRAPPABLE,
    [HSM_ATTRIBUTE_TYPE_INVALID] = CKR_ATTRIBUTE_TYPE_INVALID,
    [HSM_ATTRIBUTE_VALUE_INVALID] = CKR_ATTRIBUTE_VALUE_INVALID,
    [HSM_ATTRIBUTE_READ_ONLY] = CKR_ATTRIBUTE_READ_ONLY,
    [HSM_ATTRIBUTE_SENSITIVE] = CKR_ATTRIBUTE_SENSITIVE,
    [HSM_TEMPLATE_INCOMPLETE] = CKR_TEMPLATE_INCOMPLETE,
    [HSM_TEMPLATE_INCONSISTENT] = CKR_TEMPLATE_INCONSISTENT,
    [HSM_DATA_INVALID] = CKR_DATA_INVALID,
    [HSM_DATA_LENGTH] = CKR_DATA_LEN_RANGE,
    [HSM_SIGNATURE_INVALID] = CKR_SIGNATURE_INVALID,
    [HSM_CIPHERTEXT_INVALID] = CKR_ENCRYPTED_DATA_INVALID,
    [HSM_WRAPPED_KEY_INVALID] = CKR_WRAPPED_KEY_INVALID,
    [HSM_OPERATION_ACTIVE] = CKR_OPERATION_ACTIVE,
    [HSM_OPERATION_NOT_ACTIVE] = CKR_OPERATION_NOT_INITIALIZED,
    [HSM_STORE_FULL] = CKR_DEVICE_MEMORY,
    [HSM_STORE_LOCKED] = CKR_DEVICE_ERROR,
    [HSM_STORE_READ_ONLY] = CKR_TOKEN_WRITE_PROTECTED,
    [HSM_STORE_DAMAGED] = CKR_DEVICE_ERROR,
    [HSM_STORE_FOREIGN] = CKR_DEVICE_ERROR,
    [HSM_CLUSTER_STATE] = CKR_TOKEN_NOT_RECOGNIZED,
    [HSM_QUOTA_EXCEEDED] = CKR_DEVICE_MEMORY,
    [HSM_PASSWORD_UNACCEPTABLE] = CKR_PIN_INVALID,
    [HSM_CONFIG_INVALID] = CKR_GENERAL_ERROR,
    [HSM_IO_ERROR] = CKR_GENERAL_ERROR,
    [HSM_TLS_ERROR] = CKR_DEVICE_ERROR,
    [HSM_SELF_TEST_FAILED] = CKR_FIPS_SELF_TEST_FAILED,
    [HSM_CLOCK_UNTRUSTED] = CKR_DEVICE_ERROR,
    [HSM_PENDING] = CKR_FUNCTION_FAILED,
    [HSM_CANCELLED] = CKR_FUNCTION_CANCELED,
    [HSM_INTERNAL] = CKR_FUNCTION_FAILED,
    [HSM_SESSION_CLOSED] = CKR_SESSION_CLOSED,
    [HSM_RANDOM_FAILED] = CKR_DEVICE_ERROR,
    [HSM_STORE_UNAVAILABLE] = CKR_DEVICE_ERROR,
    [HSM_BACKUP_UNAVAILABLE] = CKR_DEVICE_ERROR,
    [HSM_BACKUP_INVALID] = CKR_DEVICE_ERROR,
    [HSM_QUORUM_NEEDED] = CKR_ACTION_PROHIBITED,
    [HSM_SECOND_FACTOR_NEEDED] = CKR_PIN_INCORRECT,
    [HSM_AUTHENTICATION_NEEDED] = CKR_USER_NOT_LOGGED_IN,
};

/* A program that fails shows its user a number; whoever looks after it sets HSM_PKCS11_LOG to a file (or "stderr") and
 * reads which node said what. */
static FILE *open_log(void)
{
    const char *path = secure_getenv("HSM_PKCS11_LOG");

    if (!path || path[0] == '\0')
        return NULL;
    return strcmp(path, "stderr") == 0 ? stderr : fopen(path, "ae");
}

static void close_log(FILE *log)
{
    if (log != stderr)
        fclose(log);
}

static void note(void)
{
    const hsm_error *error = hsm_last_error();
    FILE *log = open_log();

    if (!log)
        return;
    fprintf(log, "libhsm-pkcs11[%ld]: %s: %s: %s%s%s\n", (long)getpid(), error->operation,
            hsm_status_text(error->status), error->detail, error->node[0] != '\0' ? ", from " : "", error->node);
    close_log(log);
}

void module_note(const char *text)
{
    FILE *log = open_log();

    if (!log)
        return;
    fprintf(log, "libhsm-pkcs11[%ld]: %s\n", (long)getpid(), text);
    close_log(log);
}

CK_RV result_as(CK_RV result)
{
    note();
    return result;
}

CK_RV result_of(hsm_status status)
{
    CK_RV result =
        status >= 0 && (size_t)status < sizeof(RESULTS) / sizeof(RESULTS[0]) ? RESULTS[status] : CKR_FUNCTION_FAILED;

    return status == HSM_OK || status == HSM_BUFFER_TOO_SMALL ? result : result_as(result);
}
