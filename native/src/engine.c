/* The engine as a whole: making it, one step of it, and the thread that steps it. */
#include "engine_internal.h"
#include "fastprobe/clock.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#define WAKE_TAG  UINT64_MAX
#define CPU_EVERY 1024u

fp_ns fp_engine_latency_clock(const fp_engine *engine) {
    return engine->config.manual_clock ? engine->now_ns : fp_clock_latency();
}

void fp_engine_arm(fp_engine *engine, uint32_t timer, fp_ns due_ns, fp_ns interval_ns) {
    int out_of_reach = fp_wheel_arm(engine->wheel, timer, due_ns, interval_ns);
    assert(!out_of_reach); /* intervals and delays are bounded far below the wheel's reach where they are configured */
    (void)out_of_reach;
}

/* -- making --------------------------------------------------------------------------------------------------------------- */

static bool power_of_two(uint32_t n) {
    return n && !(n & (n - 1));
}

static int make_parts(fp_engine *engine, fp_ns now_ns) {
    const fp_engine_config *config = &engine->config;
    int error = fp_wheel_new(&engine->wheel, 2 * config->capacity + config->groups, config->tick_ns, now_ns);
    if (!error) error = fp_ring_new(&engine->commands, config->command_ring, sizeof(fp_command));
    if (!error) error = fp_ring_new(&engine->records, config->record_ring, sizeof(fp_record));
    if (!error) error = fp_ring_new(&engine->traces, FP_TRACE_RING, sizeof(fp_trace));
    if (!error) error = fp_poll_new(&engine->poll);
    if (error) return error;
    engine->slots = fp_reserve(engine->slots_bytes);
    engine->connections = fp_reserve(engine->connections_bytes);
    engine->groups = fp_reserve(engine->groups_bytes);
    if (!engine->slots || !engine->connections || !engine->groups) return -ENOMEM;
    fp_connections_init(engine);
    fp_groups_init(engine);
    error = fp_bell_new(&engine->notify);
    if (!error) error = fp_bell_new(&engine->wake);
    return error ? error : fp_poll_add_bell(engine->poll, engine->wake.fd, WAKE_TAG);
}

int fp_engine_new(fp_engine **engine, const fp_engine_config *config, fp_ns now_ns) {
    if (!config->capacity || config->capacity > (UINT32_MAX - FP_GROUPS_MAX) / 2 || config->groups > FP_GROUPS_MAX ||
        !config->connections || !power_of_two(config->record_ring) || !power_of_two(config->command_ring) ||
        !config->events_per_step || config->events_per_step > FP_STEP_MAX)
        return -EINVAL;
    fp_engine *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->config = *config;
    if (!made->config.groups) made->config.groups = 1;
    made->slots_bytes = (size_t)config->capacity * sizeof(fp_slot);
    made->connections_bytes = (size_t)config->connections * sizeof(fp_connection);
    made->groups_bytes = (size_t)made->config.groups * sizeof(fp_group);
    made->now_ns = now_ns;
    made->tell_by_ns = FP_NEVER;
    made->notify = made->wake = (fp_bell){-1, -1};
    made->random = now_ns | 1; /* zero is xorshift's fixed point */
    int error = make_parts(made, now_ns);
    if (error) {
        fp_engine_free(made);
        return error;
    }
    *engine = made;
    return 0;
}

static bool whole(const fp_engine *engine) { /* not given up half made */
    return engine->slots && engine->connections && engine->groups;
}

/* Targets are owned by slots and by commands nobody took. */
static void free_targets(fp_engine *engine) {
    while (fp_ring_size(engine->commands)) {
        uint32_t n = fp_ring_pop(engine->commands, engine->command_batch, FP_STEP_MAX);
        for (uint32_t i = 0; i < n; i++) fp_target_free(engine->command_batch[i].target);
    }
    for (uint32_t slot = 0; slot < engine->slots_used; slot++) fp_target_free(engine->slots[slot].target);
}

void fp_engine_free(fp_engine *engine) {
    if (!engine) return;
    fp_engine_stop(engine);
    if (whole(engine)) free_targets(engine);
    fp_bell_free(&engine->notify);
    fp_bell_free(&engine->wake);
    fp_release(engine->slots, engine->slots_bytes);
    fp_release(engine->connections, engine->connections_bytes);
    fp_release(engine->groups, engine->groups_bytes);
    fp_poll_free(engine->poll);
    fp_engine_free_traces(engine);
    fp_ring_free(engine->records);
    fp_ring_free(engine->commands);
    fp_wheel_free(engine->wheel);
    free(engine);
}

/* -- stepping ------------------------------------------------------------------------------------------------------------- */

static void handle_events(fp_engine *engine) {
    for (uint32_t i = 0; i < engine->n_events; i++) {
        const fp_ready_event *event = &engine->events[i];
        if (event->tag == WAKE_TAG) continue; /* commands wait: they are taken anyway */
        if (event->tag >= FP_ECHO_TAGS) {
            fp_echoes_ready(engine, (uint32_t)(event->tag - FP_ECHO_TAGS));
            continue;
        }
        if (event->tag >= FP_QUESTION_TAGS) {
            fp_questions_ready(engine, (uint32_t)(event->tag - FP_QUESTION_TAGS), event->ready);
            continue;
        }
        fp_connection *connection = &engine->connections[(uint32_t)event->tag];
        if (connection->serial == event->tag >> 32) fp_run_event(engine, connection, event->ready);
    }
    engine->n_events = 0;
}

static void count_cpu(fp_engine *engine) {
    struct timespec used;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0)
        atomic_store_explicit(&engine->counters.cpu_ns, (uint64_t)used.tv_sec * FP_NS_PER_S + (uint64_t)used.tv_nsec,
                              memory_order_relaxed);
}

/* Work on what has been fetched; the time of the next deed, 0 for at once. Events come first: they free connections for those
 * in line, and whatever starts a run must find none of them unhandled (see connections.c). The line comes before what is due
 * now. */
static fp_ns work(fp_engine *engine, fp_ns now_ns) {
    if (now_ns > engine->now_ns) engine->now_ns = now_ns;
    bool more = engine->n_events == engine->config.events_per_step;
    handle_events(engine);
    more |= fp_engine_take_commands(engine);
    if (engine->ready_queues) fp_line_serve(engine);
    const bool more_due = fp_engine_take_expiries(engine);
    more |= more_due;
    fp_echoes_send(engine, more_due);
    fp_questions_send(engine, more_due);
    more |= engine->ready_queues && fp_line_could_move(engine);
    bool untold = fp_engine_tell_reader(engine);
    fp_count(&engine->counters.steps, 1);
    if (more) return 0;
    fp_ns next_ns = fp_wheel_next_due(engine->wheel);
    return untold && engine->tell_by_ns < next_ns ? engine->tell_by_ns : next_ns;
}

fp_ns fp_engine_step(fp_engine *engine, fp_ns now_ns) {
    assert(!engine->started);
    if (!engine->n_events) engine->n_events = fp_poll_wait(engine->poll, engine->events, engine->config.events_per_step, 0);
    return work(engine, now_ns);
}

int fp_engine_wait(fp_engine *engine, fp_ns until_ns) {
    fp_ns now_ns = fp_clock_schedule();
    fp_ns timeout_ns = until_ns == FP_NEVER ? FP_NEVER : until_ns > now_ns ? until_ns - now_ns : 0;
    if (!engine->n_events)
        engine->n_events = fp_poll_wait(engine->poll, engine->events, engine->config.events_per_step, timeout_ns);
    return 0;
}

/* -- the thread ----------------------------------------------------------------------------------------------------------- */

/* Whether all that is in flight are runs whose answers bear the time of their arrival: then nothing is told wrong when they
 * are taken a little later, and a wake-up brings many. */
static bool may_nap(const fp_engine *engine) {
    return engine->stamped >= FP_NAP_LEAST &&
           engine->stamped == atomic_load_explicit(&engine->counters.in_flight, memory_order_relaxed);
}

/* Deaf to sockets and bells; as short as commands can well wait. */
static void nap(fp_ns until_ns) {
    const fp_ns now_ns = fp_clock_schedule();
    if (until_ns <= now_ns) return;
    const fp_ns length_ns = until_ns - now_ns < FP_NAP_NS ? until_ns - now_ns : FP_NAP_NS;
    nanosleep(&(struct timespec){.tv_nsec = (long)length_ns}, NULL);
}

static void sleep_until(fp_engine *engine, fp_ns next_ns) {
    /* `asleep` is only ever changed by exchange, so poster and engine are ordered by it: either the poster's exchange comes
     * later, finds true and writes the wake-up, or it came before and its commands are seen by the look at the ring. */
    atomic_exchange(&engine->asleep, true);
    bool busy = next_ns == 0 || fp_ring_size(engine->commands) || atomic_load(&engine->stopping);
    if (!busy && may_nap(engine)) nap(next_ns);
    fp_engine_wait(engine, busy ? 0 : next_ns);
    atomic_exchange(&engine->asleep, false);
}

static void *run(void *argument) {
    fp_engine *engine = argument;
#ifdef __linux__
    prctl(PR_SET_NAME, "fastprobe");
    prctl(PR_SET_TIMERSLACK, 1000UL); /* the default of 50 us would be most of our lateness */
#endif
    fp_give_way(engine->config.nice);
    for (uint32_t steps = 0; !atomic_load(&engine->stopping); steps++) {
        fp_ns next_ns = work(engine, fp_clock_schedule());
        if (steps % CPU_EVERY == 0) count_cpu(engine);
        sleep_until(engine, next_ns);
    }
    count_cpu(engine);
    return NULL;
}

int fp_engine_start(fp_engine *engine) {
    if (engine->started) return -EALREADY;
    sigset_t all, before;
    sigfillset(&all);
    atomic_store(&engine->stopping, false);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the host's: the thread inherits a full mask */
    int error = pthread_create(&engine->thread, NULL, run, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    engine->started = !error;
    return -error;
}

int fp_engine_stop(fp_engine *engine) {
    if (!whole(engine)) return 0;
    if (engine->started) {
        atomic_store(&engine->stopping, true);
        fp_bell_ring(&engine->wake);
        pthread_join(engine->thread, NULL);
        engine->started = false;
    }
    engine->n_events = 0; /* fetched and not handled: they tell of sockets that are about to be closed */
    fp_engine_abandon_runs(engine);
    fp_connections_close(engine);
    fp_echoes_close(engine);
    fp_questions_close(engine);
    return 0;
}

/* -- the other side ------------------------------------------------------------------------------------------------------- */

uint32_t fp_engine_post(fp_engine *engine, const fp_command *commands, uint32_t n) {
    uint32_t taken = fp_ring_push(engine->commands, commands, n, false);
    if (taken && (atomic_exchange(&engine->asleep, false) || !engine->started)) fp_bell_ring(&engine->wake);
    return taken;
}

int fp_engine_notify_fd(const fp_engine *engine) {
    return engine->notify.fd;
}

int fp_engine_poll_fd(const fp_engine *engine) {
    return fp_poll_fd(engine->poll);
}

void fp_engine_stats_read(const fp_engine *engine, fp_engine_stats *out) {
    const fp_counters *from = &engine->counters;
#define FP_READ(name) out->name = atomic_load_explicit(&from->name, memory_order_relaxed)
    FP_READ(steps);
    FP_READ(expiries);
    FP_READ(runs_started);
    FP_READ(runs_finished);
    FP_READ(connections_opened);
    FP_READ(connections_reused);
    FP_READ(retries);
    FP_READ(in_flight);
    FP_READ(waiting);
    FP_READ(slots);
    FP_READ(records_dropped);
    FP_READ(commands_stale);
    FP_READ(clock_jumps);
    FP_READ(syn_retransmissions);
    FP_READ(traces_dropped);
    FP_READ(stray_datagrams);
    FP_READ(cpu_ns);
#undef FP_READ
}
