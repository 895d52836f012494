/* Preloaded into a node: an ECDSA signature waits BENCH_SIGN_MS milliseconds first, as if a card made it. */
#include <dlfcn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <stdlib.h>
#include <time.h>

__attribute__((visibility("default"))) ECDSA_SIG *ECDSA_do_sign(const unsigned char *digest, int digest_len,
                                                                EC_KEY *key)
{
    static ECDSA_SIG *(*_Atomic real)(const unsigned char *, int, EC_KEY *);
    static _Atomic long wait_ms;

    if (!real) {
        const char *text = getenv("BENCH_SIGN_MS");

        wait_ms = text ? atol(text) : 0;
        real = (ECDSA_SIG * (*)(const unsigned char *, int, EC_KEY *)) dlsym(RTLD_NEXT, "ECDSA_do_sign");
    }
    nanosleep(&(struct timespec){wait_ms / 1000, wait_ms % 1000 * 1000000}, NULL);
    return real(digest, digest_len, key);
}
