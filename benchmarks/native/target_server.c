/* target_server - what the network scenarios probe: accepts every connection on any 127/8 address, answers every HTTP request
 * 200, and over UDP, on the port of the same number, every question of DNS with one address.
 *
 * usage: target_server [PORT]; without one, or 0, any that is free. Prints {"port": N} once it listens; serves until stdin
 * ends; then prints what it saw, so that a contender's count of checks can be held against the number of connections that
 * really came. Listens on 0.0.0.0 bound to the loopback device: reachable as any 127.x.y.z and from no other host. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FDS    65536
#define BACKLOG    65535
#define READ_BYTES 4096

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
static const char END_OF_REQUEST[] = "\r\n\r\n";

/* How many bytes of END_OF_REQUEST have been matched; a request may come in pieces. */
static uint8_t matched[MAX_FDS];

static uint64_t accepted, requests, closed, resets, questions;

static int listen_on_loopback(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof address;
    int one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) || bind(fd, (struct sockaddr *)&address, length) ||
        listen(fd, BACKLOG) || getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("target_server: listen on lo");
        exit(1);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static void accept_all(int epoll, int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == ECONNABORTED) {
                accepted++;
                continue;
            }
            return; /* EAGAIN; and out of descriptors the next turn tries again */
        }
        accepted++;
        assert(fd < MAX_FDS);
        matched[fd] = 0;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static unsigned requests_in(int fd, const char *bytes, size_t n) {
    unsigned found = 0;
    uint8_t at = matched[fd];
    for (size_t i = 0; i < n; i++) {
        at = bytes[i] == END_OF_REQUEST[at] ? (uint8_t)(at + 1) : (uint8_t)(bytes[i] == '\r');
        if (at == sizeof END_OF_REQUEST - 1) {
            found++;
            at = 0;
        }
    }
    matched[fd] = at;
    return found;
}

static void serve(int fd) {
    char bytes[READ_BYTES];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        resets += n < 0;
        closed++;
        close(fd);
        return;
    }
    for (unsigned left = requests_in(fd, bytes, (size_t)n); left; left--) {
        requests++;
        if (send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) < 0) return; /* the next read says why */
    }
}

/* -- dns -------------------------------------------------------------------------------------------------------------- */

/* Questions that come while this process waits for its turn must not be lost: that would be a check lost to the machine. */
static void make_room(int fd) {
    const int bytes = 4 * 1024 * 1024;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

static int bind_datagrams(uint16_t port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) ||
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one) || bind(fd, (struct sockaddr *)&address, sizeof address)) {
        perror("target_server: bind datagrams on lo");
        exit(1);
    }
    make_room(fd);
    return fd;
}

/* The question as it came, and one A record that points at its name. The sender's copy of our address, in the control message
 * that came along, goes back with it: the answer leaves from where the question went. */
static void answer_all(int fd) {
    static const char RECORD[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
    for (;;) {
        char bytes[512 + sizeof RECORD], control[CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct sockaddr_in from;
        struct iovec part = {bytes, 512};
        struct msghdr message = {.msg_name = &from,
                                 .msg_namelen = sizeof from,
                                 .msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t n = recvmsg(fd, &message, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return;
        if (n < 12) continue;
        questions++;
        bytes[2] |= (char)0x80;
        bytes[7] = 1;
        memcpy(bytes + n, RECORD, sizeof RECORD - 1);
        part.iov_len = (size_t)n + sizeof RECORD - 1;
        sendmsg(fd, &message, 0);
    }
}

int main(int argc, char **argv) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < MAX_FDS ? limit.rlim_max : MAX_FDS;
    setrlimit(RLIMIT_NOFILE, &limit);

    uint16_t port = argc > 1 ? (uint16_t)atoi(argv[1]) : 0;
    int listener = listen_on_loopback(&port), datagrams = bind_datagrams(port), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = datagrams;
    epoll_ctl(epoll, EPOLL_CTL_ADD, datagrams, &event);
    event.data.fd = STDIN_FILENO;
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    printf("{\"port\": %u}\n", port);
    fflush(stdout);

    bool serving = true;
    while (serving) {
        int n = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener)
                accept_all(epoll, listener);
            else if (fd == datagrams)
                answer_all(fd);
            else if (fd != STDIN_FILENO)
                serve(fd);
            else
                serving = false;
        }
    }
    printf("{\"accepted\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"closed\": %" PRIu64 ", \"resets\": %" PRIu64
           ", \"questions\": %" PRIu64 "}\n",
           accepted, requests, closed, resets, questions);
    return 0;
}
