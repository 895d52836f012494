/* See pkcs11_world.h. */
#include "pkcs11_world.h"

const struct lasting LASTING[N_LASTING] = {
    {"aes", AES, false},
    {"generic", GENERIC, false},
    {"ec public", EC_PUBLIC, false},
    {"ec private", EC_PRIVATE, false},
    {"guarded public", EC_PUBLIC, false},
    {"guarded private", EC_PRIVATE, true},
    {"rsa public", RSA_PUBLIC, false},
    {"rsa private", RSA_PRIVATE, false},
    {"data", DATA, false},
};

int world_lasting(const char *label)
{
    for (int i = 0; i < N_LASTING; i++)
        if (strcmp(LASTING[i].label, label) == 0)
            return i;
    return -1;
}

/* --- the lasting objects --- */

struct attributes {
    hsm_attribute all[24];
    size_t n;
};

static void add(struct attributes *attributes, hsm_attribute attribute)
{
    attributes->all[attributes->n++] = attribute;
}

static void add_true(struct attributes *attributes, const uint32_t *types, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add(attributes, hsm_attribute_bool(types[i], 1));
}
#define ADD_TRUE(attributes, ...)                                                                                      \
    add_true((attributes), (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static struct attributes lasting_attributes(const char *label)
{
    static const uint32_t NEVER[] = {HSM_ATTR_MODIFIABLE, HSM_ATTR_COPYABLE, HSM_ATTR_DESTROYABLE};
    struct attributes attributes = {.n = 0};

    add(&attributes, hsm_attribute_text(HSM_ATTR_LABEL, label));
    add(&attributes, hsm_attribute_bool(HSM_ATTR_TOKEN, 1));
    for (size_t i = 0; i < sizeof(NEVER) / sizeof(NEVER[0]); i++)
        add(&attributes, hsm_attribute_bool(NEVER[i], 0));
    return attributes;
}

static void make_secrets(hsm_session *user)
{
    static const uint64_t LEN = 32;
    struct attributes aes = lasting_attributes("aes"), generic = lasting_attributes("generic");
    hsm_key key;

    ADD_TRUE(&aes, HSM_ATTR_ENCRYPT, HSM_ATTR_DECRYPT, HSM_ATTR_SIGN, HSM_ATTR_VERIFY, HSM_ATTR_WRAP, HSM_ATTR_UNWRAP,
             HSM_ATTR_DERIVE, HSM_ATTR_EXTRACTABLE);
    add(&aes, hsm_attribute_uint(HSM_ATTR_VALUE_LEN, &LEN));
    OK(hsm_key_generate(user, HSM_MECHANISM_AES_KEY_GEN, aes.all, aes.n, &key));
    ADD_TRUE(&generic, HSM_ATTR_SIGN, HSM_ATTR_VERIFY, HSM_ATTR_DERIVE, HSM_ATTR_EXTRACTABLE);
    add(&generic, hsm_attribute_bool(HSM_ATTR_SENSITIVE, 0));
    add(&generic, hsm_attribute_uint(HSM_ATTR_VALUE_LEN, &LEN));
    OK(hsm_key_generate(user, HSM_MECHANISM_GENERIC_SECRET_KEY_GEN, generic.all, generic.n, &key));
}

static void make_ec(hsm_session *user, const char *public_label, const char *private_label, bool guarded)
{
    struct attributes publics = lasting_attributes(public_label), privates = lasting_attributes(private_label);
    hsm_key public_key, private_key;

    add(&publics, hsm_attribute_of(HSM_ATTR_EC_PARAMS, P256, sizeof(P256) - 1));
    ADD_TRUE(&publics, HSM_ATTR_VERIFY);
    ADD_TRUE(&privates, HSM_ATTR_SIGN, HSM_ATTR_DERIVE, HSM_ATTR_EXTRACTABLE);
    add(&privates, hsm_attribute_bool(HSM_ATTR_ALWAYS_AUTHENTICATE, guarded));
    OK(hsm_key_pair_generate(user, HSM_MECHANISM_EC_KEY_PAIR_GEN, publics.all, publics.n, privates.all, privates.n,
                             &public_key, &private_key));
}

static void make_rsa(hsm_session *user)
{
    static const uint64_t BITS = 2048;
    struct attributes publics = lasting_attributes("rsa public"), privates = lasting_attributes("rsa private");
    hsm_key public_key, private_key;

    add(&publics, hsm_attribute_uint(HSM_ATTR_MODULUS_BITS, &BITS));
    ADD_TRUE(&publics, HSM_ATTR_VERIFY, HSM_ATTR_VERIFY_RECOVER, HSM_ATTR_ENCRYPT, HSM_ATTR_WRAP);
    ADD_TRUE(&privates, HSM_ATTR_SIGN, HSM_ATTR_SIGN_RECOVER, HSM_ATTR_DECRYPT, HSM_ATTR_UNWRAP);
    OK(hsm_key_pair_generate(user, HSM_MECHANISM_RSA_KEY_PAIR_GEN, publics.all, publics.n, privates.all, privates.n,
                             &public_key, &private_key));
}

static void make_data(hsm_session *user)
{
    static const uint64_t CLASS = HSM_CLASS_DATA;
    struct attributes data = lasting_attributes("data");
    hsm_key object;

    add(&data, hsm_attribute_uint(HSM_ATTR_CLASS, &CLASS));
    add(&data, hsm_attribute_of(HSM_ATTR_VALUE, "some data", 9));
    OK(hsm_object_create(user, data.all, data.n, &object));
}

/* --- the node --- */

static void *the_world;

void world_start(void)
{
    /* Logins are part of most sequences. */
    world_settings = "\"password-iterations\": 1000, \"login-attempts\": 1000, \"login-lock-s\": 1,";
    setenv("HSM_TRANSPORT", "direct", 0);
    pkcs11_begin(&the_world);
    make_secrets(world->user);
    make_ec(world->user, "ec public", "ec private", false);
    make_ec(world->user, "guarded public", "guarded private", true);
    make_rsa(world->user);
    make_data(world->user);
}

void world_stop(void)
{
    if (the_world)
        pkcs11_end(&the_world);
    the_world = NULL;
}

void world_clean(void)
{
    hsm_attribute token = hsm_attribute_bool(HSM_ATTR_TOKEN, 1);
    hsm_find *find = NULL;
    hsm_key keys[64];
    size_t n;

    OK(hsm_find_open(world->user, &token, 1, NULL, 0, &find));
    do {
        OK(hsm_find_next(find, keys, NULL, 64, &n));
        for (size_t i = 0; i < n; i++)
            (void)hsm_object_delete(world->user, keys[i]); /* the lasting ones stay */
    } while (n > 0);
    hsm_find_close(find);
}

void world_forgive(void)
{
    hsm_session *once = world_login(world, USER, USER_PASSWORD);

    (void)hsm_logout(once);
    hsm_session_close(once);
}
