/* A sequence of calls. The first byte says whether it begins with a user who is logged in, as most programs soon have;
 * then each call is a byte for its kind, and what it takes for its arguments. */
#include "pkcs11_calls.h"
#include "pkcs11_world.h"

#define CALLS_MAX 200 /* of a sequence: longer ones show nothing that these do not */

static const struct call *call_of(const struct call *calls, unsigned n, unsigned *which)
{
    for (unsigned i = 0; i < n; i++) {
        if (*which < calls[i].weight)
            return &calls[i];
        *which -= calls[i].weight;
    }
    return NULL;
}

/* The tables one after the other, over and over. */
static const struct call *some_call(void)
{
    unsigned which = given_byte();

    for (;;) {
        const struct call *call = call_of(OPERATION_CALLS, N_OPERATION_CALLS, &which);

        call = call ? call : call_of(MESSAGE_CALLS, N_MESSAGE_CALLS, &which);
        call = call ? call : call_of(SESSION_CALLS, N_SESSION_CALLS, &which);
        call = call ? call : call_of(OBJECT_CALLS, N_OBJECT_CALLS, &which);
        call = call ? call : call_of(KEY_CALLS, N_KEY_CALLS, &which);
        if (call)
            return call;
    }
}

static void end(void)
{
    model_check_operations();
    if (model.initialized)
        RV(CKR_OK, p11->C_Finalize(NULL));
    model_finalized();
    if (model.n_token > 0)
        world_clean();
    if (n_failed_logins > 100) {
        world_forgive();
        n_failed_logins = 0;
    }
}

void calls_run(const uint8_t *bytes, size_t len)
{
    model_reset();
    given_begin(bytes, len);
    if (given_byte() % 4 != 3)
        calls_prologue();
    for (unsigned i = 0; i < CALLS_MAX && !given_is_over(); i++) {
        some_call()->make();
        given_forget();
        model_check_states();
    }
    end();
}
