/* The engine of systems without epoll: schedules, deadlines and the other thread work as ever, and a native run says that it
 * cannot. */
#include "check.h"
#include "fastprobe/clock.h"
#include "fastprobe/engine.h"
#include "poller.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define MS         FP_NS_PER_MS
#define S          FP_NS_PER_S
#define PATIENCE_S 20

static fp_engine *engine_at(fp_ns now_ns, bool manual) {
    fp_engine *engine = NULL;
    const fp_engine_config config = {
        .capacity = 16,
        .connections = 4,
        .record_ring = 64,
        .command_ring = 64,
        .events_per_step = 64,
        .tick_ns = MS,
        .notify_ns = 0,
        .manual_clock = manual,
    };
    CHECK_EQ(fp_engine_new(&engine, &config, now_ns), 0);
    return engine;
}

static void add(fp_engine *engine, uint8_t lane, fp_ns due_ns, fp_target *target) {
    const fp_command command = {.op = FP_CMD_ADD,
                                .generation = 1,
                                .lane = lane,
                                .due_ns = due_ns,
                                .first_ns = FP_NEVER,
                                .interval_ns = S,
                                .timeout_ns = 100 * MS,
                                .target = target};
    CHECK_EQ(fp_engine_post(engine, &command, 1), 1);
}

static fp_target *anywhere(void) {
    fp_target *target = NULL;
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 1, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(fp_target_tcp(&target, (const struct sockaddr *)&address, sizeof address), 0);
    return target;
}

static fp_record only_record(fp_engine *engine) {
    fp_record records[8];
    CHECK_EQ(fp_engine_drain(engine, records, 8), 1);
    return records[0];
}

static void step(fp_engine *engine, fp_ns now_ns) {
    while (fp_engine_step(engine, now_ns) == 0) continue;
    CHECK_SOUND(fp_engine_check(engine));
}

static void a_python_lane_is_told_of_dues_and_deadlines(void) {
    fp_engine *engine = engine_at(S, true);
    CHECK(!fp_engine_has_native_lane());
    add(engine, FP_LANE_TASK, 2 * S, NULL);
    step(engine, S);
    step(engine, 2 * S);
    CHECK_EQ(only_record(engine).result, FP_EVENT_DUE);
    step(engine, 2 * S + 101 * MS);
    CHECK_EQ(only_record(engine).result, FP_EVENT_DEADLINE);
    const fp_command finish = {.op = FP_CMD_FINISH, .generation = 1};
    CHECK_EQ(fp_engine_post(engine, &finish, 1), 1);
    step(engine, 3 * S);
    CHECK_EQ(only_record(engine).result, FP_EVENT_DUE);
    fp_engine_free(engine);
}

static void a_native_run_says_that_this_host_cannot(void) {
    fp_engine *engine = engine_at(S, true);
    add(engine, FP_LANE_NATIVE, 2 * S, anywhere());
    step(engine, 2 * S);
    const fp_record due = only_record(engine);
    CHECK_EQ(due.result, FP_ERROR);
    CHECK_EQ(due.reason, FP_REASON_UNSUPPORTED);
    const fp_command now = {.op = FP_CMD_RUN, .generation = 1};
    CHECK_EQ(fp_engine_post(engine, &now, 1), 1);
    step(engine, 2 * S + MS);
    CHECK_EQ(only_record(engine).reason, FP_REASON_UNSUPPORTED);
    fp_engine_free(engine);
}

static void commands_make_the_descriptor_of_a_host_loop_readable_until_the_next_step(void) {
    fp_engine *engine = engine_at(S, true);
    step(engine, S);
    CHECK_EQ(fp_poll_look(fp_engine_poll_fd(engine)) & FP_READABLE, 0);
    for (int i = 0; i < 8; i++) add(engine, FP_LANE_TASK, 2 * S, NULL);
    CHECK(fp_poll_look(fp_engine_poll_fd(engine)) & FP_READABLE);
    step(engine, S);
    CHECK_EQ(fp_poll_look(fp_engine_poll_fd(engine)) & FP_READABLE, 0);
    fp_engine_free(engine);
}

static bool readable_in_time(int fd) {
    for (fp_ns until_ns = fp_clock_schedule() + PATIENCE_S * S; fp_clock_schedule() < until_ns;)
        if (fp_poll_look(fd) & FP_READABLE) return true;
    return false;
}

static void a_thread_wakes_for_commands_and_rings_for_records(void) {
    fp_engine *engine = engine_at(fp_clock_schedule(), false);
    CHECK_EQ(fp_engine_start(engine), 0);
    add(engine, FP_LANE_TASK, fp_clock_schedule(), NULL);
    CHECK(readable_in_time(fp_engine_notify_fd(engine)));
    CHECK_EQ(only_record(engine).result, FP_EVENT_DUE);
    CHECK_EQ(fp_engine_stop(engine), 0);
    CHECK_SOUND(fp_engine_check(engine));
    fp_engine_free(engine);
}

int main(void) {
    RUN(a_python_lane_is_told_of_dues_and_deadlines);
    RUN(a_native_run_says_that_this_host_cannot);
    RUN(commands_make_the_descriptor_of_a_host_loop_readable_until_the_next_step);
    RUN(a_thread_wakes_for_commands_and_rings_for_records);
}
