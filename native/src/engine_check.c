/* Is the engine sound? Walks everything, for tests. */
#include "engine_internal.h"

#define CHECK_THAT(condition, name)                                                                                            \
    if (!(condition)) return name

static bool list_length(const fp_engine *engine, const fp_list *list, uint8_t phase, uint32_t *length) {
    uint32_t previous = FP_NONE;
    for (uint32_t i = list->first; i != FP_NONE; i = engine->connections[i].next) {
        const fp_connection *connection = &engine->connections[i];
        if (connection->phase != phase || connection->previous != previous || ++*length > engine->config.connections)
            return false;
        previous = i;
    }
    return list->last == previous;
}

static const char *check_connections(const fp_engine *engine, uint32_t *in_use) {
    uint32_t pooled = 0, resting = 0, stamped = 0;
    CHECK_THAT(list_length(engine, &engine->free_cold, FP_CONNECTION_FREE, &pooled), "cold list");
    for (uint32_t list = 0; list < FP_WARM_LISTS; list++)
        CHECK_THAT(list_length(engine, &engine->free_warm[list], FP_CONNECTION_FREE, &pooled), "warm list");
    CHECK_THAT(list_length(engine, &engine->resting, FP_CONNECTION_RESTING, &resting), "resting list");
    for (uint32_t i = 0; i < engine->config.connections; i++) {
        const fp_connection *connection = &engine->connections[i];
        if (connection->phase == FP_CONNECTION_FREE) {
            CHECK_THAT(connection->slot == FP_NONE && !connection->orphan && !connection->seen,
                       "a free connection belongs to nobody");
            CHECK_THAT(connection->fd >= 0 || !connection->route, "a route is held by a socket");
            continue;
        }
        CHECK_THAT(connection->slot < engine->slots_used && engine->slots[connection->slot].connection == i,
                   "a connection and its slot name each other");
        CHECK_THAT((connection->fd >= 0) == (connection->target->kind != FP_TARGET_ICMP && !connection->shares),
                   "a connection in use has a descriptor, unless it shares one");
        if (connection->phase != FP_CONNECTION_RESTING) ++*in_use;
        stamped +=
            connection->phase == FP_CONNECTION_READING && (connection->shares || connection->target->kind == FP_TARGET_ICMP);
    }
    CHECK_THAT(stamped == engine->stamped, "who awaits a stamped datagram is counted right");
    CHECK_THAT(pooled + resting + *in_use == engine->config.connections, "every connection is free, resting or in use");
    return NULL;
}

static const char *check_slot(const fp_engine *engine, uint32_t slot, uint32_t *running, uint32_t *waiting) {
    const fp_slot *s = &engine->slots[slot];
    bool timer = fp_wheel_is_armed(engine->wheel, fp_run_timer(slot));
    if (!s->generation) {
        CHECK_THAT(!timer && !fp_wheel_is_armed(engine->wheel, fp_schedule_timer(slot)), "no timer without a probe");
        CHECK_THAT(!s->target && s->state == FP_SLOT_IDLE, "an empty slot holds nothing");
        return NULL;
    }
    bool native = s->lane == FP_LANE_NATIVE;
    CHECK_THAT(s->state != FP_SLOT_IDLE || !timer || (native && s->connection != FP_NONE),
               "an idle slot has no run timer, unless a connection rests there");
    CHECK_THAT(s->state != FP_SLOT_WAITING || timer, "patience in line is bounded");
    CHECK_THAT(!s->owed || (s->state == FP_SLOT_RUNNING && !native), "only a Python lane's run in flight owes another");
    CHECK_THAT(s->target || !native, "a native probe has a target");
    CHECK_THAT(s->state != FP_SLOT_DELAYED || timer, "a delayed start has its moment");
    CHECK_THAT(s->state != FP_SLOT_RUNNING || !native || (timer && s->connection != FP_NONE),
               "a native run has connection and deadline");
    CHECK_THAT(s->state != FP_SLOT_WAITING || !s->deferred, "who waits in line is not deferred");
    if (s->state == FP_SLOT_WAITING) ++*waiting;
    if (s->state == FP_SLOT_RUNNING && native) ++*running;
    return NULL;
}

const char *fp_engine_check(const fp_engine *engine) {
    uint32_t in_use = 0, running = 0, waiting = 0, in_line = 0, held = 0;
    const char *broken = check_connections(engine, &in_use);
    for (uint32_t slot = 0; !broken && slot < engine->slots_used; slot++) {
        broken = check_slot(engine, slot, &running, &waiting);
        held += engine->slots[slot].generation != 0;
    }
    if (broken) return broken;
    if ((broken = fp_groups_check(engine, &in_line))) return broken;
    CHECK_THAT(in_line == waiting, "who waits is in line");
    CHECK_THAT(in_use == running, "connections in use are runs in flight");
    CHECK_THAT(atomic_load(&engine->counters.in_flight) == running, "in_flight is counted right");
    CHECK_THAT(atomic_load(&engine->counters.waiting) == waiting, "waiting is counted right");
    CHECK_THAT(atomic_load(&engine->counters.slots) == held, "slots that hold a probe are counted right");
    if ((broken = fp_questions_check(engine))) return broken;
    if ((broken = fp_ring_check(engine->commands)) || (broken = fp_ring_check(engine->records)) ||
        (broken = fp_ring_check(engine->traces)))
        return broken;
    return fp_wheel_check(engine->wheel);
}
