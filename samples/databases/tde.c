/* What Oracle's Transparent Data Encryption asks of a PKCS#11 module, as far as it is known, without Oracle: see
 * docs/databases.md.
 *
 * - tde MODULE DICTIONARY set-key: makes a master key, or another one, and wraps the table keys with it
 * - tde MODULE DICTIONARY open: what opening the keystore does, all master keys must be there
 * - tde MODULE DICTIONARY serve PROCESSES SECONDS: server processes that unwrap table keys all the time
 *
 * TDE_PIN is what stands in IDENTIFIED BY: "user:password". DICTIONARY is a file in place of the database's own tables.
 * It holds master keys by name, and table keys only as the token has encrypted them. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <p11-kit/pkcs11.h>

enum {
    TABLES = 4,
    KEY_LEN = 32,
    WRAPPED_LEN = KEY_LEN + 16,
    DIGEST_LEN = 32,
    ID_TEXT_LEN = 34,
    MASTERS_MAX = 64,
    PROCESSES_MAX = 256
};

struct table {
    unsigned char wrapped[WRAPPED_LEN]; /* by the newest master key: AES-CBC with padding */
    unsigned char digest[DIGEST_LEN];   /* SHA-256 of the key, so that a wrong one is noticed */
};

static struct {
    char masters[MASTERS_MAX][ID_TEXT_LEN + 1]; /* the newest comes last */
    unsigned n_masters;
    struct table tables[TABLES];
} dictionary;

static CK_FUNCTION_LIST *module;
static const char *pin;

static void must(CK_RV rv, const char *what)
{
    if (rv == CKR_OK)
        return;
    fprintf(stderr, "tde: %s: 0x%08lx\n", what, rv);
    _exit(1);
}

static void die(const char *what)
{
    fprintf(stderr, "tde: %s\n", what);
    _exit(1);
}

/* --- the dictionary --- */

static void put_hex(FILE *file, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        fprintf(file, "%02x", bytes[i]);
}

static bool get_hex(FILE *file, unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (fscanf(file, "%2hhx", &bytes[i]) != 1)
            return false;
    return true;
}

static void write_dictionary(const char *path)
{
    char draft[4096];

    if ((size_t)snprintf(draft, sizeof(draft), "%s.new", path) >= sizeof(draft))
        die("the dictionary's name is too long");
    FILE *file = fopen(draft, "w");
    if (!file)
        die("the dictionary cannot be written");
    for (unsigned i = 0; i < dictionary.n_masters; i++)
        fprintf(file, "master %s\n", dictionary.masters[i]);
    for (unsigned i = 0; i < TABLES; i++) {
        fputs("table ", file);
        put_hex(file, dictionary.tables[i].wrapped, WRAPPED_LEN);
        fputc(' ', file);
        put_hex(file, dictionary.tables[i].digest, DIGEST_LEN);
        fputc('\n', file);
    }
    if (fflush(file) != 0 || fsync(fileno(file)) != 0 || fclose(file) != 0 || rename(draft, path) != 0)
        die("the dictionary cannot be written");
}

/* A dictionary that is not there is one without keys. */
static void read_dictionary(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned n_tables = 0;
    char kind[8];

    if (!file && errno == ENOENT)
        return;
    if (!file)
        die("the dictionary cannot be read");
    while (fscanf(file, "%7s ", kind) == 1) {
        if (!strcmp(kind, "master") && dictionary.n_masters < MASTERS_MAX &&
            fscanf(file, "%34s", dictionary.masters[dictionary.n_masters]) == 1)
            dictionary.n_masters++;
        else if (!strcmp(kind, "table") && n_tables < TABLES &&
                 get_hex(file, dictionary.tables[n_tables].wrapped, WRAPPED_LEN) && fgetc(file) == ' ' &&
                 get_hex(file, dictionary.tables[n_tables].digest, DIGEST_LEN))
            n_tables++;
        else
            die("the dictionary is damaged");
    }
    fclose(file);
    if (dictionary.n_masters == 0 || n_tables != TABLES)
        die("the dictionary is incomplete");
}

/* --- the keystore --- */

static void load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        die(dlerror());
    CK_C_GetFunctionList get_function_list = (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList");
    if (!get_function_list)
        die("this is no PKCS#11 module");
    must(get_function_list(&module), "C_GetFunctionList");
}

static CK_SESSION_HANDLE open_keystore(bool writes)
{
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    CK_SLOT_ID slot;
    CK_ULONG n = 1;
    CK_SESSION_HANDLE session;

    must(module->C_Initialize(&arguments), "C_Initialize");
    must(module->C_GetSlotList(CK_TRUE, &slot, &n), "C_GetSlotList");
    must(module->C_OpenSession(slot, CKF_SERIAL_SESSION | (writes ? CKF_RW_SESSION : 0), NULL, NULL, &session),
         "C_OpenSession");
    must(module->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)), "C_Login");
    return session;
}

/* By its label alone, without a class: more than one, or none, is an error. */
static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, const char *prefix, const char *id)
{
    char label[80];
    int len = snprintf(label, sizeof(label), "%s%s", prefix, id);
    CK_ATTRIBUTE template = {CKA_LABEL, label, (CK_ULONG)len};
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n;

    must(module->C_FindObjectsInit(session, &template, 1), "C_FindObjectsInit");
    must(module->C_FindObjects(session, found, 2, &n), "C_FindObjects");
    must(module->C_FindObjectsFinal(session), "C_FindObjectsFinal");
    if (n != 1) {
        fprintf(stderr, "tde: %lu objects are called %s\n", n, label);
        _exit(1);
    }
    return found[0];
}

static CK_OBJECT_HANDLE find_master(CK_SESSION_HANDLE session, unsigned i)
{
    return find(session, "ORACLE.TDE.HSM.MK.", dictionary.masters[i]);
}

/* --- table keys --- */

static CK_MECHANISM *wrapping(void)
{
    /* Each key is random: that its first block needs no vector is the sequence's assumption. */
    static CK_BYTE zeros[16];
    static CK_MECHANISM cbc_pad = {CKM_AES_CBC_PAD, zeros, sizeof(zeros)};

    return &cbc_pad;
}

static void digest_of(CK_SESSION_HANDLE session, unsigned char key[KEY_LEN], unsigned char digest[DIGEST_LEN])
{
    CK_MECHANISM sha256 = {CKM_SHA256, NULL, 0};
    CK_ULONG len = DIGEST_LEN;

    must(module->C_DigestInit(session, &sha256), "C_DigestInit");
    must(module->C_Digest(session, key, KEY_LEN, digest, &len), "C_Digest");
}

static void wrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE master, unsigned char key[KEY_LEN], struct table *table)
{
    CK_ULONG len = WRAPPED_LEN;

    digest_of(session, key, table->digest);
    must(module->C_EncryptInit(session, wrapping(), master), "C_EncryptInit");
    must(module->C_Encrypt(session, key, KEY_LEN, table->wrapped, &len), "C_Encrypt");
}

static void unwrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE master, struct table *table, unsigned char key[KEY_LEN])
{
    unsigned char room[WRAPPED_LEN], digest[DIGEST_LEN];
    CK_ULONG len = sizeof(room);

    must(module->C_DecryptInit(session, wrapping(), master), "C_DecryptInit");
    must(module->C_Decrypt(session, table->wrapped, WRAPPED_LEN, room, &len), "C_Decrypt");
    if (len != KEY_LEN)
        die("a table key has another length than it had");
    memcpy(key, room, KEY_LEN);
    explicit_bzero(room, sizeof(room));
    digest_of(session, key, digest);
    if (memcmp(digest, table->digest, DIGEST_LEN) != 0)
        die("a table key is another one than it was");
}

/* --- what the statements do --- */

/* 34 digits, of which the first two are 06. */
static void name_master(CK_SESSION_HANDLE session, char id[ID_TEXT_LEN + 1])
{
    unsigned char random[(ID_TEXT_LEN - 2) / 2];

    must(module->C_GenerateRandom(session, random, sizeof(random)), "C_GenerateRandom");
    memcpy(id, "06", 2);
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(id + 2 + 2 * i, 3, "%02X", random[i]);
}

static CK_OBJECT_HANDLE make_master(CK_SESSION_HANDLE session, const char *id)
{
    CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY, data = CKO_DATA;
    CK_KEY_TYPE aes = CKK_AES;
    CK_ULONG key_len = KEY_LEN;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_MECHANISM generation = {CKM_AES_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE master, note;
    char label[80], note_label[80];
    int len = snprintf(label, sizeof(label), "ORACLE.TDE.HSM.MK.%s", id);
    int note_len = snprintf(note_label, sizeof(note_label), "ORACLE.SECURITY.KM.ENCRYPTION.%s", id);
    CK_ATTRIBUTE key_template[] = {
        {CKA_CLASS, &secret_key, sizeof(secret_key)},
        {CKA_KEY_TYPE, &aes, sizeof(aes)},
        {CKA_LABEL, label, (CK_ULONG)len},
        {CKA_VALUE_LEN, &key_len, sizeof(key_len)},
        {CKA_TOKEN, &yes, sizeof(yes)},
        {CKA_PRIVATE, &yes, sizeof(yes)},
        {CKA_SENSITIVE, &yes, sizeof(yes)},
        {CKA_EXTRACTABLE, &no, sizeof(no)},
        {CKA_MODIFIABLE, &no, sizeof(no)},
        {CKA_ENCRYPT, &yes, sizeof(yes)},
        {CKA_DECRYPT, &yes, sizeof(yes)},
    };
    CK_ATTRIBUTE note_template[] = {
        {CKA_CLASS, &data, sizeof(data)},  {CKA_TOKEN, &yes, sizeof(yes)},
        {CKA_PRIVATE, &yes, sizeof(yes)},  {CKA_LABEL, note_label, (CK_ULONG)note_len},
        {CKA_VALUE, label, (CK_ULONG)len},
    };

    must(module->C_GenerateKey(session, &generation, key_template, sizeof(key_template) / sizeof(*key_template),
                               &master),
         "C_GenerateKey");
    must(module->C_CreateObject(session, note_template, sizeof(note_template) / sizeof(*note_template), &note),
         "C_CreateObject");
    return master;
}

/* ADMINISTER KEY MANAGEMENT SET KEY: tables keep their keys, which are wrapped anew. */
static void set_key(const char *path)
{
    CK_SESSION_HANDLE session = open_keystore(true);
    bool first = dictionary.n_masters == 0;
    unsigned char key[KEY_LEN];

    if (dictionary.n_masters == MASTERS_MAX)
        die("there is no room for another master key");
    char *id = dictionary.masters[dictionary.n_masters];
    name_master(session, id);
    CK_OBJECT_HANDLE made = make_master(session, id);

    for (unsigned i = 0; i < TABLES; i++) {
        if (first)
            must(module->C_GenerateRandom(session, key, KEY_LEN), "C_GenerateRandom");
        else
            unwrap(session, find_master(session, dictionary.n_masters - 1), &dictionary.tables[i], key);
        wrap(session, made, key, &dictionary.tables[i]);
    }
    explicit_bzero(key, sizeof(key));
    dictionary.n_masters++;
    write_dictionary(path);
    printf("master key %s, %u table keys wrapped\n", id, (unsigned)TABLES);
}

/* ADMINISTER KEY MANAGEMENT SET KEYSTORE OPEN: looks for each key and its note, and decrypts nothing. */
static CK_SESSION_HANDLE open_database(void)
{
    CK_SESSION_HANDLE session = open_keystore(false);

    if (dictionary.n_masters == 0)
        die("there is no master key yet: set-key makes one");
    for (unsigned i = 0; i < dictionary.n_masters; i++) {
        find_master(session, i);
        find(session, "ORACLE.SECURITY.KM.ENCRYPTION.", dictionary.masters[i]);
    }
    printf("open: %u master keys\n", dictionary.n_masters);
    fflush(stdout);
    return session;
}

/* --- server processes --- */

/* However late a process comes to work on a busy machine, it unwraps each key once. */
static void work(CK_SESSION_HANDLE session, time_t until, atomic_ulong *n_unwrapped)
{
    CK_OBJECT_HANDLE master = find_master(session, dictionary.n_masters - 1);
    unsigned char key[KEY_LEN];

    for (unsigned i = 0; i < TABLES || time(NULL) < until; i++) {
        unwrap(session, master, &dictionary.tables[i % TABLES], key);
        atomic_fetch_add(n_unwrapped, 1);
    }
    explicit_bzero(key, sizeof(key));
}

enum start {
    FIRST,  /* forked before the parent had called C_Initialize */
    ANEW,   /* forked after it, and initializes again, as the standard asks */
    GOES_ON /* with the session that the parent had */
};

static void start_process(enum start start, CK_SESSION_HANDLE inherited, time_t until, atomic_ulong *n_unwrapped)
{
    pid_t process = fork();

    if (process < 0)
        die("no more processes");
    if (process > 0)
        return;
    work(start == GOES_ON ? inherited : open_keystore(false), until, n_unwrapped);
    _exit(0);
}

static void serve(unsigned n_processes, unsigned seconds)
{
    time_t until = time(NULL) + seconds;
    unsigned n_first = n_processes / 3, n_failed = 0;
    int status;
    atomic_ulong *n_unwrapped =
        mmap(NULL, sizeof(*n_unwrapped), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (n_unwrapped == MAP_FAILED)
        die("no memory");
    if (dictionary.n_masters == 0)
        die("there is no master key yet: set-key makes one");
    for (unsigned i = 0; i < n_first; i++)
        start_process(FIRST, CK_INVALID_HANDLE, until, n_unwrapped);
    CK_SESSION_HANDLE session = open_database();
    for (unsigned i = n_first; i < n_processes; i++)
        start_process(i % 2 ? GOES_ON : ANEW, session, until, n_unwrapped);
    while (wait(&status) > 0)
        n_failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    printf("%u processes unwrapped %lu table keys, %u failed\n", n_processes, atomic_load(n_unwrapped), n_failed);
    if (n_failed > 0)
        exit(1);
}

int main(int argc, char **argv)
{
    pin = getenv("TDE_PIN");
    if (argc < 4 || !pin) {
        fputs("usage: TDE_PIN=user:password tde MODULE DICTIONARY set-key | open | serve PROCESSES SECONDS\n", stderr);
        return 2;
    }
    read_dictionary(argv[2]);
    load(argv[1]);
    if (argc == 4 && !strcmp(argv[3], "set-key")) {
        set_key(argv[2]);
    } else if (argc == 4 && !strcmp(argv[3], "open")) {
        open_database();
    } else if (argc == 6 && !strcmp(argv[3], "serve")) {
        unsigned long processes = strtoul(argv[4], NULL, 10), seconds = strtoul(argv[5], NULL, 10);

        if (processes < 1 || processes > PROCESSES_MAX || seconds < 1 || seconds > 3600)
            die("1 to 256 processes, 1 to 3600 seconds");
        serve((unsigned)processes, (unsigned)seconds);
    } else {
        die("set-key, open, or serve PROCESSES SECONDS");
    }
    must(module->C_Finalize(NULL), "C_Finalize");
    return 0;
}
