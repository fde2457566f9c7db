/* target_internal.h - targets and plans from within: what the engine and its probes read. Immutable once made.
 *
 * There may be a million targets and a handful of plans, so a target holds its address, its Host header and nothing that
 * another target of the same plan would hold too: 40 bytes and the host for IPv4. */
#ifndef FASTPROBE_TARGET_INTERNAL_H
#define FASTPROBE_TARGET_INTERNAL_H
#include "fastprobe/datagram.h"
#include "fastprobe/target.h"
#include "needle.h"
#include <stdatomic.h>

struct fp_route {
    _Atomic uint32_t references;
    uint32_t mark;
    uint8_t tos;
    uint8_t source_len;             /* 0: none */
    char interface[16];             /* terminated; "": any */
    struct sockaddr_storage source; /* port 0 */
};

enum fp_target_kind {
    FP_TARGET_TCP = 1,
    FP_TARGET_HTTP = 2,
    FP_TARGET_UNRESOLVED = 3,
    FP_TARGET_UDP = 4,
    FP_TARGET_DNS = 5,
    FP_TARGET_ICMP = 6
};

struct fp_target {
    union { /* one reference of the kind's own plan; otherwise NULL */
        fp_http_plan *plan;
        fp_udp_plan *udp;
        fp_dns_plan *dns;
        uint16_t echo_bytes; /* ICMP: of the payload; no plan */
    };
    fp_route *route;     /* one reference, or NULL: as the kernel likes */
    uint8_t kind;        /* fp_target_kind */
    uint8_t result;      /* UNRESOLVED: what every run comes to */
    uint8_t reason;      /* UNRESOLVED: and why */
    uint8_t family;      /* AF_INET, AF_INET6, AF_UNIX; 0 when unresolved */
    uint8_t address_len; /* as connect() wants it: an abstract unix name ends where it ends */
    bool half;           /* TCP: reset instead of the handshake's last acknowledgement */
    uint16_t host_len;
    char storage[]; /* the sockaddr, then host_len bytes of Host header; 8-byte aligned by the members before it */
};

void fp_udp_plan_hold(fp_udp_plan *plan);
void fp_dns_plan_hold(fp_dns_plan *plan);
void fp_route_hold(fp_route *route); /* another reference; NULL is no route */
/* Make a fresh socket of this family take the route. 0, or -errno: EADDRNOTAVAIL and ENODEV when this host does not have what
 * the route wants, EPERM when this process may not. */
int fp_route_take(const fp_route *route, int fd, int family);

static inline const struct sockaddr *fp_target_address(const fp_target *target) {
    return (const struct sockaddr *)(const void *)target->storage;
}

/* Its first packet is a datagram. */
static inline bool fp_target_is_datagram(const fp_target *target) {
    return target->kind == FP_TARGET_UDP || target->kind == FP_TARGET_DNS;
}

/* A socket that has asked this address is not what it was, whatever is done to it. A link-local peer has bound it to its
 * interface, an IPv4-mapped one has turned it into an IPv4 socket; and a unix socket knows no disconnect. */
bool fp_target_leaves_a_trace(const fp_target *target);

/* Its datagrams may go by a socket that others use too. */
static inline bool fp_target_shares(const fp_target *target) {
    return target->kind == FP_TARGET_ICMP ||
           (target->kind == FP_TARGET_DNS && !target->route && !fp_target_leaves_a_trace(target));
}

#define FP_HOST_HEADER_MAX 300u
#define FP_EXPECT_HEADERS  16u

typedef struct fp_expected_header {
    const char *name; /* lower-case, terminated */
    const char *value;
    uint16_t name_len;
    uint16_t value_len;
} fp_expected_header;

struct fp_http_plan {
    _Atomic uint32_t references;
    uint32_t max_body;
    uint32_t before_host_len; /* request = before_host, the target's host, after_host */
    uint32_t after_host_len;
    const char *before_host;
    const char *after_host;
    fp_needle needle;      /* len 0: the body is not looked at */
    uint64_t accepted[16]; /* a bit for each three-digit status */
    uint32_t n_expected;
    uint32_t idle_ms; /* a kept connection is closed after this; 0: when the target does */
    bool head;        /* the method is HEAD */
    bool keep_alive;  /* leave the connection open for the next run */
    bool own_host;    /* the plan brings its own Host header: the target's is not sent */
    fp_expected_header expected[FP_EXPECT_HEADERS];
    char text[]; /* everything the pointers above point to */
};

static inline bool fp_http_plan_accepts(const fp_http_plan *plan, unsigned status) {
    return status < 1000 && (plan->accepted[status / 64] >> (status % 64) & 1) != 0;
}

/* A bit for each expectation that this header fulfils: or them over a response and compare with fp_http_plan_wanted. */
uint32_t fp_http_plan_match(const fp_http_plan *plan, const char *name, size_t name_len, const char *value, size_t value_len);

static inline uint32_t fp_http_plan_wanted(const fp_http_plan *plan) {
    return (1u << plan->n_expected) - 1u;
}

#endif
