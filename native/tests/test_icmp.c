/* ICMP: messages over bytes, and native runs against this kernel and against a stand-in that answers as it likes.
 *
 * Runs need sockets that not every process may have: they are tried in a network namespace of the test's own, where this kernel
 * grants one. */
#include "fastprobe/datagram.h"
#include "fastprobe/echo.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#define TIMEOUT_NS (10 * FP_NS_PER_S)
#define SHORT_NS   (200 * FP_NS_PER_MS)

enum { PAYLOAD = 56, SIZE = FP_ECHO_HEADER + PAYLOAD, HEADER = 20 };

static const fp_echo ASKED = {.id = 0x1234, .sequence = 7, .run = 0x10007, .nonce = 0xdeadbeef, .payload = PAYLOAD};

/* -- messages ---------------------------------------------------------------------------------------------------------------
 */

static uint16_t sum_of(const uint8_t *data, size_t len) {
    uint32_t sum = 0;
    for (size_t at = 0; at < len; at++) sum += at % 2 ? data[at] : (uint32_t)data[at] << 8;
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)~sum;
}

/* The message with this type and code, its checksum made again. */
static void retype(uint8_t *message, size_t len, uint8_t type, uint8_t code) {
    message[0] = type;
    message[1] = code;
    message[2] = message[3] = 0;
    const uint16_t sum = sum_of(message, len);
    message[2] = (uint8_t)(sum >> 8);
    message[3] = (uint8_t)sum;
}

static size_t ipv4_before(uint8_t *out, const char *from, const char *to) {
    memset(out, 0, HEADER);
    out[0] = 0x45;
    out[9] = IPPROTO_ICMP;
    CHECK_EQ(inet_pton(AF_INET, from, out + 12), 1);
    CHECK_EQ(inet_pton(AF_INET, to, out + 16), 1);
    return HEADER;
}

/* An error that quotes `quoted` bytes of the request to 192.0.2.9; its length. */
static size_t error_about(uint8_t *out, uint8_t type, uint8_t code, const uint8_t *request, size_t quoted) {
    memset(out, 0, FP_ECHO_HEADER);
    ipv4_before(out + FP_ECHO_HEADER, "192.0.2.1", "192.0.2.9");
    memcpy(out + FP_ECHO_HEADER + HEADER, request, quoted);
    const size_t len = FP_ECHO_HEADER + HEADER + quoted;
    retype(out, len, type, code);
    return len;
}

static bool same_echo(const fp_echo *a, const fp_echo *b) {
    return a->id == b->id && a->sequence == b->sequence && a->run == b->run && a->nonce == b->nonce && a->payload == b->payload;
}

static void a_reply_is_what_was_asked(void) {
    uint8_t message[SIZE];
    fp_echo_answer answer;
    CHECK_EQ(fp_echo_request(&ASKED, false, message), SIZE);
    CHECK_EQ(sum_of(message, SIZE), 0);
    CHECK_EQ(fp_echo_read(false, false, message, SIZE, &answer), FP_ECHO_STRAY); /* a request is no reply */
    retype(message, SIZE, 0, 0);
    CHECK_EQ(fp_echo_read(false, false, message, SIZE, &answer), FP_ECHO_REPLY);
    CHECK(same_echo(&answer.echo, &ASKED) && answer.intact);
    CHECK_EQ(fp_echo_request(&ASKED, true, message), SIZE);
    message[0] = 129;
    CHECK_EQ(fp_echo_read(true, false, message, SIZE, &answer), FP_ECHO_REPLY);
    CHECK(same_echo(&answer.echo, &ASKED) && answer.intact);
}

static void a_header_of_ip_is_passed_over_with_its_options(void) {
    uint8_t packet[60 + SIZE];
    fp_echo_answer answer;
    for (uint8_t words = 5; words <= 15; words++) {
        const size_t header = words * 4u;
        memset(packet, 0, sizeof packet);
        ipv4_before(packet, "192.0.2.9", "192.0.2.1");
        packet[0] = 0x40 | words;
        fp_echo_request(&ASKED, false, packet + header);
        retype(packet + header, SIZE, 0, 0);
        CHECK_EQ(fp_echo_read(false, true, packet, header + SIZE, &answer), FP_ECHO_REPLY);
        CHECK(same_echo(&answer.echo, &ASKED));
    }
    packet[9] = IPPROTO_UDP;
    CHECK_EQ(fp_echo_read(false, true, packet, sizeof packet, &answer), FP_ECHO_STRAY);
}

static void what_came_back_changed_is_not_intact_and_what_is_damaged_is_nothing(void) {
    uint8_t message[SIZE];
    fp_echo_answer answer;
    fp_echo_request(&ASKED, false, message);
    message[SIZE - 1] ^= 1;
    retype(message, SIZE, 0, 0);
    CHECK_EQ(fp_echo_read(false, false, message, SIZE, &answer), FP_ECHO_REPLY);
    CHECK(!answer.intact);
    for (size_t bit = 0; bit < 8u * SIZE; bit++) {
        message[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK_EQ(fp_echo_read(false, false, message, SIZE, &answer), FP_ECHO_STRAY);
        message[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void errors_tell_whom_they_are_about_and_why(void) {
    static const struct {
        uint8_t type, code, reason;
    } SAID[] = {{3, 1, FP_REASON_CONNECT_UNREACHABLE},
                {3, 13, FP_REASON_CONNECT_UNREACHABLE},
                {3, 4, FP_REASON_ICMP_TOO_BIG},
                {11, 0, FP_REASON_ICMP_EXPIRED}};
    uint8_t request[SIZE], error[FP_ECHO_HEADER + HEADER + SIZE];
    fp_echo_answer answer;
    fp_echo_request(&ASKED, false, request);
    for (size_t i = 0; i < sizeof SAID / sizeof *SAID; i++) {
        const size_t len = error_about(error, SAID[i].type, SAID[i].code, request, SIZE);
        CHECK_EQ(fp_echo_read(false, false, error, len, &answer), FP_ECHO_ERROR);
        CHECK(same_echo(&answer.echo, &ASKED));
        CHECK_EQ(answer.reason, SAID[i].reason);
        CHECK_EQ(answer.code, SAID[i].code);
        CHECK(memcmp(answer.to, "\xc0\0\2\11", 4) == 0);
    }
    const size_t least = error_about(error, 3, 1, request, FP_ECHO_HEADER); /* all that RFC 792 wants */
    CHECK_EQ(fp_echo_read(false, false, error, least, &answer), FP_ECHO_ERROR);
    CHECK_EQ(answer.echo.sequence, ASKED.sequence);
    CHECK_EQ(answer.echo.payload, 0);
    request[0] = 0; /* an error about a reply is none of ours */
    CHECK_EQ(fp_echo_read(false, false, error, error_about(error, 3, 1, request, SIZE), &answer), FP_ECHO_STRAY);
}

static void an_error_of_ipv6_quotes_its_header(void) {
    uint8_t error[FP_ECHO_HEADER + 40 + SIZE] = {1, 4};
    fp_echo_answer answer;
    uint8_t *quoted = error + FP_ECHO_HEADER;
    quoted[0] = 0x60;
    quoted[6] = IPPROTO_ICMPV6;
    CHECK_EQ(inet_pton(AF_INET6, "2001:db8::9", quoted + 24), 1);
    fp_echo_request(&ASKED, true, quoted + 40);
    CHECK_EQ(fp_echo_read(true, false, error, sizeof error, &answer), FP_ECHO_ERROR);
    CHECK(same_echo(&answer.echo, &ASKED) && memcmp(answer.to, quoted + 24, 16) == 0);
    CHECK_EQ(answer.reason, FP_REASON_CONNECT_UNREACHABLE);
    error[0] = 2;
    CHECK_EQ(fp_echo_read(true, false, error, sizeof error, &answer), FP_ECHO_ERROR);
    CHECK_EQ(answer.reason, FP_REASON_ICMP_TOO_BIG);
    error[0] = 3;
    CHECK_EQ(fp_echo_read(true, false, error, sizeof error, &answer), FP_ECHO_ERROR);
    CHECK_EQ(answer.reason, FP_REASON_ICMP_EXPIRED);
}

static void any_part_of_a_message_stays_within_its_bounds(void) {
    uint8_t request[SIZE], error[FP_ECHO_HEADER + HEADER + SIZE];
    fp_echo_request(&ASKED, false, request);
    const size_t len = error_about(error, 3, 1, request, SIZE);
    for (size_t part = 0; part <= len; part++) {
        uint8_t *piece = malloc(part ? part : 1); /* its own block: the sanitizer sees a step over its end */
        CHECK(piece != NULL);
        memcpy(piece, error, part);
        fp_echo_answer answer;
        if (part >= FP_ECHO_HEADER) retype(piece, part, 3, 1);
        const enum fp_echo_reading reading = fp_echo_read(false, false, piece, part, &answer);
        CHECK_EQ(reading, part < FP_ECHO_HEADER + HEADER + FP_ECHO_HEADER ? FP_ECHO_STRAY : FP_ECHO_ERROR);
        fp_echo_read(false, true, piece, part, &answer);
        fp_echo_read(true, false, piece, part, &answer);
        free(piece);
    }
}

/* -- runs -------------------------------------------------------------------------------------------------------------------
 */

static fp_target *icmp_target(const char *text, uint16_t payload) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    fp_target *target = NULL;
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        CHECK_EQ(fp_target_icmp(&target, (const struct sockaddr *)&v4, sizeof v4, payload), 0);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        CHECK_EQ(fp_target_icmp(&target, (const struct sockaddr *)&v6, sizeof v6, payload), 0);
    return target;
}

static void drop_traces(rig *it) {
    fp_trace trace;
    while (fp_engine_drain_traces(it->engine, &trace, 1)) fp_trace_free(&trace);
}

static fp_record asked_by(rig *it, const char *address, uint16_t payload, fp_ns timeout_ns) {
    rig_aim(it, 0, icmp_target(address, payload), timeout_ns);
    return rig_run(it, 0, FP_RUN_EXPLAIN);
}

static fp_record asked(const char *address, uint16_t payload, fp_ns timeout_ns) {
    rig it = rig_new(2);
    const fp_record record = asked_by(&it, address, payload, timeout_ns);
    drop_traces(&it);
    rig_free(&it);
    return record;
}

static void a_target_that_is_there_replies(void) {
    static const uint16_t PAYLOADS[] = {FP_ECHO_PAYLOAD_MIN, 9, PAYLOAD, 1472, FP_ECHO_PAYLOAD_MAX};
    for (size_t i = 0; i < sizeof PAYLOADS / sizeof *PAYLOADS; i++) {
        const fp_record v4 = asked("127.0.0.1", PAYLOADS[i], TIMEOUT_NS), v6 = asked("::1", PAYLOADS[i], TIMEOUT_NS);
        CHECK_EQ(v4.result, FP_OK);
        CHECK_EQ(v6.result, FP_OK);
        CHECK(v4.latency_ns > 0 && v4.latency_ns < TIMEOUT_NS);
    }
}

static void payloads_out_of_bounds_are_refused(void) {
    const struct sockaddr_in address = rig_ipv4("127.0.0.1");
    fp_target *target = NULL;
    CHECK_EQ(fp_target_icmp(&target, (const struct sockaddr *)&address, sizeof address, FP_ECHO_PAYLOAD_MIN - 1), -EINVAL);
    CHECK_EQ(fp_target_icmp(&target, (const struct sockaddr *)&address, sizeof address, FP_ECHO_PAYLOAD_MAX + 1), -EINVAL);
    CHECK(target == NULL);
}

/* The kernel draws an id for what may go in pieces; what every link takes whole needs none, and asks for none. */
static void what_links_take_whole_has_no_id_for_its_pieces(void) {
    static const uint16_t PAYLOADS[] = {PAYLOAD, FP_ECHO_PAYLOAD_MAX};
    const int tap = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    rig it = rig_new(2);
    for (size_t i = 0; i < 2; i++) {
        uint8_t packet[FP_ECHO_MAX] = {0};
        CHECK_EQ(asked_by(&it, "127.0.0.1", PAYLOADS[i], TIMEOUT_NS).result, FP_OK);
        ssize_t got;
        do got = recv(tap, packet, sizeof packet, MSG_DONTWAIT);
        while (got >= HEADER && (packet[HEADER] != 8 || got < HEADER + PAYLOADS[i]));
        CHECK(got > 0);
        CHECK_EQ((packet[4] | packet[5]) == 0, PAYLOADS[i] == PAYLOAD);
    }
    CHECK_EQ(rig_stats(&it).connections_opened, 2); /* sockets: one for either size */
    close(tap);
    drop_traces(&it);
    rig_free(&it);
}

static void a_network_without_a_way_is_told_at_once(void) {
    const fp_record record = asked("192.0.2.9", PAYLOAD, TIMEOUT_NS);
    CHECK_EQ(record.result, FP_FAIL);
    CHECK_EQ(record.reason, FP_REASON_CONNECT_UNREACHABLE);
}

/* More than fit a system call, of both families, due in one step. */
static void many_leave_together_and_each_has_its_reply(void) {
    enum { PROBES = 100 };
    const fp_engine_config config = {.capacity = PROBES,
                                     .connections = PROBES,
                                     .record_ring = 256,
                                     .command_ring = 256,
                                     .events_per_step = 64,
                                     .tick_ns = FP_NS_PER_MS,
                                     .notify_ns = FP_NS_PER_MS};
    fp_engine *engine = NULL;
    CHECK_EQ(fp_engine_new(&engine, &config, fp_clock_schedule()), 0);
    const fp_ns due_ns = fp_clock_schedule();
    for (uint32_t slot = 0; slot < PROBES; slot++) {
        char address[32];
        snprintf(address, sizeof address, "127.0.%u.%u", slot / 200, 1 + slot % 200);
        const fp_command add = {.op = FP_CMD_ADD,
                                .slot = slot,
                                .generation = 1,
                                .due_ns = due_ns,
                                .first_ns = FP_NEVER,
                                .interval_ns = 3600 * FP_NS_PER_S,
                                .timeout_ns = TIMEOUT_NS,
                                .target = icmp_target(slot % 3 ? address : "::1", PAYLOAD)};
        CHECK_EQ(fp_engine_post(engine, &add, 1), 1);
    }
    bool replied[PROBES] = {false};
    uint32_t replies = 0;
    const fp_ns until_ns = due_ns + RIG_PATIENCE_NS;
    while (replies < PROBES && fp_clock_schedule() < until_ns) {
        fp_record record;
        fp_engine_step(engine, fp_clock_schedule());
        CHECK_SOUND(fp_engine_check(engine));
        while (fp_engine_drain(engine, &record, 1)) {
            CHECK_EQ(record.result, FP_OK);
            CHECK(!replied[record.slot]);
            replied[record.slot] = true;
            replies++;
        }
        fp_engine_wait(engine, fp_clock_schedule() + FP_NS_PER_MS);
    }
    CHECK_EQ(replies, PROBES);
    fp_engine_free(engine);
}

/* -- a stand-in for a target that answers as it likes; the kernel keeps silent ----------------------------------------------
 */

typedef struct stand_in {
    int fd;
    pthread_t thread;
    void (*answer)(struct stand_in *it, const struct sockaddr_in *to, uint8_t *request, size_t len);
} stand_in;

static void say(const stand_in *it, const struct sockaddr_in *to, const uint8_t *message, size_t len) {
    CHECK_EQ(sendto(it->fd, message, len, 0, (const struct sockaddr *)to, sizeof *to), (ssize_t)len);
}

static void *stand(void *argument) {
    stand_in *it = argument;
    uint8_t packet[2048];
    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        const ssize_t got = recvfrom(it->fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
        if (got < HEADER + SIZE) return NULL;
        if (packet[HEADER] != 8) continue;
        it->answer(it, &from, packet + HEADER, (size_t)got - HEADER);
        return NULL;
    }
}

static fp_record answered(void (*answer)(stand_in *, const struct sockaddr_in *, uint8_t *, size_t), fp_ns timeout_ns,
                          uint64_t *strays) {
    stand_in it = {.fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP), .answer = answer};
    CHECK(it.fd >= 0);
    CHECK_EQ(setsockopt(it.fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 20}, sizeof(struct timeval)), 0);
    CHECK_EQ(pthread_create(&it.thread, NULL, stand, &it), 0);
    rig engine = rig_new(2);
    const fp_record record = asked_by(&engine, "127.0.0.9", PAYLOAD, timeout_ns);
    pthread_join(it.thread, NULL);
    *strays = rig_stats(&engine).stray_datagrams;
    drop_traces(&engine);
    rig_free(&engine);
    close(it.fd);
    return record;
}

static void says_nothing(stand_in *it, const struct sockaddr_in *to, uint8_t *request, size_t len) {
    (void)it, (void)to, (void)request, (void)len;
}

static void bind_to(const stand_in *it, const char *address) {
    const struct sockaddr_in own = rig_ipv4(address);
    CHECK_EQ(bind(it->fd, (const struct sockaddr *)&own, sizeof own), 0);
}

/* From another host, with another nonce, with another sequence; another id does not even pass the filter. */
static void guesses(stand_in *it, const struct sockaddr_in *to, uint8_t *request, size_t len) {
    bind_to(it, "127.0.0.8");
    retype(request, len, 0, 0);
    say(it, to, request, len);
    int fd = it->fd;
    it->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    close(fd);
    bind_to(it, "127.0.0.9");
    static const size_t CHANGED[] = {FP_ECHO_HEADER + 5, 7, 5};
    for (size_t i = 0; i < 3; i++) {
        request[CHANGED[i]] ^= 1;
        retype(request, len, 0, 0);
        say(it, to, request, len);
        request[CHANGED[i]] ^= 1;
    }
}

static void guesses_then_replies(stand_in *it, const struct sockaddr_in *to, uint8_t *request, size_t len) {
    guesses(it, to, request, len);
    retype(request, len, 0, 0);
    say(it, to, request, len);
}

static void changes_the_payload(stand_in *it, const struct sockaddr_in *to, uint8_t *request, size_t len) {
    bind_to(it, "127.0.0.9");
    request[len - 1] ^= 1;
    retype(request, len, 0, 0);
    say(it, to, request, len);
}

static void cuts_the_payload(stand_in *it, const struct sockaddr_in *to, uint8_t *request, size_t len) {
    bind_to(it, "127.0.0.9");
    retype(request, len - 8, 0, 0);
    say(it, to, request, len - 8);
}

/* As a router on the way would: the packet that went no further is quoted. */
static void refuses_quoting(stand_in *it, const struct sockaddr_in *to, const uint8_t *request, size_t quoted,
                            const char *for_whom) {
    uint8_t error[FP_ECHO_HEADER + HEADER + SIZE] = {0};
    ipv4_before(error + FP_ECHO_HEADER, "127.0.0.1", for_whom);
    memcpy(error + FP_ECHO_HEADER + HEADER, request, quoted);
    const size_t len = FP_ECHO_HEADER + HEADER + quoted;
    retype(error, len, 3, 1);
    say(it, to, error, len);
}

static void says_unreachable(stand_in *it, const struct sockaddr_in *to, uint8_t *request, size_t len) {
    (void)len;
    refuses_quoting(it, to, request, SIZE, "127.0.0.10"); /* not whom we asked */
    request[FP_ECHO_HEADER + 5] ^= 1;
    refuses_quoting(it, to, request, SIZE, "127.0.0.9"); /* not what we sent */
    request[FP_ECHO_HEADER + 5] ^= 1;
    refuses_quoting(it, to, request, SIZE, "127.0.0.9");
}

static void says_unreachable_briefly(stand_in *it, const struct sockaddr_in *to, uint8_t *request, size_t len) {
    (void)len;
    refuses_quoting(it, to, request, FP_ECHO_HEADER, "127.0.0.9");
}

static void silence_times_out(void) {
    uint64_t strays;
    const fp_record record = answered(says_nothing, SHORT_NS, &strays);
    CHECK_EQ(record.result, FP_TIMEOUT);
    CHECK_EQ(record.reason, FP_REASON_ICMP_TIMEOUT);
}

static void guessed_replies_are_strays(void) {
    uint64_t strays;
    CHECK_EQ(answered(guesses, SHORT_NS, &strays).reason, FP_REASON_ICMP_TIMEOUT);
    CHECK_EQ(strays, 3);
    CHECK_EQ(answered(guesses_then_replies, TIMEOUT_NS, &strays).result, FP_OK);
    CHECK_EQ(strays, 3);
}

static void another_payload_is_a_mismatch(void) {
    uint64_t strays;
    CHECK_EQ(answered(changes_the_payload, TIMEOUT_NS, &strays).reason, FP_REASON_REPLY_MISMATCH);
    const fp_record cut = answered(cuts_the_payload, TIMEOUT_NS, &strays);
    CHECK_EQ(cut.reason, FP_REASON_REPLY_MISMATCH);
    CHECK_EQ(cut.detail, PAYLOAD - 8);
}

static void an_error_on_the_way_fails_the_run_it_is_about(void) {
    uint64_t strays;
    const fp_record record = answered(says_unreachable, TIMEOUT_NS, &strays);
    CHECK_EQ(record.result, FP_FAIL);
    CHECK_EQ(record.reason, FP_REASON_CONNECT_UNREACHABLE);
    CHECK_EQ(record.detail, 1);
    CHECK_EQ(strays, 2);
    CHECK_EQ(answered(says_unreachable_briefly, TIMEOUT_NS, &strays).reason, FP_REASON_CONNECT_UNREACHABLE);
}

static void a_slot_that_goes_takes_its_run_along(void) {
    rig it = rig_new(2);
    rig_aim(&it, 0, icmp_target("127.0.0.9", PAYLOAD), TIMEOUT_NS);
    rig_post(&it, (fp_command){.op = FP_CMD_RUN, .slot = 0, .generation = it.generations[0], .due_ns = FP_NEVER});
    fp_engine_step(it.engine, fp_clock_schedule());
    CHECK_EQ(rig_stats(&it).in_flight, 1);
    rig_post(&it, (fp_command){.op = FP_CMD_REMOVE, .slot = 0, .generation = it.generations[0], .due_ns = FP_NEVER});
    fp_engine_step(it.engine, fp_clock_schedule());
    CHECK_EQ(rig_stats(&it).in_flight, 0);
    rig_free(&it);
}

/* -- where ------------------------------------------------------------------------------------------------------------------
 */

static bool write_to(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return written;
}

/* A namespace with nothing but loopback. */
static bool enter_namespace(void) {
    if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) return false;
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
    if (fd >= 0) close(fd);
    fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (fd >= 0) close(fd);
    return up && fd >= 0;
}

int main(void) {
    RUN(a_reply_is_what_was_asked);
    RUN(a_header_of_ip_is_passed_over_with_its_options);
    RUN(what_came_back_changed_is_not_intact_and_what_is_damaged_is_nothing);
    RUN(errors_tell_whom_they_are_about_and_why);
    RUN(an_error_of_ipv6_quotes_its_header);
    RUN(any_part_of_a_message_stays_within_its_bounds);
    RUN(payloads_out_of_bounds_are_refused);
    if (!enter_namespace()) {
        printf("    NOT RUN: runs, for want of a network namespace with raw sockets: %s\n", strerror(errno));
        return 0;
    }
    RUN(a_target_that_is_there_replies);
    RUN(what_links_take_whole_has_no_id_for_its_pieces);
    RUN(a_network_without_a_way_is_told_at_once);
    RUN(many_leave_together_and_each_has_its_reply);
    CHECK(write_to("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1"));
    RUN(silence_times_out);
    RUN(guessed_replies_are_strays);
    RUN(another_payload_is_a_mismatch);
    RUN(an_error_on_the_way_fails_the_run_it_is_about);
    RUN(a_slot_that_goes_takes_its_run_along);
    return 0;
}
