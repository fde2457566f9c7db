/* connect_client PORT TARGETS RATE SECONDS - what the kernel says of connects: one blocking client, paced, that asks TCP_INFO.
 *
 * Prints one JSON object: microseconds from SYN to SYN-ACK as the kernel counted them (tcpi_rtt), and the same connects by the
 * clock around the system call. Targets are 127.1.0.1 and on, as in shared/checks.py, in an order in which neighbours are far
 * apart, as those of a schedule are. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST_TARGET 0x7f010001u
#define NS_PER_S     1000000000ll
#define STRIDE       618034003ull /* a prime: every target comes once before any comes again */

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void sleep_until(int64_t due_ns) {
    struct timespec due = {.tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

/* Connect, ask, reset. 0, or -1 when the target did not answer. */
static int connect_once(struct sockaddr_in to, double *kernel_us, double *clock_us) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    int64_t began_ns = now_ns();
    int failed = connect(fd, (struct sockaddr *)&to, sizeof to);
    *clock_us = (double)(now_ns() - began_ns) / 1e3;
    struct tcp_info info;
    socklen_t size = sizeof info;
    failed |= getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    *kernel_us = info.tcpi_rtt;
    close(fd);
    return failed;
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double percentile(double *values, size_t n, double share) {
    qsort(values, n, sizeof *values, ascending);
    return values[(size_t)((double)(n - 1) * share)];
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: connect_client PORT TARGETS RATE SECONDS\n");
        return 2;
    }
    uint16_t port = (uint16_t)atoi(argv[1]);
    size_t targets = strtoul(argv[2], NULL, 10);
    double rate = atof(argv[3]), seconds = atof(argv[4]);
    size_t wanted = (size_t)(rate * seconds), done = 0, failed = 0;
    double *kernel_us = calloc(wanted, sizeof *kernel_us), *clock_us = calloc(wanted, sizeof *clock_us);
    if (!kernel_us || !clock_us || !wanted || !targets) return 1;

    int64_t start_ns = now_ns();
    for (size_t i = 0; i < wanted; i++) {
        sleep_until(start_ns + (int64_t)((double)i / rate * 1e9));
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
        to.sin_addr.s_addr = htonl(FIRST_TARGET + (uint32_t)(i * STRIDE % targets));
        if (connect_once(to, &kernel_us[done], &clock_us[done]))
            failed++;
        else
            done++;
    }
    double wall_s = (double)(now_ns() - start_ns) / 1e9;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu_us =
        (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    if (!done) return 1;
    printf("{\"kernel_p50_us\": %g, \"kernel_p99_us\": %g, \"clock_p50_us\": %g, \"clock_p99_us\": %g, \"rate\": %g, "
           "\"cpu_us_per_check\": %g, \"failed\": %zu}\n",
           percentile(kernel_us, done, 0.5), percentile(kernel_us, done, 0.99), percentile(clock_us, done, 0.5),
           percentile(clock_us, done, 0.99), (double)done / wall_s, cpu_us / (double)done, failed);
    free(kernel_us);
    free(clock_us);
    return 0;
}
