/* target_server - what the network scenarios probe: accepts every connection on any 127/8 address, answers every HTTP request
 * 200.
 *
 * Prints {"port": N} once it listens; serves until stdin ends; then prints what it saw, so that a contender's count of checks
 * can be held against the number of connections that really came. Listens on 0.0.0.0 bound to the loopback device: reachable as
 * any 127.x.y.z and from no other host. */
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

static uint64_t accepted, requests, closed, resets;

static int listen_on_loopback(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof address;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) || bind(fd, (struct sockaddr *)&address, length) ||
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

int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < MAX_FDS ? limit.rlim_max : MAX_FDS;
    setrlimit(RLIMIT_NOFILE, &limit);

    uint16_t port;
    int listener = listen_on_loopback(&port), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
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
            else if (fd != STDIN_FILENO)
                serve(fd);
            else
                serving = false;
        }
    }
    printf("{\"accepted\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"closed\": %" PRIu64 ", \"resets\": %" PRIu64 "}\n",
           accepted, requests, closed, resets);
    return 0;
}
