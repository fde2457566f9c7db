/* The engine in its own thread beside a thread that posts and drains, under ThreadSanitizer, with real loopback sockets. */
#include "check.h"
#include "fastprobe/clock.h"
#include "fastprobe/engine.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS    FP_NS_PER_MS
#define SLOTS 64u

static _Atomic bool ended;

static void *accept_all(void *argument) {
    int server = *(int *)argument;
    while (!atomic_load(&ended)) {
        struct pollfd news = {.fd = server, .events = POLLIN};
        if (poll(&news, 1, 20) <= 0) continue;
        int client = accept(server, NULL, NULL);
        if (client >= 0) close(client);
    }
    return NULL;
}

static void probes_come_and_go_while_the_engine_runs(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(server, (struct sockaddr *)&address, size), 0);
    CHECK_EQ(listen(server, 512), 0);
    CHECK_EQ(getsockname(server, (struct sockaddr *)&address, &size), 0);
    pthread_t acceptor;
    CHECK_EQ(pthread_create(&acceptor, NULL, accept_all, &server), 0);

    fp_engine *engine = NULL;
    const fp_engine_config config = {.capacity = SLOTS,
                                     .connections = 16,
                                     .record_ring = 4096,
                                     .command_ring = 1024,
                                     .events_per_step = 64,
                                     .tick_ns = MS,
                                     .notify_ns = 2 * MS};
    CHECK_EQ(fp_engine_new(&engine, &config, fp_clock_schedule()), 0);
    CHECK_EQ(fp_engine_start(engine), 0);

    check_rng rng = check_seed(11);
    static fp_record records[512];
    static fp_trace traces[16];
    uint32_t generation[SLOTS] = {0};
    uint64_t ok = 0, due = 0, wrong = 0, explained = 0;
    const struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    fp_route *route = NULL;
    CHECK_EQ(fp_route_new(&route, &(fp_route_spec){.source = (const struct sockaddr *)&source, .source_len = sizeof source}),
             0);
    for (fp_ns until = fp_clock_schedule() + 2 * FP_NS_PER_S; fp_clock_schedule() < until;) {
        uint32_t slot = (uint32_t)(check_random(&rng) % SLOTS);
        fp_command command = {.slot = slot, .due_ns = FP_NEVER, .first_ns = FP_NEVER};
        if (generation[slot] % 2 == 0) {
            command.op = FP_CMD_ADD;
            command.generation = ++generation[slot];
            command.lane = slot % 4 ? FP_LANE_NATIVE : FP_LANE_TASK;
            command.due_ns = fp_clock_schedule();
            command.interval_ns = 20 * MS;
            command.timeout_ns = 15 * MS;
            if (slot % 4) CHECK_EQ(fp_target_tcp(&command.target, (struct sockaddr *)&address, sizeof address), 0);
            if (slot % 4 == 2) CHECK_EQ(fp_target_route(command.target, route), 0); /* counted here, let go of over there */
            if (slot % 4 == 3) fp_target_half_handshake(command.target);
        } else if (check_random(&rng) % 16 == 0) {
            command.op = FP_CMD_REMOVE;
            command.generation = generation[slot]++;
        } else {
            command.op = FP_CMD_RUN;
            command.flags = slot % 2 ? FP_RUN_EXPLAIN : 0;
            command.generation = generation[slot];
        }
        if (fp_engine_post(engine, &command, 1) == 0) fp_target_free(command.target);
        struct pollfd news = {.fd = fp_engine_notify_fd(engine), .events = POLLIN};
        poll(&news, 1, 1);
        uint32_t n = fp_engine_drain(engine, records, 512), n_traces = fp_engine_drain_traces(engine, traces, 16);
        for (uint32_t i = 0; i < n_traces; i++) {
            explained += traces[i].seen && traces[i].seen->peer.ss_family == AF_INET;
            fp_trace_free(&traces[i]);
        }
        for (uint32_t i = 0; i < n; i++) {
            if (records[i].slot >= SLOTS || records[i].generation % 2 == 0) wrong++;
            ok += records[i].result == FP_OK;
            if (records[i].result != FP_EVENT_DUE) continue;
            due++;
            const fp_command finish = {.op = FP_CMD_FINISH, .slot = records[i].slot, .generation = records[i].generation};
            fp_engine_post(engine, &finish, 1);
        }
    }
    fp_engine_stats stats;
    fp_engine_stats_read(engine, &stats);
    CHECK_EQ(fp_engine_stop(engine), 0);
    CHECK_SOUND(fp_engine_check(engine));
    CHECK_EQ(wrong, 0);
    CHECK(ok > 100 && due > 20 && explained > 20 && stats.steps > 100);
    fp_route_release(route);
    fp_engine_free(engine);
    atomic_store(&ended, true);
    pthread_join(acceptor, NULL);
    close(server);
}

int main(void) {
    RUN(probes_come_and_go_while_the_engine_runs);
    return 0;
}
