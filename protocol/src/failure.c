/* The detail of this thread's last failure. Thread-local storage without destructors, so that the library that holds it
 * can be unloaded at any time. */
#include "protocol/failure.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

static _Thread_local char detail[FAILURE_DETAIL_MAX];

status_code failure_set(status_code code, const char *format, ...)
{
    char text[FAILURE_DETAIL_MAX]; /* the arguments may refer to the detail that is replaced */
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(text, sizeof(text), format, arguments) < 0)
        text[0] = 0;
    va_end(arguments);
    snprintf(detail, sizeof(detail), "%s", text);
    return code;
}

const char *failure_detail(void)
{
    return detail;
}

void failure_clear(void)
{
    detail[0] = 0;
}

const char *failure_openssl_reason(char *text, unsigned long size)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;

    snprintf(text, size, "%s", reason ? reason : "no reason given");
    ERR_clear_error();
    return text;
}
