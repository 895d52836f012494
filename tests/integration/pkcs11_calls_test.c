/* Sequences of calls that a model judges (tests/fuzz/pkcs11_model.h): the seeds of the fuzz target, and some that are
 * made up, the same ones each time. A surprise ends the program with what was called in which state. */
#include <dirent.h>
#include <stdio.h>
#include "../fuzz/pkcs11_calls.h"
#include "../fuzz/pkcs11_world.h"

#define LEN 600

static int start(void **state)
{
    (void)state;
    world_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop();
    return 0;
}

static void run_file(const char *name)
{
    uint8_t bytes[4096];
    char path[600];

    snprintf(path, sizeof(path), "%s/%s", CORPUS, name);
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);

    fclose(file);
    calls_run(bytes, len);
}

static void sequences_that_were_found_worth_keeping_go_as_the_model_says(void **state)
{
    DIR *folder = opendir(CORPUS);
    unsigned n = 0;

    (void)state;
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        run_file(entry->d_name);
        n++;
    }
    closedir(folder);
    assert_true(n > 0);
}

/* SplitMix64 */
static uint64_t next_number(uint64_t *seed)
{
    uint64_t number = *seed += 0x9e3779b97f4a7c15;

    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
    return number ^ (number >> 31);
}

static void random_sequences_go_as_the_model_says(void **state)
{
    uint64_t seed = 11;
    uint8_t bytes[LEN];

    (void)state;
    for (int i = 0; i < 30; i++) {
        for (size_t k = 0; k < LEN; k++)
            bytes[k] = (uint8_t)next_number(&seed);
        calls_run(bytes, LEN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_that_were_found_worth_keeping_go_as_the_model_says),
        cmocka_unit_test(random_sequences_go_as_the_model_says),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
