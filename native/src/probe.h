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
    uint8_t silence; /* the reason when no answer comes in time; 0: by how far the run came */
} fp_probe_kind;

extern const fp_probe_kind fp_probe_tcp;
extern const fp_probe_kind fp_probe_http;
extern const fp_probe_kind fp_probe_udp;
extern const fp_probe_kind fp_probe_dns;
extern const fp_probe_kind fp_probe_icmp;

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

/* What connect or a first packet came to: our own limits skip the run, anything else is the target's failure. */
void fp_run_refused(fp_engine *engine, fp_connection *connection, int error);

/* There is no socket, or not one as the route wants it: our own limits skip the run, anything else is an error. */
void fp_run_no_socket(fp_engine *engine, fp_connection *connection, int error);

/* We could not tell, and it is our own fault: no verdict on the target. */
void fp_run_give_up(fp_engine *engine, fp_connection *connection, uint8_t reason);

/* The same run on a new socket; the old one was dropped. Its clock goes on. */
void fp_run_reopen(fp_engine *engine, fp_connection *connection);
/* The same run by a socket of its own: there is none to share. */
void fp_run_open_own(fp_engine *engine, fp_connection *connection);

/* datagrams.c */
uint16_t fp_datagram_id(fp_engine *engine); /* from the kernel's generator: nobody guesses the next one */
bool fp_datagram_is_from(const fp_target *target, const struct sockaddr_storage *from);
/* false: the run has ended. */
bool fp_datagram_send(fp_engine *engine, fp_connection *connection, const void *bytes, size_t len);
/* The next datagram of the target's, in engine->scratch; its length, which may be more than fits, or -errno. What others sent
 * is dropped and counted. */
ssize_t fp_datagram_receive(fp_engine *engine, const fp_connection *connection);

#endif
