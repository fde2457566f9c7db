/* floor_client MODE PORT TARGETS INTERVAL_S WARMUP_S SECONDS - the least that a check costs on this kernel: what an engine is
 * held against that does more.
 *
 * MODE: full, half, http, keep, dns, icmp. One thread, one epoll, edge-triggered; sockets are disconnected and used again,
 * of a TCP check the kernel is asked its round trip, datagrams go and come 32 in a system call; every 10 ms what is due is
 * started at once. No deadlines, no schedule but a counter, no records, one target after the other, one socket for all
 * datagrams. INTERVAL_S 0: no pace; each connection asks again as soon as it has its answer (keep). Prints one JSON object. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmp.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST_TARGET  0x7f010001u /* as in shared/checks.py */
#define NS_PER_S      1000000000ull
#define GRID_NS       10000000ull
#define CONNECTIONS   8192u
#define EVENTS        64
#define BATCH         32u
#define RECEIVE_BYTES (4 * 1024 * 1024)

static const char REQUEST[] = "GET /healthz HTTP/1.1\r\nHost: 127.1.0.1\r\nConnection: close\r\n\r\n";
static const char REQUEST_KEEP[] = "GET /healthz HTTP/1.1\r\nHost: 127.1.0.1\r\n\r\n";
static const char ANSWER[] = "HTTP/1.1 200";
static const uint8_t QUESTION[] = "\0\0\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1";

enum mode { FULL, HALF, HTTP, KEEP, DNS, ICMP, MODES };
static const char *const NAMES[MODES] = {"full", "half", "http", "keep", "dns", "icmp"};
enum phase { IDLE, CONNECTING, ASKED };

typedef struct connection {
    int fd; /* -1: none yet */
    enum phase phase;
} connection;

static enum mode mode;
static uint16_t port;
static uint32_t targets;
static bool paced;
static int epoll;
static uint64_t started, done, failed;

static connection connections[CONNECTIONS];
static uint32_t idle[CONNECTIONS], n_idle;

static int datagrams = -1;
static bool awaited[1u << 16]; /* by id */

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static struct sockaddr_in address_of(uint64_t target) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(mode == ICMP ? 0 : port),
                                .sin_addr.s_addr = htonl(FIRST_TARGET + (uint32_t)(target % targets))};
}

static void watch(int fd, uint32_t tag) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = tag};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) {
        perror("floor_client: epoll_ctl");
        exit(1);
    }
}

/* -- streams -------------------------------------------------------------------------------------------------------------- */

static void end(connection *it, bool passed) {
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    it->phase = IDLE;
    if (passed && mode != KEEP) connect(it->fd, &nowhere, sizeof nowhere);
    if (!passed) {
        close(it->fd);
        it->fd = -1;
    }
    if (mode != KEEP) idle[n_idle++] = (uint32_t)(it - connections);
    if (passed)
        done++;
    else
        failed++;
}

static void ask(connection *it) {
    const char *request = mode == KEEP ? REQUEST_KEEP : REQUEST;
    const size_t length = (mode == KEEP ? sizeof REQUEST_KEEP : sizeof REQUEST) - 1;
    it->phase = ASKED;
    if (send(it->fd, request, length, MSG_NOSIGNAL) != (ssize_t)length) end(it, false);
}

static void stream_socket(connection *it) {
    const struct linger reset = {.l_onoff = 1};
    const int second = 1;
    it->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(it->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (mode == HALF) setsockopt(it->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &second, sizeof second);
    watch(it->fd, (uint32_t)(it - connections));
}

/* A connection of keep belongs to one target; any other is whichever was free last. */
static void start_stream(void) {
    const uint64_t number = started++;
    if (mode == KEEP && connections[number % targets].phase != IDLE) return; /* its last answer is still to come */
    if (mode != KEEP && !n_idle) return;
    connection *it = &connections[mode == KEEP ? number % targets : idle[--n_idle]];
    if (it->fd >= 0 && mode == KEEP) {
        ask(it);
        return;
    }
    if (it->fd < 0) stream_socket(it);
    const struct sockaddr_in to = address_of(number);
    it->phase = CONNECTING;
    if (connect(it->fd, (const struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) end(it, false);
}

/* Of the handshake, as the kernel saw it: the latency of a TCP check. */
static uint32_t round_trip_us(const connection *it) {
    struct tcp_info info;
    socklen_t size = offsetof(struct tcp_info, tcpi_rtt) + sizeof info.tcpi_rtt;
    return getsockopt(it->fd, IPPROTO_TCP, TCP_INFO, &info, &size) ? 0 : info.tcpi_rtt;
}

static void stream_ready(connection *it, uint32_t events) {
    char bytes[4096];
    if (it->phase == IDLE) return; /* the echo of a disconnect */
    if (events & EPOLLERR) {
        end(it, false);
    } else if (it->phase == CONNECTING && events & EPOLLOUT) {
        if (mode == FULL || mode == HALF)
            end(it, round_trip_us(it) > 0);
        else
            ask(it);
    } else if (it->phase == ASKED && events & EPOLLIN) {
        const ssize_t n = recv(it->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EAGAIN) return;
        end(it, n >= (ssize_t)sizeof ANSWER - 1 && memcmp(bytes, ANSWER, sizeof ANSWER - 1) == 0);
        if (!paced && it->fd >= 0) {
            started++;
            ask(it);
        }
    }
}

/* -- datagrams ------------------------------------------------------------------------------------------------------------ */

static uint16_t checksum(const void *data, size_t bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes; i += 2) {
        uint16_t word;
        memcpy(&word, (const char *)data + i, 2);
        sum += word;
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* Both carry the number of the check in their id. */
static size_t question(uint8_t *out, uint16_t number) {
    if (mode == DNS) {
        memcpy(out, QUESTION, sizeof QUESTION - 1);
        memcpy(out, &number, 2);
        return sizeof QUESTION - 1;
    }
    struct icmphdr header = {.type = ICMP_ECHO, .un.echo = {.id = htons(port), .sequence = number}};
    memset(out, 0, 64);
    memcpy(out, &header, sizeof header);
    header.checksum = checksum(out, 64);
    memcpy(out, &header, sizeof header);
    return 64;
}

static void take_answers(void) {
    static uint8_t bytes[BATCH][2048];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    int got;
    do {
        for (uint32_t i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){bytes[i], sizeof bytes[i]};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
        }
        got = recvmmsg(datagrams, messages, BATCH, 0, NULL);
        for (int i = 0; i < got; i++) {
            const size_t at = mode == DNS ? 0 : 4 * (bytes[i][0] & 15u) + 6; /* of ICMP the header of IP comes first */
            uint16_t number;
            memcpy(&number, bytes[i] + at, 2);
            done += awaited[number];
            awaited[number] = false;
        }
    } while (got == (int)BATCH);
}

static void start_datagrams(uint64_t due) {
    static uint8_t bytes[BATCH][64];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_in to[BATCH];
    while (due) {
        const uint32_t n = due < BATCH ? (uint32_t)due : BATCH;
        for (uint32_t i = 0; i < n; i++) {
            const uint16_t number = (uint16_t)started;
            failed += awaited[number]; /* 65,536 checks later */
            awaited[number] = true;
            to[i] = address_of(started++);
            parts[i] = (struct iovec){bytes[i], question(bytes[i], number)};
            messages[i].msg_hdr =
                (struct msghdr){.msg_name = &to[i], .msg_namelen = sizeof to[i], .msg_iov = &parts[i], .msg_iovlen = 1};
        }
        if (sendmmsg(datagrams, messages, n, 0) != (int)n) failed++;
        due -= n;
        if (due) take_answers();
    }
}

static void datagram_socket(void) {
    const int bytes = RECEIVE_BYTES;
    const struct icmp_filter {
        uint32_t unwanted;
    } replies = {~(1u << ICMP_ECHOREPLY)};
    datagrams = mode == DNS ? socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
                            : socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (datagrams < 0 || (mode == ICMP && setsockopt(datagrams, SOL_RAW, 1 /* ICMP_FILTER */, &replies, sizeof replies))) {
        perror("floor_client: socket");
        exit(1);
    }
    if (setsockopt(datagrams, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(datagrams, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    watch(datagrams, CONNECTIONS);
}

/* -- the loop ------------------------------------------------------------------------------------------------------------- */

static void start(uint64_t due) {
    if (mode == DNS || mode == ICMP) {
        start_datagrams(due);
        return;
    }
    while (due--) start_stream();
}

static void turn(uint64_t wait_ns) {
    struct epoll_event events[EVENTS];
    const struct timespec wait = {.tv_sec = 0, .tv_nsec = (long)wait_ns};
    const int n = epoll_pwait2(epoll, events, EVENTS, &wait, NULL);
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 == CONNECTIONS)
            take_answers();
        else
            stream_ready(&connections[events[i].data.u32], events[i].events);
    }
}

static void run_until(uint64_t start_ns, uint64_t end_ns, double rate) {
    static uint64_t next_ns;
    for (uint64_t at_ns = now_ns(); at_ns < end_ns; at_ns = now_ns()) {
        if (paced && at_ns >= next_ns) {
            const uint64_t due = (uint64_t)((double)(at_ns - start_ns) / 1e9 * rate);
            start(due > started ? due - started : 0);
            next_ns = at_ns - (at_ns - start_ns) % GRID_NS + GRID_NS;
            at_ns = now_ns();
        }
        turn(!paced || next_ns > end_ns ? GRID_NS : next_ns > at_ns ? next_ns - at_ns : 0);
    }
}

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    for (mode = FULL; argc == 7 && mode < MODES && strcmp(argv[1], NAMES[mode]) != 0; mode++) {
    }
    if (argc != 7 || mode == MODES) {
        fprintf(stderr, "usage: floor_client MODE PORT TARGETS INTERVAL_S WARMUP_S SECONDS\n");
        return 2;
    }
    port = (uint16_t)atoi(argv[2]);
    targets = (uint32_t)strtoul(argv[3], NULL, 10);
    const double interval_s = atof(argv[4]), warmup_s = atof(argv[5]), seconds = atof(argv[6]);
    paced = interval_s > 0;
    if (!targets || (mode == KEEP && targets > CONNECTIONS) || (!paced && mode != KEEP)) return 2;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    prctl(PR_SET_TIMERSLACK, 1000ul);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = CONNECTIONS; i-- > 0;) {
        connections[i].fd = -1;
        idle[n_idle++] = i;
    }
    if (mode == DNS || mode == ICMP) datagram_socket();

    const double rate = paced ? targets / interval_s : 0;
    const uint64_t start_ns = now_ns(), warm_ns = start_ns + (uint64_t)(warmup_s * 1e9);
    if (!paced) start(targets);
    run_until(start_ns, warm_ns, rate);
    const uint64_t done_before = done, failed_before = failed, from_ns = now_ns();
    const double cpu_before_s = cpu_s();
    run_until(start_ns, warm_ns + (uint64_t)(seconds * 1e9), rate);
    printf("{\"checks\": %llu, \"failed\": %llu, \"cpu_s\": %.6f, \"wall_s\": %.6f}\n",
           (unsigned long long)(done - done_before), (unsigned long long)(failed - failed_before), cpu_s() - cpu_before_s,
           (double)(now_ns() - from_ns) / 1e9);
    return 0;
}
