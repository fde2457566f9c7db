/* What the kernel refuses because this host has run out of it is skipped by its reason, whichever call is refused. Buffers
 * cannot be used up on purpose without harming the host, so the calls are stood in for: each is the kernel's own until told to
 * refuse. */
#include "rig.h"

#include <errno.h>
#include <sys/syscall.h>

static int refuse_socket, refuse_connect, refuse_send; /* the errno, once; 0: do as always */

static bool refused(int *armed) {
    if (!*armed) return false;
    errno = *armed;
    *armed = 0;
    return true;
}

int socket(int domain, int type, int protocol) {
    return refused(&refuse_socket) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
    return refused(&refuse_connect) ? -1 : (int)syscall(SYS_connect, fd, address, size);
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
    return refused(&refuse_send) ? -1 : (ssize_t)syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}

static fp_target *http(const struct sockaddr_in *address) {
    const fp_http_plan_spec spec = {.method = "GET", .path = "/", .max_body = 1024};
    fp_http_plan *plan = NULL;
    fp_target *target = NULL;
    CHECK_EQ(fp_http_plan_new(&plan, &spec), 0);
    CHECK_EQ(fp_target_http(&target, (const struct sockaddr *)address, sizeof *address, plan, "a"), 0);
    fp_http_plan_release(plan);
    return target;
}

/* The refused run is skipped for this reason; the next one comes to what it comes to. */
static void expect_skipped(int *armed, int error, uint8_t reason, bool over_http) {
    struct sockaddr_in address;
    int server = rig_listen(&address, 8);
    rig it = rig_new(2);
    rig_aim(&it, 0, over_http ? http(&address) : rig_tcp(&address), over_http ? 100 * FP_NS_PER_MS : 10 * FP_NS_PER_S);
    *armed = error;
    fp_record record = rig_run(&it, 0, 0);
    CHECK_EQ(record.result, FP_EVENT_SKIPPED);
    CHECK_EQ(record.reason, reason);
    CHECK_EQ(record.detail, 1);
    record = rig_run(&it, 0, 0);
    CHECK_EQ(record.result, over_http ? FP_TIMEOUT : FP_OK);
    rig_free(&it);
    close(server);
}

static void no_socket_for_want_of_descriptors_or_memory_is_our_fault(void) {
    expect_skipped(&refuse_socket, EMFILE, FP_REASON_DESCRIPTORS, false);
    expect_skipped(&refuse_socket, ENFILE, FP_REASON_DESCRIPTORS, false);
    expect_skipped(&refuse_socket, ENOBUFS, FP_REASON_MEMORY, false);
    expect_skipped(&refuse_socket, ENOMEM, FP_REASON_MEMORY, true);
}

static void no_connection_for_want_of_ports_or_memory_is_our_fault(void) {
    expect_skipped(&refuse_connect, EADDRNOTAVAIL, FP_REASON_PORTS, false);
    expect_skipped(&refuse_connect, ENOBUFS, FP_REASON_MEMORY, false);
    expect_skipped(&refuse_connect, ENOMEM, FP_REASON_MEMORY, true);
    expect_skipped(&refuse_connect, EAGAIN, FP_REASON_PORTS, false);
}

static void a_request_that_finds_no_buffer_is_our_fault(void) {
    expect_skipped(&refuse_send, ENOBUFS, FP_REASON_MEMORY, true);
    expect_skipped(&refuse_send, ENOMEM, FP_REASON_MEMORY, true);
}

int main(void) {
    RUN(no_socket_for_want_of_descriptors_or_memory_is_our_fault);
    RUN(no_connection_for_want_of_ports_or_memory_is_our_fault);
    RUN(a_request_that_finds_no_buffer_is_our_fault);
    return 0;
}
