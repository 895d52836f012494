/* See request.h. */
#include "request.h"

bool request_is_invalid(const struct request *request, hsm_status status)
{
    if (!request->invalid || (status != HSM_CIPHERTEXT_INVALID && status != HSM_DATA_LENGTH))
        return false;
    *request->invalid = true;
    return true;
}
