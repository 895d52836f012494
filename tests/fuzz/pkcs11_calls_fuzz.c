/* Sequences of calls of the PKCS#11 module, whatever they are, against a real node: each is judged by a model of what
 * the standard lets an application see (pkcs11_model.h). PKCS11_TRACE=1 with an input as argument shows its calls. */
#include <sanitizer/lsan_interface.h>
#include "pkcs11_calls.h"
#include "pkcs11_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What lives as long as the process is not searched for leaks. */
static void start(void)
{
    __lsan_disable();
    world_start();
    __lsan_enable();
    atexit(world_stop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (!world)
        start();
    calls_run(data, len);
    return 0;
}
