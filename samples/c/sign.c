/* Signs with a key of the cluster: see README.md. */
#include <hsm/hsm.h>
#include <stdio.h>

int main(void)
{
    hsm_cluster *cluster;
    hsm_session *session;
    hsm_key key;
    hsm_mechanism ecdsa = HSM_MECHANISM_INIT(HSM_MECHANISM_ECDSA);
    uint8_t signature[72];
    size_t signature_len = sizeof(signature);

    ecdsa.hash = HSM_HASH_SHA256;
    if (hsm_cluster_open(NULL, &cluster) != HSM_OK || /* settings: $HSM_CONFIG */
        hsm_session_open(cluster, &session) != HSM_OK ||
        hsm_login_default(session) != HSM_OK || /* $HSM_USER, $HSM_PASSWORD_FILE */
        hsm_find_one(session, HSM_CLASS_PRIVATE_KEY, "tls", &key) != HSM_OK ||
        hsm_sign(session, key, &ecdsa, "hello", 5, signature, &signature_len) != HSM_OK) {
        fprintf(stderr, "%s: %s\n", hsm_status_name(hsm_last_error()->status), hsm_last_error()->detail);
        return 1;
    }
    printf("%zu bytes of signature\n", signature_len);
    hsm_session_close(session);
    hsm_cluster_close(cluster);
    return 0;
}
