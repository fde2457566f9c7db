/* engine_internal.h - the engine from within: slots, connections, runs.
 *
 *   engine.c           making, stepping, the thread
 *   engine_commands.c  what the other thread asks for
 *   engine_schedule.c  expiries: what a due slot does next
 *   engine_runs.c      a native run from its start to its record
 *   engine_line.c      the lines of runs that wait for a connection or a budget, and whose turn it is
 *   engine_groups.c    budgets and shares: what a group may start now
 *   engine_records.c   records up, and when to wake the reader
 *   engine_traces.c    the phases of runs that did not pass or are to be explained
 *   datagrams.c        sending and receiving of those kinds that use them
 *   questions.c        the sockets that most runs of DNS share
 *   echoes.c           the sockets that all ICMP runs share
 *   batches.c          many datagrams in one system call, for both of these
 *   give_way.c         how its thread shares a processor with the host's
 *   connections.c      the pool: sockets, their reuse, idle keep-alive ones
 *   probes/            one state machine a file, behind probe.h
 */
#ifndef FASTPROBE_ENGINE_INTERNAL_H
#define FASTPROBE_ENGINE_INTERNAL_H
#include "bell.h"
#include "fastprobe/engine.h"
#include "fastprobe/http1.h"
#include "fastprobe/ring.h"
#include "fastprobe/wheel.h"
#include "poller.h"
#include "target_internal.h"
#include <pthread.h>
#include <stdatomic.h>

#define FP_NONE             UINT32_MAX
#define FP_STEP_MAX         64u    /* most that events_per_step may be */
#define FP_SCRATCH_BYTES    16384u /* one read; also holds any request */
#define FP_TRACE_RING       4096u  /* traces that wait to be drained */
#define FP_WARM_LISTS       16u    /* of disconnected sockets: one a family for streams and datagrams each, the rest by route */
#define FP_IDS              128u   /* 256 bytes: getrandom() gives so many whole, whatever signals come */
#define FP_ECHO_SOCKETS     64u    /* families times routes of ICMP probes; large ones apart */
#define FP_ECHO_TAGS        (UINT64_MAX - FP_ECHO_SOCKETS) /* of their registrations; the one above is the bell's */
#define FP_QUESTION_SOCKETS 64u                            /* of DNS, half of them a family */
#define FP_QUESTION_TAGS    (FP_ECHO_TAGS - FP_QUESTION_SOCKETS)
#define FP_EXPIRIES_AT_ONCE 4u
#define FP_STEP_EFFORT      16u /* what starts of one step may cost, in requests on kept connections */
#define FP_CONNECT_EFFORT   4u  /* of a connect, likewise; what is sent later, with others, costs nothing now */
#define FP_LATE_NS          (5 * FP_NS_PER_S)
#define FP_NAP_LEAST        4u /* runs that await stamped datagrams: below that one wake-up more is no gain */
#define FP_NAP_NS           (500 * FP_NS_PER_US)
#define FP_LEAST_WAIT_NS    FP_NS_PER_S /* a due run waits in line for at least this long */
#define FP_GROUPS_MAX       65536u      /* a slot keeps its group in 16 bits */
#define FP_WEIGHT_MAX       1000u

enum fp_slot_state {
    FP_SLOT_IDLE = 0,
    FP_SLOT_DELAYED, /* a jittered or extra first start: the slot's second timer is its moment */
    FP_SLOT_WAITING, /* in line for a connection or a budget: the second timer is the end of patience */
    FP_SLOT_RUNNING, /* in flight: the second timer is the deadline */
};

typedef struct fp_slot {
    fp_target *target;
    fp_ns timeout_ns;
    fp_ns due_ns; /* of the run that is delayed, waiting or in flight */
    union {
        struct { /* neighbours in line, while waiting */
            uint32_t line_next;
            uint32_t line_previous;
        };
        fp_ns deferred_until_ns; /* while deferred, which one that waits never is */
    };
    uint32_t generation; /* 0: no probe here */
    uint32_t jitter_ms;
    uint32_t connection; /* running natively, or an idle keep-alive one; else FP_NONE */
    uint16_t group;
    uint8_t state : 4; /* fp_slot_state */
    uint8_t lane : 4;
    bool explain : 1;   /* the next run is to be explained */
    bool asked : 1;     /* a command asked for a run, and the one under way answers: somebody waits for its record */
    bool owed : 1;      /* Python lanes: due again, and started as soon as the run in flight has ended */
    bool deferred : 1;  /* dues before deferred_until_ns pass without a run */
    bool hastened : 1;  /* a failure brought a run forward since the last due: one is enough */
    uint8_t passes : 2; /* native: in a row, as far as anybody counts */
} fp_slot;
_Static_assert(sizeof(fp_slot) == 48, "there may be a million of these");

enum fp_connection_phase {
    FP_CONNECTION_FREE = 0, /* in the pool; its socket, if any, is disconnected and ready to connect again */
    FP_CONNECTION_CONNECTING,
    FP_CONNECTION_ASKING, /* the request is being sent */
    FP_CONNECTION_READING,
    FP_CONNECTION_RESTING, /* connected, kept by its slot for the next run */
};

typedef struct fp_connection {
    int fd;          /* -1: none */
    uint32_t serial; /* of the fd's registration: events of an earlier one are ignored */
    uint32_t slot;
    uint32_t next; /* in the free list, or in the list of resting ones (oldest first) */
    uint32_t previous;
    uint8_t phase;
    uint8_t family;
    bool kept;     /* this run found the connection open */
    bool answered; /* this run has seen a byte */
    bool retried;  /* this run found the connection open, and dead */
    bool explained;
    bool datagram;         /* of the socket */
    bool ack_withheld;     /* likewise: a handshake's last */
    bool shares;           /* DNS: its socket is one of questions.c's */
    uint8_t shared_socket; /* ICMP, and DNS that shares: which one its request leaves by */
    bool over_tcp;         /* DNS: the answer over UDP was cut short */
    uint16_t query_id;     /* DNS */
    uint32_t nonce;        /* ICMP */
    const fp_target *target;
    fp_target *orphan;   /* the slot's old target, replaced during this run, freed after it */
    fp_ns started_ns;    /* scheduling clock */
    fp_ns deadline_ns;   /* likewise; of a resting one: until when it may be used again */
    fp_ns began_ns;      /* latency clock: just before the first packet */
    fp_ns connected_ns;  /* likewise: the connection stood; 0: not yet, or it was kept */
    fp_ns first_byte_ns; /* likewise, of the answer */
    fp_ns measured_ns;   /* the latency to report, where the kind knows better than the clock at the verdict; else 0 */
    fp_route *route;     /* of the socket; a reference of the connection's own */
    fp_seen *seen;       /* of an explained run */
    uint32_t rtt_us;     /* of the handshake as the kernel saw it; 0: not asked */
    uint32_t retransmissions;
    uint32_t sent;         /* bytes of the request */
    uint32_t matched;      /* of the needle */
    uint32_t expectations; /* bits of the headers seen */
    uint32_t body_bytes;
    uint32_t reply_bytes; /* DNS over TCP: of those below */
    uint8_t *reply;       /* likewise: FP_DNS_STREAM_MAX bytes, freed with the run */
    fp_http1 parser;
} fp_connection;

typedef struct fp_echoes fp_echoes;
typedef struct fp_questions fp_questions;

typedef struct fp_list {
    uint32_t first;
    uint32_t last;
} fp_list;

/* Runs wait for connections, or (of the Python lanes) for the group's budget alone: so they never wait behind each other. */
enum fp_pool { FP_POOL_NATIVE = 0, FP_POOL_PYTHON = 1, FP_POOLS = 2 };

enum fp_queue_state {
    FP_QUEUE_EMPTY = 0,
    FP_QUEUE_READY, /* in the ring: served in its turn */
    FP_QUEUE_HELD,  /* beyond budget or share: back in the ring when a run of its group ends, or at the group's timer */
};

/* The slots of one group that wait for one pool. */
typedef struct fp_queue {
    fp_list line;  /* of slots, first come, first served */
    uint32_t next; /* neighbours in the ring: queue numbers */
    uint32_t previous;
    uint32_t turns; /* left before the next group's */
    uint8_t state;  /* fp_queue_state */
    _Atomic uint32_t in_flight;
    _Atomic uint32_t waiting;
} fp_queue;

typedef struct fp_group {
    fp_queue queues[FP_POOLS];
    fp_ns every_ns;
    fp_ns burst_ns;
    fp_ns spent_until_ns;   /* the rate is used up to here: an integer token bucket (GCRA) */
    uint32_t max_in_flight; /* UINT32_MAX: no bound */
    uint32_t weight;
    uint32_t native_slots;
    bool limited; /* has a bound of its own */
    bool calm;    /* has none, and nobody waits: what a due run and the end of one look at */
    _Atomic uint64_t waited, skipped_saturated, skipped_budget;
} fp_group;

typedef struct fp_counters { /* written by the engine alone, read by anybody */
    _Atomic uint64_t steps, expiries, runs_started, runs_finished, connections_opened, connections_reused, retries, in_flight,
        waiting, slots, records_dropped, commands_stale, clock_jumps, syn_retransmissions, traces_dropped, cpu_ns,
        stray_datagrams;
} fp_counters;

struct fp_engine {
    fp_engine_config config;
    fp_wheel *wheel;
    fp_poll *poll;
    fp_ring *commands;
    fp_ring *records;
    fp_ring *traces;
    fp_slot *slots;
    fp_connection *connections;
    size_t slots_bytes;
    size_t connections_bytes;
    uint32_t slots_used; /* slots [0, this) have held a probe */
    fp_ns now_ns;        /* of this step */
    uint64_t random;
    uint32_t effort;  /* of this step's starts so far */
    uint32_t stamped; /* runs that await a datagram, of whose arrival the kernel will tell the time */
    bool late;        /* sorting out what a jump of the clock has left overdue */

    fp_list free_cold;                /* connections without a socket */
    fp_list free_warm[FP_WARM_LISTS]; /* with a disconnected one: IPv4, IPv6, and those with a route by its hash */
    fp_list resting;
    fp_list rings[FP_POOLS]; /* queues that may be served, as 2 * group + pool */
    uint32_t ready_queues;   /* in both rings */
    fp_group *groups;
    size_t groups_bytes;
    uint32_t first_group_timer; /* behind those of slots */
    uint32_t native_groups;     /* that have a native slot */

    fp_ready_event events[FP_STEP_MAX];
    uint32_t n_events;
    fp_expiry expiries[FP_EXPIRIES_AT_ONCE];
    fp_command command_batch[FP_STEP_MAX];
    char scratch[FP_SCRATCH_BYTES];
    uint16_t ids[FP_IDS]; /* random ones in stock */
    uint32_t ids_left;
    fp_echoes *echoes;       /* NULL until the first ICMP run */
    fp_questions *questions; /* NULL until the first of DNS */

    fp_ns tell_by_ns;    /* FP_NEVER: the reader knows of every record */
    fp_bell notify;      /* up: records wait */
    fp_bell wake;        /* down: commands wait, or stop */
    _Atomic bool told;   /* the reader was told and has not drained since */
    _Atomic bool asleep; /* the engine may be blocked */
    _Atomic bool stopping;
    bool started;
    pthread_t thread;
    fp_counters counters;
};

/* Only the engine's thread writes a counter, so load and store need not be one operation. */
static inline void fp_count(_Atomic uint64_t *counter, uint64_t n) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}
static inline void fp_uncount(_Atomic uint64_t *counter) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) - 1, memory_order_relaxed);
}

static inline uint32_t fp_schedule_timer(uint32_t slot) {
    return 2 * slot;
}
static inline uint32_t fp_run_timer(uint32_t slot) {
    return 2 * slot + 1;
}

static inline uint32_t fp_group_timer(const fp_engine *engine, uint32_t group) {
    return engine->first_group_timer + group;
}
static inline enum fp_pool fp_pool_of(const fp_slot *s) {
    return s->lane == FP_LANE_NATIVE ? FP_POOL_NATIVE : FP_POOL_PYTHON;
}
static inline fp_queue *fp_queue_of(const fp_engine *engine, const fp_slot *s) {
    return &engine->groups[s->group].queues[fp_pool_of(s)];
}

void fp_give_way(uint32_t nice); /* this thread, to others of its process; nice: see fp_engine_config */

fp_ns fp_engine_latency_clock(const fp_engine *engine);
void fp_engine_arm(fp_engine *engine, uint32_t timer, fp_ns due_ns, fp_ns interval_ns);

/* engine_commands.c */
bool fp_engine_take_commands(fp_engine *engine);                /* true when more may wait */
void fp_engine_close_resting(fp_engine *engine, uint32_t slot); /* calm when nothing rests there */
void fp_engine_abandon_runs(fp_engine *engine);                 /* all native ones, as skipped: the pool is whole again */
void fp_engine_begin_besides(fp_engine *engine, uint32_t slot); /* a run now, of an idle slot, besides its schedule */

/* engine_passive.c */
void fp_engine_defer(fp_engine *engine, uint32_t slot, fp_ns until_ns);
void fp_engine_hasten(fp_engine *engine, uint32_t slot);
bool fp_engine_passes(fp_engine *engine, uint32_t slot, fp_ns due_ns); /* a deferred slot is due: whether without a run */

/* engine_schedule.c */
bool fp_engine_take_expiries(fp_engine *engine);              /* true when more may be due */
void fp_engine_notify_lane(fp_engine *engine, uint32_t slot); /* an idle slot of a Python lane is due */
void fp_engine_settle(fp_engine *engine, uint32_t slot);      /* back to idle; its run timer is off */
void fp_engine_begin_owed(fp_engine *engine, uint32_t slot);  /* what came due while a run of its Python lane was ending */

/* engine_runs.c */
void fp_run_start(fp_engine *engine, uint32_t slot); /* joins the line when there is no connection */
void fp_run_event(fp_engine *engine, fp_connection *connection, uint32_t ready);
void fp_run_deadline(fp_engine *engine, uint32_t slot);

/* engine_line.c */
void fp_line_join(fp_engine *engine, uint32_t slot);
void fp_line_leave(fp_engine *engine, uint32_t slot);
void fp_line_renew(fp_engine *engine, uint32_t slot, fp_ns due_ns); /* skips; a later run takes over the place */
void fp_line_patience_ends(fp_engine *engine, uint32_t slot);
void fp_line_serve(fp_engine *engine); /* looks at most at events_per_step queues of a ring */
bool fp_line_could_move(const fp_engine *engine);
void fp_line_stir(fp_engine *engine, uint32_t group); /* held queues back into their rings: something has changed */

/* engine_groups.c */
void fp_groups_init(fp_engine *engine);
void fp_group_enter(fp_engine *engine, const fp_slot *s); /* a slot appears */
void fp_group_leave(fp_engine *engine, const fp_slot *s);
bool fp_group_within_budget(const fp_engine *engine, const fp_group *group);
bool fp_group_within_share(const fp_engine *engine, const fp_group *group); /* of the connections */
bool fp_group_may_start_next(const fp_engine *engine, const fp_group *group,
                             enum fp_pool pool);               /* within budget, and no line */
void fp_group_spend(const fp_engine *engine, fp_group *group); /* one run's part of its rate */
const char *fp_groups_check(const fp_engine *engine, uint32_t *waiting);

static inline void fp_group_began(fp_engine *engine, const fp_slot *s,
                                  enum fp_pool pool) { /* a run is in flight from here on */
    fp_group *group = &engine->groups[s->group];
    _Atomic uint32_t *in_flight = &group->queues[pool].in_flight;
    atomic_store_explicit(in_flight, atomic_load_explicit(in_flight, memory_order_relaxed) + 1, memory_order_relaxed);
    if (__builtin_expect(!group->calm, 0)) fp_group_spend(engine, group);
}
static inline void fp_group_ended(fp_engine *engine, const fp_slot *s, enum fp_pool pool) {
    fp_group *group = &engine->groups[s->group];
    _Atomic uint32_t *in_flight = &group->queues[pool].in_flight;
    atomic_store_explicit(in_flight, atomic_load_explicit(in_flight, memory_order_relaxed) - 1, memory_order_relaxed);
    if (__builtin_expect(!group->calm, 0)) fp_line_stir(engine, s->group);
}
/* Budget and share allow a run, and nobody waits who would come first. A connection that rests from the slot's last run needs
 * no turn: but it counts like any other. */
static inline bool fp_group_starts_at_once(const fp_engine *engine, const fp_slot *s, enum fp_pool pool) {
    const fp_group *group = &engine->groups[s->group];
    if (engine->rings[pool].first != FP_NONE && s->connection == FP_NONE) return false;
    if (__builtin_expect(!group->calm, 0) && !fp_group_may_start_next(engine, group, pool)) return false;
    return pool == FP_POOL_PYTHON || engine->native_groups < 2 || fp_group_within_share(engine, group);
}

/* engine_records.c */
bool fp_engine_report(fp_engine *engine, const fp_record *record); /* false when the ring was full */
void fp_engine_skip(fp_engine *engine, uint32_t slot, fp_ns at_ns, uint8_t reason, uint32_t count);
bool fp_engine_tell_reader(fp_engine *engine); /* true when the telling is still to come: see tell_by_ns */

/* engine_traces.c */
typedef struct fp_kernel_view {
    uint32_t rtt_us;
    uint32_t retransmissions;
} fp_kernel_view;
bool fp_connection_ask_kernel(const fp_connection *connection, fp_kernel_view *out); /* false: it does not say */
void fp_trace_begin(fp_connection *connection);                                      /* this run is to be explained */
void fp_trace_connected(const fp_connection *connection);
void fp_trace_received(const fp_connection *connection, const char *bytes, size_t length);
void fp_trace_run(fp_engine *engine, fp_connection *connection, const fp_record *record);
void fp_trace_unconnected(fp_engine *engine, const fp_record *record, bool explained);
void fp_engine_free_traces(fp_engine *engine);

/* echoes.c */
void fp_echo_ask(fp_engine *engine, fp_connection *connection);        /* the request leaves with the next fp_echoes_send */
void fp_echo_forget(fp_engine *engine, fp_connection *connection);     /* the run ends, asked or not */
void fp_echo_look(fp_engine *engine, const fp_connection *connection); /* is the reply here? */
void fp_echoes_send(fp_engine *engine, bool more);                     /* more: others are about to ask, which may go along */
void fp_echoes_ready(fp_engine *engine, uint32_t number);
void fp_echoes_close(fp_engine *engine);

/* questions.c */
bool fp_question_ask(fp_engine *engine,
                     fp_connection *connection); /* leaves with the next fp_questions_send; false: no memory */
void fp_question_forget(fp_engine *engine, fp_connection *connection);     /* it shares no more */
void fp_question_look(fp_engine *engine, const fp_connection *connection); /* is the answer here? */
void fp_questions_send(fp_engine *engine, bool more);                      /* as with echoes */
void fp_questions_ready(fp_engine *engine, uint32_t number, uint32_t ready);
void fp_questions_close(fp_engine *engine);
const char *fp_questions_check(const fp_engine *engine);

/* connections.c */
void fp_list_append(fp_engine *engine, fp_list *list, fp_connection *connection);
void fp_list_remove(fp_engine *engine, fp_list *list, const fp_connection *connection);
void fp_connections_init(fp_engine *engine);
void fp_connections_close(fp_engine *engine); /* every socket of an idle pool */
bool fp_connections_free(const fp_engine *engine);
fp_connection *fp_connection_take(fp_engine *engine,
                                  const fp_target *target); /* NULL: none free; evicts the oldest resting one */
/* 0 connected, -EINPROGRESS, or what connect said; what kept a socket from being made when the phase is FREE afterwards. */
int fp_connection_open(fp_engine *engine, fp_connection *connection);
void fp_connection_release(fp_engine *engine, fp_connection *connection); /* reset, and back to the pool */
void fp_connection_drop_socket(fp_connection *connection);                /* reset; the run keeps the connection */
void fp_connection_rest(fp_engine *engine, fp_connection *connection);
void fp_connection_wake(fp_engine *engine, fp_connection *connection); /* from resting to in use */
void fp_connection_part(fp_engine *engine, fp_connection *connection); /* from resting to nobody's, its socket as it is */
bool fp_datagram_drain(int fd); /* datagrams.c: of an earlier run's leftovers; false: too many */
void fp_connection_expect_more(fp_engine *engine,
                               const fp_connection *connection); /* bytes were left unread: report it again */

static inline uint32_t fp_connection_index(const fp_engine *engine, const fp_connection *connection) {
    return (uint32_t)(connection - engine->connections);
}

#endif
