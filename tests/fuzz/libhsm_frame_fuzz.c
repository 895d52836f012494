/* Bytes on a connection of the direct transport, behind the SP handshake: the input is what the other side sends. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "protocol/limits.h"
#include "transport_direct.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct direct *link = calloc(1, sizeof(*link));
    struct slice message;
    uint32_t id = 1;
    int fds[2];

    if (!link || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        abort();
    link->base.operations = &direct_operations;
    link->fd = fds[0];
    link->ipc = len % 2;
    link->in = link->out = (struct bytes)BYTES_SECRET;
    link->in.limit = 2 * (size_t)MESSAGE_MAX + DIRECT_READ;
    ssize_t sent = send(fds[1], data, len, MSG_NOSIGNAL);

    close(fds[1]);
    while (sent == (ssize_t)len && id && direct_operations.receive(&link->base, &id, &message) == STATUS_OK) {
        /* Every byte that is lent out can be read. */
        for (size_t i = 0; id && i < message.len; i++)
            (void)*(const volatile uint8_t *)(message.data + i);
    }
    direct_operations.close(&link->base, false);
    return 0;
}
