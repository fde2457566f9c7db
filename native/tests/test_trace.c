/* What a run tells besides its record: the phases of what did not pass, and everything of what is to be explained. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

static fp_target *http_target_idling(const struct sockaddr_in *address, bool keep_alive, uint32_t idle_ms) {
    fp_http_plan *plan = NULL;
    fp_target *target = NULL;
    const fp_http_plan_spec spec = {
        .method = "GET", .path = "/", .max_body = 65536, .keep_alive = keep_alive, .idle_ms = idle_ms};
    CHECK_EQ(fp_http_plan_new(&plan, &spec), 0);
    CHECK_EQ(fp_target_http(&target, (const struct sockaddr *)address, sizeof *address, plan, "t"), 0);
    fp_http_plan_release(plan);
    return target;
}

static fp_target *http_target(const struct sockaddr_in *address, bool keep_alive) {
    return http_target_idling(address, keep_alive, 0);
}

/* Accepts `connections` connections, one after the other, and answers `requests` requests on each. */
typedef struct server {
    int fd;
    int connections;
    int requests;
    const char *answer;
    pthread_t thread;
} server;

static void *serve(void *argument) {
    const server *it = argument;
    char request[2048];
    for (int c = 0; c < it->connections; c++) {
        int client = accept(it->fd, NULL, NULL);
        CHECK(client >= 0);
        for (int r = 0; r < it->requests; r++) {
            CHECK(recv(client, request, sizeof request, 0) > 0);
            CHECK_EQ(send(client, it->answer, strlen(it->answer), MSG_NOSIGNAL), strlen(it->answer));
        }
        close(client);
    }
    return NULL;
}

static void server_start(server *it, struct sockaddr_in *address) {
    socklen_t size = sizeof *address;
    it->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(bind(it->fd, (struct sockaddr *)address, size), 0);
    CHECK_EQ(listen(it->fd, 16), 0);
    CHECK_EQ(getsockname(it->fd, (struct sockaddr *)address, &size), 0);
    CHECK_EQ(pthread_create(&it->thread, NULL, serve, it), 0);
}

static void server_stop(server *it) {
    pthread_join(it->thread, NULL);
    close(it->fd);
}

static void a_run_that_passes_leaves_no_trace(void) {
    struct sockaddr_in address;
    fp_trace trace;
    int fd = rig_listen(&address, 16);
    rig it = rig_new(1);
    rig_aim(&it, 0, rig_tcp(&address), FP_NS_PER_S);
    CHECK_EQ(rig_run(&it, 0, 0).result, FP_OK);
    CHECK_EQ(fp_engine_drain_traces(it.engine, &trace, 1), 0);
    rig_free(&it);
    close(fd);
}

static void a_refused_run_leaves_the_trace_of_its_record(void) {
    struct sockaddr_in address;
    fp_trace trace;
    int fd = rig_listen(&address, -1);
    rig it = rig_new(1);
    rig_aim(&it, 3, rig_tcp(&address), FP_NS_PER_S);
    const fp_record record = rig_run(&it, 3, 0);
    CHECK_EQ(fp_engine_drain_traces(it.engine, &trace, 1), 1);
    CHECK_EQ(trace.slot, 3);
    CHECK_EQ(trace.generation, record.generation);
    CHECK_EQ(trace.started_ns, record.started_ns);
    CHECK_EQ(trace.reason, FP_REASON_CONNECT_REFUSED);
    CHECK_EQ(trace.detail, ECONNREFUSED);
    CHECK_EQ(trace.connect_us, FP_UNREACHED);
    CHECK_EQ(trace.first_byte_us, FP_UNREACHED);
    CHECK(trace.total_us < 1000000 && !trace.seen);
    rig_free(&it);
    close(fd);
}

static void a_silent_server_leaves_a_trace_that_ends_with_the_connection(void) {
    struct sockaddr_in address;
    fp_trace trace;
    int fd = rig_listen(&address, 16); /* the kernel completes the handshake, nobody answers */
    rig it = rig_new(1);
    rig_aim(&it, 0, http_target(&address, false), 100 * FP_NS_PER_MS);
    CHECK_EQ(rig_run(&it, 0, 0).reason, FP_REASON_RESPONSE_TIMEOUT);
    CHECK_EQ(fp_engine_drain_traces(it.engine, &trace, 1), 1);
    CHECK(trace.connect_us != FP_UNREACHED && trace.connect_us <= trace.total_us);
    CHECK(trace.rtt_us != FP_UNREACHED);
    CHECK_EQ(trace.first_byte_us, FP_UNREACHED);
    CHECK(trace.total_us >= 99000);
    rig_free(&it);
    close(fd);
}

static void the_latency_of_a_tcp_probe_is_the_kernels_round_trip(void) {
    struct sockaddr_in address;
    fp_trace trace;
    int fd = rig_listen(&address, 16);
    rig it = rig_new(1);
    rig_aim(&it, 0, rig_tcp(&address), FP_NS_PER_S);
    const fp_record record = rig_run(&it, 0, FP_RUN_EXPLAIN);
    CHECK_EQ(fp_engine_drain_traces(it.engine, &trace, 1), 1);
    CHECK_EQ(trace.flags, FP_TRACE_EXPLAINED);
    CHECK_EQ(trace.retransmissions, 0);
    CHECK_EQ(record.latency_ns, trace.rtt_us * FP_NS_PER_US);
    CHECK(trace.rtt_us <= trace.connect_us + 1);
    const struct sockaddr_in *peer = (const struct sockaddr_in *)&trace.seen->peer;
    CHECK_EQ(peer->sin_port, address.sin_port);
    CHECK_EQ(trace.seen->local.ss_family, AF_INET);
    fp_trace_free(&trace);
    rig_free(&it);
    close(fd);
}

/* Accepts whoever comes, but not at once. */
static _Atomic bool enough;
static void *accept_late(void *argument) {
    struct pollfd news = {.fd = *(const int *)argument, .events = POLLIN};
    usleep(300000);
    while (!atomic_load(&enough)) {
        int client = poll(&news, 1, 20) > 0 ? accept(news.fd, NULL, NULL) : -1;
        if (client >= 0) close(client);
    }
    return NULL;
}

static void a_connection_request_that_was_sent_again_is_told_and_the_whole_wait_is_the_latency(void) {
    struct sockaddr_in address;
    fp_trace trace;
    pthread_t thread;
    int fd = rig_listen(&address, 0), filling[3];
    for (int i = 0; i < 3; i++) { /* the accept queue is full: the kernel drops our first SYN */
        filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(filling[i], (struct sockaddr *)&address, sizeof address);
    }
    usleep(50000);
    CHECK_EQ(pthread_create(&thread, NULL, accept_late, &fd), 0);
    rig it = rig_new(1);
    rig_aim(&it, 0, rig_tcp(&address), 15 * FP_NS_PER_S);
    const fp_record record = rig_run(&it, 0, FP_RUN_EXPLAIN);
    CHECK_EQ(record.result, FP_OK);
    CHECK_EQ(fp_engine_drain_traces(it.engine, &trace, 1), 1);
    CHECK(trace.retransmissions >= 1);
    CHECK(record.latency_ns >= 900 * FP_NS_PER_MS); /* the first retransmission comes after a second */
    CHECK_EQ(rig_stats(&it).syn_retransmissions, trace.retransmissions);
    fp_trace_free(&trace);
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    rig_free(&it);
    for (int i = 0; i < 3; i++) close(filling[i]);
    close(fd);
}

static void an_explained_answer_is_told_with_its_head_and_in_the_order_of_its_phases(void) {
    static const char HEAD[] = "HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 5\r\n\r\n";
    server web = {.connections = 1, .requests = 1, .answer = "HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 5\r\n\r\nhello"};
    struct sockaddr_in address;
    fp_trace trace;
    server_start(&web, &address);
    rig it = rig_new(1);
    rig_aim(&it, 0, http_target(&address, false), 10 * FP_NS_PER_S);
    CHECK_EQ(rig_run(&it, 0, FP_RUN_EXPLAIN).result, FP_OK);
    CHECK_EQ(fp_engine_drain_traces(it.engine, &trace, 1), 1);
    CHECK(trace.connect_us <= trace.first_byte_us && trace.first_byte_us <= trace.total_us);
    CHECK_EQ(trace.status, 200);
    CHECK_EQ(trace.body_bytes, 5);
    CHECK_EQ(trace.seen->head_len, sizeof HEAD - 1);
    CHECK_EQ(memcmp(trace.seen->head, HEAD, sizeof HEAD - 1), 0);
    fp_trace_free(&trace);
    rig_free(&it);
    server_stop(&web);
}

static void a_kept_connection_has_no_connect_phase_and_a_dead_one_is_told_as_retried(void) {
    server web = {.connections = 2, .requests = 2, .answer = "HTTP/1.1 204 No Content\r\n\r\n"};
    struct sockaddr_in address;
    fp_trace trace;
    uint8_t flags[4];
    server_start(&web, &address);
    rig it = rig_new(1);
    rig_aim(&it, 0, http_target(&address, true), 10 * FP_NS_PER_S);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(rig_run(&it, 0, FP_RUN_EXPLAIN).result, FP_OK);
        CHECK_EQ(fp_engine_drain_traces(it.engine, &trace, 1), 1);
        CHECK_EQ(trace.connect_us == FP_UNREACHED, (trace.flags & FP_TRACE_KEPT) != 0);
        flags[i] = trace.flags & (uint8_t)~FP_TRACE_EXPLAINED;
        fp_trace_free(&trace);
    }
    CHECK_EQ(flags[0], 0);
    CHECK_EQ(flags[1], FP_TRACE_KEPT);
    CHECK(flags[2] == 0 || flags[2] == FP_TRACE_RETRIED); /* whether the close was noticed before the run or in it */
    CHECK_EQ(flags[3], FP_TRACE_KEPT);
    rig_free(&it);
    server_stop(&web);
}

/* Answers one request on each of two connections, and waits for the other end to close. */
static void *serve_until_closed(void *argument) {
    const server *it = argument;
    char request[2048];
    for (int c = 0; c < it->connections; c++) {
        int client = accept(it->fd, NULL, NULL);
        CHECK(client >= 0);
        CHECK(recv(client, request, sizeof request, 0) > 0);
        CHECK_EQ(send(client, it->answer, strlen(it->answer), MSG_NOSIGNAL), strlen(it->answer));
        CHECK(recv(client, request, sizeof request, 0) <= 0);
        close(client);
    }
    return NULL;
}

static void a_kept_connection_that_idles_is_closed_without_a_run(void) {
    struct sockaddr_in address;
    server web = {.connections = 2, .answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"};
    web.fd = rig_listen(&address, 16);
    fcntl(web.fd, F_SETFL, 0); /* blocking: the server is a thread */
    CHECK_EQ(pthread_create(&web.thread, NULL, serve_until_closed, &web), 0);
    rig it = rig_new(1);
    rig_aim(&it, 0, http_target_idling(&address, true, 50), 10 * FP_NS_PER_S);
    for (int run = 0; run < 2; run++) {
        CHECK_EQ(rig_run(&it, 0, 0).result, FP_OK);
        const fp_ns until_ns = fp_clock_schedule() + 100 * FP_NS_PER_MS;
        while (fp_clock_schedule() < until_ns) {
            const fp_ns next_ns = fp_engine_step(it.engine, fp_clock_schedule());
            fp_engine_wait(it.engine, next_ns < until_ns ? next_ns : until_ns);
        }
        CHECK_SOUND(fp_engine_check(it.engine));
    }
    CHECK_EQ(rig_stats(&it).retries, 0);
    server_stop(&web); /* it has seen both ends */
    rig_free(&it);
}

static void an_unresolved_target_is_explained_too(void) {
    fp_target *target = NULL;
    fp_trace trace;
    CHECK_EQ(fp_target_unresolved(&target, FP_FAIL, FP_REASON_DNS_NXDOMAIN), 0);
    rig it = rig_new(1);
    rig_aim(&it, 0, target, FP_NS_PER_S);
    CHECK_EQ(rig_run(&it, 0, FP_RUN_EXPLAIN).reason, FP_REASON_DNS_NXDOMAIN);
    CHECK_EQ(fp_engine_drain_traces(it.engine, &trace, 1), 1);
    CHECK_EQ(trace.flags, FP_TRACE_EXPLAINED);
    rig_free(&it);
}

static void traces_that_do_not_fit_are_dropped_counted_and_freed(void) {
    struct sockaddr_in address;
    fp_trace trace;
    int fd = rig_listen(&address, -1);
    rig it = rig_new(1);
    rig_aim(&it, 0, rig_tcp(&address), FP_NS_PER_S);
    for (int i = 0; i < 4100; i++) rig_run(&it, 0, FP_RUN_EXPLAIN); /* nobody drains; the address sanitizer sees what leaks */
    CHECK_EQ(rig_stats(&it).traces_dropped, 4100 - 4096);
    CHECK_EQ(fp_engine_drain_traces(it.engine, &trace, 1), 1);
    fp_trace_free(&trace);
    rig_free(&it);
    close(fd);
}

int main(void) {
    RUN(a_run_that_passes_leaves_no_trace);
    RUN(a_refused_run_leaves_the_trace_of_its_record);
    RUN(a_silent_server_leaves_a_trace_that_ends_with_the_connection);
    RUN(the_latency_of_a_tcp_probe_is_the_kernels_round_trip);
    RUN(a_connection_request_that_was_sent_again_is_told_and_the_whole_wait_is_the_latency);
    RUN(an_explained_answer_is_told_with_its_head_and_in_the_order_of_its_phases);
    RUN(a_kept_connection_has_no_connect_phase_and_a_dead_one_is_told_as_retried);
    RUN(a_kept_connection_that_idles_is_closed_without_a_run);
    RUN(an_unresolved_target_is_explained_too);
    RUN(traces_that_do_not_fit_are_dropped_counted_and_freed);
    return 0;
}
