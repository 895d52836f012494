/* What all public functions share: each is `return API(doing_it(...));`, which leaves the thread's last error as
 * hsm/error.h describes it. Only public functions use it, and none calls another. */
#pragma once

#include "hsm/types.h"
#include "protocol/bytes.h"

/** Forgets what failures of this thread left behind. */
void api_begin(void);

/** Remembers a failure (detail, node, operation) for hsm_last_error. Returns `status`. */
hsm_status api_end(status_code status);

/** Notes which operation is on its way and which node dealt with it; for the error, should the call fail. `node` may be
 * NULL or "". */
void api_error_origin(uint64_t operation, const char *node);

#define API(call) (api_begin(), api_end(call))

/** Fails unless `condition`: for arguments of public functions. */
#define ARGUMENT(condition, text) CHECK(condition, STATUS_INVALID_ARGUMENT, "%s", text)

/** Output to `(out, out_len)` as hsm/hsm.h describes: copies `len` bytes, or answers with the length. */
status_code output_give(const void *from, size_t len, void *out, size_t *out_len);

/** An owned copy, with a NUL behind it, for the caller to free with hsm_buffer_free. */
status_code output_buffer(struct slice from, hsm_buffer *buffer);

/** Whether `len` bytes fit into (out, out_len). If not, or if only the length is asked for (*asked_only), sets
 * *out_len. STATUS_BUFFER_TOO_SMALL. */
status_code output_room(size_t len, const void *out, size_t *out_len, int *asked_only);
