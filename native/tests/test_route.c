/* How connections leave this host: source address, interface, mark, type of service, and the handshake that ends half way. */
#include "rig.h"

#include <errno.h>
#include <netinet/tcp.h>

static fp_target *tcp_by(const struct sockaddr_in *address, const fp_route_spec *spec) {
    fp_route *route = NULL;
    fp_target *target = rig_tcp(address);
    CHECK_EQ(fp_route_new(&route, spec), 0);
    CHECK_EQ(fp_target_route(target, route), 0);
    fp_route_release(route); /* the target holds its own */
    return target;
}

static fp_target *tcp_from(const struct sockaddr_in *address, const char *source) {
    const struct sockaddr_in from = rig_ipv4(source);
    return tcp_by(address, &(fp_route_spec){.source = (const struct sockaddr *)&from, .source_len = sizeof from});
}

/* The first bytes of the IP header of the SYN that opened the oldest waiting connection. */
static void take_syn(int server, unsigned char *header, socklen_t size) {
    int client = accept(server, NULL, NULL);
    CHECK(client >= 0);
    unsigned char syn[256];
    socklen_t length = sizeof syn;
    CHECK_EQ(getsockopt(client, IPPROTO_TCP, TCP_SAVED_SYN, syn, &length), 0);
    CHECK(length >= 20);
    memcpy(header, syn, size);
    close(client);
}

static uint32_t came_from(int server) {
    unsigned char header[20];
    take_syn(server, header, sizeof header);
    return (uint32_t)header[12] << 24 | (uint32_t)header[13] << 16 | (uint32_t)header[14] << 8 | header[15];
}

static int saving_listener(struct sockaddr_in *address) {
    const int one = 1;
    int server = rig_listen(address, 64);
    CHECK_EQ(setsockopt(server, IPPROTO_TCP, TCP_SAVE_SYN, &one, sizeof one), 0);
    return server;
}

static void a_full_handshake_reaches_the_accept_queue_and_half_of_one_does_not(void) {
    struct sockaddr_in address;
    int server = rig_listen(&address, 64);
    rig it = rig_new(2);
    fp_target *half = rig_tcp(&address);
    fp_target_half_handshake(half);
    rig_aim(&it, 0, half, FP_NS_PER_S);
    for (int i = 0; i < 20; i++) CHECK_EQ(rig_run(&it, 0, 0).result, FP_OK);
    CHECK_EQ(accept(server, NULL, NULL), -1);
    CHECK_EQ(errno, EAGAIN);
    rig_aim(&it, 0, rig_tcp(&address), FP_NS_PER_S); /* on the same socket: the choice is not left behind on it */
    CHECK_EQ(rig_run(&it, 0, 0).result, FP_OK);
    int client = accept(server, NULL, NULL);
    CHECK(client >= 0 || errno == ECONNABORTED);
    if (client >= 0) close(client);
    CHECK_EQ(rig_stats(&it).connections_opened, 1);
    rig_free(&it);
    close(server);
}

static void half_a_handshake_tells_a_refusing_target_all_the_same(void) {
    struct sockaddr_in address;
    int server = rig_listen(&address, -1);
    rig it = rig_new(1);
    fp_target *half = rig_tcp(&address);
    fp_target_half_handshake(half);
    rig_aim(&it, 0, half, FP_NS_PER_S);
    CHECK_EQ(rig_run(&it, 0, 0).reason, FP_REASON_CONNECT_REFUSED);
    rig_free(&it);
    close(server);
}

static void connections_come_from_the_source_on_a_socket_that_is_used_again(void) {
    struct sockaddr_in address;
    int server = saving_listener(&address);
    rig it = rig_new(4);
    rig_aim(&it, 0, tcp_from(&address, "127.0.0.9"), FP_NS_PER_S);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(rig_run(&it, 0, 0).result, FP_OK);
        CHECK_EQ(came_from(server), 0x7f000009);
    }
    CHECK_EQ(rig_stats(&it).connections_opened, 1);
    rig_free(&it);
    close(server);
}

static void routes_do_not_share_sockets_even_when_there_is_only_one(void) {
    static const char *const sources[] = {"127.0.0.11", "127.0.0.12", "127.0.0.13"};
    struct sockaddr_in address;
    int server = saving_listener(&address);
    rig it = rig_new(1);
    for (uint32_t slot = 0; slot < 3; slot++) rig_aim(&it, slot, tcp_from(&address, sources[slot]), FP_NS_PER_S);
    rig_aim(&it, 3, rig_tcp(&address), FP_NS_PER_S);
    for (uint32_t i = 0; i < 16; i++) {
        CHECK_EQ(rig_run(&it, i % 4, 0).result, FP_OK);
        CHECK_EQ(came_from(server), i % 4 < 3 ? 0x7f00000b + i % 4 : 0x7f000001);
    }
    rig_free(&it);
    close(server);
}

static void many_routes_share_a_bounded_pool(void) {
    struct sockaddr_in address;
    int server = saving_listener(&address);
    rig it = rig_new(3);
    for (uint32_t i = 1; i < 60; i++) { /* more than there are lists, each route gone before the next is made */
        char source[16];
        snprintf(source, sizeof source, "127.0.1.%u", i);
        rig_aim(&it, 0, tcp_from(&address, source), FP_NS_PER_S);
        CHECK_EQ(rig_run(&it, 0, 0).result, FP_OK);
        CHECK_EQ(came_from(server), 0x7f000100 + i);
    }
    rig_free(&it);
    close(server);
}

static void a_source_this_host_does_not_have_is_our_fault_and_skipped(void) {
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in6 elsewhere = {.sin6_family = AF_INET6};
    elsewhere.sin6_addr.s6_addr[15] = 2; /* ::2 */
    fp_route *route = NULL;
    fp_target *target = NULL;
    const fp_route_spec spec = {.source = (const struct sockaddr *)&elsewhere, .source_len = sizeof elsewhere};
    CHECK_EQ(fp_route_new(&route, &spec), 0);
    CHECK_EQ(fp_target_tcp(&target, (const struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(fp_target_route(target, route), 0);
    fp_route_release(route);
    rig it = rig_new(1);
    rig_aim(&it, 0, target, FP_NS_PER_S);
    const fp_record record = rig_run(&it, 0, 0);
    if (record.reason == FP_REASON_UNSUPPORTED)
        CHECK_EQ(record.detail, EAFNOSUPPORT); /* a kernel without IPv6 */
    else {
        CHECK_EQ(record.result, FP_EVENT_SKIPPED);
        CHECK_EQ(record.reason, FP_REASON_SOURCE);
    }
    rig_free(&it);
}

static void an_interface_binds_and_one_this_host_does_not_have_is_our_fault(void) {
    struct sockaddr_in address;
    int server = rig_listen(&address, 64);
    rig it = rig_new(2);
    rig_aim(&it, 0, tcp_by(&address, &(fp_route_spec){.interface = "lo"}), FP_NS_PER_S);
    rig_aim(&it, 1, tcp_by(&address, &(fp_route_spec){.interface = "nosuch0"}), FP_NS_PER_S);
    CHECK_EQ(rig_run(&it, 0, 0).result, FP_OK);
    const fp_record record = rig_run(&it, 1, 0);
    CHECK_EQ(record.result, FP_EVENT_SKIPPED);
    CHECK_EQ(record.reason, FP_REASON_SOURCE);
    rig_free(&it);
    close(server);
}

static void a_mark_is_set_or_its_refusal_is_told(void) {
    struct sockaddr_in address;
    int server = rig_listen(&address, 64);
    rig it = rig_new(1);
    rig_aim(&it, 0, tcp_by(&address, &(fp_route_spec){.mark = 7}), FP_NS_PER_S);
    const fp_record record = rig_run(&it, 0, 0);
    if (record.result != FP_OK) { /* without CAP_NET_ADMIN */
        CHECK_EQ(record.result, FP_ERROR);
        CHECK_EQ(record.reason, FP_REASON_UNSUPPORTED);
        CHECK_EQ(record.detail, EPERM);
    }
    rig_free(&it);
    close(server);
}

static void the_type_of_service_is_on_the_first_packet(void) {
    struct sockaddr_in address;
    int server = saving_listener(&address);
    unsigned char header[2];
    rig it = rig_new(1);
    rig_aim(&it, 0, tcp_by(&address, &(fp_route_spec){.tos = 0xb8}), FP_NS_PER_S);
    CHECK_EQ(rig_run(&it, 0, 0).result, FP_OK);
    take_syn(server, header, sizeof header);
    CHECK_EQ(header[1], 0xb8);
    rig_free(&it);
    close(server);
}

static void what_cannot_be_a_route_is_refused(void) {
    fp_route *route = NULL;
    struct sockaddr_in v4 = rig_ipv4("127.0.0.2");
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_storage path = {.ss_family = AF_UNIX};
    CHECK_EQ(fp_route_new(&route, &(fp_route_spec){.interface = "sixteen-letters!"}), -EINVAL);
    CHECK_EQ(fp_route_new(&route, &(fp_route_spec){.interface = ""}), -EINVAL);
    CHECK_EQ(fp_route_new(&route, &(fp_route_spec){.source = (struct sockaddr *)&path, .source_len = 16}), -EINVAL);
    CHECK_EQ(fp_route_new(&route, &(fp_route_spec){.source = (struct sockaddr *)&v4, .source_len = 3}), -EINVAL);
    CHECK_EQ(fp_route_new(&route, &(fp_route_spec){.source = (const struct sockaddr *)&v6, .source_len = sizeof v6}), 0);
    v4.sin_port = htons(1);
    fp_target *target = rig_tcp(&v4);
    CHECK_EQ(fp_target_route(target, route), -EINVAL);
    fp_target_free(target);
    fp_route_release(route);
}

int main(void) {
    RUN(a_full_handshake_reaches_the_accept_queue_and_half_of_one_does_not);
    RUN(half_a_handshake_tells_a_refusing_target_all_the_same);
    RUN(connections_come_from_the_source_on_a_socket_that_is_used_again);
    RUN(routes_do_not_share_sockets_even_when_there_is_only_one);
    RUN(many_routes_share_a_bounded_pool);
    RUN(a_source_this_host_does_not_have_is_our_fault_and_skipped);
    RUN(an_interface_binds_and_one_this_host_does_not_have_is_our_fault);
    RUN(a_mark_is_set_or_its_refusal_is_told);
    RUN(the_type_of_service_is_on_the_first_packet);
    RUN(what_cannot_be_a_route_is_refused);
    return 0;
}
