/* rig.h - an engine of one probe on real loopback sockets, for tests: stepped by hand on the host's clock. */
#ifndef FASTPROBE_TESTS_RIG_H
#define FASTPROBE_TESTS_RIG_H
#include "check.h"
#include "fastprobe/clock.h"
#include "fastprobe/engine.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RIG_PATIENCE_NS (20 * FP_NS_PER_S)

typedef struct rig {
    fp_engine *engine;
    uint32_t generations[8];
} rig;

static inline rig rig_new(uint32_t connections) {
    rig made = {0};
    const fp_engine_config config = {
        .capacity = 8,
        .connections = connections,
        .record_ring = 256,
        .command_ring = 64,
        .events_per_step = 64,
        .tick_ns = FP_NS_PER_MS,
        .notify_ns = FP_NS_PER_MS,
    };
    CHECK_EQ(fp_engine_new(&made.engine, &config, fp_clock_schedule()), 0);
    return made;
}

static inline void rig_free(rig *it) {
    CHECK_SOUND(fp_engine_check(it->engine));
    fp_engine_free(it->engine);
}

static inline void rig_post(rig *it, fp_command command) {
    command.first_ns = FP_NEVER;
    CHECK_EQ(fp_engine_post(it->engine, &command, 1), 1);
}

/* The slot asks this target from now on, when told to. */
static inline void rig_aim(rig *it, uint32_t slot, fp_target *target, fp_ns timeout_ns) {
    rig_post(it, (fp_command){.op = FP_CMD_ADD,
                              .slot = slot,
                              .generation = ++it->generations[slot],
                              .due_ns = FP_NEVER,
                              .interval_ns = 3600 * FP_NS_PER_S,
                              .timeout_ns = timeout_ns,
                              .target = target});
}

/* One run of the slot; its record, or the skip's. */
static inline fp_record rig_run(rig *it, uint32_t slot, uint16_t flags) {
    const fp_ns until_ns = fp_clock_schedule() + RIG_PATIENCE_NS;
    fp_record record;
    rig_post(it, (fp_command){
                     .op = FP_CMD_RUN, .slot = slot, .generation = it->generations[slot], .due_ns = FP_NEVER, .flags = flags});
    while (fp_clock_schedule() < until_ns) {
        fp_ns next_ns = fp_engine_step(it->engine, fp_clock_schedule());
        if (fp_engine_drain(it->engine, &record, 1)) {
            CHECK_SOUND(fp_engine_check(it->engine));
            return record;
        }
        const fp_ns soon_ns = fp_clock_schedule() + 10 * FP_NS_PER_MS;
        fp_engine_wait(it->engine, next_ns < soon_ns ? next_ns : soon_ns);
    }
    CHECK(!"no record in time");
    return record;
}

static inline fp_engine_stats rig_stats(const rig *it) {
    fp_engine_stats stats;
    fp_engine_stats_read(it->engine, &stats);
    return stats;
}

/* Listens (backlog below 0: only binds) on 127.0.0.1, and does not block. */
static inline int rig_listen(struct sockaddr_in *address, int backlog) {
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    if (backlog >= 0) CHECK_EQ(listen(fd, backlog), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static inline fp_target *rig_tcp(const struct sockaddr_in *address) {
    fp_target *target = NULL;
    CHECK_EQ(fp_target_tcp(&target, (const struct sockaddr *)address, sizeof *address), 0);
    return target;
}

static inline struct sockaddr_in rig_ipv4(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    CHECK_EQ(inet_pton(AF_INET, text, &address.sin_addr), 1);
    return address;
}

#endif
