/* UDP and DNS: the judges over bytes, and native runs against loopback servers that misbehave. */
#include "engine_internal.h"
#include "fastprobe/datagram.h"
#include "rig.h"

#include <errno.h>
#include <pthread.h>

#define TIMEOUT_NS (10 * FP_NS_PER_S)
#define SHORT_NS   (100 * FP_NS_PER_MS)
#define TEXT(text) ((fp_bytes){text, sizeof text - 1})
#define NAME       "\7example\3org" /* and the zero that ends the literal */

static const fp_bytes example = {NAME, sizeof NAME};

/* -- servers ----------------------------------------------------------------------------------------------------------------
 */

typedef struct server {
    int udp;
    int tcp;
    struct sockaddr_in address;
    pthread_t thread;
    size_t (*answer)(struct server *it, unsigned turn, const uint8_t *asked, size_t len, uint8_t *out); /* 0: no more */
    void (*stream)(int fd, const uint8_t *asked, size_t len);
} server;

static void *serve(void *argument) {
    server *it = argument;
    uint8_t asked[2048], out[8192];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    const ssize_t got = recvfrom(it->udp, asked, sizeof asked, 0, (struct sockaddr *)&from, &size);
    if (got < 0) return NULL;
    for (unsigned turn = 0;; turn++) {
        const size_t len = it->answer(it, turn, asked, (size_t)got, out);
        if (!len) break;
        sendto(it->udp, out, len, 0, (struct sockaddr *)&from, size);
    }
    if (!it->stream) return NULL;
    int fd = accept(it->tcp, NULL, NULL);
    size_t have = 0;
    while (fd >= 0 && (have < 2 || have < 2u + (size_t)(asked[0] << 8 | asked[1]))) {
        const ssize_t more = recv(fd, asked + have, sizeof asked - have, 0);
        if (more <= 0) break;
        have += (size_t)more;
    }
    it->stream(fd, asked + 2, have - 2);
    close(fd);
    return NULL;
}

static void serve_begin(server *it) {
    socklen_t size = sizeof it->address;
    it->tcp = rig_listen(&it->address, 4);
    it->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(it->udp, (struct sockaddr *)&it->address, size), 0);
    int flags = 0;
    CHECK_EQ(setsockopt(it->udp, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 20}, sizeof(struct timeval)), flags);
    close(it->tcp);
    it->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(setsockopt(it->tcp, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    CHECK_EQ(bind(it->tcp, (struct sockaddr *)&it->address, size), 0);
    CHECK_EQ(listen(it->tcp, 4), 0);
    CHECK_EQ(pthread_create(&it->thread, NULL, serve, it), 0);
}

static void serve_end(server *it) {
    pthread_join(it->thread, NULL);
    close(it->udp);
    close(it->tcp);
}

/* One run of this target; it is the rig's from here on. One that is explained has a socket of its own in any case. */
static fp_record run_once(rig *it, fp_target *target, fp_ns timeout_ns, uint16_t flags) {
    rig_aim(it, 0, target, timeout_ns);
    return rig_run(it, 0, flags);
}

static fp_target *udp_target(const struct sockaddr_in *address, const fp_udp_plan_spec *spec) {
    fp_udp_plan *plan = NULL;
    fp_target *target = NULL;
    CHECK_EQ(fp_udp_plan_new(&plan, spec), 0);
    CHECK_EQ(fp_target_udp(&target, (const struct sockaddr *)address, sizeof *address, plan), 0);
    fp_udp_plan_release(plan);
    return target;
}

static fp_target *dns_target(const struct sockaddr_in *address, const fp_dns_plan_spec *spec) {
    fp_dns_plan *plan = NULL;
    fp_target *target = NULL;
    CHECK_EQ(fp_dns_plan_new(&plan, spec), 0);
    CHECK_EQ(fp_target_dns(&target, (const struct sockaddr *)address, sizeof *address, plan), 0);
    fp_dns_plan_release(plan);
    return target;
}

static void drop_traces(rig *it) {
    fp_trace trace;
    while (fp_engine_drain_traces(it->engine, &trace, 1)) fp_trace_free(&trace);
}

/* -- udp --------------------------------------------------------------------------------------------------------------------
 */

static size_t echo(server *it, unsigned turn, const uint8_t *asked, size_t len, uint8_t *out) {
    (void)it;
    memcpy(out, asked, len);
    return turn ? 0 : len;
}

static size_t silence(server *it, unsigned turn, const uint8_t *asked, size_t len, uint8_t *out) {
    (void)it, (void)turn, (void)asked, (void)len, (void)out;
    return 0;
}

static uint8_t asked_and_judged(size_t (*answer)(server *, unsigned, const uint8_t *, size_t, uint8_t *),
                                const fp_udp_plan_spec *spec, fp_ns timeout_ns) {
    server it = {.answer = answer};
    rig engine = rig_new(2);
    serve_begin(&it);
    const fp_record record = run_once(&engine, udp_target(&it.address, spec), timeout_ns, FP_RUN_EXPLAIN);
    serve_end(&it);
    drop_traces(&engine);
    rig_free(&engine);
    return record.reason;
}

static void a_reply_is_held_against_what_is_expected(void) {
    fp_udp_plan_spec spec = {.payload = TEXT("ping 7"), .max_reply = 64};
    CHECK_EQ(asked_and_judged(echo, &spec, TIMEOUT_NS), FP_REASON_NONE);
    spec.equals = TEXT("ping 7");
    spec.prefix = TEXT("ping");
    spec.contains = TEXT("g 7");
    CHECK_EQ(asked_and_judged(echo, &spec, TIMEOUT_NS), FP_REASON_NONE);
    spec.prefix = TEXT("pong");
    CHECK_EQ(asked_and_judged(echo, &spec, TIMEOUT_NS), FP_REASON_REPLY_MISMATCH);
    spec = (fp_udp_plan_spec){.payload = TEXT("ping 7"), .max_reply = 5};
    CHECK_EQ(asked_and_judged(echo, &spec, TIMEOUT_NS), FP_REASON_REPLY_LIMIT);
    CHECK_EQ(asked_and_judged(silence, &spec, SHORT_NS), FP_REASON_RESPONSE_TIMEOUT);
}

static struct sockaddr_in deserted(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, size), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return address;
}

static void refused_in_every_run(fp_target *target, uint64_t sockets) {
    rig engine = rig_new(2);
    rig_aim(&engine, 0, target, TIMEOUT_NS);
    for (int run = 0; run < 3; run++) { /* and the error of one run is not the next one's */
        const fp_record record = rig_run(&engine, 0, 0);
        CHECK_EQ(record.result, FP_FAIL);
        CHECK_EQ(record.reason, FP_REASON_CONNECT_REFUSED);
        CHECK_EQ(record.detail, ECONNREFUSED);
    }
    CHECK(rig_stats(&engine).connections_opened <= sockets);
    drop_traces(&engine);
    rig_free(&engine);
}

static void plans_that_cannot_be_are_refused(void) {
    static const char long_one[FP_UDP_PAYLOAD_MAX + 1];
    fp_udp_plan *udp = NULL;
    fp_dns_plan *dns = NULL;
    CHECK_EQ(fp_udp_plan_new(&udp, &(fp_udp_plan_spec){.payload = {long_one, sizeof long_one}, .max_reply = 9}), -EINVAL);
    CHECK_EQ(fp_udp_plan_new(&udp, &(fp_udp_plan_spec){.prefix = TEXT("longer"), .max_reply = 5}), -EINVAL);
    CHECK_EQ(fp_udp_plan_new(&udp, &(fp_udp_plan_spec){.max_reply = FP_UDP_REPLY_MAX + 1}), -EINVAL);
    CHECK_EQ(fp_dns_plan_new(&dns, &(fp_dns_plan_spec){.name = TEXT("\7example"), .type = 1}), -EINVAL);
    CHECK_EQ(fp_dns_plan_new(&dns, &(fp_dns_plan_spec){.name = example, .type = 99}), -EINVAL);
    const fp_bytes three = TEXT("abc");
    CHECK_EQ(fp_dns_plan_new(&dns, &(fp_dns_plan_spec){.name = example, .type = 1, .answers = &three, .n_answers = 1}),
             -EINVAL);
}

/* -- dns over bytes ---------------------------------------------------------------------------------------------------------
 */

#define ID 0x0102
/* id, flags, one question, n answers; the question. */
#define HEAD(flags, n) "\1\2" flags "\0\1\0" n "\0\0\0\0" NAME "\0\0\1\0\1"
#define ADDRESS        "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"

static fp_dns_plan *plan_of(const fp_dns_plan_spec *spec) {
    fp_dns_plan *plan = NULL;
    CHECK_EQ(fp_dns_plan_new(&plan, spec), 0);
    return plan;
}

/* From a block of its own, so that the address sanitizer sees every step over its end. */
static int read_with(const fp_dns_plan_spec *spec, bool over_tcp, fp_bytes message, fp_dns_verdict *verdict) {
    fp_dns_plan *plan = plan_of(spec);
    uint8_t *copy = malloc(message.len + 1u);
    CHECK(copy != NULL);
    memcpy(copy + 1, message.data, message.len);
    const int reading = (int)fp_dns_read(plan, ID, over_tcp, copy + 1, message.len, verdict);
    free(copy);
    fp_dns_plan_release(plan);
    return reading;
}

static unsigned reason_of(const fp_dns_plan_spec *spec, fp_bytes message) {
    fp_dns_verdict verdict;
    CHECK_EQ(read_with(spec, false, message, &verdict), FP_DNS_JUDGED);
    return verdict.reason;
}

static const fp_dns_plan_spec any_address = {.name = {NAME, sizeof NAME}, .type = 1, .min_answers = 1};

static void an_answer_is_held_against_what_is_expected(void) {
    const fp_bytes good = TEXT(HEAD("\x81\x80", "\1") ADDRESS);
    fp_dns_plan_spec spec = any_address;
    fp_bytes wanted = TEXT("\xc0\0\2\1");
    CHECK_EQ(reason_of(&spec, good), FP_REASON_NONE);
    spec.answers = &wanted;
    spec.n_answers = 1;
    CHECK_EQ(reason_of(&spec, good), FP_REASON_NONE);
    wanted = TEXT("\xc0\0\2\2");
    CHECK_EQ(reason_of(&spec, good), FP_REASON_DNS_MISMATCH);
    spec = any_address;
    spec.min_ttl_s = 60;
    CHECK_EQ(reason_of(&spec, good), FP_REASON_NONE);
    spec.min_ttl_s = 61;
    CHECK_EQ(reason_of(&spec, good), FP_REASON_DNS_TTL);
    spec.min_ttl_s = 0;
    spec.min_answers = 2;
    CHECK_EQ(reason_of(&spec, good), FP_REASON_DNS_MISMATCH);
    CHECK_EQ(reason_of(&any_address, TEXT(HEAD("\x81\x83", "\0"))), FP_REASON_DNS_NXDOMAIN);
    CHECK_EQ(reason_of(&any_address, TEXT(HEAD("\x81\x82", "\0"))), FP_REASON_DNS_FAILURE);
    spec.rcode = 3;
    CHECK_EQ(reason_of(&spec, TEXT(HEAD("\x81\x83", "\0"))), FP_REASON_NONE);
    CHECK_EQ(reason_of(&spec, good), FP_REASON_DNS_MISMATCH);
}

static void names_are_compared_whole_and_without_case(void) {
    const fp_bytes wanted = TEXT("\0\1\0\2\0\x50\3Api\7EXAMPLE\3org\0");
    const fp_dns_plan_spec spec = {.name = example, .type = 33, .min_answers = 1, .answers = &wanted, .n_answers = 1};
    CHECK_EQ(reason_of(&spec, TEXT("\1\2\x81\x80\0\1\0\1\0\0\0\0" NAME "\0\0\x21\0\1\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x0c"
                                   "\0\1\0\2\0\x50\3aPI\xc0\x0c")),
             FP_REASON_NONE);
}

static void text_is_found_across_the_seams_of_its_strings(void) {
    const fp_bytes wanted = TEXT("spf1 -all");
    const fp_dns_plan_spec spec = {.name = example, .type = 16, .min_answers = 1, .answers = &wanted, .n_answers = 1};
    CHECK_EQ(reason_of(&spec, TEXT("\1\2\x81\x80\0\1\0\1\0\0\0\0" NAME "\0\0\x10\0\1\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\x0d"
                                   "\6v=spf1\5 -all")),
             FP_REASON_NONE);
}

static void what_answers_another_question_is_a_stray(void) {
    fp_dns_verdict verdict;
    const fp_bytes strays[] = {
        TEXT(""),
        TEXT("\1"),
        TEXT("\2\1\x81\x80\0\1\0\0\0\0\0\0" NAME "\0\0\1\0\1"),
        TEXT(HEAD("\1\0", "\0")),
        TEXT("\1\2\x81\x80\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1"),
        TEXT("\1\2\x81\x80\0\1\0\0\0\0\0\0" NAME "\0\0\x1c\0\1"),
        TEXT("\1\2\x81\x80\0\1\0\0\0\0\0\0" NAME "\0\0\1\0\3"),
        TEXT("\1\2\x81\x80\0\0\0\0\0\0\0\0"),
    };
    for (size_t i = 0; i < sizeof strays / sizeof strays[0]; i++) {
        CHECK_EQ(read_with(&any_address, false, strays[i], &verdict), FP_DNS_STRAY);
        CHECK_EQ(read_with(&any_address, true, strays[i], &verdict), FP_DNS_JUDGED);
        CHECK_EQ(verdict.reason, FP_REASON_DNS_PROTOCOL);
    }
}

static void what_was_cut_is_asked_for_again_once(void) {
    fp_dns_verdict verdict;
    const fp_bytes cut = TEXT(HEAD("\x83\x80", "\2") "\xc0");
    CHECK_EQ(read_with(&any_address, false, cut, &verdict), FP_DNS_CUT);
    CHECK_EQ(read_with(&any_address, true, cut, &verdict), FP_DNS_JUDGED);
    CHECK_EQ(verdict.reason, FP_REASON_DNS_PROTOCOL);
}

static void malformed_messages_are_told_and_end(void) {
    const fp_bytes bad[] = {
        TEXT("\1\2\x81"),
        TEXT("\1\2\x81\x80\0\2\0\0\0\0\0\0" NAME "\0\0\1\0\1"),             /* two questions */
        TEXT("\1\2\x81\x80\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"),               /* a pointer to itself */
        TEXT("\1\2\x81\x80\0\1\0\0\0\0\0\0\xc0\x0e\xc0\x0c\0\1\0\1"),       /* and two to each other */
        TEXT("\1\2\x81\x80\0\1\0\0\0\0\0\0\x40" NAME "\0\0\1\0\1"),         /* an unknown type of label */
        TEXT(HEAD("\x81\x80", "\1") "\xc0"),                                /* half a pointer */
        TEXT(HEAD("\x81\x80", "\1") "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\5abcde"), /* an address of five bytes */
        TEXT(HEAD("\x81\x80", "\1") "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4abc"),   /* a record that does not end */
        TEXT(HEAD("\x81\x80", "\1") "\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\2\5a"), /* a string that does not */
        TEXT(HEAD("\x81\x80", "\1") "\xc0\x0c\0\2\0\1\0\0\0\x3c\0\3\xc0\x0c"
                                    "a"),     /* a name that does not fill its record */
        TEXT(HEAD("\x81\x80", "\2") ADDRESS), /* one answer is missing */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) CHECK_EQ(reason_of(&any_address, bad[i]), FP_REASON_DNS_PROTOCOL);
}

static void any_change_of_any_byte_stays_within_bounds(void) {
    static const char good[] = HEAD("\x81\x80", "\2") ADDRESS "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\6\0\1\1a\xc0\x0c";
    check_rng rng = {0x9e3779b97f4a7c15ULL};
    for (int i = 0; i < 20000; i++) {
        char changed[sizeof good - 1];
        fp_dns_verdict verdict;
        memcpy(changed, good, sizeof changed);
        for (unsigned n = 1 + (unsigned)check_below(&rng, 3); n > 0; n--)
            changed[2 + check_below(&rng, sizeof changed - 2)] = (char)check_below(&rng, 256);
        const uint32_t len = (uint32_t)check_below(&rng, sizeof changed + 1);
        read_with(&any_address, i & 1, (fp_bytes){changed, len}, &verdict);
    }
}

/* A record of no type that is read holds 200 pointers, each to the one before; then an address whose name is the nth of them.
 */
static unsigned reason_of_chain(unsigned nth) {
    static const char head[] = HEAD("\x81\x80", "\2") "\xc0\x0c\0\x63\0\1\0\0\0\x3c\1\x90";
    char message[sizeof head - 1 + 400 + sizeof ADDRESS - 1];
    size_t at = sizeof head - 1, to = 12, last = 0;
    memcpy(message, head, at);
    for (unsigned i = 0; i < 200; i++) {
        message[at] = (char)(0xc0 | to >> 8);
        message[at + 1] = (char)to;
        if (i + 1 == nth) last = at;
        to = at;
        at += 2;
    }
    memcpy(message + at, ADDRESS, sizeof ADDRESS - 1);
    message[at] = (char)(0xc0 | last >> 8);
    message[at + 1] = (char)last;
    return reason_of(&any_address, (fp_bytes){message, sizeof message});
}

static void a_chain_of_pointers_is_followed_only_so_far(void) {
    CHECK_EQ(reason_of_chain(126), FP_REASON_NONE);
    CHECK_EQ(reason_of_chain(127), FP_REASON_DNS_PROTOCOL);
}

/* -- dns over sockets -------------------------------------------------------------------------------------------------------
 */

static size_t reply_to(const uint8_t *asked, size_t len, uint8_t *out, uint16_t flags) {
    memcpy(out, asked, len);
    out[2] = (uint8_t)(flags >> 8);
    out[3] = (uint8_t)flags;
    out[7] = 1;
    memcpy(out + len, ADDRESS, sizeof ADDRESS - 1);
    return len + sizeof ADDRESS - 1;
}

static size_t strays_first(server *it, unsigned turn, const uint8_t *asked, size_t len, uint8_t *out) {
    (void)it;
    const size_t whole = reply_to(asked, len, out, 0x8180);
    if (turn == 0) out[0] ^= 1;  /* another id */
    if (turn == 1) out[13] ^= 1; /* another name */
    if (turn == 2) out[2] = 1;   /* a question */
    return turn > 3 ? 0 : whole;
}

static size_t cut_short(server *it, unsigned turn, const uint8_t *asked, size_t len, uint8_t *out) {
    (void)it;
    return turn ? 0 : reply_to(asked, len, out, 0x8380) - 3;
}

static void whole_stream(int fd, const uint8_t *asked, size_t len) {
    uint8_t out[600];
    const size_t size = reply_to(asked, len, out + 2, 0x8180);
    out[0] = (uint8_t)(size >> 8);
    out[1] = (uint8_t)size;
    CHECK_EQ(send(fd, out, 1, MSG_NOSIGNAL), 1);
    CHECK_EQ(send(fd, out + 1, size + 1, MSG_NOSIGNAL), size + 1);
}

static void half_stream(int fd, const uint8_t *asked, size_t len) {
    (void)asked, (void)len;
    CHECK_EQ(send(fd, "\0\x20half", 6, MSG_NOSIGNAL), 6);
}

static fp_record dns_asked(server it, fp_ns timeout_ns, uint16_t flags, uint64_t *strays) {
    rig engine = rig_new(2);
    serve_begin(&it);
    const fp_record record = run_once(&engine, dns_target(&it.address, &any_address), timeout_ns, flags);
    serve_end(&it);
    *strays = rig_stats(&engine).stray_datagrams;
    drop_traces(&engine);
    rig_free(&engine);
    return record;
}

static void a_port_where_nobody_listens_refuses(void) {
    const struct sockaddr_in address = deserted();
    const fp_udp_plan_spec spec = {.payload = TEXT("x"), .max_reply = 64};
    refused_in_every_run(udp_target(&address, &spec), 1);
    refused_in_every_run(dns_target(&address, &any_address), 3);
}

/* By a socket that runs share, and by one of its own. */
static const uint16_t ways[] = {0, FP_RUN_EXPLAIN};
#define EACH_WAY(way) (const uint16_t *way = ways; way < ways + sizeof ways / sizeof ways[0]; way++)

static void strays_are_dropped_and_counted(void) {
    for
        EACH_WAY(way) {
            uint64_t strays;
            CHECK_EQ(dns_asked((server){.answer = strays_first}, TIMEOUT_NS, *way, &strays).reason, FP_REASON_NONE);
            CHECK_EQ(strays, 3);
        }
}

static void a_silent_name_server_times_out(void) {
    for
        EACH_WAY(way) {
            uint64_t strays;
            const fp_record record = dns_asked((server){.answer = silence}, SHORT_NS, *way, &strays);
            CHECK_EQ(record.result, FP_TIMEOUT);
            CHECK_EQ(record.reason, FP_REASON_DNS_TIMEOUT);
        }
}

static void a_cut_answer_is_fetched_over_tcp(void) {
    for
        EACH_WAY(way) {
            uint64_t strays;
            CHECK_EQ(dns_asked((server){.answer = cut_short, .stream = whole_stream}, TIMEOUT_NS, *way, &strays).reason,
                     FP_REASON_NONE);
            CHECK_EQ(dns_asked((server){.answer = cut_short, .stream = half_stream}, TIMEOUT_NS, *way, &strays).reason,
                     FP_REASON_RESPONSE_CLOSED);
        }
}

/* -- sockets that runs share ------------------------------------------------------------------------------------------------
 */

#define NAME_SERVERS 8u

/* On one port of many addresses; what was asked from where is kept. */
typedef struct name_server {
    int fd;
    struct sockaddr_in address;
    struct sockaddr_in from;
    uint16_t id;
} name_server;

static name_server name_server_at(uint32_t address, uint16_t port) {
    name_server it = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                      .address = {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(address)}};
    socklen_t size = sizeof it.address;
    CHECK_EQ(bind(it.fd, (struct sockaddr *)&it.address, size), 0);
    CHECK_EQ(getsockname(it.fd, (struct sockaddr *)&it.address, &size), 0);
    return it;
}

/* Whether a question came; it is answered by `by`, with its id changed by `flip`. */
static bool answer_one(name_server *it, int by, uint16_t flip) {
    uint8_t asked[600], out[700];
    socklen_t size = sizeof it->from;
    const ssize_t got = recvfrom(it->fd, asked, sizeof asked, 0, (struct sockaddr *)&it->from, &size);
    if (got < 0) return false;
    it->id = (uint16_t)(asked[0] << 8 | asked[1]);
    const size_t len = reply_to(asked, (size_t)got, out, 0x8180);
    out[0] ^= (uint8_t)(flip >> 8);
    out[1] ^= (uint8_t)flip;
    CHECK_EQ(sendto(by, out, len, 0, (struct sockaddr *)&it->from, size), len);
    return true;
}

static fp_record next_record(rig *it) {
    const fp_ns until_ns = fp_clock_schedule() + RIG_PATIENCE_NS;
    fp_record record = {0};
    while (fp_clock_schedule() < until_ns) {
        fp_engine_step(it->engine, fp_clock_schedule());
        CHECK_SOUND(fp_engine_check(it->engine));
        if (fp_engine_drain(it->engine, &record, 1)) return record;
    }
    CHECK(!"no record in time");
    return record;
}

static void run_all(rig *it, uint32_t slots) {
    for (uint32_t slot = 0; slot < slots; slot++)
        rig_post(it, (fp_command){.op = FP_CMD_RUN, .slot = slot, .generation = it->generations[slot], .due_ns = FP_NEVER});
    for (int steps = 0; steps < 3; steps++) fp_engine_step(it->engine, fp_clock_schedule());
}

static void what_is_asked_together_leaves_by_one_socket_and_each_gets_its_own_answer(void) {
    rig engine = rig_new(8);
    name_server them[NAME_SERVERS];
    for (uint32_t i = 0; i < NAME_SERVERS; i++) {
        them[i] = name_server_at(INADDR_LOOPBACK + i, i ? them[0].address.sin_port : 0);
        rig_aim(&engine, i, dns_target(&them[i].address, &any_address), TIMEOUT_NS);
    }
    run_all(&engine, NAME_SERVERS);
    unsigned same_id = 0;
    for (uint32_t i = NAME_SERVERS; i-- > 0;) { /* the last first: order tells nothing */
        CHECK(answer_one(&them[i], them[i].fd, 0));
        CHECK_EQ(them[i].from.sin_port, them[NAME_SERVERS - 1].from.sin_port);
        same_id += i + 1 < NAME_SERVERS && them[i].id == them[i + 1].id;
        const fp_record record = next_record(&engine);
        CHECK_EQ(record.slot, i);
        CHECK_EQ(record.result, FP_OK);
        CHECK(record.latency_ns > 0);
    }
    CHECK(same_id < 2);
    for (uint32_t i = 0; i < NAME_SERVERS; i++) close(them[i].fd);
    rig_free(&engine);
}

/* From here on every id is this one, and every question leaves by the same socket. */
static void draw_alike(rig *it) {
    memset(it->engine->ids, 7, sizeof it->engine->ids);
    it->engine->ids_left = FP_IDS;
}

static void two_that_ask_one_server_with_one_id_are_told_apart_by_their_questions(void) {
    rig engine = rig_new(8);
    name_server it = name_server_at(INADDR_LOOPBACK, 0);
    fp_dns_plan_spec another = any_address;
    another.name = TEXT("\7another\3org\0");
    rig_aim(&engine, 0, dns_target(&it.address, &any_address), TIMEOUT_NS);
    rig_aim(&engine, 1, dns_target(&it.address, &another), TIMEOUT_NS);
    draw_alike(&engine);
    run_all(&engine, 2);
    for (uint32_t slot = 0; slot < 2; slot++) { /* the first asked first */
        CHECK(answer_one(&it, it.fd, 0));
        CHECK_EQ(it.id, 0x0707);
        const fp_record record = next_record(&engine);
        CHECK_EQ(record.slot, slot);
        CHECK_EQ(record.result, FP_OK);
    }
    CHECK_EQ(rig_stats(&engine).stray_datagrams, 0);
    close(it.fd);
    rig_free(&engine);
}

static void an_answer_counts_only_from_whom_was_asked_and_with_the_id_of_the_question(void) {
    rig engine = rig_new(8);
    name_server asked = name_server_at(INADDR_LOOPBACK, 0), other = name_server_at(INADDR_LOOPBACK + 1, asked.address.sin_port);
    rig_aim(&engine, 0, dns_target(&asked.address, &any_address), SHORT_NS);
    run_all(&engine, 1);
    CHECK(answer_one(&asked, other.fd, 0));
    CHECK_EQ(next_record(&engine).reason, FP_REASON_DNS_TIMEOUT);
    run_all(&engine, 1);
    CHECK(answer_one(&asked, asked.fd, 0x0100));
    CHECK_EQ(next_record(&engine).reason, FP_REASON_DNS_TIMEOUT);
    CHECK_EQ(rig_stats(&engine).stray_datagrams, 2);
    close(asked.fd);
    close(other.fd);
    drop_traces(&engine);
    rig_free(&engine);
}

/* The host was held up between the step that asked and the one that would have sent. */
static void a_question_that_never_left_is_no_verdict(void) {
    rig engine = rig_new(8);
    name_server it = name_server_at(INADDR_LOOPBACK, 0);
    fp_record records[8];
    fp_ns now_ns = fp_clock_schedule();
    const fp_ns due_ns = now_ns + FP_NS_PER_S;
    engine.engine->config.events_per_step = 4; /* so the step that starts four leaves them waiting for company */
    for (uint32_t slot = 0; slot < 4; slot++)
        rig_post(&engine, (fp_command){.op = FP_CMD_ADD,
                                       .slot = slot,
                                       .generation = 1,
                                       .due_ns = due_ns,
                                       .interval_ns = 3600 * FP_NS_PER_S,
                                       .timeout_ns = SHORT_NS,
                                       .target = dns_target(&it.address, &any_address)});
    fp_engine_step(engine.engine, now_ns);
    fp_engine_step(engine.engine, now_ns = due_ns + 2 * FP_NS_PER_MS);
    CHECK_EQ(rig_stats(&engine).in_flight, 4);
    fp_engine_step(engine.engine, now_ns + SHORT_NS + 2 * FP_NS_PER_MS);
    CHECK_EQ(fp_engine_drain(engine.engine, records, 8), 4);
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_EQ(records[i].result, FP_EVENT_SKIPPED);
        CHECK_EQ(records[i].reason, FP_REASON_LATE);
    }
    CHECK(!answer_one(&it, it.fd, 0));
    close(it.fd);
    rig_free(&engine);
}

/* From here on no shared socket can send: what every send says tells of no target. */
static void break_shared_sockets(void) {
    for (int fd = 3; fd < 256; fd++) {
        int told = 0;
        socklen_t size = sizeof told;
        if (getsockopt(fd, IPPROTO_IP, IP_RECVERR, &told, &size) == 0 && told) shutdown(fd, SHUT_WR);
    }
}

static void what_a_shared_socket_cannot_send_leaves_by_one_of_its_own(void) {
    rig engine = rig_new(8);
    name_server it = name_server_at(INADDR_LOOPBACK, 0);
    for (uint32_t slot = 0; slot < 3; slot++) rig_aim(&engine, slot, dns_target(&it.address, &any_address), TIMEOUT_NS);
    for (int round = 0; round < 2; round++) {
        draw_alike(&engine);
        run_all(&engine, 3);
        for (int i = 0; i < 3; i++) CHECK(answer_one(&it, it.fd, 0));
        for (int i = 0; i < 3; i++) CHECK_EQ(next_record(&engine).result, FP_OK);
        CHECK_EQ(rig_stats(&engine).connections_opened, round ? 4 : 1);
        break_shared_sockets();
    }
    close(it.fd);
    rig_free(&engine);
}

/* Who refuses is told by the error that comes back; who is asked by the same socket hears nothing of it. */
static void one_that_refuses_spoils_no_other_of_its_socket(void) {
    rig engine = rig_new(8);
    const struct sockaddr_in nobody = deserted();
    name_server somebody[4];
    for (uint32_t i = 0; i < 4; i++) {
        somebody[i] = name_server_at(INADDR_LOOPBACK + i, 0);
        rig_aim(&engine, 2 * i, dns_target(&nobody, &any_address), TIMEOUT_NS);
        rig_aim(&engine, 2 * i + 1, dns_target(&somebody[i].address, &any_address), TIMEOUT_NS);
    }
    for (int round = 0; round < 20; round++) {
        run_all(&engine, 8);
        for (uint32_t i = 0; i < 4; i++) CHECK(answer_one(&somebody[i], somebody[i].fd, 0));
        for (uint32_t i = 0; i < 8; i++) {
            const fp_record record = next_record(&engine);
            CHECK_EQ(record.reason, record.slot % 2 ? FP_REASON_NONE : FP_REASON_CONNECT_REFUSED);
        }
    }
    for (uint32_t i = 0; i < 4; i++) close(somebody[i].fd);
    drop_traces(&engine);
    rig_free(&engine);
}

/* When the engine comes to look, be it late, is in no latency: the kernel says when the answer, or the refusal, came. */
static void what_waits_is_timed_by_the_kernel(void) {
    const int one = 1, stamping = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(setsockopt(stamping, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one), 0);
    usleep(50000); /* the kernel begins to stamp a little after it was asked to */
    rig engine = rig_new(8);
    name_server somebody = name_server_at(INADDR_LOOPBACK, 0);
    const struct sockaddr_in nobody = deserted();
    rig_aim(&engine, 0, dns_target(&somebody.address, &any_address), TIMEOUT_NS);
    rig_aim(&engine, 1, dns_target(&nobody, &any_address), TIMEOUT_NS);
    for (uint32_t slot = 0; slot < 2; slot++) {
        const fp_command run = {.op = FP_CMD_RUN, .slot = slot, .generation = engine.generations[slot], .due_ns = FP_NEVER};
        const fp_ns from_ns = fp_clock_latency();
        rig_post(&engine, run);
        fp_engine_step(engine.engine, fp_clock_schedule());
        if (slot == 0) CHECK(answer_one(&somebody, somebody.fd, 0));
        const fp_ns came_ns = fp_clock_latency();
        usleep(50000);
        const fp_record record = next_record(&engine);
        CHECK_EQ(record.reason, slot == 0 ? FP_REASON_NONE : FP_REASON_CONNECT_REFUSED);
        CHECK(record.latency_ns > 0 && record.latency_ns <= came_ns - from_ns);
    }
    close(somebody.fd);
    close(stamping);
    drop_traces(&engine);
    rig_free(&engine);
}

/* Of many that await answers the engine's thread takes some at a time; none of them is lost, and it stops when it is told to.
 */
static void a_thread_that_naps_between_answers_takes_them_all(void) {
    rig engine = rig_new(8);
    name_server it = name_server_at(INADDR_LOOPBACK, 0);
    for (uint32_t slot = 0; slot < 8; slot++) rig_aim(&engine, slot, dns_target(&it.address, &any_address), TIMEOUT_NS);
    CHECK_EQ(fp_engine_start(engine.engine), 0);
    for (int round = 0; round < 20; round++) {
        for (uint32_t slot = 0; slot < 8; slot++)
            rig_post(&engine,
                     (fp_command){.op = FP_CMD_RUN, .slot = slot, .generation = engine.generations[slot], .due_ns = FP_NEVER});
        const fp_ns until_ns = fp_clock_schedule() + RIG_PATIENCE_NS;
        uint32_t records = 0;
        for (fp_record record; records < 8 && fp_clock_schedule() < until_ns;) {
            answer_one(&it, it.fd, 0);
            if (!fp_engine_drain(engine.engine, &record, 1)) continue;
            CHECK_EQ(record.result, FP_OK);
            records++;
        }
        CHECK_EQ(records, 8);
    }
    CHECK_EQ(fp_engine_stop(engine.engine), 0);
    close(it.fd);
    rig_free(&engine);
}

static void ports_and_ids_change(void) {
    rig engine = rig_new(8);
    name_server it = name_server_at(INADDR_LOOPBACK, 0);
    rig_aim(&engine, 0, dns_target(&it.address, &any_address), TIMEOUT_NS);
    uint16_t ports[64], ids[64];
    unsigned n_ports = 0, n_ids = 0;
    for (int run = 0; run < 200; run++) {
        run_all(&engine, 1);
        CHECK(answer_one(&it, it.fd, 0));
        CHECK_EQ(next_record(&engine).result, FP_OK);
        unsigned port = 0, id = 0;
        while (port < n_ports && ports[port] != it.from.sin_port) port++;
        while (id < n_ids && ids[id] != it.id) id++;
        if (port == n_ports && n_ports < 64) ports[n_ports++] = it.from.sin_port;
        if (id == n_ids && n_ids < 64) ids[n_ids++] = it.id;
    }
    CHECK(n_ports > 16 && n_ids == 64);
    CHECK_EQ(rig_stats(&engine).connections_opened, n_ports);
    close(it.fd);
    rig_free(&engine);
}

static void a_socket_is_drawn_anew_after_so_many_questions(void) {
    rig engine = rig_new(8);
    name_server it = name_server_at(INADDR_LOOPBACK, 0);
    for (uint32_t slot = 0; slot < 8; slot++) rig_aim(&engine, slot, dns_target(&it.address, &any_address), TIMEOUT_NS);
    for (int round = 0; round < 40000 / 8; round++) { /* of 32 sockets that ask 1,024 each */
        run_all(&engine, 8);
        for (int i = 0; i < 8; i++) CHECK(answer_one(&it, it.fd, 0));
        for (int i = 0; i < 8; i++) CHECK_EQ(next_record(&engine).result, FP_OK);
    }
    const uint64_t opened = rig_stats(&engine).connections_opened;
    CHECK(opened >= 39 && opened < 200); /* 40,000 / 1,024; age may have taken a few more on a slow machine */
    close(it.fd);
    rig_free(&engine);
}

int main(void) {
    RUN(a_reply_is_held_against_what_is_expected);
    RUN(a_port_where_nobody_listens_refuses);
    RUN(plans_that_cannot_be_are_refused);
    RUN(an_answer_is_held_against_what_is_expected);
    RUN(names_are_compared_whole_and_without_case);
    RUN(text_is_found_across_the_seams_of_its_strings);
    RUN(what_answers_another_question_is_a_stray);
    RUN(what_was_cut_is_asked_for_again_once);
    RUN(malformed_messages_are_told_and_end);
    RUN(any_change_of_any_byte_stays_within_bounds);
    RUN(a_chain_of_pointers_is_followed_only_so_far);
    RUN(strays_are_dropped_and_counted);
    RUN(a_silent_name_server_times_out);
    RUN(a_cut_answer_is_fetched_over_tcp);
    RUN(what_is_asked_together_leaves_by_one_socket_and_each_gets_its_own_answer);
    RUN(two_that_ask_one_server_with_one_id_are_told_apart_by_their_questions);
    RUN(an_answer_counts_only_from_whom_was_asked_and_with_the_id_of_the_question);
    RUN(a_question_that_never_left_is_no_verdict);
    RUN(what_a_shared_socket_cannot_send_leaves_by_one_of_its_own);
    RUN(one_that_refuses_spoils_no_other_of_its_socket);
    RUN(what_waits_is_timed_by_the_kernel);
    RUN(a_thread_that_naps_between_answers_takes_them_all);
    RUN(ports_and_ids_change);
    RUN(a_socket_is_drawn_anew_after_so_many_questions);
    return 0;
}
