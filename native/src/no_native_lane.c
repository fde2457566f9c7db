/* An engine without sockets: the clock hand of the other lanes, on platforms without epoll. A probe that asks for the native
 * lane all the same is told that this host cannot run it. */
#include "engine_internal.h"

#include <assert.h>

bool fp_engine_has_native_lane(void) {
    return false;
}

void fp_connections_init(fp_engine *engine) {
    const fp_list empty = {FP_NONE, FP_NONE};
    engine->config.connections = 0;
    engine->free_cold = engine->resting = empty;
    for (uint32_t list = 0; list < FP_WARM_LISTS; list++) engine->free_warm[list] = empty;
}

void fp_connections_close(fp_engine *engine) {
    (void)engine;
}

bool fp_connections_free(const fp_engine *engine) {
    (void)engine;
    return true; /* so that a run asked for by FP_CMD_RUN comes to its verdict too */
}

void fp_connection_part(fp_engine *engine, fp_connection *connection) {
    (void)engine, (void)connection;
    assert(!"no connection was ever made");
}

void fp_connection_release(fp_engine *engine, fp_connection *connection) {
    (void)engine, (void)connection;
    assert(!"no connection was ever made");
}

void fp_run_start(fp_engine *engine, uint32_t slot) {
    fp_engine_report(engine, &(fp_record){.slot = slot,
                                          .generation = engine->slots[slot].generation,
                                          .started_ns = engine->now_ns,
                                          .result = FP_ERROR,
                                          .reason = FP_REASON_UNSUPPORTED});
}

void fp_echoes_send(fp_engine *engine, bool more) {
    (void)engine, (void)more;
}

void fp_echoes_close(fp_engine *engine) {
    (void)engine;
}

void fp_echoes_ready(fp_engine *engine, uint32_t number) {
    (void)engine, (void)number;
    assert(!"no echo was ever sent");
}

void fp_questions_send(fp_engine *engine, bool more) {
    (void)engine, (void)more;
}

void fp_questions_close(fp_engine *engine) {
    (void)engine;
}

void fp_questions_ready(fp_engine *engine, uint32_t number, uint32_t ready) {
    (void)engine, (void)number, (void)ready;
    assert(!"no question was ever asked");
}

const char *fp_questions_check(const fp_engine *engine) {
    (void)engine;
    return NULL;
}

void fp_run_event(fp_engine *engine, fp_connection *connection, uint32_t ready) {
    (void)engine, (void)connection, (void)ready;
    assert(!"no connection was ever made");
}

void fp_run_deadline(fp_engine *engine, uint32_t slot) {
    (void)engine, (void)slot;
    assert(!"no native run was ever in flight");
}

void fp_trace_free(fp_trace *trace) {
    trace->seen = NULL;
}

uint32_t fp_engine_drain_traces(fp_engine *engine, fp_trace *out, uint32_t n) {
    (void)engine, (void)out, (void)n;
    return 0;
}

void fp_engine_free_traces(fp_engine *engine) {
    fp_ring_free(engine->traces);
}
