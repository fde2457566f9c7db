/* questions.c - the sockets by which DNS questions leave: a few for all of them, not one a run.
 *
 * A socket of its own costs a run five system calls (connect, send, receive, disconnect, drain); by these, what is asked in one
 * step leaves in one, and answers are taken together. What a socket of its own gave is kept otherwise:
 *   - Nobody guesses what to forge. An answer must come from the address and port that was asked, to the port that asked, with
 *     16 random bits of id and the question in it. The port is one of up to FP_QUESTION_SOCKETS that the kernel drew at random,
 *     drawn anew after 1,024 questions or 10 s: who does not see the question has those bits to guess within its round trip,
 *     and before the port is gone. (Resolvers of programs retire their sockets so, too; and what is at stake here is the
 *     verdict of one run, not a cache.)
 *   - A port that nobody listens at is heard of by the socket's queue of errors, which quotes the question.
 * A run with a route, with an address that marks a socket, or that is to be explained has a socket of its own all the same, and
 * so has one when all of these are used up. */
#include "batches.h"
#include "fastprobe/clock.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAMILIES     2u
#define ASKS_MAX     1024u                  /* questions by one socket */
#define AGE_MAX_NS   (10 * FP_NS_PER_S)     /* and for how long after its first */
#define RESENDS_MAX  4u                     /* a send may fail with an error that came back for an earlier one */
#define ANSWER_BYTES (FP_DNS_UDP_MAX + 64u) /* not a power of two: 32 beginnings would fall on the same lines of the cache */

typedef struct question_socket {
    fp_list asked; /* of connections, READING: the last asked comes last */
    fp_ns since_ns;
    uint32_t asks;
    int fd; /* -1: none */
} question_socket;

struct fp_questions {
    question_socket sockets[FP_QUESTION_SOCKETS]; /* half of them a family */
    fp_list outboxes[FAMILIES];                   /* of connections, ASKING */
    uint32_t waiting;                             /* in both */
    bool held;                                    /* for company: they leave with the next step, whatever comes */
    uint8_t questions[FP_BATCH][FP_DNS_QUERY_MAX];
    uint8_t answers[FP_BATCH][ANSWER_BYTES];
};

#define A_FAMILY (FP_QUESTION_SOCKETS / FAMILIES)

static uint32_t family_of(const fp_connection *connection) {
    return connection->target->family == AF_INET6;
}

/* -- sockets -------------------------------------------------------------------------------------------------------------- */

static bool used_up(const fp_engine *engine, const question_socket *it) {
    return it->fd >= 0 && (it->asks >= ASKS_MAX || engine->now_ns - it->since_ns > AGE_MAX_NS);
}

static void close_socket(question_socket *it) {
    close(it->fd);
    it->fd = -1;
}

static bool open_socket(fp_engine *engine, uint32_t number) {
    question_socket *it = &engine->questions->sockets[number];
    const bool v6 = number >= A_FAMILY;
    const int one = 1;
    it->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (it->fd < 0) return false;
    fp_batches_prepare(it->fd);
    if (!v6) fp_batches_never_in_pieces(it->fd); /* a question has less than 300 bytes, which every link takes whole */
    if (setsockopt(it->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof one) ||
        fp_poll_add(engine->poll, it->fd, FP_QUESTION_TAGS + number, FP_INCOMING)) {
        close_socket(it);
        return false;
    }
    it->asks = 0;
    it->since_ns = engine->now_ns;
    fp_count(&engine->counters.connections_opened, 1);
    return true;
}

/* One that may ask, whichever chance points at; NULL: none. A used up one is replaced when all its questions are settled. */
static question_socket *draw(fp_engine *engine, uint32_t family) {
    const uint32_t first = fp_datagram_id(engine);
    for (uint32_t i = 0; i < A_FAMILY; i++) {
        const uint32_t number = family * A_FAMILY + (first + i) % A_FAMILY;
        question_socket *it = &engine->questions->sockets[number];
        if (used_up(engine, it) && it->asked.first == FP_NONE) close_socket(it);
        if (it->fd < 0 ? open_socket(engine, number) : !used_up(engine, it)) return it;
    }
    return NULL;
}

static fp_questions *all_of(fp_engine *engine) {
    const fp_list empty = {FP_NONE, FP_NONE};
    fp_questions *all = engine->questions;
    if (all) return all;
    all = engine->questions = calloc(1, sizeof *all);
    for (uint32_t i = 0; all && i < FAMILIES; i++) all->outboxes[i] = empty;
    for (uint32_t i = 0; all && i < FP_QUESTION_SOCKETS; i++) all->sockets[i] = (question_socket){.asked = empty, .fd = -1};
    return all;
}

void fp_questions_close(fp_engine *engine) {
    for (uint32_t i = 0; engine->questions && i < FP_QUESTION_SOCKETS; i++)
        if (engine->questions->sockets[i].fd >= 0) close_socket(&engine->questions->sockets[i]);
    free(engine->questions);
    engine->questions = NULL;
}

/* -- questions ------------------------------------------------------------------------------------------------------------ */

bool fp_question_ask(fp_engine *engine, fp_connection *connection) {
    fp_questions *all = all_of(engine);
    if (!all) return false;
    connection->shares = true;
    connection->query_id = fp_datagram_id(engine);
    connection->phase = FP_CONNECTION_ASKING;
    connection->began_ns = fp_engine_latency_clock(engine);
    fp_list_append(engine, &all->outboxes[family_of(connection)], connection);
    all->waiting++;
    return true;
}

void fp_question_forget(fp_engine *engine, fp_connection *connection) {
    fp_questions *all = engine->questions;
    connection->shares = false;
    if (connection->phase == FP_CONNECTION_ASKING) {
        fp_list_remove(engine, &all->outboxes[family_of(connection)], connection);
        all->waiting--;
    } else {
        fp_list_remove(engine, &all->sockets[connection->shared_socket].asked, connection);
        engine->stamped--;
    }
}

static void fill(fp_engine *engine, uint32_t family, fp_outgoing *out) {
    fp_questions *all = engine->questions;
    out->n = 0;
    for (uint32_t i = all->outboxes[family].first; i != FP_NONE && out->n < FP_BATCH; i = engine->connections[i].next) {
        fp_connection *connection = &engine->connections[i];
        uint8_t *bytes = all->questions[out->n];
        fp_outgoing_add(out, connection, bytes, fp_dns_query(connection->target->dns, connection->query_id, bytes));
    }
}

/* A run without a socket to share gets one of its own, or hears why not. */
static void ask_alone(fp_engine *engine, fp_connection *connection) {
    fp_question_forget(engine, connection);
    fp_run_open_own(engine, connection);
}

/* The error of a send may belong to one before it, whose target answered that nobody listens; it is told once. One that stays
 * may still be another's, or the socket's, whose buffer is full: the first of these is not judged by it, but asks alone. */
static void send_batch(fp_engine *engine, uint32_t family, question_socket *it, fp_outgoing *them) {
    fp_questions *all = engine->questions;
    int error; /* whose, nobody can tell */
    for (unsigned sends = 0; sends < RESENDS_MAX; sends++) {
        const uint32_t sent = fp_outgoing_send(engine, it->fd, them, &all->outboxes[family], &it->asked, &error);
        for (uint32_t i = 0; i < sent && i < them->n; i++) them->connections[i]->shared_socket = (uint8_t)(it - all->sockets);
        it->asks += sent;
        all->waiting -= sent;
        if (sent) return;
    }
    ask_alone(engine, them->connections[0]);
}

void fp_questions_send(fp_engine *engine, bool more) {
    fp_questions *all = engine->questions;
    if (!all || !all->waiting) return;
    all->held = more && !all->held && all->waiting < FP_BATCH;
    if (all->held) return;
    for (uint32_t family = 0; family < FAMILIES; family++) {
        while (all->outboxes[family].first != FP_NONE) {
            fp_outgoing them;
            question_socket *it = draw(engine, family);
            fill(engine, family, &them);
            if (it)
                send_batch(engine, family, it, &them);
            else
                for (uint32_t i = 0; i < them.n; i++) ask_alone(engine, them.connections[i]);
        }
    }
}

/* -- answers -------------------------------------------------------------------------------------------------------------- */

/* Who asked this address with this id: `last`, or one that asked before it. The last asked are looked at first: what
 * answers at all answers soon, and who waits for an answer that does not come stands further and further from the end. */
static fp_connection *asker(const fp_engine *engine, uint32_t last, const struct sockaddr_storage *whom, const uint8_t *bytes,
                            size_t len) {
    const bool named = len >= 2; /* an error may quote less */
    const unsigned id = named ? (unsigned)(bytes[0] << 8 | bytes[1]) : 0;
    for (uint32_t i = last; i != FP_NONE; i = engine->connections[i].previous) {
        fp_connection *connection = &engine->connections[i];
        if ((!named || connection->query_id == id) && fp_datagram_is_from(connection->target, whom)) return connection;
    }
    return NULL;
}

/* Two may have asked one address with one id, by chance: the question in the answer tells them apart. */
static void take(fp_engine *engine, const question_socket *it, fp_incoming *them, uint32_t i) {
    const uint8_t *bytes = engine->questions->answers[i];
    const size_t len = them->messages[i].msg_len < FP_DNS_UDP_MAX ? them->messages[i].msg_len : FP_DNS_UDP_MAX;
    uint32_t last = len < 2 ? FP_NONE : it->asked.last;
    for (fp_connection *connection; (connection = asker(engine, last, &them->from[i], bytes, len)); last = connection->previous)
        if (fp_dns_take(engine, connection, bytes, len, them, i)) return;
    fp_count(&engine->counters.stray_datagrams, 1);
}

static uint32_t take_some(fp_engine *engine, const question_socket *it) {
    fp_incoming them;
    const uint32_t got = fp_incoming_take(engine, it->fd, engine->questions->answers, ANSWER_BYTES, &them);
    for (uint32_t i = 0; i < got; i++) take(engine, it, &them, i);
    return got;
}

static bool is_among(uint32_t codes, uint8_t code) {
    return code < 32 && codes >> code & 1u;
}

/* Those that a socket of its own would be told of. The others say that it did not get there this time, and may be anybody's. */
static bool is_hard(const struct sock_extended_err *error) {
    const uint32_t soft = 1u << ICMP_NET_UNREACH | 1u << ICMP_HOST_UNREACH | 1u << ICMP_FRAG_NEEDED | 1u << ICMP_SR_FAILED |
                          1u << ICMP_NET_UNR_TOS | 1u << ICMP_HOST_UNR_TOS;
    const uint32_t soft_v6 = 1u << ICMPV6_NOROUTE | 1u << ICMPV6_NOT_NEIGHBOUR | 1u << ICMPV6_ADDR_UNREACH;
    if (error->ee_origin == SO_EE_ORIGIN_ICMP) return error->ee_type == ICMP_DEST_UNREACH && !is_among(soft, error->ee_code);
    if (error->ee_origin != SO_EE_ORIGIN_ICMP6) return false;
    return error->ee_type == ICMPV6_DEST_UNREACH && !is_among(soft_v6, error->ee_code);
}

static int error_in(struct msghdr *message) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        const bool tells = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                           (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
        struct sock_extended_err error;
        if (!tells) continue;
        memcpy(&error, CMSG_DATA(part), sizeof error);
        return is_hard(&error) ? (int)error.ee_errno : 0;
    }
    return 0;
}

static bool take_error(fp_engine *engine, const question_socket *it) {
    uint8_t quoted[FP_DNS_QUERY_MAX];
    struct sockaddr_storage to = {0};
    union {
        struct cmsghdr aligned;
        char bytes[512];
    } control;
    struct iovec part = {quoted, sizeof quoted};
    struct msghdr message = {.msg_name = &to,
                             .msg_namelen = sizeof to,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    const ssize_t len = recvmsg(it->fd, &message, MSG_ERRQUEUE);
    if (len < 0) return false;
    const int error = error_in(&message);
    fp_connection *connection = error ? asker(engine, it->asked.last, &to, quoted, (size_t)len) : NULL;
    if (!connection) return true;
    connection->measured_ns =
        fp_stamped_latency(engine, connection, &message, fp_clock_wall(), fp_engine_latency_clock(engine));
    fp_run_refused(engine, connection, error);
    return true;
}

void fp_questions_ready(fp_engine *engine, uint32_t number, uint32_t ready) {
    const question_socket *it = &engine->questions->sockets[number];
    if (it->fd < 0) return;
    for (uint32_t errors = 0; ready & FP_BROKEN && take_error(engine, it); errors++) {
        if (errors < FP_BATCH * FP_CALLS_PER_LOOK) continue;
        fp_poll_again(engine->poll, it->fd, FP_QUESTION_TAGS + number, FP_INCOMING);
        break;
    }
    for (uint32_t calls = 0; calls < FP_CALLS_PER_LOOK; calls++)
        if (take_some(engine, it) < FP_BATCH) return;
    fp_poll_again(engine->poll, it->fd, FP_QUESTION_TAGS + number, FP_INCOMING);
}

void fp_question_look(fp_engine *engine, const fp_connection *connection) {
    if (connection->phase == FP_CONNECTION_READING) fp_questions_ready(engine, connection->shared_socket, FP_BROKEN);
}

/* -- is it sound? --------------------------------------------------------------------------------------------------------- */

static bool in_list(const fp_engine *engine, const fp_list *list, uint8_t phase, uint32_t *length) {
    uint32_t previous = FP_NONE;
    for (uint32_t i = list->first; i != FP_NONE; previous = i, i = engine->connections[i].next) {
        const fp_connection *connection = &engine->connections[i];
        if (!connection->shares || connection->phase != phase || connection->previous != previous) return false;
        ++*length;
    }
    return list->last == previous;
}

const char *fp_questions_check(const fp_engine *engine) {
    const fp_questions *all = engine->questions;
    uint32_t waiting = 0, asked = 0, sharing = 0;
    for (uint32_t i = 0; i < engine->config.connections; i++) sharing += engine->connections[i].shares;
    for (uint32_t i = 0; all && i < FAMILIES; i++)
        if (!in_list(engine, &all->outboxes[i], FP_CONNECTION_ASKING, &waiting)) return "outbox of questions";
    for (uint32_t i = 0; all && i < FP_QUESTION_SOCKETS; i++) {
        if (!in_list(engine, &all->sockets[i].asked, FP_CONNECTION_READING, &asked)) return "questions asked by a socket";
        if (all->sockets[i].fd < 0 && all->sockets[i].asked.first != FP_NONE) return "who asked has a socket";
    }
    if (all && all->waiting != waiting) return "questions that wait are counted right";
    return waiting + asked == sharing ? NULL : "every question of a shared socket is in its list";
}
