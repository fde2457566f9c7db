/* Out of ephemeral ports, in a network namespace that has two. Where namespaces are forbidden the claim is not tested, and says
 * so.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

static bool write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return written;
}

static bool raise_loopback(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    if (fd >= 0) close(fd);
    return up;
}

static bool enter_namespace_of_two_ports(void) {
    char map[32];
    snprintf(map, sizeof map, "0 %u 1", (unsigned)getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) return false;
    return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", map) && raise_loopback() &&
           write_file("/proc/sys/net/ipv4/ip_local_port_range", "20000 20001");
}

/* A listener whose accept queue is full: connections to it stay half open, and keep their port. */
static int silent(struct sockaddr_in *address) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof *address;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = from;
    address->sin_port = htons(9000);
    CHECK_EQ(bind(server, (struct sockaddr *)address, size), 0);
    CHECK_EQ(listen(server, 0), 0);
    for (uint16_t i = 0; i < 3; i++) { /* from ports of their own choice; left open until the process ends */
        int filling = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        from.sin_port = htons((uint16_t)(30000 + i));
        CHECK_EQ(bind(filling, (struct sockaddr *)&from, sizeof from), 0);
        connect(filling, (struct sockaddr *)address, size);
    }
    usleep(50000);
    return server;
}

static void expect_ports(rig *it, fp_target *third) {
    const fp_command run = {.op = FP_CMD_RUN, .generation = 1, .due_ns = FP_NEVER};
    rig_aim(it, 2, third, 10 * FP_NS_PER_S);
    for (uint32_t slot = 0; slot < 2; slot++) {
        fp_command command = run;
        command.slot = slot;
        rig_post(it, command);
    }
    const fp_record record = rig_run(it, 2, 0); /* the first two are silent: it is the first that tells */
    CHECK_EQ(record.slot, 2);
    CHECK_EQ(record.result, FP_EVENT_SKIPPED);
    CHECK_EQ(record.reason, FP_REASON_PORTS);
}

static void running_out_of_ports_is_our_fault_and_skipped(bool with_source) {
    struct sockaddr_in address;
    const struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = silent(&address);
    fp_target *targets[3];
    rig it = rig_new(4);
    for (int i = 0; i < 3; i++) {
        targets[i] = rig_tcp(&address);
        if (!with_source) continue;
        fp_route *route = NULL;
        const fp_route_spec spec = {.source = (const struct sockaddr *)&source, .source_len = sizeof source};
        CHECK_EQ(fp_route_new(&route, &spec), 0);
        CHECK_EQ(fp_target_route(targets[i], route), 0);
        fp_route_release(route);
    }
    for (uint32_t slot = 0; slot < 2; slot++) rig_aim(&it, slot, targets[slot], 10 * FP_NS_PER_S);
    expect_ports(&it, targets[2]);
    rig_free(&it);
    close(server);
}

static void without_a_source(void) {
    running_out_of_ports_is_our_fault_and_skipped(false);
}

static void with_a_source(void) {
    running_out_of_ports_is_our_fault_and_skipped(true);
}

/* Each claim in a namespace of its own: what the other left half open would take the ports. */
static void in_child(void (*claim)(void)) {
    fflush(stdout); /* or the child would print it again */
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        if (enter_namespace_of_two_ports())
            claim();
        else
            printf("    not tested: no network namespace for this user (%s)\n", strerror(errno));
        fflush(stdout);
        _exit(0); /* sockets that fill the queue are left to the kernel */
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    printf("%s: running_out_of_ports_is_our_fault_and_skipped, without and with a source\n", __FILE__);
    in_child(without_a_source);
    in_child(with_a_source);
    return 0;
}
