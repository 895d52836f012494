/* hsm/object.h and hsm/session.h against a real node. */
#include "api_fixture.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static hsm_session *session_of(void **state)
{
    return ((struct world *)*state)->user;
}

static hsm_key make_data(hsm_session *session, const char *label, const char *value, bool token)
{
    uint64_t class = HSM_CLASS_DATA;
    hsm_key object;

    hsm_attribute template[] = {
        hsm_attribute_uint(HSM_ATTR_CLASS, &class),
        hsm_attribute_text(HSM_ATTR_LABEL, label),
        hsm_attribute_text(HSM_ATTR_VALUE, value),
        hsm_attribute_bool(HSM_ATTR_TOKEN, token),
    };
    OK(hsm_object_create(session, template, 4, &object));
    return object;
}

static size_t count_found(hsm_session *session, const char *label, size_t at_once)
{
    hsm_attribute template[] = {hsm_attribute_text(HSM_ATTR_LABEL, label)};
    hsm_find *find = NULL;
    hsm_key *found = (hsm_key *)calloc(at_once, sizeof(*found));
    size_t total = 0, n = 0;

    OK(hsm_find_open(session, template, 1, NULL, 0, &find));
    do {
        OK(hsm_find_next(find, found, NULL, at_once, &n));
        total += n;
    } while (n > 0);
    hsm_find_close(find);
    free(found);
    return total;
}

static void attributes_come_back_as_they_were_given(void **state)
{
    static const uint64_t mechanisms[] = {HSM_MECHANISM_AES_GCM, HSM_MECHANISM_HMAC | HSM_HASH_SHA256 << 16};
    uint64_t len = 16;
    hsm_session *session = session_of(state);
    hsm_attributes *attributes = NULL;
    hsm_key key;
    size_t text_len;

    hsm_attribute inner[] = {hsm_attribute_bool(HSM_ATTR_EXTRACTABLE, 0)};
    hsm_attribute template[] = {
        hsm_attribute_uint(HSM_ATTR_VALUE_LEN, &len),
        hsm_attribute_text(HSM_ATTR_LABEL, "a label"),
        hsm_attribute_of(HSM_ATTR_ALLOWED_MECHANISMS, mechanisms, sizeof(mechanisms)),
        hsm_attribute_of(HSM_ATTR_UNWRAP_TEMPLATE, inner, sizeof(inner)),
        hsm_attribute_bool(HSM_ATTR_ENCRYPT, 1),
        hsm_attribute_bool(HSM_ATTR_TOKEN, 1),
    };
    OK(hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, template, 6, &key));
    OK(hsm_object_get(session, key, NULL, 0, &attributes));
    assert_int_equal(hsm_attributes_uint(attributes, HSM_ATTR_CLASS, 0), HSM_CLASS_SECRET_KEY);
    assert_int_equal(hsm_attributes_uint(attributes, HSM_ATTR_KEY_TYPE, 0), HSM_KEY_TYPE_AES);
    assert_int_equal(hsm_attributes_bool(attributes, HSM_ATTR_TOKEN, 0), 1);
    assert_int_equal(hsm_attributes_bool(attributes, HSM_ATTR_ALWAYS_SENSITIVE, 0), 1);
    assert_string_equal((const char *)hsm_attributes_bytes(attributes, HSM_ATTR_LABEL, &text_len), "a label");
    assert_int_equal(text_len, 7);
    assert_string_equal((const char *)hsm_attributes_bytes(attributes, HSM_ATTR_OWNER, NULL), USER);
    const hsm_attribute *allowed = hsm_attributes_find(attributes, HSM_ATTR_ALLOWED_MECHANISMS);
    assert_int_equal(allowed->value_len, sizeof(mechanisms));
    assert_memory_equal(allowed->value, mechanisms, sizeof(mechanisms));
    const hsm_attribute *nested = hsm_attributes_find(attributes, HSM_ATTR_UNWRAP_TEMPLATE);
    assert_int_equal(nested->value_len, sizeof(hsm_attribute));
    assert_int_equal(((const hsm_attribute *)nested->value)->type, HSM_ATTR_EXTRACTABLE);
    assert_null(hsm_attributes_find(attributes, HSM_ATTR_VALUE));
    assert_null(hsm_attributes_at(attributes, hsm_attributes_count(attributes)));
    for (size_t i = 1; i < hsm_attributes_count(attributes); i++)
        assert_true(hsm_attributes_at(attributes, i - 1)->type < hsm_attributes_at(attributes, i)->type);
    hsm_attributes_free(attributes);

    uint32_t secret[] = {HSM_ATTR_VALUE};
    FAILS(HSM_ATTRIBUTE_SENSITIVE, hsm_object_get(session, key, secret, 1, &attributes));
    OK(hsm_object_delete(session, key));
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_object_get(session, key, NULL, 0, &attributes));
    assert_string_equal(hsm_last_error()->operation, "OBJECT_GET");
    assert_string_equal(hsm_last_error()->node, "node1");
}

static void objects_are_copied_changed_and_deleted(void **state)
{
    hsm_session *session = session_of(state);
    hsm_key object = make_data(session, "data", "content", true), copy;
    hsm_attributes *attributes = NULL;
    uint32_t wanted[] = {HSM_ATTR_LABEL, HSM_ATTR_VALUE};

    hsm_attribute label[] = {hsm_attribute_text(HSM_ATTR_LABEL, "copied")};
    OK(hsm_object_copy(session, object, label, 1, &copy));
    assert_false(hsm_key_equal(object, copy));
    label[0] = hsm_attribute_text(HSM_ATTR_LABEL, "changed");
    OK(hsm_object_set(session, copy, label, 1));
    OK(hsm_object_get(session, copy, wanted, 2, &attributes));
    assert_int_equal(hsm_attributes_count(attributes), 2);
    assert_string_equal((const char *)hsm_attributes_bytes(attributes, HSM_ATTR_LABEL, NULL), "changed");
    assert_string_equal((const char *)hsm_attributes_bytes(attributes, HSM_ATTR_VALUE, NULL), "content");
    hsm_attributes_free(attributes);
    hsm_attribute owner[] = {hsm_attribute_text(HSM_ATTR_OWNER, "me")};
    FAILS(HSM_ATTRIBUTE_READ_ONLY, hsm_object_set(session, copy, owner, 1));
    OK(hsm_object_delete(session, copy));
    OK(hsm_object_delete(session, object));
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_object_delete(session, object));
}

static void bad_templates_are_refused_here(void **state)
{
    hsm_session *session = session_of(state);
    hsm_key key;
    uint8_t two = 2;
    uint32_t number = 7;

    hsm_attribute unknown[] = {hsm_attribute_of(95, &two, 1)};
    hsm_attribute no_bool[] = {hsm_attribute_of(HSM_ATTR_TOKEN, &two, 1)};
    hsm_attribute no_uint[] = {hsm_attribute_of(HSM_ATTR_VALUE_LEN, &number, sizeof(number))};
    hsm_attribute no_text[] = {hsm_attribute_of(HSM_ATTR_APPLICATION, "\xff", 1)};
    hsm_attribute twice[] = {hsm_attribute_bool(HSM_ATTR_TOKEN, 1), hsm_attribute_bool(HSM_ATTR_TOKEN, 1)};
    FAILS(HSM_ATTRIBUTE_TYPE_INVALID, hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, unknown, 1, &key));
    FAILS(HSM_ATTRIBUTE_VALUE_INVALID, hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, no_bool, 1, &key));
    FAILS(HSM_ATTRIBUTE_VALUE_INVALID, hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, no_uint, 1, &key));
    FAILS(HSM_ATTRIBUTE_VALUE_INVALID, hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, no_text, 1, &key));
    FAILS(HSM_TEMPLATE_INCONSISTENT, hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, twice, 2, &key));
    FAILS(HSM_INVALID_ARGUMENT, hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, NULL, 1, &key));
    FAILS(HSM_MECHANISM_INVALID, hsm_key_generate(session, HSM_MECHANISM_AES_GCM, NULL, 0, &key));
    FAILS(HSM_INVALID_ARGUMENT, hsm_key_generate(NULL, HSM_MECHANISM_AES_KEY_GEN, NULL, 0, &key));
}

static void finding_pages_through_everything(void **state)
{
    hsm_session *session = session_of(state);
    hsm_key found, last = {{0}};

    for (int i = 0; i < 300; i++)
        last = make_data(session, "page", "x", true);
    assert_int_equal(count_found(session, "page", 1000), 300);
    assert_int_equal(count_found(session, "page", 7), 300);
    assert_int_equal(count_found(session, "nothing", 7), 0);
    FAILS(HSM_CONFLICT, hsm_find_one(session, 0, "page", &found));
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_find_one(session, 0, "nothing", &found));
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_find_one(session, HSM_CLASS_SECRET_KEY, "page", &found));
    hsm_attribute label[] = {hsm_attribute_text(HSM_ATTR_LABEL, "only one")};
    OK(hsm_object_set(session, last, label, 1));
    OK(hsm_find_one(session, HSM_CLASS_DATA, "only one", &found));
    assert_true(hsm_key_equal(found, last));
    assert_int_equal(count_found(session, "page", 256), 299);
}

static void found_objects_bring_their_attributes(void **state)
{
    hsm_session *session = session_of(state);
    hsm_key object = make_data(session, "with attributes", "x", true), found;
    uint32_t wanted[] = {HSM_ATTR_LABEL};
    hsm_attributes *attributes = NULL;
    hsm_find *find = NULL;
    size_t n;

    hsm_attribute template[] = {hsm_attribute_text(HSM_ATTR_LABEL, "with attributes")};
    OK(hsm_find_open(session, template, 1, wanted, 1, &find));
    OK(hsm_find_next(find, &found, &attributes, 1, &n));
    assert_int_equal(n, 1);
    assert_true(hsm_key_equal(found, object));
    assert_int_equal(hsm_attributes_count(attributes), 1);
    assert_string_equal((const char *)hsm_attributes_bytes(attributes, HSM_ATTR_LABEL, NULL), "with attributes");
    hsm_attributes_free(attributes);
    hsm_find_close(find);
}

static void shared_keys_can_be_used_by_others(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_mechanism cmac = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CMAC);
    uint8_t mac[16];
    size_t len = sizeof(mac);
    hsm_key key;

    OK(hsm_user_create(world->admin, "other", "other password", 14, HSM_ROLE_USER));
    hsm_session *other = world_login(world, "other", "other password");
    OK(hsm_key_generate_aes(world->user, "shared", 128, &key));
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_sign(other, key, &cmac, "x", 1, mac, &len));
    OK(hsm_key_share(world->user, key, "other"));
    OK(hsm_sign(other, key, &cmac, "x", 1, mac, &len));
    assert_int_not_equal(hsm_object_delete(other, key), HSM_OK);
    OK(hsm_key_unshare(world->user, key, "other"));
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_sign(other, key, &cmac, "x", 1, mac, &len));
    FAILS(HSM_USER_NOT_FOUND, hsm_key_share(world->user, key, "nobody"));
    hsm_session_close(other);
    OK(hsm_user_delete(world->admin, "other"));
}

/* --- session objects --- */

static hsm_key make_session_key(hsm_session *session, const char *label)
{
    uint64_t len = 32;
    hsm_key key;

    hsm_attribute template[] = {
        hsm_attribute_uint(HSM_ATTR_VALUE_LEN, &len), hsm_attribute_text(HSM_ATTR_LABEL, label),
        hsm_attribute_bool(HSM_ATTR_SIGN, 1),         hsm_attribute_bool(HSM_ATTR_VERIFY, 1),
        hsm_attribute_bool(HSM_ATTR_TOKEN, 0),
    };
    OK(hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, template, 5, &key));
    return key;
}

static void session_objects_are_used_found_changed_and_gone(void **state)
{
    hsm_session *session = world_login((struct world *)*state, USER, USER_PASSWORD);
    hsm_mechanism cmac = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CMAC);
    hsm_key keys[40], found;
    uint8_t mac[16], again[16];
    size_t len = sizeof(mac);

    for (int i = 0; i < 40; i++)
        keys[i] = make_session_key(session, "of the session");
    assert_int_equal(count_found(session, "of the session", 16), 40);
    OK(hsm_sign(session, keys[0], &cmac, "x", 1, mac, &len));
    hsm_attribute label[] = {hsm_attribute_text(HSM_ATTR_LABEL, "renamed")};
    OK(hsm_object_set(session, keys[0], label, 1));
    OK(hsm_sign(session, keys[0], &cmac, "x", 1, again, &len));
    assert_memory_equal(mac, again, 16);
    OK(hsm_find_one(session, HSM_CLASS_SECRET_KEY, "renamed", &found));
    assert_true(hsm_key_equal(found, keys[0]));
    for (int i = 0; i < 39; i++)
        OK(hsm_object_delete(session, keys[i]));
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_sign(session, keys[0], &cmac, "x", 1, mac, &len));
    assert_int_equal(count_found(session, "of the session", 16), 1);
    /* Nobody else sees them, and they end with the login. */
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_sign(session_of(state), keys[39], &cmac, "x", 1, mac, &len));
    OK(hsm_login(session, USER, USER_PASSWORD, strlen(USER_PASSWORD)));
    OK(hsm_sign(session, keys[39], &cmac, "x", 1, mac, &len));
    OK(hsm_logout(session));
    FAILS(HSM_NOT_LOGGED_IN, hsm_sign(session, keys[39], &cmac, "x", 1, mac, &len));
    OK(hsm_login(session, USER, USER_PASSWORD, strlen(USER_PASSWORD)));
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_sign(session, keys[39], &cmac, "x", 1, mac, &len));
    hsm_session_close(session);
}

static void a_session_and_its_objects_go_to_another_process(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_session *first = world_login(world, USER, USER_PASSWORD), *second = NULL;
    hsm_mechanism cmac = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CMAC);
    hsm_key key = make_session_key(first, "passed"), taken;
    uint8_t ticket[1024], *sealed, macs[2][16];
    size_t ticket_len = sizeof(ticket), sealed_len = 0, len = 16;

    OK(hsm_session_ticket(first, ticket, &ticket_len));
    OK(hsm_session_export_object(first, key, NULL, &sealed_len));
    sealed = (uint8_t *)malloc(sealed_len);
    OK(hsm_session_export_object(first, key, sealed, &sealed_len));
    OK(hsm_session_open(world->cluster, &second));
    FAILS(HSM_NOT_LOGGED_IN, hsm_session_import_object(second, sealed, sealed_len, &taken));
    OK(hsm_login_ticket(second, ticket, ticket_len));
    FAILS(HSM_INVALID_ARGUMENT, hsm_session_import_object(second, sealed, sealed_len - 1, &taken));
    OK(hsm_session_import_object(second, sealed, sealed_len, &taken));
    assert_true(hsm_key_equal(key, taken));
    OK(hsm_sign(first, key, &cmac, "x", 1, macs[0], &len));
    OK(hsm_sign(second, taken, &cmac, "x", 1, macs[1], &len));
    assert_memory_equal(macs[0], macs[1], 16);
    sealed[sealed_len - 1] ^= 1;
    assert_int_not_equal(hsm_session_import_object(second, sealed, sealed_len, &taken), HSM_OK);
    free(sealed);
    hsm_session_close(second);
    hsm_session_close(first);
}

static void a_login_that_ended_comes_back_from_the_configuration(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_config *config = world_config(world);
    hsm_cluster *cluster = NULL;
    hsm_session *session = NULL;
    hsm_login_info info = {.size = sizeof(info)};
    char path[300];
    uint8_t byte;

    OK(hsm_user_create(world->admin, "daemon", "first password", 14, HSM_ROLE_USER));
    snprintf(path, sizeof(path), "%s/daemon.password", world->folder);
    write_file(path, "first password\n", 15);
    OK(hsm_cluster_open(config, &cluster));
    OK(hsm_session_open(cluster, &session));
    FAILS(HSM_CONFIG_INVALID, hsm_login_default(session));
    hsm_session_close(session);
    hsm_cluster_close(cluster);

    OK(hsm_config_set(config, "user", "daemon"));
    OK(hsm_config_set(config, "password-file", path));
    OK(hsm_cluster_open(config, &cluster));
    OK(hsm_session_open(cluster, &session));
    OK(hsm_login_default(session));
    OK(hsm_session_login_info(session, &info));
    assert_string_equal(info.user, "daemon");
    assert_int_equal(info.role, HSM_ROLE_USER);
    assert_true(info.expires_ms > 0);

    /* A changed password ends the login everywhere; the file has the new one by then. */
    OK(hsm_user_change_password(world->admin, "daemon", NULL, 0, "second password", 15));
    FAILS(HSM_LOGIN_FAILED, hsm_random(session, &byte, 1));
    write_file(path, "second password\n", 16);
    OK(hsm_random(session, &byte, 1));
    hsm_session_close(session);
    hsm_cluster_close(cluster);
    hsm_config_free(config);
}

/* As a server's workers do that were forked by a master process: other root, no rights, then the first use. */
static int work_in_a_cage(hsm_session *session, const char *root, hsm_key key)
{
    hsm_mechanism cmac = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CMAC);
    uint8_t mac[16];
    size_t len = sizeof(mac);

    if (chroot(root) != 0 || chdir("/") != 0 || setgid(65534) != 0 || setuid(65534) != 0)
        return 2;
    return hsm_sign(session, key, &cmac, "x", 1, mac, &len) == HSM_OK ? 0 : 1;
}

static void a_prepared_login_is_made_without_files_and_rights(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_config *config = world_config(world);
    hsm_cluster *cluster = NULL;
    hsm_session *session = NULL;
    hsm_key key = aes_key(world->user);
    char path[300], root[300];

    if (geteuid() != 0) /* chroot is root's alone */
        skip();
    snprintf(path, sizeof(path), "%s/caged.password", world->folder);
    write_file(path, USER_PASSWORD "\n", sizeof(USER_PASSWORD));
    snprintf(root, sizeof(root), "%s/cage", world->folder);
    assert_int_equal(mkdir(root, 0755), 0);
    OK(hsm_config_set(config, "user", USER));
    OK(hsm_config_set(config, "password-file", path));
    OK(hsm_cluster_open(config, &cluster));
    hsm_config_free(config);
    OK(hsm_session_open(cluster, &session));
    OK(hsm_login_prepare(session));
    for (int i = 0; i < 2; i++) {
        int result = -1;
        pid_t child = fork();

        if (child == 0)
            _exit(work_in_a_cage(session, root, key));
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_int_equal(result, 0);
    }
    hsm_session_close(session);
    hsm_cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_come_back_as_they_were_given),
        cmocka_unit_test(objects_are_copied_changed_and_deleted),
        cmocka_unit_test(bad_templates_are_refused_here),
        cmocka_unit_test(finding_pages_through_everything),
        cmocka_unit_test(found_objects_bring_their_attributes),
        cmocka_unit_test(shared_keys_can_be_used_by_others),
        cmocka_unit_test(session_objects_are_used_found_changed_and_gone),
        cmocka_unit_test(a_session_and_its_objects_go_to_another_process),
        cmocka_unit_test(a_login_that_ended_comes_back_from_the_configuration),
        cmocka_unit_test(a_prepared_login_is_made_without_files_and_rights),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
