/* The written form of tickets: see ticket.h. */
#include "user/ticket.h"

#include "node.h"

enum {
    TICKET_USER_ID = 1,
    TICKET_SESSION_ID,
    TICKET_ROLE,
    TICKET_CREDENTIAL_VERSION,
    TICKET_ISSUED_MS,
    TICKET_EXPIRES_MS,
    TICKET_LOGIN_MS
};

static const struct schema_entry entries[] = {
    [TICKET_USER_ID] = {"USER_ID", VALUE_BIN, ID_LEN, NULL},
    [TICKET_SESSION_ID] = {"SESSION_ID", VALUE_BIN, ID_LEN, NULL},
    [TICKET_ROLE] = {"ROLE", VALUE_UINT, ROLE_AUDITOR, NULL},
    [TICKET_CREDENTIAL_VERSION] = {"CREDENTIAL_VERSION", VALUE_UINT, UINT64_MAX, NULL},
    [TICKET_ISSUED_MS] = {"ISSUED_MS", VALUE_UINT, UINT64_MAX, NULL},
    [TICKET_EXPIRES_MS] = {"EXPIRES_MS", VALUE_UINT, UINT64_MAX, NULL},
    [TICKET_LOGIN_MS] = {"LOGIN_MS", VALUE_UINT, UINT64_MAX, NULL},
};

static const struct schema ticket_schema = {"ticket field", entries, sizeof(entries) / sizeof(*entries)};

/* A cluster that was restored has the keys of the one before, but not its logins. */
static struct slice context_of(const struct node *node)
{
    return slice_of(identity_cluster_id(node->identity), ID_LEN);
}

status_code ticket_seal(struct node *node, const struct ticket *ticket, struct bytes *sealed)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    struct values values;

    values_init(&values);
    values_put_bytes(&values, TICKET_USER_ID, slice_of(ticket->user_id, ID_LEN));
    values_put_bytes(&values, TICKET_SESSION_ID, slice_of(ticket->session_id, ID_LEN));
    values_put_uint(&values, TICKET_ROLE, ticket->role);
    values_put_uint(&values, TICKET_CREDENTIAL_VERSION, ticket->credential_version);
    values_put_uint(&values, TICKET_ISSUED_MS, ticket->issued_ms);
    values_put_uint(&values, TICKET_EXPIRES_MS, ticket->expires_ms);
    values_put_uint(&values, TICKET_LOGIN_MS, ticket->login_ms);
    values_encode(&ticket_schema, &values, &plaintext);
    TRY(bytes_ok(&plaintext));
    return seal(node->keyring, SEAL_NEWEST, SEAL_TICKET, context_of(node), bytes_slice(&plaintext), sealed);
}

status_code ticket_open(struct node *node, struct slice sealed, struct ticket *ticket)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    struct values values;
    status_code status = unseal(node->keyring, SEAL_TICKET, context_of(node), sealed, &plaintext);

    TRY(status == STATUS_STORE_DAMAGED ? STATUS_OK : status);
    if (status == STATUS_OK)
        status = values_decode_all(&ticket_schema, bytes_slice(&plaintext), &values);
    CHECK(status == STATUS_OK, STATUS_TICKET_EXPIRED, "the ticket is none of this cluster: log in again");
    struct slice user = values_bytes(&values, TICKET_USER_ID), session = values_bytes(&values, TICKET_SESSION_ID);

    CHECK(user.len == ID_LEN && session.len == ID_LEN, STATUS_TICKET_EXPIRED, "the ticket is incomplete: log in again");
    memcpy(ticket->user_id, user.data, ID_LEN);
    memcpy(ticket->session_id, session.data, ID_LEN);
    ticket->role = (enum role)values_uint(&values, TICKET_ROLE, ROLE_NONE);
    ticket->credential_version = values_uint(&values, TICKET_CREDENTIAL_VERSION, 0);
    ticket->issued_ms = values_uint(&values, TICKET_ISSUED_MS, 0);
    ticket->expires_ms = values_uint(&values, TICKET_EXPIRES_MS, 0);
    ticket->login_ms = values_uint(&values, TICKET_LOGIN_MS, 0);
    return STATUS_OK;
}
