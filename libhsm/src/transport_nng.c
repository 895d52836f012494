/* The nng transport: a raw req0 socket of the NNG library a link, so that many requests can be under way on it. For the
 * schemes that direct does not speak, and as the reference that proves that direct is SP. NNG has threads of its own
 * and does not survive fork. */
#include <dlfcn.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "library_context.h"
#include "platform.h"
#include "protocol/limits.h"
#include "protocol/nng_tls.h"
#include "transport.h"

struct nng_link {
    struct link base;
    nng_socket socket;
    int fd;
    nng_msg *received; /* lent out until the next receive */
};

static struct nng_link *nng_of(struct link *link)
{
    return (struct nng_link *)link;
}

static int link_fd(const struct link *base)
{
    return ((const struct nng_link *)base)->fd;
}

static bool link_sending(const struct link *base)
{
    (void)base; /* NNG keeps what is to be sent and sends it by itself */
    return false;
}

static status_code link_send(struct link *base, uint32_t id, struct slice message)
{
    nng_msg *copy;
    int code = nng_msg_alloc(&copy, 0);

    CHECK(code == 0, STATUS_OUT_OF_MEMORY, "no memory for a message");
    code = nng_msg_append(copy, message.data, message.len);
    if (code == 0)
        code = nng_msg_header_append_u32(copy, id);
    if (code == 0)
        code = nng_sendmsg(nng_of(base)->socket, copy, 0);
    if (code != 0)
        nng_msg_free(copy);
    CHECK(code == 0, STATUS_UNAVAILABLE, "the connection was lost: %s", nng_strerror(code));
    return STATUS_OK;
}

static status_code link_receive(struct link *base, uint32_t *id, struct slice *message)
{
    struct nng_link *link = nng_of(base);

    *id = 0;
    nng_msg_free(link->received);
    link->received = NULL;
    int code = nng_recvmsg(link->socket, &link->received, NNG_FLAG_NONBLOCK);
    if (code == NNG_EAGAIN)
        return STATUS_OK;
    CHECK(code == 0, STATUS_UNAVAILABLE, "the connection was lost: %s", nng_strerror(code));
    /* In raw mode the id stands in the header. */
    if (nng_msg_header_len(link->received) < 4 || nng_msg_header_trim_u32(link->received, id) != 0)
        FAIL(STATUS_PROTOCOL_ERROR, "the node sent a reply without an id");
    *message = slice_of(nng_msg_body(link->received), nng_msg_len(link->received));
    return STATUS_OK;
}

static void link_close(struct link *base, bool forget)
{
    struct nng_link *link = nng_of(base);

    if (!forget) { /* NNG aborts in a forked child */
        nng_msg_free(link->received);
        nng_close(link->socket);
    }
    free(link);
}

static const struct link_operations operations = {
    .fd = link_fd,
    .send = link_send,
    .receive = link_receive,
    .sending = link_sending,
    .close = link_close,
};

/* NNG keeps the engine until the process ends: the library that holds it must then stay too, whoever closes it. Where
 * it is part of the program, there is nothing to hold. */
static void stay_loaded(void)
{
    Dl_info self;

    if (dladdr((const void *)&operations, &self))
        dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

static bool is_tls(const char *url)
{
    return strncmp(url, "tls+", 4) == 0 || strncmp(url, "wss:", 4) == 0;
}

/* After NNG's first call: see nng_tls.h. The library's context rather than the core's, because NNG may finish with a
 * connection after the core is gone. */
static status_code prepare_tls(const struct link_settings *settings)
{
    CHECK(settings->ca_pem && settings->certificate_pem && settings->key_pem, STATUS_CONFIG_INVALID,
          "tls+tcp:// and wss:// need the settings ca-file, certificate-file and key-file");
    stay_loaded();
    return nng_tls_use_for_client(library_context());
}

static int set_tls(nng_dialer dialer, const struct link_settings *settings)
{
    nng_tls_config *config;
    int code = nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT);

    if (code != 0)
        return code;
    if ((code = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED)) == 0 &&
        (code = nng_tls_config_ca_chain(config, settings->ca_pem, NULL)) == 0 &&
        (code = nng_tls_config_own_cert(config, settings->certificate_pem, settings->key_pem, NULL)) == 0)
        code = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config);
    nng_tls_config_free(config);
    return code;
}

struct alarm {
    nng_aio *aio;
    nng_dialer dialer;
};

static void on_alarm(void *context)
{
    struct alarm *alarm = context;

    if (nng_aio_result(alarm->aio) == 0) /* it rang, rather than being cancelled */
        nng_dialer_close(alarm->dialer);
}

/* NNG's dialer waits for as long as the other side likes: an alarm closes it when the time is over. */
static int start(nng_dialer dialer, uint64_t until_ns)
{
    uint64_t now = platform_now_ns();
    struct alarm alarm = {.dialer = dialer};
    int code = nng_aio_alloc(&alarm.aio, on_alarm, &alarm);

    if (code != 0)
        return code;
    nng_sleep_aio(until_ns > now ? (nng_duration)((until_ns - now) / 1000000 + 1) : 0, alarm.aio);
    code = nng_dialer_start(dialer, 0);
    nng_aio_cancel(alarm.aio);
    nng_aio_wait(alarm.aio);
    bool rang = nng_aio_result(alarm.aio) == 0;

    nng_aio_free(alarm.aio);
    return rang ? NNG_ETIMEDOUT : code;
}

static int dial(struct nng_link *link, const char *url, const struct link_settings *settings)
{
    nng_dialer dialer;
    int code;

    if ((code = nng_socket_set_size(link->socket, NNG_OPT_RECVMAXSZ, MESSAGE_MAX + 64)) != 0 ||
        (code = nng_socket_set_ms(link->socket, NNG_OPT_SENDTIMEO, 1000)) != 0 ||
        (code = nng_dialer_create(&dialer, link->socket, url)) != 0 ||
        (is_tls(url) && (code = set_tls(dialer, settings)) != 0) || (code = start(dialer, settings->until_ns)) != 0)
        return code;
    return nng_socket_get_int(link->socket, NNG_OPT_RECVFD, &link->fd);
}

/* NNG's threads do not follow into a child of fork, and NNG ends a child that uses it: refused here instead. Only a
 * parent that has used NNG makes it so. */
static status_code check_process(void)
{
    static _Atomic long user;
    long self = platform_process(), none = 0;

    if (atomic_compare_exchange_strong(&user, &none, self) || none == self)
        return STATUS_OK;
    FAIL(STATUS_CONFIG_INVALID, "the nng transport cannot be used in a child of the process that used it: "
                                "set transport: direct");
}

static status_code told(int code)
{
    CHECK(code == 0, code == NNG_EPEERAUTH || code == NNG_ECRYPTO ? STATUS_TLS_ERROR : STATUS_UNAVAILABLE, "%s",
          nng_strerror(code));
    return STATUS_OK;
}

status_code nng_link_open(const char *url, const struct link_settings *settings, struct link **link)
{
    TRY(check_process());
    struct nng_link *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a connection");
    made->base.operations = &operations;
    status_code status = told(nng_req0_open_raw(&made->socket));
    if (status != STATUS_OK) {
        free(made);
        return status;
    }
    if (is_tls(url))
        status = prepare_tls(settings);
    if (status == STATUS_OK)
        status = told(dial(made, url, settings));
    if (status != STATUS_OK) {
        link_close(&made->base, false);
        return status;
    }
    *link = &made->base;
    return STATUS_OK;
}
