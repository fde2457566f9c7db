/* route.c - how packets leave this host: a source address, an interface, a mark, a type of service; shared by many targets. */
#include "target_internal.h"
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool takes_source(struct sockaddr_storage *source, const fp_route_spec *spec) {
    if (spec->source->sa_family == AF_INET && spec->source_len == sizeof(struct sockaddr_in)) {
        memcpy(source, spec->source, spec->source_len);
        ((struct sockaddr_in *)source)->sin_port = 0;
        return true;
    }
    if (spec->source->sa_family == AF_INET6 && spec->source_len == sizeof(struct sockaddr_in6)) {
        memcpy(source, spec->source, spec->source_len);
        ((struct sockaddr_in6 *)source)->sin6_port = 0;
        return true;
    }
    return false;
}

int fp_route_new(fp_route **route, const fp_route_spec *spec) {
    assert(route && spec);
    const size_t interface_len = spec->interface ? strlen(spec->interface) : 0;
    if (interface_len >= sizeof(*route)->interface || (spec->interface && interface_len == 0)) return -EINVAL;
    fp_route *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    if (spec->source && !takes_source(&made->source, spec)) {
        free(made);
        return -EINVAL;
    }
    atomic_init(&made->references, 1);
    made->source_len = spec->source ? (uint8_t)spec->source_len : 0;
    made->mark = spec->mark;
    made->tos = spec->tos;
    if (interface_len) memcpy(made->interface, spec->interface, interface_len);
    *route = made;
    return 0;
}

void fp_route_hold(fp_route *route) {
    if (route) atomic_fetch_add_explicit(&route->references, 1, memory_order_relaxed);
}

void fp_route_release(fp_route *route) {
    if (!route) return;
    const uint32_t before = atomic_fetch_sub_explicit(&route->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) free(route);
}

int fp_target_route(fp_target *target, fp_route *route) {
    assert(target && route && !target->route);
    if (target->family != AF_INET && target->family != AF_INET6) return -EINVAL;
    if (route->source_len && route->source.ss_family != target->family) return -EINVAL;
    fp_route_hold(route);
    target->route = route;
    return 0;
}

#ifndef FP_NO_EPOLL /* the native lane's business, and half of these options are Linux's */
int fp_route_take(const fp_route *route, int fd, int family) {
    const int one = 1, tos = route->tos;
    const bool v6 = family == AF_INET6;
    if (route->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &route->mark, sizeof route->mark)) return -errno;
    if (route->interface[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, route->interface, sizeof route->interface))
        return -errno;
    if (tos && setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof tos)) return -errno;
    if (!route->source_len) return 0;
    /* The port is chosen at connect(), when the peer is known: one port serves connections to many peers, and a bind that chose
     * it now would run out of them after 28,000 sockets. */
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one)) return -errno;
    return bind(fd, (const struct sockaddr *)&route->source, route->source_len) ? -errno : 0;
}
#endif
