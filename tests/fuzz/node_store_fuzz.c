/* The store's file, as a disk or another program may have left it: it opens or is refused with a text, and so does
 * every reading and writing. The input is a list of damages to a real store's file: three bytes say where, one is put
 * there. An input of odd length also cuts the file short. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t cluster_id[ID_LEN] = "the cluster's id";
static const struct index_token token = {"token"};
static char path[64];
static struct bytes real = BYTES_INIT;

static status_code visit_record(void *context, const struct store_record *record)
{
    *(uint8_t *)context ^= record->value.len ? record->value.data[record->value.len - 1] : record->id[0];
    return STATUS_OK;
}

static status_code visit_change(void *context, const struct store_change *change)
{
    *(uint8_t *)context ^= change->id[0];
    return STATUS_OK;
}

static void remove_files(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[80];

    for (unsigned i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

/* A small store with a record of each kind. */
static void make_real(void)
{
    struct store *store;
    struct store_write write = {.value = slice_text("a sealed value"), .tokens = &token, .n_tokens = 1};
    uint64_t revision;

    snprintf(path, sizeof(path), "/dev/shm/hsm-store-fuzz-%d", (int)getpid());
    if (atexit(remove_files) != 0 || store_open_sqlite(path, cluster_id, &store) != STATUS_OK)
        abort();
    for (write.kind = STORE_CLUSTER; write.kind <= STORE_AUDIT; write.kind++)
        if (store->operations->write(store, &write, 1, &revision) != STATUS_OK)
            abort();
    store->operations->close(store);
    FILE *file = fopen(path, "r");
    uint8_t *to = bytes_reserve(&real, 1 << 20);
    real.len = file && to ? fread(to, 1, 1 << 20, file) : 0;
    if (!real.len || fclose(file) != 0)
        abort();
}

static void write_file(const uint8_t *data, size_t len)
{
    CLEANUP(bytes_release) struct bytes damaged = BYTES_INIT;

    if (bytes_assign(&damaged, bytes_slice(&real)) != STATUS_OK)
        abort();
    for (size_t i = 0; i + 4 <= len; i += 4)
        damaged.data[(data[i] | (size_t)data[i + 1] << 8 | (size_t)data[i + 2] << 16) % real.len] = data[i + 3];
    if (len % 2)
        damaged.len -= damaged.len * data[len - 1] / 256;
    remove_files();
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (file < 0 || write(file, damaged.data, damaged.len) != (ssize_t)damaged.len)
        abort();
    close(file);
}

static void expect(status_code status)
{
    if (status != STATUS_OK && !failure_detail()[0])
        __builtin_trap();
}

static void read_all(struct store *store)
{
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    static const uint8_t id[ID_LEN];
    uint64_t n;
    uint8_t seen = 0;

    for (enum store_kind kind = STORE_CLUSTER; kind <= STORE_AUDIT; kind++) {
        expect(store->operations->read(store, kind, id, &value, &n));
        expect(store->operations->range(store, kind, NULL, NULL, 100, visit_record, &seen));
        expect(store->operations->find(store, kind, &token, 1, NULL, 100, visit_record, &seen));
        expect(store->operations->count(store, kind, &token, &n));
    }
    expect(store->operations->changes(store, 0, visit_change, &seen, &n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct store *store;
    struct store_write write = {.kind = STORE_OBJECT, .expected_version = 1, .value = slice_text("changed")};
    uint64_t revision;

    if (!real.len)
        make_real();
    write_file(data, len);
    failure_clear();
    status_code status = store_open_sqlite(path, cluster_id, &store);
    expect(status);
    if (status != STATUS_OK)
        return 0;
    read_all(store);
    expect(store->operations->write(store, &write, 1, &revision));
    read_all(store);
    store->operations->close(store);
    return 0;
}
