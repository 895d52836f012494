/* Tickets shared by requests: see cluster_core.h. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "cluster_core.h"
#include "login.h"

struct login *login_new(void)
{
    struct login *login = calloc(1, sizeof(*login));

    if (!login)
        return NULL;
    atomic_init(&login->references, 1);
    pthread_mutex_init(&login->lock, NULL);
    login->ticket = (struct bytes)BYTES_SECRET;
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
    pthread_mutex_destroy(&login->lock);
    bytes_release(&login->ticket);
    free(login);
}

status_code login_set(struct login *login, struct slice ticket)
{
    pthread_mutex_lock(&login->lock);
    status_code status = bytes_assign(&login->ticket, ticket);

    pthread_mutex_unlock(&login->lock);
    return status;
}

void login_renew(struct login *login, struct slice ticket)
{
    pthread_mutex_lock(&login->lock);
    if (login->ticket.len) /* not if the session logged out meanwhile */
        (void)bytes_assign(&login->ticket, ticket);
    pthread_mutex_unlock(&login->lock);
}

bool login_has_ticket(struct login *login)
{
    pthread_mutex_lock(&login->lock);
    bool has = login->ticket.len != 0;

    pthread_mutex_unlock(&login->lock);
    return has;
}

status_code login_copy(struct login *login, struct bytes *ticket)
{
    pthread_mutex_lock(&login->lock);
    bytes_append(ticket, login->ticket.data, login->ticket.len);
    pthread_mutex_unlock(&login->lock);
    return bytes_ok(ticket);
}
