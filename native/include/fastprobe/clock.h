/* clock.h - the two clocks of the product.
 *
 * Schedules live on CLOCK_BOOTTIME, which goes on while the machine sleeps, so that a wake-up is seen as a jump; latencies are
 * measured on CLOCK_MONOTONIC, which does not. Both start near zero at boot and are shared by all processes of the host, so a
 * phase computed from BOOTTIME survives a restart of the process. */
#ifndef FASTPROBE_CLOCK_H
#define FASTPROBE_CLOCK_H
#include "fastprobe/base.h"

fp_ns fp_clock_schedule(void); /* CLOCK_BOOTTIME, or CLOCK_MONOTONIC where there is none */
fp_ns fp_clock_latency(void);  /* CLOCK_MONOTONIC */
fp_ns fp_clock_wall(void);     /* CLOCK_REALTIME: what the kernel stamps packets with; for differences of an instant alone */

#endif
