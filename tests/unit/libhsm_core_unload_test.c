/* The library can be unloaded, and loaded again, as web servers do with modules: nothing of it stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include "hsm/cluster.h"
#include "hsm/config.h"

typedef hsm_status (*config_new_function)(hsm_config **config);
typedef void (*config_free_function)(hsm_config *config);
typedef hsm_status (*config_set_function)(hsm_config *config, const char *name, const char *value);
typedef hsm_status (*open_function)(const hsm_config *config, hsm_cluster **cluster);
typedef void (*close_function)(hsm_cluster *cluster);

static void *use(void *library)
{
    config_new_function make = (config_new_function)dlsym(library, "hsm_config_new");
    config_free_function drop = (config_free_function)dlsym(library, "hsm_config_free");
    config_set_function set = (config_set_function)dlsym(library, "hsm_config_set");
    open_function open = (open_function)dlsym(library, "hsm_cluster_open");
    close_function close = (close_function)dlsym(library, "hsm_cluster_close");
    hsm_config *config;
    hsm_cluster *cluster;

    if (!make || !drop || !set || !open || !close || make(&config) != HSM_OK)
        return NULL;
    bool ok = set(config, "nodes", "tcp://127.0.0.1:1") == HSM_OK && set(config, "no-such", "1") != HSM_OK &&
              open(config, &cluster) == HSM_OK;

    if (ok)
        close(cluster);
    drop(config);
    return ok ? library : NULL;
}

static void the_library_can_be_unloaded_and_loaded_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL), *used;
        pthread_t thread;

        assert_non_null(library);
        assert_ptr_equal(use(library), library);
        /* A thread that used the library and ends after it was unloaded would run what is no longer there. */
        assert_int_equal(pthread_create(&thread, NULL, use, library), 0);
        pthread_join(thread, &used);
        assert_ptr_equal(used, library);
        assert_int_equal(dlclose(library), 0);
        assert_null(dlopen(LIBRARY, RTLD_NOW | RTLD_NOLOAD));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_library_can_be_unloaded_and_loaded_again)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
