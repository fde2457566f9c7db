/* The engine stepped by hand: Python lanes on a virtual clock, native runs on real loopback sockets. */
#include "check.h"
#include "engine_internal.h"
#include "fastprobe/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS FP_NS_PER_MS
#define S  FP_NS_PER_S

static fp_record records[4096];
static uint32_t n_records;

static fp_engine *engine_at(fp_ns now_ns, uint32_t connections, bool manual) {
    fp_engine *engine = NULL;
    const fp_engine_config config = {
        .capacity = 256,
        .connections = connections,
        .record_ring = 1024,
        .command_ring = 256,
        .events_per_step = 64,
        .tick_ns = MS,
        .notify_ns = 5 * MS,
        .manual_clock = manual,
    };
    CHECK_EQ(fp_engine_new(&engine, &config, now_ns), 0);
    return engine;
}

static void post(fp_engine *engine, fp_command command) {
    CHECK_EQ(fp_engine_post(engine, &command, 1), 1);
}

static fp_command add(uint32_t slot, uint8_t lane, fp_ns due_ns, fp_ns interval_ns, fp_ns timeout_ns, fp_target *target) {
    return (fp_command){.op = FP_CMD_ADD,
                        .slot = slot,
                        .generation = 1,
                        .lane = lane,
                        .due_ns = due_ns,
                        .first_ns = FP_NEVER,
                        .interval_ns = interval_ns,
                        .timeout_ns = timeout_ns,
                        .target = target};
}

static fp_command about(uint8_t op, uint32_t slot) {
    return (fp_command){.op = op, .slot = slot, .generation = 1, .due_ns = FP_NEVER, .first_ns = FP_NEVER};
}

/* Step until nothing is due at now_ns; the records come to `records`. */
static void step(fp_engine *engine, fp_ns now_ns) {
    while (fp_engine_step(engine, now_ns) == 0) {
    }
    CHECK_SOUND(fp_engine_check(engine));
    n_records = fp_engine_drain(engine, records, 4096);
}

static uint32_t count(uint8_t result, uint8_t reason) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_records; i++) n += records[i].result == result && records[i].reason == reason;
    return n;
}

/* Step on the host's clock until a record of this result has come, at most five seconds. */
static const fp_record *await_result(fp_engine *engine, uint32_t slot) {
    fp_ns until_ns = fp_clock_schedule() + 5 * S;
    while (fp_clock_schedule() < until_ns) {
        fp_ns next_ns = fp_engine_step(engine, fp_clock_schedule());
        n_records = fp_engine_drain(engine, records, 4096);
        for (uint32_t i = 0; i < n_records; i++)
            if (records[i].slot == slot) return &records[i];
        fp_ns soon_ns = fp_clock_schedule() + 10 * MS;
        fp_engine_wait(engine, next_ns < soon_ns ? next_ns : soon_ns);
    }
    CHECK(!"no record within five seconds");
    return NULL;
}

static int listener(struct sockaddr_in *address, int backlog) {
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    if (backlog >= 0) CHECK_EQ(listen(fd, backlog), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

#define FILLING 8

/* So many wait already that whoever connects now hears nothing, of a listener without a backlog. */
static void fill_queue(const struct sockaddr_in *address, int filling[FILLING]) {
    for (int i = 0; i < FILLING; i++) {
        filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(filling[i], (const struct sockaddr *)address, sizeof *address);
    }
    usleep(50000);
}

static void empty_queue(const int filling[FILLING]) {
    for (int i = 0; i < FILLING; i++) close(filling[i]);
}

static fp_target *tcp_target(const struct sockaddr_in *address) {
    fp_target *target = NULL;
    CHECK_EQ(fp_target_tcp(&target, (const struct sockaddr *)address, sizeof *address), 0);
    return target;
}

static void a_due_probe_of_a_python_lane_is_announced_once_until_it_finishes(void) {
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(3, FP_LANE_TASK, 100 * MS, 100 * MS, 50 * MS, NULL));
    step(engine, 99 * MS);
    CHECK_EQ(n_records, 0);
    step(engine, 100 * MS);
    CHECK_EQ(n_records, 1);
    CHECK_EQ(records[0].result, FP_EVENT_DUE);
    CHECK_EQ(records[0].started_ns, 100 * MS);
    step(engine, 150 * MS);
    CHECK_EQ(count(FP_EVENT_DEADLINE, FP_REASON_TIMEOUT), 1);
    step(engine, 200 * MS);
    CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_OVERLAP), 1);
    post(engine, about(FP_CMD_FINISH, 3));
    step(engine, 300 * MS);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
    fp_engine_free(engine);
}

static void a_timeout_as_long_as_the_interval_costs_a_python_lane_no_run(void) {
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_TASK, 100 * MS, 100 * MS, 100 * MS, NULL));
    for (fp_ns due_ns = 100 * MS; due_ns < S; due_ns += 100 * MS) {
        step(engine, due_ns); /* the run before is told to end, and this one waits for that */
        CHECK_EQ(count(FP_EVENT_DEADLINE, FP_REASON_TIMEOUT), due_ns > 100 * MS);
        CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_OVERLAP), 0);
        if (due_ns > 100 * MS) {
            CHECK_EQ(records[0].detail, FP_DEADLINE_FOR_NEXT);
            post(engine, about(FP_CMD_FINISH, 0));
            step(engine, due_ns + 5 * MS);
        }
        CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
        CHECK_EQ(records[0].started_ns, due_ns);
    }
    step(engine, S); /* it does not end: then the run that waited was an overlap */
    step(engine, S + 100 * MS);
    CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_OVERLAP), 2);
    post(engine, about(FP_CMD_FINISH, 0));
    step(engine, S + 150 * MS);
    CHECK_EQ(n_records, 0);
    fp_engine_free(engine);
}

static void nor_when_the_engine_comes_late_for_both(void) {
    fp_engine *engine = engine_at(0, 1, true);
    for (uint32_t slot = 0; slot < 6; slot++) /* more than the wheel hands out at once */
        post(engine, add(slot, FP_LANE_TASK, 100 * MS, 100 * MS, 100 * MS, NULL));
    step(engine, 100 * MS);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 6);
    step(engine, 205 * MS);
    CHECK_EQ(count(FP_EVENT_DEADLINE, FP_REASON_TIMEOUT), 6);
    CHECK_EQ(n_records, 6);
    for (uint32_t slot = 0; slot < 6; slot++) post(engine, about(FP_CMD_FINISH, slot));
    step(engine, 210 * MS);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 6);
    CHECK_EQ(records[0].started_ns, 200 * MS);
    fp_engine_free(engine);
}

static void finishing_takes_the_deadline_away(void) {
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_THREAD, 10 * MS, S, 50 * MS, NULL));
    step(engine, 10 * MS);
    post(engine, about(FP_CMD_FINISH, 0));
    step(engine, 500 * MS);
    CHECK_EQ(n_records, 0);
    fp_engine_free(engine);
}

static void a_deadline_can_be_put_off(void) {
    fp_engine *engine = engine_at(0, 1, true);
    fp_command later = about(FP_CMD_DEADLINE, 0);
    post(engine, add(0, FP_LANE_TASK, 10 * MS, S, 50 * MS, NULL));
    step(engine, 10 * MS);
    later.due_ns = 90 * MS;
    post(engine, later);
    step(engine, 80 * MS);
    CHECK_EQ(n_records, 0);
    step(engine, 90 * MS);
    CHECK_EQ(count(FP_EVENT_DEADLINE, FP_REASON_TIMEOUT), 1);
    fp_engine_free(engine);
}

static void a_suspend_of_an_hour_costs_one_run_and_one_count(void) {
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_TASK, S, S, 500 * MS, NULL));
    step(engine, S);
    post(engine, about(FP_CMD_FINISH, 0));
    step(engine, 3601 * S);
    CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_LATE), 1);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
    fp_engine_stats stats;
    fp_engine_stats_read(engine, &stats);
    CHECK_EQ(stats.clock_jumps, 1);
    fp_engine_free(engine);
}

static void an_extra_first_run_does_not_move_the_phase(void) {
    fp_engine *engine = engine_at(0, 1, true);
    fp_command command = add(0, FP_LANE_TASK, 60 * S, 60 * S, S, NULL);
    command.first_ns = 2 * S;
    post(engine, command);
    step(engine, 2 * S);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
    post(engine, about(FP_CMD_FINISH, 0));
    step(engine, 59 * S);
    CHECK_EQ(n_records, 0);
    step(engine, 60 * S);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
    fp_engine_free(engine);
}

static void jitter_delays_a_start_by_at_most_itself_and_never_hastens_it(void) {
    fp_engine *engine = engine_at(0, 1, true);
    fp_command command = add(0, FP_LANE_TASK, S, S, 100 * MS, NULL);
    command.jitter_ms = 200;
    post(engine, command);
    fp_ns least = S, most = 0;
    for (fp_ns now = MS; now < 200 * S; now += MS) {
        step(engine, now);
        if (!count(FP_EVENT_DUE, 0)) continue;
        fp_ns late = now % S;
        least = late < least ? late : least;
        most = late > most ? late : most;
        post(engine, about(FP_CMD_FINISH, 0));
    }
    CHECK(most <= 201 * MS && most > 150 * MS && least < 50 * MS);
    fp_engine_free(engine);
}

static void pausing_stops_and_running_once_still_works(void) {
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_TASK, 10 * MS, 10 * MS, 5 * MS, NULL));
    post(engine, about(FP_CMD_SCHEDULE, 0)); /* due FP_NEVER */
    step(engine, S);
    CHECK_EQ(n_records, 0);
    post(engine, about(FP_CMD_RUN, 0));
    step(engine, S);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
    post(engine, about(FP_CMD_RUN, 0));
    step(engine, S);
    CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_OVERLAP), 1);
    fp_engine_free(engine);
}

static fp_command defer(uint32_t slot, fp_ns until_ns) {
    fp_command command = about(FP_CMD_DEFER, slot);
    command.due_ns = until_ns;
    return command;
}

static void a_deferred_probe_passes_its_dues_by_on_their_phase(void) {
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_TASK, 100 * MS, 100 * MS, 50 * MS, NULL));
    post(engine, defer(0, 250 * MS));
    for (fp_ns now_ns = 100 * MS; now_ns <= 200 * MS; now_ns += 100 * MS) {
        step(engine, now_ns);
        CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_DEFERRED), 1);
        CHECK_EQ(n_records, 1);
    }
    step(engine, 300 * MS);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
    CHECK_EQ(records[0].started_ns, 300 * MS);
    fp_engine_free(engine);
}

static void a_failure_ends_the_deferral_and_hastens_one_run_however_many_follow(void) {
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_TASK, 100 * MS, 100 * MS, 50 * MS, NULL));
    post(engine, defer(0, S));
    for (fp_ns now_ns = 10 * MS; now_ns < 100 * MS; now_ns += 10 * MS) {
        post(engine, about(FP_CMD_HASTEN, 0));
        step(engine, now_ns);
        CHECK_EQ(count(FP_EVENT_DUE, 0), now_ns == 10 * MS);
        post(engine, about(FP_CMD_FINISH, 0));
    }
    step(engine, 100 * MS);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
    CHECK_EQ(records[0].started_ns, 100 * MS);
    fp_engine_free(engine);
}

static void nothing_is_hastened_while_paused(void) {
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_TASK, FP_NEVER, 100 * MS, 50 * MS, NULL));
    post(engine, about(FP_CMD_HASTEN, 0));
    step(engine, 10 * MS);
    CHECK_EQ(n_records, 0);
    fp_engine_free(engine);
}

/* One connection, held by a target that does not answer: the others wait in line. */
static void a_run_in_line_is_spared_unless_it_was_asked_for_or_hastened(void) {
    const fp_ns begin_ns = fp_clock_schedule() / MS * MS; /* as the wheel keeps it */
    struct sockaddr_in address;
    int fds[3];
    const int listening = listener(&address, 0);
    for (int i = 0; i < 3; i++) { /* fill the accept queue: what comes then is not answered */
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&address, sizeof address);
    }
    fp_engine *engine = engine_at(begin_ns, 1, true);
    for (uint32_t slot = 0; slot < 4; slot++)
        post(engine, add(slot, FP_LANE_NATIVE, begin_ns + (slot ? 20 : 10) * MS, 60 * S, 30 * S, tcp_target(&address)));
    step(engine, begin_ns + 10 * MS);
    post(engine, about(FP_CMD_RUN, 1));
    post(engine, about(FP_CMD_HASTEN, 2));
    step(engine, begin_ns + 11 * MS);
    post(engine, defer(1, begin_ns + S));
    post(engine, defer(2, begin_ns + S));
    step(engine, begin_ns + 12 * MS);
    CHECK_EQ(n_records, 0);
    step(engine, begin_ns + 20 * MS); /* 1 and 2 lose their places to this due; 3 joins the line */
    CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_DEFERRED), 0);
    post(engine, defer(3, begin_ns + S));
    step(engine, begin_ns + 21 * MS);
    CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_DEFERRED), 1);
    CHECK_EQ(records[0].slot, 3);
    for (int i = 0; i < 3; i++) close(fds[i]);
    close(listening);
    fp_engine_free(engine);
}

static void commands_of_another_generation_do_nothing_and_are_counted(void) {
    fp_engine *engine = engine_at(0, 1, true);
    fp_command old = about(FP_CMD_RUN, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    post(engine, add(0, FP_LANE_TASK, FP_NEVER, S, S, NULL));
    old.generation = 7;
    post(engine, old);
    old.op = FP_CMD_TARGET;
    old.target = tcp_target(&address); /* freed all the same: ASan sees */
    post(engine, old);
    step(engine, MS);
    CHECK_EQ(n_records, 0);
    fp_engine_stats stats;
    fp_engine_stats_read(engine, &stats);
    CHECK_EQ(stats.commands_stale, 2);
    fp_engine_free(engine);
}

static void a_full_record_ring_is_counted_and_locks_no_slot(void) {
    fp_engine *engine = engine_at(0, 1, true);
    for (uint32_t slot = 0; slot < 200; slot++) post(engine, add(slot, FP_LANE_TASK, 10 * MS, 10 * MS, 10 * S, NULL));
    for (fp_ns now = 0; now <= 20 * 10 * MS; now += MS)
        while (fp_engine_step(engine, now) == 0) {
        }
    fp_engine_stats stats;
    fp_engine_stats_read(engine, &stats);
    CHECK(stats.records_dropped > 0);
    CHECK_EQ(fp_engine_drain(engine, records, 4096), 1024);
    CHECK_SOUND(fp_engine_check(engine));
    fp_engine_free(engine);
}

static void a_listening_target_passes_and_its_socket_is_used_again(void) {
    struct sockaddr_in address;
    int server = listener(&address, 64);
    fp_engine *engine = engine_at(fp_clock_schedule(), 4, false);
    post(engine, add(0, FP_LANE_NATIVE, fp_clock_schedule(), 20 * MS, 15 * MS, tcp_target(&address)));
    for (int run = 0; run < 5; run++) {
        const fp_record *record = await_result(engine, 0);
        CHECK_EQ(record->result, FP_OK);
        CHECK(record->latency_ns > 0 && record->latency_ns < S);
    }
    fp_engine_stats stats;
    fp_engine_stats_read(engine, &stats);
    CHECK_EQ(stats.connections_opened, 1);
    CHECK(stats.connections_reused >= 4);
    CHECK_SOUND(fp_engine_check(engine));
    fp_engine_free(engine);
    close(server);
}

static void an_idle_disconnected_socket_wakes_nobody(void) {
    struct sockaddr_in address;
    int server = listener(&address, 64);
    fp_engine *engine = engine_at(fp_clock_schedule(), 4, false);
    post(engine, add(0, FP_LANE_NATIVE, fp_clock_schedule(), 3600 * S, S, tcp_target(&address)));
    await_result(engine, 0);
    while (fp_engine_step(engine, fp_clock_schedule()) == 0) {
    }
    struct pollfd watched = {.fd = fp_engine_poll_fd(engine), .events = POLLIN};
    fp_engine_step(engine, fp_clock_schedule());
    CHECK_EQ(poll(&watched, 1, 50), 0);
    fp_engine_free(engine);
    close(server);
}

static void a_refusing_target_fails_with_its_errno(void) {
    struct sockaddr_in address;
    int server = listener(&address, -1); /* bound, nobody listens */
    fp_engine *engine = engine_at(fp_clock_schedule(), 4, false);
    post(engine, add(9, FP_LANE_NATIVE, fp_clock_schedule(), S, 500 * MS, tcp_target(&address)));
    const fp_record *record = await_result(engine, 9);
    CHECK_EQ(record->result, FP_FAIL);
    CHECK_EQ(record->reason, FP_REASON_CONNECT_REFUSED);
    CHECK_EQ(record->detail, ECONNREFUSED);
    CHECK_SOUND(fp_engine_check(engine));
    fp_engine_free(engine);
    close(server);
}

static void a_target_that_resets_once_it_has_accepted_was_reached(void) {
    const struct linger reset_on_close = {.l_onoff = 1, .l_linger = 0};
    struct sockaddr_in address;
    int server = listener(&address, 64);
    fp_engine *engine = engine_at(fp_clock_schedule(), 4, false);
    post(engine, add(0, FP_LANE_NATIVE, fp_clock_schedule(), S, 500 * MS, tcp_target(&address)));
    post(engine, about(FP_CMD_RUN, 0));
    fp_engine_step(engine, fp_clock_schedule()); /* starts to connect, and has not looked yet when the reset comes */
    int accepted = accept(server, NULL, NULL);
    CHECK_EQ(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close), 0);
    close(accepted);
    CHECK_EQ(await_result(engine, 0)->result, FP_OK);
    CHECK_SOUND(fp_engine_check(engine));
    fp_engine_free(engine);
    close(server);
}

static void a_full_accept_queue_is_a_connect_timeout(void) {
    struct sockaddr_in address;
    int server = listener(&address, 0), filling[FILLING];
    fill_queue(&address, filling);
    fp_engine *engine = engine_at(fp_clock_schedule(), 4, false);
    post(engine, add(0, FP_LANE_NATIVE, fp_clock_schedule(), S, 200 * MS, tcp_target(&address)));
    const fp_record *record = await_result(engine, 0);
    CHECK_EQ(record->result, FP_TIMEOUT);
    CHECK_EQ(record->reason, FP_REASON_CONNECT_TIMEOUT);
    CHECK(record->latency_ns >= 199 * MS);
    fp_engine_free(engine);
    empty_queue(filling);
    close(server);
}

static void who_finds_no_connection_waits_in_line_and_is_skipped_when_patience_ends(void) {
    struct sockaddr_in address;
    int server = listener(&address, 0), filling[FILLING];
    fill_queue(&address, filling);
    fp_ns now_ns = fp_clock_schedule();
    fp_engine *engine = engine_at(now_ns, 1, false); /* one connection, held for three seconds by the first */
    post(engine, add(0, FP_LANE_NATIVE, now_ns, 60 * S, 3 * S, tcp_target(&address)));
    post(engine, add(1, FP_LANE_NATIVE, now_ns + 5 * MS, 60 * S, 100 * MS, tcp_target(&address)));
    const fp_record *record = await_result(engine, 1);
    CHECK_EQ(record->result, FP_EVENT_SKIPPED);
    CHECK_EQ(record->reason, FP_REASON_SATURATED);
    CHECK_SOUND(fp_engine_check(engine));
    fp_engine_free(engine);
    empty_queue(filling);
    close(server);
}

static void running_out_of_descriptors_is_our_fault_and_skipped(void) {
    struct sockaddr_in address;
    struct rlimit before, tight;
    int server = listener(&address, 64);
    fp_engine *engine = engine_at(fp_clock_schedule(), 4, false);
    post(engine, add(0, FP_LANE_NATIVE, fp_clock_schedule(), S, 500 * MS, tcp_target(&address)));
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(server);
    close(next);
    tight = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    const fp_record *record = await_result(engine, 0);
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK_EQ(record->result, FP_EVENT_SKIPPED);
    CHECK_EQ(record->reason, FP_REASON_DESCRIPTORS);
    CHECK_SOUND(fp_engine_check(engine));
    fp_engine_free(engine);
    close(server);
}

static void an_unresolved_target_says_so_at_once(void) {
    fp_target *target = NULL;
    CHECK_EQ(fp_target_unresolved(&target, FP_FAIL, FP_REASON_DNS_NXDOMAIN), 0);
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_NATIVE, MS, S, S, target));
    step(engine, MS);
    CHECK_EQ(count(FP_FAIL, FP_REASON_DNS_NXDOMAIN), 1);
    fp_engine_free(engine);
}

static void a_target_replaced_in_flight_is_freed_after_its_run(void) {
    struct sockaddr_in silent, good;
    int full = listener(&silent, 0), server = listener(&good, 64), filling[FILLING];
    fill_queue(&silent, filling);
    fp_ns now_ns = fp_clock_schedule();
    fp_engine *engine = engine_at(now_ns, 2, false);
    post(engine, add(0, FP_LANE_NATIVE, now_ns, 300 * MS, 200 * MS, tcp_target(&silent)));
    for (int i = 0; i < 20; i++) fp_engine_step(engine, fp_clock_schedule());
    for (int i = 0; i < 3; i++) {
        fp_command command = about(FP_CMD_TARGET, 0);
        command.target = tcp_target(&good);
        post(engine, command);
    }
    CHECK_EQ(await_result(engine, 0)->reason, FP_REASON_CONNECT_TIMEOUT);
    CHECK_EQ(await_result(engine, 0)->result, FP_OK);
    CHECK_SOUND(fp_engine_check(engine));
    fp_engine_free(engine);
    empty_queue(filling);
    close(full);
    close(server);
}

static void removing_in_flight_leaves_no_record_and_no_leak(void) {
    struct sockaddr_in address;
    int server = listener(&address, 64);
    fp_ns now_ns = fp_clock_schedule();
    fp_engine *engine = engine_at(now_ns, 2, false);
    for (int round = 0; round < 50; round++) {
        post(engine, add(0, FP_LANE_NATIVE, now_ns, S, S, tcp_target(&address)));
        post(engine, about(FP_CMD_RUN, 0));
        post(engine, about(FP_CMD_REMOVE, 0));
        step(engine, fp_clock_schedule());
        CHECK_EQ(n_records, 0);
    }
    fp_engine_free(engine);
    close(server);
}

static void the_reader_is_told_once_a_period_and_again_for_what_it_leaves(void) {
    fp_engine *engine = engine_at(0, 1, true);
    struct pollfd news = {.fd = fp_engine_notify_fd(engine), .events = POLLIN};
    for (uint32_t slot = 0; slot < 8; slot++) post(engine, add(slot, FP_LANE_TASK, 10 * MS, S, S, NULL));
    while (fp_engine_step(engine, 10 * MS) == 0) {
    }
    CHECK_EQ(poll(&news, 1, 0), 0); /* waits for company */
    while (fp_engine_step(engine, 15 * MS) == 0) {
    }
    CHECK_EQ(poll(&news, 1, 0), 1);
    CHECK_EQ(fp_engine_drain(engine, records, 5), 5);
    CHECK_EQ(poll(&news, 1, 0), 1);
    CHECK_EQ(fp_engine_drain(engine, records, 5), 3);
    CHECK_EQ(poll(&news, 1, 0), 0);
    fp_engine_free(engine);
}

/* On a clock that stands still, until the probe has ended this many runs. */
static void step_until_finished(fp_engine *engine, fp_ns now_ns, uint64_t runs) {
    fp_ns until_ns = fp_clock_schedule() + 5 * S;
    fp_engine_stats stats;
    do {
        fp_engine_step(engine, now_ns);
        fp_engine_stats_read(engine, &stats);
    } while (stats.runs_finished < runs && fp_clock_schedule() < until_ns);
    CHECK_EQ(stats.runs_finished, runs);
}

/* Whether the reader is told by `by_ns`, and not a millisecond before, of this probe's next run, due at `due_ns`. */
static void told_at(fp_engine *engine, fp_ns due_ns, uint64_t runs, fp_ns by_ns) {
    struct pollfd news = {.fd = fp_engine_notify_fd(engine), .events = POLLIN};
    step_until_finished(engine, due_ns, runs);
    fp_engine_step(engine, by_ns - MS);
    CHECK_EQ(poll(&news, 1, 0), 0);
    fp_engine_step(engine, by_ns);
    CHECK_EQ(poll(&news, 1, 0), 1);
    CHECK_EQ(fp_engine_drain(engine, records, 8), 1);
}

static void routine_waits_twenty_periods_and_what_is_news_or_asked_for_one(void) {
    struct sockaddr_in address;
    int server = listener(&address, 64);
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_NATIVE, 10 * MS, 200 * MS, 50 * MS, tcp_target(&address)));
    told_at(engine, 10 * MS, 1, 15 * MS);   /* the first to pass is news, */
    told_at(engine, 210 * MS, 2, 215 * MS); /* and so is the second: a state may have waited for it */
    told_at(engine, 410 * MS, 3, 510 * MS);
    post(engine, about(FP_CMD_RUN, 0));
    told_at(engine, 520 * MS, 4, 525 * MS);
    told_at(engine, 610 * MS, 5, 710 * MS); /* routine again */
    fp_engine_free(engine);
    close(server);
}

/* Who asks for a run that waits or is in flight already is answered by its record. */
static void a_run_that_was_under_way_when_it_was_asked_for_is_no_routine(void) {
    struct sockaddr_in address, full;
    int server = listener(&address, 64), hung = listener(&full, 0), filling[FILLING];
    fill_queue(&full, filling);
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_NATIVE, 10 * MS, 200 * MS, 50 * MS, tcp_target(&address)));
    told_at(engine, 10 * MS, 1, 15 * MS);
    told_at(engine, 210 * MS, 2, 215 * MS);
    told_at(engine, 410 * MS, 3, 510 * MS);
    post(engine, add(1, FP_LANE_NATIVE, 600 * MS, 60 * S, 3 * S, tcp_target(&full))); /* holds the one connection */
    step(engine, 600 * MS);
    step(engine, 610 * MS);
    post(engine, about(FP_CMD_RUN, 0));
    step(engine, 610 * MS);
    CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_OVERLAP), 1);
    step(engine, 615 * MS);
    post(engine, about(FP_CMD_REMOVE, 1));
    told_at(engine, 620 * MS, 4, 625 * MS);
    told_at(engine, 810 * MS, 5, 910 * MS); /* routine again */
    fp_engine_free(engine);
    empty_queue(filling);
    close(hung);
    close(server);
}

/* Or a probe that is looked at more often would be stale by our own waiting. */
static void routine_waits_no_longer_than_the_interval(void) {
    struct sockaddr_in address;
    int server = listener(&address, 64);
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_NATIVE, 10 * MS, 30 * MS, 20 * MS, tcp_target(&address)));
    told_at(engine, 10 * MS, 1, 15 * MS);
    told_at(engine, 40 * MS, 2, 45 * MS);
    step_until_finished(engine, 70 * MS, 3);
    fp_engine_step(engine, 100 * MS);
    CHECK_EQ(poll(&(struct pollfd){.fd = fp_engine_notify_fd(engine), .events = POLLIN}, 1, 0), 1);
    fp_engine_free(engine);
    close(server);
}

/* Who paused it meant the schedule, not the run that somebody waits for. */
static void a_run_in_line_that_was_asked_for_outlives_a_pause(void) {
    struct sockaddr_in address;
    int server = listener(&address, 64);
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_NATIVE, 10 * MS, S, 900 * MS, tcp_target(&address)));
    post(engine, add(1, FP_LANE_NATIVE, 10 * S, 10 * S, 900 * MS, tcp_target(&address)));
    post(engine, add(2, FP_LANE_NATIVE, 10 * MS, 10 * S, 900 * MS, tcp_target(&address)));
    fp_engine_step(engine, 10 * MS); /* one of them connects, the other is in line */
    post(engine, about(FP_CMD_RUN, 1));
    fp_engine_step(engine, 10 * MS);
    post(engine, about(FP_CMD_SCHEDULE, 1)); /* due FP_NEVER */
    step_until_finished(engine, 11 * MS, 3);
    CHECK_SOUND(fp_engine_check(engine));
    n_records = fp_engine_drain(engine, records, 4096);
    CHECK_EQ(count(FP_OK, FP_REASON_NONE), 3);
    fp_engine_free(engine);
    close(server);
}

/* The host slept in the middle of it: what came to nothing is run again for whoever asked. */
static void a_run_that_was_asked_for_and_is_late_is_run_again(void) {
    struct sockaddr_in address;
    int server = listener(&address, 0), filling[FILLING];
    fill_queue(&address, filling);
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_NATIVE, FP_NEVER, S, 100 * MS, tcp_target(&address)));
    post(engine, about(FP_CMD_RUN, 0));
    step(engine, 10 * MS);
    step(engine, 10 * S);
    CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_LATE), 1);
    step(engine, 11 * S);
    CHECK_EQ(count(FP_TIMEOUT, FP_REASON_CONNECT_TIMEOUT), 1);
    fp_engine_free(engine);
    empty_queue(filling);
    close(server);
}

static void a_run_of_a_python_lane_that_was_asked_for_stays_in_line_through_a_pause(void) {
    fp_engine *engine = engine_at(0, 1, true);
    fp_engine_budget(engine, 0, &(fp_budget){.max_in_flight = 1});
    post(engine, add(0, FP_LANE_TASK, 10 * MS, S, 900 * MS, NULL));
    post(engine, add(1, FP_LANE_TASK, 20 * MS, 10 * S, 900 * MS, NULL));
    step(engine, 30 * MS); /* one of them runs, the other is in line */
    CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
    post(engine, about(FP_CMD_RUN, 1));
    step(engine, 30 * MS);
    post(engine, about(FP_CMD_SCHEDULE, 1)); /* due FP_NEVER */
    post(engine, about(FP_CMD_FINISH, 0));
    step(engine, 40 * MS);
    CHECK_EQ(count(FP_EVENT_DUE, 0), 1);
    fp_engine_free(engine);
}

static void what_a_stop_ends_is_skipped(void) {
    struct sockaddr_in address;
    int server = listener(&address, 0), filling[FILLING];
    fill_queue(&address, filling);
    fp_engine *engine = engine_at(0, 1, true);
    post(engine, add(0, FP_LANE_NATIVE, 10 * MS, 60 * S, 3 * S, tcp_target(&address))); /* holds the one connection */
    post(engine, add(1, FP_LANE_NATIVE, 20 * MS, 60 * S, 3 * S, tcp_target(&address))); /* in line for it */
    post(engine, add(2, FP_LANE_NATIVE, 30 * S, 60 * S, 3 * S, tcp_target(&address)));  /* not due */
    step(engine, 30 * MS);
    CHECK_EQ(n_records, 0);
    CHECK_EQ(fp_engine_stop(engine), 0);
    CHECK_SOUND(fp_engine_check(engine));
    n_records = fp_engine_drain(engine, records, 4096);
    CHECK_EQ(n_records, 2);
    CHECK_EQ(count(FP_EVENT_SKIPPED, FP_REASON_SHUTTING_DOWN), 2);
    CHECK_EQ(fp_engine_stop(engine), 0);
    CHECK_EQ(fp_engine_drain(engine, records, 4096), 0);
    fp_engine_free(engine);
    empty_queue(filling);
    close(server);
}

/* They would tell of sockets that the stop has closed. */
static void a_stopped_engine_remembers_no_event(void) {
    fp_engine *engine = engine_at(0, 1, true);
    CHECK_EQ(fp_engine_start(engine), 0);
    while (!atomic_load(&engine->asleep)) sched_yield();
    CHECK_EQ(fp_engine_stop(engine), 0); /* the bell that ends its sleep is such an event */
    CHECK_EQ(engine->n_events, 0);
    fp_engine_free(engine);
}

int main(void) {
    RUN(a_due_probe_of_a_python_lane_is_announced_once_until_it_finishes);
    RUN(a_timeout_as_long_as_the_interval_costs_a_python_lane_no_run);
    RUN(nor_when_the_engine_comes_late_for_both);
    RUN(finishing_takes_the_deadline_away);
    RUN(a_deadline_can_be_put_off);
    RUN(a_suspend_of_an_hour_costs_one_run_and_one_count);
    RUN(an_extra_first_run_does_not_move_the_phase);
    RUN(jitter_delays_a_start_by_at_most_itself_and_never_hastens_it);
    RUN(pausing_stops_and_running_once_still_works);
    RUN(a_deferred_probe_passes_its_dues_by_on_their_phase);
    RUN(a_failure_ends_the_deferral_and_hastens_one_run_however_many_follow);
    RUN(nothing_is_hastened_while_paused);
    RUN(a_run_in_line_is_spared_unless_it_was_asked_for_or_hastened);
    RUN(commands_of_another_generation_do_nothing_and_are_counted);
    RUN(a_full_record_ring_is_counted_and_locks_no_slot);
    RUN(a_listening_target_passes_and_its_socket_is_used_again);
    RUN(an_idle_disconnected_socket_wakes_nobody);
    RUN(a_refusing_target_fails_with_its_errno);
    RUN(a_target_that_resets_once_it_has_accepted_was_reached);
    RUN(a_full_accept_queue_is_a_connect_timeout);
    RUN(who_finds_no_connection_waits_in_line_and_is_skipped_when_patience_ends);
    RUN(running_out_of_descriptors_is_our_fault_and_skipped);
    RUN(an_unresolved_target_says_so_at_once);
    RUN(a_target_replaced_in_flight_is_freed_after_its_run);
    RUN(removing_in_flight_leaves_no_record_and_no_leak);
    RUN(the_reader_is_told_once_a_period_and_again_for_what_it_leaves);
    RUN(routine_waits_twenty_periods_and_what_is_news_or_asked_for_one);
    RUN(a_run_that_was_under_way_when_it_was_asked_for_is_no_routine);
    RUN(routine_waits_no_longer_than_the_interval);
    RUN(a_run_in_line_that_was_asked_for_outlives_a_pause);
    RUN(a_run_that_was_asked_for_and_is_late_is_run_again);
    RUN(a_run_of_a_python_lane_that_was_asked_for_stays_in_line_through_a_pause);
    RUN(what_a_stop_ends_is_skipped);
    RUN(a_stopped_engine_remembers_no_event);
    return 0;
}
