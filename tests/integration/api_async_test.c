/* hsm/async.h against a real node. */
#include "api_fixture.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* --- queues --- */

static void take(hsm_queue *queue, hsm_completion *completion)
{
    struct pollfd poll_fd = {hsm_queue_fd(queue), POLLIN, 0};
    hsm_status status;

    completion->size = sizeof(*completion);
    while ((status = hsm_queue_next(queue, 0, completion)) == HSM_PENDING)
        assert_int_equal(poll(&poll_fd, 1, 10000), 1);
    OK(status);
}

static void a_queue_keeps_hundreds_in_flight(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_mechanism ecdsa = HSM_MECHANISM_INIT(HSM_MECHANISM_ECDSA);
    hsm_completion completion = HSM_COMPLETION_INIT;
    hsm_key public_key, private_key;
    hsm_queue *queue = NULL;
    uintptr_t sum = 0;

    ecdsa.hash = HSM_HASH_SHA256;
    OK(hsm_key_pair_generate_ec(world->user, "async", HSM_CURVE_P256, &public_key, &private_key));
    OK(hsm_queue_open(world->cluster, &queue));
    FAILS(HSM_OPERATION_NOT_ACTIVE, hsm_queue_next(queue, 0, &completion));
    for (uintptr_t i = 1; i <= 500; i++)
        OK(hsm_submit_sign(queue, world->user, private_key, &ecdsa, &i, sizeof(i), (void *)i));
    OK(hsm_queue_flush(queue));
    for (int i = 0; i < 500; i++) {
        take(queue, &completion);
        OK(completion.status);
        uintptr_t message = (uintptr_t)completion.user_data;
        sum += message;
        OK(hsm_verify(world->user, public_key, &ecdsa, &message, sizeof(message), completion.output,
                      completion.output_len));
        hsm_completion_release(&completion);
    }
    assert_int_equal(sum, 500 * 501 / 2);
    assert_int_equal(hsm_queue_outstanding(queue), 0);
    OK(hsm_submit_ping(queue, NULL)); /* closed before it completes */
    hsm_queue_close(queue);
}

static void every_kind_of_submission_completes(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_session *session = world->user;
    hsm_mechanism ecdsa = HSM_MECHANISM_INIT(HSM_MECHANISM_ECDSA), gcm = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_GCM);
    hsm_completion completion = HSM_COMPLETION_INIT;
    hsm_key public_key, private_key, key = aes_key(session);
    hsm_queue *queue = NULL;
    uint8_t digest[32], signature[64], cipher[64], nonce[16];
    size_t len = 32;

    ecdsa.hash = HSM_HASH_SHA256;
    OK(hsm_key_pair_generate_ec(session, "async", HSM_CURVE_P256, &public_key, &private_key));
    OK(hsm_digest(HSM_HASH_SHA256, "data", 4, digest, &len));
    OK(hsm_queue_open(world->cluster, &queue));

    OK(hsm_submit_ping(queue, NULL));
    take(queue, &completion);
    OK(completion.status);
    hsm_completion_release(&completion);
    OK(hsm_submit_random(queue, session, 32, NULL));
    take(queue, &completion);
    assert_int_equal(completion.output_len, 32);
    hsm_completion_release(&completion);
    OK(hsm_submit_sign_digest(queue, session, private_key, &ecdsa, digest, 32, NULL));
    take(queue, &completion);
    assert_int_equal(completion.output_len, 64);
    memcpy(signature, completion.output, 64);
    hsm_completion_release(&completion);
    OK(hsm_submit_verify(queue, session, public_key, &ecdsa, "data", 4, signature, 64, NULL));
    take(queue, &completion);
    OK(completion.status);
    hsm_completion_release(&completion);
    signature[0] ^= 1;
    OK(hsm_submit_verify_digest(queue, session, public_key, &ecdsa, digest, 32, signature, 64, NULL));
    take(queue, &completion);
    assert_int_equal(completion.status, HSM_SIGNATURE_INVALID);
    hsm_completion_release(&completion);
    OK(hsm_submit_encrypt(queue, session, key, &gcm, "data", 4, NULL));
    take(queue, &completion);
    assert_int_equal(completion.output_len, 20);
    assert_int_equal(completion.nonce_len, HSM_NONCE_MADE_LEN);
    memcpy(cipher, completion.output, 20);
    memcpy(nonce, completion.nonce, completion.nonce_len);
    hsm_completion_release(&completion);
    gcm.nonce = nonce;
    gcm.nonce_len = HSM_NONCE_MADE_LEN;
    OK(hsm_submit_decrypt(queue, session, key, &gcm, cipher, 20, NULL));
    take(queue, &completion);
    assert_memory_equal(completion.output, "data", 4);
    hsm_completion_release(&completion);
    hsm_queue_close(queue);
}

/* --- logins --- */

/* A session of a user of its own, whose password is in a file. */
static hsm_session *file_session(struct world *world, const char *user, const char *file, hsm_cluster **cluster)
{
    hsm_config *config = world_config(world);
    hsm_session *session = NULL;

    OK(hsm_config_set(config, "user", user));
    OK(hsm_config_set(config, "password-file", file));
    OK(hsm_cluster_open(config, cluster));
    OK(hsm_session_open(*cluster, &session));
    hsm_config_free(config);
    return session;
}

static void expect_random(hsm_queue *queue, hsm_session *session, int n, hsm_status expected)
{
    hsm_completion completion = HSM_COMPLETION_INIT;

    for (int i = 0; i < n; i++)
        OK(hsm_submit_random(queue, session, 16, NULL));
    for (int i = 0; i < n; i++) {
        take(queue, &completion);
        assert_int_equal(completion.status, expected);
        hsm_completion_release(&completion);
    }
}

static void submissions_log_a_prepared_session_in_and_in_again(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_cluster *cluster = NULL;
    hsm_queue *queue = NULL;
    char path[300];

    snprintf(path, sizeof(path), "%s/server.password", world->folder);
    write_file(path, "first password\n", 15);
    OK(hsm_user_create(world->admin, "server", "first password", 14, HSM_ROLE_USER));
    hsm_session *session = file_session(world, "server", path, &cluster);

    OK(hsm_queue_open(cluster, &queue));
    FAILS(HSM_NOT_LOGGED_IN, hsm_submit_random(queue, session, 16, NULL));
    OK(hsm_login_prepare(session));
    assert_int_equal(unlink(path), 0);
    expect_random(queue, session, 20, HSM_OK);
    /* A changed password ends the login everywhere. */
    OK(hsm_user_change_password(world->admin, "server", NULL, 0, "second password", 15));
    expect_random(queue, session, 1, HSM_LOGIN_FAILED);
    write_file(path, "second password\n", 16);
    expect_random(queue, session, 20, HSM_OK);
    hsm_queue_close(queue);
    hsm_session_close(session);
    hsm_cluster_close(cluster);
}

static void an_expired_login_without_a_password_is_told(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_queue *queue = NULL;

    OK(hsm_user_create(world->admin, "passing", "first password", 14, HSM_ROLE_USER));
    hsm_session *session = world_login(world, "passing", "first password");

    OK(hsm_queue_open(world->cluster, &queue));
    expect_random(queue, session, 1, HSM_OK);
    OK(hsm_user_change_password(world->admin, "passing", NULL, 0, "second password", 15));
    expect_random(queue, session, 3, HSM_TICKET_EXPIRED);
    hsm_queue_close(queue);
    hsm_session_close(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_keeps_hundreds_in_flight),
        cmocka_unit_test(every_kind_of_submission_completes),
        cmocka_unit_test(submissions_log_a_prepared_session_in_and_in_again),
        cmocka_unit_test(an_expired_login_without_a_password_is_told),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
