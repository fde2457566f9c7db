/* probe.h - what a native state machine offers the engine, and what the engine offers it.
 *
 * A kind is two functions. `connected` is called when the connection stands (fresh or kept); `ready` when the socket has news
 * after that. Each ends the run by calling fp_run_end or fp_run_fail once, and returns at once; or returns to wait for more.
 * Connecting, deadlines, retries and records are the engine's. */
#ifndef FASTPROBE_PROBE_H
#define FASTPROBE_PROBE_H
#include "engine_internal.h"

typedef struct fp_probe_kind {
    void (*connected)(fp_engine *engine, fp_connection *connection);
    void (*ready)(fp_engine *engine, fp_connection *connection, uint32_t ready);
} fp_probe_kind;

extern const fp_probe_kind fp_probe_tcp;
extern const fp_probe_kind fp_probe_http;

enum fp_afterwards {
    FP_RESET, /* the connection ends here */
    FP_REST,  /* it stays open for this slot's next run */
};

/* The verdict: writes the record, frees the slot, and does with the connection as told. */
void fp_run_end(fp_engine *engine, fp_connection *connection, uint8_t result, uint8_t reason, uint16_t detail,
                enum fp_afterwards afterwards);

/* The peer or the kernel broke the connection, with this errno if any. On a kept one that has not answered: one retry on a
 * fresh one, since servers close idle connections when they like. */
void fp_run_fail(fp_engine *engine, fp_connection *connection, uint8_t reason, int error);

#endif
