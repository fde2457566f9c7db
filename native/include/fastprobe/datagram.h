/* datagram.h - what is asked over UDP, and what makes an answer good: plans shared by many targets, and their judges.
 *
 * Pure: a judge takes bytes and says what they are. The sockets are the engine's (or the task lane's, which asks the same
 * judges). Plans are counted like those of HTTP: each target holds one reference. */
#ifndef FASTPROBE_DATAGRAM_H
#define FASTPROBE_DATAGRAM_H
#include "fastprobe/target.h"

typedef struct fp_bytes {
    const void *data;
    uint32_t len;
} fp_bytes;

/* -- udp: one datagram there, one back --------------------------------------------------------------------------------------
 */

#define FP_UDP_PAYLOAD_MAX 1472u  /* a datagram that no Ethernet needs to cut in pieces */
#define FP_UDP_REPLY_MAX   16384u /* the most that max_reply may be */

typedef struct fp_udp_plan fp_udp_plan;
typedef struct fp_udp_plan_spec {
    fp_bytes payload; /* may be empty: a datagram without bytes is one too */
    fp_bytes equals;  /* each expectation with a NULL for its data is none */
    fp_bytes prefix;
    fp_bytes contains;
    uint32_t max_reply; /* bytes; a longer reply is REPLY_LIMIT */
} fp_udp_plan_spec;

int fp_udp_plan_new(fp_udp_plan **plan, const fp_udp_plan_spec *spec); /* copies everything. -EINVAL, -ENOMEM */
void fp_udp_plan_release(fp_udp_plan *plan);
fp_bytes fp_udp_payload(const fp_udp_plan *plan);
/* whole: the reply's length; data holds min(whole, max_reply) bytes at least. FP_REASON_NONE: good. */
uint8_t fp_udp_judge(const fp_udp_plan *plan, const void *data, size_t whole);

/* -- dns: one question, RFC 1035 --------------------------------------------------------------------------------------------
 */

#define FP_DNS_NAME_MAX    255u
#define FP_DNS_ANSWERS_MAX 32u
#define FP_DNS_QUERY_MAX   (12u + FP_DNS_NAME_MAX + 4u)
#define FP_DNS_UDP_MAX     4096u  /* without EDNS an answer has at most 512; a server that sends more is read all the same */
#define FP_DNS_STREAM_MAX  65537u /* over TCP: two bytes of length, and what they can tell */

typedef struct fp_dns_plan fp_dns_plan;
typedef struct fp_dns_plan_spec {
    fp_bytes name; /* on the wire: labels, then a zero */
    uint16_t type;
    uint8_t rcode;
    uint32_t min_answers;
    uint32_t min_ttl_s;      /* each record of the type lives at least this long */
    const fp_bytes *answers; /* record data on the wire, names whole; for TXT a part of its text */
    uint32_t n_answers;
} fp_dns_plan_spec;

int fp_dns_plan_new(fp_dns_plan **plan, const fp_dns_plan_spec *spec); /* copies everything. -EINVAL, -ENOMEM */
void fp_dns_plan_release(fp_dns_plan *plan);
size_t fp_dns_query(const fp_dns_plan *plan, uint16_t id, uint8_t out[FP_DNS_QUERY_MAX]);

enum fp_dns_reading {
    FP_DNS_STRAY = 0, /* no reply to this question: somebody's mistake, or somebody's attack */
    FP_DNS_CUT = 1,   /* ours, and cut short: ask over TCP */
    FP_DNS_JUDGED = 2,
};
typedef struct fp_dns_verdict {
    uint16_t detail; /* the response code, the records of the type, or the shortest time to live: what reason says */
    uint8_t reason;  /* FP_REASON_NONE: good */
} fp_dns_verdict;
/* What these bytes are to who asked with this id. Over TCP nothing is a stray and nothing may be cut: such a reply is
 * malformed. Work is bounded by the length: a name follows at most 127 pointers, each to before the one that led to it. */
enum fp_dns_reading fp_dns_read(const fp_dns_plan *plan, uint16_t id, bool over_tcp, const uint8_t *data, size_t len,
                                fp_dns_verdict *verdict);

/* -- targets ----------------------------------------------------------------------------------------------------------------
 */

/* address: AF_INET or AF_INET6; for ICMP with port 0, and a payload as echo.h bounds it. -EINVAL, -ENOMEM. */
int fp_target_udp(fp_target **target, const struct sockaddr *address, socklen_t address_len, fp_udp_plan *plan);
int fp_target_dns(fp_target **target, const struct sockaddr *address, socklen_t address_len, fp_dns_plan *plan);
int fp_target_icmp(fp_target **target, const struct sockaddr *address, socklen_t address_len, uint16_t payload_bytes);

#endif
