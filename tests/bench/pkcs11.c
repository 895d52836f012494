/* Drives a PKCS#11 module in this process: pkcs11 MODULE WORK THREADS SECONDS.
 *
 * Makes a token (the module's environment decides where), or logs in to the one that is there with BENCH_PIN, and a key
 * of its own, then lets every thread work in a session of its own until the time is up. WORK: rsa2048-sign, p256-sign,
 * aes256gcm-SIZE, random-SIZE. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <p11-kit/pkcs11.h>
#include "measure.h"

#define PIN "1234"

enum work { WORK_RSA, WORK_EC, WORK_GCM, WORK_RANDOM };

static CK_FUNCTION_LIST *module;
static CK_SLOT_ID slot;
static CK_OBJECT_HANDLE key;
static enum work work;
static size_t size;
static atomic_bool finished;

static void must(CK_RV rv, const char *what)
{
    if (rv == CKR_OK)
        return;
    fprintf(stderr, "pkcs11: %s: 0x%lx\n", what, rv);
    exit(1);
}

static CK_SESSION_HANDLE open_session(void)
{
    CK_SESSION_HANDLE session;

    must(module->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session), "C_OpenSession");
    return session;
}

static void use_token(const char *pin)
{
    CK_ULONG n = 1;

    must(module->C_GetSlotList(CK_TRUE, &slot, &n), "C_GetSlotList");
    must(module->C_Login(open_session(), CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)), "C_Login");
}

static void make_token(void)
{
    CK_SLOT_ID slots[16];
    CK_ULONG n = 16;
    CK_UTF8CHAR label[32];

    memset(label, ' ', sizeof(label));
    memcpy(label, "bench", 5);
    must(module->C_GetSlotList(CK_TRUE, slots, &n), "C_GetSlotList");
    must(module->C_InitToken(slots[n - 1], (CK_UTF8CHAR *)PIN, 4, label), "C_InitToken");
    n = 16;
    must(module->C_GetSlotList(CK_TRUE, slots, &n), "C_GetSlotList");
    slot = slots[0];

    CK_SESSION_HANDLE session = open_session();
    must(module->C_Login(session, CKU_SO, (CK_UTF8CHAR *)PIN, 4), "C_Login");
    must(module->C_InitPIN(session, (CK_UTF8CHAR *)PIN, 4), "C_InitPIN");
    must(module->C_Logout(session), "C_Logout");
    must(module->C_Login(session, CKU_USER, (CK_UTF8CHAR *)PIN, 4), "C_Login");
}

static void make_key(void)
{
    static CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    static CK_BYTE f4[] = {1, 0, 1};
    static CK_BBOOL yes = CK_TRUE;
    CK_ULONG bits = 2048, length = 32;
    CK_ATTRIBUTE rsa[] = {{CKA_MODULUS_BITS, &bits, sizeof(bits)}, {CKA_PUBLIC_EXPONENT, f4, sizeof(f4)}};
    CK_ATTRIBUTE ec[] = {{CKA_EC_PARAMS, p256, sizeof(p256)}};
    CK_ATTRIBUTE private[] = {{CKA_SIGN, &yes, sizeof(yes)}};
    CK_ATTRIBUTE aes[] = {{CKA_VALUE_LEN, &length, sizeof(length)}, {CKA_ENCRYPT, &yes, sizeof(yes)}};
    CK_MECHANISM mechanism = {0};
    CK_OBJECT_HANDLE public;
    CK_SESSION_HANDLE session = open_session();

    mechanism.mechanism = work == WORK_RSA  ? CKM_RSA_PKCS_KEY_PAIR_GEN
                          : work == WORK_EC ? CKM_EC_KEY_PAIR_GEN
                                            : CKM_AES_KEY_GEN;
    if (work == WORK_GCM)
        must(module->C_GenerateKey(session, &mechanism, aes, 2, &key), "C_GenerateKey");
    if (work == WORK_RSA)
        must(module->C_GenerateKeyPair(session, &mechanism, rsa, 2, private, 1, &public, &key), "C_GenerateKeyPair");
    if (work == WORK_EC)
        must(module->C_GenerateKeyPair(session, &mechanism, ec, 1, private, 1, &public, &key), "C_GenerateKeyPair");
}

static void work_once(CK_SESSION_HANDLE session, CK_BYTE *in, CK_BYTE *out)
{
    CK_ULONG out_len = 65536;
    CK_BYTE nonce[12] = {0};
    CK_GCM_PARAMS gcm = {.pIv = nonce, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128};
    CK_MECHANISM mechanism = {work == WORK_RSA ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};

    if (work == WORK_RANDOM) {
        must(module->C_GenerateRandom(session, out, size), "C_GenerateRandom");
        return;
    }
    if (work == WORK_GCM) {
        mechanism = (CK_MECHANISM){CKM_AES_GCM, &gcm, sizeof(gcm)};
        must(module->C_GenerateRandom(session, nonce, sizeof(nonce)), "C_GenerateRandom");
        must(module->C_EncryptInit(session, &mechanism, key), "C_EncryptInit");
        must(module->C_Encrypt(session, in, size, out, &out_len), "C_Encrypt");
        return;
    }
    must(module->C_SignInit(session, &mechanism, key), "C_SignInit");
    must(module->C_Sign(session, in, 32, out, &out_len), "C_Sign");
}

static void *run(void *argument)
{
    struct measure *measure = argument;
    CK_SESSION_HANDLE session = open_session();
    CK_BYTE *in = calloc(1, 65536), *out = calloc(1, 65536);

    while (!atomic_load_explicit(&finished, memory_order_relaxed)) {
        uint64_t start = measure_now_ns();

        work_once(session, in, out);
        measure_add(measure, measure_now_ns() - start);
    }
    free(in);
    free(out);
    return NULL;
}

static void parse_work(const char *text)
{
    const char *dash = strchr(text, '-');

    size = dash ? strtoul(dash + 1, NULL, 10) : 0;
    work = !strcmp(text, "rsa2048-sign")  ? WORK_RSA
           : !strcmp(text, "p256-sign")   ? WORK_EC
           : !strncmp(text, "random-", 7) ? WORK_RANDOM
                                          : WORK_GCM;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: pkcs11 MODULE WORK THREADS SECONDS\n");
        return 2;
    }
    unsigned n_threads = (unsigned)strtoul(argv[3], NULL, 10);
    double seconds = strtod(argv[4], NULL);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get_list = library ? (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList") : NULL;
    CK_C_INITIALIZE_ARGS locking = {.flags = CKF_OS_LOCKING_OK};

    if (!get_list || !n_threads || n_threads > 1024) {
        fprintf(stderr, "pkcs11: cannot load %s, or a wrong number of threads\n", argv[1]);
        return 1;
    }
    must(get_list(&module), "C_GetFunctionList");
    must(module->C_Initialize(&locking), "C_Initialize");
    parse_work(argv[2]);
    if (getenv("BENCH_PIN"))
        use_token(getenv("BENCH_PIN"));
    else
        make_token();
    make_key();

    pthread_t threads[1024];
    struct measure *measures[1024];
    double cpu = measure_cpu_us();
    uint64_t start = measure_now_ns();

    for (unsigned i = 0; i < n_threads; i++) {
        measures[i] = calloc(1, sizeof(*measures[i]));
        pthread_create(&threads[i], NULL, run, measures[i]);
    }
    nanosleep(&(struct timespec){(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)}, NULL);
    atomic_store(&finished, true);
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    measure_print(measures, n_threads, (double)(measure_now_ns() - start) / 1e9, measure_cpu_us() - cpu);
    return 0;
}
