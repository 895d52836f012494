/* What a node answers: the input is the reply to a message of three requests, then the description of a cluster. The
 * link is one that lends the input out. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "core_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct lender {
    struct link base;
    int fd;
    uint32_t id; /* of the message sent */
    struct slice reply;
};

static int lender_fd(const struct link *link)
{
    return ((const struct lender *)link)->fd;
}

static status_code lender_send(struct link *link, uint32_t id, struct slice message)
{
    (void)message;
    ((struct lender *)link)->id = id;
    return STATUS_OK;
}

static status_code lender_receive(struct link *link, uint32_t *id, struct slice *message)
{
    struct lender *lender = (struct lender *)link;

    *id = lender->id;
    *message = lender->reply;
    lender->id = 0;
    return STATUS_OK;
}

static bool lender_sending(const struct link *link)
{
    (void)link;
    return false;
}

static void lender_close(struct link *link, bool forget)
{
    (void)forget;
    close(((struct lender *)link)->fd);
    free(link);
}

static const struct link_operations operations = {lender_fd, lender_send, lender_receive, lender_sending, lender_close};

static struct core *open_core(void)
{
    struct hsm_config *config;
    struct core *core;

    if (config_new(&config) != STATUS_OK || config_set(config, "nodes", "ipc:///nonexistent", "fuzz") != STATUS_OK ||
        config_set(config, "connections", "1", "fuzz") != STATUS_OK ||
        config_set(config, "refresh-interval-ms", "0", "fuzz") != STATUS_OK ||
        core_open(config, NULL, &core) != STATUS_OK)
        abort();
    config_free(config);
    return core;
}

static void lend(struct channel *channel, struct slice reply)
{
    struct lender *lender = calloc(1, sizeof(*lender));

    if (!lender)
        abort();
    lender->base.operations = &operations;
    lender->fd = eventfd(0, EFD_CLOEXEC);
    lender->reply = reply;
    channel->link = &lender->base;
    channel->generation++;
}

static void answer_three(struct core *core, struct login *login, struct slice reply)
{
    struct channel *channel = &core->nodes[0]->channels[0];
    struct core_queue *queue;
    struct core_result *result;
    struct values fields;
    struct core_request request = {.operation = OP_PING, .fields = &fields, .login = login, .timeout_ms = 10};

    values_init(&fields);
    lend(channel, reply);
    if (core_queue_open(core, &queue) != STATUS_OK)
        abort();
    for (unsigned i = 0; i < 3; i++)
        (void)core_submit(queue, &request, NULL);
    (void)core_queue_flush(queue);
    channel_drive(channel);
    while (core_queue_next(queue, 0, &result) == STATUS_OK)
        core_result_free(result);
    core_queue_close(queue);
    if (channel->link)
        lender_close(channel->link, false);
    channel->link = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct core *core;
    struct login *login = login_new();
    struct values description;

    if (!core)
        core = open_core();
    (void)login_set(login, slice_text("ticket"));
    answer_three(core, login, slice_of(data, len));
    login_release(login);
    if (values_decode_all(&FIELD_SCHEMA, slice_of(data, len), &description) == STATUS_OK) {
        (void)node_introduce(core->nodes[0], &description);
        node_learn_all(core, &description);
    }
    /* What was learned goes, so that inputs do not depend on one another. */
    if (atomic_load(&core->n_nodes) > 1 || core->has_cluster_id) {
        core_close(core);
        core = NULL;
    }
    return 0;
}
