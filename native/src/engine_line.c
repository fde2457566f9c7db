/* Due runs that wait: first come, first served within a group, the groups in turn, and not for ever.
 *
 * A group has a queue for each pool. Queues that may start a run stand in a ring and are served one after the other, as many
 * runs in a row as the group's weight. A queue that may not is taken out of the ring, so that nobody looks at it in vain; what
 * could change its mind is a run of its own group that ends, or time (see engine_groups.c), and both stir it. */
#include "engine_internal.h"

static inline uint32_t number_of(uint32_t group, enum fp_pool pool) {
    return FP_POOLS * group + pool;
}

static fp_queue *queue_at(const fp_engine *engine, uint32_t number) {
    return &engine->groups[number / FP_POOLS].queues[number % FP_POOLS];
}

/* -- the ring ------------------------------------------------------------------------------------------------------------- */

static void enter_ring(fp_engine *engine, uint32_t number) {
    fp_queue *queue = queue_at(engine, number);
    fp_list *ring = &engine->rings[number % FP_POOLS];
    queue->state = FP_QUEUE_READY;
    engine->ready_queues++;
    queue->turns = engine->groups[number / FP_POOLS].weight;
    queue->next = FP_NONE;
    queue->previous = ring->last;
    if (ring->last == FP_NONE)
        ring->first = number;
    else
        queue_at(engine, ring->last)->next = number;
    ring->last = number;
}

static void leave_ring(fp_engine *engine, uint32_t number) {
    const fp_queue *queue = queue_at(engine, number);
    fp_list *ring = &engine->rings[number % FP_POOLS];
    engine->ready_queues--;
    if (queue->previous == FP_NONE)
        ring->first = queue->next;
    else
        queue_at(engine, queue->previous)->next = queue->next;
    if (queue->next == FP_NONE)
        ring->last = queue->previous;
    else
        queue_at(engine, queue->next)->previous = queue->previous;
}

static void hold(fp_engine *engine, uint32_t number) {
    const fp_group *group = &engine->groups[number / FP_POOLS];
    const uint32_t timer = fp_group_timer(engine, number / FP_POOLS);
    const fp_ns again_ns = group->spent_until_ns > group->burst_ns ? group->spent_until_ns - group->burst_ns : 0;
    leave_ring(engine, number);
    queue_at(engine, number)->state = FP_QUEUE_HELD;
    if (group->every_ns && again_ns > engine->now_ns) fp_engine_arm(engine, timer, again_ns, 0);
}

void fp_line_stir(fp_engine *engine, uint32_t group) {
    const fp_group *g = &engine->groups[group];
    if (fp_wheel_is_armed(engine->wheel, fp_group_timer(engine, group))) return; /* its rate is used up until then */
    for (enum fp_pool pool = 0; pool < FP_POOLS; pool++)
        if (g->queues[pool].state == FP_QUEUE_HELD) enter_ring(engine, number_of(group, pool));
}

/* -- the line ------------------------------------------------------------------------------------------------------------- */

static void wait_until(fp_engine *engine, uint32_t slot, fp_ns from_ns) {
    const fp_slot *s = &engine->slots[slot];
    fp_ns patience_ns = s->timeout_ns > FP_LEAST_WAIT_NS ? s->timeout_ns : FP_LEAST_WAIT_NS;
    fp_engine_arm(engine, fp_run_timer(slot), from_ns + patience_ns, 0);
}

static void count_waiting(fp_engine *engine, fp_queue *queue, int change) {
    const uint32_t now = atomic_load_explicit(&queue->waiting, memory_order_relaxed) + (uint32_t)change;
    atomic_store_explicit(&queue->waiting, now, memory_order_relaxed);
    fp_count(&engine->counters.waiting, (uint64_t)(int64_t)change);
}

static void grow_calm(fp_group *group) {
    group->calm = !group->limited && group->queues[FP_POOL_NATIVE].state == FP_QUEUE_EMPTY &&
                  group->queues[FP_POOL_PYTHON].state == FP_QUEUE_EMPTY;
}

void fp_line_join(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    fp_queue *queue = fp_queue_of(engine, s);
    s->state = FP_SLOT_WAITING;
    s->deferred = false;
    s->line_next = FP_NONE;
    s->line_previous = queue->line.last;
    if (queue->line.last == FP_NONE)
        queue->line.first = slot;
    else
        engine->slots[queue->line.last].line_next = slot;
    queue->line.last = slot;
    count_waiting(engine, queue, 1);
    engine->groups[s->group].calm = false;
    if (queue->state == FP_QUEUE_EMPTY) enter_ring(engine, number_of(s->group, fp_pool_of(s)));
    wait_until(engine, slot, s->due_ns);
}

void fp_line_leave(fp_engine *engine, uint32_t slot) {
    const fp_slot *s = &engine->slots[slot];
    fp_queue *queue = fp_queue_of(engine, s);
    if (s->line_previous == FP_NONE)
        queue->line.first = s->line_next;
    else
        engine->slots[s->line_previous].line_next = s->line_next;
    if (s->line_next == FP_NONE)
        queue->line.last = s->line_previous;
    else
        engine->slots[s->line_next].line_previous = s->line_previous;
    count_waiting(engine, queue, -1);
    if (queue->line.first == FP_NONE) {
        if (queue->state == FP_QUEUE_READY) leave_ring(engine, number_of(s->group, fp_pool_of(s)));
        queue->state = FP_QUEUE_EMPTY;
        grow_calm(&engine->groups[s->group]);
    }
    fp_engine_settle(engine, slot);
}

/* Is it the budget that keeps this slot in line? Also when a run has just ended and the next is about to be served. */
static bool waits_for_budget(const fp_engine *engine, const fp_slot *s) {
    const fp_group *group = &engine->groups[s->group];
    if (!group->limited) return false;
    if (!fp_group_within_budget(engine, group) || s->lane != FP_LANE_NATIVE) return true;
    return fp_connections_free(engine) && fp_group_within_share(engine, group);
}

static void skip(fp_engine *engine, uint32_t slot) {
    const fp_slot *s = &engine->slots[slot];
    fp_group *group = &engine->groups[s->group];
    const bool spent = waits_for_budget(engine, s);
    fp_count(spent ? &group->skipped_budget : &group->skipped_saturated, 1);
    fp_engine_skip(engine, slot, s->due_ns, spent ? FP_REASON_BUDGET : FP_REASON_SATURATED, 1);
}

void fp_line_renew(fp_engine *engine, uint32_t slot, fp_ns due_ns) {
    skip(engine, slot);
    engine->slots[slot].due_ns = due_ns;
    wait_until(engine, slot, due_ns);
}

/* Who waits for a budget keeps the place until the next due, and beyond: or the same probes would come too late each time, and
 * others never. */
void fp_line_patience_ends(fp_engine *engine, uint32_t slot) {
    const fp_slot *s = &engine->slots[slot];
    const fp_ns next_ns = fp_wheel_due(engine->wheel, fp_schedule_timer(slot));
    if (next_ns != FP_NEVER && waits_for_budget(engine, s)) {
        wait_until(engine, slot, next_ns);
        return;
    }
    skip(engine, slot);
    fp_line_leave(engine, slot);
}

/* -- turns ---------------------------------------------------------------------------------------------------------------- */

static bool could_move(const fp_engine *engine, enum fp_pool pool) {
    return engine->rings[pool].first != FP_NONE && (pool == FP_POOL_PYTHON || fp_connections_free(engine));
}

bool fp_line_could_move(const fp_engine *engine) {
    return could_move(engine, FP_POOL_NATIVE) || could_move(engine, FP_POOL_PYTHON);
}

static void start_first(fp_engine *engine, uint32_t number) {
    fp_queue *queue = queue_at(engine, number);
    const uint32_t slot = queue->line.first;
    const fp_slot *s = &engine->slots[slot];
    fp_line_leave(engine, slot);
    if (queue->state == FP_QUEUE_READY && --queue->turns == 0) {
        leave_ring(engine, number);
        enter_ring(engine, number);
    }
    if (engine->now_ns > s->due_ns) fp_count(&engine->groups[number / FP_POOLS].waited, 1);
    if (number % FP_POOLS == FP_POOL_NATIVE)
        fp_run_start(engine, slot);
    else
        fp_engine_notify_lane(engine, slot);
}

static bool may_start(const fp_engine *engine, const fp_group *group, enum fp_pool pool) {
    return fp_group_within_budget(engine, group) && (pool == FP_POOL_PYTHON || fp_group_within_share(engine, group));
}

static void serve(fp_engine *engine, enum fp_pool pool) {
    for (uint32_t looks = 0; looks < engine->config.events_per_step && could_move(engine, pool); looks++) {
        const uint32_t number = engine->rings[pool].first;
        if (may_start(engine, &engine->groups[number / FP_POOLS], pool))
            start_first(engine, number);
        else
            hold(engine, number);
    }
}

/* Either pool first, in turns: they may share one group's budget. */
void fp_line_serve(fp_engine *engine) {
    const uint32_t odd = atomic_load_explicit(&engine->counters.steps, memory_order_relaxed) & 1;
    if (engine->rings[odd].first != FP_NONE) serve(engine, (enum fp_pool)odd);
    if (engine->rings[!odd].first != FP_NONE) serve(engine, (enum fp_pool) !odd);
}
