/* See openssl_fixture.h. HSM_PROVIDER names the module. */
#include "openssl_fixture.h"

#include <openssl/conf.h>
#include <stdio.h>
#include <sys/stat.h>

OSSL_LIB_CTX *library;
hsm_session *session;

/* --- configurations --- */

static void write_client_config(const struct world *world)
{
    char path[300], text[4096];

    snprintf(path, sizeof(path), "%s/password", world->folder);
    write_file(path, USER_PASSWORD, strlen(USER_PASSWORD));
    snprintf(text, sizeof(text),
             "{\"nodes\": [\"%s\", \"%s\"], \"ca-file\": \"%s/ca.pem\", \"certificate-file\": \"%s/client.pem\",\n"
             " \"key-file\": \"%s/client.key\", \"user\": \"%s\", \"password-file\": \"%s\",\n"
             " \"timeout-ms\": 5000}\n",
             world->nodes[0].url, world->nodes[1].url, world->folder, world->folder, world->folder, USER, path);
    snprintf(path, sizeof(path), "%s/hsm.yaml", world->folder);
    write_file(path, text, strlen(text));
}

OSSL_LIB_CTX *library_with(const struct world *world, const char *setting)
{
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
    char path[300], text[2048];

    snprintf(text, sizeof(text),
             "openssl_conf = init\n[init]\nproviders = providers\n[providers]\ndefault = default_sect\nhsm = hsm_sect\n"
             "[default_sect]\nactivate = 1\n[hsm_sect]\nmodule = %s\nconfig = %s/hsm.yaml\n%s\nactivate = 1\n",
             HSM_PROVIDER, world->folder, setting);
    snprintf(path, sizeof(path), "%s/openssl.cnf", world->folder);
    write_file(path, text, strlen(text));
    WORKS(OSSL_LIB_CTX_load_config(made, path));
    return made;
}

int openssl_begin(void **state)
{
    if (world_begin(state) != 0)
        return 1;
    struct world *world = *state;

    world_join(world);
    session = world->user;
    write_client_config(world);
    library = library_with(world, "");
    return 0;
}

int openssl_end(void **state)
{
    OSSL_LIB_CTX_free(library);
    return world_end(state);
}

/* --- keys --- */

hsm_key secret_of(uint64_t type, const char *label, const uint8_t *value, size_t len)
{
    uint64_t class = HSM_CLASS_SECRET_KEY;
    int ciphers = type == HSM_KEY_TYPE_AES;
    hsm_key key;
    hsm_attribute template[] = {
        hsm_attribute_uint(HSM_ATTR_CLASS, &class),    hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &type),
        hsm_attribute_of(HSM_ATTR_VALUE, value, len),  hsm_attribute_text(HSM_ATTR_LABEL, label),
        hsm_attribute_bool(HSM_ATTR_TOKEN, 1),         hsm_attribute_bool(HSM_ATTR_ENCRYPT, ciphers),
        hsm_attribute_bool(HSM_ATTR_DECRYPT, ciphers), hsm_attribute_bool(HSM_ATTR_SIGN, 1),
        hsm_attribute_bool(HSM_ATTR_VERIFY, 1),
    };

    OK(hsm_object_create(session, template, sizeof(template) / sizeof(*template), &key));
    return key;
}

size_t n_objects(void)
{
    hsm_find *find;
    hsm_key objects[64];
    size_t n, all = 0;

    OK(hsm_find_open(session, NULL, 0, NULL, 0, &find));
    while (hsm_find_next(find, objects, NULL, 64, &n) == HSM_OK && n > 0)
        all += n;
    hsm_find_close(find);
    return all;
}

/* --- results --- */

static bool errors_say(const char *says)
{
    const char *data;
    int flags;
    bool said = false;

    for (unsigned long code; (code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0;) {
        const char *reason = ERR_reason_error_string(code);

        said |= strstr(data, says) || (reason && strstr(reason, says));
        if (getenv("HSM_SHOW_ERRORS"))
            print_message("  error: %s: %s\n", reason ? reason : "?", data);
    }
    return said;
}

void expect_refusal(int result, const char *says, const char *call, const char *file, int line)
{
    if (result > 0) {
        print_error("%s:%d: %s\n  has succeeded\n", file, line, call);
        _fail(file, line);
    }
    if (errors_say(says))
        return;
    print_error("%s:%d: %s\n  has failed without saying \"%s\" (HSM_SHOW_ERRORS=1 shows more)\n", file, line, call,
                says);
    _fail(file, line);
}

void expect_success(int result, const char *call, const char *file, int line)
{
    if (result > 0)
        return;
    print_error("%s:%d: %s\n  has failed\n", file, line, call);
    ERR_print_errors_fp(stderr);
    _fail(file, line);
}
