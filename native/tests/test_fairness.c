/* Groups that share an engine: what happens to one is not felt by another. Real loopback sockets on a clock of the test's own.
 */
#include "check.h"
#include "fastprobe/engine.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS          FP_NS_PER_MS
#define S           FP_NS_PER_S
#define SLOTS       512u
#define CONNECTIONS 32u

enum { A = 1, B = 2, C = 3, GROUPS = 4 };

typedef struct told { /* of one group, since the last look */
    uint32_t ok, timeouts, due, late, saturated, over_budget, overlapped;
} told;

typedef struct world {
    fp_engine *engine;
    fp_ns now_ns;
    uint32_t n;
    uint8_t group[SLOTS];
    uint32_t runs[SLOTS];
    uint32_t ends_in[SLOTS]; /* steps, of a Python lane's run */
    told told[GROUPS];
    int silent; /* its accept queue is full: who connects to it hears nothing */
    int filling[4];
    int answering;
    struct sockaddr_in silence;
    struct sockaddr_in answer;
} world;

static int listener(struct sockaddr_in *address, int backlog) {
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    CHECK_EQ(listen(fd, backlog), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static world begin(void) {
    world made = {.now_ns = S};
    const fp_engine_config config = {
        .capacity = SLOTS,
        .connections = CONNECTIONS,
        .record_ring = 8192,
        .command_ring = 1024,
        .events_per_step = 64,
        .tick_ns = MS,
        .manual_clock = true,
        .groups = GROUPS,
    };
    CHECK_EQ(fp_engine_new(&made.engine, &config, made.now_ns), 0);
    made.silent = listener(&made.silence, 0);
    made.answering = listener(&made.answer, 1024);
    for (int i = 0; i < 4; i++) {
        made.filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(made.filling[i], (struct sockaddr *)&made.silence, sizeof made.silence);
    }
    usleep(50000); /* for the kernel alone: the queue is full when the handshakes of the first two are done */
    return made;
}

static void end(world *it) {
    CHECK_SOUND(fp_engine_check(it->engine));
    fp_engine_free(it->engine);
    for (int i = 0; i < 4; i++) close(it->filling[i]);
    close(it->silent);
    close(it->answering);
}

/* n probes of a group, spread evenly over their interval. */
static void add(world *it, uint8_t group, uint8_t lane, uint32_t n, fp_ns interval_ns, fp_ns timeout_ns,
                const struct sockaddr_in *address) {
    for (uint32_t i = 0; i < n; i++) {
        fp_target *target = NULL;
        if (lane == FP_LANE_NATIVE) CHECK_EQ(fp_target_tcp(&target, (const struct sockaddr *)address, sizeof *address), 0);
        const fp_command command = {.op = FP_CMD_ADD,
                                    .slot = it->n,
                                    .generation = 1,
                                    .lane = lane,
                                    .group = group,
                                    .due_ns = it->now_ns + MS + interval_ns * i / n,
                                    .first_ns = FP_NEVER,
                                    .interval_ns = interval_ns,
                                    .timeout_ns = timeout_ns,
                                    .target = target};
        it->group[it->n++] = group;
        CHECK_EQ(fp_engine_post(it->engine, &command, 1), 1);
    }
}

static void finish(world *it, uint32_t slot) {
    const fp_command command = {.op = FP_CMD_FINISH, .slot = slot, .generation = 1, .due_ns = FP_NEVER};
    CHECK_EQ(fp_engine_post(it->engine, &command, 1), 1);
}

static void take(world *it, const fp_record *record) {
    told *of = &it->told[it->group[record->slot]];
    of->ok += record->result == FP_OK;
    of->timeouts += record->result == FP_TIMEOUT;
    of->late += record->result < FP_RESULTS && record->lag_us > 1000;
    of->due += record->result == FP_EVENT_DUE;
    it->runs[record->slot] += record->result < FP_RESULTS || record->result == FP_EVENT_DUE;
    if (record->result != FP_EVENT_SKIPPED) return;
    of->saturated += record->reason == FP_REASON_SATURATED ? record->detail : 0;
    of->over_budget += record->reason == FP_REASON_BUDGET ? record->detail : 0;
    of->overlapped += record->reason == FP_REASON_OVERLAP ? record->detail : 0;
}

/* Runs of Python lanes take `lasting` steps of a millisecond; 0: they end at once. */
static void pass(world *it, fp_ns for_ns, uint32_t lasting) {
    static fp_record records[4096];
    uint32_t *ends_in = it->ends_in;
    for (const fp_ns until_ns = it->now_ns + for_ns; it->now_ns < until_ns;) {
        it->now_ns += MS;
        uint32_t steps = 0;
        while (fp_engine_step(it->engine, it->now_ns) == 0) CHECK(++steps < 1000); /* or it spins over what cannot move */
        for (uint32_t slot = 0; slot < it->n; slot++)
            if (ends_in[slot] && --ends_in[slot] == 0) finish(it, slot);
        const uint32_t n = fp_engine_drain(it->engine, records, 4096);
        for (uint32_t i = 0; i < n; i++) {
            take(it, &records[i]);
            if (records[i].result == FP_EVENT_DUE && lasting) ends_in[records[i].slot] = lasting;
            if (records[i].result == FP_EVENT_DUE && !lasting) finish(it, records[i].slot);
        }
        for (int fd; (fd = accept4(it->answering, NULL, NULL, SOCK_CLOEXEC)) >= 0;) close(fd);
        if (it->now_ns % (100 * MS) == 0) CHECK_SOUND(fp_engine_check(it->engine));
    }
}

static fp_group_stats stats(const world *it, uint32_t group) {
    fp_group_stats read;
    fp_engine_group_stats_read(it->engine, group, &read);
    return read;
}

static void a_black_hole_with_ten_times_the_probes_is_not_felt_by_another_group(void) {
    world it = begin();
    add(&it, A, FP_LANE_NATIVE, 400, S, S, &it.silence);
    add(&it, B, FP_LANE_NATIVE, 40, S, S, &it.answer);
    pass(&it, 20 * S, 0);
    CHECK_EQ(it.told[B].ok, 40 * 20);
    CHECK_EQ(it.told[B].late, 0);
    CHECK_EQ(it.told[B].saturated + it.told[B].over_budget + it.told[B].overlapped, 0);
    CHECK_EQ(it.told[A].ok, 0);
    CHECK(it.told[A].timeouts > 20 * CONNECTIONS / 2); /* and uses what it may */
    CHECK(it.told[A].saturated > 0);
    CHECK_EQ(stats(&it, A).skipped_saturated, it.told[A].saturated);
    CHECK_EQ(stats(&it, B).waited, 0);
    end(&it);
}

static void two_black_holes_share_and_leave_something_for_a_third(void) {
    world it = begin();
    add(&it, A, FP_LANE_NATIVE, 200, S, S, &it.silence);
    add(&it, C, FP_LANE_NATIVE, 50, S, S, &it.silence);
    add(&it, B, FP_LANE_NATIVE, 20, S, S, &it.answer);
    pass(&it, 10 * S, 0);
    const uint64_t of_a = stats(&it, A).in_flight, of_c = stats(&it, C).in_flight;
    CHECK_EQ(it.told[B].ok, 20 * 10);
    CHECK_EQ(it.told[B].late, 0);
    CHECK(of_a <= of_c + 2 && of_c <= of_a + 2); /* however many more probes one has */
    CHECK(of_a + of_c < CONNECTIONS);
    end(&it);
}

static void one_group_alone_may_hold_every_connection(void) {
    world it = begin();
    add(&it, A, FP_LANE_NATIVE, 100, S, S, &it.silence);
    pass(&it, 900 * MS, 0);
    CHECK_EQ(stats(&it, A).in_flight, CONNECTIONS);
    end(&it);
}

static void what_a_group_leaves_others_may_use_again(void) {
    world it = begin();
    add(&it, A, FP_LANE_NATIVE, 100, S, S, &it.silence);
    add(&it, B, FP_LANE_NATIVE, 1, S, S, &it.answer);
    pass(&it, 3 * S, 0);
    const fp_command gone = {.op = FP_CMD_REMOVE, .slot = 100, .generation = 1};
    CHECK_EQ(fp_engine_post(it.engine, &gone, 1), 1);
    pass(&it, 3 * S, 0);
    CHECK_EQ(stats(&it, A).in_flight, CONNECTIONS);
    end(&it);
}

static void no_more_runs_of_a_group_are_in_flight_than_its_budget_allows(void) {
    world it = begin();
    fp_engine_budget(it.engine, A, &(fp_budget){.max_in_flight = 5});
    add(&it, A, FP_LANE_NATIVE, 60, S, S, &it.silence);
    add(&it, A, FP_LANE_TASK, 60, S, S, NULL);
    for (int i = 0; i < 100; i++) {
        pass(&it, 50 * MS, 30);
        CHECK(stats(&it, A).in_flight <= 5);
    }
    CHECK(it.told[A].timeouts > 0 && it.told[A].due > 0); /* neither lane crowds out the other */
    CHECK_EQ(it.told[A].saturated, 0);
    CHECK_EQ(stats(&it, A).skipped_budget, it.told[A].over_budget);
    end(&it);
}

static void a_rate_is_kept_every_due_is_told_of_and_every_probe_has_its_turn(void) {
    world it = begin();
    fp_engine_budget(it.engine, A, &(fp_budget){.every_ns = 50 * MS, .burst_ns = 100 * MS});
    add(&it, A, FP_LANE_TASK, 20, 500 * MS, 200 * MS, NULL); /* twice what the rate allows */
    add(&it, B, FP_LANE_TASK, 20, 500 * MS, 200 * MS, NULL);
    pass(&it, 60 * S, 0);
    CHECK(it.told[A].due >= 60 * 20 - 1 && it.told[A].due <= 60 * 20 + 3);
    CHECK(it.told[A].due + it.told[A].over_budget + stats(&it, A).waiting >= 60 * 40);
    CHECK_EQ(it.told[A].saturated, 0);
    for (uint32_t slot = 0; slot < 20; slot++) CHECK(it.runs[slot] >= 55 && it.runs[slot] <= 65);
    CHECK_EQ(it.told[B].due, 60 * 40);
    CHECK_EQ(it.told[B].over_budget, 0);
    end(&it);
}

static void a_heavier_group_has_more_turns(void) {
    world it = begin();
    fp_engine_budget(it.engine, C, &(fp_budget){.weight = 3});
    add(&it, A, FP_LANE_NATIVE, 200, S, S, &it.silence);
    add(&it, C, FP_LANE_NATIVE, 200, S, S, &it.silence);
    pass(&it, 5 * S, 0);
    CHECK(stats(&it, C).in_flight >= 2 * stats(&it, A).in_flight);
    CHECK(stats(&it, A).in_flight > 0);
    end(&it);
}

/* Whatever is done to them, lines and counts stay whole: fp_engine_check looks after each step. */
static void groups_stay_sound_in_any_weather(void) {
    check_rng rng = check_seed(7);
    world it = begin();
    fp_engine_budget(it.engine, A, &(fp_budget){.max_in_flight = 3, .every_ns = 7 * MS});
    fp_engine_budget(it.engine, C, &(fp_budget){.max_in_flight = 40, .weight = 2});
    uint32_t generation[SLOTS] = {0};
    for (int i = 0; i < 4000; i++) {
        const uint32_t slot = (uint32_t)check_below(&rng, 64);
        const uint8_t lane = check_below(&rng, 3) ? FP_LANE_NATIVE : FP_LANE_TASK;
        static const uint8_t OPS[] = {FP_CMD_ADD, FP_CMD_REMOVE, FP_CMD_RUN, FP_CMD_RUN, FP_CMD_FINISH, FP_CMD_SCHEDULE};
        fp_command command = {.op = OPS[check_below(&rng, sizeof OPS)], .slot = slot, .first_ns = FP_NEVER};
        command.due_ns = check_below(&rng, 5) ? it.now_ns + check_below(&rng, 40) * MS : FP_NEVER;
        command.interval_ns = (10 + check_below(&rng, 100)) * MS;
        command.timeout_ns = (1 + check_below(&rng, 80)) * MS;
        if (command.op == FP_CMD_ADD) {
            const struct sockaddr_in *address = check_below(&rng, 2) ? &it.silence : &it.answer;
            generation[slot]++;
            command.lane = lane;
            command.group = (uint32_t)check_below(&rng, GROUPS);
            it.group[slot] = (uint8_t)command.group;
            if (lane == FP_LANE_NATIVE)
                CHECK_EQ(fp_target_tcp(&command.target, (const struct sockaddr *)address, sizeof *address), 0);
        }
        command.generation = generation[slot];
        if (command.generation) CHECK_EQ(fp_engine_post(it.engine, &command, 1), 1);
        pass(&it, check_below(&rng, 4) * MS, 0);
        CHECK_SOUND(fp_engine_check(it.engine));
    }
    end(&it);
}

int main(void) {
    RUN(a_black_hole_with_ten_times_the_probes_is_not_felt_by_another_group);
    RUN(two_black_holes_share_and_leave_something_for_a_third);
    RUN(one_group_alone_may_hold_every_connection);
    RUN(what_a_group_leaves_others_may_use_again);
    RUN(no_more_runs_of_a_group_are_in_flight_than_its_budget_allows);
    RUN(a_rate_is_kept_every_due_is_told_of_and_every_probe_has_its_turn);
    RUN(a_heavier_group_has_more_turns);
    RUN(groups_stay_sound_in_any_weather);
    return 0;
}
