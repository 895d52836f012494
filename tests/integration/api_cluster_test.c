/* hsm/cluster.h, hsm/config.h, hsm/user.h and hsm/admin.h against real nodes. */
#include "api_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void the_cluster_describes_itself(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_cluster_info *info = NULL;
    hsm_node_description *node = NULL;
    bool has_ecdsa = false;

    OK(hsm_ping(world->cluster));
    OK(hsm_cluster_describe(world->cluster, &info));
    assert_string_equal(info->name, "test");
    assert_int_equal(info->n_nodes, 1);
    assert_string_equal(info->nodes[0]->name, "node1");
    assert_string_equal(info->nodes[0]->address, world->nodes[0].url);
    OK(hsm_node_describe(world->cluster, "node1", &node));
    assert_memory_equal(node->id, info->nodes[0]->id, HSM_ID_LEN);
    assert_true(node->n_facts > 0 && node->facts[0]->name[0]);
    for (size_t i = 0; i < node->n_mechanisms; i++)
        has_ecdsa |= node->mechanisms[i]->mechanism == HSM_MECHANISM_ECDSA;
    assert_true(has_ecdsa);
    hsm_node_description_free(node);
    OK(hsm_node_describe(world->cluster, NULL, &node));
    hsm_node_description_free(node);
    FAILS(HSM_INVALID_ARGUMENT, hsm_node_describe(world->cluster, "nowhere", &node));
    hsm_cluster_info_free(info);
}

static void the_client_counts_and_remembers(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_statistics *before = NULL, *after = NULL;
    uint64_t revision = hsm_cluster_revision(world->cluster);

    assert_true(revision > 0);
    hsm_cluster_observe(world->cluster, revision - 1);
    assert_int_equal(hsm_cluster_revision(world->cluster), revision);
    OK(hsm_cluster_statistics(world->cluster, &before));
    OK(hsm_ping(world->cluster));
    OK(hsm_cluster_statistics(world->cluster, &after));
    assert_int_equal(after->n_requests, before->n_requests + 1);
    assert_int_equal(after->n_nodes, 1);
    assert_true(after->nodes[0]->healthy);
    hsm_statistics_free(before);
    hsm_statistics_free(after);
    assert_ptr_equal(hsm_session_cluster(world->user), world->cluster);
}

static void users_are_made_listed_changed_and_deleted(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_user_list *list = NULL;
    hsm_session *session = NULL;

    OK(hsm_user_create(world->admin, "mallory", "long enough", 11, HSM_ROLE_AUDITOR));
    FAILS(HSM_ALREADY_EXISTS, hsm_user_create(world->admin, "mallory", "long enough", 11, HSM_ROLE_AUDITOR));
    FAILS(HSM_INVALID_ARGUMENT, hsm_user_create(world->admin, "eve", "long enough", 11, 9));
    FAILS(HSM_NOT_PERMITTED, hsm_user_create(world->user, "eve", "long enough", 11, HSM_ROLE_USER));
    OK(hsm_user_list_all(world->cluster, &list));
    assert_int_equal(list->n_users, 3);
    assert_string_equal(list->users[2]->name, "mallory");
    assert_int_equal(list->users[2]->role, HSM_ROLE_AUDITOR);
    hsm_user_list_free(list);

    session = world_login(world, "mallory", "long enough");
    FAILS(HSM_LOGIN_FAILED, hsm_user_change_password(session, "mallory", "wrong one", 9, "another one", 11));
    OK(hsm_user_change_password(session, "mallory", "long enough", 11, "another one", 11));
    FAILS(HSM_LOGIN_FAILED, hsm_login(session, "mallory", "long enough", 11));
    OK(hsm_login(session, "mallory", "another one", 11));
    OK(hsm_user_delete(world->admin, "mallory"));
    FAILS(HSM_USER_NOT_FOUND, hsm_user_delete(world->admin, "mallory"));
    hsm_session_close(session);
}

static void the_audit_log_tells_who_did_what(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_audit_page *page = NULL;
    hsm_key key;
    bool found = false;

    OK(hsm_key_generate_aes(world->user, "audited", 256, &key));
    OK(hsm_audit_read(world->admin, NULL, 0, 0, &page));
    assert_true(page->n_entries > 2);
    for (size_t i = 0; i < page->n_entries; i++) {
        const hsm_audit_entry *entry = page->entries[i];

        found |= entry->has_object && memcmp(entry->object, key.id, HSM_ID_LEN) == 0 && strcmp(entry->user, USER) == 0;
        if (i > 0)
            assert_memory_equal(entry->previous_hash, page->entries[i - 1]->hash, entry->hash_len);
    }
    assert_true(found);
    hsm_audit_page_free(page);
    FAILS(HSM_NOT_PERMITTED, hsm_audit_read(world->user, NULL, 0, 10, &page));
}

static void a_child_of_fork_goes_on(void **state)
{
    struct world *world = (struct world *)*state;
    uint8_t byte;
    int result = 0;

    OK(hsm_random(world->user, &byte, 1));
    pid_t child = fork();
    if (child == 0)
        _exit(hsm_random(world->user, &byte, 1) != HSM_OK || hsm_ping(world->cluster) != HSM_OK);
    assert_int_equal(waitpid(child, &result, 0), child);
    /* NNG does not work in a child: an error then, but no crash. */
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), over_nng() ? 1 : 0);
    OK(hsm_random(world->user, &byte, 1));
}

struct user {
    hsm_cluster *cluster;
    sem_t used, closed;
};

static void *use_and_outlive(void *argument)
{
    struct user *user = argument;

    OK(hsm_ping(user->cluster));
    sem_post(&user->used);
    sem_wait(&user->closed);
    return NULL;
}

/* What OpenSSL keeps for each thread is given up by the thread itself, when it ends. */
static void a_thread_may_outlive_the_cluster_that_it_used(void **state)
{
    struct world *world = (struct world *)*state;
    struct user user;
    pthread_t thread;

    for (int i = 0; i < 3; i++) {
        OK(hsm_cluster_open(world->config, &user.cluster));
        sem_init(&user.used, 0, 0);
        sem_init(&user.closed, 0, 0);
        assert_int_equal(pthread_create(&thread, NULL, use_and_outlive, &user), 0);
        sem_wait(&user.used);
        hsm_cluster_close(user.cluster);
        for (size_t len = 64; len < 2048; len++) { /* what was freed goes to others */
            void *other = malloc(len);

            memset(other, 0x41, len);
            free(other);
        }
        sem_post(&user.closed);
        pthread_join(thread, NULL);
    }
}

static void a_node_drains_and_serves_again(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_cluster *socket = NULL;
    hsm_buffer csr = {NULL, 0};

    OK(hsm_cluster_open_endpoint(world->nodes[0].socket, NULL, &socket));
    FAILS(HSM_CLUSTER_STATE, hsm_cluster_create(socket, "again", &csr));
    FAILS(HSM_CLUSTER_STATE, hsm_cluster_activate(world->cluster, "second", "long enough", 11));
    FAILS(HSM_NOT_PERMITTED, hsm_node_drain(world->cluster, 1));
    OK(hsm_node_drain(socket, 1));
    OK(hsm_node_drain(socket, 0));
    OK(hsm_ping(world->cluster));
    hsm_cluster_close(socket);
}

static void a_node_joins_and_is_removed(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_cluster_info *info = NULL;
    hsm_node_description *node = NULL;

    world_join(world);
    OK(hsm_cluster_describe(world->cluster, &info));
    assert_int_equal(info->n_nodes, 2);
    const hsm_node_info *second = strcmp(info->nodes[0]->name, "node2") ? info->nodes[1] : info->nodes[0];
    OK(hsm_node_describe(world->cluster, second->address, &node));
    assert_string_equal(node->name, "node2");
    hsm_node_description_free(node);
    FAILS(HSM_NOT_PERMITTED, hsm_node_remove(world->user, second->id));
    OK(hsm_node_remove(world->admin, second->id));
    hsm_cluster_info_free(info);
    OK(hsm_cluster_describe(world->cluster, &info));
    for (size_t i = 0; i < info->n_nodes; i++)
        assert_true(strcmp(info->nodes[i]->name, "node2") != 0 || strcmp(info->nodes[i]->state, "removed") == 0);
    hsm_cluster_info_free(info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cluster_describes_itself),
        cmocka_unit_test(the_client_counts_and_remembers),
        cmocka_unit_test(users_are_made_listed_changed_and_deleted),
        cmocka_unit_test(the_audit_log_tells_who_did_what),
        cmocka_unit_test(a_child_of_fork_goes_on),
        cmocka_unit_test(a_thread_may_outlive_the_cluster_that_it_used),
        cmocka_unit_test(a_node_drains_and_serves_again),
        cmocka_unit_test(a_node_joins_and_is_removed),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
