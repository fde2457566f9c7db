/* Budgets and shares: what a group may start now.
 *
 * The share is a dynamic threshold: a group may hold SHARE times as many connections as are free. One group that holds all it
 * may leaves a quarter of them, two leave a seventh, and so on; a newcomer always finds some. It needs no forecast and two
 * numbers, and with one group alone there is nobody to leave them to. A group that is held back for its share has runs in
 * flight (SHARE times what is free is not zero), so the end of one of them is soon enough to look again. */
#include "engine_internal.h"

#include <assert.h>

#define SHARE ((uint64_t)3)

void fp_groups_init(fp_engine *engine) {
    const fp_list empty = {FP_NONE, FP_NONE};
    engine->first_group_timer = 2 * engine->config.capacity;
    for (enum fp_pool pool = 0; pool < FP_POOLS; pool++) engine->rings[pool] = empty;
    for (uint32_t group = 0; group < engine->config.groups; group++) {
        fp_group *g = &engine->groups[group];
        for (enum fp_pool pool = 0; pool < FP_POOLS; pool++) g->queues[pool].line = empty;
        g->max_in_flight = UINT32_MAX;
        g->weight = 1;
        g->calm = true;
    }
}

void fp_engine_budget(fp_engine *engine, uint32_t group, const fp_budget *budget) {
    assert(!engine->started && group < engine->config.groups && budget->weight <= FP_WEIGHT_MAX);
    fp_group *g = &engine->groups[group];
    g->max_in_flight = budget->max_in_flight ? budget->max_in_flight : UINT32_MAX;
    g->weight = budget->weight ? budget->weight : 1;
    g->every_ns = budget->every_ns;
    g->burst_ns = budget->burst_ns;
    g->limited = budget->max_in_flight || budget->every_ns;
    g->calm = !g->limited;
}

void fp_group_enter(fp_engine *engine, const fp_slot *s) {
    if (s->lane == FP_LANE_NATIVE && engine->groups[s->group].native_slots++ == 0) engine->native_groups++;
}

void fp_group_leave(fp_engine *engine, const fp_slot *s) {
    if (s->lane == FP_LANE_NATIVE && --engine->groups[s->group].native_slots == 0) engine->native_groups--;
}

static inline uint32_t in_flight(const fp_group *group, enum fp_pool pool) {
    return atomic_load_explicit(&group->queues[pool].in_flight, memory_order_relaxed);
}

bool fp_group_within_budget(const fp_engine *engine, const fp_group *group) {
    if (!group->limited) return true;
    if (in_flight(group, FP_POOL_NATIVE) + in_flight(group, FP_POOL_PYTHON) >= group->max_in_flight) return false;
    return !group->every_ns || group->spent_until_ns <= engine->now_ns + group->burst_ns;
}

/* Without a free connection there is no share to speak of: who waits then waits for a connection. */
bool fp_group_within_share(const fp_engine *engine, const fp_group *group) {
    const uint64_t in_use = atomic_load_explicit(&engine->counters.in_flight, memory_order_relaxed);
    if (engine->native_groups < 2 || in_use >= engine->config.connections) return true;
    return in_flight(group, FP_POOL_NATIVE) < SHARE * group->weight * (engine->config.connections - in_use);
}

bool fp_group_may_start_next(const fp_engine *engine, const fp_group *group, enum fp_pool pool) {
    return group->queues[pool].state == FP_QUEUE_EMPTY && fp_group_within_budget(engine, group);
}

void fp_group_spend(const fp_engine *engine, fp_group *group) {
    if (!group->every_ns) return;
    group->spent_until_ns = (group->spent_until_ns > engine->now_ns ? group->spent_until_ns : engine->now_ns) + group->every_ns;
}

void fp_engine_group_stats_read(const fp_engine *engine, uint32_t group, fp_group_stats *out) {
    assert(group < engine->config.groups);
    const fp_group *from = &engine->groups[group];
    *out = (fp_group_stats){
        .waited = atomic_load_explicit(&from->waited, memory_order_relaxed),
        .skipped_saturated = atomic_load_explicit(&from->skipped_saturated, memory_order_relaxed),
        .skipped_budget = atomic_load_explicit(&from->skipped_budget, memory_order_relaxed),
    };
    for (enum fp_pool pool = 0; pool < FP_POOLS; pool++) {
        out->in_flight += in_flight(from, pool);
        out->waiting += atomic_load_explicit(&from->queues[pool].waiting, memory_order_relaxed);
    }
}

/* -- is it sound? --------------------------------------------------------------------------------------------------------- */

#define CHECK_THAT(condition, name)                                                                                            \
    if (!(condition)) return name

static const char *check_queue(const fp_engine *engine, uint32_t group, enum fp_pool pool, uint32_t *waiting) {
    const fp_queue *queue = &engine->groups[group].queues[pool];
    uint32_t length = 0, previous = FP_NONE;
    for (uint32_t slot = queue->line.first; slot != FP_NONE; slot = engine->slots[slot].line_next) {
        const fp_slot *s = &engine->slots[slot];
        CHECK_THAT(s->state == FP_SLOT_WAITING && s->group == group && fp_pool_of(s) == pool, "who is in line waits");
        CHECK_THAT(s->line_previous == previous && ++length <= engine->slots_used, "a line ends");
        previous = slot;
    }
    CHECK_THAT(queue->line.last == previous, "a line knows its end");
    CHECK_THAT(atomic_load(&queue->waiting) == length, "who waits in a group is counted right");
    CHECK_THAT((queue->state == FP_QUEUE_EMPTY) == (length == 0), "a queue is empty when its line is");
    CHECK_THAT(!engine->groups[group].calm || (!length && !engine->groups[group].limited),
               "calm is who has neither line nor bound");
    if (queue->state == FP_QUEUE_HELD && !fp_wheel_is_armed(engine->wheel, fp_group_timer(engine, group)))
        CHECK_THAT(in_flight(&engine->groups[group], FP_POOL_NATIVE) + in_flight(&engine->groups[group], FP_POOL_PYTHON) > 0,
                   "a held queue waits for a run in flight or for its timer");
    *waiting += length;
    return NULL;
}

static const char *check_ring(const fp_engine *engine, enum fp_pool pool) {
    uint32_t ready = 0, in_ring = 0, previous = FP_NONE;
    for (uint32_t group = 0; group < engine->config.groups; group++)
        ready += engine->groups[group].queues[pool].state == FP_QUEUE_READY;
    for (uint32_t number = engine->rings[pool].first; number != FP_NONE;) {
        const fp_queue *queue = &engine->groups[number / FP_POOLS].queues[pool];
        CHECK_THAT(number % FP_POOLS == pool && queue->state == FP_QUEUE_READY && queue->previous == previous &&
                       ++in_ring <= ready && queue->turns > 0,
                   "in the ring are the queues that are ready");
        previous = number;
        number = queue->next;
    }
    CHECK_THAT(in_ring == ready && engine->rings[pool].last == previous, "every queue that is ready is in the ring");
    return NULL;
}

static const char *check_in_flight(const fp_engine *engine) {
    uint64_t native = 0, python = 0, running = 0;
    for (uint32_t group = 0; group < engine->config.groups; group++) {
        native += in_flight(&engine->groups[group], FP_POOL_NATIVE);
        python += in_flight(&engine->groups[group], FP_POOL_PYTHON);
    }
    for (uint32_t slot = 0; slot < engine->slots_used; slot++)
        running += engine->slots[slot].state == FP_SLOT_RUNNING && engine->slots[slot].lane != FP_LANE_NATIVE;
    CHECK_THAT(native == atomic_load(&engine->counters.in_flight), "native runs in flight are counted by group");
    CHECK_THAT(python == running, "runs of Python lanes in flight are counted by group");
    return NULL;
}

const char *fp_groups_check(const fp_engine *engine, uint32_t *waiting) {
    const char *broken = check_in_flight(engine);
    for (enum fp_pool pool = 0; pool < FP_POOLS && !broken; pool++) {
        for (uint32_t group = 0; group < engine->config.groups && !broken; group++)
            broken = check_queue(engine, group, pool, waiting);
        if (!broken) broken = check_ring(engine, pool);
    }
    return broken;
}
