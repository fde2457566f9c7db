#include "fastprobe/target.h"
#include "fastprobe/echo.h"
#include "target_internal.h"
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

_Static_assert(offsetof(struct fp_target, storage) % _Alignof(struct sockaddr_in6) == 0, "the address is read in place");
_Static_assert(sizeof(struct fp_target) + sizeof(struct sockaddr_in) <= 96, "a million of them");

static bool is_address(const struct sockaddr *address, socklen_t len) {
    switch (address->sa_family) {
    case AF_INET:
        return len == sizeof(struct sockaddr_in);
    case AF_INET6:
        return len == sizeof(struct sockaddr_in6);
    case AF_UNIX:
        return len > offsetof(struct sockaddr_un, sun_path) && len <= sizeof(struct sockaddr_un);
    default:
        return false;
    }
}

static bool is_host_header(const char *host, size_t len) {
    if (len == 0 || len > FP_HOST_HEADER_MAX) return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)host[i] <= ' ' || (unsigned char)host[i] >= 0x7f) return false;
    return true;
}

static int make(fp_target **target, uint8_t kind, const struct sockaddr *address, socklen_t address_len, const char *host,
                size_t host_len) {
    if (!is_address(address, address_len)) return -EINVAL;
    fp_target *made = calloc(1, sizeof *made + address_len + host_len);
    if (!made) return -ENOMEM;
    made->kind = kind;
    made->family = (uint8_t)address->sa_family;
    made->address_len = (uint8_t)address_len;
    made->host_len = (uint16_t)host_len;
    memcpy(made->storage, address, address_len);
    memcpy(made->storage + address_len, host, host_len);
    *target = made;
    return 0;
}

int fp_target_tcp(fp_target **target, const struct sockaddr *address, socklen_t address_len) {
    assert(target && address);
    return make(target, FP_TARGET_TCP, address, address_len, "", 0);
}

int fp_target_http(fp_target **target, const struct sockaddr *address, socklen_t address_len, fp_http_plan *plan,
                   const char *host_header) {
    assert(target && address && plan && host_header);
    const size_t host_len = strlen(host_header);
    if (!is_host_header(host_header, host_len)) return -EINVAL;
    const int failed = make(target, FP_TARGET_HTTP, address, address_len, host_header, host_len);
    if (failed) return failed;
    atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
    (*target)->plan = plan;
    return 0;
}

static int make_datagram(fp_target **target, uint8_t kind, const struct sockaddr *address, socklen_t address_len) {
    return address->sa_family == AF_UNIX ? -EINVAL : make(target, kind, address, address_len, "", 0);
}

int fp_target_udp(fp_target **target, const struct sockaddr *address, socklen_t address_len, fp_udp_plan *plan) {
    assert(target && address && plan);
    const int failed = make_datagram(target, FP_TARGET_UDP, address, address_len);
    if (failed) return failed;
    fp_udp_plan_hold(plan);
    (*target)->udp = plan;
    return 0;
}

int fp_target_dns(fp_target **target, const struct sockaddr *address, socklen_t address_len, fp_dns_plan *plan) {
    assert(target && address && plan);
    const int failed = make_datagram(target, FP_TARGET_DNS, address, address_len);
    if (failed) return failed;
    fp_dns_plan_hold(plan);
    (*target)->dns = plan;
    return 0;
}

int fp_target_icmp(fp_target **target, const struct sockaddr *address, socklen_t address_len, uint16_t payload_bytes) {
    assert(target && address);
    if (payload_bytes < FP_ECHO_PAYLOAD_MIN || payload_bytes > FP_ECHO_PAYLOAD_MAX) return -EINVAL;
    const int failed = make_datagram(target, FP_TARGET_ICMP, address, address_len);
    if (failed) return failed;
    (*target)->echo_bytes = payload_bytes;
    return 0;
}

int fp_target_unresolved(fp_target **target, uint8_t result, uint8_t reason) {
    assert(target);
    if ((result != FP_FAIL && result != FP_ERROR) || !fp_reason_name(reason)) return -EINVAL;
    fp_target *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->kind = FP_TARGET_UNRESOLVED;
    made->result = result;
    made->reason = reason;
    *target = made;
    return 0;
}

void fp_target_half_handshake(fp_target *target) {
    assert(target && target->kind == FP_TARGET_TCP && target->family != AF_UNIX);
    target->half = true;
}

void fp_target_free(fp_target *target) {
    if (!target) return;
    switch (target->kind) {
    case FP_TARGET_UDP:
        fp_udp_plan_release(target->udp);
        break;
    case FP_TARGET_DNS:
        fp_dns_plan_release(target->dns);
        break;
    case FP_TARGET_ICMP:
        break;
    default:
        fp_http_plan_release(target->plan);
    }
    fp_route_release(target->route);
    free(target);
}

size_t fp_target_bytes(const fp_target *target) {
    assert(target);
    return sizeof *target + target->address_len + target->host_len;
}

size_t fp_target_request(const fp_target *target, char *out, size_t size) {
    assert(target);
    if (target->kind != FP_TARGET_HTTP) return 0;
    const fp_http_plan *plan = target->plan;
    const size_t host_len = plan->own_host ? 0 : target->host_len;
    const size_t len = plan->before_host_len + host_len + plan->after_host_len;
    assert(len <= FP_HTTP_REQUEST_MAX);
    if (len > size) return len;
    memcpy(out, plan->before_host, plan->before_host_len);
    memcpy(out + plan->before_host_len, target->storage + target->address_len, host_len);
    memcpy(out + plan->before_host_len + host_len, plan->after_host, plan->after_host_len);
    return len;
}
