/* Tickets shared by requests: see cluster_core.h. */
#include <stdatomic.h>
#include <stdlib.h>
#include "cluster_core.h"
#include "login.h"
#include "protocol/generation.h"

static void ticket_release(struct bytes *ticket)
{
    if (ticket)
        bytes_release(ticket);
    free(ticket);
}

/** Copies; gives NULL for an empty one. */
static status_code ticket_new(struct slice from, struct bytes **ticket)
{
    *ticket = NULL;
    if (from.len == 0)
        return STATUS_OK;
    struct bytes *made = malloc(sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a ticket");
    *made = (struct bytes)BYTES_SECRET;
    status_code status = bytes_assign(made, from);

    if (status != STATUS_OK) {
        ticket_release(made);
        return status;
    }
    *ticket = made;
    return STATUS_OK;
}

struct login *login_new(void)
{
    struct login *login = calloc(1, sizeof(*login));

    if (login)
        atomic_init(&login->references, 1);
    return login;
}

struct login *login_reference(struct login *login)
{
    if (login)
        atomic_fetch_add_explicit(&login->references, 1, memory_order_relaxed);
    return login;
}

void login_release(struct login *login)
{
    if (!login || atomic_fetch_sub_explicit(&login->references, 1, memory_order_acq_rel) != 1)
        return;
    ticket_release(login->ticket);
    free(login);
}

/** With `renewal`, only where there is a ticket: not when the session logged out meanwhile. */
static status_code replace_ticket(struct login *login, struct slice ticket, bool renewal)
{
    struct bytes *made;

    TRY(ticket_new(ticket, &made));
    struct bytes *superseded = made;

    api_lock_take(&login->lock);
    if (login->ticket || !renewal) {
        superseded = login->ticket;
        login->ticket = made;
    }
    api_lock_give(&login->lock);
    ticket_release(superseded);
    return STATUS_OK;
}

status_code login_set(struct login *login, struct slice ticket)
{
    return replace_ticket(login, ticket, false);
}

void login_renew(struct login *login, struct slice ticket)
{
    (void)replace_ticket(login, ticket, true); /* without memory the old one serves on */
}

bool login_has_ticket(struct login *login)
{
    api_lock_take(&login->lock);
    bool has = login->ticket != NULL;

    api_lock_give(&login->lock);
    return has;
}

uint32_t login_key_generation(struct login *login)
{
    api_lock_take(&login->lock);
    uint32_t generation = login->ticket ? generation_of(bytes_slice(login->ticket)) : 0;

    api_lock_give(&login->lock);
    return generation;
}

status_code login_copy(struct login *login, struct bytes *ticket)
{
    if (!bytes_reserve(ticket, TICKET_MAX)) /* nothing is allocated under the lock */
        return bytes_ok(ticket);
    api_lock_take(&login->lock);
    if (login->ticket)
        bytes_append(ticket, login->ticket->data, login->ticket->len);
    api_lock_give(&login->lock);
    return bytes_ok(ticket);
}
