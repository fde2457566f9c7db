/* give_way.c - how the engine's thread gives way to its host's.
 *
 * Both are threads of one process, and the host's sleep and wake more often than they work. A thread that wakes takes the
 * processor from one that runs only if it asks for a shorter slice of it (EEVDF, Linux 6.12 and later); otherwise it waits
 * until the slice of the other is used up, 3 ms. The engine works for milliseconds on end when many checks fall due, so it asks
 * for long slices: it gets no less of the processor, and whoever wakes beside it is served first. */
#include "engine_internal.h"

#ifdef __linux__
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NS  (20 * FP_NS_PER_MS)
#define MOST_NICE 19

/* The kernel's struct sched_attr in its first size: glibc has none before 2.41, and linux/sched/types.h disagrees with that. */
typedef struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; /* of SCHED_OTHER: the slice; older kernels do not look at it */
    uint64_t deadline_ns;
    uint64_t period_ns;
} attributes;
_Static_assert(sizeof(attributes) == 48, "SCHED_ATTR_SIZE_VER0");

void fp_give_way(uint32_t nice) {
    const pid_t self = (pid_t)syscall(SYS_gettid);
    if (sched_getscheduler(self) != SCHED_OTHER) return; /* whoever chose another policy meant it */
    const int wanted = getpriority(PRIO_PROCESS, (id_t)self) + (int)nice;
    attributes own = {
        .size = sizeof own, .policy = SCHED_OTHER, .nice = wanted < MOST_NICE ? wanted : MOST_NICE, .runtime_ns = SLICE_NS};
    const bool refused = syscall(SYS_sched_setattr, self, &own, 0) != 0;
    /* By a seccomp filter, say. Without the slice the host waits as it would have; niceness was asked for, and has another way.
     */
    if (refused && nice) setpriority(PRIO_PROCESS, (id_t)self, own.nice);
}
#else
void fp_give_way(uint32_t nice) {
    (void)nice;
}
#endif
