/* Which function carries out which operation. A unit test checks that every row of operations.def has its handler. */
#include "operation/handlers.h"

static const operation_handler HANDLERS[OPERATION_NUMBER_MAX + 1] = {
    [OP_HELLO] = op_hello,
    [OP_PING] = op_ping,
    [OP_LOGIN] = op_login,
    [OP_LOGOUT] = op_logout,
    [OP_CLUSTER_CREATE] = op_cluster_create,
    [OP_CLUSTER_INITIALIZE] = op_cluster_initialize,
    [OP_CLUSTER_ACTIVATE] = op_cluster_activate,
    [OP_CLUSTER_DESCRIBE] = op_cluster_describe,
    [OP_CLUSTER_MIGRATE_STORE] = op_cluster_migrate_store,
    [OP_NODE_DESCRIBE] = op_node_describe,
    [OP_NODE_CSR] = op_node_csr,
    [OP_NODE_APPROVE] = op_node_approve,
    [OP_NODE_ADMIT] = op_node_admit,
    [OP_NODE_DRAIN] = op_node_drain,
    [OP_NODE_REMOVE] = op_node_remove,
    [OP_USER_CREATE] = op_user_create,
    [OP_USER_DELETE] = op_user_delete,
    [OP_USER_LIST] = op_user_list,
    [OP_USER_CHANGE_PASSWORD] = op_user_change_password,
    [OP_KEY_GENERATE] = op_key_generate,
    [OP_KEY_PAIR_GENERATE] = op_key_pair_generate,
    [OP_OBJECT_CREATE] = op_object_create,
    [OP_OBJECT_COPY] = op_object_copy,
    [OP_OBJECT_GET] = op_object_get,
    [OP_OBJECT_SET] = op_object_set,
    [OP_OBJECT_FIND] = op_object_find,
    [OP_OBJECT_DELETE] = op_object_delete,
    [OP_OBJECT_SHARE] = op_object_share,
    [OP_SIGN] = op_sign,
    [OP_VERIFY] = op_verify,
    [OP_ENCRYPT] = op_encrypt,
    [OP_DECRYPT] = op_decrypt,
    [OP_MULTIPART] = op_multipart,
    [OP_WRAP] = op_wrap,
    [OP_UNWRAP] = op_unwrap,
    [OP_DERIVE] = op_derive,
    [OP_ENCAPSULATE] = op_encapsulate,
    [OP_DECAPSULATE] = op_decapsulate,
    [OP_RANDOM] = op_random,
    [OP_AUDIT_READ] = op_audit_read,
};

operation_handler operation_handler_of(enum operation operation)
{
    return (unsigned)operation <= OPERATION_NUMBER_MAX ? HANDLERS[operation] : NULL;
}
