/* engine.h - wheel + sockets + probe state machines, one owner thread, stepped with a clock of the caller's choice.
 *
 * Down go commands, up go records (base.h); both through bounded rings. One other thread posts commands and drains records; the
 * engine either runs in a thread of its own (fp_engine_start) or is stepped by that same thread (fp_engine_step). Two timers a
 * slot live in the wheel: 2*slot is its schedule, 2*slot+1 the deadline of the run in flight (or the delayed start of a
 * jittered one). A slot has at most one run in flight, whatever its lane: what comes due meanwhile is SKIPPED(overlap).
 *
 * Native lane: a due slot takes a connection from a bounded pool; when none is free it waits in line, and is SKIPPED(saturated)
 * if it could not start within max(its timeout, 1 s) or before its next due. Our own exhaustion (EMFILE, EADDRNOTAVAIL,
 * ENOBUFS) is SKIPPED too, never the target's failure. Task and thread lane: a DUE record goes up and the slot is in flight
 * until FP_CMD_FINISH; a DEADLINE record goes up when timeout_ns has passed since the notice, and one with FP_DEADLINE_FOR_NEXT
 * when the slot is due again an eighth of its timeout before that or less: the lane should end the run, and the next starts at
 * its FINISH.
 *
 * Groups: each slot belongs to one, and each group has a line of its own; lines are served in turn. As soon as two groups have
 * native slots, none of them may hold more than three times as many connections as are left free (times its weight). So what
 * does not answer in one group, and holds its connections until its timeouts, leaves connections for the others; nothing is
 * taken back from a run in flight. fp_budget bounds a group further, in all lanes together; a run beyond it waits, keeps its
 * place from one due to the next, and is SKIPPED(budget) for each due that it did not run. */
#ifndef FASTPROBE_ENGINE_H
#define FASTPROBE_ENGINE_H
#include "fastprobe/base.h"
#include "fastprobe/target.h"
#include "fastprobe/trace.h"

typedef struct fp_engine fp_engine;

typedef struct fp_engine_config {
    uint32_t capacity;        /* slots */
    uint32_t connections;     /* native runs at once: descriptors the engine may hold, besides those that runs of DNS share
                                 (64), and of ICMP (one a family and route, of IPv4 one more for
                                 requests that may go in pieces; 64 at most) */
    uint32_t record_ring;     /* records on their way up; power of two */
    uint32_t command_ring;    /* commands on their way down; power of two */
    uint32_t events_per_step; /* bound of one step: socket events, expiries and starts from the lines each (64); fewer expiries
                                 when they start much */
    fp_ns tick_ns;            /* wheel resolution (1 ms) */
    fp_ns notify_ns;          /* records wait at most this long for company before the reader is woken (5 ms); twenty times
                                 as long, but no longer than the interval, when they only tell of checks that passed as the
                                 two before them did, and that no command asked for */
    bool manual_clock;        /* latencies too are taken from step's now_ns: for tests without sockets */
    uint32_t groups;          /* that share the engine, at most 65,536; 0 counts as 1 */
    uint32_t nice;            /* Linux: how much nicer the engine's thread is than its process, 0..19 */
} fp_engine_config;

typedef struct fp_budget {
    uint32_t max_in_flight; /* runs at once; 0: no bound of its own */
    uint32_t weight;        /* turns in a row, and shares of the connections, 1..1000; 0 counts as 1 */
    fp_ns every_ns;         /* a run in this time in the long run; 0: no bound */
    fp_ns burst_ns;         /* runs for this much time may start at once: one more than fit into it */
} fp_budget;

enum fp_command_op {
    FP_CMD_ADD = 1,  /* slot appears: generation, lane, due_ns, first_ns, interval_ns, timeout_ns, jitter_ns, target (native) */
    FP_CMD_REMOVE,   /* slot disappears; a run in flight is abandoned without a record */
    FP_CMD_SCHEDULE, /* change due_ns (FP_NEVER pauses), interval_ns, timeout_ns, jitter_ns; a run in flight goes on */
    FP_CMD_TARGET,   /* replace the native target; a run in flight finishes on the old one */
    FP_CMD_RUN,      /* one run now, schedule untouched, flags; SKIPPED(overlap) when one is in flight */
    FP_CMD_FINISH,   /* task or thread lane: the run is over, its deadline is off */
    FP_CMD_DEADLINE, /* task or thread lane: (re-)arm the deadline of the run in flight at due_ns */
    FP_CMD_DEFER,    /* a real call passed: dues before due_ns are SKIPPED(deferred) on their phase, and so is a start that
                        is delayed, in line or owed; not one that was asked for or hastened */
    FP_CMD_HASTEN,   /* a real call failed: no due is deferred any more, and a run starts now, besides the schedule, if none
                        is on its way; at most one between two dues, and none of a paused slot */
};

enum { FP_DEADLINE_FOR_NEXT = 1 }; /* detail of a DEADLINE record */

enum fp_run_flag { FP_RUN_EXPLAIN = 1 /* native: a trace with everything seen follows the record */ };

typedef struct fp_command {
    uint8_t op;
    uint8_t lane;
    uint16_t flags; /* RUN: fp_run_flag */
    uint32_t slot;
    uint32_t generation; /* must match the slot's (except ADD): else the command is dropped and counted as stale */
    uint32_t jitter_ms;  /* each scheduled start is delayed by a uniform random 0..jitter */
    uint32_t group;      /* ADD: below config.groups */
    fp_ns due_ns;        /* scheduling clock: next periodic run; fixes the phase */
    fp_ns first_ns;      /* an extra first run before due_ns, or FP_NEVER */
    fp_ns interval_ns;
    fp_ns timeout_ns;
    fp_target *target; /* owned by the engine from here on */
} fp_command;

typedef struct fp_engine_stats { /* each word is read atomically, the whole is not a snapshot */
    uint64_t steps;
    uint64_t expiries;
    uint64_t runs_started;  /* native */
    uint64_t runs_finished; /* native */
    uint64_t connections_opened;
    uint64_t connections_reused;
    uint64_t retries;         /* keep-alive races, retried on a fresh connection */
    uint64_t in_flight;       /* native, now */
    uint64_t waiting;         /* due, but without a connection or beyond a budget, now */
    uint64_t slots;           /* that hold a probe of any lane, now */
    uint64_t records_dropped; /* up-ring full */
    uint64_t commands_stale;
    uint64_t clock_jumps;         /* wheel found more than 5 s late */
    uint64_t stray_datagrams;     /* that answered no question of ours: dropped */
    uint64_t syn_retransmissions; /* of TCP probes whose handshake came about all the same */
    uint64_t traces_dropped;      /* trace ring full */
    uint64_t cpu_ns;              /* of the engine thread, updated every 1,024 steps or so; 0 when stepped */
} fp_engine_stats;

typedef struct fp_group_stats { /* likewise */
    uint64_t in_flight;         /* of all lanes, now */
    uint64_t waiting;           /* now */
    uint64_t waited;            /* runs that did not start when they were due */
    uint64_t skipped_saturated; /* for want of a connection, or of the group's share */
    uint64_t skipped_budget;
} fp_group_stats;

/* Whether this build has a native lane. Without one every run of a native slot is FP_ERROR with FP_REASON_UNSUPPORTED; the
 * other lanes, schedules and deadlines are the same. */
bool fp_engine_has_native_lane(void);

int fp_engine_new(fp_engine **engine, const fp_engine_config *config, fp_ns now_ns); /* -EINVAL, -ENOMEM, -EMFILE */
void fp_engine_free(fp_engine *engine); /* stops first if running; frees targets left */

/* Only while not started, and before the first slot of the group. A group never named has no budget. */
void fp_engine_budget(fp_engine *engine, uint32_t group, const fp_budget *budget);

int fp_engine_start(fp_engine *engine); /* -EALREADY, -EAGAIN */
/* Joins the thread, if there is one. Native runs in flight or in line are SKIPPED(shutting_down), and every socket is closed;
 * schedules stay. Calm when stopped already. */
int fp_engine_stop(fp_engine *engine);

/* One bounded piece of work at now_ns: commands, expiries, starts, ready sockets (poll without waiting). Returns the time of
 * the next deed, 0 when there is more to do at once, FP_NEVER when only a command or a socket can bring work. Only while not
 * started. */
fp_ns fp_engine_step(fp_engine *engine, fp_ns now_ns);
/* Wait for sockets or commands, at most until until_ns on the scheduling clock. Only while not started; for stepping in a loop.
 */
int fp_engine_wait(fp_engine *engine, fp_ns until_ns);
int fp_engine_poll_fd(
    const fp_engine *engine); /* readable when step has socket work: to be watched when stepped in a host's loop */

/* Post n commands; returns how many were taken (fewer when the ring is full: post the rest later). Wakes the engine if asleep.
 */
uint32_t fp_engine_post(fp_engine *engine, const fp_command *commands, uint32_t n);

int fp_engine_notify_fd(const fp_engine *engine); /* readable when records wait */
/* Take up to n records. Clears the notification first, so nothing is missed. */
uint32_t fp_engine_drain(fp_engine *engine, fp_record *out, uint32_t n);

/* Take up to n traces (trace.h); those of records already drained are there. The reader is not woken for them alone: their
 * record does that. Each is the caller's to fp_trace_free. */
uint32_t fp_engine_drain_traces(fp_engine *engine, fp_trace *out, uint32_t n);

void fp_engine_stats_read(const fp_engine *engine, fp_engine_stats *out);
void fp_engine_group_stats_read(const fp_engine *engine, uint32_t group, fp_group_stats *out);
const char *fp_engine_check(const fp_engine *engine); /* only while not started */

#endif
