/* A thread gives way also where a filter of system calls keeps it from asking for long slices. */
#include "check.h"
#include "engine_internal.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE 3u

/* Of this thread alone. false: this host allows no filters. */
static bool refuse_sched_setattr(void) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setattr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = sizeof steps / sizeof steps[0], .filter = steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* How much nicer this thread is afterwards; its argument: whether a filter stands in the way. */
static void *give_way(void *filtered) {
    const id_t self = (id_t)syscall(SYS_gettid);
    const int before = getpriority(PRIO_PROCESS, self);
    if (filtered && !refuse_sched_setattr()) return NULL;
    fp_give_way(NICE);
    CHECK_EQ(getpriority(PRIO_PROCESS, self), before + (int)NICE < 19 ? before + (int)NICE : 19);
    return NULL;
}

static void in_a_thread_of_its_own(void *filtered) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, give_way, filtered), 0);
    pthread_join(thread, NULL);
}

static void a_thread_is_as_much_nicer_as_was_asked_for(void) {
    in_a_thread_of_its_own(NULL);
}

static void so_it_is_when_long_slices_are_refused(void) {
    bool filtered = true;
    in_a_thread_of_its_own(&filtered);
}

int main(void) {
    RUN(a_thread_is_as_much_nicer_as_was_asked_for);
    RUN(so_it_is_when_long_slices_are_refused);
    return 0;
}
