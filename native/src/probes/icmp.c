/* ICMP: an echo request, and the reply to it. Runs share sockets, so nothing here is asked of a connection: see echoes.c. */
#include "probe.h"

const fp_probe_kind fp_probe_icmp = {.silence = FP_REASON_ICMP_TIMEOUT};
