/* Logs and metrics: lines that cannot be forged, counters that add up, and a page that only loopback serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "node.h"

static char path[] = "/tmp/hsmd-log-XXXXXX";
static char text[65536];

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void begin(bool json, enum log_level level)
{
    struct log_settings settings = {level, json, path};
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(log_open(&settings), STATUS_OK);
}

/** What was logged since begin(). */
static const char *logged(void)
{
    log_close();
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = 0;
    fclose(file);
    return text;
}

static size_t n_lines(const char *lines)
{
    size_t n = 0;
    for (; *lines; lines++)
        n += *lines == '\n';
    return n;
}

static void a_text_line_holds_time_level_event_and_pairs(void **state)
{
    (void)state;
    begin(false, LOG_LEVEL_INFO);
    log_event(LOG_LEVEL_INFO, "node started", "name", "node1", "port", log_number(-12), "id",
              log_hex(slice_of("\x01\xff", 2)), NULL);
    const char *line = logged();
    assert_memory_equal(line, "time=20", 7);
    assert_non_null(strstr(line, "Z level=info event=\"node started\" name=node1 port=-12 id=01ff\n"));
}

static void a_json_line_is_one_object(void **state)
{
    (void)state;
    begin(true, LOG_LEVEL_INFO);
    log_event(LOG_LEVEL_WARNING, "odd", "quote", "a\"b\\c", NULL);
    const char *line = logged();
    assert_memory_equal(line, "{\"time\":\"20", 11);
    assert_non_null(strstr(line, "\"level\":\"warning\",\"event\":\"odd\",\"quote\":\"a\\\"b\\\\c\"}\n"));
}

static void values_cannot_forge_lines_or_drive_terminals(void **state)
{
    (void)state;
    begin(false, LOG_LEVEL_INFO);
    log_event(LOG_LEVEL_INFO, "login", "user", "x\nlevel=error event=\"forged\"", "bell", "\x1b[2J\x7f", "c1",
              "\xc2\x9b", "invalid", "\xff\xc0\xaf\xed\xa0\x80", "good", "\xc3\xa9\xf0\x9f\x94\x91", NULL);
    const char *line = logged();
    assert_int_equal(n_lines(line), 1);
    assert_non_null(strstr(line, "user=\"x\\u000alevel=error event=\\\"forged\\\"\""));
    assert_non_null(strstr(line, "bell=\"\\u001b[2J\\u007f\""));
    assert_non_null(strstr(line, "c1=\"\\u009b\""));
    assert_non_null(strstr(line, "invalid=\"\\u00ff\\u00c0\\u00af\\u00ed\\u00a0\\u0080\""));
    assert_non_null(strstr(line, "good=\"\xc3\xa9\xf0\x9f\x94\x91\""));
}

static void long_values_are_cut_and_lines_stay_whole(void **state)
{
    static char long_value[5000];
    (void)state;
    memset(long_value, '"', sizeof long_value - 1);
    begin(true, LOG_LEVEL_INFO);
    log_event(LOG_LEVEL_INFO, "long", "a", long_value, "b", long_value, "c", long_value, "d", long_value, "e",
              long_value, NULL);
    const char *line = logged();
    assert_int_equal(n_lines(line), 1);
    assert_true(strlen(line) <= 8192);
    assert_memory_equal(line + strlen(line) - 3, "\"}\n", 3);
}

static void levels_below_the_setting_are_silent(void **state)
{
    (void)state;
    begin(false, LOG_LEVEL_WARNING);
    assert_false(log_enabled(LOG_LEVEL_INFO));
    log_event(LOG_LEVEL_INFO, "quiet", NULL);
    log_event(LOG_LEVEL_ERROR, "loud", NULL);
    const char *line = logged();
    assert_null(strstr(line, "quiet"));
    assert_non_null(strstr(line, "loud"));
}

static void *log_many(void *context)
{
    for (int i = 0; i < 200; i++)
        log_event(LOG_LEVEL_INFO, "from a thread", "n", log_number(i), "who", context, NULL);
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
    pthread_t threads[3];
    (void)state;
    begin(false, LOG_LEVEL_INFO);
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, log_many, (void *)(uintptr_t) "w");
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    const char *lines = logged();
    assert_int_equal(n_lines(lines), 600);
    for (const char *line = lines; *line; line = strchr(line, '\n') + 1)
        assert_memory_equal(line, "time=", 5);
}

static void a_log_file_that_cannot_be_opened_is_refused(void **state)
{
    struct log_settings settings = {LOG_LEVEL_INFO, false, "/nonexistent/hsmd.log"};
    (void)state;
    assert_int_equal(log_open(&settings), STATUS_CONFIG_INVALID);
    assert_non_null(strstr(failure_detail(), "/nonexistent/hsmd.log"));
}

static void counters_add_up_over_workers(void **state)
{
    (void)state;
    int64_t before = metric_value(METRIC_CONNECTIONS);
    uint64_t pings = metric_operations_total(OP_PING);
    metric_add(0, METRIC_CONNECTIONS, 5);
    metric_add(1, METRIC_CONNECTIONS, -2);
    metric_add(100000, METRIC_CONNECTIONS, 1); /* a thread without a number */
    assert_int_equal(metric_value(METRIC_CONNECTIONS) - before, 4);
    metric_operation(0, OP_PING, STATUS_OK, 1);
    metric_operation(3, OP_PING, STATUS_BUSY, UINT64_MAX);
    metric_operation(3, (enum operation)126, STATUS_OK, 1); /* no operation */
    assert_int_equal(metric_operations_total(OP_PING) - pings, 2);
}

static struct node *test_node(void)
{
    static struct node node;
    atomic_store(&node.state, NODE_SERVING);
    atomic_store(&node.revision, 42);
    return &node;
}

static void the_page_is_in_prometheus_format(void **state)
{
    struct bytes page = BYTES_INIT;
    (void)state;
    metric_operation(0, OP_SIGN, STATUS_OK, 20000);
    metric_operation(0, OP_SIGN, STATUS_NOT_PERMITTED, 30000000);
    metrics_render(test_node(), &page);
    bytes_append(&page, "", 1);
    const char *at = (const char *)page.data;
    assert_non_null(strstr(at, "hsmd_state{state=\"serving\"} 1\n"));
    assert_non_null(strstr(at, "hsmd_store_revision 42\n"));
    assert_non_null(strstr(at, "hsmd_operations_total{operation=\"sign\"} 2\n"));
    assert_non_null(strstr(at, "hsmd_operation_failures_total{operation=\"sign\"} 1\n"));
    assert_non_null(strstr(at, "hsmd_operation_duration_seconds_bucket{operation=\"sign\",le=\"2.5e-05\"} 1\n"));
    assert_non_null(strstr(at, "hsmd_operation_duration_seconds_bucket{operation=\"sign\",le=\"+Inf\"} 2\n"));
    assert_non_null(strstr(at, "hsmd_operation_duration_seconds_sum{operation=\"sign\"} 0.030020000\n"));
    assert_non_null(strstr(at, "hsmd_answers_total{status=\"NOT_PERMITTED\"}"));
    for (; *at; at = strchr(at, '\n') + 1)
        assert_true(*at == '#' || strncmp(at, "hsmd_", 5) == 0 || strncmp(at, "process_", 8) == 0);
    bytes_release(&page);
}

/** The answer to a request over HTTP. */
static const char *get(uint16_t port, const char *request)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    size_t len = 0;
    for (ssize_t n = 1; n > 0 && len<sizeof text - 1; len += n> 0 ? (size_t)n : 0)
        n = read(fd, text + len, sizeof text - 1 - len);
    text[len] = 0;
    close(fd);
    return text;
}

static void metrics_and_health_are_served(void **state)
{
    struct metrics_server *server = NULL;
    uint16_t port = 0;
    struct node *node = test_node();
    (void)state;
    assert_int_equal(metrics_serve(node, "127.0.0.1:0", &port, &server), STATUS_OK);
    assert_int_not_equal(port, 0);
    const char *answer = get(port, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "hsmd_messages_total"));
    answer = get(port, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "\"state\":\"serving\""));
    atomic_store(&node->state, NODE_DRAINING);
    answer = get(port, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(answer, " 503 "));
    assert_non_null(strstr(get(port, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), " 404 "));
    assert_non_null(strstr(get(port, "DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), " 405 "));
    metrics_stop(server);
}

static void only_loopback_addresses_serve_metrics(void **state)
{
    static const char *const WRONG[] = {"0.0.0.0:0",   "10.0.0.1:9464", "[::]:0", "example.org:1",   "127.0.0.1",
                                        "127.0.0.1:x", "127.0.0.1:",    ":9464",  "127.0.0.1:70000", ""};
    struct metrics_server *server = NULL;
    uint16_t port = 0;
    (void)state;
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        assert_int_equal(metrics_serve(test_node(), WRONG[i], &port, &server), STATUS_CONFIG_INVALID);
    assert_null(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_line_holds_time_level_event_and_pairs),
        cmocka_unit_test(a_json_line_is_one_object),
        cmocka_unit_test(values_cannot_forge_lines_or_drive_terminals),
        cmocka_unit_test(long_values_are_cut_and_lines_stay_whole),
        cmocka_unit_test(levels_below_the_setting_are_silent),
        cmocka_unit_test(threads_do_not_mix_their_lines),
        cmocka_unit_test(a_log_file_that_cannot_be_opened_is_refused),
        cmocka_unit_test(counters_add_up_over_workers),
        cmocka_unit_test(the_page_is_in_prometheus_format),
        cmocka_unit_test(metrics_and_health_are_served),
        cmocka_unit_test(only_loopback_addresses_serve_metrics),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
